//! Settings of task queues, as matching asks for them.

use std::time::Duration;

use perdure_rpc::QueueName;
use perdure_task_queue::{Settings, workers::RegistrySettings};

/// Settings in force for one queue, as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// Partitions that polls go to; at least 1: `matching.numTaskqueueReadPartitions`
    pub read_partitions: u32,
    /// Partitions that tasks and queries go to; at least 1: `matching.numTaskqueueWritePartitions`
    pub write_partitions: u32,
    /// Dispatches a second of one partition, the smaller of `admin.matchingNamespaceToPartitionDispatchRate` and
    /// `admin.matchingNamespaceTaskqueueToPartitionDispatchRate`. Infinite for no limit.
    pub dispatch_rate_max: f64,
    /// Longest wait of a poll: `matching.longPollExpirationInterval`
    pub long_poll: Duration,
    /// The machine's own settings.
    pub machine: Settings,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            read_partitions: 4,
            write_partitions: 4,
            dispatch_rate_max: 1000.0,
            long_poll: Duration::from_secs(60),
            machine: Settings::default(),
        }
    }
}

impl QueueSettings {
    /// Partitions that can hold anything.
    pub(crate) fn partitions(&self) -> u32 {
        self.read_partitions.max(self.write_partitions).max(1)
    }
}

/// Where settings come from. Asked again and again, so that changes act.
pub trait SettingsSource: Send + Sync + 'static {
    /// Settings of a queue in the namespace of that name.
    fn queue(&self, namespace: &str, queue: &QueueName) -> QueueSettings;

    /// Partitions that polls and that tasks go to; asked for every call.
    fn partitions(&self, namespace: &str, queue: &QueueName) -> (u32, u32) {
        let settings = self.queue(namespace, queue);
        (settings.read_partitions, settings.write_partitions)
    }

    /// Bounds of the worker registry.
    fn workers(&self) -> RegistrySettings {
        RegistrySettings::default()
    }
}

/// The same settings for every queue.
#[derive(Clone, Debug, Default)]
pub struct FixedSettings(pub QueueSettings);

impl SettingsSource for FixedSettings {
    fn queue(&self, _namespace: &str, _queue: &QueueName) -> QueueSettings {
        self.0.clone()
    }

    fn partitions(&self, _namespace: &str, _queue: &QueueName) -> (u32, u32) {
        (self.0.read_partitions, self.0.write_partitions)
    }
}
