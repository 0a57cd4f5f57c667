//! Somebody lets paused activities go on.

use perdure_kernel::{ServiceResult, time::span};
use perdure_proto::api::workflowservice::{UnpauseActivityRequest, unpause_activity_request::Activity};

use super::{
    activity_target::{ActivityTarget, not_named},
    require_open,
};
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        activity_control::{forget_heartbeats, unpause},
        change::Durability,
        draft::Draft,
    },
};

/// Unpauses the paused ones of the activities meant. Those that no worker has are handed out at once, or within
/// the jitter asked for.
pub fn decide(
    state: &WorkflowState,
    request: &UnpauseActivityRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let target = match &request.activity {
        Some(Activity::Id(id)) => ActivityTarget::Id(id),
        Some(Activity::Type(name)) => ActivityTarget::Type(name),
        Some(Activity::UnpauseAll(_)) => ActivityTarget::All,
        None => return Err(not_named()),
    };
    let mut paused = target.find(state)?;
    paused.retain(|id| state.attempt(*id).is_some_and(|attempt| attempt.pause.is_some()));
    if paused.is_empty() {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    for id in paused {
        let Some(attempt) = state.attempt(id) else { continue };
        let mut next = (**attempt).clone();
        unpause(&mut next);
        if request.reset_attempts {
            next.attempt = 1;
        }
        if request.reset_heartbeat {
            forget_heartbeats(&mut next);
        }
        if next.started_time == 0 {
            let at = draft.jittered(span(request.jitter.as_ref()));
            draft.redispatch_activity(id, next, at);
        } else {
            draft.set_attempt(id, next);
        }
    }
    draft.refresh_pause_info();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
