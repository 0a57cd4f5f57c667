//! A snapshot of the configuration, and what services read from it.

use std::{fmt, time::Duration};

use perdure_kernel::Limits;
use perdure_proto::api::enums::TaskQueueType;

use crate::{
    At, Constraints,
    served::{self, Key, SERVED, Setting, SettingType},
};

/// An immutable snapshot of the dynamic configuration. The default has no entries: every key has its
/// default value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    version: u64,
    /// Entries by the slot of their key; absent slots have none.
    entries: Vec<Vec<Entry>>,
}

/// A value and for whom it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) constraints: Constraints,
    pub(crate) setting: Setting,
}

/// What the frontend admits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontendRates {
    /// Requests a second for the whole frontend.
    pub host_rps: usize,
    /// Requests a second for the namespace.
    pub namespace_rps: usize,
    /// Burst over the namespace's rate, as a factor.
    pub namespace_burst_ratio: f64,
    /// Polls and other long requests held for the namespace at once.
    pub namespace_long_requests: usize,
}

/// How client connections are kept and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Age at which a connection is told to go away.
    pub connection_age_max: Duration,
    /// Time that its requests get after that.
    pub connection_age_grace: Duration,
    /// Silence after which the client is pinged.
    pub ping_interval: Duration,
    /// Time for an answer to that ping.
    pub ping_timeout: Duration,
}

/// What a task queue goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskQueueSettings {
    /// Partitions that polls go to; at least 1.
    pub read_partitions: usize,
    /// Partitions that tasks go to; at least 1.
    pub write_partitions: usize,
    /// How long a poll is held.
    pub long_poll: Duration,
    /// How long a task waits for a poller before it is written down.
    pub sync_match_wait: Duration,
    /// How long the queue stays in memory unused.
    pub idle_max: Duration,
    /// Priority levels.
    pub priority_levels: usize,
    /// Dispatches a second of one partition.
    pub dispatch_rate_max: f64,
    /// Wait of a poll after which its worker is told to send fewer.
    pub scaling_wait: Duration,
    /// Age of a backlog from which workers are told to send more.
    pub scaling_backlog_age: Duration,
    /// How often a second workers are told that.
    pub scaling_rate: f64,
    /// Tasks added for each one given out over which workers are told that.
    pub scaling_ratio: f64,
}

/// How many workers the registry knows, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRegistrySettings {
    /// Silence after which a worker is forgotten.
    pub ttl: Duration,
    /// Workers of all namespaces together.
    pub entries_max: usize,
    /// Workers heard of within this time are kept whatever their number.
    pub evict_age_min: Duration,
    /// How often those to forget are looked for.
    pub evict_interval: Duration,
}

/// What the server's own jobs go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSettings {
    /// Executions of a deleted namespace that are removed each second; 0 is no limit.
    pub deletion_rate: usize,
    /// Executions of it that are looked for at a time.
    pub deletion_page: usize,
    /// Whether the database is checked now and then.
    pub scavenger: bool,
    /// Executions that such a check looks at each second; 0 is no limit.
    pub scavenger_rate: usize,
    /// Whether it reads histories too.
    pub scavenger_histories: bool,
}

impl Settings {
    pub(crate) fn new(entries: Vec<Vec<Entry>>) -> Self {
        Self { version: 0, entries }
    }

    pub(crate) fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Grows by one with every replacement in a [`crate::DynamicConfig`]: what was computed from settings
    /// of the same version holds.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The value of `key` that holds `at`.
    pub fn get<T: SettingType>(&self, key: Key<T>, at: At<'_>) -> Option<T> {
        let found = self.entries.get(key.slot).and_then(|entries| at.find(entries, |entry| &entry.constraints));
        let setting =
            found.map(|entry| &entry.setting).or_else(|| SERVED.get(key.slot).map(|served| &served.default))?;
        T::read(setting)
    }

