//! Actors made on demand, by key.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
};

use crate::{ActorRef, Gone};

/// How many old entries one miss looks at for dead ones: the work of a miss stays constant however many
/// entries there are, and every entry is looked at while the registry fills.
const SWEEP: usize = 8;

/// The registry is full of live actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryFull {
    /// The most entries it holds.
    pub limit: usize,
}

impl fmt::Display for RegistryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} actors are running, the most there may be", self.limit)
    }
}

impl std::error::Error for RegistryFull {}

/// Why [`Registry::tell`] did not deliver. Both hand the message back.
#[derive(Debug)]
pub enum NotTold<M> {
    /// The actor is being restarted, or is handling its last messages: try again later.
    Gone(M),
    /// See [`RegistryFull`].
    Full(M),
}

/// Actors by key, spawned when first needed and forgotten when they have ended. Belongs to one owner.
pub struct Registry<K, M> {
    actors: HashMap<K, ActorRef<M>>,
    /// The keys of `actors` in the order in which they are looked at for dead ones.
    round: VecDeque<K>,
    limit: usize,
}

impl<K, M> Registry<K, M>
where
    K: Clone + Eq + Hash,
    M: Send + 'static,
{
    /// A registry of at most `limit` actors.
    pub fn new(limit: usize) -> Self {
        Self { actors: HashMap::new(), round: VecDeque::new(), limit }
    }

    /// The actor of `key`, spawned now if there is none or it has ended. One that is being restarted is
    /// returned as it is: at no time do two actors of one key run.
    ///
    /// # Errors
    ///
    /// [`RegistryFull`].
    pub fn get_or_spawn(&mut self, key: &K, spawn: impl FnOnce() -> ActorRef<M>) -> Result<ActorRef<M>, RegistryFull> {
        if let Some(actor) = self.actors.get_mut(key) {
            if actor.has_ended() {
                *actor = spawn();
            }
            return Ok(actor.clone());
        }
        self.sweep();
        if self.actors.len() >= self.limit {
            return Err(RegistryFull { limit: self.limit });
        }
        let actor = spawn();
        self.actors.insert(key.clone(), actor.clone());
        self.round.push_back(key.clone());
        Ok(actor)
    }

    /// Tells the actor of `key`, which is spawned if need be. An actor that ended since it was last looked
    /// at is replaced and the message goes to the new one.
    ///
    /// # Errors
    ///
    /// [`NotTold`] with the message.
    pub fn tell(&mut self, key: &K, msg: M, mut spawn: impl FnMut() -> ActorRef<M>) -> Result<(), NotTold<M>> {
        let Ok(actor) = self.get_or_spawn(key, &mut spawn) else { return Err(NotTold::Full(msg)) };
        let Err(Gone(msg)) = actor.tell(msg) else { return Ok(()) };
        if !actor.has_ended() {
            return Err(NotTold::Gone(msg));
        }
        let Ok(actor) = self.get_or_spawn(key, spawn) else { return Err(NotTold::Full(msg)) };
        actor.tell(msg).map_err(|Gone(msg)| NotTold::Gone(msg))
    }

    /// The actor of `key`, if there is one that has not ended.
    pub fn get(&self, key: &K) -> Option<&ActorRef<M>> {
        self.actors.get(key).filter(|actor| !actor.has_ended())
    }

    /// The entries, in an order that is the same in equal runs; some may have ended.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &ActorRef<M>)> {
        self.round.iter().filter_map(|key| self.actors.get_key_value(key))
    }

    /// Number of entries; some may have ended.
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// Drops a few entries that have ended.
    fn sweep(&mut self) {
        for _ in 0..SWEEP.min(self.round.len()) {
            let Some(key) = self.round.pop_front() else { return };
            if self.actors.get(&key).is_some_and(|actor| actor.has_ended()) {
                self.actors.remove(&key);
            } else {
                self.round.push_back(key);
            }
        }
    }
}

impl<K, M> fmt::Debug for Registry<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({}/{})", self.actors.len(), self.limit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_replaces_and_bounds() {
        let mut registry = Registry::<u32, u32>::new(2);
        let mut inboxes = Vec::new();
        let tell = |registry: &mut Registry<u32, u32>, inboxes: &mut Vec<_>, key, msg| {
            registry.tell(&key, msg, || {
                let (actor, inbox) = ActorRef::inbox("actor");
                inboxes.push(inbox);
                actor
            })
        };
        tell(&mut registry, &mut inboxes, 1, 10).unwrap();
        tell(&mut registry, &mut inboxes, 1, 11).unwrap();
        tell(&mut registry, &mut inboxes, 2, 20).unwrap();
        assert_eq!(inboxes.len(), 2);
        assert!(matches!(tell(&mut registry, &mut inboxes, 3, 30), Err(NotTold::Full(30))));

        // The first ends: its key is served by a new one, and its place is free for others.
        inboxes.remove(0);
        assert!(registry.get(&1).is_none());
        tell(&mut registry, &mut inboxes, 1, 12).unwrap();
        assert_eq!(inboxes[1].try_next(), Some(12));
        inboxes.remove(1);
        tell(&mut registry, &mut inboxes, 3, 31).unwrap();
        assert_eq!(registry.len(), 2);
    }
}
