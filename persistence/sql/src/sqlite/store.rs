//! The store's handle.

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, NamespaceId, ShardId, Timestamp, VisibilityRecord};
use perdure_persistence::{
    ClusterStore, MaintenanceStore, NamespaceStore, Operation, ShardStore, StoreError, StoreErrorKind, StoreResult,
    TaskQueueStore, VisibilityStore,
    maintenance::Remains,
    namespace::NamespaceRow,
    shard::{
        Direction, ExecutionPage, HistoryBatch, ImmediateBatch, ShardCommit, ShardLease, StoredExecution, TimerRow,
    },
    task_queue::{BacklogSummary, BacklogTask, QueueKey, QueueLease, TaskPosition},
    visibility::{Page, Position},
};
use perdure_visibility::{GroupBy, Query};
use sqlx::SqlitePool;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};
use tracing::error;

use super::{
    SqliteOpenError, SqliteOptions, SqliteSchema, maintain,
    open::Connector,
    queue::{QueueChange, QueueWrite},
    read, registry, visibility,
    writer::{Job, QUEUE_CAPACITY, Request, Write, Writer, Written},
};
use crate::key::RunKey;

/// A store in a SQLite database.
///
/// Dropping the last handle ends the writer after what was sent to it; [`ClusterStore::close`] waits for
/// that.
#[derive(Debug)]
pub struct SqliteStore {
    requests: mpsc::Sender<Request>,
    readers: SqlitePool,
    /// Taken by whoever closes the store.
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database, makes it or brings its schema up to date, and starts the writer on the current
    /// tokio runtime.
    pub async fn open(options: SqliteOptions) -> Result<Self, SqliteOpenError> {
        let connector = Connector::new(options)?;
        let conn = connector.writer().await?;
        let readers = connector.readers();
        let (requests, receiver) = mpsc::channel(QUEUE_CAPACITY);
        let writer = tokio::spawn(Writer::new(connector, conn, receiver).run());
        Ok(Self { requests, readers, writer: Mutex::new(Some(writer)) })
    }

    /// Which schema a database has that is there. Changes nothing.
    pub async fn schema(options: SqliteOptions) -> Result<SqliteSchema, SqliteOpenError> {
        Connector::new(options)?.schema().await
    }

    async fn write(&self, operation: Operation, write: Write) -> StoreResult<Written> {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Write(Job { write, reply })).await.is_err() {
            return Err(StoreError::new(StoreErrorKind::Unavailable, operation.name(), "the store is closed"));
        }
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::new(StoreErrorKind::OutcomeUnknown, operation.name(), "the writer stopped"))
        })
    }

    async fn write_queue(&self, key: &QueueKey, range_id: i64, change: QueueChange) -> StoreResult<()> {
        let write = QueueWrite { key: key.clone(), range_id, change };
        self.write(write.operation(), Write::Queue(write)).await.map(drop)
    }
}

/// An answer of another write's kind. The writer gives none; if it did, the write may have been made.
fn mismatched<T>(operation: Operation, written: &Written) -> StoreResult<T> {
    let message = format!("the writer answered {written:?}");
    Err(StoreError::new(StoreErrorKind::OutcomeUnknown, operation.name(), message))
}

#[async_trait]
impl ShardStore for SqliteStore {
    async fn acquire_shard(&self, shard: ShardId, owner: &str) -> StoreResult<ShardLease> {
        let operation = Operation::AcquireShard;
        match self.write(operation, Write::AcquireShard { shard, owner: owner.to_owned() }).await? {
            Written::Shard(lease) => Ok(lease),
            other => mismatched(operation, &other),
        }
    }

    async fn commit(&self, commit: ShardCommit) -> StoreResult<()> {
        self.write(Operation::Commit, Write::Commit(commit)).await.map(drop)
    }

