//! Updates of workflows, alone and with a start.

use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{
    enums::UpdateWorkflowExecutionLifecycleStage as Stage,
    workflowservice::{self as ws, execute_multi_operation_request::operation},
};
use perdure_rpc::history::{UpdateWithStart, UpdateWorkflow};

use super::{executions::key_of, starts::rules};
use crate::{
    call::{Call, Shared},
    validate::{callbacks, ids, invalid, start},
};

pub(super) async fn update_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::UpdateWorkflowExecutionRequest,
) -> ServiceResult<ws::UpdateWorkflowExecutionResponse> {
    prepare(shared, &call, &mut request)?;
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    let update = Box::new(UpdateWorkflow { request, renewals: 0 });
    shared.history.ask(&key, call.caller, update, call.permit).await
}

pub(super) async fn poll_workflow_execution_update(
    shared: &Shared,
    call: Call<()>,
    request: ws::PollWorkflowExecutionUpdateRequest,
) -> ServiceResult<ws::PollWorkflowExecutionUpdateResponse> {
    let update = request.update_ref.as_ref().ok_or_else(|| invalid("UpdateRef is not set on request."))?;
    let workflow_id = update.workflow_execution.as_ref().map_or("", |execution| &execution.workflow_id);
    let key = BusinessKey::workflow(call.namespace_id(), workflow_id);
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn execute_multi_operation(
    shared: &Shared,
    call: Call<()>,
    request: ws::ExecuteMultiOperationRequest,
) -> ServiceResult<ws::ExecuteMultiOperationResponse> {
    let mut operations = request.operations.into_iter().map(|operation| operation.operation);
    let operations = (operations.next().flatten(), operations.next().flatten(), operations.next());
    let (
        Some(operation::Operation::StartWorkflow(mut start)),
        Some(operation::Operation::UpdateWorkflow(mut update)),
        None,
    ) = operations
    else {
        return Err(invalid("Operations have to be exactly [Start, Update]."));
    };
    let started = prepare_start(shared, &call, &request.namespace, &mut start).err();
    let updated = prepare_update(shared, &call, &request.namespace, &mut update).err();
    let same_id =
        update.workflow_execution.as_ref().is_some_and(|execution| execution.workflow_id == start.workflow_id);
    let updated = updated.or_else(|| {
        (started.is_none() && !same_id).then(|| invalid("WorkflowId is not consistent with previous operation(s)."))
    });
    if started.is_some() || updated.is_some() {
        let told = |error: Option<ServiceError>| Some(error.unwrap_or_else(ServiceError::operation_aborted));
        return Err(ServiceError::multi_operation(vec![told(started), told(updated)]));
    }
    let key = BusinessKey::workflow(call.namespace_id(), &start.workflow_id);
    let request = Box::new(UpdateWithStart { start, update, renewals: 0, aborted_once: false });
    shared.history.ask(&key, call.caller, request, call.permit).await
}

fn prepare_start(
    shared: &Shared,
    call: &Call<()>,
    namespace: &str,
    request: &mut ws::StartWorkflowExecutionRequest,
) -> ServiceResult<()> {
    same_namespace(namespace, &request.namespace)?;
    let fresh_id = || shared.ids.uuid();
    start::start(request, &rules(call, &fresh_id))?;
    if !request.cron_schedule.is_empty() {
        return Err(invalid("CronSchedule is not allowed."));
    }
    if request.request_eager_execution {
        return Err(invalid("RequestEagerExecution is not supported."));
    }
    if request.workflow_start_delay.is_some_and(|delay| delay.seconds > 0 || delay.nanos > 0) {
        return Err(invalid("WorkflowStartDelay is not supported."));
    }
    Ok(())
}

fn prepare_update(
    shared: &Shared,
    call: &Call<()>,
    namespace: &str,
    request: &mut ws::UpdateWorkflowExecutionRequest,
) -> ServiceResult<()> {
    same_namespace(namespace, &request.namespace)?;
    prepare(shared, call, request)?;
    if !request.first_execution_run_id.is_empty() {
        return Err(invalid("FirstExecutionRunId is not allowed."));
    }
    if request.workflow_execution.as_ref().is_some_and(|execution| !execution.run_id.is_empty()) {
        return Err(invalid("RunId is not allowed."));
    }
    Ok(())
}

fn same_namespace(namespace: &str, of_operation: &str) -> ServiceResult<()> {
    if of_operation.is_empty() || of_operation == namespace {
        return Ok(());
    }
    Err(invalid("Operation namespace did not match request's namespace."))
}

/// Checks an update and gives it what it leaves out: an id, and the stage to wait for.
fn prepare(shared: &Shared, call: &Call<()>, request: &mut ws::UpdateWorkflowExecutionRequest) -> ServiceResult<()> {
    ids::execution(request.workflow_execution.as_ref())?;
    let asked = request.request.as_mut();
    let meta_unset = || invalid("Update meta is not set on request.");
    let asked = asked.ok_or_else(meta_unset)?;
    let meta = asked.meta.as_mut().ok_or_else(meta_unset)?;
    if meta.update_id.len() > call.limits().id_length_max {
        return Err(invalid("UpdateId length exceeds limit."));
    }
    if meta.update_id.is_empty() {
        meta.update_id = shared.ids.uuid();
    }
    let input = asked.input.as_ref().ok_or_else(|| invalid("Update input is not set on request."))?;
    if input.name.is_empty() {
        return Err(invalid("Update name is not set on request."));
    }
    let policy = request.wait_policy.get_or_insert_default();
    match policy.lifecycle_stage() {
        Stage::Unspecified => policy.set_lifecycle_stage(Stage::Completed),
        Stage::Admitted => {
            let text = "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.";
            return Err(ServiceError::new(ErrorKind::PermissionDenied, text));
        }
        Stage::Accepted | Stage::Completed => {}
    }
    // Updates do not call back (`history.enableUpdateCallbacks` is off): as in Temporal, theirs are checked only.
    callbacks::check(&mut asked.completion_callbacks, call.limits())?;
    callbacks::check_links(&mut asked.links, &asked.completion_callbacks, call.limits())
}
