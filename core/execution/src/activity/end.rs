//! A client ends an activity: by asking its worker, or at once.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{
    api::{
        activity::activity_execution_outcome::Value,
        common::Payloads,
        enums::RetryState,
        failure::{Failure, TerminatedFailureInfo, failure::FailureInfo},
        workflowservice::{RequestCancelActivityExecutionRequest, TerminateActivityExecutionRequest},
    },
    records::ActivityStatus,
};

use super::{
    Answer, Reply,
    outcome::invalid_transition,
    state::{ActivityState, status_name},
    step::Step,
};
use crate::{Env, archetype::Verdict, workflow::calls::terminate::json};

/// Asks the worker to give up. Without a worker it is over at once.
pub(super) fn request_cancel(
    run: &ActivityState,
    request: &RequestCancelActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    let known = &run.record.cancel_request_id;
    if !request.request_id.is_empty() && *known == request.request_id {
        return Ok(Verdict::Reply(Reply::Done));
    }
    let refuse = |text: String| Err(ServiceError::new(ErrorKind::FailedPrecondition, text));
    if run.is_closed() {
        return refuse(in_terminal_state(run));
    }
    if run.status() == ActivityStatus::CancelRequested {
        return refuse(format!("cancellation already requested with request ID {known}"));
    }
    let mut step = Step::new(run, env);
    let record = &mut step.state.record;
    record.set_status(ActivityStatus::CancelRequested);
    record.cancel_request_id.clone_from(&request.request_id);
    record.cancel_identity.clone_from(&request.identity);
    record.cancel_reason.clone_from(&request.reason);
    // Cancelling comes before a reset that waits for the worker.
    record.reset_restores_options = false;
    record.reset_clears_heartbeat = false;
    if !run.worker_has_it() {
        step.cancel(Some(Payloads { payloads: vec![json(&request.reason)] }));
    }
    Ok(step.finish(Reply::Done))
}

/// Ends it at once.
pub(super) fn terminate(
    run: &ActivityState,
    request: &TerminateActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    if run.status() == ActivityStatus::Terminated {
        let known = &run.record.terminate_request_id;
        if *known == request.request_id {
            return Ok(Verdict::Reply(Reply::Done));
        }
        let text = format!("already terminated with request ID {known}");
        return Err(ServiceError::new(ErrorKind::FailedPrecondition, text));
    }
    if run.is_closed() {
        return Err(invalid_transition(run));
    }
    let mut step = Step::new(run, env);
    step.state.record.terminate_request_id.clone_from(&request.request_id);
    let info = TerminatedFailureInfo { identity: request.identity.clone() };
    let failure = Failure {
        message: request.reason.clone(),
        failure_info: Some(FailureInfo::TerminatedFailureInfo(info)),
        ..Default::default()
    };
    step.close(ActivityStatus::Terminated, Value::Failure(failure), RetryState::Unspecified);
    Ok(step.finish(Reply::Done))
}

/// The text of refusals that need an activity that has not ended.
pub(super) fn in_terminal_state(run: &ActivityState) -> String {
    format!("activity is in terminal state {}", status_name(run.status()))
}
