//! Cron schedules of workflows: when the next run of a chain begins.
//!
//! The dialect is Temporal's: five fields (minute, hour, day of month, month, day of week) with `*`, `?`,
//! lists, ranges, steps and names; `@yearly` (`@annually`), `@monthly`, `@weekly`, `@daily` (`@midnight`),
//! `@hourly`; `@every <duration>`; all of them after an optional `CRON_TZ=<zone> ` or `TZ=<zone> `. The
//! default zone is UTC.
//!
//! A calendar schedule fires at every instant whose local time in its zone matches. A local time that a
//! change of clocks skips does not fire that day; one that happens twice fires twice.

mod calendar;
mod fields;
mod parse;

use std::time::Duration;

use jiff::tz::TimeZone;

use self::fields::Fields;
use crate::{ServiceError, Timestamp};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct CronSchedule(Recurrence);

#[derive(Clone, Debug, PartialEq)]
enum Recurrence {
    /// Whenever the local time of a zone matches.
    Calendar { fields: Fields, zone: TimeZone },
    /// A fixed time after the instant before: whole seconds, at least one.
    Every { seconds: i64 },
}

/// Why a text is no usable schedule. `Display` gives Temporal's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not of the dialect.
    #[error("invalid CronSchedule.")]
    Malformed {
        /// What is wrong, for logs.
        reason: String,
    },
    /// It names a time that does not come within five years, such as 30 February.
    #[error("invalid CronSchedule, no time can be found to satisfy the schedule")]
    NeverFires,
}

impl From<CronError> for ServiceError {
    fn from(error: CronError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

impl CronSchedule {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// [`CronError::Malformed`] for a text outside the dialect, an unknown zone, and the empty text.
    /// Whether the schedule ever fires is not looked at.
    pub fn parse(spec: &str) -> Result<Self, CronError> {
        parse::parse(spec).map(Self).map_err(|reason| CronError::Malformed { reason })
    }

    /// Reads the `cron_schedule` of a request as a server accepts it at `now`: empty is no schedule.
    ///
    /// # Errors
    ///
    /// [`CronError::Malformed`], and [`CronError::NeverFires`] when no time after `now` matches.
    pub fn for_workflow(spec: &str, now: Timestamp) -> Result<Option<Self>, CronError> {
        if spec.is_empty() {
            return Ok(None);
        }
        let schedule = Self::parse(spec)?;
        match schedule.next_after(now) {
            Some(_) => Ok(Some(schedule)),
            None => Err(CronError::NeverFires),
        }
    }

    /// The first time to fire that is later than `after`, on a whole second; `None` when none comes in
    /// the year of `after` or the five years after it.
    ///
    /// `@every` counts from `after`, cut to the second.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Recurrence::Calendar { fields, zone } => calendar::next_after(fields, zone, after),
            Recurrence::Every { seconds } => {
                let next = whole_seconds(after).checked_add(*seconds)?;
                next.checked_mul(NANOS_PER_SECOND).map(Timestamp::from_nanos)
            }
        }
    }

    /// The first time not before `earliest` in the series of times that follow `start`.
    fn next_from(&self, start: Timestamp, earliest: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            // Memoryless: what fires after `start` and what fires later are the same times.
            Recurrence::Calendar { .. } => self.next_after(start.max(earliest - Duration::from_nanos(1))),
            Recurrence::Every { seconds } => {
                let first = self.next_after(start)?;
                let late = earliest.as_nanos().saturating_sub(first.as_nanos()).max(0);
                let every = seconds.checked_mul(NANOS_PER_SECOND)?;
                let skipped = late / every + i64::from(late % every != 0);
                let next = skipped.checked_mul(every)?.checked_add(first.as_nanos())?;
                Some(Timestamp::from_nanos(next))
            }
        }
    }
}

/// How long the next run of a cron chain waits, from the close of the run before.
///
/// `start_time` is when that run was due to begin (its execution time: start plus first backoff) and
/// `close_time` is when it closed. Times to fire that passed while it ran are skipped. The wait is rounded
/// up to whole seconds and may be zero. `None` when the schedule has no further time: the chain ends.
pub fn cron_backoff(schedule: &CronSchedule, start_time: Timestamp, close_time: Timestamp) -> Option<Duration> {
    // A run that closed before it was due leaves its own time to its successor.
    let next = if close_time < start_time { start_time } else { schedule.next_from(start_time, close_time)? };
    let wait = next.since(close_time);
    Some(Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
}

/// How long the first run of a cron chain waits after its start at `start_time`: whole seconds, zero when
/// the schedule has no further time.
pub fn first_cron_backoff(schedule: &CronSchedule, start_time: Timestamp) -> Duration {
    cron_backoff(schedule, start_time, start_time).unwrap_or(Duration::ZERO)
}

/// Seconds since the epoch, rounded down.
fn whole_seconds(instant: Timestamp) -> i64 {
    instant.as_nanos().div_euclid(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests;
