//! Somebody lets activities begin again from their first attempt.

use perdure_kernel::{ServiceResult, time::span};
use perdure_proto::{
    api::workflowservice::{ResetActivityRequest, reset_activity_request::Activity},
    records,
};

use super::{
    activity_target::{ActivityTarget, not_named},
    require_open,
};
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        activity_control::unpause,
        change::Durability,
        draft::Draft,
        options_in_force::{in_force, original},
    },
};

/// Sets the activities meant back to attempt 1. One that a worker has goes on there, and the worker learns of the
/// reset by its heartbeats; one that waits is handed out at once, or within the jitter asked for. The pause ends
/// unless it is to be kept.
pub fn decide(state: &WorkflowState, request: &ResetActivityRequest, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let target = match &request.activity {
        Some(Activity::Id(id)) => ActivityTarget::Id(id),
        Some(Activity::Type(name)) => ActivityTarget::Type(name),
        Some(Activity::MatchAll(_)) => ActivityTarget::All,
        None => return Err(not_named()),
    };
    let ids = target.find(state)?;
    let mut draft = Draft::new(state, env);
    let mut unpaused = false;
    for id in ids {
        let (Some(activity), Some(attempt)) = (state.activities.get(&id), state.attempt(id)) else { continue };
        let mut next = (**attempt).clone();
        let was_paused = next.pause.is_some();
        next.attempt = 1;
        next.reset = true;
        next.reset_heartbeats |= request.reset_heartbeat;
        if request.restore_original_options {
            restore_options(activity, &mut next);
            next.stamp += 1;
        }
        if was_paused && !request.keep_paused {
            unpause(&mut next);
            unpaused = true;
        }
        if next.started_time != 0 || next.pause.is_some() {
            draft.set_attempt(id, next);
            continue;
        }
        if !was_paused {
            next.stamp += 1;
        }
        let at = draft.jittered(span(request.jitter.as_ref()));
        draft.redispatch_activity(id, next, at);
    }
    if unpaused {
        draft.refresh_pause_info();
    }
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// The options of the scheduled event hold again, but for the priority.
fn restore_options(activity: &records::ScheduledActivity, attempt: &mut records::ActivityAttempt) {
    let priority = in_force(activity, attempt).priority.cloned();
    let mut options = original(activity);
    attempt.options = (options.priority != priority).then(|| {
        options.priority = priority;
        options
    });
}
