//! What a server is started with, as plain values: the seam for those who embed it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use perdure_config::Assignment;
use perdure_proto::api::enums::IndexedValueType;

/// The namespace that always exists.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The port of the gRPC service when none is named.
pub(crate) const DEFAULT_PORT: u16 = 7233;

/// Everything `perdure server start-dev` is told. The default is what the command does without flags.
#[derive(Clone, Debug, PartialEq)]
pub struct StartDevOptions {
    /// Address of the gRPC service. Port 0 takes a free one.
    pub frontend: SocketAddr,
    /// Namespaces that exist once the server is up, each once; `default` is the first.
    pub namespaces: Vec<String>,
    /// Database file; without one nothing outlives the process.
    pub database: Option<PathBuf>,
    /// SQLite pragmas, in the order given. Names are identifiers; values hold no `;`.
    pub sqlite_pragmas: Vec<(String, String)>,
    /// Search attributes to register in each of the namespaces, each name once.
    pub search_attributes: Vec<(String, IndexedValueType)>,
    /// Dynamic configuration.
    pub dynamic_config: DynamicConfigOptions,
    /// Address of the Prometheus endpoint. Port 0 takes a free one.
    pub metrics: SocketAddr,
    /// What is logged, and how.
    pub log: LogOptions,
    /// Print the configuration in force to stderr before starting.
    pub print_config: bool,
    /// Flags that were given and have no effect, for a line in the log.
    pub without_effect: Vec<&'static str>,
}

/// Where dynamic configuration comes from besides the built-in defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicConfigOptions {
    /// A file in Temporal's format, read again when it changes.
    pub file: Option<PathBuf>,
    /// Values that beat the file.
    pub values: Vec<Assignment>,
}

/// What is logged to stderr, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The least level that is logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens in the ordinary course.
    Info,
    /// What an operator should look at.
    Warn,
    /// What went wrong.
    Error,
    /// Nothing.
    Never,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object a line.
    Json,
    /// Text with colours when stderr is a terminal.
    Pretty,
}

impl Default for StartDevOptions {
    fn default() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            frontend: SocketAddr::new(ip, DEFAULT_PORT),
            namespaces: vec![DEFAULT_NAMESPACE.to_owned()],
            database: None,
            sqlite_pragmas: Vec::new(),
            search_attributes: Vec::new(),
            dynamic_config: DynamicConfigOptions::default(),
            metrics: SocketAddr::new(ip, 0),
            log: LogOptions { level: LogLevel::Warn, format: LogFormat::Text },
            print_config: false,
            without_effect: Vec::new(),
        }
    }
}
