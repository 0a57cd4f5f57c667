//! Task queues in memory.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{NamespaceId, Timestamp};

use super::{MemoryStore, find, find_or_make, lease_lost, lock, remove_below};
use crate::{
    Operation, StoreResult,
    task_queue::{BacklogTask, QueueKey, QueueLease, TaskQueueStore},
};

#[derive(Debug, Default)]
pub(super) struct Queue {
    range_id: i64,
    ack_id: i64,
    record: Bytes,
    backlog: BTreeMap<i64, (Timestamp, Bytes)>,
    /// Set when the queue is removed, for those who found it just before.
    deleted: bool,
}

impl MemoryStore {
    /// Changes a queue under its lease.
    fn write_queue(
        &self,
        operation: Operation,
        key: &QueueKey,
        range_id: i64,
        change: impl FnOnce(&mut Queue),
    ) -> StoreResult<()> {
        self.check_open(operation)?;
        let found: Option<Arc<Mutex<Queue>>> = find(&self.queues, key);
        let mut queue = found.as_deref().map(lock);
        let held = queue.as_ref().filter(|queue| !queue.deleted).map_or(0, |queue| queue.range_id);
        match &mut queue {
            Some(queue) if held == range_id => {
                change(queue);
                Ok(())
            }
            Some(_) | None => Err(lease_lost(operation, format_args!("queue {}", key.name), range_id, held)),
        }
    }
}

#[async_trait]
impl TaskQueueStore for MemoryStore {
    async fn acquire_queue(&self, key: &QueueKey) -> StoreResult<QueueLease> {
        self.check_open(Operation::AcquireQueue)?;
        loop {
            let queue = find_or_make(&self.queues, key);
            let mut queue = lock(&queue);
            if queue.deleted {
                continue;
            }
            queue.range_id += 1;
            return Ok(QueueLease { range_id: queue.range_id, ack_id: queue.ack_id, record: queue.record.clone() });
        }
    }

    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()> {
        self.write_queue(Operation::AppendTasks, key, range_id, |queue| {
            queue.backlog.extend(tasks.into_iter().map(|task| (task.id, (task.expires_at, task.task))));
        })
    }

    async fn read_tasks(&self, key: &QueueKey, after_id: i64, limit: usize) -> StoreResult<Vec<BacklogTask>> {
        self.check_open(Operation::ReadTasks)?;
        let Some(queue) = find(&self.queues, key) else { return Ok(Vec::new()) };
        let queue = lock(&queue);
        Ok(queue
            .backlog
            .range((Bound::Excluded(after_id), Bound::Unbounded))
            .take(limit)
            .map(|(id, (expires_at, task))| BacklogTask { id: *id, expires_at: *expires_at, task: task.clone() })
            .collect())
    }

    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, ack_id: i64) -> StoreResult<()> {
        self.write_queue(Operation::AckTasks, key, range_id, |queue| {
            queue.ack_id = ack_id;
            remove_below(&mut queue.backlog, &ack_id);
            queue.backlog.remove(&ack_id);
        })
    }

    async fn put_queue_record(&self, key: &QueueKey, range_id: i64, record: Bytes) -> StoreResult<()> {
        self.write_queue(Operation::PutQueueRecord, key, range_id, |queue| queue.record = record)
    }

    async fn list_queues(&self, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>> {
        self.check_open(Operation::ListQueues)?;
        let start = QueueKey { namespace_id: namespace_id.clone(), name: String::new(), task_type: i32::MIN };
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        Ok(queues
            .range(start..)
            .map(|(key, _)| key)
            .take_while(|key| key.namespace_id == *namespace_id)
            .cloned()
            .collect())
    }

    async fn delete_queue(&self, key: &QueueKey) -> StoreResult<()> {
        self.check_open(Operation::DeleteQueue)?;
        let removed = self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(queue) = removed {
            lock(&queue).deleted = true;
        }
        Ok(())
    }
}
