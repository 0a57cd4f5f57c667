//! The binary's words and exit codes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::TcpListener, process::Command};

/// Exit code, stdout, stderr.
fn perdure(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_perdure")).args(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_and_version_go_to_stdout() {
    for (arguments, expected) in [
        (&["--version"][..], "perdure "),
        (&["--help"], "Examples:"),
        (&[], "Examples:"),
        (&["server", "start-dev", "--help"], "--db-filename <FILE>"),
        (&["server", "start-dev", "-h"], "5  the database is of a newer release"),
    ] {
        let (code, stdout, stderr) = perdure(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(stdout.contains(expected), "{stdout}");
        assert!(!stdout.contains('\u{1b}'), "colours in a pipe: {stdout:?}");
    }
}

#[test]
fn every_refusal_is_one_line_and_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.db");
    std::fs::write(&foreign, "something else").unwrap();
    let foreign = foreign.to_str().unwrap();
    let config = directory.path().join("bad.yaml");
    std::fs::write(&config, "limit.maxIDLength:\n  - value: many\n").unwrap();
    let config = config.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();

    for (flags, code, expected) in [
        (&["--bogus"][..], 2, "unexpected argument '--bogus'"),
        (&["--port", "x"], 2, "invalid value 'x' for '--port <PORT>'"),
        (&["--dynamic-config-value", "limit.maxIDLengt=1"], 2, "did you mean limit.maxIDLength?"),
        (&["--dynamic-config-value", "limit.maxIDLength=\"x\""], 2, "takes a whole number of 0 or more, not \"x\""),
        (&["--dynamic-config-file", config], 2, "line 2: dynamic config key limit.maxIDLength takes"),
        (&["--dynamic-config-file", "/no/such.yaml"], 2, "cannot read dynamic config file /no/such.yaml"),
        (&["--port", &taken], 3, "is in use; choose another with --port"),
        (&["--ip", "203.0.113.1"], 3, "this machine has no address 203.0.113.1"),
        (&["--db-filename", "/no/such/a.db"], 4, "there is no directory /no/such"),
        (&["--db-filename", foreign], 5, "it is not a SQLite database"),
    ] {
        let arguments: Vec<&str> = ["server", "start-dev"].iter().chain(flags).copied().collect();
        let (actual, stdout, stderr) = perdure(&arguments);
        assert_eq!((actual, stdout.as_str()), (code, ""), "{flags:?}: {stderr}");
        assert!(stderr.starts_with("perdure: ") && stderr.contains(expected), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn commands_for_operators_say_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(file("foreign.db"), "something else, and long enough").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (arguments, code, expected) in [
        (["db", "check", "--db-filename", &file("none.db")], 4, "there is no such file"),
        (["db", "check", "--db-filename", &file("foreign.db")], 5, "is not a SQLite database"),
        (["db", "migrate", "--db-filename", &file("none.db")], 4, "there is no such file"),
        (["db", "check", "--address", &closed], 4, "nothing answers there"),
        (["describe", "node", "--address", &closed], 4, "nothing answers there"),
        (["describe", "node", "--address", "not an address"], 2, "it takes HOST:PORT"),
    ] {
        let (actual, stdout, stderr) = perdure(&arguments);
        assert_eq!((actual, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("perdure: ") && stderr.contains(expected), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!std::path::Path::new(&file("none.db")).exists(), "a check makes no database");
}
