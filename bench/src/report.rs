//! What a run found, for people and as JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    options::LoadOptions,
    process::Usage,
    scenario::Scenario,
    tally::{Series, Tally},
};

/// The figures of one run. Times are milliseconds unless the name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Scenario by its name on the command line.
    pub scenario: String,
    /// Operations in flight.
    pub concurrency: u32,
    /// Open polls of each kind.
    pub pollers: u32,
    /// Whether workflows were kept on a sticky queue.
    pub sticky: bool,
    /// Operations that ended in the window.
    pub operations: u64,
    /// Length of the window.
    pub seconds: f64,
    /// Operations a second.
    pub operations_per_second: f64,
    /// Latencies by name.
    pub latency_ms: BTreeMap<String, Latency>,
    /// CPU time of the server for one operation, in microseconds.
    pub server_cpu_us_per_operation: Option<f64>,
    /// CPU time of the load tool for one operation, in microseconds.
    pub client_cpu_us_per_operation: f64,
    /// Resident memory of the server before the load, MiB.
    pub server_rss_before_mib: Option<f64>,
    /// Resident memory of the server at the end of the window, MiB.
    pub server_rss_after_mib: Option<f64>,
    /// Acknowledged starts, warm-up included.
    pub started: u64,
    /// Started workflows that were seen COMPLETED.
    pub completed: u64,
    /// Failed calls by `rpc: code`.
    pub errors: BTreeMap<String, u64>,
    /// Broken promises: anything lost, early, or closed otherwise than COMPLETED. The first few.
    pub violations: Vec<String>,
    /// Number of broken promises.
    pub violation_count: u64,
}

/// Percentiles of one series, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Number of values.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest.
    pub max: f64,
}

impl From<&Series> for Latency {
    fn from(series: &Series) -> Self {
        let at = |quantile| millis(series.0.value_at_quantile(quantile));
        Self { count: series.0.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: millis(series.0.max()) }
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

impl Report {
    /// The report of a window that took `elapsed`, with usages (load tool, server) at its ends.
    pub fn new(
        options: &LoadOptions,
        mut tally: Tally,
        elapsed: Duration,
        before: (Usage, Option<Usage>),
        after: (Usage, Option<Usage>),
        resident_before_kib: Option<u64>,
    ) -> Self {
        if tally.started != tally.completed {
            let text = format!("{} workflows were started, {} were seen COMPLETED", tally.started, tally.completed);
            tally.violation(text);
        }
        if options.scenario == Scenario::Timer && options.count.is_some_and(|_| tally.operations != tally.started) {
            let text = format!("{} timers were started, {} were seen to fire", tally.started, tally.operations);
            tally.violation(text);
        }
        let per_operation = |before: Usage, after: Usage| {
            (after.cpu.saturating_sub(before.cpu)).as_secs_f64() * 1e6 / tally.operations.max(1) as f64
        };
        let seconds = elapsed.as_secs_f64();
        Self {
            scenario: options.scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default(),
            concurrency: options.concurrency,
            pollers: options.poller_count(),
            sticky: options.sticky,
            operations: tally.operations,
            seconds,
            operations_per_second: tally.operations as f64 / seconds,
            latency_ms: tally.series.iter().map(|(name, series)| ((*name).to_owned(), series.into())).collect(),
            server_cpu_us_per_operation: before.1.zip(after.1).map(|(before, after)| per_operation(before, after)),
            client_cpu_us_per_operation: per_operation(before.0, after.0),
            server_rss_before_mib: resident_before_kib.map(mib),
            server_rss_after_mib: after.1.map(|usage| mib(usage.resident_kib)),
            started: tally.started,
            completed: tally.completed,
            errors: tally.errors,
            violations: tally.violations,
            violation_count: tally.violation_count,
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.violation_count == 0
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sticky = if self.sticky { ", sticky" } else { "" };
        writeln!(out, "{}: concurrency {}, pollers {}{sticky}", self.scenario, self.concurrency, self.pollers)?;
        let Self { operations, seconds, operations_per_second, .. } = self;
        writeln!(out, "  {operations} operations in {seconds:.2} s = {operations_per_second:.1}/s")?;
        for (name, latency) in &self.latency_ms {
            let Latency { p50, p90, p99, max, .. } = latency;
            writeln!(out, "  {name}: p50 {p50:.2} ms, p90 {p90:.2}, p99 {p99:.2}, max {max:.2}")?;
        }
        if let Some(cpu) = self.server_cpu_us_per_operation {
            writeln!(out, "  server CPU {cpu:.0} µs per operation")?;
        }
        writeln!(out, "  client CPU {:.0} µs per operation", self.client_cpu_us_per_operation)?;
        if let Some((before, after)) = self.server_rss_before_mib.zip(self.server_rss_after_mib) {
            writeln!(out, "  server RSS {before:.1} MiB before, {after:.1} MiB after")?;
        }
        writeln!(out, "  workflows: {} started, {} completed", self.started, self.completed)?;
        for (name, count) in &self.errors {
            writeln!(out, "  error {name}: {count}")?;
        }
        for violation in &self.violations {
            writeln!(out, "  VIOLATION {violation}")?;
        }
        if self.is_clean() {
            write!(out, "  nothing lost")
        } else {
            write!(out, "  {} violations", self.violation_count)
        }
    }
}
