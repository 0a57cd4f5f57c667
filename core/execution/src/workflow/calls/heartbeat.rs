//! An activity says that it is alive.

use perdure_kernel::ServiceResult;
use perdure_proto::{
    api::{common::Payloads, workflowservice::RecordActivityTaskHeartbeatResponse},
    tokens,
};

use super::activity_outcome::{find, task_not_found};
use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// Keeps progress and time, and tells the worker whether the workflow wants the activity to stop.
pub fn decide(
    state: &WorkflowState,
    token: &tokens::ActivityTask,
    details: Option<Payloads>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<RecordActivityTaskHeartbeatResponse>> {
    let (id, attempt) = find(state, token)?;
    if attempt.started_time == 0 {
        return Err(task_not_found());
    }
    let answer = RecordActivityTaskHeartbeatResponse {
        cancel_requested: attempt.cancel_requested,
        activity_paused: attempt.pause.is_some(),
        activity_reset: attempt.reset,
    };
    let mut draft = Draft::new(state, env);
    let mut next = (*attempt).clone();
    next.last_heartbeat_time = draft.now().as_nanos();
    next.heartbeat_details = details;
    draft.set_attempt(id, next);
    Ok(Decision::change(draft.finish(Durability::BeforeReply), answer))
}
