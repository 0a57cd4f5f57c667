//! Somebody pauses a run, or lets it go on.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{
    history::{
        WorkflowExecutionPausedEventAttributes, WorkflowExecutionUnpausedEventAttributes, history_event::Attributes,
    },
    workflowservice::{PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest},
};

use super::require_open;
use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// Pauses the run. The request that paused it may come again.
pub fn decide(
    state: &WorkflowState,
    request: PauseWorkflowExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    if state.is_paused() {
        let repeated = state.record.pause.as_ref().is_some_and(|pause| pause.request_id == request.request_id);
        return if repeated && !request.request_id.is_empty() {
            Ok(Decision::nothing(()))
        } else {
            Err(ServiceError::new(ErrorKind::FailedPrecondition, "workflow is already paused."))
        };
    }
    let mut draft = Draft::new(state, env);
    draft.pause(WorkflowExecutionPausedEventAttributes {
        identity: request.identity,
        reason: request.reason,
        request_id: request.request_id,
    });
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// Ends the pause.
pub fn undo(
    state: &WorkflowState,
    request: UnpauseWorkflowExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    if !state.is_paused() {
        return Err(ServiceError::new(ErrorKind::FailedPrecondition, "workflow is not paused."));
    }
    let mut draft = Draft::new(state, env);
    draft.unpause(Attributes::WorkflowExecutionUnpausedEventAttributes(WorkflowExecutionUnpausedEventAttributes {
        identity: request.identity,
        reason: request.reason,
        request_id: request.request_id,
    }));
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
