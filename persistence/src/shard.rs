//! Shards: leases, executions, histories and the tasks they produced.

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, ShardId, Timestamp, VisibilityRecord};

use crate::StoreResult;

/// A held lease on a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardLease {
    /// Fence: every commit names it; taking the shard again raises it by one.
    pub range_id: i64,
    /// Below this every immediate task is finished and its row may be gone.
    pub immediate_ack: i64,
    /// Before this every timer task is finished and its row may be gone.
    pub timer_ack: Timestamp,
}

/// Everything a shard decided since its last commit. Applied whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardCommit {
    /// The shard.
    pub shard: ShardId,
    /// Must equal the stored range id, else [`crate::StoreErrorKind::LeaseLost`].
    pub range_id: i64,
    /// Changes of executions. At most one entry per execution.
    pub executions: Vec<ExecutionWrite>,
    /// The batch's immediate tasks as one opaque row.
    pub immediate: Option<ImmediateBatch>,
    /// New timer tasks, one row each.
    pub timers: Vec<TimerRow>,
    /// Immediate tasks below this id are finished: their rows are deleted, the level is stored.
    pub immediate_ack: Option<i64>,
    /// Timer tasks before this instant are finished: their rows are deleted, the level is stored.
    pub timer_ack: Option<Timestamp>,
}

impl ShardCommit {
    /// A commit that changes nothing: written as it is, it checks the lease.
    pub const fn new(shard: ShardId, range_id: i64) -> Self {
        Self {
            shard,
            range_id,
            executions: Vec::new(),
            immediate: None,
            timers: Vec::new(),
            immediate_ack: None,
            timer_ack: None,
        }
    }
}

/// Change of one execution.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionWrite {
    /// Which run.
    pub key: ExecutionKey,
    /// What is written.
    pub op: ExecutionOp,
    /// Change of the pointer from business id to its current run, if any.
    pub current: Option<CurrentRunWrite>,
}

/// What happens to an execution's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutionOp {
    /// Writes the record, its changed items and its new history.
    Put {
        /// Record version the store must hold; `None`: the run must not exist.
        /// Otherwise [`crate::StoreErrorKind::Conflict`].
        expected_version: Option<i64>,
        /// Version after the write. Greater than `expected_version`.
        version: i64,
        /// The record: small, rewritten whole.
        record: Bytes,
        /// Items written or replaced. An item is one pending thing (an activity, a timer), so that a
        /// commit's cost does not grow with their number.
        items_put: Vec<(ItemKey, Bytes)>,
        /// Items removed. Removing an absent item is no error.
        items_deleted: Vec<ItemKey>,
        /// History batches to append, ascending. One that starts where a stored batch starts replaces it.
        history: Vec<HistoryBatch>,
        /// The run's row of visibility, when it changes.
        visibility: Option<VisibilityWrite>,
    },
    /// Removes the record, every item, the whole history and the row of visibility. Removing an absent run is
    /// no error.
    Delete,
}

/// A run's row of visibility, written or replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibilityWrite {
    /// What it shows. Its key is the run's; key, type, task queue, parent, root and start time stay what they
    /// were when the row was first written.
    pub record: Box<VisibilityRecord>,
    /// Whether its search attributes may differ from those that were written before. Always for a new run.
    pub attributes_changed: bool,
}

/// Names an item within its execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// What kind of item; the owner of the execution's archetype numbers them.
    pub kind: u16,
    /// Name within the kind.
    pub name: String,
}

/// Moves or clears the pointer from a business id to its current run. Several moves of one pointer in one
/// commit take effect in the order of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentRunWrite {
    /// Run the pointer must name now; `None`: there must be no pointer.
    /// Otherwise [`crate::StoreErrorKind::Conflict`].
    pub expected: Option<String>,
    /// Run it names afterwards; `None` removes it.
    pub run_id: Option<String>,
}

/// Consecutive events that were written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryBatch {
    /// Id of the first event.
    pub first_event_id: i64,
    /// Id of the last event.
    pub last_event_id: i64,
    /// Encoded `temporal.api.history.v1.History`.
    pub events: Bytes,
}

/// All immediate tasks of one commit, in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmediateBatch {
    /// Lowest task id in the batch; the row's key.
    pub first_id: i64,
    /// Highest task id in the batch.
    pub last_id: i64,
    /// Encoded tasks.
    pub tasks: Bytes,
}

/// One timer task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// When it is due.
    pub fire_at: Timestamp,
    /// Tells apart tasks due at the same instant; unique within the shard.
    pub id: i64,
    /// Encoded task.
    pub task: Bytes,
}

/// A run as it is stored, without its history.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredExecution {
    /// Record version.
    pub version: i64,
    /// The record.
    pub record: Bytes,
    /// Every item, ordered by key.
    pub items: Vec<(ItemKey, Bytes)>,
}

/// Which way a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// A page of keys in a listing of executions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecutionPage {
    /// Keys, in the store's order.
    pub keys: Vec<ExecutionKey>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<ExecutionKey>,
}

/// Shards and what lives in them.
#[async_trait]
pub trait ShardStore: Send + Sync + 'static {
    /// Takes the shard for `owner`: raises its range id by one, which fences every earlier owner. The
    /// shard is made when it does not exist.
    async fn acquire_shard(&self, shard: ShardId, owner: &str) -> StoreResult<ShardLease>;

    /// Applies a batch atomically and durably. Fails with `LeaseLost` or `Conflict` without any effect
    /// when a precondition does not hold.
    async fn commit(&self, commit: ShardCommit) -> StoreResult<()>;

    /// A run with its items, or `None`.
    async fn load_execution(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Option<StoredExecution>>;

    /// Run id that a business id points to now, or `None`.
    async fn current_run(&self, shard: ShardId, key: &BusinessKey) -> StoreResult<Option<String>>;

    /// History batches that hold any event of `first..=last`, in `direction`, at most `limit` batches.
    async fn read_history(
        &self,
        shard: ShardId,
        key: &ExecutionKey,
        first: i64,
        last: i64,
        direction: Direction,
        limit: usize,
    ) -> StoreResult<Vec<HistoryBatch>>;

    /// Immediate task rows with `last_id >= from_id`, ascending, at most `limit`.
    async fn read_immediate(&self, shard: ShardId, from_id: i64, limit: usize) -> StoreResult<Vec<ImmediateBatch>>;

    /// Timer rows with `(from.0, from.1) < (fire_at, id)` and `fire_at < until`, ascending by
    /// (fire_at, id), at most `limit`.
    async fn read_timers(
        &self,
        shard: ShardId,
        from: (Timestamp, i64),
        until: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<TimerRow>>;

    /// Every run of the shard, a page at a time, starting at `from` (inclusive), which need not exist. The order
    /// is the store's own and does not change: runs of a namespace stand together, behind the key that has the
    /// namespace and is otherwise empty or 0. Runs made or removed meanwhile may be missed or seen, others are
    /// listed once.
    async fn list_executions(
        &self,
        shard: ShardId,
        from: Option<&ExecutionKey>,
        limit: usize,
    ) -> StoreResult<ExecutionPage>;
}
