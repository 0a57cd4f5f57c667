//! What a run counts while it goes: latencies, acknowledgements, errors, losses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tonic::Status;

/// Longest time a histogram can hold; longer ones are recorded as this.
const LONGEST: Duration = Duration::from_secs(600);
/// Violations kept with their text; further ones are only counted.
const MAX_VIOLATIONS_KEPT: usize = 20;

/// The part of a run that is measured. Before it is warm-up, after it the open work is finished.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// When measuring begins.
    pub start: Instant,
    /// When measuring ends; `None` when the run ends with its last operation.
    pub end: Option<Instant>,
}

impl Window {
    /// Whether something that ended at `instant` belongs to the measurement.
    pub fn holds(&self, instant: Instant) -> bool {
        instant >= self.start && self.end.is_none_or(|end| instant <= end)
    }

    /// Whether no new operation is to begin.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// Counts of one thread of a run; [`Tally::merge`] adds them up.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Operations that ended within the window.
    pub operations: u64,
    /// Acknowledged starts.
    pub started: u64,
    /// Started workflows that were seen COMPLETED.
    pub completed: u64,
    /// Latencies within the window by name, in microseconds.
    pub series: BTreeMap<&'static str, Series>,
    /// Failed calls by `rpc: code`, within the window or not.
    pub errors: BTreeMap<String, u64>,
    /// Broken promises of the server, in words.
    pub violations: Vec<String>,
    /// Number of broken promises, those that [`Tally::violations`] had no room for included.
    pub violation_count: u64,
}

/// A histogram of microseconds.
#[derive(Debug, Clone)]
pub struct Series(pub Histogram<u64>);

impl Default for Series {
    fn default() -> Self {
        // Three significant digits over a fixed range: the bounds are valid, so this cannot fail.
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        Self(Histogram::new_with_bounds(1, longest, 3).unwrap_or_else(|_| unreachable!("bounds are valid")))
    }
}

impl Tally {
    /// Records a value of a series.
    pub fn record(&mut self, series: &'static str, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.series.entry(series).or_default().0.saturating_record(micros);
    }

    /// Counts a failed call.
    pub fn error(&mut self, rpc: &str, status: &Status) {
        *self.errors.entry(format!("{rpc}: {:?}", status.code())).or_default() += 1;
    }

    /// Notes a broken promise.
    pub fn violation(&mut self, text: String) {
        self.violation_count += 1;
        if self.violations.len() < MAX_VIOLATIONS_KEPT {
            self.violations.push(text);
        }
    }

    /// Adds `other` to this.
    pub fn merge(&mut self, other: Tally) {
        self.operations += other.operations;
        self.started += other.started;
        self.completed += other.completed;
        for (name, series) in other.series {
            let sum = &mut self.series.entry(name).or_default().0;
            // Both have the same bounds, so adding cannot be refused.
            let _ = sum.add(&series.0);
        }
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
        self.violation_count += other.violation_count;
        let room = MAX_VIOLATIONS_KEPT.saturating_sub(self.violations.len());
        self.violations.extend(other.violations.into_iter().take(room));
    }
}

/// A tally that the tasks of one thread share.
#[derive(Debug, Clone, Default)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// Locks it. A panic elsewhere does not make counts wrong, so poison is ignored.
    pub fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn merging_adds_everything_up() {
        let mut left = Tally::default();
        left.record("a", Duration::from_millis(1));
        left.error("Start", &Status::unavailable("gone"));
        let mut right = Tally::default();
        right.record("a", Duration::from_millis(3));
        right.record("b", Duration::from_secs(100_000));
        right.error("Start", &Status::unavailable("gone"));
        (0..30).for_each(|n| right.violation(format!("{n}")));
        left.merge(right);
        assert_eq!(left.series["a"].0.len(), 2);
        assert_eq!(left.series["b"].0.len(), 1);
        assert_eq!(left.errors["Start: Unavailable"], 2);
        assert_eq!((left.violations.len(), left.violation_count), (MAX_VIOLATIONS_KEPT, 30));
    }

    #[test]
    fn a_window_without_end_holds_all_that_follows() {
        let start = Instant::now();
        let open = Window { start, end: None };
        assert!(open.holds(start + Duration::from_secs(9)) && !open.is_over());
        let closed = Window { start, end: Some(start) };
        assert!(!closed.holds(start + Duration::from_secs(9)) && closed.is_over());
    }
}
