//! `perdure config check` as it is run.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

/// A static configuration without a fault.
const STATIC: &str = "\
persistence:
  defaultStore: main
  visibilityStore: main
  numHistoryShards: 4
  datastores:
    main:
      sql: {pluginName: sqlite, databaseName: a.db, connectAddr: localhost, connectProtocol: tcp}
services:
  frontend: {rpc: {grpcPort: 7233, membershipPort: 6933, bindOnLocalHost: true}}
clusterMetadata:
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {enabled: true, initialFailoverVersion: 1, rpcAddress: \"127.0.0.1:7233\"}
";

/// Exit code, stdout, stderr of a check in a folder with these files; the last one is also standard input.
fn config_check(files: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_perdure"))
        .args(["config", "check"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(files.last().map_or("", |(_, text)| text).as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn files_without_errors_end_well() {
    let files = [("dynamic.yaml", "frontend.rps: [{value: 5}]\n"), ("static.yaml", STATIC)];
    let (code, stdout, stderr) = config_check(&files, &["static.yaml", "dynamic.yaml", "-"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let expected = "static.yaml: static configuration, ok\n\
                    dynamic.yaml: dynamic configuration, ok\n\
                    -: static configuration, ok\n";
    assert_eq!(stdout, expected);
}

#[test]
fn warnings_and_notes_are_told_and_end_well() {
    let text = STATIC.replace("pluginName: sqlite", "pluginName: mysql8")
        + "    # end\nlog: {stdout: true, outputFile: a.log}\n";
    let dynamic = "worker.stickyCacheSize: [{value: 1}]\n";
    let (code, stdout, stderr) = config_check(&[("d.yaml", dynamic), ("s.yaml", &text)], &["s.yaml", "d.yaml"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(
        stdout,
        "s.yaml:6:5: note: persistence.datastores.main is MySQL, which this release does not serve; it serves SQLite\n\
         s.yaml:17:33: warning: log.outputFile has no effect beside stdout: true; remove one of them\n\
         s.yaml: static configuration, ok (1 warning, 1 note)\n\
         d.yaml:1:1: warning: dynamic config key worker.stickyCacheSize has no effect: this server does not act on it\n\
         d.yaml: dynamic configuration, ok (1 warning)\n"
    );
}

#[test]
fn all_errors_of_all_files_are_told() {
    let text = STATIC.replace("numHistoryShards", "numHistoryShard").replace("grpcPort: 7233", "grpcPort: 6933");
    let dynamic = "frontend.rps: [{value: many}]\nfrontend.rsp: []\n";
    let files = [("s.yaml", text.as_str()), ("d.yaml", dynamic)];
    let (code, stdout, stderr) = config_check(&files, &["s.yaml", "none.yaml", "d.yaml"]);
    assert_eq!((code, stderr.as_str()), (2, "perdure: the configuration has 6 errors\n"), "{stdout}");
    assert_eq!(
        stdout.replace("No such file or directory (os error 2)", "none"),
        "none.yaml: error: cannot be read: none\n\
         s.yaml:1:1: error: persistence.numHistoryShards is missing; write the number of history shards, such as 512; it cannot be changed later\n\
         s.yaml:4:3: error: unknown key persistence.numHistoryShard; did you mean numHistoryShards?\n\
         s.yaml:9:52: error: services.frontend.rpc.membershipPort is 6933, which is services.frontend.rpc.grpcPort already; write another port\n\
         s.yaml: static configuration, 3 errors\n\
         d.yaml:1:24: error: dynamic config key frontend.rps takes a whole number of 0 or more, not \"many\"\n\
         d.yaml:2:1: error: unknown dynamic config key \"frontend.rsp\"; did you mean frontend.rps?\n\
         d.yaml: dynamic configuration, 2 errors\n"
    );
}

#[test]
fn merged_files_are_one_configuration() {
    let half = STATIC.replace("  numHistoryShards: 4\n", "");
    let files = [("base.yaml", half.as_str()), ("env.yaml", "persistence: {numHistoryShards: 8}\nlogs: {}\n")];
    let (code, stdout, _) = config_check(&files, &["--merge", "base.yaml", "env.yaml"]);
    assert_eq!(code, 2);
    assert_eq!(
        stdout,
        "env.yaml:2:1: error: unknown key logs; did you mean log?\nbase.yaml+env.yaml: static configuration, 1 error\n"
    );
    let (code, stdout, _) = config_check(&files, &["base.yaml"]);
    assert_eq!((code, stdout.lines().count()), (2, 2), "{stdout}");
}

#[test]
fn kinds_can_be_given_and_refusals_are_one_line() {
    let files = [("a.yaml", "{}")];
    assert_eq!(config_check(&files, &["a.yaml"]).1, "a.yaml: dynamic configuration, ok\n");
    let (code, stdout, _) = config_check(&files, &["--kind", "static", "a.yaml"]);
    assert_eq!((code, stdout.lines().last().unwrap()), (2, "a.yaml: static configuration, 5 errors"));
    for (arguments, expected) in [
        (&["--merge", "--kind", "dynamic", "a.yaml"][..], "--merge takes static files"),
        (&["--kind", "other", "a.yaml"], "invalid value 'other' for '--kind <KIND>'"),
        (&["--merge"], "<FILE>..."),
    ] {
        let (code, stdout, stderr) = config_check(&files, arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn help_is_there() {
    let (code, stdout, stderr) = config_check(&[], &["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("--merge base.yaml production.yaml") && stdout.contains("Exit codes:"), "{stdout}");
}
