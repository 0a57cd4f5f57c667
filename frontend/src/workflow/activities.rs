//! What workers and others report about activities, by task token or by id. Payloads over the limit fail
//! the activity: the worker would only send them again.

use perdure_kernel::{BusinessKey, ServiceResult};
use perdure_proto::{
    api::{
        failure::{Failure, failure::FailureInfo},
        workflowservice as ws,
    },
    tokens,
};
use perdure_rpc::history::{ActivityOutcome, WithToken};

use super::standalone_activities::require_enabled;
use crate::{
    call::{Call, Shared},
    validate::{
        blobs::{self, server_failure},
        ids, invalid,
    },
};

type ByToken = Call<tokens::ActivityTask>;

const RESULT_TOO_LARGE: &str = "Complete result exceeds size limit.";
const CANCEL_DETAILS_TOO_LARGE: &str = "Cancel details exceed size limit.";
const HEARTBEAT_TOO_LARGE: &str = "Heartbeat details exceed size limit.";
/// Largest span of a protobuf duration, in seconds.
const PROTO_SECONDS_MAX: i64 = 315_576_000_000;

pub(super) async fn respond_activity_task_completed(
    shared: &Shared,
    call: ByToken,
    request: ws::RespondActivityTaskCompletedRequest,
) -> ServiceResult<ws::RespondActivityTaskCompletedResponse> {
    ids::identity(&request.identity, call.limits())?;
    let outcome = if blobs::too_large(request.result.as_ref(), call.limits()) {
        failed(request.identity, RESULT_TOO_LARGE)
    } else {
        ActivityOutcome::Completed(request)
    };
    report(shared, call, outcome).await?;
    Ok(ws::RespondActivityTaskCompletedResponse {})
}

pub(super) async fn respond_activity_task_completed_by_id(
    shared: &Shared,
    call: Call<()>,
    request: ws::RespondActivityTaskCompletedByIdRequest,
) -> ServiceResult<ws::RespondActivityTaskCompletedByIdResponse> {
    ids::identity(&request.identity, call.limits())?;
    let call = by_id(call, request.workflow_id, request.run_id, request.activity_id)?;
    let request = ws::RespondActivityTaskCompletedRequest {
        result: request.result,
        identity: request.identity,
        ..Default::default()
    };
    respond_activity_task_completed(shared, call, request).await?;
    Ok(ws::RespondActivityTaskCompletedByIdResponse {})
}

pub(super) async fn respond_activity_task_failed(
    shared: &Shared,
    call: ByToken,
    request: ws::RespondActivityTaskFailedRequest,
) -> ServiceResult<ws::RespondActivityTaskFailedResponse> {
    let is_application_failure =
        |failure: &Failure| matches!(failure.failure_info, Some(FailureInfo::ApplicationFailureInfo(_)));
    if request.failure.as_ref().is_some_and(|failure| !is_application_failure(failure)) {
        return Err(invalid("Failure must have ApplicationFailureInfo."));
    }
    let failures = fail(shared, call, request).await?;
    Ok(ws::RespondActivityTaskFailedResponse { failures })
}

pub(super) async fn respond_activity_task_failed_by_id(
    shared: &Shared,
    call: Call<()>,
    request: ws::RespondActivityTaskFailedByIdRequest,
) -> ServiceResult<ws::RespondActivityTaskFailedByIdResponse> {
    let call = by_id(call, request.workflow_id, request.run_id, request.activity_id)?;
    let request = ws::RespondActivityTaskFailedRequest {
        failure: request.failure,
        identity: request.identity,
        last_heartbeat_details: request.last_heartbeat_details,
        cause: request.cause,
        ..Default::default()
    };
    let failures = fail(shared, call, request).await?;
    Ok(ws::RespondActivityTaskFailedByIdResponse { failures })
}

/// Fails an attempt. Gives what was wrong with the report itself.
async fn fail(
    shared: &Shared,
    call: ByToken,
    mut request: ws::RespondActivityTaskFailedRequest,
) -> ServiceResult<Vec<Failure>> {
    check_retry_delays(request.failure.as_ref())?;
    ids::identity(&request.identity, call.limits())?;
    let mut failures = Vec::new();
    if blobs::too_large(request.last_heartbeat_details.as_ref(), call.limits()) {
        failures.push(server_failure(HEARTBEAT_TOO_LARGE));
        request.last_heartbeat_details = None;
    }
    if let Some(replacement) = blobs::replacement(request.failure.as_ref(), call.limits()) {
        failures.push(replacement.clone());
        request.failure = Some(replacement);
    }
    report(shared, call, ActivityOutcome::Failed(Box::new(request))).await?;
    Ok(failures)
}

pub(super) async fn respond_activity_task_canceled(
    shared: &Shared,
    call: ByToken,
    request: ws::RespondActivityTaskCanceledRequest,
) -> ServiceResult<ws::RespondActivityTaskCanceledResponse> {
    ids::identity(&request.identity, call.limits())?;
    let outcome = if blobs::too_large(request.details.as_ref(), call.limits()) {
        failed(request.identity, CANCEL_DETAILS_TOO_LARGE)
    } else {
        ActivityOutcome::Canceled(request)
    };
    report(shared, call, outcome).await?;
    Ok(ws::RespondActivityTaskCanceledResponse {})
}

