//! Long polls of task queues.

use std::sync::Arc;

use perdure_kernel::{NamespaceId, ServiceResult};
use perdure_proto::api::{taskqueue::TaskQueue, workflowservice as ws};
use perdure_rpc::{QueueName, TaskType, matching::Poll};

use crate::{
    call::{Call, Shared},
    validate::{
        ids, invalid, polls,
        task_queues::{self, Names},
        versioning,
    },
};

pub(super) async fn poll_workflow_task_queue(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::PollWorkflowTaskQueueRequest,
) -> ServiceResult<ws::PollWorkflowTaskQueueResponse> {
    polls::deadline(call.caller.deadline, call.now)?;
    ids::identity(&request.identity, call.limits())?;
    #[expect(deprecated, reason = "older workers still send it")]
    let (capabilities, checksum) = (request.worker_version_capabilities.as_ref(), &request.binary_checksum);
    versioning::check(
        capabilities.map_or("", |capabilities| &capabilities.build_id),
        capabilities.is_some_and(|capabilities| capabilities.use_versioning),
        request.deployment_options.as_ref(),
        request.task_queue.as_ref(),
        call.limits(),
    )?;
    let queue = task_queues::normalize(request.task_queue.as_mut(), Names::Queues, call.limits())?;
    let queue = workflow_queue(call.namespace_id(), queue);
    polls::binary(checksum, &call.caller.namespace)?;
    let poll = Poll { queue: queue.clone(), request: Arc::new(request) };
    let task: Box<ws::PollWorkflowTaskQueueResponse> =
        shared.matching.ask(&queue, call.caller, poll, call.permit).await?;
    Ok(*task)
}

pub(super) async fn poll_activity_task_queue(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::PollActivityTaskQueueRequest,
) -> ServiceResult<ws::PollActivityTaskQueueResponse> {
    polls::deadline(call.caller.deadline, call.now)?;
    let queue = task_queues::normalize(request.task_queue.as_mut(), Names::Queues, call.limits())?;
    if task_queues::is_sticky(queue) {
        return Err(invalid("sticky task queues hold workflow tasks only"));
    }
    let queue = QueueName::normal(call.namespace_id(), &queue.name, TaskType::Activity);
    ids::identity(&request.identity, call.limits())?;
    #[expect(deprecated, reason = "older workers still send it")]
    let capabilities = request.worker_version_capabilities.as_ref();
    versioning::check(
        capabilities.map_or("", |capabilities| &capabilities.build_id),
        capabilities.is_some_and(|capabilities| capabilities.use_versioning),
        request.deployment_options.as_ref(),
        request.task_queue.as_ref(),
        call.limits(),
    )?;
    let poll = Poll { queue: queue.clone(), request: Arc::new(request) };
    let task: Box<ws::PollActivityTaskQueueResponse> =
        shared.matching.ask(&queue, call.caller, poll, call.permit).await?;
    Ok(*task)
}

fn workflow_queue(namespace_id: &NamespaceId, queue: &TaskQueue) -> QueueName {
    if task_queues::is_sticky(queue) {
        QueueName::sticky(namespace_id, &queue.name)
    } else {
        QueueName::normal(namespace_id, &queue.name, TaskType::Workflow)
    }
}
