//! Tells what is wrong with a configuration file of either kind.

use crate::{
    keys::{known_key, nearest, retired_key},
    load,
    node::{Data, Node},
    problem::{Cause, Position, Problem, Problems},
    static_config::{StaticConfig, template_line},
};

/// Kinds of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// What a server is started with: stores, services, security.
    Static,
    /// Limits and switches that may change while it runs.
    Dynamic,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What the file was taken for, if that could be told.
    pub kind: Option<FileKind>,
    /// Everything found, in the order of the files.
    pub problems: Vec<Problem>,
}

/// Checks the text of a file. Without a kind its top-level keys tell which it is.
pub fn check(text: &str, kind: Option<FileKind>) -> Checked {
    let kind = match kind {
        Some(kind) => kind,
        None => match kind_of(text) {
            Ok(kind) => kind,
            Err(problems) => return Checked { kind: None, problems },
        },
    };
    let problems = match kind {
        FileKind::Static => StaticConfig::read(&[text]).1,
        FileKind::Dynamic => load::check(text),
    };
    Checked { kind: Some(kind), problems }
}

/// Checks static files as the one configuration that they merge to, later ones over earlier ones.
pub fn check_merged(texts: &[&str]) -> Checked {
    Checked { kind: Some(FileKind::Static), problems: StaticConfig::read(texts).1 }
}

/// What the top-level keys of a text say it is.
fn kind_of(text: &str) -> Result<FileKind, Vec<Problem>> {
    if template_line(text).is_some() {
        return Ok(FileKind::Static);
    }
    let mut problems = Problems::default();
    let Some(root) = Node::parse(text, 0, &mut problems) else { return Err(problems.into_sorted()) };
    let keys = match &root.data {
        // Temporal's image brings an empty file of dynamic configuration along.
        Data::Null => return Ok(FileKind::Dynamic),
        Data::Map(entries) if entries.is_empty() => return Ok(FileKind::Dynamic),
        Data::Map(entries) => entries,
        Data::Scalar(..) | Data::List(_) => return Err(unrecognised(root.at)),
    };
    let is_section = |key: &str| StaticConfig::SECTIONS.contains(&key);
    if keys.iter().any(|entry| is_section(&entry.key)) {
        return Ok(FileKind::Static);
    }
    if keys.iter().any(|entry| is_dynamic(&entry.key)) {
        return Ok(FileKind::Dynamic);
    }
    // Nothing is known. A slip in the only key is told as such.
    if keys.iter().any(|entry| nearest(&entry.key, StaticConfig::SECTIONS).is_some()) {
        return Ok(FileKind::Static);
    }
    if keys.iter().any(|entry| entry.key.contains('.')) {
        return Ok(FileKind::Dynamic);
    }
    Err(unrecognised(root.at))
}

fn is_dynamic(key: &str) -> bool {
    known_key(key).is_some() || retired_key(key).is_some()
}

fn unrecognised(at: Position) -> Vec<Problem> {
    vec![Problem { at, cause: Cause::Unrecognised }]
}
