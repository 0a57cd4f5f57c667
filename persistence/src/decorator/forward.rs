//! Forwards every store call through an interceptor.

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, NamespaceId, ShardId, Timestamp, VisibilityRecord};
use perdure_visibility::{GroupBy, Query};

use super::{Decorated, Interceptor};
use crate::{
    ClusterStore, MaintenanceStore, NamespaceStore, Operation, ShardStore, StoreResult, TaskQueueStore,
    VisibilityChange, VisibilityStore, VisibilityWriter,
    maintenance::Remains,
    namespace::NamespaceRow,
    shard::{
        Direction, ExecutionPage, HistoryBatch, ImmediateBatch, ShardCommit, ShardLease, StoredExecution, TimerRow,
    },
    task_queue::{BacklogSummary, BacklogTask, QueueKey, QueueLease, TaskPosition},
    visibility::{Page, Position},
};

#[async_trait]
impl<S: ShardStore + ?Sized, I: Interceptor> ShardStore for Decorated<S, I> {
    async fn acquire_shard(&self, shard: ShardId, owner: &str) -> StoreResult<ShardLease> {
        self.interceptor.around(Operation::AcquireShard, self.inner.acquire_shard(shard, owner)).await
    }

    async fn commit(&self, commit: ShardCommit) -> StoreResult<()> {
        self.interceptor.around(Operation::Commit, self.inner.commit(commit)).await
    }

