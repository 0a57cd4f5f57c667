//! What the server's own jobs ask of shards: deletion of namespaces, checks and repairs, descriptions.

use std::time::Duration;

use perdure_kernel::{ExecutionKey, ShardId, Timestamp};

/// Remove a run of any archetype: an open workflow is ended first. A run that is not there is no error.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoveRun {
    /// The run.
    pub run: ExecutionKey,
}

/// Write again what is derived from a run's record: its row of lists and its wake-up.
#[derive(Clone, Debug, PartialEq)]
pub struct MendRun {
    /// The run.
    pub run: ExecutionKey,
}

/// Tell about the shard itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescribeShard;

/// A shard as it is in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardDescription {
    /// Which.
    pub shard: ShardId,
    /// Who takes its leases.
    pub owner: String,
    /// The range id that it holds; `None` while it waits for one.
    pub range_id: Option<i64>,
    /// How often it has started anew since its actor was made.
    pub renewals: u64,
    /// Business ids in memory.
    pub executions: usize,
    /// Bytes that these are taken to need, and the bound.
    pub cache_bytes: usize,
    /// The bound of `cache_bytes`.
    pub cache_bytes_max: usize,
    /// Immediate tasks that are not finished.
    pub tasks: usize,
    /// Timers in memory.
    pub timers: usize,
    /// When the next of them is due.
    pub next_timer: Option<Timestamp>,
    /// Until when all stored timers are in memory; `None` when all are.
    pub timer_horizon: Option<Timestamp>,
    /// Readers that wait for events.
    pub long_polls: usize,
    /// Requests that wait for the lease.
    pub waiting: usize,
    /// Since when a commit is on its way to the store; `None` without one.
    pub commit_age: Option<Duration>,
}
