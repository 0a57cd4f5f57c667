//! Somebody pauses activities.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{
    api::workflowservice::{PauseActivityRequest, pause_activity_request::Activity},
    records,
};

use super::{
    activity_target::{ActivityTarget, not_named},
    require_open,
};
use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// Pauses every activity meant, or none. Repeating the request that paused an activity changes nothing.
pub fn decide(state: &WorkflowState, request: PauseActivityRequest, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let target = match &request.activity {
        Some(Activity::Id(id)) => ActivityTarget::Id(id),
        Some(Activity::Type(name)) => ActivityTarget::Type(name),
        None => return Err(not_named()),
    };
    let mut fresh = Vec::new();
    for id in target.find(state)? {
        match state.attempt(id).and_then(|attempt| attempt.pause.as_ref()) {
            None => fresh.push(id),
            Some(pause) if pause.request_id == request.request_id => {}
            Some(_) => return Err(ServiceError::failed_precondition("activity is already paused")),
        }
    }
    if fresh.is_empty() {
        return Ok(Decision::nothing(()));
    }
    let pause = records::ActivityPause {
        time: env.now.as_nanos(),
        request_id: request.request_id,
        identity: request.identity,
        reason: request.reason,
        rule_id: String::new(),
    };
    let mut draft = Draft::new(state, env);
    for id in fresh {
        draft.pause_activity(id, pause.clone());
    }
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
