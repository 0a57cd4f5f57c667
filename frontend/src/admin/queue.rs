//! `DescribeQueue`: a task queue partition by partition, where Temporal's API shows the sum.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{admin, api::workflowservice as ws};
use perdure_rpc::{QueueName, TaskType, matching::DescribeQueue};

use super::Admin;

impl Admin {
    pub(super) async fn queue(
        &self,
        request: admin::DescribeQueueRequest,
    ) -> ServiceResult<admin::DescribeQueueResponse> {
        if request.name.is_empty() {
            return Err(ServiceError::invalid_argument("name a task queue"));
        }
        let namespace = self.namespace(&request.namespace).await?;
        let matching = &self.shared.matching;
        let mut partitions = Vec::new();
        for (task_type, shown) in [(TaskType::Workflow, "workflow"), (TaskType::Activity, "activity")] {
            let root = QueueName::normal(&namespace.id, &request.name, task_type);
            let (read, write) = matching.partitions(&namespace.name, &root);
            for partition in 0..read.max(write) {
                let queue = root.with_partition(partition);
                let ask = DescribeQueue { queue: queue.clone(), request: question(task_type) };
                let answer = matching.ask_partition(&queue, Self::caller(namespace.clone()), ask).await?;
                partitions.push(shown_partition(shown, partition, *answer));
            }
        }
        Ok(admin::DescribeQueueResponse { namespace: namespace.name.clone(), name: request.name, partitions })
    }
}

/// What is asked of a partition. An id of a child partition is answered for that partition alone.
fn question(task_type: TaskType) -> ws::DescribeTaskQueueRequest {
    ws::DescribeTaskQueueRequest { task_queue_type: task_type as i32, report_stats: true, ..Default::default() }
}

fn shown_partition(task_type: &str, partition: u32, answer: ws::DescribeTaskQueueResponse) -> admin::QueuePartition {
    let stats = answer.stats.unwrap_or_default();
    let poller = |poller: perdure_proto::api::taskqueue::PollerInfo| admin::QueuePoller {
        identity: poller.identity,
        last_seen: poller.last_access_time,
    };
    admin::QueuePartition {
        r#type: task_type.to_owned(),
        partition,
        backlog: stats.approximate_backlog_count,
        backlog_age: stats.approximate_backlog_age,
        added_per_second: stats.tasks_add_rate,
        dispatched_per_second: stats.tasks_dispatch_rate,
        rate_limit: answer.effective_rate_limit.map(|limit| limit.requests_per_second).unwrap_or_default(),
        pollers: answer.pollers.into_iter().map(poller).collect(),
    }
}
