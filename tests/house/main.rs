//! The checks of the house itself: what the documents say of the code is true, and the code is tidy.

#![allow(clippy::unwrap_used)]

mod dependencies;
mod floors;
mod markdown;
mod tidy;

use std::path::PathBuf;

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}
