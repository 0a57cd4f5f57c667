//! RPCs on existing workflow executions.

use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult, field_mask};
use perdure_proto::api::{
    common::WorkflowExecution, enums::ResetReapplyType, workflow::post_reset_operation::Variant, workflowservice as ws,
};

use crate::{
    call::{Call, Shared},
    validate::{blobs, ids, invalid, links, priorities, time_skipping},
};

/// What a termination says when its caller says nothing.
const TERMINATE_REASON_DEFAULT: &str = "terminated by user via frontend";
const TERMINATE_IDENTITY_DEFAULT: &str = "frontend-service";

pub(super) async fn signal_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::SignalWorkflowExecutionRequest,
) -> ServiceResult<ws::SignalWorkflowExecutionResponse> {
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    ids::signal_name(&request.signal_name, call.limits())?;
    ids::request_id(&request.request_id, call.limits())?;
    links::check(&request.links, call.limits())?;
    blobs::check(request.input.as_ref(), call.limits())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn request_cancel_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::RequestCancelWorkflowExecutionRequest,
) -> ServiceResult<ws::RequestCancelWorkflowExecutionResponse> {
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    links::check(&request.links, call.limits())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn terminate_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::TerminateWorkflowExecutionRequest,
) -> ServiceResult<ws::TerminateWorkflowExecutionResponse> {
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    links::check(&request.links, call.limits())?;
    if request.reason.is_empty() {
        request.reason = TERMINATE_REASON_DEFAULT.to_owned();
    }
    if request.identity.is_empty() {
        request.identity = TERMINATE_IDENTITY_DEFAULT.to_owned();
    }
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn reset_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::ResetWorkflowExecutionRequest,
) -> ServiceResult<ws::ResetWorkflowExecutionResponse> {
    if request.request_id.is_empty() {
        return Err(invalid("RequestId is not set on request."));
    }
    ids::request_id(&request.request_id, call.limits())?;
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    #[expect(deprecated, reason = "clients may still send it")]
    let reapply_type = request.reset_reapply_type;
    if ResetReapplyType::try_from(reapply_type).is_err() {
        return Err(ServiceError::new(ErrorKind::Internal, format!("unknown reset reapply type: {reapply_type}")));
    }
    for operation in &request.post_reset_operations {
        if let Some(Variant::UpdateWorkflowOptions(update)) = &operation.variant {
            let options = update.workflow_execution_options.as_ref();
            time_skipping::check(options.and_then(|options| options.time_skipping_config.as_ref()))?;
        }
    }
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn delete_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::DeleteWorkflowExecutionRequest,
) -> ServiceResult<ws::DeleteWorkflowExecutionResponse> {
    let key = key_of(&call, request.workflow_execution.as_ref())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn update_workflow_execution_options(
    shared: &Shared,
    call: Call<()>,
    request: ws::UpdateWorkflowExecutionOptionsRequest,
) -> ServiceResult<ws::UpdateWorkflowExecutionOptionsResponse> {
    let execution = request.workflow_execution.clone().unwrap_or_default();
    if execution.workflow_id.is_empty() {
        return Err(invalid("WorkflowId is not set on request."));
    }
    let Some(mask) = &request.update_mask else { return Err(invalid("UpdateMask is required")) };
    let Some(options) = &request.workflow_execution_options else {
        return Err(invalid("WorkflowExecutionOptions is required"));
    };
    field_mask::check_workflow_options(mask).map_err(|why| invalid(format!("error parsing UpdateMask: {why}")))?;
    priorities::check(options.priority.as_ref())?;
    time_skipping::check(options.time_skipping_config.as_ref())?;
    let key = ids::key_of_run(call.namespace_id(), &execution.workflow_id, &execution.run_id)?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn pause_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::PauseWorkflowExecutionRequest,
) -> ServiceResult<ws::PauseWorkflowExecutionResponse> {
    if !call.limits().workflow_pause {
        let namespace = &call.caller.namespace.name;
        let text = format!("workflow pause is not enabled for namespace: {namespace}");
        return Err(ServiceError::new(ErrorKind::Unimplemented, text));
    }
    ids::pause_texts(&request.reason, &request.request_id, &request.identity, call.limits())?;
    let key = ids::key_of_run(call.namespace_id(), &request.workflow_id, &request.run_id)?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn unpause_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::UnpauseWorkflowExecutionRequest,
) -> ServiceResult<ws::UnpauseWorkflowExecutionResponse> {
    ids::pause_texts(&request.reason, &request.request_id, &request.identity, call.limits())?;
    let key = ids::key_of_run(call.namespace_id(), &request.workflow_id, &request.run_id)?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn describe_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::DescribeWorkflowExecutionRequest,
) -> ServiceResult<ws::DescribeWorkflowExecutionResponse> {
    let key = key_of(&call, request.execution.as_ref())?;
    shared.history.ask(&key, call.caller, request, call.permit).await
}

pub(super) async fn reset_sticky_task_queue(
    shared: &Shared,
    call: Call<()>,
    request: ws::ResetStickyTaskQueueRequest,
) -> ServiceResult<ws::ResetStickyTaskQueueResponse> {
    let key = key_of(&call, request.execution.as_ref())?;
    shared.history.ask(&key, call.caller, request, call.permit).await
}

/// The key of the execution a request names.
pub(super) fn key_of(call: &Call<()>, execution: Option<&WorkflowExecution>) -> ServiceResult<BusinessKey> {
    let execution = ids::execution(execution)?;
    Ok(BusinessKey::workflow(call.namespace_id(), &execution.workflow_id))
}
