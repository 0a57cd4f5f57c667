#![allow(clippy::unwrap_used)]

use perdure_config::Value;

use super::*;

fn start_dev(flags: &[&str]) -> Result<StartDevOptions, String> {
    let arguments = ["perdure", "server", "start-dev"].iter().chain(flags);
    match parse(arguments).map_err(|error| error.to_string())? {
        Command::StartDev(options) => Ok(*options),
        Command::ConfigCheck(options) => Err(format!("{options:?}")),
        Command::Print(text) => Err(text),
        Command::Operate(command) => Err(format!("{command:?}")),
    }
}

#[test]
fn the_command_definition_is_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn without_flags_the_defaults_hold() {
    assert_eq!(start_dev(&[]).unwrap(), StartDevOptions::default());
}

#[test]
fn every_flag_of_the_official_command_is_taken() {
    let options = start_dev(&[
        "--db-filename",
        "a.db",
        "--dynamic-config-value",
        "limit.maxIDLength=5",
        "--dynamic-config-value",
        "frontend.enableServerVersionCheck=false",
        "--headless",
        "--http-port",
        "1",
        "--ip",
        "0.0.0.0",
        "--log-config",
        "--log-format",
        "pretty",
        "--log-level",
        "warn",
        "--metrics-port",
        "9090",
        "--namespace",
        "a",
        "-n",
        "b",
        "--port",
        "7000",
        "--search-attribute",
        "Customer=Keyword",
        "--search-attribute",
        "Amount=double",
        "--sqlite-pragma",
        "journal_mode=wal",
        "--sqlite-pragma",
        "synchronous=1",
        "--ui-asset-path",
        "p",
        "--ui-codec-endpoint",
        "http://c",
        "--ui-disable-news-fetch",
        "--ui-ip",
        "127.0.0.1",
        "--ui-port",
        "8000",
        "--ui-public-path",
        "/ui",
    ])
    .unwrap();
    assert_eq!(
        options,
        StartDevOptions {
            frontend: "0.0.0.0:7000".parse().unwrap(),
            namespaces: ["default", "a", "b"].map(str::to_owned).to_vec(),
            database: Some("a.db".into()),
            sqlite_pragmas: vec![
                ("journal_mode".to_owned(), "wal".to_owned()),
                ("synchronous".to_owned(), "1".to_owned())
            ],
            search_attributes: vec![
                ("Amount".to_owned(), IndexedValueType::Double),
                ("Customer".to_owned(), IndexedValueType::Keyword)
            ],
            dynamic_config: DynamicConfigOptions {
                file: None,
                values: vec![
                    Assignment { key: "limit.maxIDLength".to_owned(), value: Value::Int(5) },
                    Assignment { key: "frontend.enableServerVersionCheck".to_owned(), value: Value::Bool(false) },
                ],
            },
            metrics: "0.0.0.0:9090".parse().unwrap(),
            log: LogOptions { level: LogLevel::Warn, format: LogFormat::Pretty },
            print_config: true,
            without_effect: vec![
                "--http-port",
                "--ui-port",
                "--ui-ip",
                "--ui-public-path",
                "--ui-asset-path",
                "--ui-codec-endpoint",
                "--ui-disable-news-fetch",
            ],
        }
    );
}

#[test]
fn what_the_sdks_pass_is_taken() {
    for flags in [
        // The core that the Python, TypeScript, .NET and Ruby SDKs share.
        "--port 7000 --namespace default --ip 127.0.0.1 --log-format pretty --log-level warn \
         --dynamic-config-value frontend.enableServerVersionCheck=false \
         --dynamic-config-value frontend.enableUpdateWorkflowExecution=true \
         --dynamic-config-value frontend.enableUpdateWorkflowExecutionAsyncAccepted=true --headless",
        // The Go SDK.
        "--ip 127.0.0.1 --port 7000 --namespace default \
         --dynamic-config-value frontend.enableServerVersionCheck=false --log-level error --log-format json --headless",
        // Forms that wrappers use.
        "--headless=true --port=7000 -p7000 -ndefault --dynamic-config-value=frontend.namespaceRPS=5800",
        "--color never --output json -o text --env default --command-timeout 0",
    ] {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        start_dev(&flags).unwrap();
    }
}

#[test]
fn a_flag_given_again_replaces_the_former() {
    let options = start_dev(&[
        "--port",
        "1",
        "--port",
        "2",
        "--log-level",
        "debug",
        "--log-level",
        "NEVER",
        "--headless",
        "--headless=false",
    ]);
    let options = options.unwrap();
    assert_eq!(options.frontend.port(), 2);
    assert_eq!(options.log.level, LogLevel::Never);
}

#[test]
fn global_flags_may_stand_before_the_command() {
    let command = parse(["perdure", "--log-level", "info", "server", "--log-format", "json", "start-dev"]).unwrap();
    let Command::StartDev(options) = command else { panic!("{command:?}") };
    assert_eq!(options.log, LogOptions { level: LogLevel::Info, format: LogFormat::Json });
}

