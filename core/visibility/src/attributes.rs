//! Values of search attributes as records hold them: JSON in payloads that name their type.

use perdure_proto::api::common::Payload;

use crate::Kind;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A keyword.
    Keyword(String),
    /// A whole number; for instants, nanoseconds.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Keywords.
    Keywords(Vec<String>),
    /// A text.
    Text(String),
}

/// The value that a payload holds and its type; `None` when it holds none, or none that can be searched:
/// what came in was checked against its type, and a list stands for a single value only if it has one.
pub fn decode(payload: &Payload) -> Option<(Kind, Value)> {
    let kind = Kind::from_name(payload.metadata.get("type")?)?;
    let json: serde_json::Value = serde_json::from_slice(&payload.data).ok()?;
    let json = match (kind, json) {
        (Kind::KeywordList, json) => json,
        (_, serde_json::Value::Array(mut list)) if list.len() == 1 => list.pop()?,
        (_, json) => json,
    };
    let value = match kind {
        Kind::Bool => Value::Bool(json.as_bool()?),
        Kind::Datetime => Value::Int(crate::literal::instant(json.as_str()?)?),
        Kind::Double => Value::Double(json.as_f64()?),
        Kind::Int => Value::Int(json.as_i64()?),
        Kind::Keyword => Value::Keyword(json.as_str()?.to_owned()),
        Kind::KeywordList => Value::Keywords(match json {
            serde_json::Value::String(one) => vec![one],
            list => list.as_array()?.iter().filter_map(|keyword| keyword.as_str().map(str::to_owned)).collect(),
        }),
        Kind::Text => Value::Text(json.as_str()?.to_owned()),
    };
    (value != Value::Keywords(Vec::new())).then_some((kind, value))
}
