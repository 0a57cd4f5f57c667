//! User timers: start and cancel.

use perdure_proto::api::{
    command::{CancelTimerCommandAttributes, StartTimerCommandAttributes},
    enums::WorkflowTaskFailedCause,
    history::{TimerCanceledEventAttributes, TimerStartedEventAttributes, history_event::Attributes},
};

use super::{CommandFailure, Commands, Outcome, duration};
use crate::workflow::{apply::event_span, change::Change, draft::EventExtras};

impl Commands<'_, '_, '_, '_> {
    pub(super) fn start_timer(&mut self, command: StartTimerCommandAttributes, extras: EventExtras) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadStartTimerAttributes;
        let timer_id = command.timer_id;
        if timer_id.is_empty() {
            return Err(CommandFailure::fail(cause, "TimerId is not set on StartTimerCommand."));
        }
        self.require_length(cause, "TimerId", "StartTimerCommand", &timer_id)?;
        let max = self.draft.env.limits().duration_max;
        let timeout = duration(command.start_to_fire_timeout.as_ref(), max).map_err(|why| {
            let text = format!("An invalid StartToFireTimeout is set on StartTimerCommand: {why}. TimerId={timer_id}");
            CommandFailure::fail(cause, text)
        })?;
        if self.draft.state.timer_ids.contains_key(&timer_id) {
            return Err(CommandFailure::fail(WorkflowTaskFailedCause::StartTimerDuplicateId, ""));
        }
        let attributes = TimerStartedEventAttributes {
            timer_id,
            start_to_fire_timeout: event_span(timeout),
            workflow_task_completed_event_id: self.completed_event_id,
        };
        self.draft.emit_with(Attributes::TimerStartedEventAttributes(attributes), extras);
        Ok(())
    }

    pub(super) fn cancel_timer(&mut self, command: CancelTimerCommandAttributes, extras: EventExtras) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadCancelTimerAttributes;
        let timer_id = command.timer_id;
        if timer_id.is_empty() {
            return Err(CommandFailure::fail(cause, "TimerId is not set on CancelTimerCommand."));
        }
        self.require_length(cause, "TimerId", "CancelTimerCommand", &timer_id)?;
        let Some(started_event_id) = self.started_event_of(&timer_id) else {
            return Err(CommandFailure::fail(cause, format!("timer with ID {timer_id} is not pending")));
        };
        let attributes = TimerCanceledEventAttributes {
            timer_id,
            started_event_id,
            workflow_task_completed_event_id: self.completed_event_id,
            identity: self.request.identity.clone(),
        };
        self.draft.emit_with(Attributes::TimerCanceledEventAttributes(attributes), extras);
        Ok(())
    }

    /// The timer's started event: of a pending timer, or of one that fired while the worker was deciding.
    /// In the second case the worker's decision wins and the waiting fired event is taken back.
    fn started_event_of(&mut self, timer_id: &str) -> Option<i64> {
        if let Some(id) = self.draft.state.timer_ids.get(timer_id) {
            return Some(*id);
        }
        let buffered = self.draft.state.volatile.buffered.clone();
        let fired = buffered.iter().find_map(|waiting| match waiting.event.as_ref()?.attributes.as_ref()? {
            Attributes::TimerFiredEventAttributes(fired) if fired.timer_id == timer_id => {
                Some((waiting.id, fired.started_event_id))
            }
            _ => None,
        })?;
        self.draft.change(Change::ClearBuffer(vec![fired.0]));
        self.had_buffered = !self.draft.state.volatile.buffered.is_empty();
        Some(fired.1)
    }
}