#[test]
fn addresses() {
    for (text, address) in [
        ("localhost", "127.0.0.1:7233"),
        ("127.0.0.2", "127.0.0.2:7233"),
        ("::1", "[::1]:7233"),
        ("[::1]", "[::1]:7233"),
        ("::", "[::]:7233"),
    ] {
        assert_eq!(start_dev(&["--ip", text]).unwrap().frontend, address.parse().unwrap(), "{text}");
    }
}

#[test]
fn namespaces_are_made_once() {
    let options = start_dev(&["-n", "a", "-n", "default", "-n", "a"]).unwrap();
    assert_eq!(options.namespaces, ["default", "a"]);
}

#[test]
fn bad_flags_are_told_in_one_line() {
    for (flags, expected) in [
        (&["--bogus"][..], "unexpected argument '--bogus' found"),
        (&["--namspace", "a"], "a similar argument exists: '--namespace'"),
        (&["extra"], "unexpected argument 'extra' found"),
        (&["--port", "abc"], "invalid value 'abc' for '--port <PORT>'"),
        (&["--port", "99999"], "invalid value '99999'"),
        (&["--port"], "a value is required for '--port <PORT>'"),
        (&["--ip", "example.com"], "takes an IP address or localhost"),
        (&["--log-level", "loud"], "possible values: debug, info, warn, error, never"),
        (&["--log-format", "xml"], "possible values: text, json, pretty"),
        (&["--headless=maybe"], "invalid value 'maybe'"),
        (&["--namespace", ""], "--namespace takes a name"),
        (&["--search-attribute", "A"], "invalid --search-attribute \"A\": it takes NAME=VALUE"),
        (&["--search-attribute", "=Int"], "it takes NAME=VALUE"),
        (&["--search-attribute", "A=Foo"], "the type is one of Text, Keyword, Int"),
        (&["--sqlite-pragma", "wal"], "invalid --sqlite-pragma \"wal\""),
        (&["--sqlite-pragma", "a=1; DROP TABLE x"], "such as journal_mode=wal"),
        (&["--sqlite-pragma", "a="], "such as journal_mode=wal"),
        (&["--dynamic-config-value", "foo"], "invalid --dynamic-config-value \"foo\": missing '='"),
        (&["--dynamic-config-value", "foo=bar"], "the value must be JSON"),
    ] {
        let line = start_dev(flags).unwrap_err();
        assert!(line.contains(expected) && !line.contains('\n'), "{line:?}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (arguments, expected) in [
        (&["perdure"][..], "Examples:"),
        (&["perdure", "--help"], "temporal operator namespace list"),
        (&["perdure", "--version"], "Temporal API"),
        (&["perdure", "server"], "start-dev"),
        (&["perdure", "server", "start-dev", "--help"], "Exit codes:"),
    ] {
        let command = parse(arguments).unwrap();
        let Command::Print(text) = command else { panic!("{command:?}") };
        assert!(text.contains(expected), "{text}");
    }
}

fn operate(arguments: &[&str]) -> Result<Operate, String> {
    match parse(["perdure"].iter().chain(arguments)).map_err(|error| error.to_string())? {
        Command::Operate(command) => Ok(command),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn commands_for_operators() {
    let Ok(Operate::Check(check)) = operate(&["db", "check", "-f", "a.db", "--without-histories", "--rate", "5"])
    else {
        panic!("a check of a file")
    };
    assert_eq!((check.db_filename, check.address, check.repair), (Some("a.db".into()), None, false));
    assert_eq!((check.without_histories, check.rate, check.json), (true, 5, false));
    let arguments = ["db", "check", "--address", "h:1", "-n", "orders", "--repair", "-o", "json"];
    let Ok(Operate::Check(check)) = operate(&arguments) else { panic!("a check of a server") };
    assert_eq!((check.address.as_deref(), check.namespace.as_deref()), (Some("h:1"), Some("orders")));
    assert!(check.repair && check.json && check.db_filename.is_none());
    let Ok(Operate::Migrate(migrate)) = operate(&["db", "migrate", "-f", "a.db", "--dry-run"]) else {
        panic!("a migration")
    };
    assert!(migrate.dry_run);
    for subject in [
        &["shard", "3"][..],
        &["shard", "--workflow-id", "order-1", "-n", "orders"],
        &["queue", "q", "--namespace", "orders"],
        &["namespace", "orders"],
        &["node", "--address", "h:1"],
    ] {
        let arguments: Vec<&str> = ["describe"].iter().chain(subject).copied().collect();
        assert!(matches!(operate(&arguments), Ok(Operate::Describe(_))), "{arguments:?}");
    }
}

#[test]
fn commands_for_operators_that_make_no_sense() {
    for (arguments, expected) in [
        (&["db", "check"][..], "--db-filename <FILE>"),
        (&["db", "check", "-f", "a.db", "--address", "h:1"], "cannot be used with"),
        (&["db", "check", "-f", "a.db", "--repair"], "cannot be used with"),
        (&["db", "migrate"], "--db-filename <FILE>"),
        (&["describe", "shard"], "<NUMBER>"),
        (&["describe", "shard", "x"], "invalid value 'x'"),
        (&["describe", "queue"], "<NAME>"),
        (&["describe", "node", "-o", "yaml"], "takes text or json"),
    ] {
        let error = operate(arguments).unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "{arguments:?}: {error}");
    }
}
