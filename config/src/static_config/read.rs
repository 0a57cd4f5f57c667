//! From the tree of a file to typed values, in place: reading a second file into what the first gave merges
//! as Temporal's loader does. Sections take over key by key; lists and the entries of maps are replaced whole.

use std::{collections::BTreeMap, ops::Deref};

use crate::{
    Value,
    keys::nearest,
    node::{Data, Entry, Node, joined},
    problem::{Cause, Position, Problems},
};

use super::scalar::Scalar;

/// A value and where a file gives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item<T> {
    /// The value; the default when no file gives one.
    pub value: T,
    /// Where it is given.
    pub at: Option<Position>,
    /// A value was given and refused: nothing more is to be said about it.
    refused: bool,
}

/// Where a section stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Position of its key.
    pub at: Position,
    /// Path of its key, such as `services.frontend.rpc`. Empty for a section that no file gives.
    pub path: String,
    /// Something else than a section stands there: nothing more is to be said about it.
    pub(super) refused: bool,
}

/// A map whose keys the operator chooses.
pub type Entries<T> = BTreeMap<String, T>;

/// Reads files one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) problems: Problems,
    path: String,
}

/// What can be read from a node.
pub(crate) trait Read: Default {
    /// Takes over what the node says; what is wrong goes to the reader's problems.
    fn read(&mut self, key: Position, node: &Node, reader: &mut Reader);
}

/// A map whose keys are fixed.
pub(crate) trait Section: Default {
    /// Its keys.
    const KEYS: &'static [&'static str];
    /// Keys that files have and nothing reads, with why.
    const UNREAD: &'static [(&'static str, &'static str)];

    /// Where it stands.
    fn origin(&mut self) -> &mut Origin;

    /// Reads the value of one of the keys.
    fn read_key(&mut self, key: &str, at: Position, node: &Node, reader: &mut Reader);
}

impl Reader {
    /// Reads a whole file.
    pub(crate) fn file<S: Section>(&mut self, root: &mut S, node: &Node) {
        self.path.clear();
        self.section(root, Position::start(node.at.file), node);
    }

    pub(crate) fn section<S: Section>(&mut self, section: &mut S, key: Position, node: &Node) {
        let refused = matches!(node.data, Data::Scalar(..) | Data::List(_));
        *section.origin() = Origin { at: key, path: self.path.clone(), refused };
        for entry in self.entries(node) {
            self.within(&entry.key, |reader| {
                if S::KEYS.contains(&entry.key.as_str()) {
                    section.read_key(&entry.key, entry.at, &entry.node, reader);
                } else {
                    reader.stray::<S>(entry);
                }
            });
        }
    }

    /// A key that the section does not have.
    fn stray<S: Section>(&mut self, entry: &Entry) {
        let key = self.path.clone();
        let cause = if let Some((_, why)) = S::UNREAD.iter().find(|(unread, _)| *unread == entry.key) {
            Cause::Doubt(format!("{key} has no effect: {why}"))
        } else if entry.key.contains('.') && crate::known_key(&entry.key).is_some() {
            Cause::DynamicKey { key: entry.key.clone() }
        } else {
            Cause::UnknownKey { key, nearest: nearest(&entry.key, S::KEYS), known: S::KEYS }
        };
        self.problems.add(entry.at, cause);
    }

    fn entries<'n>(&mut self, node: &'n Node) -> &'n [Entry] {
        match &node.data {
            Data::Map(entries) => entries,
            Data::Null => &[],
            Data::Scalar(..) | Data::List(_) => {
                self.refuse("keys and values", node);
                &[]
            }
        }
    }

    pub(crate) fn refuse(&mut self, takes: &str, node: &Node) {
        let key = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
        self.problems.add(node.at, Cause::Value { key, takes: takes.to_owned(), given: node.to_string() });
    }

    fn within(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path = joined(&self.path, key);
        read(self);
        self.path.truncate(length);
    }
}

