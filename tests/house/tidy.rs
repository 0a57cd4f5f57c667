//! Rules of style that no other tool checks.

use std::{fs, path::Path};

use crate::{read, root};

/// Lines of a source file, its tests apart.
const LINES_MAX: usize = 500;

/// Folders that are made, not written.
const MADE: [&str; 6] = ["target", ".git", "node_modules", ".venv", "__pycache__", ".pytest_cache"];

/// Kinds of files that people write.
const WRITTEN: [&str; 11] = ["rs", "toml", "md", "proto", "sql", "sh", "py", "ts", "yaml", "yml", "json"];

/// Paths from the root of everything that people write.
pub(crate) fn files() -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.sort();
    found.into_iter()
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !MADE.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file() && (written(&name) || name == "Makefile" || prefix == ".ci/") {
            found.push(path);
        }
    }
}

fn written(name: &str) -> bool {
    let kind = Path::new(name).extension().and_then(|kind| kind.to_str());
    kind.is_some_and(|kind| WRITTEN.contains(&kind)) && name != "package-lock.json"
}

fn rust() -> impl Iterator<Item = String> {
    files().filter(|path| path.ends_with(".rs"))
}

/// Whether a file holds nothing but tests.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

/// Lines before the tests at the foot.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let foot = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'));
    foot.unwrap_or(lines.len())
}

#[test]
fn files_are_short() {
    let long: Vec<String> = rust()
        .filter(|path| !is_test(path))
        .map(|path| (code_lines(&read(&path)), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines; split by noun or verb:\n{}", long.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // Written in halves, so that this file does not name them.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut found = Vec::new();
    for path in files() {
        for (number, line) in read(&path).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "say what is so, or open an issue:\n{}", found.join("\n"));
}

#[test]
fn modules_say_what_they_are() {
    let silent: Vec<String> = rust().filter(|path| !is_test(path) && !read(path).starts_with("//!")).collect();
    assert!(silent.is_empty(), "a file begins with a line that says what it holds:\n{}", silent.join("\n"));
}

#[test]
fn tests_do_not_sleep_for_luck() {
    let sleeping: Vec<String> = rust()
        .filter(|path| !path.starts_with("bench/") && !path.starts_with("tests/house/"))
        .filter(|path| read(path).contains("std::thread::sleep(") || read(path).contains(" thread::sleep("))
        .collect();
    assert!(sleeping.is_empty(), "wait on a predicate or on paused time:\n{}", sleeping.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files().filter(|path| path.ends_with(".md")) {
        let folder = root().join(&path).parent().unwrap().to_path_buf();
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains(':') && !folder.join(file).exists() {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn lines_are_counted_up_to_the_tests() {
    assert_eq!(code_lines("a\nb\n\n#[cfg(test)]\nmod tests {\n}\n"), 3);
    assert_eq!(code_lines("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
}
