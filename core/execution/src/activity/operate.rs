//! An operator pauses, unpauses or resets an activity.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::workflowservice::{
        PauseActivityExecutionRequest, ResetActivityExecutionRequest, UnpauseActivityExecutionRequest,
    },
    records::ActivityStatus,
};

use super::{
    Answer, Reply,
    end::in_terminal_state,
    state::{ActivityState, status_name},
    step::Step,
};
use crate::{Env, archetype::Verdict};

/// The refusal of what the activity's state does not allow.
pub(super) fn refuse<T>(text: impl Into<std::borrow::Cow<'static, str>>) -> ServiceResult<T> {
    Err(ServiceError::new(ErrorKind::FailedPrecondition, text))
}

/// Whether a request was carried out before.
pub(super) fn repeated(request_id: &str, known: &str) -> bool {
    !request_id.is_empty() && request_id == known
}

/// No further attempt begins. One that a worker has goes on; the worker is told with its heartbeats.
pub(super) fn pause(
    run: &ActivityState,
    request: &PauseActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    if repeated(&request.request_id, &run.record.pause_request_id) {
        return Ok(Verdict::Reply(Reply::Done));
    }
    let mut step = Step::new(run, env);
    match run.status() {
        ActivityStatus::Scheduled => {
            step.state.record.set_status(ActivityStatus::Paused);
            let attempt = step.attempt();
            attempt.waits_for_retry = false;
            attempt.stamp += 1;
        }
        ActivityStatus::Started => step.state.record.set_status(ActivityStatus::PauseRequested),
        ActivityStatus::Unspecified
        | ActivityStatus::CancelRequested
        | ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut
        | ActivityStatus::Paused
        | ActivityStatus::PauseRequested
        | ActivityStatus::ResetRequested => {
            return refuse(format!("activity is in non-pausable state {}", status_name(run.status())));
        }
    }
    step.state.record.pause_request_id.clone_from(&request.request_id);
    Ok(step.finish(Reply::Done))
}

/// The end of a pause.
pub(super) fn unpause(
    run: &ActivityState,
    request: &UnpauseActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    if repeated(&request.request_id, &run.record.unpause_request_id) {
        return Ok(Verdict::Reply(Reply::Done));
    }
    if run.is_closed() {
        return refuse(in_terminal_state(run));
    }
    let mut step = Step::new(run, env);
    match run.status() {
        ActivityStatus::Paused => {
            let now = step.jittered(request.jitter.as_ref());
            let at = step.not_before_start(now).max(retry_due(run).unwrap_or(now));
            step.attempt().stamp += 1;
            step.dispatch_at(at);
        }
        ActivityStatus::PauseRequested => step.state.record.set_status(ActivityStatus::Started),
        ActivityStatus::Unspecified
        | ActivityStatus::Scheduled
        | ActivityStatus::Started
        | ActivityStatus::CancelRequested
        | ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut
        | ActivityStatus::ResetRequested => {
            return refuse(format!("activity is in non-unpausable state {}", status_name(run.status())));
        }
    }
    if !request.request_id.is_empty() {
        step.state.record.unpause_request_id.clone_from(&request.request_id);
    }
    Ok(step.finish(Reply::Done))
}

/// When the wait after the last failed attempt is over; `None` when there is none.
pub(super) fn retry_due(run: &ActivityState) -> Option<Timestamp> {
    let attempt = &run.attempt;
    let known = attempt.retry_interval > 0 && attempt.last_attempt_complete_time != 0;
    known.then(|| Timestamp::from_nanos(attempt.last_attempt_complete_time.saturating_add(attempt.retry_interval)))
}

/// Begins anew with the first attempt: at once, or when the worker that has one gives up.
pub(super) fn reset(
    run: &ActivityState,
    request: &ResetActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    if repeated(&request.request_id, &run.record.reset_request_id) {
        return Ok(Verdict::Reply(Reply::Done));
    }
    let mut step = Step::new(run, env);
    match run.status() {
        ActivityStatus::CancelRequested => return refuse("cannot reset an activity with a pending cancellation"),
        ActivityStatus::ResetRequested => return refuse("cannot reset an activity with a pending reset"),
        ActivityStatus::Started | ActivityStatus::PauseRequested => {
            let record = &mut step.state.record;
            record.reset_restores_options |= request.restore_original_options;
            record.reset_clears_heartbeat |= request.reset_heartbeat;
            record.reset_pauses = request.keep_paused && run.status() == ActivityStatus::PauseRequested;
            record.set_status(ActivityStatus::ResetRequested);
        }
        ActivityStatus::Paused | ActivityStatus::Scheduled => step.reset_now(request),
        ActivityStatus::Unspecified
        | ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut => return refuse("activity execution is not running"),
    }
    if !request.request_id.is_empty() {
        step.state.record.reset_request_id.clone_from(&request.request_id);
    }
    Ok(step.finish(Reply::Done))
}

impl Step<'_, '_> {
    fn reset_now(&mut self, request: &ResetActivityExecutionRequest) {
        if request.restore_original_options {
            self.restore_options();
        }
        self.first_attempt();
        if request.reset_heartbeat {
            self.clear_heartbeat();
        }
        if self.state.status() == ActivityStatus::Paused && request.keep_paused {
            return;
        }
        let at = self.jittered(request.jitter.as_ref());
        let at = self.not_before_start(at);
        self.dispatch_at(at);
    }
}
