//! The table of dynamic config keys that this server acts on.
//!
//! One line per key. Defaults are Temporal's unless the line above says why not.

use std::{fmt, marker::PhantomData, time::Duration};

use perdure_kernel::AddressRule;

use crate::{Scope, format_duration, value::Value};

/// A key that is served, with its Rust type.
#[derive(Debug)]
pub struct Key<T> {
    pub(crate) slot: usize,
    kind: PhantomData<T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

/// A line of the table.
#[derive(Debug)]
pub struct Served {
    /// Name as Temporal spells it.
    pub name: &'static str,
    /// What its entries may be constrained by.
    pub scope: Scope,
    /// Value without any entry. Its variant is the key's type.
    pub default: Setting,
    /// Which values are taken.
    pub range: Range,
    /// What the value decides.
    pub feeds: &'static str,
}

/// Which values a key takes. Negative numbers and durations are never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Every value of the type.
    Any,
    /// Every value of the type but 0.
    Positive,
}

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A count or a size in bytes.
    Count(usize),
    /// A factor.
    Ratio(f64),
    /// Something on or off.
    Switch(bool),
    /// A duration.
    Time(Duration),
    /// Addresses of callbacks.
    Addresses(Vec<AddressRule>),
    /// Names.
    Names(Vec<String>),
}

/// A Rust type that a [`Setting`] can hold.
pub trait SettingType: Sized {
    /// The value, when the setting holds one of this type.
    fn read(setting: &Setting) -> Option<Self>;
}

type Count = usize;
type Ratio = f64;
type Switch = bool;
type Time = Duration;
type Addresses = Vec<AddressRule>;
type Names = Vec<String>;

