//! Static configuration: values, defaults, merging, and every refusal with its place and its words.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::IpAddr, time::Duration};

use perdure_config::{FileKind, Severity, check, check_merged, static_config::*};
use proptest::prelude::*;

/// A file without a fault. Tests change a line of it.
const SAMPLE: &str = include_str!("static_sample.yaml");

/// What a check finds, a line each.
fn found(text: &str) -> Vec<String> {
    lines(&check(text, Some(FileKind::Static)))
}

fn lines(checked: &perdure_config::Checked) -> Vec<String> {
    let lines = checked.problems.iter().map(|problem| {
        let text = problem.cause.to_string();
        assert!(!text.contains('\n'), "{text:?}");
        let file = if problem.at.file == 0 { String::new() } else { format!("{}:", problem.at.file) };
        format!("{file}{}:{}: {}: {text}", problem.at.line, problem.at.column, problem.severity())
    });
    lines.collect()
}

/// The sample with one text in place of another.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(SAMPLE.matches(from).count(), 1, "{from:?}");
    SAMPLE.replacen(from, to, 1)
}

/// Changes to the sample, each with what is found then.
fn table(cases: &[(&str, &str, &[&str])]) {
    let mut wrong = String::new();
    for (from, to, expected) in cases {
        let found = found(&changed(from, to));
        if found != *expected {
            wrong += &format!("\n{from:?} -> {to:?}:\n  {}", found.join("\n  "));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_sample_has_no_fault() {
    assert_eq!(found(SAMPLE), Vec::<String>::new());
    assert_eq!(check(SAMPLE, None).kind, Some(FileKind::Static));
}

#[test]
fn values_are_typed_and_the_rest_are_defaults() {
    let (config, problems) = StaticConfig::read(&[SAMPLE]);
    assert_eq!(problems, []);
    assert_eq!(*config.log.level, Some(LogLevel::Debug));
    assert_eq!(*config.log.format, Some(LogFormat::Json));
    assert_eq!(*config.persistence.num_history_shards, 4);
    let sql = config.persistence.datastores["main"].sql.as_ref().unwrap();
    assert_eq!(*sql.plugin_name, Some(SqlPlugin::Sqlite));
    assert_eq!(sql.connect_attributes["busy_timeout"].value, "10000");
    assert_eq!(*sql.max_conn_lifetime, Duration::from_secs(3600));
    assert_eq!(*config.global.membership.max_join_duration, Duration::from_secs(10));
    let rpc = &config.services["frontend"].rpc;
    assert_eq!((*rpc.grpc_port, *rpc.membership_port, *rpc.http_port), (7233, 6933, 7243));
    assert_eq!(*rpc.bind_on_ip, Some("127.0.0.1".parse::<IpAddr>().unwrap()));
    assert_eq!(rpc.origin.path, "services.frontend.rpc");
    let metadata = config.cluster_metadata.unwrap();
    assert_eq!(metadata.cluster_information["active"].initial_failover_version.value, 1);
    assert_eq!(*config.archival.history.state, Some(ArchivalState::Enabled));
    assert_eq!(config.archival.history.provider.unwrap().filestore.unwrap().file_mode.value, "0666");
    assert_eq!(*config.dynamic_config_client.unwrap().poll_interval, Duration::from_secs(10));
    assert!(config.global.metrics.unwrap().statsd.is_none());
}

#[test]
fn plain_scalars_are_text_as_they_stand() {
    for (yaml, expected) in [
        ("0777", "0777"),
        ("&mode 0777", "0777"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("'0777'", "0777"),
        ("!!int 5", "5"),
        ("a b", "a b"),
        ("~", ""),
    ] {
        // Wide letters before it, so that characters and bytes differ, and lines end in two ways.
        for text in [
            format!("# ÄÖÜ 日本\npersistence: {{datastores: {{main: {{sql: {{user: é, databaseName: {yaml}}}}}}}}}"),
            format!(
                "\u{feff}persistence:\r\n  datastores:\r\n    main:\r\n      sql:\r\n        databaseName: {yaml}\r\n"
            ),
            format!(
                "log: {{outputFile: &x {}}}\npersistence: {{datastores: {{main: {{sql: {{databaseName: *x }}}}}}}}",
                yaml.trim_start_matches("&mode ")
            ),
        ] {
            let (config, _) = StaticConfig::read(&[&text]);
            let name = &config.persistence.datastores["main"].sql.as_ref().unwrap().database_name;
            assert_eq!(name.as_str(), expected, "{text:?}");
        }
    }
}

#[test]
fn shapes_and_types() {
    table(&[
        (
            "stdout: true",
            "stdout: \"true\"",
            &["2:11: error: log.stdout takes true or false without quotes, not \"true\""],
        ),
        ("stdout: true", "stdout: yes", &[]),
        ("stdout: true", "stdout: 1", &["2:11: error: log.stdout takes true or false, not 1"]),
        ("stdout: true", "stduot: true", &["2:3: error: unknown key log.stduot; did you mean stdout?"]),
        ("stdout: true", "Stdout: true", &["2:3: error: unknown key log.Stdout; did you mean stdout?"]),
        (
            "stdout: true",
            "colour: true",
            &[
                "2:3: error: unknown key log.colour; remove it, the keys here are stdout, level, outputFile, format, development",
            ],
        ),
        (
            "stdout: true",
            "stdout: true\n  stdout: false",
            &["3:3: error: log.stdout is given twice, first in line 2; keep one of them"],
        ),
        (
            "stdout: true",
            "frontend.rps: []",
            &[
                "2:3: error: frontend.rps is a dynamic config key; move it to the file that dynamicConfigClient.filepath names, as a list of {value, constraints}",
            ],
        ),
        (
            "level: DEBUG",
            "level: warning",
            &["3:10: error: log.level takes debug, info, warn, error, dpanic, panic or fatal, not \"warning\""],
        ),
        (
            "level: DEBUG",
            "level: [debug]",
            &["3:10: error: log.level takes debug, info, warn, error, dpanic, panic or fatal, not a list"],
        ),
        (
            "level: DEBUG",
            "level: debug\n  format: Json",
            &["4:11: error: log.format takes json or console (did you mean json?), not \"Json\""],
        ),
        (
            "level: DEBUG",
            "outputFile: x.log",
            &["3:15: warning: log.outputFile has no effect beside stdout: true; remove one of them"],
        ),
        ("log:\n", "logs: {}\nlog:\n", &["1:1: error: unknown key logs; did you mean log?"]),
        (
            "log:\n",
            "frontend.rps: [{value: 1}]\nlog:\n",
            &[
                "1:1: error: frontend.rps is a dynamic config key; move it to the file that dynamicConfigClient.filepath names, as a list of {value, constraints}",
            ],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: four",
            &["8:21: error: persistence.numHistoryShards takes a whole number from 0 to 4294967295, not \"four\""],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: \"4\"",
            &[
                "8:21: error: persistence.numHistoryShards takes a whole number from 0 to 4294967295 without quotes, not \"4\"",
            ],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: 0",
            &["8:21: error: persistence.numHistoryShards takes a number of shards from 1 to 2147483647, not 0"],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: -4",
            &["8:21: error: persistence.numHistoryShards takes a whole number from 0 to 4294967295, not -4"],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: 4.5",
            &["8:21: error: persistence.numHistoryShards takes a whole number from 0 to 4294967295, not 4.5"],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: 010",
            &[
                "8:21: error: persistence.numHistoryShards takes a whole number from 0 to 4294967295 that does not begin with 0, not 010",
            ],
        ),
        (
            "  numHistoryShards: 4",
            "  numHistoryShards: 3000000000",
            &[
                "8:21: error: persistence.numHistoryShards takes a number of shards from 1 to 2147483647, not 3000000000",
            ],
        ),
        (
            "  numHistoryShards: 4\n",
            "  numHistoryShards:\n",
            &[
                "5:1: error: persistence.numHistoryShards is missing; write the number of history shards, such as 512; it cannot be changed later",
            ],
        ),
        (
            "maxConnLifetime: 1h",
            "maxConnLifetime: 10",
            &[
                "21:26: error: persistence.datastores.main.sql.maxConnLifetime takes a duration with a unit, such as 10s, not 10",
            ],
        ),
        (
            "maxConnLifetime: 1h",
            "maxConnLifetime: 1d",
            &[
                "21:26: error: persistence.datastores.main.sql.maxConnLifetime takes a duration such as 10s, 1m30s or 24h, without days, not \"1d\"",
            ],
        ),
        (
            "maxConnLifetime: 1h",
            "maxConnLifetime: -1s",
            &[
                "21:26: error: persistence.datastores.main.sql.maxConnLifetime takes a duration of 0 or more, not \"-1s\"",
            ],
        ),
        (
            "maxConnLifetime: 1h",
            "maxConnLifetime: soon",
            &[
                "21:26: error: persistence.datastores.main.sql.maxConnLifetime takes a duration such as 10s, 1m30s or 24h, not \"soon\"",
            ],
        ),
        (
            "grpcPort: 7233",
            "grpcPort: 72330",
            &["53:17: error: services.frontend.rpc.grpcPort takes a port from 0 to 65535, not 72330"],
        ),
        (
            "grpcPort: 7233",
            "grpcPort: http",
            &["53:17: error: services.frontend.rpc.grpcPort takes a port from 0 to 65535, not \"http\""],
        ),
        (
            "bindOnIP: 127.0.0.1",
            "bindOnIP: localhost",
            &["56:17: error: services.frontend.rpc.bindOnIP takes an IP address such as 127.0.0.1, not \"localhost\""],
        ),
        (
            "  frontend: &service\n    rpc:\n",
            "  frontend: &service\n    rcp: {}\n    rpc:\n",
            &["52:5: error: unknown key services.frontend.rcp; remove it, the keys here are rpc"],
        ),
        (
            "keySourceURIs: [\"https://login.example.com/keys\"]",
            "keySourceURIs: https://login.example.com/keys",
            &[
                "45:18: warning: global.authorization.claimMapper refuses every token without jwtKeyProvider.keySourceURIs",
                "47:22: error: global.authorization.jwtKeyProvider.keySourceURIs takes a list, not \"https://login.example.com/keys\"",
            ],
        ),
        (
            "fileMode: 0666",
            "fileMode: rw",
            &[
                "82:30: error: archival.history.provider.filestore.fileMode takes rights in octal, such as \"0666\", not \"rw\"",
            ],
        ),
        (
            "    main:\n      sql:\n",
            "    other: sqlite\n    main:\n      sql:\n",
            &[
                "10:5: warning: persistence.datastores.other is not used: no store of persistence names it",
                "10:12: error: persistence.datastores.other takes keys and values, not \"sqlite\"",
            ],
        ),
        (
            "      sql:\n",
            "      sql: sqlite\n      other:\n",
            &[
                "11:12: error: persistence.datastores.main.sql takes keys and values, not \"sqlite\"",
                "12:7: error: unknown key persistence.datastores.main.other; remove it, the keys here are faultInjection, cassandra, sql, elasticsearch, customDatastore",
            ],
        ),
        ("broadcastAddress: \"127.0.0.1\"", "broadcastAddress: \"\"", &[]),
    ]);
}

#[test]
fn stores() {
    table(&[
        (
            "defaultStore: main",
            "defaultStore: mian",
            &[
                "6:17: error: persistence.defaultStore names \"mian\", which is no datastore; write main, or add it to persistence.datastores",
            ],
        ),
        (
            "visibilityStore: main\n",
            "visibilityStore:\n",
            &["5:1: error: persistence.visibilityStore is missing; write the name of a datastore"],
        ),
        (
            "  visibilityStore: main\n",
            "",
            &["5:1: error: persistence.visibilityStore is missing; write the name of a datastore"],
        ),
        (
            "    main:\n      sql:\n",
            "    main:\n      cassandra: {hosts: h, keyspace: k}\n      sql:\n",
            &[
                "10:5: error: persistence.datastores.main is cassandra and sql at once; keep one, and give the other a datastore of its own",
            ],
        ),
        (
            "    main:\n",
            "    other:\n    main:\n",
            &[
                "10:5: error: the store of persistence.datastores.other is missing; write one of sql, cassandra, elasticsearch or customDatastore under it",
                "10:5: warning: persistence.datastores.other is not used: no store of persistence names it",
            ],
        ),
        (
            "    main:\n",
            "    other: {sql: {pluginName: mysql, databaseName: d, connectAddr: a, connectProtocol: tcp4}}\n    main:\n",
            &[
                "10:5: warning: persistence.datastores.other is not used: no store of persistence names it",
                "10:31: error: persistence.datastores.other.sql.pluginName takes mysql8, postgres12, postgres12_pgx or sqlite (did you mean mysql8?), not \"mysql\"",
                "10:88: error: persistence.datastores.other.sql.connectProtocol takes tcp or unix (did you mean tcp?), not \"tcp4\"",
            ],
        ),
        (
            "        pluginName: sqlite\n",
            "",
            &[
                "11:7: error: persistence.datastores.main.sql.pluginName is missing; write mysql8, postgres12, postgres12_pgx or sqlite",
            ],
        ),
        (
            "        databaseName: /var/lib/perdure/perdure.db\n        connectAddr: localhost\n        connectProtocol: tcp\n",
            "",
            &[
                "11:7: error: persistence.datastores.main.sql.databaseName is missing; write the name of the database",
                "11:7: error: persistence.datastores.main.sql.connectAddr is missing; write host:port of the database",
                "11:7: error: persistence.datastores.main.sql.connectProtocol is missing; write tcp or unix",
            ],
        ),
        (
            "        user: \"\"\n",
            "        password: p\n        passwordCommand: {command: \"\"}\n",
            &[
                "12:19: error: persistence.datastores.main.sql.password and persistence.datastores.main.sql.passwordCommand exclude each other; remove one of them",
                "13:36: error: persistence.datastores.main.sql.passwordCommand.command is missing; write the program that prints the password",
            ],
        ),
        (
            "pluginName: sqlite",
            "pluginName: postgres12",
            &[
                "10:5: note: persistence.datastores.main is PostgreSQL, which this release does not serve; it serves SQLite",
            ],
        ),
        (
            "enabled: no\n          certFile:",
            "enabled: no\n          caFile: x",
            &[
                "24:19: warning: persistence.datastores.main.sql.tls has no effect without enabled: true; write it, or remove the files",
            ],
        ),
        (
            "enabled: no\n          certFile:",
            "enabled: yes\n          certFile: x\n          certData: eA==",
            &[
                "24:21: error: persistence.datastores.main.sql.tls has a certificate and no key; write keyFile or keyData beside it",
                "25:21: error: persistence.datastores.main.sql.tls.certFile and persistence.datastores.main.sql.tls.certData exclude each other; remove one of them",
            ],
        ),
        (
            "    main:\n",
            "    es: {elasticsearch: {url: {scheme: http, host: 'h:9200'}, indices: {visibility: v}}}\n    main:\n",
            &["10:5: warning: persistence.datastores.es is not used: no store of persistence names it"],
        ),
        (
            "  visibilityStore: main\n  numHistoryShards: 4\n  datastores:\n",
            "  visibilityStore: es\n  secondaryVisibilityStore: main\n  numHistoryShards: 4\n  datastores:\n    es: {elasticsearch: {url: {scheme: ftp}, indices: {visibility: '', secondary_visibility: b, third: c}}}\n",
            &[
                "8:29: error: persistence.visibilityStore and secondaryVisibilityStore are of different kinds; write two SQL datastores or two of Elasticsearch",
                "11:5: note: persistence.datastores.es is Elasticsearch, which this release does not serve; it serves SQLite",
                "11:26: error: persistence.datastores.es.elasticsearch.url.host is missing; write host:port of Elasticsearch",
                "11:40: error: persistence.datastores.es.elasticsearch.url.scheme takes http or https, not \"ftp\"",
                "11:68: error: persistence.datastores.es.elasticsearch.indices.visibility is missing; write the name of the index",
                "11:94: error: persistence.datastores.es.elasticsearch.indices.secondary_visibility and persistence.secondaryVisibilityStore exclude each other; remove one of them",
                "11:104: warning: persistence.datastores.es.elasticsearch.indices.third has no effect: the indices are visibility and secondary_visibility",
            ],
        ),
        (
            "  defaultStore: main\n  visibilityStore: main\n  numHistoryShards: 4\n  datastores:\n",
            "  defaultStore: es\n  visibilityStore: cass\n  numHistoryShards: 4\n  datastores:\n    es: {elasticsearch: {url: {scheme: http, host: h}, indices: {visibility: a}, aws-request-signing: {enabled: true, credentialProvider: static}}}\n    cass: {cassandra: {hosts: h, consistency: {default: {consistency: local_quorum, serialConsistency: QUORUM}}}}\n",
            &[
                "6:17: error: persistence.defaultStore names \"es\", which is Elasticsearch; write the name of an SQL or Cassandra datastore, Elasticsearch serves visibility alone",
                "7:20: error: persistence.visibilityStore names \"cass\", which is Cassandra; write the name of an SQL or Elasticsearch datastore, Cassandra no longer serves visibility",
                "10:5: note: persistence.datastores.es is Elasticsearch, which this release does not serve; it serves SQLite",
                "10:82: error: persistence.datastores.es.elasticsearch.aws-request-signing.static.accessKeyID is missing; write it, or another credentialProvider",
                "10:82: error: persistence.datastores.es.elasticsearch.aws-request-signing.static.secretAccessKey is missing; write it, or another credentialProvider",
                "11:5: note: persistence.datastores.cass is Cassandra, which this release does not serve; it serves SQLite",
                "11:12: error: persistence.datastores.cass.cassandra.keyspace is missing; write the name of the keyspace",
                "11:104: error: persistence.datastores.cass.cassandra.consistency.default.serialConsistency takes SERIAL or LOCAL_SERIAL, not \"QUORUM\"",
                "12:5: warning: persistence.datastores.main is not used: no store of persistence names it",
            ],
        ),
        (
            "    main:\n      sql:\n",
            "    main:\n      faultInjection: {targets: {dataStores: {ShardStore: {methods: {GetShard: {errors: {TimeOut: 0.5, Timeout: 2}}}}, TaskStor: {}}}}\n      sql:\n",
            &[
                "11:99: error: unknown key persistence.datastores.main.faultInjection.targets.dataStores.ShardStore.methods.GetShard.errors.TimeOut; did you mean Timeout?",
                "11:113: error: persistence.datastores.main.faultInjection.targets.dataStores.ShardStore.methods.GetShard.errors.Timeout takes a probability from 0 to 1, not 2",
                "11:120: error: unknown key persistence.datastores.main.faultInjection.targets.dataStores.TaskStor; did you mean TaskStore?",
            ],
        ),
        (
            "    main:\n      sql:\n",
            "    own: {customDatastore: {options: {a: [1]}}}\n    main:\n      sql:\n",
            &[
                "10:5: warning: persistence.datastores.own is not used: no store of persistence names it",
                "10:11: error: persistence.datastores.own.customDatastore.name is missing; write the name that the code knows the store by",
            ],
        ),
    ]);
}

#[test]
fn security() {
    table(&[
        (
            "        certFile: frontend.pem\n",
            "",
            &[
                "34:18: error: global.tls.frontend.server has a key and no certificate; write certFile or certData beside it",
            ],
        ),
        (
            "        keyFile: frontend.key\n",
            "",
            &[
                "34:19: error: global.tls.frontend.server has a certificate and no key; write keyFile or keyData beside it",
                "36:28: error: global.tls.frontend.server.requireClientAuth needs TLS, which is off without a key; write certFile and keyFile beside it",
            ],
        ),
        (
            "certFile: frontend.pem",
            "certFile: frontend.pem\n        certData: eA==",
            &[
                "35:19: error: global.tls.frontend.server.certFile and global.tls.frontend.server.certData exclude each other; remove one of them",
            ],
        ),
        (
            "certFile: frontend.pem\n        keyFile: frontend.key",
            "certData: \"-----BEGIN CERTIFICATE-----\"\n        keyFile: frontend.key",
            &[
                "34:19: error: global.tls.frontend.server.certData holds PEM as it is; write it in base64, or name its file",
            ],
        ),
        (
            "        clientCaFiles: [clients.pem]\n",
            "",
            &[
                "36:28: error: global.tls.frontend.server.requireClientAuth needs authorities to check clients with; write clientCaFiles or clientCaData beside it",
            ],
        ),
        (
            "        clientCaFiles: [clients.pem]\n",
            "        clientCaFiles: [clients.pem]\n        clientCaData: [eA==]\n",
            &[
                "37:24: error: global.tls.frontend.server.clientCaFiles and global.tls.frontend.server.clientCaData exclude each other; remove one of them",
            ],
        ),
        (
            "        requireClientAuth: true\n",
            "",
            &[
                "36:25: warning: the authorities of global.tls.frontend.server have no effect without requireClientAuth: true",
            ],
        ),
        (
            "        certFile: frontend.pem\n        keyFile: frontend.key\n",
            "",
            &[
                "35:28: error: global.tls.frontend.server.requireClientAuth needs TLS, which is off without a key; write certFile and keyFile beside it",
            ],
        ),
        (
            "        rootCaFiles: [servers.pem]",
            "        serverName: frontend",
            &[
                "39:21: warning: global.tls.frontend.client.serverName has no effect: TLS is off; write rootCaFiles, rootCaData or forceTLS: true beside it",
            ],
        ),
        (
            "        rootCaFiles: [servers.pem]",
            "        rootCaFiles: [servers.pem]\n        rootCaData: [eA==]",
            &[
                "40:22: error: global.tls.frontend.client.rootCaFiles and global.tls.frontend.client.rootCaData exclude each other; remove one of them",
            ],
        ),
        (
            "  tls:\n    frontend:",
            "  tls:\n    internode: {hostOverrides: {a.example.com: {certFile: x, keyFile: y}}}\n    systemWorker: {keyData: eA==}\n    expirationChecks: {warningWindow: 24h}\n    frontend:",
            &[
                "32:33: warning: global.tls.internode.hostOverrides has no effect: only global.tls.frontend has overrides",
                "33:29: error: global.tls.systemWorker has a key and no certificate; write certFile or certData beside it",
                "34:5: warning: global.tls.expirationChecks has no effect without checkInterval; write one, such as 1h",
            ],
        ),
        (
            "    claimMapper: default\n",
            "",
            &[
                "44:17: warning: global.authorization.authorizer lets everybody do everything without claimMapper: default",
            ],
        ),
        (
            "    authorizer: default\n",
            "",
            &["44:18: warning: global.authorization.claimMapper protects nothing without authorizer: default"],
        ),
        (
            "keySourceURIs: [\"https://login.example.com/keys\"]",
            "keySourceURIs: []",
            &[
                "45:18: warning: global.authorization.claimMapper refuses every token without jwtKeyProvider.keySourceURIs",
            ],
        ),
        (
            "https://login.example.com/keys",
            "login.example.com/keys",
            &[
                "47:23: error: global.authorization.jwtKeyProvider.keySourceURIs takes addresses that begin with https://, http://, file://, not \"login.example.com/keys\"",
            ],
        ),
        (
            "    authorizer: default",
            "    authorizer: Default\n    permissionsRegex: ^(?P<role>.*)$",
            &[
                "45:23: warning: global.authorization.permissionsRegex has no effect without the groups (?P<namespace>...) and (?P<role>...)",
            ],
        ),
        (
            "    authorizer: default",
            "    authorizer: custom",
            &["44:17: error: global.authorization.authorizer takes default, not \"custom\""],
        ),
    ]);
}

#[test]
fn services_and_clusters() {
    table(&[
        (
            "grpcPort: 7234",
            "grpcPort: 7233",
            &[
                "58:22: error: services.history.rpc.grpcPort is 7233, which is services.frontend.rpc.grpcPort already; write another port, such as 7234, the usual one",
            ],
        ),
        (
            "membershipPort: 6935",
            "membershipPort: 7936",
            &[
                "60:44: error: services.matching.rpc.membershipPort is 7936, which is global.pprof.port already; write another port, such as 6935, the usual one",
            ],
        ),
        (
            "listenAddress: 127.0.0.1:8000",
            "listenAddress: 127.0.0.1:7239",
            &[
                "62:22: error: services.worker.rpc.grpcPort is 7239, which is global.metrics.prometheus.listenAddress already; write another port",
            ],
        ),
        (
            "listenAddress: 127.0.0.1:8000",
            "listenAddress: 0.0.0.0:7239",
            &[
                "62:22: error: services.worker.rpc.grpcPort is 7239, which is global.metrics.prometheus.listenAddress already; write another port",
            ],
        ),
        (
            "listenAddress: 127.0.0.1:8000",
            "listenAddress: localhost",
            &[
                "42:22: error: global.metrics.prometheus.listenAddress takes host:port, such as 127.0.0.1:8000, not \"localhost\"",
            ],
        ),
        (
            "bindOnIP: 127.0.0.1",
            "bindOnIP: 127.0.0.1\n      bindOnLocalHost: true",
            &[
                "56:17: error: services.frontend.rpc.bindOnLocalHost and services.frontend.rpc.bindOnIP exclude each other; remove one of them",
            ],
        ),
        (
            "rpc: { grpcPort: 7235,",
            "rpc: { httpPort: 7243, grpcPort: 7235,",
            &["60:22: warning: services.matching.rpc.httpPort has no effect: only frontends serve HTTP"],
        ),
        ("  worker:\n", "  workers:\n", &["61:3: error: unknown key services.workers; did you mean worker?"]),
        (
            "broadcastAddress: \"127.0.0.1\"",
            "broadcastAddress: 0.0.0.0",
            &[
                "28:23: error: global.membership.broadcastAddress is an address that nobody can connect to; write the address by which other nodes reach this one",
            ],
        ),
        (
            "currentClusterName: active",
            "currentClusterName: aktive",
            &[
                "67:23: error: clusterMetadata.currentClusterName names \"aktive\", which clusterInformation does not have; write active, or add it there",
            ],
        ),
        (
            "  failoverVersionIncrement: 10\n",
            "",
            &[
                "64:1: error: clusterMetadata.failoverVersionIncrement is missing; write 10, or the number that the other clusters have",
            ],
        ),
        (
            "failoverVersionIncrement: 10",
            "failoverVersionIncrement: 0",
            &[
                "65:29: error: clusterMetadata.failoverVersionIncrement takes a whole number from 1 to 2147483647, usually 10, not 0",
            ],
        ),
        (
            "initialFailoverVersion: 1\n",
            "initialFailoverVersion: 10\n",
            &[
                "71:31: error: clusterMetadata.clusterInformation.active.initialFailoverVersion takes a whole number from 1, below clusterMetadata.failoverVersionIncrement, not 10",
            ],
        ),
        (
            "      rpcAddress: 127.0.0.1:7233\n",
            "      rpcName: frontend\n",
            &[
                "69:5: error: clusterMetadata.clusterInformation.active.rpcAddress is missing; write host:port of the cluster's frontend",
                "72:7: warning: clusterMetadata.clusterInformation.active.rpcName has no effect: no release reads it any more; remove it",
            ],
        ),
        (
            "    active:\n",
            "    other: {initialFailoverVersion: 1}\n    active:\n",
            &[
                "69:37: error: clusterMetadata.clusterInformation.other.initialFailoverVersion and that of active are both 1; write a number that no other cluster has",
            ],
        ),
        (
            "dcRedirectionPolicy:\n",
            "publicClient: {hostPort: 'f:7233', forceTLSConfig: both}\ndcRedirectionPolicy:\n",
            &["74:52: error: publicClient.forceTLSConfig takes internode or frontend, not \"both\""],
        ),
        (
            "dcRedirectionPolicy:\n  policy: noop",
            "publicClient: {hostPort: 'f:7233'}\ndcRedirectionPolicy:\n  policy: all",
            &[
                "76:11: error: dcRedirectionPolicy.policy takes noop, selected-apis-forwarding or all-apis-forwarding, not \"all\"",
            ],
        ),
        ("  worker:\n", "  internal-frontend: {rpc: {grpcPort: 7236}}\n  worker:\n", &[]),
        (
            "pollInterval: 10s",
            "pollInterval: 1s",
            &["92:17: error: dynamicConfigClient.pollInterval takes 5s or more, not 1s"],
        ),
        (
            "  filepath: dynamicconfig.yaml\n  pollInterval: 10s\n",
            "  {}\n",
            &[
                "90:1: error: dynamicConfigClient.filepath is missing; write the path of the file",
                "90:1: error: dynamicConfigClient.pollInterval is missing; write how often the file is looked at, such as 10s",
            ],
        ),
        (
            "{ Keyword: 20 }",
            "{ Keywords: 20, Int: 100 }",
            &[
                "95:50: error: unknown key visibility.persistenceCustomSearchAttributes.Keywords; did you mean Keyword?",
                "95:59: error: visibility.persistenceCustomSearchAttributes.Int takes a number of columns from 0 to 99, not 100",
            ],
        ),
        (
            "  worker:\n    rpc: { grpcPort: 7239, membershipPort: 6939, bindOnLocalHost: true }\n",
            "  internal-frontend: {rpc: {grpcPort: 7236}}\n\npublicClient: {hostPort: 'f:7233'}\n",
            &[
                "63:1: error: publicClient and services.internal-frontend exclude each other; remove publicClient, internal workers then reach the internal frontend, or remove that service",
            ],
        ),
        (
            "clusterMetadata:\n",
            "clusterMetadata: active\nignored:\n",
            &[
                "64:18: error: clusterMetadata takes keys and values, not \"active\"",
                "65:1: error: unknown key ignored; remove it, the keys here are log, persistence, global, services, clusterMetadata, dcRedirectionPolicy, archival, namespaceDefaults, publicClient, dynamicConfigClient, otel, visibility",
            ],
        ),
    ]);
}

#[test]
fn archives_metrics_and_traces() {
    table(&[
        (
            "      URI: file:///var/lib/archive\n",
            "",
            &[
                "79:12: error: archival.history is enabled and namespaceDefaults.archival.history.URI is not given; write it, such as file:///var/lib/archive, or set the state to disabled",
            ],
        ),
        (
            "    state: enabled\n",
            "    state: disabled\n",
            &[
                "80:17: error: archival.history.enableRead needs archival.history.state: enabled; write that, or remove it",
                "81:5: error: archival.history.provider needs archival.history.state: enabled; write that, or remove it",
                "88:12: error: namespaceDefaults.archival.history.URI needs archival.history.state: enabled; write that, or remove it",
            ],
        ),
        (
            "    provider:\n      filestore: { fileMode: 0666, dirMode: \"0766\" }\n",
            "",
            &[
                "79:12: error: archival.history is enabled without a provider; write archival.history.provider.filestore, gstorage, s3store or customStores",
            ],
        ),
        (
            "URI: file:///var/lib/archive",
            "URI: s3://archive",
            &[
                "88:12: error: namespaceDefaults.archival.history.URI begins with s3://, which no provider serves; write archival.history.provider.s3store, or another address",
            ],
        ),
        (
            "URI: file:///var/lib/archive",
            "URI: /var/lib/archive",
            &[
                "88:12: error: namespaceDefaults.archival.history.URI takes an address such as file:///var/lib/archive, not \"/var/lib/archive\"",
            ],
        ),
        (
            "    state: enabled\n",
            "    state: on\n",
            &["79:12: error: archival.history.state takes enabled, disabled or paused, not \"on\""],
        ),
        (
            "archival:\n  history:\n    state: enabled",
            "archival:\n  visibility: {enableRead: true}\n  history:\n    state: enabled",
            &[
                "78:28: error: archival.visibility.enableRead needs archival.visibility.state: enabled; write that, or remove it",
            ],
        ),
        (
            "filestore: { fileMode: 0666, dirMode: \"0766\" }",
            "filestore: { fileMode: \"0888\" }\n      s3store: {}",
            &[
                "82:7: error: archival.history.provider.filestore.dirMode takes rights in octal, such as \"0666\", not \"\"",
                "82:30: error: archival.history.provider.filestore.fileMode takes rights in octal, such as \"0666\", not \"0888\"",
                "83:7: error: archival.history.provider.s3store.region is missing; write the region of the buckets",
            ],
        ),
        (
            "    prometheus:\n",
            "    statsd: {hostPort: 'h:8125'}\n    recordTimerInSeconds: true\n    perUnitHistogramBoundaries: {seconds: [1, 2], bytes: [2, 1]}\n    prometheus:\n      timerType: summary\n      framework: tali\n",
            &[
                "41:5: warning: global.metrics.prometheus has no effect beside global.metrics.statsd; remove one of them",
                "41:5: error: global.metrics.statsd.prefix is missing; write what names shall begin with, such as temporal",
                "42:27: warning: global.metrics.recordTimerInSeconds has no effect without prometheus.framework: opentelemetry",
                "43:44: error: unknown key global.metrics.perUnitHistogramBoundaries.seconds; remove it, the keys here are dimensionless, milliseconds, bytes",
                "43:62: error: global.metrics.perUnitHistogramBoundaries.bytes must rise from bound to bound",
                "45:18: warning: global.metrics.prometheus.timerType has no effect: timers are histograms",
                "46:18: error: global.metrics.prometheus.framework takes tally or opentelemetry, not \"tali\"",
            ],
        ),
        (
            "visibility:\n",
            "otel:\n  connections:\n    - kind: http\n      metadata: {name: a}\n    - metadata: {name: a}\n  exporters:\n    - kind: {signal: logs, model: otlp}\n      spec: {connection_name: b, retry: {enabled: false}}\nvisibility:\n",
            &[
                "96:13: error: otel.connections[0].kind takes grpc, not \"http\"",
                "98:7: error: otel.connections[1].kind is missing; write grpc",
                "98:24: error: otel.connections[1].metadata.name is that of another connection; write a name of its own",
                "100:7: error: otel.exporters[0].kind.protocol is missing; write grpc",
                "100:22: error: otel.exporters[0].kind.signal takes traces, trace, metrics or metric, not \"logs\"",
                "101:31: error: otel.exporters[0].spec.connection_name names \"b\", which is no connection of otel.connections; write its metadata.name",
            ],
        ),
    ]);
}

#[test]
fn files_are_merged_as_temporal_does() {
    let base = SAMPLE;
    let over = "
log: {level: warn}
services:
  history: {rpc: {grpcPort: 7334}}
global:
  tls:
    frontend: {server: {clientCaFiles: [one.pem, two.pem]}}
archival:
  history: {provider:}
";
    let (config, problems) = StaticConfig::read(&[base, over]);
    // Sections take over key by key, entries of maps and lists are replaced whole.
    assert_eq!((*config.log.level, *config.log.stdout), (Some(LogLevel::Warn), true));
    assert_eq!((*config.services["history"].rpc.grpc_port, *config.services["history"].rpc.membership_port), (7334, 0));
    assert_eq!(*config.services["matching"].rpc.grpc_port, 7235);
    let server = &config.global.tls.frontend.server;
    assert_eq!((server.client_ca_files.len(), server.cert_file.as_str()), (2, "frontend.pem"));
    // A section that is there or not goes with nothing in its place.
    assert_eq!(config.archival.history.provider, None);
    assert_eq!(problems.len(), 1, "{problems:?}");

    // What one file lacks another may have; problems stand in the file that they are of.
    let half = changed("  numHistoryShards: 4\n", "");
    assert_eq!(found(&half).len(), 1);
    assert_eq!(lines(&check_merged(&[&half, "persistence: {numHistoryShards: 8}"])), Vec::<String>::new());
    assert_eq!(
        lines(&check_merged(&[SAMPLE, "log:\n  levl: info\npersistence: {numHistoryShards: 0}"])),
        [
            "1:2:3: error: unknown key log.levl; did you mean level?",
            "1:3:33: error: persistence.numHistoryShards takes a number of shards from 1 to 2147483647, not 0"
        ]
    );
}

#[test]
fn what_is_no_configuration_is_told_plainly() {
    for (text, expected) in [
        ("", "1:1: error: persistence.numHistoryShards is missing; write the number of history shards"),
        ("- a", "1:1: error: the file takes keys and values, not a list"),
        ("log: {level: info", "1:6: error: not YAML: "),
        ("log:\n\tlevel: info", "2:2: error: not YAML: "),
        ("log: {{ .x }}\n", "error: not YAML: "),
        ("log: {}\n---\nlog: {}\n", "3:1: error: not YAML: a second document begins here"),
        ("a: *b", "error: not YAML: "),
        (&"[".repeat(500), "error: not YAML: "),
        (
            "# x\n  # enable-template\nlog: {{ .x }}\n",
            "2:1: error: the file is a Go template (# enable-template in line 2)",
        ),
    ] {
        let found = found(text);
        assert!(found[0].contains(expected), "{text:?}: {found:?}");
    }
    // A template without anything to render is a plain file; further down the words mean nothing.
    assert_eq!(found(&format!("# enable-template\n{SAMPLE}")), Vec::<String>::new());
    let late = format!("{}# enable-template\nlog: {{{{ .x }}}}", "#\n".repeat(600));
    assert!(found(&late)[0].contains("a Go template has to be rendered"), "{:?}", found(&late));
}

#[test]
fn kinds_are_told_by_their_keys() {
    for (text, kind) in [
        ("log: {}", Some(FileKind::Static)),
        ("frontend.rps: []\nlog: {}", Some(FileKind::Static)),
        ("persistance: {}", Some(FileKind::Static)),
        ("# enable-template\nlog: {{ .x }}", Some(FileKind::Static)),
        ("", Some(FileKind::Dynamic)),
        ("{}", Some(FileKind::Dynamic)),
        ("Frontend.RPS: []", Some(FileKind::Dynamic)),
        ("frontend.enableExecuteMultiOperation: []", Some(FileKind::Dynamic)),
        ("frontend.rsp: []", Some(FileKind::Dynamic)),
        ("name: x", None),
        ("- a", None),
        ("a", None),
        ("a: [", None),
    ] {
        let checked = check(text, None);
        assert_eq!(checked.kind, kind, "{text:?}");
        assert!(kind.is_some() || checked.problems.iter().any(|it| it.severity() == Severity::Error), "{text:?}");
    }
}

#[test]
fn all_of_a_dynamic_file_is_told() {
    let text = "\
frontend.rps: [{value: many}, {value: 1, constraint: {}}, 3]
frontend.rsp: [{value: 1}]
worker.stickyCacheSize: [{value: 1}]
frontend.enableExecuteMultiOperation: [{value: true}]
limit.maxIDLength:
  - constraints: {namespace: a, nspace: b}
    value: 7
  - constraints: {namespace: a}
    value: 7
Limit.MaxIDLength: []
limit.maxIDLength: []
limit.blobSize.error: 5
";
    assert_eq!(
        lines(&check(text, None)),
        [
            "1:24: error: dynamic config key frontend.rps takes a whole number of 0 or more, not \"many\"",
            "1:42: error: dynamic config: unknown field \"constraint\"; an element is {value, constraints}",
            "1:59: error: dynamic config: an element of a key's list is {value, constraints}, not 3",
            "2:1: error: unknown dynamic config key \"frontend.rsp\"; did you mean frontend.rps?",
            "3:1: warning: dynamic config key worker.stickyCacheSize has no effect: this server does not act on it",
            "4:1: warning: dynamic config key frontend.enableExecuteMultiOperation has no effect: Temporal 1.29 was the last release with it",
            "6:33: error: dynamic config key limit.maxIDLength: unknown constraint \"nspace\"",
            "8:5: warning: an entry of dynamic config key limit.maxIDLength never applies: the key cannot be constrained by namespace",
            "10:1: error: dynamic config key limit.maxIDLength is given twice; put its entries into one list",
            "11:1: error: dynamic config: limit.maxIDLength is given twice, first in line 5; keep one of them",
            "12:23: error: dynamic config: limit.blobSize.error takes a list of {value, constraints}, not 5",
        ]
    );
}

/// Of each property.
const CASES: u32 = 32;

/// Texts that are near to a configuration.
fn near_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z.]{1,8}",
        "[ \n:{}\\[\\],&*#'\"<>|%!~-]{1,4}",
        Just("persistence:\n  ".to_owned()),
        Just("services: {frontend: {rpc: {grpcPort: ".to_owned()),
        Just("global:\n  tls:\n    frontend:\n      ".to_owned()),
        Just("clusterMetadata: ".to_owned()),
        Just("frontend.rps: [{value: ".to_owned()),
        "[0-9]{1,20}s?",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Whatever is asked, an answer comes, and of one line each.
fn holds(text: &str) {
    for kind in [None, Some(FileKind::Static), Some(FileKind::Dynamic)] {
        lines(&check(text, kind));
    }
    lines(&check_merged(&[SAMPLE, text]));
}

proptest! {
    // Each case reads several files; hints about unknown dynamic keys are slow.
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_text_is_answered(text in near_yaml()) {
        holds(&text);
    }

    #[test]
    fn a_broken_sample_is_answered(from in 0usize..SAMPLE.len(), length in 0usize..40, with in near_yaml()) {
        let cut = |at: usize| (at..=SAMPLE.len()).find(|at| SAMPLE.is_char_boundary(*at)).unwrap();
        let (from, to) = (cut(from), cut((from + length).min(SAMPLE.len())));
        holds(&format!("{}{with}{}", &SAMPLE[..from], &SAMPLE[to..]));
    }

    #[test]
    fn any_value_of_any_key_is_answered(line in 0usize..SAMPLE.lines().count(), value in "[ -~]{0,12}|[0-9]{1,25}|(\\[|\\{)[a-z0-9:, ]{0,9}(\\]|\\})") {
        let change = |(number, text): (usize, &str)| match text.split_once(": ") {
            Some((key, _)) if number == line => format!("{key}: {value}\n"),
            Some(_) | None => format!("{text}\n"),
        };
        holds(&SAMPLE.lines().enumerate().map(change).collect::<String>());
    }
}
