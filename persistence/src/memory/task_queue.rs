//! Task queues in memory.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{NamespaceId, Timestamp};

use super::{MemoryStore, find, find_or_make, lease_lost, lock};
use crate::{
    Operation, StoreResult,
    task_queue::{
        BacklogSummary, BacklogTask, LevelSummary, QueueKey, QueueLease, SUMMARY_SPAN_MIN, SUMMARY_SPANS, TaskPosition,
        TaskQueueStore,
    },
};

#[derive(Debug, Default)]
pub(super) struct Queue {
    range_id: i64,
    record: Bytes,
    backlog: BTreeMap<TaskPosition, BacklogTask>,
    /// Set when the queue is removed, for those who found it just before.
    deleted: bool,
}

/// Sums up the tasks of a level, of which there is at least one.
fn summarize(level: i32, tasks: &[&BacklogTask], keys_max: usize) -> LevelSummary {
    let created = || tasks.iter().map(|task| task.created_at.as_nanos());
    let (oldest, youngest) = (created().min().unwrap_or(0), created().max().unwrap_or(0));
    let span = SUMMARY_SPAN_MIN.max((youngest - oldest) / SUMMARY_SPANS);
    let mut ages: BTreeMap<i64, (Timestamp, u64)> = BTreeMap::new();
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for task in tasks {
        let of_span = ages.entry(task.created_at.as_nanos() / span).or_insert((task.created_at, 0));
        *of_span = (of_span.0.min(task.created_at), of_span.1 + 1);
        let pass = last.entry(task.fair_key).or_insert(task.position.pass);
        *pass = (*pass).max(task.position.pass);
    }
    let mut last_passes: Vec<(i64, i64)> = last.into_iter().collect();
    last_passes.sort_by_key(|(key, pass)| (std::cmp::Reverse(*pass), *key));
    last_passes.truncate(keys_max);
    last_passes.sort_unstable();
    let first_pass = tasks.iter().map(|task| task.position.pass).min().unwrap_or(0);
    LevelSummary { level, first_pass, ages: ages.into_values().collect(), last_passes }
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
            return Ok(QueueLease { range_id: queue.range_id, record: queue.record.clone() });
        }
    }

    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()> {
        self.write_queue(Operation::AppendTasks, key, range_id, |queue| {
            queue.backlog.extend(tasks.into_iter().map(|task| (task.position, task)));
        })
    }

    async fn read_tasks(&self, key: &QueueKey, after: TaskPosition, limit: usize) -> StoreResult<Vec<BacklogTask>> {
        self.check_open(Operation::ReadTasks)?;
        let Some(queue) = find(&self.queues, key) else { return Ok(Vec::new()) };
        let queue = lock(&queue);
        Ok(queue
            .backlog
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(|(position, _)| position.level == after.level)
            .take(limit)
            .map(|(_, task)| task.clone())
            .collect())
    }

    async fn summarize_backlog(&self, key: &QueueKey, keys_max: usize) -> StoreResult<BacklogSummary> {
        self.check_open(Operation::SummarizeBacklog)?;
        let Some(queue) = find(&self.queues, key) else { return Ok(BacklogSummary::default()) };
        let queue = lock(&queue);
        let mut levels: BTreeMap<i32, Vec<&BacklogTask>> = BTreeMap::new();
        for task in queue.backlog.values() {
            levels.entry(task.position.level).or_default().push(task);
        }
        let levels = levels.into_iter().map(|(level, tasks)| summarize(level, &tasks, keys_max)).collect();
        Ok(BacklogSummary { levels })
    }

    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, through: Vec<TaskPosition>) -> StoreResult<()> {
        self.write_queue(Operation::AckTasks, key, range_id, |queue| {
            for last in through {
                let finished = TaskPosition::start_of(last.level)..=last;
                while let Some(position) = queue.backlog.range(finished.clone()).next().map(|(found, _)| *found) {
                    queue.backlog.remove(&position);
                }
            }
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
