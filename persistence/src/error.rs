//! How a store fails.

use std::fmt;

/// A result of a store call.
pub type StoreResult<T> = Result<T, StoreError>;

/// A failed store call. Its kind says whether the call may be tried again and whether it may have
/// been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What the caller can conclude.
    pub kind: StoreErrorKind,
    /// The operation that failed, as in metrics: `commit`, `read_history`.
    pub operation: &'static str,
    /// The driver's words.
    pub message: String,
}

/// What the caller of a failed store call can conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another owner holds the shard or queue: the range id did not match. Not applied; stop.
    LeaseLost,
    /// A precondition on a record did not hold. Not applied; drop the cached record and reload it.
    Conflict,
    /// The thing to create exists already. Not applied.
    AlreadyExists,
    /// The thing to change does not exist. Not applied.
    NotFound,
    /// Not applied; the same call may succeed later (busy, not connected, disk full).
    Unavailable,
    /// The connection or the time ran out after the call was sent: it may or may not have been applied.
    OutcomeUnknown,
    /// Stored bytes cannot be read, or the schema is not ours. Trying again will not help.
    Corrupt,
}

impl StoreError {
    /// An error of `kind` in `operation`.
    pub fn new(kind: StoreErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store operation {} failed ({:?}): {}", self.operation, self.kind, self.message)
    }
}

impl std::error::Error for StoreError {}