    async fn load_execution(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Option<StoredExecution>> {
        read::load_execution(&self.readers, shard, key).await
    }

    async fn current_run(&self, shard: ShardId, key: &BusinessKey) -> StoreResult<Option<String>> {
        read::current_run(&self.readers, shard, key).await
    }

    async fn read_history(
        &self,
        shard: ShardId,
        key: &ExecutionKey,
        first: i64,
        last: i64,
        direction: Direction,
        limit: usize,
    ) -> StoreResult<Vec<HistoryBatch>> {
        let key = RunKey::new(shard, key);
        read::history(&self.readers, key, first, last, direction, read::limit(limit)).await
    }

    async fn read_immediate(&self, shard: ShardId, from_id: i64, limit: usize) -> StoreResult<Vec<ImmediateBatch>> {
        read::immediate(&self.readers, shard, from_id, read::limit(limit)).await
    }

    async fn read_timers(
        &self,
        shard: ShardId,
        from: (Timestamp, i64),
        until: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<TimerRow>> {
        read::timers(&self.readers, shard, from, until, read::limit(limit)).await
    }

    async fn list_executions(
        &self,
        shard: ShardId,
        from: Option<&ExecutionKey>,
        limit: usize,
    ) -> StoreResult<ExecutionPage> {
        read::executions(&self.readers, shard, from, limit).await
    }
}

#[async_trait]
impl TaskQueueStore for SqliteStore {
    async fn acquire_queue(&self, key: &QueueKey) -> StoreResult<QueueLease> {
        let operation = Operation::AcquireQueue;
        match self.write(operation, Write::AcquireQueue(key.clone())).await? {
            Written::Queue(lease) => Ok(lease),
            other => mismatched(operation, &other),
        }
    }

    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()> {
        self.write_queue(key, range_id, QueueChange::Append(tasks)).await
    }

    async fn read_tasks(&self, key: &QueueKey, after: TaskPosition, limit: usize) -> StoreResult<Vec<BacklogTask>> {
        read::tasks(&self.readers, key, after, read::limit(limit)).await
    }

    async fn summarize_backlog(&self, key: &QueueKey, keys_max: usize) -> StoreResult<BacklogSummary> {
        read::summary(&self.readers, key, read::limit(keys_max)).await
    }

    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, through: Vec<TaskPosition>) -> StoreResult<()> {
        self.write_queue(key, range_id, QueueChange::Ack(through)).await
    }

    async fn put_queue_record(&self, key: &QueueKey, range_id: i64, record: Bytes) -> StoreResult<()> {
        self.write_queue(key, range_id, QueueChange::Record(record)).await
    }

    async fn list_queues(&self, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>> {
        read::queues(&self.readers, namespace_id).await
    }

    async fn delete_queue(&self, key: &QueueKey) -> StoreResult<()> {
        self.write(Operation::DeleteQueue, Write::DeleteQueue(key.clone())).await.map(drop)
    }
}

#[async_trait]
impl NamespaceStore for SqliteStore {
    async fn create_namespace(&self, id: &NamespaceId, name: &str, record: Bytes) -> StoreResult<NamespaceRow> {
        let row = NamespaceRow { id: id.clone(), name: name.to_owned(), version: 1, record };
        self.write(Operation::CreateNamespace, Write::CreateNamespace(row.clone())).await.map(|_| row)
    }

    async fn namespace_by_id(&self, id: &NamespaceId) -> StoreResult<Option<NamespaceRow>> {
        registry::namespace_by_id(&self.readers, id).await
    }

    async fn namespace_by_name(&self, name: &str) -> StoreResult<Option<NamespaceRow>> {
        registry::namespace_by_name(&self.readers, name).await
    }

    async fn update_namespace(&self, row: NamespaceRow) -> StoreResult<i64> {
        let operation = Operation::UpdateNamespace;
        match self.write(operation, Write::UpdateNamespace(row)).await? {
            Written::Version(version) => Ok(version),
            other => mismatched(operation, &other),
        }
    }

    async fn list_namespaces(&self, after: Option<&NamespaceId>, limit: usize) -> StoreResult<Vec<NamespaceRow>> {
        registry::list_namespaces(&self.readers, after, read::limit(limit)).await
    }

    async fn delete_namespace(&self, id: &NamespaceId) -> StoreResult<()> {
        self.write(Operation::DeleteNamespace, Write::DeleteNamespace(id.clone())).await.map(drop)
    }
}

#[async_trait]
impl ClusterStore for SqliteStore {
    async fn cluster_record(&self, name: &str) -> StoreResult<Option<(i64, Bytes)>> {
        registry::cluster_record(&self.readers, name).await
    }

    async fn put_cluster_record(&self, name: &str, expected: Option<i64>, record: Bytes) -> StoreResult<i64> {
        let operation = Operation::PutClusterRecord;
        let write = Write::PutClusterRecord { name: name.to_owned(), expected, record };
        match self.write(operation, write).await? {
            Written::Version(version) => Ok(version),
            other => mismatched(operation, &other),
        }
    }

    fn backend(&self) -> &'static str {
        "sqlite"
    }

    async fn close(&self) {
        // A second closer waits here for the first.
        let mut writer = self.writer.lock().await;
        let Some(handle) = writer.take() else { return };
        // Readers go first, so that the last checkpoint finds nobody in its way.
        self.readers.close().await;
        // An error means that the writer is gone already.
        let _ = self.requests.send(Request::Close).await;
        if let Err(error) = handle.await {
            error!(%error, "the writer did not end well");
        }
    }
}

#[async_trait]
impl VisibilityStore for SqliteStore {
    async fn list_visibility(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> StoreResult<Page> {
        visibility::list(&self.readers, namespace, query, after, limit).await
    }

    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64> {
        visibility::count(&self.readers, namespace, query).await
    }

    async fn count_visibility_groups(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        by: &GroupBy,
    ) -> StoreResult<Vec<(String, u64)>> {
        visibility::groups(&self.readers, namespace, query, by).await
    }
}

#[async_trait]
impl MaintenanceStore for SqliteStore {
    async fn verify(&self, remove: bool) -> StoreResult<Vec<Remains>> {
        let mut all = Vec::new();
        for (kind, mut remains) in maintain::look(&self.readers).await? {
            if let Some(kind) = kind.filter(|_| remove) {
                self.write(Operation::Verify, Write::MendRemains(kind)).await?;
                remains.removed = true;
            }
            all.push(remains);
        }
        Ok(all)
    }

    async fn scan_visibility(&self, after: Option<&ExecutionKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>> {
        visibility::scan(&self.readers, after, read::limit(limit)).await
    }

    async fn load_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<Vec<Option<VisibilityRecord>>> {
        visibility::load(&self.readers, runs).await
    }

    async fn remove_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<()> {
        self.write(Operation::RemoveVisibility, Write::RemoveVisibility(runs.to_vec())).await.map(drop)
    }
}
