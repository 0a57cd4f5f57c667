//! Knobs of the history service.

use std::time::Duration;

/// Plain values, fixed for the life of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Who takes the shards' leases: shown in the store, for operators.
    pub owner: String,
    /// Bytes of executions and events that all shards of this node keep in memory
    /// (`history.hostLevelCacheMaxSizeBytes`).
    pub cache_bytes: usize,
    /// How long a workflow task's start may stay in memory only.
    pub lazy_flush: Duration,
    /// Tasks of the visibility queue that a shard keeps in memory while their store is away; the others are read
    /// again from the main one.
    pub visibility_tasks_max: usize,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            owner: "perdure".to_owned(),
            cache_bytes: 32 * 1024 * 1024,
            lazy_flush: Duration::from_millis(500),
            visibility_tasks_max: 10_000,
        }
    }
}
