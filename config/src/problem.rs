//! What a check finds in a configuration file, in words for the operator.

use std::fmt;

use crate::{DynamicConfigError, Warning};

/// Where something stands in the files that are checked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which file, counted from 0.
    pub file: usize,
    /// Line, counted from 1.
    pub line: u64,
    /// Column in characters, counted from 1.
    pub column: u64,
}

impl Position {
    /// The first character of a file.
    pub const fn start(file: usize) -> Self {
        Self { file, line: 1, column: 1 }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::start(0)
    }
}

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No server should start from the file.
    Error,
    /// The file is taken, and something in it does not do what it seems to.
    Warning,
    /// The file is right, and this release cannot serve a part of it.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Something found in a file. Its cause displays as one line without the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What.
    pub cause: Cause,
}

/// What was found. `key` is always the whole path, such as `persistence.defaultStore`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The text is not YAML, or of another shape than a configuration has.
    #[error("{0}")]
    Form(String),
    /// The text has to be rendered before anybody can read it.
    #[error(
        "the file is a Go template (# {marker} in line {line}) and is not rendered here; \
         check what it renders to, or remove that comment when nothing needs rendering"
    )]
    Template {
        /// The word that says so.
        marker: &'static str,
        /// The line it stands in.
        line: u64,
    },
    /// Neither kind of configuration has any of the top-level keys.
    #[error(
        "neither static nor dynamic configuration: a static one has keys such as persistence and services, \
         a dynamic one such as frontend.rps; --kind says what it is"
    )]
    Unrecognised,
    /// Temporal would read past such a key without a word.
    #[error("unknown key {key}{}", unknown(.nearest, .known))]
    UnknownKey {
        /// As given.
        key: String,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
        /// The keys there are.
        known: &'static [&'static str],
    },
    /// A key of the other kind of configuration.
    #[error(
        "{key} is a dynamic config key; move it to the file that dynamicConfigClient.filepath names, \
         as a list of {{value, constraints}}"
    )]
    DynamicKey {
        /// As given.
        key: String,
    },
    /// A map has a key twice.
    #[error("{key} is given twice, first in line {first}; keep one of them")]
    Twice {
        /// The key.
        key: String,
        /// Line of the first.
        first: u64,
    },
    /// A value of the wrong type or out of range.
    #[error("{key} takes {takes}, not {given}")]
    Value {
        /// The key.
        key: String,
        /// What it takes.
        takes: String,
        /// What was given.
        given: String,
    },
    /// A key that must be given.
    #[error("{key} is missing; write {write}")]
    Missing {
        /// The key.
        key: String,
        /// What to write.
        write: String,
    },
    /// Things that exclude each other, with what to write instead.
    #[error("{0}")]
    Contradiction(String),
    /// Something that has no effect or another one than it seems to.
    #[error("{0}")]
    Doubt(String),
    /// Something that this release does not serve.
    #[error("{0}")]
    NotServed(String),
    /// What the loader of dynamic configuration refuses.
    #[error("{}", .0.without_place())]
    Dynamic(DynamicConfigError),
    /// What the loader of dynamic configuration warns of.
    #[error("{}", .0.without_place())]
    DynamicWarning(Warning),
}

impl Problem {
    /// How much it weighs.
    pub fn severity(&self) -> Severity {
        match self.cause {
            Cause::Form(_)
            | Cause::Template { .. }
            | Cause::Unrecognised
            | Cause::UnknownKey { .. }
            | Cause::DynamicKey { .. }
            | Cause::Twice { .. }
            | Cause::Value { .. }
            | Cause::Missing { .. }
            | Cause::Contradiction(_)
            | Cause::Dynamic(_) => Severity::Error,
            Cause::Doubt(_) | Cause::DynamicWarning(_) => Severity::Warning,
            Cause::NotServed(_) => Severity::Note,
        }
    }
}

/// Known keys are listed up to this many.
const KNOWN_LISTED_MAX: usize = 12;

fn unknown(nearest: &Option<&'static str>, known: &[&'static str]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None if known.len() <= KNOWN_LISTED_MAX => format!("; remove it, the keys here are {}", known.join(", ")),
        None => "; remove it, Temporal has no such key".to_owned(),
    }
}

/// Collects what is found.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, at: Position, cause: Cause) {
        self.0.push(Problem { at, cause });
    }

    pub(crate) fn contradiction(&mut self, at: Position, text: impl Into<String>) {
        self.add(at, Cause::Contradiction(text.into()));
    }

    pub(crate) fn doubt(&mut self, at: Position, text: impl Into<String>) {
        self.add(at, Cause::Doubt(text.into()));
    }

    pub(crate) fn missing(&mut self, at: Position, key: impl Into<String>, write: impl Into<String>) {
        self.add(at, Cause::Missing { key: key.into(), write: write.into() });
    }

    /// All of them in the order of the files, each once.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.at);
        self.0.dedup();
        self.0
    }
}
