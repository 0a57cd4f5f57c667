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
    /// Opaque settings of the queue (rates, weights, user data). Empty for a new queue.
    pub record: Bytes,
}

/// Where a task stands in its queue: tasks are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskPosition {
    /// Its priority level; lower ones come first. Not negative.
    pub level: i32,
    /// Its place within the level.
    pub pass: i64,
    /// Unique in the queue.
    pub id: i64,
}

impl TaskPosition {
    /// The place before every task of a level.
    pub fn start_of(level: i32) -> Self {
        Self { level, pass: i64::MIN, id: i64::MIN }
    }
}

/// A task in the backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogTask {
    /// Position in the queue.
    pub position: TaskPosition,
    /// Stands for what shares the level with others.
    pub fair_key: i64,
    /// When the task was made.
    pub created_at: Timestamp,
    /// After this the task need not be delivered; [`Timestamp::EPOCH`] for never.
    pub expires_at: Timestamp,
    /// Encoded task.
    pub task: Bytes,
}

/// What a backlog holds, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BacklogSummary {
    /// Levels that hold tasks, ascending.
    pub levels: Vec<LevelSummary>,
}

/// What a level of a backlog holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelSummary {
    /// The level.
    pub level: i32,
    /// The pass of its first task.
    pub first_pass: i64,
    /// Its tasks by time of creation, in spans of a second or (where that is longer) a thousandth of the time
    /// between the oldest and the youngest: creation time of each span's oldest task, and how many there are.
    /// Ascending.
    pub ages: Vec<(Timestamp, u64)>,
    /// The last pass of each `fair_key`, ascending by key; of more keys than asked for, those of the greatest.
    pub last_passes: Vec<(i64, i64)>,
}

/// The shortest span of creation time that a summary tells apart, in nanoseconds.
pub const SUMMARY_SPAN_MIN: i64 = 1_000_000_000;

/// Spans that a summary tells apart between a level's oldest task and its youngest.
pub const SUMMARY_SPANS: i64 = 1000;

/// Task queue partitions and their backlogs.
#[async_trait]
pub trait TaskQueueStore: Send + Sync + 'static {
    /// Takes the queue: raises its range id by one, which fences every earlier owner. The queue is made
    /// when it does not exist.
    async fn acquire_queue(&self, key: &QueueKey) -> StoreResult<QueueLease>;

    /// Appends tasks atomically and durably. `LeaseLost` when the range id does not match.
    async fn append_tasks(&self, key: &QueueKey, range_id: i64, tasks: Vec<BacklogTask>) -> StoreResult<()>;

    /// Tasks of the level `after.level` behind `after`, in order, at most `limit`.
    async fn read_tasks(&self, key: &QueueKey, after: TaskPosition, limit: usize) -> StoreResult<Vec<BacklogTask>>;

    /// Sums up a backlog, with at most `keys_max` keys for each level. Reads all of it: meant for the start of an
    /// owner.
    async fn summarize_backlog(&self, key: &QueueKey, keys_max: usize) -> StoreResult<BacklogSummary>;

    /// Deletes, of each level named, the tasks up to and including that place. `LeaseLost` when the range id does
    /// not match.
    async fn ack_tasks(&self, key: &QueueKey, range_id: i64, through: Vec<TaskPosition>) -> StoreResult<()>;

    /// Replaces the queue's opaque record. `LeaseLost` when the range id does not match.
    async fn put_queue_record(&self, key: &QueueKey, range_id: i64, record: Bytes) -> StoreResult<()>;

    /// Every stored queue of a namespace, ordered by key.
    async fn list_queues(&self, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>>;

    /// Removes a queue with its backlog. Removing an absent queue is no error.
    async fn delete_queue(&self, key: &QueueKey) -> StoreResult<()>;
}
