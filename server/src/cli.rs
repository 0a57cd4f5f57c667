//! The command line: the flags of `temporal server start-dev`, so that what starts Temporal's development
//! server starts this one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use clap::{ArgAction, Args, Parser, Subcommand, error::ErrorKind};
use perdure_config::Assignment;
use perdure_proto::api::enums::IndexedValueType;

use crate::{
    DynamicConfigOptions, LogFormat, LogLevel, LogOptions, StartDevOptions, StartError,
    config_check::{CheckOptions, ConfigCommand},
    error::EXIT_CODES,
    operator::{
        Operate,
        flags::{DbCommand, DescribeFlags},
    },
    options::{DEFAULT_NAMESPACE, DEFAULT_PORT},
};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// `server start-dev`
    StartDev(Box<StartDevOptions>),
    /// `db` and `describe`
    Operate(Operate),
    /// `config check`
    ConfigCheck(CheckOptions),
    /// `--help` and `--version`: print this to stdout and end well.
    Print(String),
}

/// Reads the command line. The first argument is the program's name.
pub fn parse<I, T>(arguments: I) -> Result<Command, StartError>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    match Cli::try_parse_from(arguments) {
        Ok(Cli { command, global }) => match command {
            TopCommand::Server { command: ServerCommand::StartDev(flags) } => {
                flags.into_options(&global).map(|options| Command::StartDev(Box::new(options)))
            }
            TopCommand::Config { command: ConfigCommand::Check(options) } => Ok(Command::ConfigCheck(options)),
            TopCommand::Db { command } => Ok(Command::Operate(command.into_command(global.client.json()?))),
            TopCommand::Describe(flags) => Ok(Command::Operate(flags.into_command(global.client.json()?))),
        },
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Command::Print(error.render().to_string())),
            _ => Err(StartError::Usage(one_line(&error.render().to_string()))),
        },
    }
}

const ABOUT: &str = "Perdure runs durable workflows. Every Temporal SDK and the temporal command line \
work with it.";

const EXAMPLES: &str = "\
Examples:
  Start a development server that forgets everything when it stops:
      perdure server start-dev
  Keep workflows in a file:
      perdure server start-dev --db-filename perdure.db
  Then, in another terminal:
      temporal operator namespace list --address localhost:7233";

const START_DEV_EXAMPLES: &str = "\
Examples:
  Keep workflows in a file, across restarts and crashes:
      perdure server start-dev --db-filename perdure.db
  Another port, two more namespaces and a search attribute:
      perdure server start-dev --port 7000 -n orders -n billing --search-attribute Customer=Keyword
  A limit of Temporal's dynamic configuration:
      perdure server start-dev --dynamic-config-value limit.maxIDLength=500";

#[derive(Parser)]
#[command(name = "perdure", version = crate::VERSION, about = ABOUT, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: TopCommand,
    #[command(flatten)]
    global: GlobalFlags,
}

#[derive(Subcommand)]
enum TopCommand {
    /// Run a server.
    #[command(arg_required_else_help = true, args_override_self = true)]
    Server {
        #[command(subcommand)]
        command: ServerCommand,
    },
    /// Look after a database.
    #[command(arg_required_else_help = true)]
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Show what a running server knows of itself, with -o json as JSON.
    #[command(arg_required_else_help = true)]
    Describe(DescribeFlags),
    /// Look at configuration files.
    #[command(arg_required_else_help = true, args_override_self = true)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ServerCommand {
    /// Run a development server: one process, one node, no security, in memory or on a SQLite file.
    ///
    /// Takes the flags of `temporal server start-dev`.
    #[command(args_override_self = true, after_help = format!("{START_DEV_EXAMPLES}\n\n{EXIT_CODES}"))]
    StartDev(Box<StartDevFlags>),
}

/// Flags of every command of Temporal's command line.
#[derive(Args)]
#[command(next_help_heading = "Logging")]
struct GlobalFlags {
    /// Least level that is logged; logs go to stderr.
    #[arg(long, global = true, value_enum, ignore_case = true, default_value = "warn")]
    log_level: LogLevel,
    /// Form of a log line.
    #[arg(long, global = true, value_enum, ignore_case = true, default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    client: ClientFlags,
}

