//! Dynamic configuration of a running server: loaded at start, loaded again when its file changes.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use perdure_config::{Assignment, DynamicConfig, Loaded, Sources, Value, Warning, load};
use tracing::{error, info, warn};

use crate::{DynamicConfigOptions, StartError};

/// How often the file is looked at, as Temporal does.
pub const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The largest file that is read, in bytes.
const FILE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// What a development server has in place of Temporal's defaults: those rates share a cluster among
/// tenants, and here they would only be in the way of the one user.
const DEVELOPMENT_DEFAULTS: [(&str, Value); 8] = [
    ("frontend.rps", Value::Int(1_000_000)),
    ("frontend.namespaceRPS", Value::Int(1_000_000)),
    ("frontend.namespaceCount", Value::Int(50_000)),
    ("admin.matchingNamespaceToPartitionDispatchRate", Value::Int(1_000_000)),
    ("admin.matchingNamespaceTaskqueueToPartitionDispatchRate", Value::Int(1_000_000)),
    // One node has no use for several partitions: they only spread pollers away from tasks.
    ("matching.numTaskqueueReadPartitions", Value::Int(1)),
    ("matching.numTaskqueueWritePartitions", Value::Int(1)),
    // Temporal's development server lets operators touch standalone activities too.
    ("history.enableStandaloneActivityOperatorCommands", Value::Bool(true)),
];

/// Loads the configuration of a development server and logs its warnings. With a file comes a follower,
/// to be run for as long as the server does.
pub fn start(options: &DynamicConfigOptions) -> Result<(DynamicConfig, Option<Follower>), StartError> {
    // Before the read: a change between the two is then seen as one.
    let state = options.file.as_deref().map(FileState::of);
    let file = options.file.as_deref().map(read).transpose()?;
    let Loaded { settings, warnings } = load_with(file.as_deref(), &options.values)?;
    report(&warnings);
    let config = DynamicConfig::new(settings);
    let follower = options.file.clone().zip(state).map(|(path, state)| Follower {
        path,
        state,
        values: options.values.clone(),
        config: config.clone(),
    });
    Ok((config, follower))
}

/// Keeps a configuration in step with its file.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// The file as it was when it was last read.
    state: FileState,
    values: Vec<Assignment>,
    config: DynamicConfig,
}

impl Follower {
    /// Looks at the file every `interval` ([`POLL_INTERVAL`] in production) and puts what it says in force
    /// when it has changed. Does not end. A file that cannot be read or is refused leaves the former
    /// settings in force; that is told once per change.
    pub async fn run(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self = match tokio::task::spawn_blocking(move || self.look()).await {
                Ok(follower) => follower,
                Err(panic) => return error!("dynamic config is no longer followed: {panic}"),
            };
        }
    }

    fn look(mut self) -> Self {
        let now = FileState::of(&self.path);
        if now == self.state {
            return self;
        }
        self.state = now;
        let reloaded = read(&self.path).and_then(|text| load_with(Some(&text), &self.values));
        metrics::gauge!("dynamic_config_update_failure").set(if reloaded.is_ok() { 0.0 } else { 1.0 });
        match reloaded {
            Ok(Loaded { settings, warnings }) => {
                report(&warnings);
                info!(path = %self.path.display(), "dynamic config changed and is in force");
                self.config.replace(settings);
            }
            Err(problem) => error!("dynamic config not taken, the former stays in force: {problem}"),
        }
        self
    }
}

/// What tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FileState(Option<(SystemTime, u64)>);

impl FileState {
    fn of(path: &Path) -> Self {
        let state = || {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self(state())
    }
}

fn load_with(file: Option<&str>, overrides: &[Assignment]) -> Result<Loaded, StartError> {
    let defaults = DEVELOPMENT_DEFAULTS.map(|(key, value)| Assignment { key: key.to_owned(), value });
    Ok(load(Sources { defaults: &defaults, file, overrides })?)
}

fn read(path: &Path) -> Result<String, StartError> {
    let read = || {
        let mut text = String::new();
        let length = File::open(path)?.take(FILE_SIZE_MAX + 1).read_to_string(&mut text)?;
        if length as u64 > FILE_SIZE_MAX {
            return Err(io::Error::other(format!("it is larger than {FILE_SIZE_MAX} bytes")));
        }
        Ok(text)
    };
    read().map_err(|source| StartError::DynamicConfigFile { path: path.to_owned(), source })
}

fn report(warnings: &[Warning]) {
    for warning in warnings {
        warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(file: Option<&Path>, values: &[(&str, i64)]) -> DynamicConfigOptions {
        let values = values.iter().map(|(key, value)| Assignment { key: (*key).to_owned(), value: Value::Int(*value) });
        DynamicConfigOptions { file: file.map(Path::to_owned), values: values.collect() }
    }

    #[test]
    fn development_defaults_yield_to_flags() {
        let (config, follower) = start(&options(None, &[("frontend.namespaceRPS", 5)])).unwrap();
        assert!(follower.is_none());
        let rates = config.settings().frontend_rates("default");
        assert_eq!((rates.host_rps, rates.namespace_rps), (1_000_000, 5));
        assert!(config.settings().limits("default").activity_operator_commands);
    }

    #[test]
    fn what_cannot_be_loaded_is_refused() {
        let missing = start(&options(Some(Path::new("/no/such/file.yaml")), &[])).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read dynamic config file /no/such/file.yaml: "), "{missing}");
        let unknown = start(&options(None, &[("limit.maxIDLengths", 1)])).unwrap_err();
        assert!(unknown.to_string().ends_with("did you mean limit.maxIDLength?"), "{unknown}");
        assert_eq!((missing.exit_code(), unknown.exit_code()), (2, 2));
    }

    #[tokio::test]
    async fn a_changed_file_takes_effect_and_a_bad_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dynamic.yaml");
        let write = |text: &str| {
            // Rename: a reader must never see half a file.
            let draft = directory.path().join("draft");
            std::fs::write(&draft, text).unwrap();
            std::fs::rename(&draft, &path).unwrap();
        };
        write("frontend.rps: [{value: 1}]");
        let options = options(Some(&path), &[("frontend.namespaceRPS", 5)]);
        let (config, follower) = start(&options).unwrap();
        assert_eq!(config.settings().frontend_rates("a").host_rps, 1);
        let follower = tokio::spawn(follower.unwrap().run(Duration::from_millis(1)));
        let reached = async |rps: usize| {
            while config.settings().frontend_rates("a").host_rps != rps {
                tokio::task::yield_now().await;
            }
        };

        write("frontend.rps: [{value: 22}]");
        reached(22).await;
        write("frontend.rps: [{value: refused}]");
        write("frontend.rps: [{value: 4444}]");
        reached(4444).await;
        assert_eq!(config.settings().frontend_rates("a").namespace_rps, 5);
        std::fs::remove_file(&path).unwrap();
        write("frontend.rps: [{value: 88888}]");
        reached(88888).await;
        follower.abort();
    }
}
