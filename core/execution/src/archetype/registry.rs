//! Which archetypes there are.

use std::{collections::BTreeMap, fmt, sync::Arc};

use perdure_kernel::Archetype;

use super::{Actor, AnyMachine, Machine, actor::OfActor, erased::Erased};
use crate::activity::Activities;

/// First number that is left to those who embed a server; the ones below are the server's own.
const FIRST_OF_USERS: u16 = 1000;

/// The archetypes that a node serves, beside workflows. Every node of a cluster needs the same ones.
#[derive(Clone)]
pub struct Registry {
    machines: BTreeMap<Archetype, Entry>,
}

#[derive(Clone)]
struct Entry {
    name: String,
    machine: Arc<dyn AnyMachine>,
}

/// Why an archetype was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unregistered {
    /// The number belongs to the server: those from 1000 on are free.
    Reserved(u16),
    /// Another archetype has the number or the name.
    Taken {
        /// The number asked for.
        number: u16,
        /// The name asked for.
        name: String,
    },
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved(number) => {
                write!(f, "archetype number {number} is reserved: use one from {FIRST_OF_USERS} on")
            }
            Self::Taken { number, name } => write!(f, "another archetype has the number {number} or the name {name}"),
        }
    }
}

impl std::error::Error for Unregistered {}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.machines.iter().map(|(archetype, entry)| (archetype.0, &entry.name))).finish()
    }
}

impl Default for Registry {
    /// The server's own archetypes.
    fn default() -> Self {
        let mut registry = Self { machines: BTreeMap::new() };
        registry.add(Archetype::ACTIVITY, "activity", Activities);
        registry
    }
}

impl Registry {
    /// Adds an archetype that is an [`Actor`], under its own number and name.
    ///
    /// # Errors
    ///
    /// The number is reserved, or number or name are taken.
    pub fn with_actor<A: Actor>(self) -> Result<Self, Unregistered> {
        self.with(Archetype(A::NUMBER), A::NAME, OfActor::<A>::default())
    }

    /// Adds an archetype with a machine of its own.
    ///
    /// # Errors
    ///
    /// The number is reserved, or number or name are taken.
    pub fn with<M: Machine>(mut self, archetype: Archetype, name: &str, machine: M) -> Result<Self, Unregistered> {
        if archetype.0 < FIRST_OF_USERS {
            return Err(Unregistered::Reserved(archetype.0));
        }
        let taken = self.machines.contains_key(&archetype) || self.machines.values().any(|entry| entry.name == name);
        if taken {
            return Err(Unregistered::Taken { number: archetype.0, name: name.to_owned() });
        }
        self.add(archetype, name, machine);
        Ok(self)
    }

    fn add<M: Machine>(&mut self, archetype: Archetype, name: &str, machine: M) {
        let entry = Entry { name: name.to_owned(), machine: Arc::new(Erased(machine)) };
        self.machines.insert(archetype, entry);
    }

    /// The machine of an archetype.
    pub fn machine(&self, archetype: Archetype) -> Option<&Arc<dyn AnyMachine>> {
        self.machines.get(&archetype).map(|entry| &entry.machine)
    }

    /// The name of an archetype.
    pub fn name(&self, archetype: Archetype) -> Option<&str> {
        self.machines.get(&archetype).map(|entry| entry.name.as_str())
    }
}