/// Global flags that only concern a client. Taken because wrappers around Temporal's command line pass them.
#[derive(Args)]
struct ClientFlags {
    #[arg(long, global = true, hide = true)]
    color: Option<String>,
    #[arg(long, global = true, hide = true)]
    env: Option<String>,
    #[arg(long, global = true, hide = true)]
    env_file: Option<String>,
    #[arg(long, global = true, hide = true)]
    config_file: Option<String>,
    #[arg(long, global = true, hide = true)]
    profile: Option<String>,
    #[arg(long, global = true, hide = true)]
    disable_config_env: bool,
    #[arg(long, global = true, hide = true)]
    disable_config_file: bool,
    #[arg(long, global = true, hide = true)]
    client_connect_timeout: Option<String>,
    #[arg(long, global = true, hide = true)]
    command_timeout: Option<String>,
    #[arg(long, global = true, hide = true)]
    no_json_shorthand_payloads: bool,
    #[arg(long, short, global = true, hide = true)]
    output: Option<String>,
    #[arg(long, global = true, hide = true)]
    time_format: Option<String>,
}

#[derive(Args)]
struct StartDevFlags {
    /// File for all state, made if it does not exist; without it state is lost when the server stops.
    #[arg(long, short = 'f', value_name = "FILE")]
    db_filename: Option<PathBuf>,
    /// Port of the gRPC service; 0 takes a free one.
    #[arg(long, short, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// IP address of the gRPC service and of metrics.
    #[arg(long, value_name = "IP", default_value = "localhost", value_parser = ip)]
    ip: IpAddr,
    /// Namespace to make at start; may be given again. "default" is always made.
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    /// Search attribute to register, as KEY=TYPE; may be given again. Types: Text, Keyword, Int, Double,
    /// Bool, Datetime, KeywordList.
    #[arg(long, value_name = "KEY=TYPE")]
    search_attribute: Vec<String>,
    /// Port of the Prometheus endpoint /metrics; a free one unless given.
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    metrics_port: u16,
    /// Dynamic config value, as KEY=VALUE with a JSON value; may be given again. Text needs quotes of its
    /// own: 'history.longPollExpirationInterval="10s"'.
    #[arg(long, value_name = "KEY=VALUE")]
    dynamic_config_value: Vec<String>,
    /// File of dynamic config in Temporal's format, read again when it changes.
    #[arg(long, value_name = "FILE")]
    dynamic_config_file: Option<PathBuf>,
    /// SQLite pragma, as NAME=VALUE; may be given again.
    #[arg(long, value_name = "NAME=VALUE")]
    sqlite_pragma: Vec<String>,
    /// Print the configuration in force to stderr.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    log_config: bool,
    /// No Web UI. (This release has none.)
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    headless: bool,
    #[command(flatten)]
    unbuilt: UnbuiltFlags,
}

/// Flags of parts that this release does not have. Taken, and named in one line of the log.
#[derive(Args)]
#[command(next_help_heading = "Taken without effect (this release has no HTTP API and no Web UI)")]
struct UnbuiltFlags {
    /// Port of the HTTP API.
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Port of the Web UI.
    #[arg(long, value_name = "PORT")]
    ui_port: Option<u16>,
    /// IP address of the Web UI.
    #[arg(long, value_name = "IP")]
    ui_ip: Option<String>,
    /// Base path of the Web UI.
    #[arg(long, value_name = "PATH")]
    ui_public_path: Option<String>,
    /// Path of the Web UI's own assets.
    #[arg(long, value_name = "PATH")]
    ui_asset_path: Option<String>,
    /// Remote codec of the Web UI.
    #[arg(long, value_name = "URL")]
    ui_codec_endpoint: Option<String>,
    /// No news in the Web UI.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    ui_disable_news_fetch: bool,
}

impl StartDevFlags {
    fn into_options(self, global: &GlobalFlags) -> Result<StartDevOptions, StartError> {
        let mut without_effect = self.unbuilt.given();
        without_effect.extend(global.client.given());
        Ok(StartDevOptions {
            frontend: SocketAddr::new(self.ip, self.port),
            namespaces: namespaces(self.namespace)?,
            database: self.db_filename.filter(|path| !path.as_os_str().is_empty()),
            sqlite_pragmas: self.sqlite_pragma.iter().map(|text| pragma(text)).collect::<Result<_, _>>()?,
            search_attributes: search_attributes(&self.search_attribute)?,
            dynamic_config: DynamicConfigOptions {
                file: self.dynamic_config_file,
                values: self
                    .dynamic_config_value
                    .iter()
                    .map(|text| Assignment::from_flag(text))
                    .collect::<Result<_, _>>()?,
            },
            metrics: SocketAddr::new(self.ip, self.metrics_port),
            log: LogOptions { level: global.log_level, format: global.log_format },
            print_config: self.log_config,
            without_effect,
        })
    }
}

