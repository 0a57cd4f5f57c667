//! Store calls and their results.

use std::sync::Arc;

use metrics::Histogram;
use perdure_kernel::Timestamp;
use perdure_persistence::{
    StoreError, StoreErrorKind, StoreResult, TaskQueueStore,
    task_queue::{BacklogTask, QueueKey, QueueLease},
};
use perdure_proto::records::QueuedTask;
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, StoredTask};
use prost::Message;
use tokio::time::Instant;

use super::{Msg, TaskQueue};

type Store = Arc<dyn TaskQueueStore>;

async fn acquire(store: Store, key: QueueKey) -> StoreResult<QueueLease> {
    store.acquire_queue(&key).await
}

async fn append(
    store: Store,
    key: QueueKey,
    range_id: i64,
    rows: Vec<BacklogTask>,
    written: Option<Histogram>,
) -> StoreResult<()> {
    let began = Instant::now();
    let result = store.append_tasks(&key, range_id, rows).await;
    if let Some(written) = written {
        written.record(began.elapsed());
    }
    result
}

async fn read(store: Store, key: QueueKey, after_id: i64, limit: usize) -> StoreResult<Vec<BacklogTask>> {
    store.read_tasks(&key, after_id, limit).await
}

async fn ack(store: Store, key: QueueKey, range_id: i64, ack_id: i64) -> StoreResult<()> {
    store.ack_tasks(&key, range_id, ack_id).await
}

impl TaskQueue {
    pub(super) fn acquire_lease(&self, ctx: &mut Ctx<Self>) {
        self.count(|metrics| &metrics.lease_requests);
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(acquire(store, key), Msg::Leased);
    }

    pub(super) fn leased(&mut self, result: StoreResult<QueueLease>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(lease) => {
                self.feed(Input::LeaseAcquired { range_id: lease.range_id, ack_id: lease.ack_id }, ctx);
            }
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "the task queue's lease could not be taken");
                self.count(|metrics| &metrics.lease_failures);
                self.feed(Input::LeaseFailed, ctx);
                self.answer_describes(ctx);
            }
        }
    }

    pub(super) fn append(&self, range_id: i64, tasks: Vec<StoredTask>, ctx: &mut Ctx<Self>) {
        let rows = tasks
            .into_iter()
            .map(|StoredTask { id, task }| BacklogTask {
                id,
                expires_at: Timestamp::from_nanos(task.expires_at),
                task: task.encode_to_vec().into(),
            })
            .collect();
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        let written = self.metrics.as_ref().map(|metrics| metrics.task_write.clone());
        ctx.spawn_io(append(store, key, range_id, rows, written), Msg::Appended);
    }

    pub(super) fn appended(&mut self, result: StoreResult<()>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(()) => self.feed(Input::Appended, ctx),
            Err(error) => {
                self.feed(Input::AppendFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    pub(super) fn read(&self, after_id: i64, limit: usize, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(read(store, key, after_id, limit), move |rows| Msg::PageRead(rows, limit));
    }

    pub(super) fn page_read(&mut self, result: StoreResult<Vec<BacklogTask>>, limit: usize, ctx: &mut Ctx<Self>) {
        match result {
            Ok(rows) => {
                let (last_id, full) = (rows.last().map(|row| row.id), rows.len() >= limit);
                let tasks = rows.into_iter().filter_map(|row| self.decode(row)).collect();
                self.feed(Input::PageRead { tasks, last_id, full }, ctx);
            }
            Err(error) => {
                self.feed(Input::ReadFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    fn decode(&self, row: BacklogTask) -> Option<StoredTask> {
        match QueuedTask::decode(row.task) {
            Ok(task) => Some(StoredTask { id: row.id, task: Arc::new(task) }),
            Err(error) => {
                tracing::error!(queue = %self.name, id = row.id, %error, "dropping a task that cannot be read");
                None
            }
        }
    }

    pub(super) fn ack(&self, range_id: i64, ack_id: i64, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(ack(store, key, range_id, ack_id), Msg::Acked);
    }

    pub(super) fn acked(&mut self, result: StoreResult<()>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(()) => self.feed(Input::Acked, ctx),
            Err(error) => {
                self.feed(Input::AckFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    fn store_failed(&mut self, error: &StoreError, ctx: &mut Ctx<Self>) {
        match error.kind {
            StoreErrorKind::LeaseLost | StoreErrorKind::Corrupt => {
                tracing::warn!(queue = %self.name, %error, "the task queue stops");
                self.stopping = true;
                self.feed(Input::Drain, ctx);
            }
            StoreErrorKind::Conflict
            | StoreErrorKind::AlreadyExists
            | StoreErrorKind::NotFound
            | StoreErrorKind::Unavailable
            | StoreErrorKind::OutcomeUnknown => {
                tracing::warn!(queue = %self.name, %error, "a store call of the task queue failed");
            }
        }
    }
}
