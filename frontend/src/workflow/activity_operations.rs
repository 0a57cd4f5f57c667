//! RPCs that pause, unpause and reset activities and change their options.
//!
//! The older ones name a workflow and one or several of its activities. The newer ones, `...ActivityExecution`, name
//! one activity: of a workflow when they name a workflow, and then they do what the older ones do; else an activity
//! of its own.

use perdure_execution::activity::Input;
use perdure_kernel::{BusinessKey, ErrorKind, Limits, ServiceError, ServiceResult};
use perdure_proto::api::{
    common::WorkflowExecution,
    workflowservice::{
        self as ws, pause_activity_request, reset_activity_request, unpause_activity_request,
        update_activity_options_request,
    },
};

use super::standalone_activities::{ask, require_enabled};
use crate::{
    call::{Call, Shared},
    validate::{activity_options, ids, invalid, priorities},
};

pub(super) async fn pause_activity(
    shared: &Shared,
    call: Call<()>,
    request: ws::PauseActivityRequest,
) -> ServiceResult<ws::PauseActivityResponse> {
    let key = key_of(&call, request.execution.as_ref(), request.activity.is_some())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn unpause_activity(
    shared: &Shared,
    call: Call<()>,
    request: ws::UnpauseActivityRequest,
) -> ServiceResult<ws::UnpauseActivityResponse> {
    let key = key_of(&call, request.execution.as_ref(), request.activity.is_some())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn reset_activity(
    shared: &Shared,
    call: Call<()>,
    request: ws::ResetActivityRequest,
) -> ServiceResult<ws::ResetActivityResponse> {
    let key = key_of(&call, request.execution.as_ref(), request.activity.is_some())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn update_activity_options(
    shared: &Shared,
    call: Call<()>,
    request: ws::UpdateActivityOptionsRequest,
) -> ServiceResult<ws::UpdateActivityOptionsResponse> {
    let (workflow_id, run_id) = names_of(request.execution.as_ref());
    require_workflow_and_activity(workflow_id, request.activity.is_some())?;
    priorities::check(request.activity_options.as_ref().and_then(|options| options.priority.as_ref()))?;
    require_uuid(run_id)?;
    let key = BusinessKey::workflow(call.namespace_id(), workflow_id);
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn pause_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::PauseActivityExecutionRequest,
) -> ServiceResult<ws::PauseActivityExecutionResponse> {
    require_served(&call, &request.workflow_id)?;
    let limits = call.limits();
    check_names(&request.request_id, &request.activity_id, &request.identity, &request.run_id, limits)?;
    if request.reason.len() > limits.blob_size_max {
        return Err(invalid("reason exceeds length limit"));
    }
    if request.request_id.is_empty() {
        request.request_id = shared.ids.uuid();
    }
    if request.workflow_id.is_empty() {
        let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
        ask::<()>(shared, call, id, run_id, Input::Pause(request)).await?;
        return Ok(ws::PauseActivityExecutionResponse {});
    }
    let request = ws::PauseActivityRequest {
        namespace: request.namespace,
        execution: execution(request.workflow_id, request.run_id),
        activity: Some(pause_activity_request::Activity::Id(request.activity_id)),
        reason: request.reason,
        identity: request.identity,
        request_id: request.request_id,
    };
    pause_activity(shared, call, request).await.map(|_| ws::PauseActivityExecutionResponse {})
}

pub(super) async fn unpause_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::UnpauseActivityExecutionRequest,
) -> ServiceResult<ws::UnpauseActivityExecutionResponse> {
    require_served(&call, &request.workflow_id)?;
    check_names(&request.request_id, &request.activity_id, &request.identity, &request.run_id, call.limits())?;
    activity_options::jitter(request.jitter.as_mut(), call.limits())?;
    if request.workflow_id.is_empty() {
        if request.request_id.is_empty() {
            request.request_id = shared.ids.uuid();
        }
        let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
        ask::<()>(shared, call, id, run_id, Input::Unpause(request)).await?;
        return Ok(ws::UnpauseActivityExecutionResponse {});
    }
    let request = ws::UnpauseActivityRequest {
        namespace: request.namespace,
        execution: execution(request.workflow_id, request.run_id),
        activity: Some(unpause_activity_request::Activity::Id(request.activity_id)),
        jitter: request.jitter,
        identity: request.identity,
        ..Default::default()
    };
    unpause_activity(shared, call, request).await.map(|_| ws::UnpauseActivityExecutionResponse {})
}

pub(super) async fn reset_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::ResetActivityExecutionRequest,
) -> ServiceResult<ws::ResetActivityExecutionResponse> {
    require_served(&call, &request.workflow_id)?;
    check_names(&request.request_id, &request.activity_id, &request.identity, &request.run_id, call.limits())?;
    activity_options::jitter(request.jitter.as_mut(), call.limits())?;
    if request.workflow_id.is_empty() {
        if request.request_id.is_empty() {
            request.request_id = shared.ids.uuid();
        }
        let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
        ask::<()>(shared, call, id, run_id, Input::Reset(request)).await?;
        return Ok(ws::ResetActivityExecutionResponse {});
    }
    let request = ws::ResetActivityRequest {
        namespace: request.namespace,
        execution: execution(request.workflow_id, request.run_id),
        activity: Some(reset_activity_request::Activity::Id(request.activity_id)),
        reset_heartbeat: request.reset_heartbeat,
        keep_paused: request.keep_paused,
        jitter: request.jitter,
        restore_original_options: request.restore_original_options,
        identity: request.identity,
    };
    reset_activity(shared, call, request).await.map(|_| ws::ResetActivityExecutionResponse {})
}

pub(super) async fn update_activity_execution_options(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::UpdateActivityExecutionOptionsRequest,
) -> ServiceResult<ws::UpdateActivityExecutionOptionsResponse> {
    require_served(&call, &request.workflow_id)?;
    check_names(&request.request_id, &request.activity_id, &request.identity, &request.run_id, call.limits())?;
    activity_options::check_update(&mut request, call.limits())?;
    if request.workflow_id.is_empty() {
        let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
        let answer: Box<_> = ask(shared, call, id, run_id, Input::UpdateOptions(Box::new(request))).await?;
        return Ok(*answer);
    }
    let request = ws::UpdateActivityOptionsRequest {
        namespace: request.namespace,
        execution: execution(request.workflow_id, request.run_id),
        activity: Some(update_activity_options_request::Activity::Id(request.activity_id)),
        activity_options: request.activity_options,
        update_mask: request.update_mask,
        restore_original: request.restore_original,
        identity: request.identity,
    };
    let (workflow_id, _) = names_of(request.execution.as_ref());
    let key = BusinessKey::workflow(call.namespace_id(), workflow_id);
    let answer = shared.history.ask(&key, call.caller, Box::new(request), call.permit).await?;
    Ok(ws::UpdateActivityExecutionOptionsResponse { activity_options: answer.activity_options })
}

/// Without a workflow the activity is one of its own, which operators may touch where the namespace allows it.
fn require_served(call: &Call<()>, workflow_id: &str) -> ServiceResult<()> {
    if !workflow_id.is_empty() {
        return Ok(());
    }
    require_enabled(call)?;
    if call.limits().activity_operator_commands {
        return Ok(());
    }
    let text = "Standalone activity operator commands are disabled";
    Err(ServiceError::new(ErrorKind::Unimplemented, text))
}

fn names_of(execution: Option<&WorkflowExecution>) -> (&str, &str) {
    execution.map_or(("", ""), |execution| (&execution.workflow_id, &execution.run_id))
}

fn execution(workflow_id: String, run_id: String) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id, run_id })
}

