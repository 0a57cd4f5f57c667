//! Options of a load run.

use std::time::Duration;

use clap::Args;

use crate::scenario::Scenario;

/// One load run.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// Frontend of the server, host:port.
    #[arg(long, default_value = "127.0.0.1:7233")]
    pub address: String,
    /// What to do.
    #[arg(long, value_enum, default_value_t = Scenario::OneActivity)]
    pub scenario: Scenario,
    /// Operations in flight, in all threads together. The next begins when one has ended.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// End after this many operations, measuring all of them.
    #[arg(long, conflicts_with = "seconds")]
    pub count: Option<u64>,
    /// Measure for this long.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// Load that is not measured, before the measurement (with --seconds only).
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub warmup_seconds: f64,
    /// Namespace; it must exist.
    #[arg(long, default_value = "default")]
    pub namespace: String,
    /// Process whose CPU time and memory are reported.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Polls kept open for each kind of task, in all threads together. Without it: as many as
    /// operations, at least 4 and at most 64.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pollers: Option<u32>,
    /// Threads of the load tool; each has a runtime and connections of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// The worker keeps workflows on a sticky queue, as SDKs do.
    #[arg(long)]
    pub sticky: bool,
    /// Scenario timer: timers started a second.
    #[arg(long, default_value_t = 1000.0, value_parser = positive)]
    pub rate: f64,
    /// Scenario timer: milliseconds until a timer is due.
    #[arg(long, default_value_t = 1000)]
    pub timer_ms: u64,
    /// Scenarios signal and update: how many one workflow gets before it completes.
    #[arg(long, default_value_t = 100)]
    pub signals_per_workflow: u64,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

impl LoadOptions {
    /// Polls kept open for each kind of task.
    pub fn poller_count(&self) -> u32 {
        self.pollers.unwrap_or_else(|| self.concurrency.clamp(4, 64))
    }

    /// How long until a timer is due.
    pub fn timer(&self) -> Duration {
        Duration::from_millis(self.timer_ms)
    }
}

/// Reads a number that may stand for seconds or a rate.
///
/// # Errors
/// In words, when it is none, or outside 0.001 to 1,000,000.
pub fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1_000_000.0).contains(&number) { Ok(number) } else { Err("not within 0.001 and 1000000".to_owned()) }
}

/// The share of thread `index` when `total` is dealt to `threads`, at least one.
pub fn share(total: u32, threads: u32, index: u32) -> u32 {
    (total / threads + u32::from(index < total % threads)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_while_there_is_enough_for_all() {
        assert_eq!((0..3).map(|index| share(10, 3, index)).collect::<Vec<_>>(), [4, 3, 3]);
        assert_eq!((0..3).map(|index| share(1, 3, index)).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn numbers_that_are_no_length_of_time_are_refused() {
        for text in ["-1", "0", "NaN", "inf", "1e9", "five"] {
            assert!(positive(text).is_err(), "{text}");
        }
        assert_eq!(positive("2.5"), Ok(2.5));
    }
}
