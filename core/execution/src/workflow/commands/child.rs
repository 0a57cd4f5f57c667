//! Children: start.

use perdure_proto::{
    api::{
        command::StartChildWorkflowExecutionCommandAttributes,
        enums::{ParentClosePolicy, WorkflowIdReusePolicy, WorkflowTaskFailedCause},
        history::{StartChildWorkflowExecutionInitiatedEventAttributes, history_event::Attributes},
    },
    records,
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome, child_options::fill_and_validate};
use crate::workflow::{change::NewTask, draft::EventExtras, state::is_null};

pub(super) const CAUSE: WorkflowTaskFailedCause = WorkflowTaskFailedCause::BadStartChildExecutionAttributes;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn start_child(
        &mut self,
        mut command: StartChildWorkflowExecutionCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let own = self.draft.env.namespace;
        let target = self.target_namespace(CAUSE, &command.namespace)?;
        let target = target.as_deref().unwrap_or(own);
        if command.namespace.is_empty() {
            command.namespace.clone_from(&own.name);
        }
        perdure_kernel::search_attributes::check_names(command.search_attributes.as_ref(), target).map_err(
            |error| CommandFailure::fail(WorkflowTaskFailedCause::BadSearchAttributes, error.message.into_owned()),
        )?;
        let parent_queue = self.draft.state.task_queue();
        fill_and_validate(&mut command, target, parent_queue, &own.limits, self.draft.now())?;
        let queue = command.task_queue.as_ref().map_or("", |queue| &queue.name);
        if command.inherit_build_id && queue != parent_queue {
            let text = "StartChildWorkflowExecution with UseCompatibleVersion cannot run on different task queue.";
            return Err(CommandFailure::fail(CAUSE, text));
        }
        let input = command.input.as_ref().map_or(0, Message::encoded_len);
        self.require_blob(CAUSE, input, "StartChildWorkflowExecutionCommandAttributes. Input")?;
        let memo = command.memo.as_ref().map_or(0, Message::encoded_len);
        if memo > own.limits.memo_size_max {
            let text = "StartChildWorkflowExecutionCommandAttributes.Memo exceeds size limit.".to_owned();
            return Err(CommandFailure::EndRun { cause: CAUSE, text });
        }
        let attributes = command.search_attributes.as_ref();
        perdure_kernel::search_attributes::check_sizes(attributes, target)
            .map_err(|error| CommandFailure::EndRun { cause: CAUSE, text: error.message.into_owned() })?;
        self.require_room(
            WorkflowTaskFailedCause::PendingChildWorkflowsLimitExceeded,
            "pending child workflow executions",
            self.draft.state.children.len(),
            own.limits.pending_children_max,
        )?;
        let mut event = initiated_event(command, target);
        event.workflow_task_completed_event_id = self.completed_event_id;
        let event = Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(event.into());
        let initiated_event_id = self.draft.emit_with(event, extras);
        self.draft.tasks.push(NewTask::StartChild(records::StartChild { initiated_event_id }));
        Ok(())
    }
}

/// The event that a validated command makes.
fn initiated_event(
    mut command: StartChildWorkflowExecutionCommandAttributes,
    target: &perdure_kernel::Namespace,
) -> StartChildWorkflowExecutionInitiatedEventAttributes {
    if let Some(memo) = &mut command.memo {
        memo.fields.retain(|_, payload| !is_null(payload));
    }
    // SDKs send these empty, and Temporal drops them then.
    command.memo = command.memo.filter(|memo| !memo.fields.is_empty());
    if let Some(attributes) = &mut command.search_attributes {
        attributes.indexed_fields.retain(|_, payload| !is_null(payload));
        perdure_kernel::search_attributes::add_types(attributes, target);
    }
    command.search_attributes = command.search_attributes.filter(|attributes| !attributes.indexed_fields.is_empty());
    let policy = match command.parent_close_policy() {
        ParentClosePolicy::Unspecified => ParentClosePolicy::Terminate,
        given @ (ParentClosePolicy::Terminate | ParentClosePolicy::Abandon | ParentClosePolicy::RequestCancel) => given,
    };
    let reuse = match command.workflow_id_reuse_policy() {
        WorkflowIdReusePolicy::Unspecified => WorkflowIdReusePolicy::AllowDuplicate,
        given => given,
    };
    StartChildWorkflowExecutionInitiatedEventAttributes {
        namespace: command.namespace,
        namespace_id: target.id.to_string(),
        workflow_id: command.workflow_id,
        workflow_type: command.workflow_type,
        task_queue: command.task_queue,
        input: command.input,
        workflow_execution_timeout: command.workflow_execution_timeout,
        workflow_run_timeout: command.workflow_run_timeout,
        workflow_task_timeout: command.workflow_task_timeout,
        parent_close_policy: policy.into(),
        control: command.control,
        workflow_id_reuse_policy: reuse.into(),
        retry_policy: command.retry_policy,
        cron_schedule: command.cron_schedule,
        header: command.header,
        memo: command.memo,
        search_attributes: command.search_attributes,
        inherit_build_id: command.inherit_build_id,
        priority: command.priority,
        ..Default::default()
    }
}
