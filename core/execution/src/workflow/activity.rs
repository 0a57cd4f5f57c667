//! Activities of a workflow: attempts, retries, timeouts, ends.
//!
//! A started attempt writes nothing: its started event joins the history together with the event that
//! ends the activity. Until then an attempt lives in the run's volatile state.

use perdure_kernel::{
    Timestamp,
    retry_policy::{RetryDecision, RetryQuestion, RetrySubject, next_retry, refusal},
    time::span,
};
use perdure_proto::{
    api::{
        common::WorkerVersionStamp,
        enums::{RetryState, TimeoutType},
        failure::{Failure, failure::FailureInfo},
        history::{
            ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
            ActivityTaskTimedOutEventAttributes, history_event::Attributes,
        },
        workflowservice::RespondWorkflowTaskCompletedRequest,
    },
    records,
};

use super::{
    activity_control::{forget_reset, leave_attempt, with_matching},
    change::NewTask,
    deadline::ActivityTimeout,
    draft::{Draft, EventExtras},
    options::merge_priority,
    options_in_force::in_force,
    task::{as_nanos, nanos},
};
use crate::failures::{NO_TIME_FOR_RETRY, bounded, timeout};

/// Request id of an attempt that the worker gets in the answer to its workflow task.
const EAGER_REQUEST_ID: &str = "eager-activity-start";

impl Draft<'_, '_> {
    /// Schedules an activity. Returns the id of its scheduled event; its first attempt is still to be handed out.
    pub(crate) fn schedule_activity(
        &mut self,
        event: ActivityTaskScheduledEventAttributes,
        extras: EventExtras,
    ) -> i64 {
        let id = self.emit_with(Attributes::ActivityTaskScheduledEventAttributes(event), extras);
        let scheduled_time = self.now().as_nanos();
        self.set_attempt(id, records::ActivityAttempt { attempt: 1, scheduled_time, ..Default::default() });
        id
    }

    /// Starts a fresh activity for the worker that asked for it with its workflow task's outcome. Returns
    /// whether there still is something to start.
    pub(crate) fn start_eagerly(&mut self, id: i64, worker: &RespondWorkflowTaskCompletedRequest) -> bool {
        let open = self.state.is_open() && !self.state.is_paused();
        let Some(attempt) = self.state.attempt(id).filter(|_| open) else { return false };
        let mut attempt = (**attempt).clone();
        attempt.started_time = self.now().as_nanos();
        attempt.request_id = EAGER_REQUEST_ID.to_owned();
        attempt.identity.clone_from(&worker.identity);
        self.set_attempt(id, attempt);
        true
    }

    /// Hands the present attempt to matching, unless the run is paused: the end of the pause does it then.
    pub(crate) fn dispatch_activity(&mut self, id: i64) {
        if self.state.is_paused() {
            return;
        }
        let (Some(activity), Some(attempt)) = (self.state.activities.get(&id), self.state.attempt(id)) else { return };
        let options = in_force(activity, attempt);
        let priority = merge_priority(self.state.priority(), options.priority);
        self.tasks.push(NewTask::Activity(records::DispatchActivityTask {
            scheduled_event_id: id,
            stamp: attempt.stamp,
            attempt: attempt.attempt,
            task_queue: options.task_queue.to_owned(),
            schedule_to_start: as_nanos(span(options.schedule_to_start)),
            priority,
        }));
    }

    /// Voids what matching has of the present attempt, if a worker could still take it. Says whether one could.
    pub(crate) fn void_dispatch(&mut self, id: i64) -> bool {
        let attempt = self.state.attempt(id).filter(|attempt| with_matching(attempt));
        let Some(mut attempt) = attempt.map(|attempt| (**attempt).clone()) else { return false };
        attempt.stamp += 1;
        self.set_attempt(id, attempt);
        true
    }

    /// Hands the present attempt to matching once more, if no worker has it yet; the one sent before is void.
    pub(crate) fn resend_activity(&mut self, id: i64) {
        if !self.state.is_paused() && self.void_dispatch(id) {
            self.dispatch_activity(id);
        }
    }

    /// A retry's backoff is over.
    pub(crate) fn dispatch_retry(&mut self, id: i64) {
        let Some(attempt) = self.state.attempt(id) else { return };
        let mut attempt = (**attempt).clone();
        attempt.waits_for_retry = false;
        self.set_attempt(id, attempt);
        self.dispatch_unless_ruled_out(id);
    }