impl<T: Scalar> Read for Item<T> {
    fn read(&mut self, _key: Position, node: &Node, reader: &mut Reader) {
        let parsed = match &node.data {
            // As in Temporal, a key without a value leaves what was there.
            Data::Null => return,
            Data::Scalar(kind, text) => T::parse(*kind, text),
            Data::List(_) | Data::Map(_) => Err(T::takes()),
        };
        self.at = Some(node.at);
        self.refused = parsed.is_err();
        match parsed {
            Ok(value) => self.value = value,
            Err(takes) => reader.refuse(&takes, node),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(&mut self, _key: Position, node: &Node, reader: &mut Reader) {
        self.clear();
        match &node.data {
            Data::Null => {}
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let mut value = T::default();
                    let length = reader.path.len();
                    reader.path.push_str(&format!("[{index}]"));
                    value.read(item.at, item, reader);
                    reader.path.truncate(length);
                    self.push(value);
                }
            }
            Data::Scalar(..) | Data::Map(_) => reader.refuse("a list", node),
        }
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(&mut self, _key: Position, node: &Node, reader: &mut Reader) {
        if node.data == Data::Null {
            self.clear();
        }
        for entry in reader.entries(node) {
            let mut value = T::default();
            reader.within(&entry.key, |reader| value.read(entry.at, &entry.node, reader));
            self.insert(entry.key.clone(), value);
        }
    }
}

/// A section that makes a difference by being there, even when it is empty.
impl<T: Read> Read for Option<T> {
    fn read(&mut self, key: Position, node: &Node, reader: &mut Reader) {
        match node.data {
            Data::Null => *self = None,
            Data::Scalar(..) | Data::List(_) | Data::Map(_) => self.get_or_insert_default().read(key, node, reader),
        }
    }
}

/// Anything goes: options of parts that are not Temporal's own.
impl Read for Option<Value> {
    fn read(&mut self, _key: Position, node: &Node, _reader: &mut Reader) {
        *self = Some(node.value());
    }
}

impl<T> Item<T> {
    /// A default.
    pub(crate) fn new(value: T) -> Self {
        Self { value, at: None, refused: false }
    }

    /// Where the value stands, or where its section does.
    pub(crate) fn place(&self, section: &Origin) -> Position {
        self.at.unwrap_or(section.at)
    }

    /// Whether a value was given that is not of the type.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }
}

impl Item<String> {
    /// Whether some text is given. Templates leave empty text where nothing is meant.
    pub(crate) fn is_given(&self) -> bool {
        !self.value.is_empty()
    }

    /// Tells when text is missing that must be there.
    pub(crate) fn require(&self, section: &Origin, key: &str, write: &str, problems: &mut Problems) {
        if self.value.is_empty() && !self.refused {
            problems.missing(self.place(section), section.key(key), write);
        }
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl Origin {
    /// Path of one of the section's keys.
    pub(crate) fn key(&self, key: &str) -> String {
        joined(&self.path, key)
    }
}

/// Makes a section: its type, its defaults and how it is read.
///
/// A line is `"key" field: Type = default`; without a default the type's own holds.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $key:literal $field:ident: $kind:ty $(= $default:expr)?,)*
        }
        $(unread { $($unread:literal: $why:literal,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// Where it stands.
            pub origin: $crate::static_config::read::Origin,
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    origin: Default::default(),
                    $($field: $crate::static_config::read::section!(@default $($default)?),)*
                }
            }
        }

        impl $crate::static_config::read::Section for $name {
            const KEYS: &'static [&'static str] = &[$($key),*];
            const UNREAD: &'static [(&'static str, &'static str)] = &[$($(($unread, $why)),*)?];

            fn origin(&mut self) -> &mut $crate::static_config::read::Origin {
                &mut self.origin
            }

            fn read_key(
                &mut self,
                key: &str,
                at: $crate::problem::Position,
                node: &$crate::node::Node,
                reader: &mut $crate::static_config::read::Reader,
            ) {
                match key {
                    $($key => $crate::static_config::read::Read::read(&mut self.$field, at, node, reader),)*
                    // The reader asks for the section's own keys alone.
                    _ => {}
                }
            }
        }

        impl $crate::static_config::read::Read for $name {
            fn read(
                &mut self,
                key: $crate::problem::Position,
                node: &$crate::node::Node,
                reader: &mut $crate::static_config::read::Reader,
            ) {
                reader.section(self, key, node);
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $crate::static_config::read::Item::new($default) };
}

pub(crate) use section;
