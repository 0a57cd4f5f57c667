//! Sweeps concurrency over several servers on this machine, one after the other, and prints a table.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    child::{ServerCommand, free_port},
    options::{LoadOptions, positive},
    report::Report,
    run::run,
    scenario::Scenario,
};

/// Lifts every rate limit of Temporal's server that this load could meet, so that its own speed is
/// measured and not its defaults.
const TEMPORAL_LIMITS_LIFTED: &[&str] = &[
    "frontend.rps",
    "frontend.namespaceRPS",
    "frontend.namespaceRPS.visibility",
    "frontend.namespaceCount",
    "frontend.persistenceMaxQPS",
    "history.rps",
    "history.persistenceMaxQPS",
    // These three default to 20 reads a second of each shard: with one workflow at a time they,
    // not the server's work, make its latency.
    "history.transferProcessorMaxPollRPS",
    "history.timerProcessorMaxPollRPS",
    "history.visibilityProcessorMaxPollRPS",
    "matching.rps",
    "matching.persistenceMaxQPS",
    "worker.persistenceMaxQPS",
    "system.visibilityPersistenceMaxReadQPS",
    "system.visibilityPersistenceMaxWriteQPS",
];
/// What they are lifted to.
const LIFTED: &str = "1000000";
/// A sweep ends when this many levels in a row were below the best: more load only makes queues.
const LEVELS_BELOW_BEST: usize = 2;
/// SQLite settings with which Temporal's file database is not held back by its rollback journal.
const WAL: [&str; 4] = ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"];

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct CompareOptions {
    /// Perdure's binary; without it Perdure is left out.
    #[arg(long, env = "PERDURE_BIN")]
    pub perdure: Option<PathBuf>,
    /// Temporal's command line.
    #[arg(long, default_value = "temporal")]
    pub temporal: PathBuf,
    /// The null server; without it the one beside this program, when there is one.
    #[arg(long)]
    pub null_server: Option<PathBuf>,
    /// Only servers whose name contains this.
    #[arg(long)]
    pub only: Option<String>,
    /// Scenario to sweep.
    #[arg(long, value_enum, default_value_t = Scenario::OneActivity)]
    pub scenario: Scenario,
    /// Operations in flight, level by level.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub levels: Vec<u32>,
    /// Seconds that each level is measured.
    #[arg(long, default_value_t = 4.0, value_parser = positive)]
    pub seconds: f64,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub warmup_seconds: f64,
    /// Threads of the load tool.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Keep workflows on a sticky queue.
    #[arg(long)]
    pub sticky: bool,
    /// Leave Temporal's rate limits as they come.
    #[arg(long)]
    pub temporal_defaults: bool,
    /// Print all reports as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A server to measure.
struct Target {
    name: &'static str,
    command: ServerCommand,
    /// Give it `--db-filename` of a new file.
    on_file: bool,
}

/// All levels of one server.
#[derive(Debug, Clone, Serialize)]
pub struct Sweep {
    /// Name of the server and its store.
    pub server: String,
    /// Command line, without port and file.
    pub command: String,
    /// One report for each level that was measured.
    pub reports: Vec<Report>,
}

impl Sweep {
    fn best(&self) -> Option<&Report> {
        self.reports.iter().max_by(|left, right| left.operations_per_second.total_cmp(&right.operations_per_second))
    }
}

fn targets(options: &CompareOptions) -> Vec<Target> {
    let limits: Vec<String> = TEMPORAL_LIMITS_LIFTED
        .iter()
        .flat_map(|key| ["--dynamic-config-value".to_owned(), format!("{key}={LIFTED}")])
        .collect();
    let limits: Vec<&str> = limits.iter().map(String::as_str).collect();
    let temporal = ServerCommand::start_dev(&options.temporal);
    let temporal = if options.temporal_defaults { temporal } else { temporal.with(limits) };
    let mut targets = vec![
        Target { name: "Temporal, memory", command: temporal.clone(), on_file: false },
        Target { name: "Temporal, file (default)", command: temporal.clone(), on_file: true },
        Target { name: "Temporal, file (WAL)", command: temporal.with(WAL), on_file: true },
    ];
    if let Some(program) = &options.perdure {
        let perdure = ServerCommand::start_dev(program);
        targets.push(Target { name: "Perdure, memory", command: perdure.clone(), on_file: false });
        targets.push(Target { name: "Perdure, file", command: perdure, on_file: true });
    }
    if let Some(program) = options.null_server.clone().or_else(null_server_beside_us) {
        let command = ServerCommand { program, arguments: Vec::new() };
        targets.push(Target { name: "null server", command, on_file: false });
    }
    targets.retain(|target| options.only.as_ref().is_none_or(|part| target.name.contains(part.as_str())));
    targets
}

fn null_server_beside_us() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join("examples/null_server");
    path.exists().then_some(path)
}