    /// The limits in force for a namespace.
    pub fn limits(&self, namespace: &str) -> Limits {
        let at = At::Namespace(namespace);
        let standard = Limits::default();
        let count = |key: Key<usize>, standard: usize| self.get(key, at).unwrap_or(standard);
        let time = |key: Key<Duration>, standard: Duration| self.get(key, at).unwrap_or(standard);
        let switch = |key: Key<bool>, standard: bool| self.get(key, at).unwrap_or(standard);
        let updates_total_max = count(served::UPDATES_TOTAL, standard.updates_total_max);
        Limits {
            id_length_max: count(served::ID_LENGTH, standard.id_length_max),
            blob_size_max: count(served::BLOB_SIZE, standard.blob_size_max),
            blob_size_warn: count(served::BLOB_SIZE_WARN, standard.blob_size_warn),
            memo_size_max: count(served::MEMO_SIZE, standard.memo_size_max),
            search_attribute_keys_max: count(served::SEARCH_ATTRIBUTE_KEYS, standard.search_attribute_keys_max),
            search_attribute_value_size_max: count(
                served::SEARCH_ATTRIBUTE_VALUE_SIZE,
                standard.search_attribute_value_size_max,
            ),
            search_attribute_total_size_max: count(
                served::SEARCH_ATTRIBUTE_TOTAL_SIZE,
                standard.search_attribute_total_size_max,
            ),
            user_metadata_summary_size_max: count(
                served::USER_METADATA_SUMMARY_SIZE,
                standard.user_metadata_summary_size_max,
            ),
            user_metadata_details_size_max: count(
                served::USER_METADATA_DETAILS_SIZE,
                standard.user_metadata_details_size_max,
            ),
            links_per_request_max: count(served::LINKS_PER_REQUEST, standard.links_per_request_max),
            link_size_max: count(served::LINK_SIZE, standard.link_size_max),
            callbacks_per_execution_max: count(served::CALLBACKS_PER_EXECUTION, standard.callbacks_per_execution_max),
            callback_url_length_max: count(served::CALLBACK_URL_LENGTH, standard.callback_url_length_max),
            callback_header_size_max: count(served::CALLBACK_HEADER_SIZE, standard.callback_header_size_max),
            callback_addresses: self.value(served::CALLBACK_ADDRESSES, at).into(),
            callback_retry_interval_initial: time(
                served::CALLBACK_RETRY_INITIAL,
                standard.callback_retry_interval_initial,
            ),
            callback_retry_interval_max: time(served::CALLBACK_RETRY_MAX, standard.callback_retry_interval_max),
            activity_failure_size_max: count(served::ACTIVITY_FAILURE_SIZE, standard.activity_failure_size_max),
            history_size_suggest: count(served::HISTORY_SIZE_SUGGEST, standard.history_size_suggest),
            history_size_max: count(served::HISTORY_SIZE, standard.history_size_max),
            history_count_suggest: count(served::HISTORY_COUNT_SUGGEST, standard.history_count_suggest),
            history_count_max: count(served::HISTORY_COUNT, standard.history_count_max),
            mutable_state_size_max: count(served::MUTABLE_STATE_SIZE, standard.mutable_state_size_max),
            pending_activities_max: count(served::PENDING_ACTIVITIES, standard.pending_activities_max),
            pending_children_max: count(served::PENDING_CHILDREN, standard.pending_children_max),
            pending_external_signals_max: count(
                served::PENDING_EXTERNAL_SIGNALS,
                standard.pending_external_signals_max,
            ),
            pending_external_cancels_max: count(
                served::PENDING_EXTERNAL_CANCELS,
                standard.pending_external_cancels_max,
            ),
            signals_per_execution_max: count(served::SIGNALS_PER_EXECUTION, standard.signals_per_execution_max),
            buffered_events_max: count(served::BUFFERED_EVENTS, standard.buffered_events_max),
            buffered_events_size_max: count(served::BUFFERED_EVENTS_SIZE, standard.buffered_events_size_max),
            buffered_queries_max: count(served::BUFFERED_QUERIES, standard.buffered_queries_max),
            updates_in_flight_max: count(served::UPDATES_IN_FLIGHT, standard.updates_in_flight_max),
            updates_in_flight_size_max: count(served::UPDATES_IN_FLIGHT_SIZE, standard.updates_in_flight_size_max),
            updates_total_max,
            updates_total_suggest: (updates_total_max as f64 * self.value(served::UPDATES_SUGGEST, at)).ceil() as usize,
            speculative_task_events_max: count(served::SPECULATIVE_TASK_EVENTS, standard.speculative_task_events_max),
            auto_reset_points_max: count(served::AUTO_RESET_POINTS, standard.auto_reset_points_max),
            // Temporal clips a page at this number whatever the key says.
            history_page_size_max: count(served::HISTORY_PAGE_SIZE, standard.history_page_size_max)
                .min(standard.history_page_size_max),
            visibility_page_size_max: count(served::VISIBILITY_PAGE_SIZE, standard.visibility_page_size_max),
            workflow_task_timeout_default: time(served::WORKFLOW_TASK_TIMEOUT, standard.workflow_task_timeout_default)
                .min(standard.workflow_task_timeout_max),
            workflow_task_timeout_max: standard.workflow_task_timeout_max,
            workflow_task_heartbeat_max: time(served::WORKFLOW_TASK_HEARTBEAT, standard.workflow_task_heartbeat_max),
            workflow_task_retry_interval_max: time(
                served::WORKFLOW_TASK_RETRY_INTERVAL,
                standard.workflow_task_retry_interval_max,
            ),
            id_reuse_interval_min: time(served::ID_REUSE_INTERVAL, standard.id_reuse_interval_min),
            history_long_poll: time(served::HISTORY_LONG_POLL, standard.history_long_poll),
            task_long_poll: time(served::TASK_LONG_POLL, standard.task_long_poll),
            retention_jitter_max: time(served::RETENTION_JITTER, standard.retention_jitter_max),
            workflow_task_problems_to_report: self
                .get(served::WORKFLOW_TASK_PROBLEMS, at)
                .map_or(standard.workflow_task_problems_to_report, |count| i32::try_from(count).unwrap_or(i32::MAX)),
            workflow_rules: switch(served::WORKFLOW_RULES, standard.workflow_rules),
            workflow_rules_max: count(served::WORKFLOW_RULES_MAX, standard.workflow_rules_max),
            eager_workflow_start: switch(served::EAGER_WORKFLOW_START, standard.eager_workflow_start),
            fairness_weight_overrides_max: standard.fairness_weight_overrides_max,
            worker_heartbeats: switch(served::WORKER_HEARTBEATS, standard.worker_heartbeats),
            cancel_polls_on_shutdown: switch(served::CANCEL_POLLS_ON_SHUTDOWN, standard.cancel_polls_on_shutdown),
            eager_activities: switch(served::EAGER_ACTIVITIES, standard.eager_activities),
            workflow_pause: switch(served::WORKFLOW_PAUSE, standard.workflow_pause),
            cross_namespace_commands: switch(served::CROSS_NAMESPACE_COMMANDS, standard.cross_namespace_commands),
            parent_close_policy_threshold: count(
                served::PARENT_CLOSE_POLICY_THRESHOLD,
                standard.parent_close_policy_threshold,
            ),
            standalone_activities: switch(served::STANDALONE_ACTIVITIES, standard.standalone_activities),
            activity_start_delay: switch(served::ACTIVITY_START_DELAY, standard.activity_start_delay),
            activity_operator_commands: switch(served::ACTIVITY_COMMANDS, standard.activity_operator_commands),
            activity_long_poll: time(served::ACTIVITY_LONG_POLL, standard.activity_long_poll),
            links_per_activity_max: count(served::LINKS_PER_ACTIVITY, standard.links_per_activity_max),
            duration_max: standard.duration_max,
        }
    }

