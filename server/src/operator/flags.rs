//! Flags of the commands for operators.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A command for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operate {
    /// `db check`
    Check(CheckOptions),
    /// `db migrate`
    Migrate(MigrateOptions),
    /// `describe`
    Describe(DescribeOptions),
}

/// What `db check` is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_override_self = true)]
pub struct CheckOptions {
    /// Database file to check. A server may use it meanwhile.
    #[arg(long, short = 'f', value_name = "FILE", required_unless_present = "address", conflicts_with = "address")]
    pub db_filename: Option<PathBuf>,
    /// Server that checks its own database, while it goes on serving.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Check one namespace, by its name. Only with --address.
    #[arg(long, short, value_name = "NAME", conflicts_with = "db_filename")]
    pub namespace: Option<String>,
    /// Set right what can be. Only with --address: only a server's shards change what they hold.
    #[arg(long, conflicts_with = "db_filename")]
    pub repair: bool,
    /// Leave histories out: most of the work.
    #[arg(long)]
    pub without_histories: bool,
    /// Executions looked at each second, at most; 0 for as many as there can be.
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    pub rate: u32,
    /// Print JSON.
    #[arg(skip)]
    pub json: bool,
}

/// What `db migrate` is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_override_self = true)]
pub struct MigrateOptions {
    /// Database file to bring up to date.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub db_filename: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// What `describe` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeOptions {
    pub(crate) subject: Subject,
    pub(crate) address: String,
    pub(crate) json: bool,
}

/// What is described.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Subject {
    /// A history shard: its lease, what it has in memory, what it waits for.
    Shard {
        /// Its number.
        #[arg(required_unless_present = "workflow_id", conflicts_with = "workflow_id")]
        number: Option<u32>,
        /// The shard that holds this workflow id.
        #[arg(long, short, value_name = "ID")]
        workflow_id: Option<String>,
        /// Namespace of the workflow id.
        #[arg(long, short, value_name = "NAME", default_value = "default")]
        namespace: String,
    },
    /// A task queue, partition by partition.
    Queue {
        /// Its name.
        name: String,
        /// Its namespace.
        #[arg(long, short, value_name = "NAME", default_value = "default")]
        namespace: String,
    },
    /// A namespace: what is in it, and how far its deletion has come.
    Namespace {
        /// Its name or id.
        name: String,
    },
    /// The server's process.
    Node,
}

/// The address of the server to ask.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Server {
    /// Address of the server.
    #[arg(long, global = true, value_name = "HOST:PORT", env = "TEMPORAL_ADDRESS", default_value = "localhost:7233")]
    pub(crate) address: String,
}

#[derive(Subcommand)]
pub(crate) enum DbCommand {
    /// Check whether what a database holds agrees with itself: executions, histories, lists, timers.
    #[command(after_help = CHECK_HELP)]
    Check(CheckOptions),
    /// Bring a database file up to this release's schema. Starting a server does the same.
    Migrate(MigrateOptions),
}

const CHECK_HELP: &str = "\
Examples:
  A file, whether or not a server uses it:
      perdure db check --db-filename perdure.db
  A running server's database, whatever it is, setting right what can be:
      perdure db check --address localhost:7233 --repair
  Findings as JSON, one on a line, and the sum on the last:
      perdure db check --db-filename perdure.db -o json

Exit codes:
  0  nothing is wrong, or all of it was set right
  1  something is wrong
  2  bad flag
  4  the database or the server cannot be reached
  5  the database is of another release or of another program";

#[derive(Args)]
pub(crate) struct DescribeFlags {
    #[command(subcommand)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) server: Server,
}

impl DescribeFlags {
    pub(crate) fn into_command(self, json: bool) -> Operate {
        Operate::Describe(DescribeOptions { subject: self.subject, address: self.server.address, json })
    }
}

impl DbCommand {
    pub(crate) fn into_command(self, json: bool) -> Operate {
        match self {
            Self::Check(options) => Operate::Check(CheckOptions { json, ..options }),
            Self::Migrate(options) => Operate::Migrate(options),
        }
    }
}
