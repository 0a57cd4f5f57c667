//! The SQLite store.
//!
//! One task owns the only writing connection. Commits of all shards and writes of all task queues that
//! wait for it go into one transaction, so one fsync serves them all: see [`writer`]. Reads have a
//! small pool of their own and, with a write-ahead log, neither wait for the writer nor hold it up.
//!
//! The store expects to be the only writer of its file for speed, not for safety: a transaction takes the
//! write lock before it looks at range ids and versions, so another process is fenced like another node.

mod commit;
mod error;
mod maintain;
mod open;
mod options;
#[cfg(test)]
mod plan;
mod queue;
mod read;
mod registry;
mod statement;
mod store;
mod visibility;
mod writer;

pub use open::{SqliteOpenError, SqliteSchema};
pub use options::{SqliteLocation, SqliteOptions, SqliteSynchronous};
pub use store::SqliteStore;
