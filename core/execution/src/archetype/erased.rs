//! Machines of different archetypes behind one type.

use std::{any::Any, collections::BTreeSet};

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult, Timestamp, VisibilityRecord};

use super::{ItemName, Machine, NewRun, Transition, Verdict};
use crate::{Env, items::Damaged};

/// A run's state, an input or a reply whose type only its machine knows.
pub type AnyValue = Box<dyn Any + Send>;

/// A run's state whose type only its machine knows.
pub type AnyState = AnyValue;

/// A [`Machine`] whose types are hidden. A value of another machine's type is answered as an internal error or
/// as nothing; it never panics.
pub trait AnyMachine: Send + Sync + 'static {
    /// See [`Machine::decide`].
    ///
    /// # Errors
    ///
    /// What the caller is told instead of a reply.
    fn decide(
        &self,
        key: &BusinessKey,
        run: Option<&AnyState>,
        input: &AnyValue,
        env: &mut Env<'_>,
    ) -> ServiceResult<Verdict<AnyState, AnyValue>>;

    /// See [`Machine::wake_at`].
    fn wake_at(&self, run: &AnyState) -> Option<Timestamp>;

    /// See [`Machine::wake`].
    fn wake(&self, run: &AnyState, env: &mut Env<'_>) -> Verdict<AnyState, ()>;

    /// See [`Machine::record`].
    fn record(&self, run: &AnyState) -> Bytes;

    /// See [`Machine::item`].
    fn item(&self, run: &AnyState, item: &ItemName) -> Option<Bytes>;

    /// See [`Machine::restore`].
    ///
    /// # Errors
    ///
    /// The bytes are not such a run's.
    fn restore(&self, key: ExecutionKey, record: Bytes, items: Vec<(ItemName, Bytes)>) -> Result<AnyState, Damaged>;

    /// See [`Machine::visibility`].
    fn visibility(&self, run: &AnyState) -> Option<VisibilityRecord>;

    /// See [`Machine::bytes`].
    fn bytes(&self, run: &AnyState) -> usize;
}

/// Hides the types of a machine.
pub(super) struct Erased<M>(pub(super) M);

impl<M: Machine> AnyMachine for Erased<M> {
    fn decide(
        &self,
        key: &BusinessKey,
        run: Option<&AnyState>,
        input: &AnyValue,
        env: &mut Env<'_>,
    ) -> ServiceResult<Verdict<AnyState, AnyValue>> {
        let input = input.downcast_ref::<M::Input>().ok_or_else(foreign)?;
        let run = match run {
            Some(run) => Some(run.downcast_ref::<M::State>().ok_or_else(foreign)?),
            None => None,
        };
        Ok(erase(self.0.decide(key, run, input, env)?, |reply| Box::new(reply) as AnyValue))
    }

    fn wake_at(&self, run: &AnyState) -> Option<Timestamp> {
        self.0.wake_at(run.downcast_ref()?)
    }

    fn wake(&self, run: &AnyState, env: &mut Env<'_>) -> Verdict<AnyState, ()> {
        match run.downcast_ref() {
            Some(run) => erase(self.0.wake(run, env), |()| ()),
            None => Verdict::Reply(()),
        }
    }

    fn record(&self, run: &AnyState) -> Bytes {
        run.downcast_ref().map(|run| self.0.record(run)).unwrap_or_default()
    }

    fn item(&self, run: &AnyState, item: &ItemName) -> Option<Bytes> {
        self.0.item(run.downcast_ref()?, item)
    }

    fn restore(&self, key: ExecutionKey, record: Bytes, items: Vec<(ItemName, Bytes)>) -> Result<AnyState, Damaged> {
        Ok(Box::new(self.0.restore(key, record, items)?))
    }

    fn visibility(&self, run: &AnyState) -> Option<VisibilityRecord> {
        self.0.visibility(run.downcast_ref()?)
    }

    fn bytes(&self, run: &AnyState) -> usize {
        run.downcast_ref().map(|run| self.0.bytes(run)).unwrap_or_default()
    }
}

fn erase<S: Send + 'static, R, E>(verdict: Verdict<S, R>, reply: impl FnOnce(R) -> E) -> Verdict<AnyState, E> {
    match verdict {
        Verdict::Reply(given) => Verdict::Reply(reply(given)),
        Verdict::Change(transition, given) => Verdict::Change(hide(transition), reply(given)),
        Verdict::Begin(NewRun { run_id, transition }, given) => {
            Verdict::Begin(NewRun { run_id, transition: hide(transition) }, reply(given))
        }
        Verdict::Remove(given) => Verdict::Remove(reply(given)),
        Verdict::Wait { until, otherwise } => Verdict::Wait { until, otherwise: reply(otherwise) },
    }
}

fn hide<S: Send + 'static>(transition: Transition<S>) -> Transition<AnyState> {
    let Transition { state, items, tasks, shown } = transition;
    let items: BTreeSet<ItemName> = items;
    Transition { state: Box::new(state), items, tasks, shown }
}

fn foreign() -> ServiceError {
    ServiceError::new(ErrorKind::Internal, "a message was sent to an execution of another archetype")
}
