//! What a person who starts a server reads: the first screen, and the configuration in force.

use std::{fmt::Write, net::SocketAddr};

use perdure_config::Settings;

use crate::{StartDevOptions, VERSION, options::DEFAULT_PORT};

/// Namespaces named on the first screen; more are counted.
const NAMESPACES_SHOWN: usize = 8;

/// The first screen of a development server that serves: `frontend` and `metrics` are the addresses it
/// got. For stdout.
pub fn first_screen(options: &StartDevOptions, frontend: SocketAddr, metrics: SocketAddr) -> String {
    let server = friendly(frontend);
    let shown = options.namespaces.len().min(NAMESPACES_SHOWN);
    let mut namespaces = options.namespaces[..shown].join(", ");
    if options.namespaces.len() > shown {
        // Writing to a String cannot fail.
        let _ = write!(namespaces, " and {} more", options.namespaces.len() - shown);
    }
    let database = match &options.database {
        Some(path) => path.display().to_string(),
        None => "in memory (lost at stop; --db-filename FILE keeps it)".to_owned(),
    };
    let address = if frontend.port() == DEFAULT_PORT && frontend.ip().is_loopback() {
        String::new()
    } else {
        format!(" --address {server}")
    };
    let metrics = friendly(metrics);
    format!(
        "perdure {VERSION}\n\n\
         Server:     {server}\n\
         Namespaces: {namespaces}\n\
         Database:   {database}\n\
         Metrics:    http://{metrics}/metrics\n\n\
         Next:       connect a Temporal SDK to {server}, or look around: temporal operator namespace list{address}\n\
         Stop:       Ctrl-C\n"
    )
}

/// The configuration in force, for `--log-config`.
pub fn configuration(options: &StartDevOptions, settings: &Settings) -> String {
    let StartDevOptions {
        frontend,
        namespaces,
        database,
        sqlite_pragmas,
        search_attributes,
        dynamic_config,
        metrics,
        log,
        print_config: _,
        without_effect: _,
    } = options;
    let pairs = |pairs: Vec<String>| if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") };
    let file = |path: &Option<std::path::PathBuf>, none: &str| {
        path.as_ref().map_or_else(|| none.to_owned(), |path| path.display().to_string())
    };
    format!(
        "# gRPC address: {frontend}\n\
         # metrics address: {metrics}\n\
         # namespaces: {}\n\
         # database: {}\n\
         # SQLite pragmas: {}\n\
         # search attributes: {}\n\
         # log: {:?}, {:?}\n\
         # dynamic config file: {}\n\
         # dynamic config in force:\n{settings}",
        namespaces.join(", "),
        file(database, "in memory"),
        pairs(sqlite_pragmas.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        pairs(search_attributes.iter().map(|(name, kind)| format!("{name}={kind:?}")).collect()),
        log.level,
        log.format,
        file(&dynamic_config.file, "none"),
    )
}

/// The line for flags that were given and have no effect, if there are any.
pub fn without_effect(options: &StartDevOptions) -> Option<String> {
    let flags = &options.without_effect;
    (!flags.is_empty()).then(|| format!("these flags have no effect in this release: {}", flags.join(", ")))
}

/// An address as a person types it.
fn friendly(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_screen() {
        let options = StartDevOptions { namespaces: vec!["default".into(), "a".into()], ..Default::default() };
        let screen = first_screen(&options, options.frontend, "127.0.0.1:9090".parse().unwrap());
        let expected = format!(
            "\
perdure {VERSION}

Server:     localhost:7233
Namespaces: default, a
Database:   in memory (lost at stop; --db-filename FILE keeps it)
Metrics:    http://localhost:9090/metrics

Next:       connect a Temporal SDK to localhost:7233, or look around: temporal operator namespace list
Stop:       Ctrl-C
"
        );
        assert_eq!(screen, expected);
    }

    #[test]
    fn the_first_screen_of_another_server() {
        let options = StartDevOptions {
            namespaces: (0..100).map(|i| format!("n{i}")).collect(),
            database: Some("/data/p.db".into()),
            ..Default::default()
        };
        let screen = first_screen(&options, "10.0.0.1:7000".parse().unwrap(), "10.0.0.1:1".parse().unwrap());
        for expected in [
            "Server:     10.0.0.1:7000\n",
            "n6, n7 and 92 more\n",
            "Database:   /data/p.db\n",
            "temporal operator namespace list --address 10.0.0.1:7000\n",
        ] {
            assert!(screen.contains(expected), "{screen}");
        }
    }

    #[test]
    fn the_configuration_shows_everything() {
        let options =
            StartDevOptions { sqlite_pragmas: vec![("journal_mode".into(), "wal".into())], ..Default::default() };
        let text = configuration(&options, &Settings::default());
        for expected in
            ["127.0.0.1:7233", "in memory", "journal_mode=wal", "limit.maxIDLength:\n  - value: 1000 # default"]
        {
            assert!(text.contains(expected), "{text}");
        }
    }
}