pub(super) async fn respond_activity_task_canceled_by_id(
    shared: &Shared,
    call: Call<()>,
    request: ws::RespondActivityTaskCanceledByIdRequest,
) -> ServiceResult<ws::RespondActivityTaskCanceledByIdResponse> {
    let call = by_id(call, request.workflow_id, request.run_id, request.activity_id)?;
    let request = ws::RespondActivityTaskCanceledRequest {
        details: request.details,
        identity: request.identity,
        deployment_options: request.deployment_options,
        ..Default::default()
    };
    respond_activity_task_canceled(shared, call, request).await?;
    Ok(ws::RespondActivityTaskCanceledByIdResponse {})
}

pub(super) async fn record_activity_task_heartbeat(
    shared: &Shared,
    call: ByToken,
    request: ws::RecordActivityTaskHeartbeatRequest,
) -> ServiceResult<ws::RecordActivityTaskHeartbeatResponse> {
    if blobs::too_large(request.details.as_ref(), call.limits()) {
        report(shared, call, failed(request.identity, HEARTBEAT_TOO_LARGE)).await?;
        return Ok(ws::RecordActivityTaskHeartbeatResponse { cancel_requested: true, ..Default::default() });
    }
    let key = key_of(&call)?;
    let request = Box::new(WithToken { token: call.token, request });
    shared.history.ask(&key, call.caller, request, call.permit).await
}

pub(super) async fn record_activity_task_heartbeat_by_id(
    shared: &Shared,
    call: Call<()>,
    request: ws::RecordActivityTaskHeartbeatByIdRequest,
) -> ServiceResult<ws::RecordActivityTaskHeartbeatByIdResponse> {
    let call = by_id(call, request.workflow_id, request.run_id, request.activity_id)?;
    let request = ws::RecordActivityTaskHeartbeatRequest {
        details: request.details,
        identity: request.identity,
        ..Default::default()
    };
    let answer = record_activity_task_heartbeat(shared, call, request).await?;
    Ok(ws::RecordActivityTaskHeartbeatByIdResponse {
        cancel_requested: answer.cancel_requested,
        activity_paused: answer.activity_paused,
        activity_reset: answer.activity_reset,
    })
}

async fn report(shared: &Shared, call: ByToken, outcome: ActivityOutcome) -> ServiceResult<()> {
    let key = key_of(&call)?;
    let request = Box::new(WithToken { token: call.token, request: outcome });
    shared.history.ask(&key, call.caller, request, call.permit).await
}

fn key_of(call: &ByToken) -> ServiceResult<BusinessKey> {
    if is_standalone(&call.token) {
        require_enabled(call)?;
        return Ok(BusinessKey::activity(call.namespace_id(), &call.token.activity_id));
    }
    ids::workflow_and_run(&call.token.workflow_id, &call.token.run_id)?;
    Ok(BusinessKey::workflow(call.namespace_id(), &call.token.workflow_id))
}

/// Whether a token is of an activity without a workflow.
fn is_standalone(token: &tokens::ActivityTask) -> bool {
    token.workflow_id.is_empty() && !token.activity_id.is_empty()
}

/// Calls by id are calls by a token that names no scheduled event.
fn by_id(call: Call<()>, workflow_id: String, run_id: String, activity_id: String) -> ServiceResult<ByToken> {
    if activity_id.is_empty() {
        return Err(invalid("ActivityId is not set on request."));
    }
    if !workflow_id.is_empty() || !call.limits().standalone_activities {
        ids::workflow_and_run(&workflow_id, &run_id)?;
    }
    let token = tokens::ActivityTask {
        namespace_id: call.namespace_id().to_string(),
        workflow_id,
        run_id,
        activity_id,
        ..tokens::ActivityTask::default()
    };
    Ok(Call { caller: call.caller, now: call.now, token, permit: call.permit })
}

fn failed(identity: String, why: &str) -> ActivityOutcome {
    ActivityOutcome::Failed(Box::new(ws::RespondActivityTaskFailedRequest {
        identity,
        failure: Some(server_failure(why)),
        ..Default::default()
    }))
}

/// A retry delay must be a duration that protobuf allows, in the failure and in its causes.
fn check_retry_delays(failure: Option<&Failure>) -> ServiceResult<()> {
    let mut current = failure;
    while let Some(failure) = current {
        if let Some(FailureInfo::ApplicationFailureInfo(info)) = &failure.failure_info
            && let Some(delay) = &info.next_retry_delay
        {
            let mixed = delay.seconds.signum() * i64::from(delay.nanos.signum()) < 0;
            let reason = if delay.seconds.abs() > PROTO_SECONDS_MAX {
                "exceeds the range of about 10000 years"
            } else if delay.nanos.unsigned_abs() > 999_999_999 {
                "has out-of-range nanos"
            } else if mixed {
                "has seconds and nanos with different signs"
            } else {
                ""
            };
            if !reason.is_empty() {
                return Err(invalid(format!(
                    "NextRetryDelay is not a valid duration: duration (seconds:{} nanos:{}) {reason}",
                    delay.seconds, delay.nanos
                )));
            }
        }
        current = failure.cause.as_deref();
    }
    Ok(())
}
