//! A value as a file or a flag gives it, before its key says what type it must have.

use std::{fmt, time::Duration};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use perdure_kernel::AddressRule;

use crate::parse_duration;

/// An untyped value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing was given.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map, in its order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// Reads a JSON value, as `--dynamic-config-value KEY=VALUE` takes it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// A whole number.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A number.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A truth value, or one of the words that Temporal takes for it.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => None,
            },
            Self::Null | Self::Int(_) | Self::Float(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The addresses that callbacks may go to: a list of maps with `Pattern` and `AllowInsecure`, in any case.
    /// As in Temporal, an entry without a pattern is left out.
    pub(crate) fn as_addresses(&self) -> Result<Vec<AddressRule>, &'static str> {
        const FORM: &str = "a list of {Pattern: host:port, AllowInsecure: true or false}";
        let Self::List(entries) = self else { return Err(FORM) };
        let mut rules = Vec::with_capacity(entries.len());
        for entry in entries {
            let Self::Map(fields) = entry else { return Err(FORM) };
            let mut rule = AddressRule { pattern: String::new(), allow_insecure: false };
            for (name, value) in fields {
                match (name.to_ascii_lowercase().as_str(), value) {
                    ("pattern", Self::Text(pattern)) => rule.pattern.clone_from(pattern),
                    ("allowinsecure", Self::Bool(allow)) => rule.allow_insecure = *allow,
                    (_, _) => return Err(FORM),
                }
            }
            if !rule.pattern.is_empty() {
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    /// A list of texts.
    pub(crate) fn as_names(&self) -> Option<Vec<String>> {
        let Self::List(entries) = self else { return None };
        let text = |entry: &Self| if let Self::Text(text) = entry { Some(text.clone()) } else { None };
        entries.iter().map(text).collect()
    }

    /// A duration: text with units, or a number of seconds.
    pub(crate) fn as_duration(&self) -> Result<Duration, &'static str> {
        match self {
            Self::Text(text) => parse_duration(text),
            Self::Int(seconds) => {
                u64::try_from(*seconds).map(Duration::from_secs).map_err(|_| "a duration of 0 or more")
            }
            Self::Float(seconds) => Duration::try_from_secs_f64(*seconds).map_err(|_| "a duration of 0 or more"),
            Self::Null | Self::Bool(_) | Self::List(_) | Self::Map(_) => Err("a duration such as 10s"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_values() {
        for (text, value) in [
            ("1", Value::Int(1)),
            ("-1", Value::Int(-1)),
            ("1.5", Value::Float(1.5)),
            ("18446744073709551615", Value::Float(u64::MAX as f64)),
            ("true", Value::Bool(true)),
            ("null", Value::Null),
            ("\"10s\"", Value::Text("10s".into())),
            ("[1,{}]", Value::List(vec![Value::Int(1), Value::Map(Vec::new())])),
            ("{\"a\":[1]}", Value::Map(vec![("a".into(), Value::List(vec![Value::Int(1)]))])),
        ] {
            assert_eq!(Value::from_json(text), Ok(value), "{text}");
        }
        for text in ["", "abc", "10s", "1 2", "'a'", "{"] {
            assert!(Value::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn coercion_is_temporals() {
        assert_eq!(Value::Float(3.0).as_int(), None);
        assert_eq!(Value::Text("3".into()).as_int(), None);
        assert_eq!(Value::Int(3).as_float(), Some(3.0));
        assert_eq!(Value::Text("T".into()).as_bool(), Some(true));
        assert_eq!(Value::Text("yes".into()).as_bool(), None);
        assert_eq!(Value::Int(1).as_bool(), None);
        assert_eq!(Value::Int(3).as_duration(), Ok(Duration::from_secs(3)));
        assert_eq!(Value::Float(0.5).as_duration(), Ok(Duration::from_millis(500)));
        assert_eq!(Value::Text("2m".into()).as_duration(), Ok(Duration::from_secs(120)));
        for bad in [
            Value::Int(-1),
            Value::Float(-0.5),
            Value::Float(f64::NAN),
            Value::Float(1e300),
            Value::Null,
            Value::Bool(true),
        ] {
            assert!(bad.as_duration().is_err(), "{bad}");
        }
    }
}
