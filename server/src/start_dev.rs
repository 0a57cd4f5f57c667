//! `perdure server start-dev`: one node with everything in it.

use std::{io::Write, net::TcpListener, num::NonZeroUsize, path::Path, sync::Arc, thread, time::Duration};

use perdure_config::DynamicConfig;
use perdure_persistence::{SharedStore, decorator::MetricsStore, memory::MemoryStore};
use perdure_persistence_sql::{SqliteOpenError, SqliteOptions, SqliteStore};

use crate::{
    Node, NodeOptions, StartDevOptions, StartError, database::check_database, dynamic, dynamic::Follower, listen,
    metrics, report, signals,
};

/// How long a stop may take before what is left is cut off.
const STOP_DEADLINE: Duration = Duration::from_secs(4);

/// History shards of a new development cluster.
const SHARDS: u32 = 4;

/// Connections that read the database file.
const READERS: u32 = 2;

/// Threads at most, however many cores there are: beyond that a development server gains nothing.
const THREADS_MAX: usize = 4;

/// Runs a development server until it is asked to stop.
pub(crate) fn run(options: &StartDevOptions) -> Result<(), StartError> {
    if let Some(line) = report::without_effect(options) {
        tracing::warn!("{line}");
    }
    let (config, follower) = dynamic::start(&options.dynamic_config)?;
    if options.print_config {
        eprint!("{}", report::configuration(options, &config.settings()));
    }
    // The port first: two servers must not meet at the database.
    let listener = listen::listen("gRPC", "--port", options.frontend)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(serve(options, config, follower, listener))
}

async fn serve(
    options: &StartDevOptions,
    config: DynamicConfig,
    follower: Option<Follower>,
    listener: TcpListener,
) -> Result<(), StartError> {
    let stop = signals::stop_requested()
        .map_err(|error| StartError::Failed(format!("signals cannot be listened to: {error}")))?;
    let metrics_address = metrics::serve(options.metrics)?;
    let store = open_store(options).await?;
    if let Some(follower) = follower {
        tokio::spawn(follower.run(dynamic::POLL_INTERVAL));
    }
    let node = Node::start(NodeOptions {
        store,
        visibility: None,
        listener,
        config,
        namespaces: options.namespaces.clone(),
        search_attributes: options.search_attributes.clone(),
        shards: SHARDS,
        threads: thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX),
        archetypes: Default::default(),
        seed: rand::random(),
    })
    .await?;

    // Whoever closed our stdout does not want the screen; the server is up all the same.
    let screen = report::first_screen(options, node.address(), metrics_address);
    let _ = std::io::stdout().write_all(screen.as_bytes());
    let asked = stop.await;
    tracing::info!(signal = ?asked, "stopping");
    let report = node.stop(STOP_DEADLINE).await;
    if !report.abandoned.is_empty() {
        tracing::warn!(abandoned = ?report.abandoned, "stopped before everything had ended");
    }
    Ok(())
}

async fn open_store(options: &StartDevOptions) -> Result<SharedStore, StartError> {
    let Some(path) = &options.database else {
        return Ok(Arc::new(MetricsStore::new(Arc::new(MemoryStore::new()))));
    };
    check_database(path)?;
    // Each reader is a thread with memory of its own; the cache leaves them little to do.
    let sqlite =
        SqliteOptions { pragmas: options.sqlite_pragmas.clone(), readers: READERS, ..SqliteOptions::file(path) };
    let store = SqliteStore::open(sqlite).await.map_err(|error| refused(path, &error))?;
    Ok(Arc::new(MetricsStore::new(Arc::new(store))))
}

/// The store's errors begin with the file's name, and so does the line that is shown.
pub(crate) fn refused(path: &Path, error: &SqliteOpenError) -> StartError {
    let text = error.to_string();
    let problem = text.strip_prefix(&*path.to_string_lossy()).map_or(&*text, str::trim_start);
    let (path, problem) = (path.to_owned(), problem.to_owned());
    match error {
        SqliteOpenError::Foreign { .. } | SqliteOpenError::NotADatabase { .. } | SqliteOpenError::TooNew { .. } => {
            StartError::Schema { path, problem }
        }
        _ => StartError::Database { path, problem },
    }
}
