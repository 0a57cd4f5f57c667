//! RPCs by and about workers.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{enums::TaskQueueType, worker::WorkerHeartbeat, workflowservice as ws};
use perdure_rpc::{
    QueueName, TaskType,
    matching::{CancelPolls, WorkerGone},
    workers::{AboutWorkers, RecordHeartbeats},
};

use crate::call::{Call, Shared};

async fn record(shared: &Shared, call: Call<()>, heartbeats: Vec<WorkerHeartbeat>) -> ServiceResult<()> {
    if !call.limits().worker_heartbeats || heartbeats.is_empty() {
        return Ok(());
    }
    let namespace_id = call.namespace_id().clone();
    let record = RecordHeartbeats { namespace_id: namespace_id.clone(), heartbeats };
    shared.matching.ask_workers(&namespace_id, call.caller, record, call.permit).await
}

pub(super) async fn record_worker_heartbeat(
    shared: &Shared,
    call: Call<()>,
    request: ws::RecordWorkerHeartbeatRequest,
) -> ServiceResult<ws::RecordWorkerHeartbeatResponse> {
    record(shared, call, request.worker_heartbeat).await?;
    Ok(ws::RecordWorkerHeartbeatResponse {})
}

pub(super) async fn list_workers(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListWorkersRequest,
) -> ServiceResult<ws::ListWorkersResponse> {
    let namespace_id = call.namespace_id().clone();
    let ask = AboutWorkers { namespace_id: namespace_id.clone(), request };
    shared.matching.ask_workers(&namespace_id, call.caller, ask, call.permit).await
}

pub(super) async fn count_workers(
    shared: &Shared,
    call: Call<()>,
    request: ws::CountWorkersRequest,
) -> ServiceResult<ws::CountWorkersResponse> {
    let namespace_id = call.namespace_id().clone();
    let ask = AboutWorkers { namespace_id: namespace_id.clone(), request };
    shared.matching.ask_workers(&namespace_id, call.caller, ask, call.permit).await
}

pub(super) async fn describe_worker(
    shared: &Shared,
    call: Call<()>,
    request: ws::DescribeWorkerRequest,
) -> ServiceResult<ws::DescribeWorkerResponse> {
    let namespace_id = call.namespace_id().clone();
    let ask = AboutWorkers { namespace_id: namespace_id.clone(), request };
    let described: Box<ws::DescribeWorkerResponse> =
        shared.matching.ask_workers(&namespace_id, call.caller, ask, call.permit).await?;
    Ok(*described)
}

/// Temporal has the call and does not serve it yet.
pub(super) async fn fetch_worker_config(
    _shared: &Shared,
    _call: Call<()>,
    _request: ws::FetchWorkerConfigRequest,
) -> ServiceResult<ws::FetchWorkerConfigResponse> {
    Err(ServiceError::new(ErrorKind::Unimplemented, "FetchWorkerConfig command is not enabled."))
}

/// Temporal has the call and does not serve it yet.
pub(super) async fn update_worker_config(
    _shared: &Shared,
    _call: Call<()>,
    _request: ws::UpdateWorkerConfigRequest,
) -> ServiceResult<ws::UpdateWorkerConfigResponse> {
    Err(ServiceError::new(ErrorKind::Unimplemented, "UpdateWorkerConfig command is not enabled."))
}

/// A worker says goodbye: workflows in its cache go to other workers at once.
pub(super) async fn shutdown_worker(
    shared: &Shared,
    mut call: Call<()>,
    request: ws::ShutdownWorkerRequest,
) -> ServiceResult<ws::ShutdownWorkerResponse> {
    // What is asked for on the way may fail without the goodbye failing, as on Temporal.
    if call.limits().cancel_polls_on_shutdown {
        cancel_polls(shared, &call, &request).await;
    }
    let caller = call.caller.clone();
    let permit = call.permit.take();
    if let Some(heartbeat) = request.worker_heartbeat
        && let Err(error) = record(shared, call, vec![heartbeat]).await
    {
        tracing::warn!(%error, "the last heartbeat of a worker was not recorded");
    }
    if !request.sticky_task_queue.is_empty() {
        let queue = QueueName::sticky(&caller.namespace.id, &request.sticky_task_queue);
        let gone = WorkerGone { queue: queue.clone() };
        shared.matching.ask(&queue, caller, gone, permit).await?;
    }
    Ok(ws::ShutdownWorkerResponse {})
}

async fn cancel_polls(shared: &Shared, call: &Call<()>, request: &ws::ShutdownWorkerRequest) {
    if request.worker_instance_key.is_empty() || request.task_queue.is_empty() {
        return;
    }
    let wanted = |kind: TaskQueueType| {
        request.task_queue_types.is_empty() || request.task_queue_types.contains(&i32::from(kind))
    };
    let types = [(TaskQueueType::Workflow, TaskType::Workflow), (TaskQueueType::Activity, TaskType::Activity)];
    for (_, task_type) in types.into_iter().filter(|(kind, _)| wanted(*kind)) {
        let root = QueueName::normal(call.namespace_id(), &request.task_queue, task_type);
        let (read, _) = shared.matching.partitions(&call.caller.namespace.name, &root);
        for partition in 0..read {
            let cancel = CancelPolls {
                queue: root.with_partition(partition),
                worker_instance_key: request.worker_instance_key.clone(),
                identity: request.identity.clone(),
            };
            let queue = cancel.queue.clone();
            if let Err(error) = shared.matching.ask_partition::<_, u32>(&queue, call.caller.clone(), cancel).await {
                tracing::warn!(%queue, %error, "polls of a worker that shuts down were not cancelled");
            }
        }
    }
}
