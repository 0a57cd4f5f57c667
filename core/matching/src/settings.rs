//! Settings and bounds of a task queue partition.

use std::time::Duration;

/// Settings in force for a partition, as plain values (dynamic config keys in the field docs).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long a task waits for a poller before it goes to the backlog: `matching.syncMatchWaitDuration`
    pub sync_match_wait: Duration,
    /// Idle time after which the partition leaves memory: `matching.maxTaskQueueIdleTime`
    pub idle_max: Duration,
    /// Tasks of one write to the backlog: `matching.maxTaskBatchSize`
    pub append_batch_max: usize,
    /// Tasks of one read of the backlog: `matching.getTasksBatchSize`
    pub page_size: usize,
    /// Fewer loaded tasks than this start the next read: `matching.getTasksReloadAt`
    pub reload_at: usize,
    /// Finished tasks that make a delete worth its write: `matching.maxTaskDeleteBatchSize`
    pub delete_batch: u64,
    /// Longest time a finished task stays in the backlog: `matching.taskDeleteInterval`
    pub delete_interval: Duration,
    /// Polls that may wait at the parent partition: `matching.forwarderMaxOutstandingPolls`
    pub forwarded_polls_max: usize,
    /// Tasks and queries that may wait at the parent partition: `matching.forwarderMaxOutstandingTasks`
    pub forwarded_tasks_max: usize,
    /// How long a backlog task waits at the parent: `matching.backlogTaskForwardTimeout`
    pub backlog_forward_wait: Duration,
    /// No poll for this long means that a query finds no worker: `matching.queryPollerUnavailableWindow`
    pub query_poller_window: Duration,
    /// How long a poller is remembered: `matching.PollerHistoryTTL`
    pub poller_history: Duration,
    /// Priority levels, [`LEVELS_MAX`] at most: `matching.priorityLevels`
    pub priority_levels: usize,
    /// A poll that waited this long tells that there are too many: `matching.pollerScalingWaitTime`
    pub scaling_wait: Duration,
    /// A backlog of this age tells that there are too few: `matching.pollerScalingMinimumBacklog`
    pub scaling_backlog_age: Duration,
    /// So many tasks added for each one dispatched tell the same: `matching.pollerScalingTaskAddToDispatchRatio`
    pub scaling_ratio: f64,
    /// Decisions a second and poller that there should be more: `matching.pollerScalingDecisionsPerSecond`
    pub scaling_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync_match_wait: Duration::from_millis(200),
            idle_max: Duration::from_secs(5 * 60),
            append_batch_max: 100,
            page_size: 1000,
            reload_at: 100,
            delete_batch: 100,
            delete_interval: Duration::from_secs(15),
            forwarded_polls_max: 1,
            forwarded_tasks_max: 1,
            backlog_forward_wait: Duration::from_secs(60),
            query_poller_window: Duration::from_secs(20),
            poller_history: Duration::from_secs(5 * 60),
            priority_levels: 5,
            scaling_wait: Duration::from_secs(1),
            scaling_backlog_age: Duration::from_millis(200),
            scaling_ratio: 1.2,
            scaling_rate: 10.0,
        }
    }
}

/// Tasks that wait in memory for a poller before the oldest go to the backlog early.
pub const WAITING_TASKS_MAX: usize = 1_000;

/// Tasks in memory that are not acknowledged, those being written included; more are refused.
pub const UNACKNOWLEDGED_TASKS_MAX: usize = 5_000;

/// Polls that wait in one partition; more are refused.
pub const WAITING_POLLS_MAX: usize = 100_000;

/// Queries under way in one partition; more are refused.
pub const QUERIES_MAX: usize = 2_000;

/// Pollers remembered for describe; the one seen longest ago is forgotten first.
pub const POLLERS_REMEMBERED_MAX: usize = 1_000;

/// A sticky queue that was not polled for this long has lost its worker.
pub const STICKY_POLLER_WINDOW: Duration = Duration::from_secs(10);

/// A query without a recent poller is refused this long before its deadline, so that the reason still
/// reaches the caller.
pub const QUERY_REFUSAL_MARGIN: Duration = Duration::from_secs(1);

/// Bits of a task id that count within one range id; an exhausted range takes the lease again.
pub const RANGE_BITS: u32 = 20;

/// First pause before a task whose start failed is offered again; doubles with each failure.
pub const START_RETRY_FIRST: Duration = Duration::from_millis(50);

/// Longest pause before a task whose start failed is offered again.
pub const START_RETRY_MAX: Duration = Duration::from_secs(10);

/// First pause before a failed store call is tried again; doubles with each failure.
pub const STORE_RETRY_FIRST: Duration = Duration::from_millis(100);

/// Longest pause before a failed store call is tried again.
pub const STORE_RETRY_MAX: Duration = Duration::from_secs(10);

/// Pause after the parent partition refused something.
pub const FORWARD_PAUSE: Duration = Duration::from_millis(200);

/// Priority levels at most; 1 is served first.
pub const LEVELS_MAX: usize = 10;

/// A pause that doubles from `first` with each failure, at most `max`.
pub(crate) fn doubling(first: Duration, max: Duration, failures: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(max)
}
