//! Signals to other workflows.

use perdure_proto::{
    api::{
        command::SignalExternalWorkflowExecutionCommandAttributes,
        enums::WorkflowTaskFailedCause,
        history::{SignalExternalWorkflowExecutionInitiatedEventAttributes, history_event::Attributes},
    },
    records,
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome, external_cancel::is_uuid};
use crate::workflow::{change::NewTask, draft::EventExtras};

const CAUSE: WorkflowTaskFailedCause = WorkflowTaskFailedCause::BadSignalWorkflowExecutionAttributes;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn signal_external(
        &mut self,
        command: SignalExternalWorkflowExecutionCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let refused = |text: String| Err(CommandFailure::fail(CAUSE, text));
        let target = self.target_namespace(CAUSE, &command.namespace);
        let Some(execution) = &command.execution else {
            target?;
            return refused("Execution is not set on SignalExternalWorkflowExecutionCommand.".to_owned());
        };
        let target = target?;
        let limits = self.draft.env.limits();
        let max = limits.id_length_max;
        let (id, run, name, namespace) =
            (&execution.workflow_id, &execution.run_id, &command.signal_name, &command.namespace);
        let what = "SignalExternalWorkflowExecutionCommand";
        if id.is_empty() {
            return refused(format!(
                "WorkflowId is not set on {what}. Namespace={namespace} RunId={run} SignalName={name}"
            ));
        }
        if namespace.len() > max {
            return refused(format!(
                "Namespace on {what} exceeds length limit. WorkflowId={id} Namespace={namespace} Length={} Limit={max} RunId={run} SignalName={name}",
                namespace.len()
            ));
        }
        if id.len() > max {
            return refused(format!(
                "WorkflowId on {what} exceeds length limit. WorkflowId={id} Length={} Limit={max} Namespace={namespace} RunId={run} SignalName={name}",
                id.len()
            ));
        }
        if !run.is_empty() && !is_uuid(run) {
            return refused(format!(
                "Invalid RunId set on {what}. WorkflowId={id} Namespace={namespace} RunId={run} SignalName={name}"
            ));
        }
        if name.is_empty() {
            return refused(format!(
                "SignalName is not set on {what}. WorkflowId={id} Namespace={namespace} RunId={run}"
            ));
        }
        self.require_room(
            WorkflowTaskFailedCause::PendingSignalsLimitExceeded,
            "pending signals to external workflows",
            self.draft.state.external_signals.len(),
            limits.pending_external_signals_max,
        )?;
        let size = command.input.as_ref().map_or(0, Message::encoded_len);
        self.require_blob(CAUSE, size, "SignalExternalWorkflowExecutionCommandAttributes.Input")?;
        let own = &self.draft.env.namespace.id;
        let attributes = SignalExternalWorkflowExecutionInitiatedEventAttributes {
            workflow_task_completed_event_id: self.completed_event_id,
            namespace: command.namespace,
            namespace_id: target.map_or_else(|| own.to_string(), |target| target.id.to_string()),
            workflow_execution: command.execution,
            signal_name: command.signal_name,
            input: command.input,
            control: command.control,
            child_workflow_only: command.child_workflow_only,
            header: command.header,
        };
        let attributes = Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(attributes);
        let initiated_event_id = self.draft.emit_with(attributes, extras);
        self.draft.tasks.push(NewTask::SignalExternal(records::SignalExternal { initiated_event_id }));
        Ok(())
    }
}
