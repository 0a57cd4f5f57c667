//! How a SQLite store is opened.

use std::{path::PathBuf, time::Duration};

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqliteLocation {
    /// A file, made when it is missing. SQLite keeps `-wal` and `-shm` files beside it.
    File(PathBuf),
    /// This process's memory; gone when the store is closed.
    Memory,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SqliteSynchronous {
    /// The log is synced to disk before a commit is acknowledged: nothing acknowledged is ever lost.
    #[default]
    Full,
    /// The log is synced when it is folded into the database only. A crash of the process loses
    /// nothing; a crash of the machine or a power failure may lose the last acknowledged commits.
    /// The database stays consistent.
    Normal,
}

/// Options of a SQLite store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Where the database is.
    pub location: SqliteLocation,
    /// What a commit waits for.
    pub synchronous: SqliteSynchronous,
    /// Pragmas (name, value) set on the writing connection after the store's own, in this order.
    /// `busy_timeout`, `cache_size`, `mmap_size` and `temp_store` are set on the reading ones too.
    pub pragmas: Vec<(String, String)>,
    /// Most reading connections; each is a thread and is opened when it is first needed.
    pub readers: u32,
    /// How long to wait for a lock that another process holds before a call fails as unavailable.
    pub busy_timeout: Duration,
}

impl SqliteOptions {
    /// A durable store in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::at(SqliteLocation::File(path.into()))
    }

    /// A store in memory.
    pub fn memory() -> Self {
        Self::at(SqliteLocation::Memory)
    }

    fn at(location: SqliteLocation) -> Self {
        Self {
            location,
            synchronous: SqliteSynchronous::default(),
            pragmas: Vec::new(),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
        }
    }
}
