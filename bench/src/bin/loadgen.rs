//! Puts load on a server and reports rate, latency, CPU per operation and anything lost.

use std::process::ExitCode;

use clap::Parser;
use perdure_bench::{options::LoadOptions, run::run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts load on a server that speaks Temporal's API, as client and as worker. Exit code 1: something
/// was lost; 2: the run could not be made.
#[derive(Debug, Parser)]
#[command(name = "loadgen")]
struct Arguments {
    #[command(flatten)]
    load: LoadOptions,
}

fn main() -> ExitCode {
    let Arguments { load } = Arguments::parse();
    let report = match run(&load) {
        Ok(report) => report,
        Err(reason) => {
            eprintln!("loadgen: {reason}");
            return ExitCode::from(2);
        }
    };
    if load.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("loadgen: {error}"),
        }
    } else {
        println!("{report}");
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
