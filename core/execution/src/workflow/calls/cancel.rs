//! Somebody asks the workflow to cancel itself.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    history::{WorkflowExecutionCancelRequestedEventAttributes, history_event::Attributes},
    workflowservice::RequestCancelWorkflowExecutionRequest,
};

use super::require_chain;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        draft::{Draft, EventExtras},
        task::Delivery,
    },
};

/// Records the request and wakes the workflow, also out of the backoff of its first workflow task. A closed run and a repeated request are no errors.
pub fn decide(
    state: &WorkflowState,
    request: RequestCancelWorkflowExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_chain(state, &request.first_execution_run_id)?;
    if !state.is_open() || state.record.cancel_requested || state.volatile.run.cancel_buffered {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    let attributes = WorkflowExecutionCancelRequestedEventAttributes {
        cause: request.reason,
        identity: request.identity,
        ..Default::default()
    };
    let extras = EventExtras { links: request.links, ..Default::default() };
    draft.state.volatile.run.cancel_buffered = draft.state.buffers_events();
    draft.emit_or_buffer(Attributes::WorkflowExecutionCancelRequestedEventAttributes(attributes), extras);
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