    async fn load_execution(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Option<StoredExecution>> {
        self.interceptor.around(Operation::LoadExecution, self.inner.load_execution(shard, key)).await
    }

    async fn current_run(&self, shard: ShardId, key: &BusinessKey) -> StoreResult<Option<String>> {
        self.interceptor.around(Operation::CurrentRun, self.inner.current_run(shard, key)).await
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
        let call = self.inner.read_history(shard, key, first, last, direction, limit);
        self.interceptor.around(Operation::ReadHistory, call).await
    }

    async fn read_immediate(&self, shard: ShardId, from_id: i64, limit: usize) -> StoreResult<Vec<ImmediateBatch>> {
        self.interceptor.around(Operation::ReadImmediate, self.inner.read_immediate(shard, from_id, limit)).await
    }

    async fn read_timers(
        &self,
        shard: ShardId,
        from: (Timestamp, i64),
        until: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<TimerRow>> {
        self.interceptor.around(Operation::ReadTimers, self.inner.read_timers(shard, from, until, limit)).await
    }

    async fn list_executions(
        &self,
        shard: ShardId,
        from: Option<&ExecutionKey>,
        limit: usize,
    ) -> StoreResult<ExecutionPage> {
        self.interceptor.around(Operation::ListExecutions, self.inner.list_executions(shard, from, limit)).await
    }
}

#[async_trait]
impl<S: TaskQueueStore + ?Sized, I: Interceptor> TaskQueueStore for Decorated<S, I> {
    async fn acquire_queue(&self, key: &QueueKey) -> StoreResult<QueueLease> {
        self.interceptor.around(Operation::AcquireQueue, self.inner.acquire_queue(key)).await
    }

    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()> {
        self.interceptor.around(Operation::AppendTasks, self.inner.append_tasks(key, range_id, tasks)).await
    }

    async fn read_tasks(&self, key: &QueueKey, after: TaskPosition, limit: usize) -> StoreResult<Vec<BacklogTask>> {
        self.interceptor.around(Operation::ReadTasks, self.inner.read_tasks(key, after, limit)).await
    }

    async fn summarize_backlog(&self, key: &QueueKey, keys_max: usize) -> StoreResult<BacklogSummary> {
        self.interceptor.around(Operation::SummarizeBacklog, self.inner.summarize_backlog(key, keys_max)).await
    }

    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, through: Vec<TaskPosition>) -> StoreResult<()> {
        self.interceptor.around(Operation::AckTasks, self.inner.ack_tasks(key, range_id, through)).await
    }

    async fn put_queue_record(&self, key: &QueueKey, range_id: i64, record: Bytes) -> StoreResult<()> {
        self.interceptor.around(Operation::PutQueueRecord, self.inner.put_queue_record(key, range_id, record)).await
    }

    async fn list_queues(&self, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>> {
        self.interceptor.around(Operation::ListQueues, self.inner.list_queues(namespace_id)).await
    }

    async fn delete_queue(&self, key: &QueueKey) -> StoreResult<()> {
        self.interceptor.around(Operation::DeleteQueue, self.inner.delete_queue(key)).await
    }
}

#[async_trait]
impl<S: NamespaceStore + ?Sized, I: Interceptor> NamespaceStore for Decorated<S, I> {
    async fn create_namespace(&self, id: &NamespaceId, name: &str, record: Bytes) -> StoreResult<NamespaceRow> {
        self.interceptor.around(Operation::CreateNamespace, self.inner.create_namespace(id, name, record)).await
    }

    async fn namespace_by_id(&self, id: &NamespaceId) -> StoreResult<Option<NamespaceRow>> {
        self.interceptor.around(Operation::NamespaceById, self.inner.namespace_by_id(id)).await
    }

    async fn namespace_by_name(&self, name: &str) -> StoreResult<Option<NamespaceRow>> {
        self.interceptor.around(Operation::NamespaceByName, self.inner.namespace_by_name(name)).await
    }

    async fn update_namespace(&self, row: NamespaceRow) -> StoreResult<i64> {
        self.interceptor.around(Operation::UpdateNamespace, self.inner.update_namespace(row)).await
    }

    async fn list_namespaces(&self, after: Option<&NamespaceId>, limit: usize) -> StoreResult<Vec<NamespaceRow>> {
        self.interceptor.around(Operation::ListNamespaces, self.inner.list_namespaces(after, limit)).await
    }

    async fn delete_namespace(&self, id: &NamespaceId) -> StoreResult<()> {
        self.interceptor.around(Operation::DeleteNamespace, self.inner.delete_namespace(id)).await
    }
}

#[async_trait]
impl<S: ClusterStore + ?Sized, I: Interceptor> ClusterStore for Decorated<S, I> {
    async fn cluster_record(&self, name: &str) -> StoreResult<Option<(i64, Bytes)>> {
        self.interceptor.around(Operation::ClusterRecord, self.inner.cluster_record(name)).await
    }

    async fn put_cluster_record(&self, name: &str, expected: Option<i64>, record: Bytes) -> StoreResult<i64> {
        let call = self.inner.put_cluster_record(name, expected, record);
        self.interceptor.around(Operation::PutClusterRecord, call).await
    }

    fn backend(&self) -> &'static str {
        self.inner.backend()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl<S: VisibilityStore + ?Sized, I: Interceptor> VisibilityStore for Decorated<S, I> {
    async fn list_visibility(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> StoreResult<Page> {
        let call = self.inner.list_visibility(namespace, query, after, limit);
        self.interceptor.around(Operation::ListVisibility, call).await
    }

    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64> {
        self.interceptor.around(Operation::CountVisibility, self.inner.count_visibility(namespace, query)).await
    }

    async fn count_visibility_groups(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        by: &GroupBy,
    ) -> StoreResult<Vec<(String, u64)>> {
        let call = self.inner.count_visibility_groups(namespace, query, by);
        self.interceptor.around(Operation::CountVisibilityGroups, call).await
    }
}

#[async_trait]
impl<S: MaintenanceStore + ?Sized, I: Interceptor> MaintenanceStore for Decorated<S, I> {
    async fn verify(&self, remove: bool) -> StoreResult<Vec<Remains>> {
        self.interceptor.around(Operation::Verify, self.inner.verify(remove)).await
    }

    async fn scan_visibility(&self, after: Option<&ExecutionKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>> {
        self.interceptor.around(Operation::ScanVisibility, self.inner.scan_visibility(after, limit)).await
    }

    async fn load_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<Vec<Option<VisibilityRecord>>> {
        self.interceptor.around(Operation::LoadVisibility, self.inner.load_visibility(runs)).await
    }

    async fn remove_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<()> {
        self.interceptor.around(Operation::RemoveVisibility, self.inner.remove_visibility(runs)).await
    }
}

#[async_trait]
impl<S: VisibilityWriter + ?Sized, I: Interceptor> VisibilityWriter for Decorated<S, I> {
    async fn write_visibility(&self, changes: Vec<VisibilityChange>) -> StoreResult<()> {
        self.interceptor.around(Operation::WriteVisibility, self.inner.write_visibility(changes)).await
    }

    fn visibility_backend(&self) -> &'static str {
        self.inner.visibility_backend()
    }
}
