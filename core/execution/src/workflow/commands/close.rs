//! Commands that close the run: complete, fail, cancel.

use perdure_proto::api::{
    command::{
        CancelWorkflowExecutionCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes,
    },
    enums::WorkflowTaskFailedCause,
    history::{WorkflowExecutionCanceledEventAttributes, history_event::Attributes},
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::draft::EventExtras;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn complete(
        &mut self,
        command: CompleteWorkflowExecutionCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        self.require_all_seen()?;
        let size = command.result.as_ref().map_or(0, Message::encoded_len);
        // Not a slip here: Temporal records this cause for an oversize result, and clients can see it.
        let cause = WorkflowTaskFailedCause::BadScheduleActivityAttributes;
        self.require_blob(cause, size, "CompleteWorkflowExecutionCommandAttributes.Result")?;
        self.draft.complete(command.result, self.completed_event_id, extras);
        Ok(())
    }

    pub(super) fn fail(&mut self, command: FailWorkflowExecutionCommandAttributes, extras: EventExtras) -> Outcome {
        self.require_all_seen()?;
        let cause = WorkflowTaskFailedCause::BadFailWorkflowExecutionAttributes;
        let Some(failure) = command.failure else {
            return Err(CommandFailure::fail(cause, "Failure is not set on FailWorkflowExecutionCommand."));
        };
        self.require_blob(cause, failure.encoded_len(), "FailWorkflowExecutionCommandAttributes.Failure")?;
        self.draft.fail(Some(failure), self.completed_event_id, extras);
        Ok(())
    }

    pub(super) fn cancel(&mut self, command: CancelWorkflowExecutionCommandAttributes, extras: EventExtras) -> Outcome {
        self.require_all_seen()?;
        let attributes = WorkflowExecutionCanceledEventAttributes {
            workflow_task_completed_event_id: self.completed_event_id,
            details: command.details,
        };
        self.draft.close_by_command(Attributes::WorkflowExecutionCanceledEventAttributes(attributes), extras);
        Ok(())
    }

    /// A workflow may not close over events that it has not seen: the worker is asked again with them.
    pub(super) fn require_all_seen(&self) -> Outcome {
        if self.had_buffered {
            return Err(CommandFailure::fail(WorkflowTaskFailedCause::UnhandledCommand, ""));
        }
        Ok(())
    }
}
