//! Activities: schedule and request cancellation.

use perdure_kernel::time::span;
use perdure_proto::api::{
    command::{RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes},
    common::Payloads,
    enums::WorkflowTaskFailedCause,
    history::{
        ActivityTaskCancelRequestedEventAttributes, ActivityTaskCanceledEventAttributes, history_event::Attributes,
    },
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome, activity_options::scheduled_event};
use crate::workflow::{calls::terminate::json, draft::EventExtras};

/// Details of an activity that was cancelled before any worker had it.
const NOT_STARTED: &str = "ACTIVITY_ID_NOT_STARTED";

impl Commands<'_, '_, '_, '_> {
    pub(super) fn schedule_activity(
        &mut self,
        command: ScheduleActivityTaskCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        use WorkflowTaskFailedCause::{
            BadScheduleActivityAttributes, PendingActivitiesLimitExceeded, ScheduleActivityDuplicateId,
        };
        let eager = command.request_eager_execution && self.draft.env.limits().eager_activities;
        let run_timeout = span(self.draft.state.start.workflow_run_timeout.as_ref());
        let queue = self.draft.state.task_queue().to_owned();
        let mut event = scheduled_event(command, run_timeout, &queue, self.draft.env.limits())
            .map_err(|text| CommandFailure::fail(BadScheduleActivityAttributes, text))?;
        let size = event.input.as_ref().map_or(0, Message::encoded_len);
        self.require_blob(BadScheduleActivityAttributes, size, "ScheduleActivityTaskCommandAttributes.Input")?;
        let limit = self.draft.env.limits().pending_activities_max;
        if self.draft.state.activities.len() >= limit {
            let text = format!(
                "the number of pending activities, {}, has reached the per-workflow limit of {limit}",
                self.draft.state.activities.len()
            );
            return Err(CommandFailure::fail(PendingActivitiesLimitExceeded, text));
        }
        if self.draft.state.activity_ids.contains_key(&event.activity_id) {
            return Err(CommandFailure::fail(ScheduleActivityDuplicateId, ""));
        }
        event.workflow_task_completed_event_id = self.completed_event_id;
        let id = self.draft.schedule_activity(event, extras);
        if eager {
            self.eager_activities.push(id);
        } else {
            self.draft.dispatch_activity(id);
        }
        Ok(())
    }

    pub(super) fn cancel_activity(
        &mut self,
        command: &RequestCancelActivityTaskCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadRequestCancelActivityAttributes;
        let id = command.scheduled_event_id;
        if id <= 0 {
            return Err(CommandFailure::fail(
                cause,
                "ScheduledEventId is not set on RequestCancelActivityTaskCommand.",
            ));
        }
        let attempt = self.draft.state.attempt(id).cloned();
        // An end that the worker cannot have seen yet is no mistake of the worker.
        let known = attempt.is_some() || self.draft.ends_activity(id);
        if !known || attempt.as_ref().is_some_and(|attempt| attempt.cancel_requested) {
            let text = format!(
                "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: {id}"
            );
            return Err(CommandFailure::fail(cause, text));
        }
        let requested = ActivityTaskCancelRequestedEventAttributes {
            scheduled_event_id: id,
            workflow_task_completed_event_id: self.completed_event_id,
        };
        let requested = Attributes::ActivityTaskCancelRequestedEventAttributes(requested);
        let requested_event_id = self.draft.emit_with(requested, extras);
        // Already over: the request stands in the history and does nothing.
        let Some(attempt) = attempt else { return Ok(()) };
        if attempt.started_time == 0 {
            let canceled = ActivityTaskCanceledEventAttributes {
                details: Some(Payloads { payloads: vec![json(NOT_STARTED)] }),
                latest_cancel_requested_event_id: requested_event_id,
                scheduled_event_id: id,
                identity: self.request.identity.clone(),
                ..Default::default()
            };
            self.draft.emit(Attributes::ActivityTaskCanceledEventAttributes(canceled));
            self.wake = true;
        } else {
            let mut attempt = (*attempt).clone();
            attempt.cancel_requested = true;
            attempt.cancel_requested_event_id = requested_event_id;
            self.draft.set_attempt(id, attempt);
        }
        Ok(())
    }
}
