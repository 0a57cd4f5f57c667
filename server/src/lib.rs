//! The perdure binary's parts: command line, wiring, and the API for those who embed a server.
//!
//! [`start_dev`] runs a development server from plain [`StartDevOptions`]; [`cli::parse`] makes them from a
//! command line. [`config_check`] looks at configuration files.

mod actors;
pub mod cli;
pub mod cluster;
pub mod config_check;
pub mod database;
pub mod dynamic;
mod error;
pub mod listen;
pub mod logging;
pub mod metrics;
mod node;
pub mod operator;
mod options;
pub mod report;
pub mod signals;
mod start_dev;

pub use actors::Actors;
pub use error::StartError;
pub use node::{Node, NodeOptions};
pub use options::{DynamicConfigOptions, LogFormat, LogLevel, LogOptions, StartDevOptions};
pub use perdure_execution::{
    Env,
    archetype::{Actor, Decision, Registry, Unregistered},
};
pub use perdure_kernel::{ServiceError, ServiceResult, Timestamp};

/// This release, and the release of Temporal whose API it serves.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Temporal API 1.32)");

/// Runs a development server until it is asked to stop.
///
/// # Errors
///
/// The server does not start; the error says what to change.
pub fn start_dev(options: StartDevOptions) -> Result<(), StartError> {
    start_dev::run(&options)
}
