//! A circuit breaker: a destination that keeps failing is left alone for a while.
//!
//! Its states and numbers are those of the breaker that Temporal puts before destinations outside the
//! cluster: closed until calls in a row failed, open for a time, then half open for a single call that
//! decides.

use std::time::Duration;

use crate::Timestamp;

/// Failures in a row after which the breaker opens.
pub const FAILURES_MAX: u32 = 6;

/// How long it stays open before a call may try again.
pub const OPEN_FOR: Duration = Duration::from_secs(60);

/// A breaker. Starts closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    state: State,
    /// Grows with every change of state: outcomes of calls begun in an earlier state do not count.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    HalfOpen { trying: bool },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// A call that was let through; its outcome goes to [`CircuitBreaker::done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call without an outcome keeps a half-open breaker from closing"]
pub struct Pass(u64);

/// Why a call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The breaker is open until then.
    Until(Timestamp),
    /// Another call decides whether it closes.
    Trying,
}

impl CircuitBreaker {
    /// Lets a call through, or not.
    pub fn enter(&mut self, now: Timestamp) -> Result<Pass, Blocked> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < until => return Err(Blocked::Until(until)),
            State::Open { .. } => self.become_state(State::HalfOpen { trying: true }),
            State::HalfOpen { trying: true } => return Err(Blocked::Trying),
            State::HalfOpen { trying: false } => self.state = State::HalfOpen { trying: true },
        }
        Ok(Pass(self.generation))
    }

    /// Takes note of a call's outcome: whether the destination did its part.
    pub fn done(&mut self, pass: Pass, succeeded: bool, now: Timestamp) {
        if pass.0 != self.generation {
            return;
        }
        match (self.state, succeeded) {
            (State::Closed { .. }, true) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < FAILURES_MAX => {
                self.state = State::Closed { failures: failures + 1 };
            }
            (State::HalfOpen { .. }, true) => self.become_state(State::default()),
            (State::Closed { .. } | State::HalfOpen { .. }, false) => {
                self.become_state(State::Open { until: now + OPEN_FOR });
            }
            (State::Open { .. }, true | false) => {}
        }
    }

    /// Takes back a call that was let through and never made.
    pub fn cancel(&mut self, pass: Pass) {
        if pass.0 == self.generation && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::HalfOpen { trying: false };
        }
    }

    /// Whether calls pass freely.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether nothing is known against the destination: a fresh breaker is as good.
    pub fn is_fresh(&self) -> bool {
        self.state == State::default()
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_nanos(1_000_000_000);

    fn fail(breaker: &mut CircuitBreaker, times: u32) {
        for _ in 0..times {
            let pass = breaker.enter(START).expect("closed");
            breaker.done(pass, false, START);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_success() {
        let mut breaker = CircuitBreaker::default();
        fail(&mut breaker, FAILURES_MAX - 1);
        let pass = breaker.enter(START).expect("closed");
        breaker.done(pass, true, START);
        fail(&mut breaker, FAILURES_MAX - 1);
        assert!(breaker.is_closed() && !breaker.is_fresh());
        fail(&mut breaker, 1);
        let until = START + OPEN_FOR;
        assert_eq!(breaker.enter(START), Err(Blocked::Until(until)));
        let pass = breaker.enter(until).expect("half open");
        assert_eq!(breaker.enter(until), Err(Blocked::Trying));
        assert!(!breaker.is_closed());
        breaker.done(pass, true, until);
        assert!(breaker.is_fresh());
    }

    #[test]
    fn a_failed_try_opens_it_again_and_a_try_that_was_not_made_counts_for_nothing() {
        let mut breaker = CircuitBreaker::default();
        fail(&mut breaker, FAILURES_MAX);
        let half = START + OPEN_FOR;
        let pass = breaker.enter(half).expect("half open");
        breaker.cancel(pass);
        let pass = breaker.enter(half).expect("half open");
        breaker.done(pass, false, half);
        assert_eq!(breaker.enter(half), Err(Blocked::Until(half + OPEN_FOR)));
    }

    #[test]
    fn outcomes_of_an_earlier_state_do_not_count() {
        let mut breaker = CircuitBreaker::default();
        let late = breaker.enter(START).expect("closed");
        fail(&mut breaker, FAILURES_MAX);
        breaker.done(late, true, START);
        assert!(!breaker.is_closed());
        breaker.cancel(late);
        assert_eq!(breaker.enter(START), Err(Blocked::Until(START + OPEN_FOR)));
    }
}
