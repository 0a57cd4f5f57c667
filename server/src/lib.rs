//! The perdure binary's parts: command line, wiring, and the API for those who embed a server.
//!
//! [`start_dev`] runs a development server from plain [`StartDevOptions`]; [`cli::parse`] makes them from a
//! command line.

pub mod cli;
pub mod database;
pub mod dynamic;
mod error;
pub mod listen;
pub mod logging;
pub mod metrics;
mod options;
pub mod report;
pub mod signals;

pub use error::StartError;
pub use options::{DynamicConfigOptions, LogFormat, LogLevel, LogOptions, StartDevOptions};

/// This release, and the release of Temporal whose API it serves.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Temporal API 1.32)");

/// Runs a development server until it is asked to stop.
pub fn start_dev(options: StartDevOptions) -> Result<(), StartError> {
    if let Some(line) = report::without_effect(&options) {
        tracing::warn!("{line}");
    }
    let (config, _follower) = dynamic::start(&options.dynamic_config)?;
    if options.print_config {
        eprint!("{}", report::configuration(&options, &config.settings()));
    }
    if let Some(path) = &options.database {
        database::check_database(path)?;
    }
    let _frontend = listen::listen("gRPC", "--port", options.frontend)?;
    Err(StartError::Failed("this build serves nothing yet".to_owned()))
}
