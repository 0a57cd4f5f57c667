//! A crate depends only on floors below its own: `docs/architecture.md` says which, cargo says what is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::{
    markdown::{table, words},
    read, root,
};

const DOCUMENT: &str = "docs/architecture.md";

/// The workspace's own packages; nothing from outside is looked up.
static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap()
});

/// Floor by crate, as the document says.
fn floors() -> BTreeMap<String, u32> {
    table(&read(DOCUMENT), "Floors").into_iter().map(|row| (row[1].clone(), row[0].parse().unwrap())).collect()
}

/// What a crate is built from; with `dev`, what its tests are built from too.
fn dependencies(package: &Package, dev: bool) -> BTreeSet<&str> {
    let wanted = |kind| dev || kind != DependencyKind::Development;
    let all = package.dependencies.iter().filter(|dependency| wanted(dependency.kind));
    all.map(|dependency| dependency.name.as_str()).collect()
}

fn none_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} (see {DOCUMENT}):\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_crate_has_a_floor() {
    let crates: BTreeSet<String> = METADATA.packages.iter().map(|package| package.name.to_string()).collect();
    let known: BTreeSet<String> = floors().into_keys().collect();
    assert_eq!(crates, known, "the workspace and the table in {DOCUMENT} name different crates");
}

#[test]
fn crates_stand_where_the_table_says() {
    let paths: BTreeMap<String, String> =
        table(&read(DOCUMENT), "Floors").into_iter().map(|row| (row[1].clone(), row[2].clone())).collect();
    let root = root().canonicalize().unwrap();
    for package in &METADATA.packages {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        let folder = folder.strip_prefix(&root).unwrap().display().to_string();
        assert_eq!(paths[package.name.as_str()].trim_end_matches('/'), folder, "{}", package.name);
    }
}

#[test]
fn dependencies_go_down() {
    let floors = floors();
    let mut wrong = Vec::new();
    for package in &METADATA.packages {
        let own = floors[package.name.as_str()];
        for name in dependencies(package, false) {
            if let Some(floor) = floors.get(name).filter(|floor| **floor >= own) {
                wrong.push(format!("{} (floor {own}) depends on {name} (floor {floor})", package.name));
            }
        }
    }
    none_wrong(&wrong);
}

/// Tests may use their own crate's kit and what stands beside it, never what stands above.
#[test]
fn tests_do_not_reach_up() {
    let floors = floors();
    let mut wrong = Vec::new();
    for package in &METADATA.packages {
        let own = floors[package.name.as_str()];
        for name in dependencies(package, true) {
            if let Some(floor) = floors.get(name).filter(|floor| **floor > own) {
                wrong.push(format!("tests of {} (floor {own}) use {name} (floor {floor})", package.name));
            }
        }
    }
    none_wrong(&wrong);
}

#[test]
fn outside_crates_have_one_home() {
    let mut wrong = Vec::new();
    for row in table(&read(DOCUMENT), "Homes") {
        let homes = words(&row[1]);
        for outside in words(&row[0]) {
            let users =
                METADATA.packages.iter().filter(|package| dependencies(package, true).contains(outside.as_str()));
            let strangers = users.filter(|package| !homes.contains(&package.name.to_string()));
            wrong.extend(strangers.map(|package| format!("{} depends on {outside}", package.name)));
        }
    }
    none_wrong(&wrong);
}

#[test]
fn machines_are_pure() {
    let document = read(DOCUMENT);
    let allowed: BTreeSet<String> =
        table(&document, "What machines may use").into_iter().map(|row| row[0].clone()).collect();
    let floors = floors();
    let mut wrong = Vec::new();
    for package in &METADATA.packages {
        if !package.manifest_path.as_str().contains("/core/") {
            continue;
        }
        for name in dependencies(package, false) {
            if !floors.contains_key(name) && !allowed.contains(name) {
                wrong.push(format!("{} depends on {name}", package.name));
            }
        }
    }
    none_wrong(&wrong);
}

#[test]
fn every_crate_takes_the_lints_of_the_house() {
    for package in &METADATA.packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", package.name);
        assert!(package.description.is_some(), "{} does not say what it is", package.name);
    }
}
