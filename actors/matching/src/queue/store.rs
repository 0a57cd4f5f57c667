//! Store calls and their results.

use std::sync::Arc;

use perdure_kernel::Timestamp;
use perdure_persistence::{
    StoreError, StoreErrorKind, StoreResult,
    task_queue::{BacklogTask, QueueLease},
};
use perdure_proto::records::QueuedTask;
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, StoredTask};
use prost::Message;

use super::{Msg, TaskQueue};

impl TaskQueue {
    pub(super) fn acquire_lease(&mut self, ctx: &mut Ctx<Self>) {
        self.count(|metrics| &metrics.lease_requests);
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(async move { store.acquire_queue(&key).await }, Msg::Leased);
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

    pub(super) fn append(&mut self, range_id: i64, tasks: Vec<StoredTask>, ctx: &mut Ctx<Self>) {
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
        let began = ctx.instant();
        ctx.spawn_io(
            async move {
                let result = store.append_tasks(&key, range_id, rows).await;
                if let Some(written) = written {
                    written.record(began.elapsed());
                }
                result
            },
            Msg::Appended,
        );
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

    pub(super) fn read(&mut self, after_id: i64, limit: usize, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(async move { store.read_tasks(&key, after_id, limit).await }, move |rows| {
            Msg::PageRead(rows, limit)
        });
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

    pub(super) fn ack(&mut self, range_id: i64, ack_id: i64, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(async move { store.ack_tasks(&key, range_id, ack_id).await }, Msg::Acked);
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
