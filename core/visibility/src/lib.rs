//! The language of list filters, as Temporal's SQL visibility speaks it.
//!
//! - [`Query::parse`] turns a text into a typed tree of closed enums: whoever holds one knows that every
//!   name exists, every value has its attribute's type and every operator is one that the type has.
//! - [`evaluate::matches`] says whether a record passes a filter. It is what the memory store runs and what
//!   the other stores are held against.
//! - [`order::SortKey`] is the one order of lists.
//!
//! The syntax is parsed by the crate `sqlparser`, of which nothing shows outside this crate.

pub mod attributes;
mod convert;
mod dialect;
mod error;
pub mod evaluate;
pub mod field;
mod filter;
mod literal;
pub mod order;
mod print;
mod syntax;
pub mod text;

pub use error::QueryError;
pub use field::{ArchetypeNames, Attribute, Field, Kind, Names};
pub use filter::{Comparison, Filter, GroupBy, Query, Scalar};
pub use order::SortKey;
