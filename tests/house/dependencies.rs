//! The one table of versions, and the document that explains it.

use std::collections::BTreeSet;

use crate::{markdown::table, read};

/// Names in `[workspace.dependencies]`, our own crates apart.
fn declared() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let table = manifest.split_once("\n[workspace.dependencies]\n").unwrap().1;
    let table = table.split("\n[").next().unwrap();
    let names = table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    names.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with("perdure-")).collect()
}

#[test]
fn every_dependency_is_explained() {
    let explained: BTreeSet<String> =
        table(&read("docs/dependencies.md"), "What for").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(declared(), explained, "Cargo.toml and docs/dependencies.md name different crates");
}

#[test]
fn versions_stand_in_one_table() {
    for line in read("Cargo.toml").lines().skip_while(|line| *line != "[workspace.dependencies]") {
        assert!(!line.contains("git = "), "not from a registry: {line}");
    }
    for member in crate::tidy::files().filter(|path| path.ends_with("Cargo.toml") && path != "Cargo.toml") {
        let mut depends = false;
        for line in read(&member).lines() {
            depends = if line.starts_with('[') { line.ends_with("dependencies]") } else { depends };
            if !depends {
                continue;
            }
            assert!(!line.contains("version = ") && !line.contains(" = \""), "{member} has a version: {line}");
        }
    }
}
