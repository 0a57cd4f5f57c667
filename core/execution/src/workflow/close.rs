//! The end of a run.

use std::time::Duration;

use perdure_kernel::{
    Timestamp,
    cron::{CronSchedule, cron_backoff},
    retry_policy::{RetryDecision, RetryQuestion, RetrySubject, next_retry},
};
use perdure_proto::api::{
    common::{Link, Payloads},
    enums::{ContinueAsNewInitiator, RetryState, TimeoutType, WorkflowTaskFailedCause},
    failure::{Failure, TimeoutFailureInfo, failure::FailureInfo},
    history::{
        WorkflowExecutionCompletedEventAttributes, WorkflowExecutionFailedEventAttributes,
        WorkflowExecutionTerminatedEventAttributes, WorkflowExecutionTimedOutEventAttributes,
        history_event::Attributes,
    },
};

use super::{
    draft::{Draft, EventExtras},
    start::Successor,
    task::TaskFailure,
};

/// Who ends a run on the server's own behalf.
pub(crate) const SERVER_IDENTITY: &str = "history-service";

impl Draft<'_, '_> {
    /// Ends the run and tells its parent and children.
    fn close(&mut self, attributes: Attributes, extras: EventExtras) {
        self.end(attributes, extras);
        self.tell_family();
    }

    /// Writes the closing event and gives up what the run waited for. Nobody is told.
    fn end(&mut self, attributes: Attributes, extras: EventExtras) {
        self.state.volatile.run.task = None;
        self.clear_sticky();
        self.state.volatile.run.first_task_at = 0;
        self.trigger_callbacks(&attributes);
        self.emit_with(attributes, extras);
        self.drop_buffer();
        self.schedule_deletion();
    }

    /// Closes the run with an event that a command asked for.
    pub(crate) fn close_by_command(&mut self, attributes: Attributes, extras: EventExtras) {
        self.close(attributes, extras);
    }

    /// Ends the run at once. Nothing follows it: no retry, no cron.
    pub(crate) fn terminate(&mut self, reason: &str, details: Option<Payloads>, identity: &str, links: Vec<Link>) {
        self.end_task_before_close();
        let attributes = WorkflowExecutionTerminatedEventAttributes {
            reason: reason.to_owned(),
            details,
            identity: identity.to_owned(),
        };
        let extras = EventExtras { links, ..Default::default() };
        self.close(Attributes::WorkflowExecutionTerminatedEventAttributes(attributes), extras);
    }

    /// Completes the run; a cron schedule starts the next one.
    pub(crate) fn complete(&mut self, result: Option<Payloads>, task_completed_event_id: i64, extras: EventExtras) {
        let next = self.cron_successor(result.clone(), None);
        let attributes = WorkflowExecutionCompletedEventAttributes {
            result,
            workflow_task_completed_event_id: task_completed_event_id,
            new_execution_run_id: next.as_ref().map(|next| next.run_id.clone()).unwrap_or_default(),
        };
        self.close_and_continue(Attributes::WorkflowExecutionCompletedEventAttributes(attributes), extras, next);
    }

    /// Fails the run; a retry policy or else a cron schedule starts the next one.
    pub(crate) fn fail(&mut self, failure: Option<Failure>, task_completed_event_id: i64, extras: EventExtras) {
        let (retry_state, next) = self.successor_after(failure.clone(), None);
        let attributes = WorkflowExecutionFailedEventAttributes {
            failure,
            retry_state: retry_state.into(),
            workflow_task_completed_event_id: task_completed_event_id,
            new_execution_run_id: next.as_ref().map(|next| next.run_id.clone()).unwrap_or_default(),
        };
        self.close_and_continue(Attributes::WorkflowExecutionFailedEventAttributes(attributes), extras, next);
    }

    /// The run's time is over; a retry policy or else a cron schedule starts the next one while there is
    /// time left for the execution.
    pub(crate) fn time_out(&mut self) {
        self.end_task_before_close();
        let failure = Failure {
            message: "workflow timeout".to_owned(),
            source: "Server".to_owned(),
            failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
                timeout_type: TimeoutType::StartToClose.into(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let last_result = self.state.start.last_completion_result.clone();
        let (retry_state, next) = if self.execution_expired() {
            (RetryState::Timeout, None)
        } else {
            self.successor_after(Some(failure), last_result)
        };
        let attributes = WorkflowExecutionTimedOutEventAttributes {
            retry_state: retry_state.into(),
            new_execution_run_id: next.as_ref().map(|next| next.run_id.clone()).unwrap_or_default(),
        };
        let attributes = Attributes::WorkflowExecutionTimedOutEventAttributes(attributes);
        self.close_and_continue(attributes, EventExtras::default(), next);
    }

    fn close_and_continue(&mut self, attributes: Attributes, extras: EventExtras, next: Option<Successor>) {
        self.close(attributes, extras);
        if let Some(next) = next {
            let start = (*self.state.start).clone();
            self.continue_chain(start, next);
        }
    }

    /// A workflow task that a worker has fails with the run, and waiting events are part of what happened
    /// before the end.
    fn end_task_before_close(&mut self) {
        if self.state.started_task().is_some() {
            self.fail_task(TaskFailure::by_server(WorkflowTaskFailedCause::ForceCloseCommand));
        }
        self.flush_buffer();
    }

    /// The run that follows a failure: by retry, else by cron.
    fn successor_after(
        &mut self,
        failure: Option<Failure>,
        result: Option<Payloads>,
    ) -> (RetryState, Option<Successor>) {
        let expires = Timestamp::from_nanos(self.state.record.execution_expires_at);
        let start = self.state.start.clone();
        let decision = next_retry(&RetryQuestion {
            subject: RetrySubject::WorkflowRun,
            policy: start.retry_policy.as_ref(),
            attempt: start.attempt,
            now: self.now(),
            expiration: Some(expires),
            failure: failure.as_ref(),
        });
        match decision {
            RetryDecision::Retry { interval } => {
                let next = Successor {
                    run_id: self.env.random.uuid(),
                    initiator: ContinueAsNewInitiator::Retry,
                    attempt: start.attempt + 1,
                    backoff: interval,
                    last_completion_result: result,
                    continued_failure: failure,
                };
                (RetryState::InProgress, Some(next))
            }
            RetryDecision::Stop(state) => {
                let last_result = start.last_completion_result.clone();
                (state, self.cron_successor(last_result, failure))
            }
        }
    }

    /// The run that a cron schedule starts next, unless the execution's time is over by then.
    fn cron_successor(&mut self, result: Option<Payloads>, failure: Option<Failure>) -> Option<Successor> {
        let backoff = self.cron_wait()?;
        Some(Successor {
            run_id: self.env.random.uuid(),
            initiator: ContinueAsNewInitiator::CronSchedule,
            attempt: 1,
            backoff,
            last_completion_result: result,
            continued_failure: failure,
        })
    }

    /// How long the next run of a cron chain waits; `None` without a schedule.
    fn cron_wait(&self) -> Option<Duration> {
        let spec = &self.state.start.cron_schedule;
        if spec.is_empty() || self.execution_expired() {
            return None;
        }
        let schedule = CronSchedule::parse(spec).ok()?;
        cron_backoff(&schedule, self.execution_time(), self.now())
    }

    fn execution_expired(&self) -> bool {
        let expires = Timestamp::from_nanos(self.state.record.execution_expires_at);
        !expires.is_unset() && self.now() >= expires
    }
}
