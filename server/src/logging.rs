//! Logs: `tracing` to stderr.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{LogFormat, LogLevel, LogOptions, StartError};

/// Crates below us that tell every frame and statement at debug. They are held to warnings.
const CHATTY: [&str; 6] = ["h2", "hyper", "hyper_util", "sqlx", "tonic", "tower"];

/// Starts logging, once in a process.
pub fn start(options: LogOptions) -> Result<(), StartError> {
    let level = match options.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        // Without a subscriber an event costs one load.
        LogLevel::Never => return Ok(()),
    };
    let chatty = CHATTY.map(|target| (target, level.min(LevelFilter::WARN)));
    let filter = Targets::new().with_default(level).with_targets(chatty);
    let lines = fmt::layer().with_writer(stderr);
    let lines = match options.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Pretty => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| StartError::Failed(format!("cannot start logging: {error}")))
}
