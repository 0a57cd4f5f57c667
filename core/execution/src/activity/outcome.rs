//! A worker, or somebody who knows the id, reports how an attempt went.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{
    api::{
        activity::activity_execution_outcome::Value,
        common::Payloads,
        enums::RetryState,
        failure::{CanceledFailureInfo, Failure, failure::FailureInfo},
    },
    records::ActivityStatus,
    tokens,
};

use super::{
    Answer, Reply,
    attempt::check_token,
    state::{ActivityState, status_name},
    step::Step,
};
use crate::{
    Env,
    workflow::calls::activity_outcome::{Outcome, Reporter},
};

/// Stands for the failure of a worker that gave none: an outcome always says what happened.
const NO_DETAILS: &str = "activity task failed without failure details";

/// Ends the activity, or arranges its next attempt.
pub(super) fn report(
    run: &ActivityState,
    token: &tokens::ActivityTask,
    outcome: &Outcome,
    reporter: &Reporter,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    let completes = matches!(outcome, Outcome::Completed { .. });
    check_token(run, token, completes)?;
    match outcome {
        Outcome::Completed { .. } if run.is_closed() => Err(invalid_transition(run)),
        Outcome::Completed { result } => Ok(complete(run, result.as_ref(), reporter, env)),
        Outcome::Failed { failure, last_heartbeat_details } => {
            Ok(fail(run, failure.as_deref(), last_heartbeat_details.as_ref(), reporter, env))
        }
        Outcome::Canceled { details } => {
            if run.status() != ActivityStatus::CancelRequested {
                let text = "unable to mark activity as canceled without activity being request canceled first";
                return Err(ServiceError::invalid_argument(text));
            }
            let mut step = Step::new(run, env);
            step.cancel(details.clone());
            Ok(step.finish(Reply::Done))
        }
    }
}

/// The refusal of what cannot happen to an activity that has ended.
pub(super) fn invalid_transition(run: &ActivityState) -> ServiceError {
    let text = format!("invalid transition from {}", status_name(run.status()));
    ServiceError::new(ErrorKind::FailedPrecondition, text)
}

fn complete(run: &ActivityState, result: Option<&Payloads>, reporter: &Reporter, env: &mut Env<'_>) -> Answer {
    let mut step = Step::new(run, env);
    let now = step.now().as_nanos();
    if !run.worker_has_it() {
        // Whoever completes it by its id is taken to have done it.
        step.state.record.last_started_time = now;
        if step.state.record.first_started_time == 0 {
            step.state.record.first_started_time = now;
        }
    }
    let attempt = step.attempt();
    attempt.last_attempt_complete_time = now;
    attempt.identity.clone_from(&reporter.identity);
    let result = result.cloned().unwrap_or_default();
    step.close(ActivityStatus::Completed, Value::Result(result), RetryState::Unspecified);
    step.finish(Reply::Done)
}

fn fail(
    run: &ActivityState,
    failure: Option<&Failure>,
    progress: Option<&Payloads>,
    reporter: &Reporter,
    env: &mut Env<'_>,
) -> Answer {
    let mut step = Step::new(run, env);
    if progress.is_some() {
        step.beat(progress);
    }
    let retry_state = step.retry(failure);
    if retry_state == RetryState::InProgress {
        return step.finish(Reply::Done);
    }
    let failure = failure.cloned().unwrap_or_else(|| Failure { message: NO_DETAILS.to_owned(), ..Default::default() });
    step.record_failure(Some(&failure), false);
    step.attempt().identity.clone_from(&reporter.identity);
    step.close(ActivityStatus::Failed, Value::Failure(failure), retry_state);
    step.finish(Reply::Done)
}

impl Step<'_, '_> {
    /// Ends the activity as cancelled.
    pub(super) fn cancel(&mut self, details: Option<Payloads>) {
        let identity = self.state.record.cancel_identity.clone();
        let failure = Failure {
            message: "Activity canceled".to_owned(),
            failure_info: Some(FailureInfo::CanceledFailureInfo(CanceledFailureInfo { details, identity })),
            ..Default::default()
        };
        self.close(ActivityStatus::Canceled, Value::Failure(failure), RetryState::Unspecified);
    }
}
