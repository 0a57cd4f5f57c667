//! A worker reports how an activity went.

use std::sync::Arc;

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{
    api::{
        common::{Payloads, WorkerVersionStamp},
        enums::RetryState,
        failure::Failure,
        history::{
            ActivityTaskCanceledEventAttributes, ActivityTaskCompletedEventAttributes,
            ActivityTaskFailedEventAttributes, history_event::Attributes,
        },
    },
    records, tokens,
};

use super::require_open;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        draft::{Draft, EventExtras},
        task::Delivery,
    },
};

/// The outcome, free of how it was reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It succeeded.
    Completed {
        /// Its result.
        result: Option<Payloads>,
    },
    /// The attempt failed.
    Failed {
        /// How.
        failure: Option<Box<Failure>>,
        /// Progress to resume from.
        last_heartbeat_details: Option<Payloads>,
    },
    /// It confirmed its cancellation.
    Canceled {
        /// What it has to say.
        details: Option<Payloads>,
    },
}

/// Who reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reporter {
    /// The worker's identity.
    pub identity: String,
    /// Its build.
    pub worker_version: Option<WorkerVersionStamp>,
}

/// The open activity that a token names, by event id or, with event id 0, by activity id.
pub(crate) fn find(
    state: &WorkflowState,
    token: &tokens::ActivityTask,
) -> ServiceResult<(i64, Arc<records::ActivityAttempt>)> {
    require_open(state)?;
    let by_id = token.scheduled_event_id == 0;
    let id = if by_id {
        let found = state.activity_ids.get(&token.activity_id).copied();
        found.ok_or_else(|| {
            ServiceError::not_found(format!(
                "cannot find pending activity with ActivityID {}, check workflow execution history for more details",
                token.activity_id
            ))
        })?
    } else {
        token.scheduled_event_id
    };
    let attempt = state.attempt(id).filter(|attempt| by_id || attempt.attempt == token.attempt);
    attempt.map(|attempt| (id, Arc::clone(attempt))).ok_or_else(task_not_found)
}

/// The refusal of reports on an attempt that is over, or was never started.
pub(crate) fn task_not_found() -> ServiceError {
    ServiceError::not_found("invalid activityID or activity already timed out or invoking workflow is completed")
}

/// Ends the activity, or arranges its next attempt.
pub fn decide(
    state: &WorkflowState,
    token: &tokens::ActivityTask,
    outcome: Outcome,
    reporter: Reporter,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let (id, attempt) = find(state, token)?;
    let by_id = token.scheduled_event_id == 0;
    let started = attempt.started_time != 0;
    // Somebody who knows the activity by its id may complete it before any worker took it.
    let completes = matches!(outcome, Outcome::Completed { .. });
    let may_report = started || (by_id && completes);
    if !may_report {
        return Err(task_not_found());
    }
    let mut draft = Draft::new(state, env);
    match outcome {
        Outcome::Completed { result } => draft.complete_activity(id, result, reporter),
        Outcome::Failed { failure, last_heartbeat_details } => {
            if last_heartbeat_details.is_some() {
                let mut next = (*attempt).clone();
                next.heartbeat_details = last_heartbeat_details;
                next.last_heartbeat_time = draft.now().as_nanos();
                draft.set_attempt(id, next);
            }
            if draft.fail_activity(id, failure.map(|failure| *failure).unwrap_or_default(), reporter)
                == RetryState::InProgress
            {
                return Ok(Decision::change(draft.finish(Durability::BeforeReply), ()));
            }
        }
        Outcome::Canceled { details } => {
            if !attempt.cancel_requested {
                let text = "unable to mark activity as canceled without activity being request canceled first";
                return Err(ServiceError::invalid_argument(text));
            }
            draft.cancel_activity(id, &attempt, details, reporter);
        }
    }
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

impl Draft<'_, '_> {
    fn complete_activity(&mut self, id: i64, result: Option<Payloads>, reporter: Reporter) {
        self.start_if_waiting(id, &reporter);
        let started_event_id = self.write_activity_start(id, reporter.worker_version);
        let completed = ActivityTaskCompletedEventAttributes {
            result,
            scheduled_event_id: id,
            started_event_id,
            identity: reporter.identity,
            ..Default::default()
        };
        self.emit_or_buffer(Attributes::ActivityTaskCompletedEventAttributes(completed), EventExtras::default());
    }

    fn fail_activity(&mut self, id: i64, failure: Failure, reporter: Reporter) -> RetryState {
        let retry_state = self.retry_activity(id, &failure);
        if retry_state == RetryState::InProgress {
            return retry_state;
        }
        let started_event_id = self.write_activity_start(id, reporter.worker_version);
        let failed = ActivityTaskFailedEventAttributes {
            failure: Some(failure),
            scheduled_event_id: id,
            started_event_id,
            identity: reporter.identity,
            retry_state: retry_state.into(),
            ..Default::default()
        };
        self.emit_or_buffer(Attributes::ActivityTaskFailedEventAttributes(failed), EventExtras::default());
        retry_state
    }

    fn cancel_activity(
        &mut self,
        id: i64,
        attempt: &records::ActivityAttempt,
        details: Option<Payloads>,
        reporter: Reporter,
    ) {
        let started_event_id = self.write_activity_start(id, None);
        let canceled = ActivityTaskCanceledEventAttributes {
            details,
            latest_cancel_requested_event_id: attempt.cancel_requested_event_id,
            scheduled_event_id: id,
            started_event_id,
            identity: reporter.identity,
            ..Default::default()
        };
        self.emit_or_buffer(Attributes::ActivityTaskCanceledEventAttributes(canceled), EventExtras::default());
    }

    /// An activity that is completed before any worker took it is shown as started by whoever completes it.
    fn start_if_waiting(&mut self, id: i64, reporter: &Reporter) {
        let Some(attempt) = self.state.attempt(id).filter(|attempt| attempt.started_time == 0) else { return };
        let mut next = (**attempt).clone();
        next.started_time = self.now().as_nanos();
        next.identity.clone_from(&reporter.identity);
        next.waits_for_retry = false;
        self.set_attempt(id, next);
    }
}
