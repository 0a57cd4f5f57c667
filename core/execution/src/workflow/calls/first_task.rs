//! The parent has recorded this child's start: the child may begin.

use perdure_kernel::{ServiceResult, time::span};

use super::require_open;
use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft, task::Delivery},
};

/// Schedules the first workflow task, or lets its backoff begin. A run that has begun is left alone.
pub fn decide(state: &WorkflowState, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    if !state.volatile.run.first_task_held {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    draft.state.volatile.run.first_task_held = false;
    // A signal or a cancellation may have been quicker.
    if !state.record.first_task_scheduled {
        if span(state.start.first_workflow_task_backoff.as_ref()).is_zero() {
            draft.schedule_task(Delivery::Dispatch);
        } else {
            draft.state.volatile.run.first_task_at = state.record.execution_time;
        }
    }
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
