//! What SQLite's failures mean to a caller.

use perdure_persistence::{Operation, StoreError, StoreErrorKind};

/// Primary result codes (<https://sqlite.org/rescode.html>).
pub(super) mod code {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const LOCKED: i32 = 6;
    pub(crate) const NOMEM: i32 = 7;
    pub(crate) const READONLY: i32 = 8;
    pub(crate) const INTERRUPT: i32 = 9;
    pub(crate) const IOERR: i32 = 10;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CANTOPEN: i32 = 14;
    pub(crate) const PROTOCOL: i32 = 15;
    pub(crate) const AUTH: i32 = 23;
    pub(crate) const NOTADB: i32 = 26;
    pub(crate) const PERM: i32 = 3;
}

/// SQLite's primary result code, if the failure is SQLite's.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Kind of a failure after which the database is certainly as before: a read, or a statement of a
/// transaction that was not committed.
pub(super) fn kind_without_effect(error: &sqlx::Error) -> StoreErrorKind {
    match primary_code(error) {
        Some(
            code::BUSY
            | code::LOCKED
            | code::NOMEM
            | code::READONLY
            | code::INTERRUPT
            | code::IOERR
            | code::FULL
            | code::CANTOPEN
            | code::PROTOCOL
            | code::AUTH
            | code::PERM,
        ) => StoreErrorKind::Unavailable,
        // A schema that is not ours, a damaged file, a value out of bounds.
        Some(_) => StoreErrorKind::Corrupt,
        None => match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Corrupt,
            // The pool is closed or exhausted, the connection's thread is gone.
            _ => StoreErrorKind::Unavailable,
        },
    }
}

/// Kind of a failed `COMMIT`, after a rollback that SQLite confirmed.
///
/// Only codes that SQLite gives before it writes the end of the transaction to the log are definite. An
/// IO error may come from the sync after that: a crash now could bring the transaction back.
pub(super) fn kind_at_commit(error: &sqlx::Error) -> StoreErrorKind {
    match primary_code(error) {
        Some(code::BUSY | code::LOCKED | code::READONLY | code::FULL) => StoreErrorKind::Unavailable,
        Some(_) | None => StoreErrorKind::OutcomeUnknown,
    }
}

/// Whether a `ROLLBACK` failed only because SQLite had rolled back on its own.
pub(super) fn was_rolled_back(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("no transaction is active"))
}

/// A failed read.
pub(super) fn read_failed(operation: Operation) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::new(kind_without_effect(&error), operation.name(), error.to_string())
}

/// A stored value that cannot be what was written.
pub(super) fn corrupt(operation: Operation, what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, operation.name(), format!("stored {what} cannot be read"))
}
