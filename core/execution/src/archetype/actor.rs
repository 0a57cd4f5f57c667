//! The plain form of an archetype: a state that changes by itself and answers.

use std::marker::PhantomData;

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult, Timestamp};
use prost::Message;

use super::{ItemName, Machine, NewRun, Transition, Verdict};
use crate::{Env, items::Damaged};

/// Bytes a run is taken to need beside its encoded state.
const RUN_BYTES: usize = 512;

/// A kind of durable actor with a state that is one message.
///
/// An id's actor exists from the first input that changes something until [`Actor::is_over`]; before and after
/// it is in its default state. State, inputs and replies are protobuf messages, so they can be stored and
/// sent between nodes; keep their field numbers for ever.
pub trait Actor: Send + Sync + 'static {
    /// Number of the archetype, from 1000 on. It is stored: never reuse one.
    const NUMBER: u16;
    /// Name of the archetype, for operators.
    const NAME: &'static str;
    /// What is remembered. Rewritten whole whenever it changes, so keep it small.
    type State: Message + Default + Clone + 'static;
    /// What can be asked: usually a message with a `oneof`.
    type Input: Message + Default + 'static;
    /// What is answered.
    type Reply: Message + Default + 'static;
    /// One step of the state.
    type Change;

    /// Decides about an input: what changes, and the reply that goes out once that is durable.
    ///
    /// # Errors
    ///
    /// A refusal; it changes nothing.
    fn decide(
        state: &Self::State,
        input: Self::Input,
        env: &mut Env<'_>,
    ) -> ServiceResult<Decision<Self::Change, Self::Reply>>;

    /// Carries a change out. The only place where the state changes; cannot fail on what was decided.
    fn apply(state: &mut Self::State, change: &Self::Change);

    /// When [`Actor::wake`] is to be called. Asked after every change; only the answer given last counts.
    fn wake_at(_state: &Self::State) -> Option<Timestamp> {
        None
    }

    /// The time has come: what changes. A change must move [`Actor::wake_at`] on, or it is called again at once.
    fn wake(_state: &Self::State, _env: &mut Env<'_>) -> Vec<Self::Change> {
        Vec::new()
    }

    /// Whether the actor has ended: what is stored of it is removed with the change that ended it.
    fn is_over(_state: &Self::State) -> bool {
        false
    }
}

/// What an [`Actor`] decided.
#[derive(Clone, Debug)]
pub struct Decision<C, R> {
    /// What changes, in order; empty when nothing does.
    pub changes: Vec<C>,
    /// What the caller is told once that is durable.
    pub reply: R,
}

/// An input of an [`Actor`] as shards carry it.
pub fn actor_input<A: Actor>(input: &A::Input) -> Bytes {
    input.encode_to_vec().into()
}

/// A reply of an [`Actor`] from what shards carry.
///
/// # Errors
///
/// `Internal`: these are not the bytes of such a reply.
pub fn actor_reply<A: Actor>(reply: Bytes) -> ServiceResult<A::Reply> {
    A::Reply::decode(reply).map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))
}

/// The machine of an [`Actor`]. Inputs and replies are encoded: they may come from another node.
pub(super) struct OfActor<A>(PhantomData<fn() -> A>);

impl<A> Default for OfActor<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<A: Actor> OfActor<A> {
    /// The verdict that `changes` come to; `None` when nothing changes.
    fn verdict<R>(run: Option<&A::State>, changes: &[A::Change], reply: R, env: &mut Env<'_>) -> Verdict<A::State, R> {
        if changes.is_empty() {
            return Verdict::Reply(reply);
        }
        let mut state = run.cloned().unwrap_or_default();
        for change in changes {
            A::apply(&mut state, change);
        }
        match (run.is_some(), A::is_over(&state)) {
            (true, true) => Verdict::Remove(reply),
            (true, false) => Verdict::Change(Transition::to(state), reply),
            (false, true) => Verdict::Reply(reply),
            (false, false) => {
                let run = NewRun { run_id: env.random.uuid(), transition: Transition::to(state) };
                Verdict::Begin(run, reply)
            }
        }
    }
}

impl<A: Actor> Machine for OfActor<A> {
    type State = A::State;
    type Input = Bytes;
    type Reply = Bytes;

    fn decide(
        &self,
        _key: &BusinessKey,
        run: Option<&A::State>,
        input: &Bytes,
        env: &mut Env<'_>,
    ) -> ServiceResult<Verdict<A::State, Bytes>> {
        let input =
            A::Input::decode(input.clone()).map_err(|error| ServiceError::invalid_argument(error.to_string()))?;
        let fresh = A::State::default();
        let Decision { changes, reply } = A::decide(run.unwrap_or(&fresh), input, env)?;
        Ok(Self::verdict(run, &changes, reply.encode_to_vec().into(), env))
    }

    fn wake_at(&self, run: &A::State) -> Option<Timestamp> {
        A::wake_at(run)
    }

    fn wake(&self, run: &A::State, env: &mut Env<'_>) -> Verdict<A::State, ()> {
        if A::wake_at(run).is_none_or(|at| at > env.now) {
            return Verdict::Reply(());
        }
        let changes = A::wake(run, env);
        Self::verdict(Some(run), &changes, (), env)
    }

    fn record(&self, run: &A::State) -> Bytes {
        run.encode_to_vec().into()
    }

    fn item(&self, _run: &A::State, _item: &ItemName) -> Option<Bytes> {
        None
    }

    fn restore(&self, _key: ExecutionKey, record: Bytes, items: Vec<(ItemName, Bytes)>) -> Result<A::State, Damaged> {
        match items.first() {
            Some(((kind, _), _)) => Err(Damaged::UnknownItem(*kind)),
            None => Ok(A::State::decode(record)?),
        }
    }

    fn bytes(&self, run: &A::State) -> usize {
        RUN_BYTES + run.encoded_len()
    }
}