fn key_of(call: &Call<()>, execution: Option<&WorkflowExecution>, names_activity: bool) -> ServiceResult<BusinessKey> {
    let (workflow_id, run_id) = names_of(execution);
    require_workflow_and_activity(workflow_id, names_activity)?;
    require_uuid(run_id)?;
    Ok(BusinessKey::workflow(call.namespace_id(), workflow_id))
}

fn require_workflow_and_activity(workflow_id: &str, names_activity: bool) -> ServiceResult<()> {
    if workflow_id.is_empty() {
        return Err(invalid("WorkflowId is not set on request."));
    }
    if !names_activity {
        return Err(invalid("Either Activity.Id or Activity.Type should be set on request."));
    }
    Ok(())
}

fn require_uuid(run_id: &str) -> ServiceResult<()> {
    if run_id.is_empty() || ids::is_uuid(run_id) { Ok(()) } else { Err(invalid("RunId is not valid UUID.")) }
}

/// The names in a request about one activity.
fn check_names(
    request_id: &str,
    activity_id: &str,
    identity: &str,
    run_id: &str,
    limits: &Limits,
) -> ServiceResult<()> {
    let within = |what: &str, name: &str| {
        let (length, max) = (name.len(), limits.id_length_max);
        if length > max {
            return Err(invalid(format!("{what} exceeds length limit. Length={length} Limit={max}")));
        }
        Ok(())
    };
    within("request ID", request_id)?;
    if activity_id.is_empty() {
        return Err(invalid("activity ID is required"));
    }
    within("activity ID", activity_id)?;
    within("identity", identity)?;
    if !run_id.is_empty() && !ids::is_uuid(run_id) {
        return Err(invalid("invalid run id: must be a valid UUID"));
    }
    Ok(())
}
