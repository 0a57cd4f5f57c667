//! SQL stores over sqlx.
//!
//! [`SqliteStore`] is the embedded default. Keys are encoded the same way for every database: see `key`.

mod key;
mod sqlite;

pub use sqlite::{SqliteLocation, SqliteOpenError, SqliteOptions, SqliteSchema, SqliteStore, SqliteSynchronous};
