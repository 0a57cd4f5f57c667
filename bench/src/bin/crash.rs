//! Kills a server twenty times under load and audits what it had acknowledged.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use perdure_bench::crash::{CrashOptions, CrashReport, run};

/// Violations that are printed; the number of all is printed too.
const SHOWN: usize = 40;

/// Keeps workflows in flight on a server with a file database, kills it (SIGKILL) at random instants,
/// restarts it on the same file, and holds the histories against every acknowledgement. Exit code 1:
/// a promise was broken; 2: the test could not be made.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    #[command(flatten)]
    crash: CrashOptions,
}

fn main() -> ExitCode {
    let Arguments { crash: options } = Arguments::parse();
    let seed = options.seed.unwrap_or_else(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(since_epoch.subsec_nanos()) ^ since_epoch.as_secs()
    });
    eprintln!("seed {seed}");
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&options, seed)),
        Err(error) => Err(error.to_string()),
    };
    let report = match outcome {
        Ok(report) => report,
        Err(reason) => {
            eprintln!("crash: {reason}; again with --seed {seed}");
            return ExitCode::from(2);
        }
    };
    if options.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("crash: {error}"),
        }
    } else {
        print(&report);
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(report: &CrashReport) {
    let CrashReport { seed, kills, seconds, restart_ms, acknowledged, violations, kept } = report;
    println!("{kills} kills in {seconds:.1} s, seed {seed}");
    println!(
        "acknowledged: {} starts, {} signals, {} updates, {} workflow tasks, {} activities, {} children, \
         {} completions, {} standalone activities",
        acknowledged.starts,
        acknowledged.signals,
        acknowledged.updates,
        acknowledged.workflow_tasks,
        acknowledged.activities,
        acknowledged.children,
        acknowledged.completions,
        acknowledged.standalone_activities
    );
    if let (Some(median), Some(longest)) = (restart_ms.get(restart_ms.len() / 2), restart_ms.last()) {
        println!("restart to first answer: median {median:.0} ms, longest {longest:.0} ms");
    }
    for violation in violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    match kept {
        Some(kept) => println!("{} violations; database and log: {}", violations.len(), kept.display()),
        None => println!("nothing lost, nothing twice"),
    }
}
