//! The order of lists: open executions first, then by close time, then by start time, latest first; runs of
//! one instant by their ids.

use std::cmp::Reverse;

use perdure_kernel::{Timestamp, VisibilityRecord};

/// A record's place in lists. Sorts as lists do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey {
    /// When it closed; [`Timestamp::MAX`] while it is open.
    pub close_time: Reverse<Timestamp>,
    /// When it started.
    pub start_time: Reverse<Timestamp>,
    /// Its run id.
    pub run_id: String,
}

impl SortKey {
    /// The record's place.
    pub fn of(record: &VisibilityRecord) -> Self {
        Self {
            close_time: Reverse(record.close_time().unwrap_or(Timestamp::MAX)),
            start_time: Reverse(record.start_time),
            run_id: record.key.run_id.to_string(),
        }
    }

    /// Whether it is among what is open.
    pub fn is_open(&self) -> bool {
        self.close_time == Reverse(Timestamp::MAX)
    }
}
