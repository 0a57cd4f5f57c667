//! Values of search attributes: JSON of the attribute's type, or nothing to remove it.

use std::fmt::Write as _;

use perdure_proto::api::{common::Payload, enums::IndexedValueType};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::go_float;

const ENCODING: &str = "encoding";
const JSON: &[u8] = b"json/plain";
const NULL: &[u8] = b"binary/null";

/// Whether a payload holds a value of `value_type`. A single value may also come as a list of one or none.
pub(super) fn is_of_type(payload: &Payload, value_type: IndexedValueType) -> bool {
    match payload.metadata.get(ENCODING).map(|encoding| &encoding[..]) {
        Some(NULL) => return true,
        Some(JSON) => {}
        Some(_) | None => return false,
    }
    let json = &payload.data[..];
    match value_type {
        IndexedValueType::Bool => is_one::<bool>(json, |_| true),
        IndexedValueType::Int => is_one::<i64>(json, |_| true),
        IndexedValueType::Double => is_one::<f64>(json, |_| true),
        IndexedValueType::Keyword | IndexedValueType::Text => is_one::<String>(json, |_| true),
        IndexedValueType::Datetime => is_one::<String>(json, |text| is_rfc_3339(text)),
        IndexedValueType::KeywordList => is::<Option<Vec<Option<String>>>>(json).is_some(),
        IndexedValueType::Unspecified => false,
    }
}

fn is<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

fn is_one<T: DeserializeOwned>(json: &[u8], fits: impl Fn(&T) -> bool) -> bool {
    if let Some(one) = is::<Option<T>>(json) {
        return one.is_none_or(|one| fits(&one));
    }
    is::<Vec<Option<T>>>(json).is_some_and(|list| list.len() <= 1 && list.iter().flatten().all(fits))
}

fn is_rfc_3339(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && text.parse::<jiff::Timestamp>().is_ok()
}

/// A value for an error text.
pub(super) fn display(payload: &Payload) -> String {
    let mut text = String::new();
    match serde_json::from_slice(&payload.data) {
        Ok(value) => write_value(&mut text, &value),
        Err(_not_json) => {
            let encoding = payload.metadata.get(ENCODING).map(|encoding| String::from_utf8_lossy(encoding));
            let _ =
                write!(text, "value from <{} bytes of encoding {}>", payload.data.len(), encoding.unwrap_or_default());
        }
    }
    text
}

/// As Temporal prints it: bare strings, lists in brackets with blanks between.
fn write_value(text: &mut String, value: &Value) {
    // Writing into a string does not fail.
    let _ = match value {
        Value::Null => write!(text, "<nil>"),
        Value::Bool(value) => write!(text, "{value}"),
        Value::Number(value) => write!(text, "{}", value.as_f64().map_or_else(|| value.to_string(), go_float::show)),
        Value::String(value) => write!(text, "{value}"),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                write_value(text, value);
            }
            text.push(']');
            Ok(())
        }
        Value::Object(fields) => {
            text.push_str("map[");
            for (index, (name, value)) in fields.iter().enumerate() {
                let blank = if index > 0 { " " } else { "" };
                let _ = write!(text, "{blank}{name}:");
                write_value(text, value);
            }
            text.push(']');
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn payload(encoding: &'static str, json: &str) -> Payload {
        Payload {
            metadata: BTreeMap::from([("encoding".into(), encoding.into())]),
            data: json.to_owned().into(),
            ..Payload::default()
        }
    }

    #[test]
    fn types() {
        use IndexedValueType::{Bool, Datetime, Double, Int, Keyword, KeywordList, Text, Unspecified};
        for (value_type, good, bad) in [
            (Bool, &["true", "null", "[true]", "[]"][..], &["[true,true]", "1", "\"true\"", "{}", ""][..]),
            (Int, &["5", "-5", "[1]"], &["[1,2]", "5.0", "1e3", "\"5\"", "9223372036854775808"]),
            (Double, &["5", "5.5", "1e3"], &["\"5\"", "true"]),
            (Keyword, &["\"x\"", "[\"x\"]", "null"], &["[\"x\",\"x\"]", "5", "[5]"]),
            (Text, &["\"x\""], &["{}"]),
            (
                Datetime,
                &["\"2024-01-02T03:04:05Z\"", "\"2024-01-02T03:04:05.123456789+01:00\""],
                &["\"2024-01-02\"", "\"2024-01-02 03:04:05Z\"", "\"soon\"", "5"],
            ),
            (KeywordList, &["[\"a\",\"b\"]", "[]", "null", "[null]"], &["\"a\"", "[1]"]),
            (Unspecified, &[], &["1"]),
        ] {
            for json in good {
                assert!(is_of_type(&payload("json/plain", json), value_type), "{value_type:?} {json}");
            }
            for json in bad {
                assert!(!is_of_type(&payload("json/plain", json), value_type), "{value_type:?} {json}");
            }
            if value_type != Unspecified {
                assert!(is_of_type(&payload("binary/null", ""), value_type));
            }
            assert!(!is_of_type(&payload("binary/plain", "true"), value_type));
        }
    }

    #[test]
    fn shows_values() {
        for (json, shown) in [
            ("\"x\"", "x"),
            ("5", "5"),
            ("5.0", "5"),
            ("-0.25", "-0.25"),
            ("1e6", "1e+06"),
            ("[1,\"a\",null]", "[1 a <nil>]"),
            ("{\"a\":[true]}", "map[a:[true]]"),
            ("zzz", "value from <3 bytes of encoding json/plain>"),
        ] {
            assert_eq!(display(&payload("json/plain", json)), shown);
        }
    }
}
