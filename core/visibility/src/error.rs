//! Why a query is refused, in Temporal's words.

use std::fmt;

/// A query that cannot be answered. Shows as clients see it: `invalid query: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(String);

impl QueryError {
    /// Not SQL. `position` counts as Temporal does, in the statement that it makes of the query.
    pub(crate) fn malformed(detail: impl fmt::Display) -> Self {
        Self(format!("malformed SQL query: {detail}"))
    }

    /// SQL, but nothing that filters can do.
    pub(crate) fn unsupported(detail: impl fmt::Display) -> Self {
        Self(format!("operation is not supported: {detail}"))
    }

    /// A part that makes no sense where it stands.
    pub(crate) fn invalid(detail: impl fmt::Display) -> Self {
        Self(format!("invalid expression: {detail}"))
    }

    /// A name that no attribute has.
    pub(crate) fn unknown(name: &str) -> Self {
        Self(format!("invalid search attribute: {name}"))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid query: {}", self.0)
    }
}

impl std::error::Error for QueryError {}
