//! The backlog in the store.

use std::sync::Arc;

use perdure_persistence::{
    StoreErrorKind, StoreResult,
    task_queue::{BacklogTask, QueueLease},
};
use perdure_proto::records::QueuedTask;
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, StoredTask};
use prost::Message;

use super::{QueueMsg, TaskQueue, outputs::expiry};

impl TaskQueue {
    pub(super) fn acquire_lease(&self, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        ctx.spawn_io(async move { store.acquire_queue(&key).await }, QueueMsg::Leased);
    }

    pub(super) fn append(&self, range_id: i64, tasks: &[StoredTask], ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let rows = tasks.iter().map(|stored| BacklogTask {
            id: stored.id,
            expires_at: expiry(&stored.task),
            task: stored.task.encode_to_vec().into(),
        });
        let rows = rows.collect();
        ctx.spawn_io(async move { store.append_tasks(&key, range_id, rows).await }, QueueMsg::Appended);
    }

    pub(super) fn read(&self, after_id: i64, limit: usize, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        ctx.spawn_io(async move { store.read_tasks(&key, after_id, limit).await }, move |rows| QueueMsg::PageRead { limit, rows });
    }

    pub(super) fn ack(&self, range_id: i64, ack_id: i64, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        ctx.spawn_io(async move { store.ack_tasks(&key, range_id, ack_id).await }, QueueMsg::Acked);
    }

    pub(super) fn leased(&mut self, result: StoreResult<QueueLease>, ctx: &mut Ctx<Self>) {
        let input = match result {
            Ok(lease) => Input::LeaseAcquired { range_id: lease.range_id, ack_id: lease.ack_id },
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "task queue cannot be taken; trying again");
                Input::LeaseFailed
            }
        };
        self.tell(input, ctx);
    }

    /// A write ended. A lost lease means that another node serves the queue now: this actor leaves.
    pub(super) fn stored(&mut self, result: StoreResult<()>, done: Input, failed: Input, ctx: &mut Ctx<Self>) {
        match result {
            Ok(()) => self.tell(done, ctx),
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "backlog not written");
                self.tell(failed, ctx);
                if error.kind == StoreErrorKind::LeaseLost {
                    ctx.stop();
                }
            }
        }
    }

    pub(super) fn page_read(&mut self, limit: usize, rows: StoreResult<Vec<BacklogTask>>, ctx: &mut Ctx<Self>) {
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "backlog not read; trying again");
                return self.tell(Input::ReadFailed, ctx);
            }
        };
        let full = rows.len() >= limit;
        let last_id = rows.last().map(|row| row.id);
        let tasks = rows.into_iter().filter_map(|row| match QueuedTask::decode(row.task) {
            Ok(task) => Some(StoredTask { id: row.id, task: Arc::new(task) }),
            Err(error) => {
                tracing::error!(queue = %self.name, id = row.id, %error, "backlog task is damaged and dropped");
                None
            }
        });
        let tasks = tasks.collect();
        self.tell(Input::PageRead { tasks, last_id, full }, ctx);
    }
}
