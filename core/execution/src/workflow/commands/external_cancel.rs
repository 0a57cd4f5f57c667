//! Requests to cancel other workflows.

use perdure_proto::{
    api::{
        command::RequestCancelExternalWorkflowExecutionCommandAttributes,
        common::WorkflowExecution,
        enums::WorkflowTaskFailedCause,
        history::{RequestCancelExternalWorkflowExecutionInitiatedEventAttributes, history_event::Attributes},
    },
    records,
};

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::{change::NewTask, draft::EventExtras};

const CAUSE: WorkflowTaskFailedCause = WorkflowTaskFailedCause::BadRequestCancelExternalWorkflowExecutionAttributes;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn cancel_external(
        &mut self,
        command: RequestCancelExternalWorkflowExecutionCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let refused = |text: String| Err(CommandFailure::fail(CAUSE, text));
        let target = self.target_namespace(CAUSE, &command.namespace)?;
        let limits = self.draft.env.limits();
        let max = limits.id_length_max;
        let (id, run, namespace) = (&command.workflow_id, &command.run_id, &command.namespace);
        let what = "RequestCancelExternalWorkflowExecutionCommand";
        if id.is_empty() {
            return refused(format!("WorkflowId is not set on {what}. Namespace={namespace} RunId={run}"));
        }
        if namespace.len() > max {
            return refused(format!(
                "Namespace on {what} exceeds length limit. WorkflowId={id} RunId={run} Namespace={namespace} Length={} Limit={max}",
                namespace.len()
            ));
        }
        if id.len() > max {
            return refused(format!(
                "WorkflowId on {what} exceeds length limit. WorkflowId={id} Length={} Limit={max} RunId={run} Namespace={namespace}",
                id.len()
            ));
        }
        if !run.is_empty() && !is_uuid(run) {
            return refused(format!("Invalid RunId set on {what}. WorkflowId={id} RunId={run} Namespace={namespace}"));
        }
        let mut fresh = self.draft.state.children.range(self.completed_event_id..);
        if fresh.any(|(_, child)| child.workflow_id == *id) {
            return refused(format!(
                "Start and RequestCancel for child workflow is not allowed in same workflow task. WorkflowId={id} RunId={run} Namespace={namespace}"
            ));
        }
        self.require_room(
            WorkflowTaskFailedCause::PendingRequestCancelLimitExceeded,
            "pending requests to cancel external workflows",
            self.draft.state.external_cancels.len(),
            limits.pending_external_cancels_max,
        )?;
        let own = &self.draft.env.namespace.id;
        let attributes = RequestCancelExternalWorkflowExecutionInitiatedEventAttributes {
            workflow_task_completed_event_id: self.completed_event_id,
            namespace: command.namespace,
            namespace_id: target.map_or_else(|| own.to_string(), |target| target.id.to_string()),
            workflow_execution: Some(WorkflowExecution { workflow_id: command.workflow_id, run_id: command.run_id }),
            control: command.control,
            child_workflow_only: command.child_workflow_only,
            reason: command.reason,
        };
        let attributes = Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(attributes);
        let initiated_event_id = self.draft.emit_with(attributes, extras);
        self.draft.tasks.push(NewTask::CancelExternal(records::CancelExternal { initiated_event_id }));
        Ok(())
    }
}

/// Whether a text is a UUID as run ids are written.
pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    let fits =
        |(part, length): (&&str, usize)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == lengths.len() && parts.iter().zip(lengths).all(fits)
}
