//! A YAML text as a tree that knows where everything stands.

use std::{collections::HashMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use crate::{
    Value,
    problem::{Cause, Position, Problems},
};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    /// What YAML takes it for, and the text as it stands in the file.
    Scalar(Kind, String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// What YAML takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

impl Node {
    /// Reads the text of the `file`th file. What is not YAML gives the problem and nothing else; a key that
    /// a map has twice is a problem, and the first holds.
    pub(crate) fn parse(text: &str, file: usize, problems: &mut Problems) -> Option<Self> {
        // As in Temporal's reader, only true and false are booleans. Keys given twice are passed on, so that
        // all of them can be told.
        let options = serde_saphyr::options! {
            strict_booleans: true,
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
        };
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(raw) => Some(Tree { text, file, problems }.node(raw, "")),
            Err(error) => {
                problems.add(place(&error, file), Cause::Form(format!("not YAML: {}", words(&error, text))));
                None
            }
        }
    }

    /// The value without its places.
    pub(crate) fn value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Scalar(kind, text) => match kind {
                Kind::Bool(value) => Value::Bool(*value),
                Kind::Int(value) => Value::Int(*value),
                Kind::Float(value) => Value::Float(*value),
                Kind::Text => Value::Text(text.clone()),
            },
            Data::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Data::Map(entries) => {
                Value::Map(entries.iter().map(|entry| (entry.key.clone(), entry.node.value())).collect())
            }
        }
    }
}

/// The value in a few words.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Data::Null => f.write_str("nothing"),
            Data::Scalar(Kind::Text, text) => write!(f, "{:?}", shortened(text)),
            Data::Scalar(Kind::Bool(_) | Kind::Int(_) | Kind::Float(_), text) => f.write_str(&shortened(text)),
            Data::List(_) => f.write_str("a list"),
            Data::Map(_) => f.write_str("a map"),
        }
    }
}

/// A value that is longer than this is cut in messages.
const SHOWN_MAX: usize = 60;

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain("...".chars()).collect()
}

fn place(error: &serde_saphyr::Error, file: usize) -> Position {
    error.location().map_or(Position::start(file), |location| position(file, location))
}

/// One line, without the place, which is told apart.
fn words(error: &serde_saphyr::Error, text: &str) -> String {
    let error = error.without_snippet();
    if let serde_saphyr::Error::MultipleDocuments { .. } = error {
        return "a second document begins here; keep each in a file of its own".to_owned();
    }
    let words = error.to_string().replace('\n', " ");
    let words = error.location().map_or(words.as_str(), |at| {
        let place = format!(" at line {}, column {}", at.line(), at.column());
        words.strip_suffix(place.as_str()).unwrap_or(&words)
    });
    let hint = if text.contains("{{") { "; a Go template has to be rendered before it is checked" } else { "" };
    format!("{words}{hint}")
}

fn position(file: usize, location: Location) -> Position {
    // Unknown places count as 0.
    Position { file, line: location.line().max(1), column: location.column().max(1) }
}

/// What the parser gives. Plain scalars come without their text, which the tree takes from the source.
enum Raw {
    Null,
    Plain(Kind),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct Tree<'a> {
    text: &'a str,
    file: usize,
    problems: &'a mut Problems,
}

impl Tree<'_> {
    fn node(&mut self, raw: Spanned<Raw>, path: &str) -> Node {
        let at = position(self.file, raw.referenced);
        let data = match raw.value {
            Raw::Null => Data::Null,
            Raw::Plain(kind) => Data::Scalar(kind, self.source(raw.defined, kind)),
            Raw::Text(text) => Data::Scalar(Kind::Text, text),
            Raw::List(items) => Data::List(items.into_iter().map(|item| self.node(item, path)).collect()),
            Raw::Map(entries) => Data::Map(self.entries(entries, path)),
        };
        Node { at, data }
    }

    fn entries(&mut self, raw: Vec<(Spanned<String>, Spanned<Raw>)>, path: &str) -> Vec<Entry> {
        let mut lines: HashMap<String, u64> = HashMap::with_capacity(raw.len());
        let mut entries = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let at = position(self.file, key.referenced);
            let path = joined(path, &key.value);
            if let Some(first) = lines.get(&key.value) {
                self.problems.add(at, Cause::Twice { key: path, first: *first });
                continue;
            }
            lines.insert(key.value.clone(), at.line);
            entries.push(Entry { at, node: self.node(value, &path), key: key.value });
        }
        entries
    }

    /// A plain scalar as it stands in the file: `0666` is text to a key that takes text.
    fn source(&self, at: Location, kind: Kind) -> String {
        let span = at.span();
        let source = span.byte_offset().zip(span.byte_len()).and_then(|(from, length)| {
            let from = usize::try_from(from).ok()?;
            self.text.get(from..from.checked_add(usize::try_from(length).ok()?)?)
        });
        match (source, kind) {
            (Some(source), _) => source.trim().to_owned(),
            (None, Kind::Bool(value)) => value.to_string(),
            (None, Kind::Int(value)) => value.to_string(),
            (None, Kind::Float(value)) => value.to_string(),
            (None, Kind::Text) => String::new(),
        }
    }
}

/// `section.key`.
pub(crate) fn joined(section: &str, key: &str) -> String {
    if section.is_empty() { shortened(key) } else { format!("{section}.{}", shortened(key)) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Int(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(i64::try_from(value).map_or(Kind::Float(value as f64), Kind::Int)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
