//! The `perdure` command.

use std::{io::Write, process::ExitCode};

use perdure_server::{
    StartError,
    cli::{self, Command},
    config_check, logging,
    operator::operate,
    start_dev,
};

/// Made for many small allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perdure: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), StartError> {
    match cli::parse(std::env::args_os())? {
        Command::Print(text) => {
            // A reader that has gone (`perdure --help | head -1`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Command::Operate(command) => operate(command),
        Command::ConfigCheck(options) => config_check::run(&options),
        Command::StartDev(options) => {
            logging::start(options.log)?;
            start_dev(*options)
        }
    }
}
