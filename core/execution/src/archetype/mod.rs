//! What all kinds of durable actors have in common.
//!
//! An *archetype* is a kind of durable actor: its state, what can be asked of it, and how it decides. Shards
//! know executions of other archetypes than workflows only through [`Machine`], so that a new archetype is
//! served by being registered: it is loaded, committed, woken and asked like any other.
//!
//! Two ways lead to one: [`Machine`] for those that need all of it (several runs of an id, tasks for workers,
//! stored items), and [`Actor`] for a plain state that changes by itself.

mod actor;
mod erased;
mod registry;

use std::collections::BTreeSet;

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceResult, Timestamp, VisibilityRecord};

pub use actor::{Actor, Decision, actor_input, actor_reply};
pub use erased::{AnyMachine, AnyState, AnyValue};
pub use registry::{Registry, Unregistered};

use crate::{Env, items::Damaged, workflow::NewTask};

/// Kind and name of a stored item; each archetype numbers its own kinds.
pub type ItemName = (u16, String);

/// How executions of one archetype decide. Pure: time, randomness and settings come in through [`Env`].
pub trait Machine: Send + Sync + 'static {
    /// A run as it stands.
    type State: Clone + Send + 'static;
    /// What can be asked.
    type Input: Send + 'static;
    /// What is answered.
    type Reply: Send + 'static;

    /// Decides about an input for the id `key`. `run` is the run that was asked for: the one named, or else the one that the
    /// id points to now; `None` when there is none. A refusal changes nothing.
    ///
    /// # Errors
    ///
    /// What the caller is told instead of a reply.
    fn decide(
        &self,
        key: &BusinessKey,
        run: Option<&Self::State>,
        input: &Self::Input,
        env: &mut Env<'_>,
    ) -> ServiceResult<Verdict<Self::State, Self::Reply>>;

    /// When the run wants to be woken next, if at all.
    fn wake_at(&self, run: &Self::State) -> Option<Timestamp>;

    /// Works off what is due at `env.now`. A reply is nobody's: [`Verdict::Reply`] says that nothing was due.
    fn wake(&self, run: &Self::State, env: &mut Env<'_>) -> Verdict<Self::State, ()>;

    /// The run's record: small, rewritten at every commit.
    fn record(&self, run: &Self::State) -> Bytes;

    /// The present bytes of a stored item, or `None` when the run does not have it (any more).
    fn item(&self, run: &Self::State, item: &ItemName) -> Option<Bytes>;

    /// A run from what the store holds.
    ///
    /// # Errors
    ///
    /// The bytes are not such a run's.
    fn restore(&self, key: ExecutionKey, record: Bytes, items: Vec<(ItemName, Bytes)>) -> Result<Self::State, Damaged>;

    /// The run as lists show it; asked for when [`Transition::shown`] says that it differs.
    fn visibility(&self, _run: &Self::State) -> Option<VisibilityRecord> {
        None
    }

    /// Approximate memory of a run, in bytes.
    fn bytes(&self, run: &Self::State) -> usize;
}

/// What a machine decided.
#[derive(Clone, Debug)]
pub enum Verdict<S, R> {
    /// Nothing changes.
    Reply(R),
    /// The run asked for changes; the reply goes out once that is durable.
    Change(Transition<S>, R),
    /// A new run, to which the id points from now on.
    Begin(NewRun<S>, R),
    /// The run asked for is removed, with all that is stored of it.
    Remove(R),
    /// There is no answer yet: the same is asked again whenever the run asked for has changed.
    Wait {
        /// Longest wait. Callers that give up earlier get the reply a moment before that.
        until: Timestamp,
        /// The reply then.
        otherwise: R,
    },
}

/// A new run.
#[derive(Clone, Debug)]
pub struct NewRun<S> {
    /// The run's id: a UUID as text.
    pub run_id: String,
    /// Its first state and tasks.
    pub transition: Transition<S>,
}

/// What changes, as data.
#[derive(Clone, Debug)]
pub struct Transition<S> {
    /// The run as it is afterwards.
    pub state: S,
    /// Stored items that may differ from what the store holds.
    pub items: BTreeSet<ItemName>,
    /// Tasks to enqueue once the change is durable.
    pub tasks: Vec<NewTask>,
    /// Whether lists show the run otherwise from now on.
    pub shown: bool,
}

impl<S> Transition<S> {
    /// A change of the record alone.
    pub fn to(state: S) -> Self {
        Self { state, items: BTreeSet::new(), tasks: Vec::new(), shown: false }
    }
}
