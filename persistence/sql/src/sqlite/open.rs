//! Opening a database: whose it is, which schema it has, and the settings of its connections.

use std::hash::{BuildHasher, Hasher, RandomState};

use perdure_schema::SQLITE as SCHEMA;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{
    SqliteLocation, SqliteOptions, SqliteSynchronous,
    error::{code, primary_code},
    statement::STATEMENT_CACHE,
};

/// Why a database was not opened. The text is one line and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqliteOpenError {
    /// A database that another program made.
    #[error("{path} is a SQLite database of another program; give Perdure a file of its own")]
    Foreign {
        /// The file.
        path: String,
    },
    /// A file that is no database.
    #[error("{path} is not a SQLite database; give Perdure a new file, or restore this one from a backup")]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// A database that a newer build has written.
    #[error("{path} has schema version {found} but this build knows versions up to {known}; start a newer build")]
    TooNew {
        /// The file.
        path: String,
        /// Its schema version.
        found: u32,
        /// The newest version that this build knows.
        known: u32,
    },
    /// The file cannot be made or written.
    #[error(
        "{path} cannot be opened for writing ({reason}); check that its directory exists and that this user may write there"
    )]
    Unwritable {
        /// The file.
        path: String,
        /// SQLite's words.
        reason: String,
    },
    /// Another process holds the file's lock.
    #[error("{path} is locked by another process; stop that process or use another file")]
    Locked {
        /// The file.
        path: String,
    },
    /// A pragma that SQLite does not take.
    #[error("pragma {name} = {value} is not accepted ({reason}); correct or remove it")]
    Pragma {
        /// Name as given.
        name: String,
        /// Value as given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Any other failure.
    #[error("{path} cannot be opened: {reason}")]
    Failed {
        /// The file.
        path: String,
        /// SQLite's words.
        reason: String,
    },
}

/// Which schema a database has, and which this build reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqliteSchema {
    /// Its version; 0 for an empty file.
    pub found: u32,
    /// The newest version that this build knows.
    pub known: u32,
}

/// Bytes of a page of a new database. A page holds about ten records or history batches; measured, twice
/// SQLite's own default writes a fifth more executions a second, and more gains nothing.
const PAGE_SIZE: &str = "8192";

/// Pages in the log at which a commit folds it into the database (32 MiB): hot pages are then copied once
/// for many commits.
const AUTOCHECKPOINT_PAGES: u32 = 4096;

/// The log file shrinks to this after a checkpoint: 64 MiB.
const LOG_SIZE_LIMIT: u32 = 64 << 20;

/// Page cache of the writing connection in KiB.
const WRITER_CACHE_KIB: u32 = 32 << 10;

/// Rows a connection's thread may be ahead of the task that reads them.
const ROW_BUFFER: usize = 256;

/// The pragmas of the caller that concern every connection.
const SHARED_PRAGMAS: [&str; 4] = ["busy_timeout", "cache_size", "mmap_size", "temp_store"];

/// Makes the connections of one database.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    options: SqliteOptions,
    connect: SqliteConnectOptions,
    /// For messages: the path, or `:memory:`.
    path: String,
}

impl Connector {
    pub(super) fn new(options: SqliteOptions) -> Result<Self, SqliteOpenError> {
        check_pragmas(&options.pragmas)?;
        let connect = SqliteConnectOptions::new()
            .create_if_missing(true)
            .foreign_keys(false)
            .busy_timeout(options.busy_timeout)
            .statement_cache_capacity(STATEMENT_CACHE)
            .row_buffer_size(ROW_BUFFER)
            .disable_statement_logging();
        let (connect, path) = match &options.location {
            SqliteLocation::File(path) => (connect.filename(path), path.display().to_string()),
            // Every database of this VFS has a name, by which connections of one process share it.
            SqliteLocation::Memory => {
                let unique = RandomState::new().build_hasher().finish();
                (connect.filename(format!("/perdure-{unique:x}")).vfs("memdb"), ":memory:".to_owned())
            }
        };
        Ok(Self { options, connect, path })
    }

    /// The writing connection, to a database that is ours and of the current schema.
    pub(super) async fn writer(&self) -> Result<SqliteConnection, SqliteOpenError> {
        let mut conn = self.connect.connect().await.map_err(|error| self.refuse(&error))?;
        let version = self.inspect(&mut conn).await?;
        self.set_up(&mut conn).await?;
        // Takes the write lock even when there is nothing to do: a file that can only be read is found now.
        self.upgrade(&mut conn, version).await?;
        Ok(conn)
    }

    /// The schema of a database that is there. Changes nothing.
    pub(super) async fn schema(&self) -> Result<SqliteSchema, SqliteOpenError> {
        let connect = self.connect.clone().create_if_missing(false).pragma("query_only", "ON");
        let mut conn = connect.connect().await.map_err(|error| self.refuse(&error))?;
        let found = self.inspect(&mut conn).await?;
        conn.close().await.map_err(|error| self.refuse(&error))?;
        Ok(SqliteSchema { found, known: SCHEMA.current() })
    }