    /// Decides whether the attempt that just failed is followed by another one, and if so arranges it.
    /// Anything but `InProgress` leaves the activity for the caller to end.
    pub(crate) fn retry_activity(&mut self, id: i64, failure: &Failure) -> RetryState {
        let (Some(activity), Some(attempt)) = (self.state.activities.get(&id), self.state.attempt(id)) else {
            return RetryState::InternalServerError;
        };
        let Some(original) = &activity.attributes else { return RetryState::InternalServerError };
        // As scheduled: a changed timeout ends the activity at its time, but does not keep attempts from beginning.
        let to_close = span(original.schedule_to_close_timeout.as_ref());
        let first_scheduled = Timestamp::from_nanos(activity.scheduled_time);
        let question = RetryQuestion {
            subject: RetrySubject::Activity { cancel_requested: attempt.cancel_requested },
            policy: in_force(activity, attempt).retry_policy,
            attempt: attempt.attempt,
            now: self.now(),
            expiration: (!to_close.is_zero()).then(|| first_scheduled + to_close),
            failure: Some(failure),
        };
        let decision = next_retry(&question);
        let paused = attempt.pause.is_some();
        if paused || !self.env.namespace.workflow_rules.is_empty() {
            if let Some(state) = refusal(&question) {
                return state;
            }
            if paused || self.pause_by_rule(id) {
                return self.hold_activity(id, failure);
            }
        }
        let Some(attempt) = self.state.attempt(id) else { return RetryState::InternalServerError };
        let interval = match decision {
            RetryDecision::Stop(state) => return state,
            RetryDecision::Retry { interval } => interval,
        };
        let mut next = (**attempt).clone();
        next.attempt += 1;
        next.scheduled_time = (self.now() + interval).as_nanos();
        next.last_attempt_complete_time = self.now().as_nanos();
        next.retry_interval = as_nanos(interval);
        next.last_failure = Some(self.bounded_failure(failure));
        leave_attempt(&mut next);
        forget_reset(&mut next);
        next.waits_for_retry = true;
        self.set_attempt(id, next);
        RetryState::InProgress
    }

    /// The attempt of a paused activity failed: the next one waits for the end of the pause.
    fn hold_activity(&mut self, id: i64, failure: &Failure) -> RetryState {
        let Some(attempt) = self.state.attempt(id) else { return RetryState::InternalServerError };
        let mut next = (**attempt).clone();
        next.attempt += 1;
        next.last_attempt_complete_time = self.now().as_nanos();
        next.last_failure = Some(self.bounded_failure(failure));
        leave_attempt(&mut next);
        self.set_attempt(id, next);
        RetryState::InProgress
    }

    /// A failure that is kept with the run must be small: it is rewritten with every attempt.
    fn bounded_failure(&self, failure: &Failure) -> Failure {
        bounded(failure, self.env.limits().activity_failure_size_max)
    }

    /// Writes the started event of an attempt that ends now. Returns its id for the event that ends the
    /// activity; 0 when the attempt was not started.
    pub(crate) fn write_activity_start(&mut self, id: i64, worker_version: Option<WorkerVersionStamp>) -> i64 {
        let Some(attempt) = self.state.attempt(id).cloned() else { return 0 };
        if attempt.started_time == 0 {
            return 0;
        }
        let started = ActivityTaskStartedEventAttributes {
            scheduled_event_id: id,
            identity: attempt.identity.clone(),
            request_id: attempt.request_id.clone(),
            attempt: attempt.attempt,
            last_failure: attempt.last_failure.clone(),
            worker_version,
            ..Default::default()
        };
        let time = Some(Timestamp::from_nanos(attempt.started_time));
        let extras = EventExtras { time, ..EventExtras::default() };
        // While events wait, ids are not given yet: the flush links the two events.
        self.emit_or_buffer(Attributes::ActivityTaskStartedEventAttributes(started), extras)
    }

    /// One of an activity's four times is over. Returns whether the workflow must hear of it.
    pub(crate) fn time_out_activity(&mut self, id: i64, timeout: ActivityTimeout) -> bool {
        let Some(attempt) = self.state.attempt(id).cloned() else { return false };
        let kind = timeout.timeout_type();
        let mut failure = timeout_failure(&format!("activity {kind:?} timeout"), kind);
        let retry_state = self.retry_activity(id, &failure);
        if retry_state == RetryState::InProgress {
            return false;
        }
        if retry_state == RetryState::Timeout && timeout != ActivityTimeout::ScheduleToStart {
            // There is no time left for another attempt: that is what the workflow is told.
            failure = timeout_failure(NO_TIME_FOR_RETRY, TimeoutType::ScheduleToClose);
        }
        if let Some(FailureInfo::TimeoutFailureInfo(info)) = &mut failure.failure_info {
            info.last_heartbeat_details.clone_from(&attempt.heartbeat_details);
        }
        failure.cause = attempt.last_failure.clone().map(Box::new);
        let started_event_id = self.write_activity_start(id, None);
        let timed_out = ActivityTaskTimedOutEventAttributes {
            failure: Some(failure),
            scheduled_event_id: id,
            started_event_id,
            retry_state: retry_state.into(),
        };
        self.emit_or_buffer(Attributes::ActivityTaskTimedOutEventAttributes(timed_out), EventExtras::default());
        true
    }
}

fn timeout_failure(message: &str, kind: TimeoutType) -> Failure {
    Failure { source: "Server".to_owned(), ..timeout(message, kind) }
}

/// When an attempt is handed out next, for describe: only while it waits for its backoff.
pub(crate) fn next_attempt_at(attempt: &records::ActivityAttempt) -> Option<Timestamp> {
    attempt.waits_for_retry.then(|| Timestamp::from_nanos(attempt.scheduled_time))
}

/// The wait before it, for describe.
pub(crate) fn current_retry_interval(attempt: &records::ActivityAttempt) -> Option<std::time::Duration> {
    attempt.waits_for_retry.then(|| nanos(attempt.retry_interval))
}
