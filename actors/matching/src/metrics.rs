//! What a partition counts, under Temporal's names.

use metrics::{Counter, Histogram};
use perdure_rpc::{QueueKind, QueueName, TaskType};

/// Handles made once for a partition, so that counting is one addition.
pub(crate) struct QueueMetrics {
    pub(crate) tasks_added: Counter,
    pub(crate) tasks_dropped: Counter,
    pub(crate) tasks_retried: Counter,
    pub(crate) tasks_not_retryable: Counter,
    pub(crate) tasks_no_poller: Counter,
    pub(crate) poll_success: Counter,
    pub(crate) poll_success_sync: Counter,
    pub(crate) poll_timeouts: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) forward_errors: Counter,
    pub(crate) lease_requests: Counter,
    pub(crate) lease_failures: Counter,
    pub(crate) sync_match: Histogram,
    pub(crate) async_match: Histogram,
    pub(crate) task_write: Histogram,
}

impl QueueMetrics {
    pub(crate) fn new(namespace: &str, queue: &QueueName) -> Self {
        // Sticky queues are as many as worker processes: one label value for all of them.
        let (name, partition) = match queue.kind {
            QueueKind::Sticky => ("__sticky__", "__sticky__".to_owned()),
            QueueKind::Normal => (&*queue.name, queue.partition.to_string()),
        };
        let task_type = match queue.task_type {
            TaskType::Workflow => "Workflow",
            TaskType::Activity => "Activity",
        };
        let labels = [
            ("service_name", "matching".to_owned()),
            ("operation", "TaskQueueMgr".to_owned()),
            ("namespace", namespace.to_owned()),
            ("taskqueue", name.to_owned()),
            ("task_type", task_type.to_owned()),
            ("partition", partition),
        ];
        let counter = |name: &'static str| metrics::counter!(name, &labels);
        let histogram = |name: &'static str| metrics::histogram!(name, &labels);
        Self {
            tasks_added: counter("tasks_added"),
            tasks_dropped: counter("tasks_dropped"),
            tasks_retried: counter("task_retry_transient"),
            tasks_not_retryable: counter("non_retryable_tasks"),
            tasks_no_poller: counter("no_poller_tasks"),
            poll_success: counter("poll_success"),
            poll_success_sync: counter("poll_success_sync"),
            poll_timeouts: counter("poll_timeouts"),
            forwarded: counter("forwarded_per_tl"),
            forward_errors: counter("forward_task_errors"),
            lease_requests: counter("lease_requests"),
            lease_failures: counter("lease_failures"),
            sync_match: histogram("syncmatch_latency"),
            async_match: histogram("asyncmatch_latency"),
            task_write: histogram("task_write_latency"),
        }
    }
}
