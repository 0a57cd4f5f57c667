//! Somebody asks the workflow to cancel itself.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    common::{Link, WorkflowExecution},
    history::{WorkflowExecutionCancelRequestedEventAttributes, history_event::Attributes},
    workflowservice::RequestCancelWorkflowExecutionRequest,
};

use super::{require_chain, require_child};
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
    let attributes = WorkflowExecutionCancelRequestedEventAttributes {
        cause: request.reason,
        identity: request.identity,
        ..Default::default()
    };
    record(state, attributes, request.links, env)
}

/// The same for a request from another workflow, which may be meant for a child of that one only.
pub fn from_workflow(
    state: &WorkflowState,
    request: RequestCancelWorkflowExecutionRequest,
    from: WorkflowExecution,
    initiated_event_id: i64,
    child_only: bool,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    if !state.is_open() {
        return Ok(Decision::nothing(()));
    }
    require_chain(state, &request.first_execution_run_id)?;
    if child_only {
        require_child(state, &from)?;
    }
    let attributes = WorkflowExecutionCancelRequestedEventAttributes {
        cause: request.reason,
        identity: request.identity,
        external_initiated_event_id: initiated_event_id,
        external_workflow_execution: Some(from),
    };
    record(state, attributes, request.links, env)
}

fn record(
    state: &WorkflowState,
    attributes: WorkflowExecutionCancelRequestedEventAttributes,
    links: Vec<Link>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    if !state.is_open() || state.record.cancel_requested || state.volatile.run.cancel_buffered {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    let extras = EventExtras { links, ..Default::default() };
    draft.state.volatile.run.cancel_buffered = draft.state.buffers_events();
    draft.emit_or_buffer(Attributes::WorkflowExecutionCancelRequestedEventAttributes(attributes), extras);
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