    /// What a task queue goes by.
    pub fn task_queue(&self, namespace: &str, name: &str, kind: TaskQueueType) -> TaskQueueSettings {
        let at = At::TaskQueue { namespace, name, kind };
        TaskQueueSettings {
            read_partitions: self.value(served::READ_PARTITIONS, at),
            write_partitions: self.value(served::WRITE_PARTITIONS, at),
            long_poll: self.value(served::TASK_LONG_POLL, at),
            sync_match_wait: self.value(served::SYNC_MATCH_WAIT, at),
            idle_max: self.value(served::TASK_QUEUE_IDLE, at),
            priority_levels: self.value(served::PRIORITY_LEVELS, at),
            dispatch_rate_max: self
                .value(served::QUEUE_DISPATCH_RATE, at)
                .min(self.value(served::NAMESPACE_DISPATCH_RATE, At::Namespace(namespace))),
            scaling_wait: self.value(served::SCALING_WAIT, at),
            scaling_backlog_age: self.value(served::SCALING_BACKLOG_AGE, at),
            scaling_rate: self.value(served::SCALING_RATE, at),
            scaling_ratio: self.value(served::SCALING_RATIO, at),
        }
    }

    /// What the frontend admits, for the whole of it and for a namespace.
    pub fn frontend_rates(&self, namespace: &str) -> FrontendRates {
        let at = At::Namespace(namespace);
        FrontendRates {
            host_rps: self.value(served::HOST_RPS, at),
            namespace_rps: self.value(served::NAMESPACE_RPS, at),
            namespace_burst_ratio: self.value(served::NAMESPACE_BURST, at),
            namespace_long_requests: self.value(served::NAMESPACE_LONG_REQUESTS, at),
        }
    }

