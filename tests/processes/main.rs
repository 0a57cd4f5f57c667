//! Tests of the built server from outside: official SDKs, and SIGKILL. They need Python and Node, and take
//! minutes, so plain `cargo test` leaves them out; `make test` runs them.
//!
//! The programs under test are named by `PERDURE_BIN` and `PERDURE_CRASH`.

#![allow(clippy::unwrap_used)]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A program that the caller has built.
fn program(variable: &str) -> PathBuf {
    let path = env::var_os(variable).unwrap_or_else(|| panic!("set {variable}; `make test` does"));
    root().join(path)
}

fn run(command: &mut Command) {
    let status = command.current_dir(root()).status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn sdk(part: &str) {
    run(Command::new("tests/sdk/run.sh").arg(part).env("PERDURE_BIN", program("PERDURE_BIN")));
}

#[test]
#[ignore = "needs a built server and Python"]
fn python_sdk() {
    sdk("python");
}

#[test]
#[ignore = "needs a built server and Node"]
fn typescript_sdk() {
    sdk("typescript");
}

#[test]
#[ignore = "needs a built server and Python; runs Temporal's own server beside it"]
fn histories_equal_those_of_temporal() {
    sdk("compare");
}

#[test]
#[ignore = "needs a built server and Python; runs Temporal's own server beside it"]
fn the_command_line_says_what_it_says_to_temporal() {
    run(Command::new("tests/cli/run.sh").env("PERDURE_BIN", program("PERDURE_BIN")));
}

#[test]
#[ignore = "needs a built server and Python; runs Temporal's own server beside it"]
fn filters_find_what_they_find_on_temporal() {
    run(Command::new("tests/filters/run.sh").env("PERDURE_BIN", program("PERDURE_BIN")));
}

#[test]
#[ignore = "needs a built server and the crash driver"]
fn nothing_acknowledged_is_lost_to_sigkill() {
    run(Command::new(program("PERDURE_CRASH")).arg("--server").arg(program("PERDURE_BIN")));
}
