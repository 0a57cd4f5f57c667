//! What came of starting a child.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    common::WorkflowExecution,
    enums::StartChildWorkflowExecutionFailedCause,
    history::{
        ChildWorkflowExecutionStartedEventAttributes, StartChildWorkflowExecutionFailedEventAttributes,
        history_event::Attributes,
    },
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

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The child runs, under this run id.
    Started(String),
    /// There is no child, because of this.
    Failed(StartChildWorkflowExecutionFailedCause),
}

/// Records the outcome and wakes the workflow. An outcome that is known already is a repeat.
pub fn decide(
    state: &WorkflowState,
    initiated_event_id: i64,
    outcome: Outcome,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let waits = state.children.get(&initiated_event_id).is_some_and(|child| child.started_run_id.is_empty());
    if !waits {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    match outcome {
        Outcome::Started(run_id) => draft.record_child_start(initiated_event_id, run_id),
        Outcome::Failed(cause) => draft.record_child_failure(initiated_event_id, cause),
    }
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

impl Draft<'_, '_> {
    /// Records that a pending child is started, under this run id.
    pub(crate) fn record_child_start(&mut self, initiated_event_id: i64, run_id: String) {
        let Some(child) = self.state.children.get(&initiated_event_id).cloned() else { return };
        let header = child.initiated.as_ref().and_then(|initiated| initiated.header.clone());
        let attributes = ChildWorkflowExecutionStartedEventAttributes {
            namespace: child.namespace.clone(),
            namespace_id: child.namespace_id.clone(),
            initiated_event_id,
            workflow_execution: Some(WorkflowExecution { workflow_id: child.workflow_id.clone(), run_id }),
            workflow_type: child.workflow_type.clone(),
            header,
        };
        let attributes = Attributes::ChildWorkflowExecutionStartedEventAttributes(attributes);
        self.emit_or_buffer(attributes, EventExtras::default());
    }

    fn record_child_failure(&mut self, initiated_event_id: i64, cause: StartChildWorkflowExecutionFailedCause) {
        let Some(child) = self.state.children.get(&initiated_event_id).cloned() else { return };
        let control = child.initiated.as_ref().map(|initiated| initiated.control.clone()).unwrap_or_default();
        let attributes = StartChildWorkflowExecutionFailedEventAttributes {
            namespace: child.namespace.clone(),
            namespace_id: child.namespace_id.clone(),
            workflow_id: child.workflow_id.clone(),
            workflow_type: child.workflow_type.clone(),
            cause: cause.into(),
            control,
            initiated_event_id,
            workflow_task_completed_event_id: 0,
        };
        let attributes = Attributes::StartChildWorkflowExecutionFailedEventAttributes(attributes);
        self.emit_or_buffer(attributes, EventExtras::default());
    }
}
