//! Compares Perdure with Temporal's development server and the null server on this machine.

use std::process::ExitCode;

use clap::Parser;
use perdure_bench::compare::{CompareOptions, compare, table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Starts each server in turn, sweeps concurrency, and prints a Markdown table. Exit code 1:
/// something was lost; 2: a server could not be measured.
#[derive(Debug, Parser)]
#[command(name = "compare")]
struct Arguments {
    #[command(flatten)]
    compare: CompareOptions,
}

fn main() -> ExitCode {
    let Arguments { compare: options } = Arguments::parse();
    let sweeps = match compare(&options, |name, report| eprintln!("{name}: {report}")) {
        Ok(sweeps) => sweeps,
        Err(reason) => {
            eprintln!("compare: {reason}");
            return ExitCode::from(2);
        }
    };
    if options.json {
        match serde_json::to_string_pretty(&sweeps) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("compare: {error}"),
        }
    } else {
        println!("{}", table(&sweeps, &options));
    }
    let clean = sweeps.iter().flat_map(|sweep| &sweep.reports).all(|report| report.is_clean());
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
