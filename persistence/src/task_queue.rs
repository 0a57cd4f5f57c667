//! Task queues: leases and the backlog of tasks that no poller was waiting for.

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{NamespaceId, Timestamp};

use crate::StoreResult;

/// Names a stored task queue partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The queue's namespace.
    pub namespace_id: NamespaceId,
    /// The queue's name, with its partition (`name`, `/_sys/name/3`).
    pub name: String,
    /// Number of `temporal.api.enums.v1.TaskQueueType`.
    pub task_type: i32,
}

/// A held lease on a queue partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLease {
    /// Fence: every write names it; taking the queue again raises it by one.
    pub range_id: i64,
    /// Tasks with ids up to and including this one are finished.
    pub ack_id: i64,
    /// Opaque settings of the queue (rates, weights, user data). Empty for a new queue.
    pub record: Bytes,
}

/// A task in the backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogTask {
    /// Position in the queue; unique and ascending within it.
    pub id: i64,
    /// After this the task need not be delivered; [`Timestamp::EPOCH`] for never.
    pub expires_at: Timestamp,
    /// Encoded task.
    pub task: Bytes,
}

/// Task queue partitions and their backlogs.
#[async_trait]
pub trait TaskQueueStore: Send + Sync + 'static {
    /// Takes the queue: raises its range id by one, which fences every earlier owner. The queue is made
    /// when it does not exist.
    async fn acquire_queue(&self, key: &QueueKey) -> StoreResult<QueueLease>;

    /// Appends tasks atomically and durably. `LeaseLost` when the range id does not match.
    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()>;

    /// Tasks with `id > after_id`, ascending, at most `limit`.
    async fn read_tasks(&self, key: &QueueKey, after_id: i64, limit: usize) -> StoreResult<Vec<BacklogTask>>;

    /// Deletes tasks with `id <= ack_id` and stores the level. `LeaseLost` when the range id does not match.
    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, ack_id: i64) -> StoreResult<()>;

    /// Replaces the queue's opaque record. `LeaseLost` when the range id does not match.
    async fn put_queue_record(&self, key: &QueueKey, range_id: i64, record: Bytes) -> StoreResult<()>;

    /// Every stored queue of a namespace, ordered by key.
    async fn list_queues(&self, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>>;

    /// Removes a queue with its backlog. Removing an absent queue is no error.
    async fn delete_queue(&self, key: &QueueKey) -> StoreResult<()>;
}
