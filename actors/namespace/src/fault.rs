//! What callers are told.

use std::borrow::Cow;

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_persistence::{StoreError, StoreErrorKind};

/// A failed store call, in a caller's words. The driver's words go to the log, not to the caller.
pub(crate) fn store(error: &StoreError) -> ServiceError {
    tracing::warn!(operation = error.operation, kind = ?error.kind, error = error.message, "namespace store call failed");
    let operation = error.operation;
    match error.kind {
        StoreErrorKind::Unavailable => {
            ServiceError::unavailable(format!("{operation} operation failed: the store cannot answer now"))
        }
        StoreErrorKind::OutcomeUnknown => {
            ServiceError::unavailable(format!("{operation} operation failed: its outcome is not known"))
        }
        StoreErrorKind::Corrupt => corrupt(format!("{operation} operation failed: stored data cannot be read")),
        StoreErrorKind::LeaseLost
        | StoreErrorKind::Conflict
        | StoreErrorKind::AlreadyExists
        | StoreErrorKind::NotFound => ServiceError::internal(format!("{operation} operation failed")),
    }
}

/// Stored data that is not what was written.
pub(crate) fn corrupt(message: impl Into<Cow<'static, str>>) -> ServiceError {
    ServiceError::new(ErrorKind::DataLoss, message)
}

/// No namespace has this name or id.
pub(crate) fn not_found(name: &str) -> ServiceError {
    let kind = ErrorKind::NamespaceNotFound { namespace: name.to_owned() };
    ServiceError::new(kind, format!("Namespace {name} is not found."))
}

/// The name is taken.
pub(crate) fn already_exists(name: &str) -> ServiceError {
    // Quoted and escaped as clients know it.
    ServiceError::new(ErrorKind::NamespaceAlreadyExists, format!("Namespace {name:?} already exists"))
}

/// Neither name nor id.
pub(crate) fn not_set() -> ServiceError {
    ServiceError::invalid_argument("Namespace not set on request.")
}
