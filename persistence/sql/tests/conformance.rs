//! Every behaviour of the store contract, on SQLite in a file, in memory, and behind decorators.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use perdure_persistence::{
    SharedStore,
    conformance::Subject,
    decorator::{FaultInjection, FaultStore, MetricsStore},
};
use perdure_persistence_sql::{SqliteOptions, SqliteStore, SqliteSynchronous};
use tempfile::TempDir;

async fn file() -> (SharedStore, TempDir) {
    let directory = TempDir::new().unwrap();
    // Whether the disk keeps what was synced is not what these tests are about.
    let options = SqliteOptions {
        synchronous: SqliteSynchronous::Normal,
        ..SqliteOptions::file(directory.path().join("perdure.db"))
    };
    (Arc::new(SqliteStore::open(options).await.unwrap()), directory)
}

mod in_a_file {
    use super::*;

    async fn subject() -> Subject {
        let (store, directory) = file().await;
        Subject::keeping(store, directory)
    }

    perdure_persistence::conformance_suite!(subject);
}

mod in_memory {
    use super::*;

    async fn subject() -> Subject {
        Subject::new(Arc::new(SqliteStore::open(SqliteOptions::memory()).await.unwrap()))
    }

    perdure_persistence::conformance_suite!(subject);
}

mod decorated {
    use super::*;

    async fn subject() -> Subject {
        let (store, directory) = file().await;
        let measured: SharedStore = Arc::new(MetricsStore::new(store));
        let store = FaultStore::new(measured, &FaultInjection::default()).unwrap();
        Subject::keeping(Arc::new(store), directory)
    }

    perdure_persistence::conformance_suite!(subject);
}
