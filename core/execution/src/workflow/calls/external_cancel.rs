//! What came of a cancellation of another workflow.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    enums::CancelExternalWorkflowExecutionFailedCause,
    history::{
        ExternalWorkflowExecutionCancelRequestedEventAttributes,
        RequestCancelExternalWorkflowExecutionFailedEventAttributes, history_event::Attributes,
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

/// Records that the other workflow, whose namespace now has this name, was asked to cancel, or why it was not,
/// and wakes the workflow. An outcome that is known already is a repeat.
pub fn decide(
    state: &WorkflowState,
    initiated_event_id: i64,
    namespace: String,
    outcome: Result<(), CancelExternalWorkflowExecutionFailedCause>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let pending = state.external_cancels.get(&initiated_event_id).and_then(|pending| pending.initiated.as_ref());
    let Some(initiated) = pending else { return Ok(Decision::nothing(())) };
    let (namespace_id, workflow_execution) = (initiated.namespace_id.clone(), initiated.workflow_execution.clone());
    let attributes = match outcome {
        Ok(()) => Attributes::ExternalWorkflowExecutionCancelRequestedEventAttributes(
            ExternalWorkflowExecutionCancelRequestedEventAttributes {
                initiated_event_id,
                namespace,
                namespace_id,
                workflow_execution,
            },
        ),
        Err(cause) => {
            let attributes = RequestCancelExternalWorkflowExecutionFailedEventAttributes {
                cause: cause.into(),
                namespace,
                namespace_id,
                workflow_execution,
                initiated_event_id,
                ..Default::default()
            };
            Attributes::RequestCancelExternalWorkflowExecutionFailedEventAttributes(attributes)
        }
    };
    let mut draft = Draft::new(state, env);
    draft.emit_or_buffer(attributes, EventExtras::default());
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
