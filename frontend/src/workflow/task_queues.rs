//! RPCs about task queues.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{
    enums::{DescribeTaskQueueMode, TaskQueueType},
    taskqueue::{TaskQueueConfig, TaskQueuePartitionMetadata},
    workflowservice as ws,
};
use perdure_rpc::{
    QueueKind, QueueName, TaskType,
    matching::{Configure, DescribeQueue},
};

use crate::{
    call::{Call, Shared},
    validate::{
        invalid, queue_config,
        task_queues::{self, Names},
    },
};

pub(super) async fn describe_task_queue(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::DescribeTaskQueueRequest,
) -> ServiceResult<ws::DescribeTaskQueueResponse> {
    let queue = queue_of(&call, &mut request)?;
    let ask = DescribeQueue { queue: queue.clone(), request };
    let described: Box<ws::DescribeTaskQueueResponse> =
        shared.matching.ask(&queue, call.caller, ask, call.permit).await?;
    Ok(*described)
}

#[expect(deprecated, reason = "the enhanced mode is what the command line asks for")]
fn queue_of(call: &Call<()>, request: &mut ws::DescribeTaskQueueRequest) -> ServiceResult<QueueName> {
    let enhanced = request.api_mode == i32::from(DescribeTaskQueueMode::Enhanced);
    let names = if enhanced { Names::Queues } else { Names::Partitions };
    let queue = task_queues::normalize(request.task_queue.as_mut(), names, call.limits())?;
    if request.task_queue_type == i32::from(TaskQueueType::Unspecified) || enhanced {
        request.task_queue_type = TaskQueueType::Workflow.into();
    }
    if request.task_queue_types.is_empty() {
        request.task_queue_types = vec![TaskQueueType::Workflow.into(), TaskQueueType::Activity.into()];
    }
    let sticky = task_queues::is_sticky(queue);
    if enhanced && sticky {
        return Err(invalid(
            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or a normal queue.",
        ));
    }
    let task_type = match TaskQueueType::try_from(request.task_queue_type) {
        Ok(TaskQueueType::Workflow | TaskQueueType::Unspecified) => TaskType::Workflow,
        Ok(TaskQueueType::Activity) => TaskType::Activity,
        Ok(TaskQueueType::Nexus) | Err(_) => {
            let text = "task queues of this type are not served by this server yet; see docs/compatibility.md";
            return Err(ServiceError::new(ErrorKind::Unimplemented, text));
        }
    };
    let (name, partition) = QueueName::parse_rpc_name(&queue.name)
        .ok_or_else(|| invalid("Task Queue Partition invalid, use a different Task Queue or Task Queue Type"))?;
    if request.report_stats && !enhanced && (sticky || partition > 0) {
        return Err(invalid("DescribeTaskQueue stats are only supported for the root partition"));
    }
    let kind = if sticky { QueueKind::Sticky } else { QueueKind::Normal };
    Ok(QueueName { namespace_id: call.namespace_id().clone(), name: name.into(), task_type, kind, partition })
}

pub(super) async fn update_task_queue_config(
    shared: &Shared,
    call: Call<()>,
    request: ws::UpdateTaskQueueConfigRequest,
) -> ServiceResult<ws::UpdateTaskQueueConfigResponse> {
    let overrides_max = call.limits().fairness_weight_overrides_max;
    queue_config::check(&request, call.limits())?;
    if request.task_queue.starts_with(task_queues::PARTITION_PREFIX) {
        let text = format!(
            "task queue family name cannot have prefix {} {}",
            task_queues::PARTITION_PREFIX,
            request.task_queue
        );
        return Err(invalid(text));
    }
    let task_type = match TaskQueueType::try_from(request.task_queue_type) {
        Ok(TaskQueueType::Workflow) => TaskType::Workflow,
        Ok(TaskQueueType::Activity) => TaskType::Activity,
        Ok(TaskQueueType::Unspecified | TaskQueueType::Nexus) | Err(_) => {
            let text = "task queues of this type are not served by this server yet; see docs/compatibility.md";
            return Err(ServiceError::new(ErrorKind::Unimplemented, text));
        }
    };
    let queue = QueueName::normal(call.namespace_id(), &request.task_queue, task_type);
    let configure = Configure { queue: queue.clone(), request, overrides_max };
    let config: Box<TaskQueueConfig> =
        shared.matching.ask(&queue, call.caller, Box::new(configure), call.permit).await?;
    Ok(ws::UpdateTaskQueueConfigResponse { config: Some(*config) })
}

/// Every partition of both types, all owned by this node.
pub(super) async fn list_task_queue_partitions(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::ListTaskQueuePartitionsRequest,
) -> ServiceResult<ws::ListTaskQueuePartitionsResponse> {
    let queue = task_queues::normalize(request.task_queue.as_mut(), Names::Queues, call.limits())?;
    let list = |task_type: TaskType| {
        let root = QueueName::normal(call.namespace_id(), &queue.name, task_type);
        let (_, write) = shared.matching.partitions(&call.caller.namespace.name, &root);
        (0..write)
            .map(|partition| TaskQueuePartitionMetadata {
                key: root.with_partition(partition).rpc_name(),
                owner_host_name: shared.cluster.rpc_address.clone(),
            })
            .collect()
    };
    Ok(ws::ListTaskQueuePartitionsResponse {
        activity_task_queue_partitions: list(TaskType::Activity),
        workflow_task_queue_partitions: list(TaskType::Workflow),
    })
}