/// Measures every server at every level; `progress` is told each report as it comes.
///
/// # Errors
/// In words, when a server cannot be started or a run cannot be made.
pub fn compare(options: &CompareOptions, mut progress: impl FnMut(&str, &Report)) -> Result<Vec<Sweep>, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut sweeps = Vec::new();
    for (index, target) in targets(options).into_iter().enumerate() {
        let file = directory.path().join(format!("{index}.db"));
        let log = directory.path().join(format!("{index}.log"));
        let sweep = sweep(options, target, &file, &log, &mut progress)?;
        sweeps.push(sweep);
    }
    Ok(sweeps)
}

fn sweep(
    options: &CompareOptions,
    target: Target,
    file: &Path,
    log: &Path,
    progress: &mut impl FnMut(&str, &Report),
) -> Result<Sweep, String> {
    let shown = shown_command(&target);
    let command = match (target.on_file, file.to_str()) {
        (true, Some(file)) => target.command.with(["--db-filename", file]),
        (true, None) => return Err("the temporary directory's name is not UTF-8".to_owned()),
        (false, _) => target.command,
    };
    let failed = |error: std::io::Error| format!("{}: {error}", target.name);
    let server = command.start(free_port().map_err(failed)?, log).map_err(failed)?;
    let mut reports = Vec::new();
    for &concurrency in &options.levels {
        let load = LoadOptions {
            address: server.address(),
            scenario: options.scenario,
            concurrency,
            count: None,
            seconds: options.seconds,
            warmup_seconds: options.warmup_seconds,
            namespace: "default".to_owned(),
            server_pid: Some(server.pid()),
            pollers: None,
            threads: options.threads.min(concurrency),
            sticky: options.sticky,
            rate: 1000.0,
            timer_ms: 1000,
            signals_per_workflow: 100,
            json: false,
        };
        let report = run(&load).map_err(|reason| format!("{}: {reason}", target.name))?;
        progress(target.name, &report);
        reports.push(report);
        if levels_below_best(&reports) >= LEVELS_BELOW_BEST {
            break;
        }
    }
    server.kill().map_err(failed)?;
    Ok(Sweep { server: target.name.to_owned(), command: shown, reports })
}

/// How many levels came after the best one.
fn levels_below_best(reports: &[Report]) -> usize {
    let best = reports.iter().map(|report| report.operations_per_second).fold(0.0, f64::max);
    reports.iter().rev().take_while(|report| report.operations_per_second < best).count()
}

/// The command line as the table's footnote tells it; the lifted limits have a line of their own.
fn shown_command(target: &Target) -> String {
    let program = target.command.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut words = vec![program];
    let mut arguments = target.command.arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--dynamic-config-value" {
            arguments.next();
        } else {
            words.push(argument.clone());
        }
    }
    if target.on_file {
        words.push("--db-filename FILE".to_owned());
    }
    words.join(" ")
}

/// The Markdown table of sweeps, with the command lines and flags below it.
pub fn table(sweeps: &[Sweep], options: &CompareOptions) -> String {
    let mut out = String::new();
    out.push_str("| server | best /s | at concurrency | server CPU per op | load tool CPU per op | p50 at best | ");
    out.push_str("p50 at concurrency 1 | RSS idle | RSS after | violations | errors |\n");
    out.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for sweep in sweeps {
        let Some(best) = sweep.best() else { continue };
        let alone = sweep.reports.iter().find(|report| report.concurrency == 1);
        let idle = sweep.reports.first().and_then(|report| report.server_rss_before_mib);
        let after = sweep.reports.last().and_then(|report| report.server_rss_after_mib);
        let violations: u64 = sweep.reports.iter().map(|report| report.violation_count).sum();
        let errors: u64 = sweep.reports.iter().flat_map(|report| report.errors.values()).sum();
        let row = [
            sweep.server.clone(),
            format!("{:.0}", best.operations_per_second),
            best.concurrency.to_string(),
            optional(best.server_cpu_us_per_operation, |us| format!("{:.2} ms", us / 1000.0)),
            format!("{:.2} ms", best.client_cpu_us_per_operation / 1000.0),
            optional(p50(Some(best)), |ms| format!("{ms:.1} ms")),
            optional(p50(alone), |ms| format!("{ms:.2} ms")),
            optional(idle, |mib| format!("{mib:.0} MiB")),
            optional(after, |mib| format!("{mib:.0} MiB")),
            violations.to_string(),
            errors.to_string(),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
    for sweep in sweeps {
        let _ = writeln!(out, "- {}: `{}`", sweep.server, sweep.command);
    }
    if options.temporal_defaults {
        out.push_str("- Temporal's rate limits are its defaults.\n");
    } else {
        let keys = TEMPORAL_LIMITS_LIFTED.join("`, `");
        let _ = writeln!(out, "- Temporal also has these `--dynamic-config-value`s set to {LIFTED}: `{keys}`.");
    }
    out
}

fn p50(report: Option<&Report>) -> Option<f64> {
    report?.latency_ms.values().next().map(|latency| latency.p50)
}

fn optional(value: Option<f64>, shown: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), shown)
}
