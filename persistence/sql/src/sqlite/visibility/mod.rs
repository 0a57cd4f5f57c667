//! Visibility in SQLite: rows beside those of runs, written in the same transactions.
//!
//! A filter becomes SQL with every value bound. What comes first is one index, chosen by looking how much of
//! it the filter leaves: see [`access`].

mod access;
mod condition;
mod counted;
mod direct;
mod list;
mod read;
mod rows;
mod write;

pub(super) use list::list;
pub(super) use read::{count, groups};
pub(super) use rows::{load, scan};
pub(super) use write::{VisibilityRows, remove};

use perdure_kernel::{NamespaceId, VisibilityRecord, visibility::NAMESPACE_DIVISION};
use perdure_visibility::{
    Attribute, Kind,
    attributes::{self, Value},
};

use crate::key;

/// What stands after the namespace's key in a scope.
const NO_DIVISION: u8 = 0;
const DIVISION: u8 = 1;

/// The key of a namespace and division.
fn scope(namespace: &NamespaceId, division: Option<&str>) -> Vec<u8> {
    let mut bytes = key::queue_prefix(namespace);
    match division {
        None => bytes.push(NO_DIVISION),
        Some(division) => {
            bytes.push(DIVISION);
            bytes.extend(division.as_bytes());
        }
    }
    bytes
}

/// The scope of a record's row.
fn scope_of(record: &VisibilityRecord) -> Vec<u8> {
    let division = record.search_attributes.indexed_fields.get(NAMESPACE_DIVISION).and_then(attributes::decode);
    let division = match &division {
        Some((_, Value::Keyword(division))) => Some(division.as_str()),
        Some(_) | None => None,
    };
    scope(&record.key.business.namespace_id, division)
}

/// The name under which an attribute's values are stored: those of different types do not meet.
fn stored_field(attribute: &Attribute) -> String {
    let letter = match attribute.kind {
        Kind::Bool => 'b',
        Kind::Datetime => 't',
        Kind::Double => 'd',
        Kind::Int => 'i',
        Kind::Keyword => 'k',
        Kind::KeywordList => 'l',
        Kind::Text => 'w',
    };
    format!("{letter}{}", attribute.name)
}