/// Makes the constant and the line of the table for each key.
macro_rules! served {
    ($($(#[$why:meta])* $constant:ident: $kind:ident, $name:literal, $scope:ident, $default:expr, $range:ident, $feeds:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Slot { $($constant),* }

        $(
            #[doc = concat!("`", $name, "`: ", $feeds, ".")]
            $(#[$why])*
            pub const $constant: Key<$kind> = Key { slot: Slot::$constant as usize, kind: PhantomData };
        )*

        /// Every key that is served.
        pub static SERVED: &[Served] = &[$(Served {
            name: $name,
            scope: Scope::$scope,
            default: Setting::$kind($default),
            range: Range::$range,
            feeds: $feeds,
        }),*];
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

served! {
    // Sizes, counts and times that a client can meet.
    ID_LENGTH: Count, "limit.maxIDLength", Global, 1000, Positive, "longest id, name or type, in bytes";
    BLOB_SIZE: Count, "limit.blobSize.error", Namespace, 2 * MIB, Positive, "largest payload set, in bytes";
    BLOB_SIZE_WARN: Count, "limit.blobSize.warn", Namespace, 512 * KIB, Any, "size to which failures that are too large are cut, in bytes";
    MEMO_SIZE: Count, "limit.memoSize.error", Namespace, 2 * MIB, Positive, "largest memo, in bytes";
    SEARCH_ATTRIBUTE_KEYS: Count, "frontend.searchAttributesNumberOfKeysLimit", Namespace, 100, Any, "most search attributes in a request";
    SEARCH_ATTRIBUTE_VALUE_SIZE: Count, "frontend.searchAttributesSizeOfValueLimit", Namespace, 2 * KIB, Any, "largest search attribute value, in bytes";
    SEARCH_ATTRIBUTE_TOTAL_SIZE: Count, "frontend.searchAttributesTotalSizeLimit", Namespace, 40 * KIB, Any, "largest set of search attributes, in bytes";
    USER_METADATA_SUMMARY_SIZE: Count, "limit.userMetadataSummarySize", Namespace, 400, Any, "largest user metadata summary, in bytes";
    USER_METADATA_DETAILS_SIZE: Count, "limit.userMetadataDetailsSize", Namespace, 20_000, Any, "largest user metadata details, in bytes";
    LINKS_PER_REQUEST: Count, "frontend.maxlinksPerRequest", Namespace, 10, Any, "most links in a request";
    LINK_SIZE: Count, "frontend.linkMaxSize", Namespace, 4000, Any, "largest link, in bytes";
    CALLBACKS_PER_EXECUTION: Count, "callback.maxPerExecution", Namespace, 2000, Any, "most completion callbacks of an execution";
    CALLBACK_URL_LENGTH: Count, "frontend.callbackURLMaxLength", Namespace, 1000, Any, "longest address of a completion callback, in bytes";
    CALLBACK_HEADER_SIZE: Count, "frontend.callbackHeaderMaxLength", Namespace, 8192, Any, "largest header of a completion callback, in bytes";
    CALLBACK_ADDRESSES: Addresses, "callback.allowedAddresses", Namespace, Vec::new(), Any, "addresses that completion callbacks may go to";
    CALLBACK_RETRY_INITIAL: Time, "callback.retryPolicy.initialInterval", Global, secs(1), Positive, "wait before a completion callback is tried a second time";
    CALLBACK_RETRY_MAX: Time, "callback.retryPolicy.maxInterval", Global, secs(3600), Positive, "longest wait between tries of a completion callback";
    ACTIVITY_FAILURE_SIZE: Count, "limit.mutableStateActivityFailureSize.error", Namespace, 4 * KIB, Positive, "largest failure of an attempt that is kept while the activity is retried, in bytes";
    HISTORY_SIZE_SUGGEST: Count, "limit.historySize.suggestContinueAsNew", Namespace, 4 * MIB, Any, "history size from which workers are told to continue as new, in bytes";
    HISTORY_SIZE: Count, "limit.historySize.error", Namespace, 50 * MIB, Positive, "history size over which a workflow is terminated, in bytes";
    HISTORY_COUNT_SUGGEST: Count, "limit.historyCount.suggestContinueAsNew", Namespace, 4096, Any, "event count from which workers are told to continue as new";
    HISTORY_COUNT: Count, "limit.historyCount.error", Namespace, 51_200, Positive, "event count over which a workflow is terminated";
    MUTABLE_STATE_SIZE: Count, "limit.mutableStateSize.error", Global, 8 * MIB, Positive, "state size over which a workflow is terminated, in bytes";
    PENDING_ACTIVITIES: Count, "limit.numPendingActivities.error", Namespace, 2000, Any, "most pending activities of a workflow";
    PENDING_CHILDREN: Count, "limit.numPendingChildExecutions.error", Namespace, 2000, Any, "most pending children of a workflow";
    PENDING_EXTERNAL_SIGNALS: Count, "limit.numPendingSignals.error", Namespace, 2000, Any, "most pending signals of a workflow to others";
    PENDING_EXTERNAL_CANCELS: Count, "limit.numPendingCancelRequests.error", Namespace, 2000, Any, "most pending cancellations of others by a workflow";
    SIGNALS_PER_EXECUTION: Count, "history.maximumSignalsPerExecution", Namespace, 10_000, Any, "most signals of a run; 0 is no limit";
    BUFFERED_EVENTS: Count, "history.maximumBufferedEventsBatch", Global, 100, Positive, "most events buffered behind a workflow task";
    BUFFERED_EVENTS_SIZE: Count, "history.maximumBufferedEventsSizeInBytes", Global, 2 * MIB, Positive, "most bytes of events buffered behind a workflow task";
    BUFFERED_QUERIES: Count, "history.MaxBufferedQueryCount", Global, 1, Any, "most queries that wait for a workflow task";
    UPDATES_IN_FLIGHT: Count, "history.maxInFlightUpdates", Namespace, 10, Any, "most updates of a workflow that are under way; 0 is no limit";
    UPDATES_IN_FLIGHT_SIZE: Count, "history.maxInFlightUpdatePayloads", Namespace, 20 * MIB, Any, "most bytes of a workflow's updates that are under way; 0 is no limit";
    UPDATES_TOTAL: Count, "history.maxTotalUpdates", Namespace, 2000, Any, "most updates of a run; 0 is no limit";
    UPDATES_SUGGEST: Ratio, "history.maxTotalUpdates.suggestContinueAsNewThreshold", Namespace, 0.9, Any, "part of the most updates of a run from which on workers are told to continue as new";
    SPECULATIVE_TASK_EVENTS: Count, "history.discardSpeculativeWorkflowTaskMaximumEventsCount", Global, 10, Any, "most events that a workflow task which comes to nothing may send again";
    AUTO_RESET_POINTS: Count, "history.historyMaxAutoResetPoints", Namespace, 20, Any, "most reset points kept for a run";
    HISTORY_PAGE_SIZE: Count, "frontend.historyMaxPageSize", Namespace, 256, Positive, "most events of a page of history; above 256 it is 256";
    VISIBILITY_PAGE_SIZE: Count, "frontend.visibilityMaxPageSize", Namespace, 1000, Positive, "most executions of a page of a list";
    WORKFLOW_TASK_TIMEOUT: Time, "history.defaultWorkflowTaskTimeout", Namespace, secs(10), Positive, "workflow task timeout when a client names none";
    WORKFLOW_TASK_HEARTBEAT: Time, "history.workflowTaskHeartbeatTimeout", Namespace, secs(30 * 60), Positive, "longest chain of workflow task heartbeats";
    WORKFLOW_TASK_RETRY_INTERVAL: Time, "history.workflowTaskRetryMaxInterval", Global, secs(10 * 60), Positive, "longest wait between attempts of a failing workflow task";
    ID_REUSE_INTERVAL: Time, "history.workflowIdReuseMinimalInterval", Namespace, secs(1), Any, "shortest time between starts of runs of one workflow id";
    HISTORY_LONG_POLL: Time, "history.longPollExpirationInterval", Namespace, secs(20), Positive, "how long a wait for history events is held";
    RETENTION_JITTER: Time, "history.retentionTimerJitterDuration", Global, secs(30 * 60), Any, "most by which the deletion of a closed workflow is put off, to spread it";
    WORKFLOW_TASK_PROBLEMS: Count, "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute", Namespace, 5, Any, "failing workflow tasks in a row after which they are reported; 0 is never";
    WORKFLOW_RULES: Switch, "frontend.workflowRulesAPIsEnabled", Namespace, false, Any, "whether workflow rules can be made and read";
    WORKFLOW_RULES_MAX: Count, "frontend.maxWorkflowRulesPerNamespace", Namespace, 10, Any, "most workflow rules of a namespace";
    EAGER_WORKFLOW_START: Switch, "system.enableEagerWorkflowStart", Namespace, true, Any, "whether a start may answer with the first workflow task";
    EAGER_ACTIVITIES: Switch, "system.enableActivityEagerExecution", Namespace, true, Any, "whether a workflow task completion may answer with activity tasks";
    WORKFLOW_PAUSE: Switch, "frontend.WorkflowPauseEnabled", Namespace, false, Any, "whether workflows may be paused";
    CROSS_NAMESPACE_COMMANDS: Switch, "system.enableCrossNamespaceCommands", Global, false, Any, "whether workflows may act on workflows of other namespaces";
    PARENT_CLOSE_POLICY_THRESHOLD: Count, "history.parentClosePolicyThreshold", Namespace, 10, Any, "children from which a closing parent leaves them to another identity";
    STANDALONE_ACTIVITIES: Switch, "activity.enableStandalone", Namespace, true, Any, "whether activities may be started without a workflow";
    ACTIVITY_START_DELAY: Switch, "activity.startDelayEnabled", Namespace, true, Any, "whether the start of a standalone activity may be delayed";
    ACTIVITY_LONG_POLL: Time, "activity.longPollTimeout", Namespace, secs(60), Positive, "how long a wait for a standalone activity is held";
    ACTIVITY_COMMANDS: Switch, "history.enableStandaloneActivityOperatorCommands", Namespace, false, Any, "whether standalone activities can be paused, unpaused, reset and given other options";
    LINKS_PER_ACTIVITY: Count, "chasm.maxLinksPerComponent", Namespace, 2000, Any, "most links of a standalone activity";
    RETENTION_MIN: Time, "system.namespaceMinRetentionLocal", Global, secs(3600), Any, "shortest retention a namespace may have";

    // Task queues.
    READ_PARTITIONS: Count, "matching.numTaskqueueReadPartitions", TaskQueue, 4, Positive, "partitions that polls go to";
    WRITE_PARTITIONS: Count, "matching.numTaskqueueWritePartitions", TaskQueue, 4, Positive, "partitions that tasks go to";
    TASK_LONG_POLL: Time, "matching.longPollExpirationInterval", TaskQueue, secs(60), Positive, "how long a poll for a task is held";
    SYNC_MATCH_WAIT: Time, "matching.syncMatchWaitDuration", TaskQueue, millis(200), Any, "how long a task waits for a poller before it is written down";
    TASK_QUEUE_IDLE: Time, "matching.maxTaskQueueIdleTime", TaskQueue, secs(5 * 60), Positive, "how long an unused task queue stays in memory";

    PRIORITY_LEVELS: Count, "matching.priorityLevels", TaskQueue, 5, Positive, "priority levels; above 10 it is 10";
    NAMESPACE_DISPATCH_RATE: Ratio, "admin.matchingNamespaceToPartitionDispatchRate", Namespace, 10_000.0, Any, "tasks a second that a partition of any of the namespace's queues gives out";
    QUEUE_DISPATCH_RATE: Ratio, "admin.matchingNamespaceTaskqueueToPartitionDispatchRate", TaskQueue, 1000.0, Any, "tasks a second that a partition of the queue gives out";
    SCALING_WAIT: Time, "matching.pollerScalingWaitTime", TaskQueue, secs(1), Any, "wait of a poll after which its worker is told to send fewer";
    SCALING_BACKLOG_AGE: Time, "matching.pollerScalingMinimumBacklog", TaskQueue, millis(200), Any, "age of a backlog from which workers are told to send more polls";
    SCALING_RATE: Ratio, "matching.pollerScalingDecisionsPerSecond", TaskQueue, 10.0, Any, "how often a second workers are told that";
    SCALING_RATIO: Ratio, "matching.pollerScalingTaskAddToDispatchRatio", TaskQueue, 1.2, Any, "tasks added for each one given out over which workers are told that";

    // Workers.
    WORKER_HEARTBEATS: Switch, "frontend.WorkerHeartbeatsEnabled", Namespace, true, Any, "whether workers may tell about themselves";
    CANCEL_POLLS_ON_SHUTDOWN: Switch, "frontend.enableCancelWorkerPollsOnShutdown", Namespace, false, Any, "whether a worker's polls end when it says that it shuts down";
    WORKER_TTL: Time, "matching.workerRegistryEntryTTL", Global, secs(5 * 60), Positive, "silence after which a worker is forgotten";
    WORKERS_MAX: Count, "matching.workerRegistryMaxEntries", Global, 1_000_000, Positive, "workers that are remembered";
    WORKER_EVICT_AGE: Time, "matching.workerRegistryMinEvictAge", Global, secs(60), Any, "workers heard of within this time are remembered whatever their number";
    WORKER_EVICT_INTERVAL: Time, "matching.workerRegistryEvictionInterval", Global, secs(60), Positive, "how often workers to forget are looked for";

    // The server's own jobs.
    DELETION_RATE: Count, "frontend.deleteNamespaceDeleteActivityRPS", Global, 100, Any, "executions of a deleted namespace that are removed each second; 0 is no limit";
    DELETION_PAGE: Count, "frontend.deleteNamespaceDeletePageSize", Global, 1000, Positive, "executions of a deleted namespace that are looked for at a time";
    DELETION_DELAY: Time, "frontend.deleteNamespaceNamespaceDeleteDelay", Global, secs(0), Any, "how long a deleted namespace is kept when nothing is left in it";
    PROTECTED_NAMESPACES: Names, "worker.protectedNamespaces", Global, Vec::new(), Any, "namespaces that cannot be deleted";
    /// On, where Temporal's is off: that one looks at no lists.
    SCAVENGER: Switch, "worker.executionsScannerEnabled", Global, true, Any, "whether executions, histories and lists are held against each other twice a day";
    /// 1000, where Temporal's is 10: a look costs a few reads of an embedded database.
    SCAVENGER_RATE: Count, "worker.executionScannerPerHostQPS", Global, 1000, Any, "executions that this looks at each second; 0 is no limit";
    SCAVENGER_HISTORIES: Switch, "worker.executionEnableHistoryEventIdValidator", Global, true, Any, "whether this reads histories too";

    // Requests and connections.
    HOST_RPS: Count, "frontend.rps", Global, 2400, Positive, "requests a second that a frontend serves";
    NAMESPACE_RPS: Count, "frontend.namespaceRPS", Namespace, 2400, Positive, "requests a second that a frontend serves for a namespace";
    NAMESPACE_BURST: Ratio, "frontend.namespaceBurstRatio", Namespace, 2.0, Positive, "burst over the namespace's rate, as a factor";
    NAMESPACE_LONG_REQUESTS: Count, "frontend.namespaceCount", Namespace, 1200, Positive, "polls and other long requests that a frontend holds for a namespace";
    CONNECTION_AGE: Time, "frontend.keepAliveMaxConnectionAge", Global, secs(5 * 60), Positive, "age at which a client's connection is told to go away";
    CONNECTION_AGE_GRACE: Time, "frontend.keepAliveMaxConnectionAgeGrace", Global, secs(70), Positive, "time that requests get after that";
    KEEP_ALIVE_TIME: Time, "frontend.keepAliveTime", Global, secs(60), Positive, "silence after which a client is pinged";
    KEEP_ALIVE_TIMEOUT: Time, "frontend.keepAliveTimeout", Global, secs(10), Positive, "time for an answer to that ping";

    // Memory.
    /// Temporal's default (1000 MiB) is for a machine of its own; this one suits a laptop.
    EXECUTION_CACHE_SIZE: Count, "history.hostLevelCacheMaxSizeBytes", Global, 16 * MIB, Positive, "bytes of workflow state kept in memory";
}

/// Keys for which this server always behaves as with one value. Giving that value is taken in silence,
/// any other with a warning: harnesses and operators' files set them by habit.
pub static FIXED: &[(&str, bool)] = &[
    ("frontend.enableServerVersionCheck", false),
    ("frontend.keepAlivePermitWithoutStream", true),
    ("history.cacheSizeBasedLimit", true),
    ("system.forceSearchAttributesCacheRefreshOnRead", true),
];

impl Served {
    /// The typed form of `value`, or what the key takes.
    pub(crate) fn read(&self, value: &Value) -> Result<Setting, &'static str> {
        let setting = match self.default {
            Setting::Count(_) => value
                .as_int()
                .and_then(|value| usize::try_from(value).ok())
                .map(Setting::Count)
                .ok_or("a whole number of 0 or more"),
            Setting::Ratio(_) => value
                .as_float()
                .filter(|value| value.is_finite() && *value >= 0.0)
                .map(Setting::Ratio)
                .ok_or("a number of 0 or more"),
            Setting::Switch(_) => value.as_bool().map(Setting::Switch).ok_or("true or false"),
            Setting::Time(_) => value.as_duration().map(Setting::Time),
            Setting::Addresses(_) => value.as_addresses().map(Setting::Addresses),
            Setting::Names(_) => value.as_names().map(Setting::Names).ok_or("a list of names"),
        }?;
        match self.range {
            Range::Positive if setting.is_zero() => Err("a value above 0"),
            Range::Positive | Range::Any => Ok(setting),
        }
    }
}

impl Setting {
    fn is_zero(&self) -> bool {
        match self {
            Self::Count(value) => *value == 0,
            Self::Ratio(value) => *value == 0.0,
            Self::Switch(_) | Self::Addresses(_) | Self::Names(_) => false,
            Self::Time(value) => value.is_zero(),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => write!(f, "{value}"),
            // Debug keeps the point, so that the value stays a float when read again.
            Self::Ratio(value) => write!(f, "{value:?}"),
            Self::Switch(value) => write!(f, "{value}"),
            Self::Time(value) => f.write_str(&format_duration(*value)),
            Self::Addresses(rules) => {
                let shown = rules
                    .iter()
                    .map(|rule| format!("{{Pattern: {:?}, AllowInsecure: {}}}", rule.pattern, rule.allow_insecure));
                write!(f, "[{}]", shown.collect::<Vec<_>>().join(", "))
            }
            Self::Names(names) => write!(f, "{names:?}"),
        }
    }
}

macro_rules! setting_types {
    ($($kind:ident: $rust:ty),*) => {
        $(impl SettingType for $rust {
            fn read(setting: &Setting) -> Option<Self> {
                if let Setting::$kind(value) = setting { Some(value.clone()) } else { None }
            }
        })*
    };
}

setting_types!(Count: usize, Ratio: f64, Switch: bool, Time: Duration, Addresses: Vec<AddressRule>, Names: Vec<String>);

/// The table's index of a key, by name in any case.
pub(crate) fn slot(name: &str) -> Option<usize> {
    SERVED.iter().position(|served| served.name.eq_ignore_ascii_case(name))
}

/// The value that the server behaves as with, for a [`FIXED`] key.
pub(crate) fn fixed(name: &str) -> Option<bool> {
    FIXED.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::known_key;

    #[test]
    fn the_table_agrees_with_the_list_of_keys() {
        for served in SERVED {
            let known = known_key(served.name).unwrap();
            assert_eq!(known.name, served.name);
            assert_eq!(known.scope, served.scope, "{}", served.name);
            let kind = match served.default {
                Setting::Count(_) => "int",
                Setting::Ratio(_) => "float",
                Setting::Switch(_) => "bool",
                Setting::Time(_) => "duration",
                Setting::Addresses(_) => "struct",
                Setting::Names(_) => "list<string>",
            };
            assert_eq!(known.kind, kind, "{}", served.name);
            // The look-ups know these three scopes.
            assert!(matches!(served.scope, Scope::Global | Scope::Namespace | Scope::TaskQueue));
        }
        for (name, _) in FIXED {
            let known = known_key(name).unwrap();
            assert_eq!((known.name, known.kind), (*name, "bool"));
            assert_eq!(slot(name), None, "{name} is both served and fixed");
        }
    }

    #[test]
    fn no_key_is_served_twice() {
        let names: BTreeSet<_> = SERVED.iter().map(|served| served.name).collect();
        assert_eq!(names.len(), SERVED.len());
    }

    #[test]
    fn defaults_are_in_range() {
        for served in SERVED {
            assert!(served.range == Range::Any || !served.default.is_zero(), "{}", served.name);
        }
    }
}
