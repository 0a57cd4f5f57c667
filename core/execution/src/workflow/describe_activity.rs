//! Open activities as `DescribeWorkflowExecution` tells of them.

use perdure_kernel::{
    Namespace, Timestamp,
    time::{span, span_to_proto_opt},
};
use perdure_proto::{
    api::{
        activity::ActivityOptions,
        enums::PendingActivityState,
        taskqueue::TaskQueue,
        workflow::{
            PendingActivityInfo,
            pending_activity_info::{
                PauseInfo,
                pause_info::{Manual, PausedBy, Rule},
            },
        },
    },
    records,
};

use super::{
    activity::{current_retry_interval, next_attempt_at},
    options_in_force::{OptionsInForce, in_force},
    state::WorkflowState,
};

/// All of a run's open activities, oldest first.
pub(super) fn pending_activities(state: &WorkflowState, namespace: &Namespace) -> Vec<PendingActivityInfo> {
    let pending = state.activities.values().filter_map(|activity| {
        let attempt = state.attempt(activity.scheduled_event_id)?;
        pending_activity(activity, attempt, namespace)
    });
    pending.collect()
}

fn pending_activity(
    activity: &records::ScheduledActivity,
    attempt: &records::ActivityAttempt,
    namespace: &Namespace,
) -> Option<PendingActivityInfo> {
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let original = activity.attributes.as_ref()?;
    let options = in_force(activity, attempt);
    let started = attempt.started_time != 0;
    // As scheduled, whatever the timeout is now.
    let to_close = span(original.schedule_to_close_timeout.as_ref());
    let expires = (!to_close.is_zero()).then(|| (Timestamp::from_nanos(activity.scheduled_time) + to_close).to_proto());
    Some(PendingActivityInfo {
        activity_id: original.activity_id.clone(),
        activity_type: original.activity_type.clone(),
        state: pending_state(attempt).into(),
        heartbeat_details: attempt.heartbeat_details.clone(),
        last_heartbeat_time: at(attempt.last_heartbeat_time),
        last_started_time: at(attempt.started_time),
        attempt: attempt.attempt,
        maximum_attempts: options.retry_policy.map_or(0, |policy| policy.maximum_attempts),
        scheduled_time: at(attempt.scheduled_time),
        expiration_time: expires,
        last_failure: attempt.last_failure.clone(),
        last_worker_identity: if started { attempt.identity.clone() } else { attempt.last_worker_identity.clone() },
        current_retry_interval: current_retry_interval(attempt).and_then(span_to_proto_opt),
        last_attempt_complete_time: at(attempt.last_attempt_complete_time),
        next_attempt_schedule_time: next_attempt_at(attempt).map(Timestamp::to_proto),
        paused: attempt.pause.is_some(),
        pause_info: attempt.pause.as_ref().map(|pause| pause_info(pause, namespace)),
        priority: options.priority.cloned(),
        activity_options: Some(shown_options(&options)),
        ..Default::default()
    })
}

fn pending_state(attempt: &records::ActivityAttempt) -> PendingActivityState {
    match (attempt.cancel_requested, attempt.started_time != 0, attempt.pause.is_some()) {
        (true, _, _) => PendingActivityState::CancelRequested,
        (false, true, true) => PendingActivityState::PauseRequested,
        (false, true, false) => PendingActivityState::Started,
        (false, false, true) => PendingActivityState::Paused,
        (false, false, false) => PendingActivityState::Scheduled,
    }
}

/// Who paused it. Of a rule, its author and description are told while it exists.
fn pause_info(pause: &records::ActivityPause, namespace: &Namespace) -> PauseInfo {
    let paused_by = if pause.rule_id.is_empty() {
        PausedBy::Manual(Manual { identity: pause.identity.clone(), reason: pause.reason.clone() })
    } else {
        let rule = namespace.workflow_rules.get(&pause.rule_id);
        PausedBy::Rule(Rule {
            rule_id: pause.rule_id.clone(),
            identity: rule.map(|rule| rule.created_by_identity.clone()).unwrap_or_default(),
            reason: rule.map(|rule| rule.description.clone()).unwrap_or_default(),
        })
    };
    PauseInfo { pause_time: Timestamp::from_nanos(pause.time).to_proto_opt(), paused_by: Some(paused_by) }
}

/// The options in force. Error types that are not retried are not among what is shown.
fn shown_options(options: &OptionsInForce<'_>) -> ActivityOptions {
    let mut shown = options.to_message();
    let name = options.task_queue.to_owned();
    shown.task_queue = Some(TaskQueue { name: name.clone(), normal_name: name, ..TaskQueue::default() });
    if let Some(policy) = &mut shown.retry_policy {
        policy.non_retryable_error_types.clear();
    }
    shown
}