    /// The pool of reading connections, all still to be opened.
    pub(super) fn readers(&self) -> SqlitePool {
        let mut connect = self.connect.clone().create_if_missing(false).pragma("query_only", "ON");
        for (name, value) in &self.options.pragmas {
            if SHARED_PRAGMAS.iter().any(|shared| name.eq_ignore_ascii_case(shared)) {
                connect = connect.pragma(name.clone(), value.clone());
            }
        }
        SqlitePoolOptions::new()
            .max_connections(self.options.readers.max(1))
            .test_before_acquire(false)
            .max_lifetime(None)
            .connect_lazy_with(connect)
    }

    /// The schema version, 0 for a new database; refuses what is not ours before anything is changed.
    async fn inspect(&self, conn: &mut SqliteConnection) -> Result<u32, SqliteOpenError> {
        const MARKS: &str =
            "SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)";
        let refuse = |error: sqlx::Error| self.refuse(&error);
        let row = sqlx::query(MARKS).fetch_one(&mut *conn).await.map_err(refuse)?;
        let (application_id, tables): (i32, i64) = (row.get(0), row.get(1));
        match (application_id, tables) {
            (0, 0) => Ok(0),
            (id, _) if id == SCHEMA.application_id => {
                let version = "SELECT coalesce(max(version), 0) FROM schema_version";
                let found: u32 = sqlx::query_scalar(version).fetch_one(conn).await.map_err(refuse)?;
                if found > SCHEMA.current() {
                    return Err(SqliteOpenError::TooNew { path: self.path.clone(), found, known: SCHEMA.current() });
                }
                Ok(found)
            }
            _ => Err(SqliteOpenError::Foreign { path: self.path.clone() }),
        }
    }

    async fn set_up(&self, conn: &mut SqliteConnection) -> Result<(), SqliteOpenError> {
        let synchronous = match self.options.synchronous {
            SqliteSynchronous::Full => "FULL",
            SqliteSynchronous::Normal => "NORMAL",
        };
        let journal_mode = match self.options.location {
            SqliteLocation::File(_) => "WAL",
            SqliteLocation::Memory => "MEMORY",
        };
        // Takes effect on a database that is still empty, and only before the journal mode is set.
        let pragmas = &self.options.pragmas;
        let page_size = pragmas.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("page_size"));
        let page_size = page_size.map_or(PAGE_SIZE, |(_, value)| value);
        let ours = format!(
            "PRAGMA page_size = {page_size}; \
             PRAGMA journal_mode = {journal_mode}; PRAGMA synchronous = {synchronous}; PRAGMA temp_store = MEMORY; \
             PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}; PRAGMA journal_size_limit = {LOG_SIZE_LIMIT}; \
             PRAGMA cache_size = -{WRITER_CACHE_KIB}"
        );
        sqlx::raw_sql(AssertSqlSafe(ours)).execute(&mut *conn).await.map_err(|error| self.refuse(&error))?;
        for (name, value) in pragmas {
            // Names and values were checked to be plain words.
            let pragma = format!("PRAGMA {name} = {value}");
            sqlx::raw_sql(AssertSqlSafe(pragma)).execute(&mut *conn).await.map_err(|error| {
                SqliteOpenError::Pragma { name: name.clone(), value: value.clone(), reason: error.to_string() }
            })?;
        }
        Ok(())
    }

    async fn upgrade(&self, conn: &mut SqliteConnection, found: u32) -> Result<(), SqliteOpenError> {
        let refuse = |error: sqlx::Error| self.refuse(&error);
        let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await.map_err(refuse)?;
        if found == SCHEMA.current() {
            return transaction.rollback().await.map_err(refuse);
        }
        // Another process may have been first.
        let found = self.inspect(&mut transaction).await?;
        for step in SCHEMA.steps_after(found) {
            sqlx::raw_sql(step.sql).execute(&mut *transaction).await.map_err(refuse)?;
            let note = sqlx::query("INSERT INTO schema_version(version) VALUES (?)").bind(step.number);
            note.execute(&mut *transaction).await.map_err(refuse)?;
        }
        let mark = format!("PRAGMA application_id = {}", SCHEMA.application_id);
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *transaction).await.map_err(refuse)?;
        transaction.commit().await.map_err(refuse)
    }

    fn refuse(&self, error: &sqlx::Error) -> SqliteOpenError {
        let path = self.path.clone();
        let reason = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        match primary_code(error) {
            Some(code::NOTADB) => SqliteOpenError::NotADatabase { path },
            Some(code::CANTOPEN | code::READONLY | code::PERM | code::AUTH) => {
                SqliteOpenError::Unwritable { path, reason }
            }
            Some(code::BUSY | code::LOCKED) => SqliteOpenError::Locked { path },
            Some(_) | None => SqliteOpenError::Failed { path, reason },
        }
    }
}

/// Pragmas cannot be bound as values, so they may only be plain words and numbers.
fn check_pragmas(pragmas: &[(String, String)]) -> Result<(), SqliteOpenError> {
    let refuse = |name: &String, value: &String, reason: &str| SqliteOpenError::Pragma {
        name: name.clone(),
        value: value.clone(),
        reason: reason.to_owned(),
    };
    for (name, value) in pragmas {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(refuse(name, value, "a name has letters, digits and underscores"));
        }
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c)) {
            return Err(refuse(name, value, "a value is a word or a number"));
        }
    }
    Ok(())
}
