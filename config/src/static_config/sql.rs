//! `sql`: an SQL database.

use std::time::Duration;

use super::{
    read::{Item, section},
    scalar::choice,
    stores::{StoreTls, Texts},
};
use crate::problem::Problems;

section! {
    /// An SQL database.
    pub struct Sql {
        /// User.
        "user" user: Item<String>,
        /// The user's password.
        "password" password: Item<String>,
        /// A command that prints the password, run for every new connection.
        "passwordCommand" password_command: Option<PasswordCommand>,
        /// Which database it is.
        "pluginName" plugin_name: Item<Option<SqlPlugin>>,
        /// Name of the database; for SQLite its file.
        "databaseName" database_name: Item<String>,
        /// `host:port`, or the path of a socket.
        "connectAddr" connect_addr: Item<String>,
        /// What `connect_addr` is.
        "connectProtocol" connect_protocol: Item<Option<ConnectProtocol>>,
        /// Parameters of the driver.
        "connectAttributes" connect_attributes: Texts,
        /// Most connections; 0 is no bound.
        "maxConns" max_conns: Item<u32>,
        /// Most connections that are kept while idle; 0 leaves it to the driver.
        "maxIdleConns" max_idle_conns: Item<u32>,
        /// How long a connection is used; 0 is for ever.
        "maxConnLifetime" max_conn_lifetime: Item<Duration>,
        /// Parts in which task queues are listed.
        "taskScanPartitions" task_scan_partitions: Item<u32> = 1,
        /// TLS of the connection.
        "tls" tls: Option<StoreTls>,
    }
}

section! {
    /// A command that prints a password.
    pub struct PasswordCommand {
        /// The program.
        "command" command: Item<String>,
        /// Its arguments.
        "args" args: Vec<Item<String>>,
        /// How long it may take.
        "timeout" timeout: Item<Duration> = Duration::from_secs(30),
    }
}

choice! {
    /// SQL databases.
    pub enum SqlPlugin, any case: false {
        /// MySQL 8.
        Mysql8 = "mysql8",
        /// PostgreSQL 12 or later.
        Postgres12 = "postgres12",
        /// The same through another driver.
        Postgres12Pgx = "postgres12_pgx",
        /// SQLite.
        Sqlite = "sqlite",
    }
}

choice! {
    /// What the address of a database is.
    pub enum ConnectProtocol, any case: false {
        /// `host:port`.
        Tcp = "tcp",
        /// Path of a socket.
        Unix = "unix",
    }
}

impl SqlPlugin {
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::Mysql8 => "MySQL",
            Self::Postgres12 | Self::Postgres12Pgx => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

impl Sql {
    pub(super) fn is_sqlite(&self) -> bool {
        *self.plugin_name == Some(SqlPlugin::Sqlite)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        let origin = &self.origin;
        if self.plugin_name.is_none() && !self.plugin_name.is_refused() {
            let write = "mysql8, postgres12, postgres12_pgx or sqlite";
            problems.missing(self.plugin_name.place(origin), origin.key("pluginName"), write);
        }
        self.database_name.require(origin, "databaseName", "the name of the database", problems);
        self.connect_addr.require(origin, "connectAddr", "host:port of the database", problems);
        if self.connect_protocol.is_none() && !self.connect_protocol.is_refused() {
            problems.missing(self.connect_protocol.place(origin), origin.key("connectProtocol"), "tcp or unix");
        }
        if let Some(command) = &self.password_command {
            let write = "the program that prints the password";
            command.command.require(&command.origin, "command", write, problems);
            if self.password.is_given() {
                problems.contradiction(
                    self.password.place(origin),
                    format!(
                        "{} and {} exclude each other; remove one of them",
                        origin.key("password"),
                        origin.key("passwordCommand")
                    ),
                );
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(problems);
        }
    }
}
