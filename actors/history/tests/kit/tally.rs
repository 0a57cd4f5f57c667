//! An archetype for tests: a tally of numbers that can be waited for, with an item for each number.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use perdure_execution::{
    Env,
    archetype::{ItemName, Machine, NewRun, Registry, Transition, Verdict},
    items::Damaged,
};
use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, ServiceError, ServiceResult, Timestamp};

use super::{Node, Pending};

pub(crate) const TALLY: Archetype = Archetype(1000);

/// How long a reader waits at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const NUMBER: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// When one is added; unset for never.
    tick_at: i64,
    ticks: i64,
    numbers: BTreeMap<String, i64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Sets a named number.
    Put(&'static str, i64),
    /// Forgets one.
    Drop(&'static str),
    /// Adds one after that time, and again.
    Tick(Duration),
    Read,
    /// Waits for a sum.
    Await(i64),
    Remove,
    /// Begins anew under a new run id.
    Restart,
}

pub(crate) struct Tally;

fn sum(state: &State) -> i64 {
    state.ticks + state.numbers.values().sum::<i64>()
}

impl Machine for Tally {
    type State = State;
    type Input = Input;
    /// The sum; `None` when the wait was too long.
    type Reply = Option<i64>;

    fn decide(
        &self,
        _key: &BusinessKey,
        run: Option<&State>,
        input: &Input,
        env: &mut Env<'_>,
    ) -> ServiceResult<Verdict<State, Option<i64>>> {
        let fresh = State::default();
        let state = run.unwrap_or(&fresh);
        let mut next = state.clone();
        let mut items = Vec::new();
        match input {
            Input::Put(_, number) if *number < 0 => return Err(ServiceError::invalid_argument("too few")),
            Input::Put(name, number) => {
                next.numbers.insert((*name).to_owned(), *number);
                items.push((NUMBER, (*name).to_owned()));
            }
            Input::Drop(name) => {
                next.numbers.remove(*name);
                items.push((NUMBER, (*name).to_owned()));
            }
            Input::Tick(after) => next.tick_at = (env.now + *after).as_nanos(),
            Input::Read => return Ok(Verdict::Reply(Some(sum(state)))),
            Input::Await(wanted) if sum(state) >= *wanted => return Ok(Verdict::Reply(Some(sum(state)))),
            Input::Await(_) => return Ok(Verdict::Wait { until: env.now + PATIENCE, otherwise: None }),
            Input::Remove => return Ok(Verdict::Remove(Some(0))),
            Input::Restart => next = State::default(),
        }
        let reply = Some(sum(&next));
        let transition =
            Transition { state: next, items: items.into_iter().collect(), tasks: Vec::new(), shown: false };
        if run.is_some() && !matches!(input, Input::Restart) {
            return Ok(Verdict::Change(transition, reply));
        }
        Ok(Verdict::Begin(NewRun { run_id: env.random.uuid(), transition }, reply))
    }

    fn wake_at(&self, run: &State) -> Option<Timestamp> {
        (run.tick_at != 0).then(|| Timestamp::from_nanos(run.tick_at))
    }

    fn wake(&self, run: &State, env: &mut Env<'_>) -> Verdict<State, ()> {
        if self.wake_at(run).is_none_or(|at| at > env.now) {
            return Verdict::Reply(());
        }
        let next = State { tick_at: run.tick_at + 1_000_000_000, ticks: run.ticks + 1, ..run.clone() };
        Verdict::Change(Transition::to(next), ())
    }

    fn record(&self, run: &State) -> Bytes {
        [run.tick_at.to_be_bytes(), run.ticks.to_be_bytes()].concat().into()
    }

    fn item(&self, run: &State, (_, name): &ItemName) -> Option<Bytes> {
        run.numbers.get(name).map(|number| number.to_be_bytes().to_vec().into())
    }

    fn restore(&self, _key: ExecutionKey, record: Bytes, items: Vec<(ItemName, Bytes)>) -> Result<State, Damaged> {
        let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().unwrap());
        Ok(State {
            tick_at: number(&record[..8]),
            ticks: number(&record[8..]),
            numbers: items.into_iter().map(|((_, name), bytes)| (name, number(&bytes))).collect(),
        })
    }

    fn bytes(&self, run: &State) -> usize {
        64 * run.numbers.len()
    }
}

pub(crate) fn registry() -> Registry {
    Registry::default().with(TALLY, "tally", Tally).unwrap()
}

impl Node {
    /// Asks a tally at once; the answer may be waited for later.
    pub(crate) fn tally(&self, id: &str, input: Input) -> Pending<Option<i64>> {
        let key = BusinessKey { namespace_id: self.namespace_id.clone(), archetype: TALLY, business_id: id.into() };
        let (history, caller) = (self.history.clone(), self.caller());
        let (ask, answer) = perdure_rpc::Ask::new(
            caller,
            Box::new(perdure_rpc::history::Act { key: key.clone(), run_id: String::new(), input: Box::new(input) }),
            None,
        );
        history.send(&key, ask.into());
        Pending::of(async move { answer.await.map(|reply: Box<dyn std::any::Any + Send>| *reply.downcast().unwrap()) })
    }
}