    /// How client connections are kept and ended.
    pub fn keep_alive(&self) -> KeepAlive {
        KeepAlive {
            connection_age_max: self.value(served::CONNECTION_AGE, At::Server),
            connection_age_grace: self.value(served::CONNECTION_AGE_GRACE, At::Server),
            ping_interval: self.value(served::KEEP_ALIVE_TIME, At::Server),
            ping_timeout: self.value(served::KEEP_ALIVE_TIMEOUT, At::Server),
        }
    }

    /// How many workers the registry knows, and for how long.
    pub fn worker_registry(&self) -> WorkerRegistrySettings {
        WorkerRegistrySettings {
            ttl: self.value(served::WORKER_TTL, At::Server),
            entries_max: self.value(served::WORKERS_MAX, At::Server),
            evict_age_min: self.value(served::WORKER_EVICT_AGE, At::Server),
            evict_interval: self.value(served::WORKER_EVICT_INTERVAL, At::Server),
        }
    }

    /// What the server's own jobs go by.
    pub fn jobs(&self) -> JobSettings {
        JobSettings {
            deletion_rate: self.value(served::DELETION_RATE, At::Server),
            deletion_page: self.value(served::DELETION_PAGE, At::Server),
            scavenger: self.value(served::SCAVENGER, At::Server),
            scavenger_rate: self.value(served::SCAVENGER_RATE, At::Server),
            scavenger_histories: self.value(served::SCAVENGER_HISTORIES, At::Server),
        }
    }

    /// How long a deleted namespace is kept when nothing is left in it.
    pub fn deletion_delay(&self) -> Duration {
        self.value(served::DELETION_DELAY, At::Server)
    }

    /// Namespaces that cannot be deleted.
    pub fn protected_namespaces(&self) -> Vec<String> {
        self.value(served::PROTECTED_NAMESPACES, At::Server)
    }

    /// Shortest retention that a namespace may have.
    pub fn retention_min(&self) -> Duration {
        self.value(served::RETENTION_MIN, At::Server)
    }

    /// Bytes of workflow state that this node keeps in memory.
    pub fn execution_cache_size(&self) -> usize {
        self.value(served::EXECUTION_CACHE_SIZE, At::Server)
    }

    /// [`Self::get`] for the keys of this file, whose constants always have a line in the table.
    fn value<T: SettingType + Default>(&self, key: Key<T>, at: At<'_>) -> T {
        self.get(key, at).unwrap_or_default()
    }
}

impl fmt::Display for Settings {
    /// Every served key with its entries, in the form a file takes; keys without entries show their default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (slot, served) in SERVED.iter().enumerate() {
            writeln!(f, "# {}", served.feeds)?;
            writeln!(f, "{}:", served.name)?;
            let entries = self.entries.get(slot).map(Vec::as_slice).unwrap_or_default();
            for entry in entries {
                write!(f, "  - value: {}", entry.setting)?;
                if entry.constraints.is_empty() {
                    writeln!(f)?;
                } else {
                    writeln!(f, "\n    constraints: {}", entry.constraints)?;
                }
            }
            if !entries.iter().any(|entry| entry.constraints.is_empty()) {
                writeln!(f, "  - value: {} # default", served.default)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_entries_everything_is_the_default() {
        let settings = Settings::default();
        assert_eq!(settings.limits("any"), Limits::default());
        let queue = settings.task_queue("any", "queue", TaskQueueType::Workflow);
        assert_eq!((queue.read_partitions, queue.write_partitions), (4, 4));
        assert_eq!(queue.sync_match_wait, Duration::from_millis(200));
        assert_eq!(queue.long_poll, Limits::default().task_long_poll);
        assert_eq!(settings.frontend_rates("any").namespace_long_requests, 1200);
        assert_eq!(settings.retention_min(), Duration::from_secs(3600));
        assert_eq!(settings.keep_alive().ping_interval, Duration::from_secs(60));
    }

    #[test]
    fn every_key_has_a_default_of_its_type() {
        use perdure_kernel::AddressRule;
        // `get` cannot miss for a constant of the table: each kind reads its own default.
        for served in SERVED {
            let read = match &served.default {
                Setting::Count(_) => usize::read(&served.default).is_some(),
                Setting::Ratio(_) => f64::read(&served.default).is_some(),
                Setting::Switch(_) => bool::read(&served.default).is_some(),
                Setting::Time(_) => Duration::read(&served.default).is_some(),
                Setting::Addresses(_) => Vec::<AddressRule>::read(&served.default).is_some(),
                Setting::Names(_) => Vec::<String>::read(&served.default).is_some(),
            };
            assert!(read, "{}", served.name);
        }
    }
}
