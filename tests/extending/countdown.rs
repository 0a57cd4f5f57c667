//! The actor of `docs/extending.md`: a counter that goes down by itself.

use std::time::Duration;

use perdure_server::{Actor, Decision, Env, ServiceError, ServiceResult, Timestamp};

// [state]
/// What is remembered of a countdown.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct State {
    /// What is left.
    #[prost(int64, tag = "1")]
    left: i64,
    /// When it next goes down by one, in nanoseconds since 1970; 0 while it stands still.
    #[prost(int64, tag = "2")]
    tick_at: i64,
    /// Nanoseconds from tick to tick.
    #[prost(int64, tag = "3")]
    pace: i64,
}
// [/state]

// [messages]
/// What a countdown is asked.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Input {
    #[prost(oneof = "Ask", tags = "1, 2")]
    ask: Option<Ask>,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum Ask {
    /// Adds so many.
    #[prost(int64, tag = "1")]
    Add(i64),
    /// Lets it go down, one each so many nanoseconds.
    #[prost(int64, tag = "2")]
    Start(i64),
}

/// What it answers.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Left {
    #[prost(int64, tag = "1")]
    pub(crate) left: i64,
}
// [/messages]

// [changes]
/// One step of its state.
pub(crate) enum Change {
    Left(i64),
    Next { tick_at: i64, pace: i64 },
}
// [/changes]

// [actor]
/// The archetype.
pub(crate) struct Countdown;

impl Actor for Countdown {
    const NUMBER: u16 = 1000;
    const NAME: &'static str = "countdown";
    type State = State;
    type Input = Input;
    type Reply = Left;
    type Change = Change;

    fn decide(state: &State, input: Input, env: &mut Env<'_>) -> ServiceResult<Decision<Change, Left>> {
        let (changes, left) = match input.ask {
            // Asked for nothing: it tells how it stands.
            None => (Vec::new(), state.left),
            Some(Ask::Add(count)) if count < 0 => {
                return Err(ServiceError::invalid_argument("a countdown goes down by itself"));
            }
            Some(Ask::Add(count)) => {
                let left = state.left.saturating_add(count);
                (vec![Change::Left(left)], left)
            }
            Some(Ask::Start(pace)) => (vec![next(env.now, pace)], state.left),
        };
        Ok(Decision { changes, reply: Left { left } })
    }

    fn apply(state: &mut State, change: &Change) {
        match *change {
            Change::Left(left) => state.left = left,
            Change::Next { tick_at, pace } => {
                state.tick_at = tick_at;
                state.pace = pace;
            }
        }
    }
    // [/actor]

    // [timer]
    fn wake_at(state: &State) -> Option<Timestamp> {
        (state.tick_at != 0).then(|| Timestamp::from_nanos(state.tick_at))
    }

    fn wake(state: &State, _env: &mut Env<'_>) -> Vec<Change> {
        // From the tick that was due, not from now: ticks that a stopped server missed are made up for.
        let due = Timestamp::from_nanos(state.tick_at);
        vec![Change::Left(state.left - 1), next(due, state.pace)]
    }

    fn is_over(state: &State) -> bool {
        state.tick_at != 0 && state.left <= 0
    }
    // [/timer]
}

fn next(from: Timestamp, pace: i64) -> Change {
    let pace = pace.max(1);
    let step = Duration::from_nanos(pace.unsigned_abs());
    Change::Next { tick_at: (from + step).as_nanos(), pace }
}

// [ways]
impl Input {
    pub(crate) const READ: Self = Self { ask: None };

    pub(crate) fn add(count: i64) -> Self {
        Self { ask: Some(Ask::Add(count)) }
    }

    pub(crate) fn start(pace: Duration) -> Self {
        Self { ask: Some(Ask::Start(i64::try_from(pace.as_nanos()).unwrap_or(i64::MAX))) }
    }
}
// [/ways]