impl UnbuiltFlags {
    fn given(&self) -> Vec<&'static str> {
        given(&[
            ("--http-port", self.http_port.is_some()),
            ("--ui-port", self.ui_port.is_some()),
            ("--ui-ip", self.ui_ip.is_some()),
            ("--ui-public-path", self.ui_public_path.is_some()),
            ("--ui-asset-path", self.ui_asset_path.is_some()),
            ("--ui-codec-endpoint", self.ui_codec_endpoint.is_some()),
            ("--ui-disable-news-fetch", self.ui_disable_news_fetch),
        ])
    }
}

impl ClientFlags {
    /// Whether JSON is asked for.
    fn json(&self) -> Result<bool, StartError> {
        match self.output.as_deref() {
            None | Some("text") => Ok(false),
            Some("json" | "jsonl") => Ok(true),
            Some(other) => Err(StartError::Usage(format!("invalid --output {other:?}: it takes text or json"))),
        }
    }

    fn given(&self) -> Vec<&'static str> {
        given(&[
            ("--color", self.color.is_some()),
            ("--env", self.env.is_some()),
            ("--env-file", self.env_file.is_some()),
            ("--config-file", self.config_file.is_some()),
            ("--profile", self.profile.is_some()),
            ("--disable-config-env", self.disable_config_env),
            ("--disable-config-file", self.disable_config_file),
            ("--client-connect-timeout", self.client_connect_timeout.is_some()),
            ("--command-timeout", self.command_timeout.is_some()),
            ("--no-json-shorthand-payloads", self.no_json_shorthand_payloads),
            ("--output", self.output.is_some()),
            ("--time-format", self.time_format.is_some()),
        ])
    }
}

fn given(flags: &[(&'static str, bool)]) -> Vec<&'static str> {
    flags.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect()
}

fn ip(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        "::" => Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        _ => bare.parse().map_err(|_| "takes an IP address or localhost".to_owned()),
    }
}

/// The default namespace and those given, each once.
fn namespaces(given: Vec<String>) -> Result<Vec<String>, StartError> {
    let mut names = vec![DEFAULT_NAMESPACE.to_owned()];
    for name in given {
        if name.is_empty() {
            return Err(StartError::Usage("--namespace takes a name that is not empty".to_owned()));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn key_value<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), StartError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        Some(_) | None => Err(StartError::Usage(format!("invalid {flag} {text:?}: it takes NAME=VALUE"))),
    }
}

/// Pragmas become SQL text: nothing but one name and one value may pass.
fn pragma(text: &str) -> Result<(String, String), StartError> {
    let (name, value) = key_value("--sqlite-pragma", text)?;
    let plain = |text: &str, others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    if !plain(name, "_") || value.is_empty() || !plain(value, "_-.") {
        return Err(StartError::Usage(format!(
            "invalid --sqlite-pragma {text:?}: it takes NAME=VALUE, such as journal_mode=wal"
        )));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Search attributes by name; of a name given twice the last type holds.
fn search_attributes(given: &[String]) -> Result<Vec<(String, IndexedValueType)>, StartError> {
    const TYPES: [(&str, IndexedValueType); 7] = [
        ("Text", IndexedValueType::Text),
        ("Keyword", IndexedValueType::Keyword),
        ("Int", IndexedValueType::Int),
        ("Double", IndexedValueType::Double),
        ("Bool", IndexedValueType::Bool),
        ("Datetime", IndexedValueType::Datetime),
        ("KeywordList", IndexedValueType::KeywordList),
    ];
    let mut attributes = BTreeMap::new();
    for text in given {
        let (name, kind) = key_value("--search-attribute", text)?;
        let (_, kind) = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).ok_or_else(|| {
            StartError::Usage(format!(
                "invalid --search-attribute {text:?}: the type is one of {}",
                TYPES.map(|(name, _)| name).join(", ")
            ))
        })?;
        attributes.insert(name.to_owned(), *kind);
    }
    Ok(attributes.into_iter().collect())
}

/// The parser's message without its usage block, on one line.
fn one_line(message: &str) -> String {
    let paragraphs: Vec<String> = message
        .trim_start_matches("error: ")
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .filter(|paragraph| !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information"))
        .collect();
    format!("{} (--help tells more)", paragraphs.join("; "))
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
