//! The filter language from the outside.

#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod meaning;
mod properties;
mod refusals;
mod syntax;
