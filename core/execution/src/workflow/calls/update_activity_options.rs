//! Somebody changes the options of activities.

use perdure_kernel::{
    Limits, ServiceError, ServiceResult, Timestamp, backoff::exponential, field_mask::Paths, retry_policy, time::span,
};
use perdure_proto::{
    api::{
        activity::ActivityOptions,
        common::RetryPolicy,
        enums::TaskQueueKind,
        workflowservice::{
            UpdateActivityOptionsRequest, UpdateActivityOptionsResponse, update_activity_options_request::Activity,
        },
    },
    records,
};

use super::{
    activity_target::{ActivityTarget, not_named},
    require_open,
};
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState, activity_mask,
        change::Durability,
        commands::activity_options::Timeouts,
        draft::Draft,
        options_in_force::{in_force, original},
    },
};

type Answer = UpdateActivityOptionsResponse;

/// Changes the fields that the mask names, or restores what the activities were scheduled with. Those that no
/// worker has are handed out anew under the new options. The answer shows the options of the last activity meant.
pub fn decide(
    state: &WorkflowState,
    request: &UpdateActivityOptionsRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<Answer>> {
    let target = match &request.activity {
        Some(Activity::Id(id)) => ActivityTarget::Id(id),
        Some(Activity::Type(name)) => ActivityTarget::Type(name),
        Some(Activity::MatchAll(_)) => ActivityTarget::All,
        None => return Err(not_named()),
    };
    let mask = request.update_mask.as_ref().map(Paths::of);
    if request.restore_original {
        if mask.is_some_and(|mask| !mask.is_empty()) {
            return Err(ServiceError::invalid_argument("Both UpdateMask and RestoreOriginal are provided"));
        }
        return restore(state, target, env);
    }
    require_open(state)?;
    let Some(from) = &request.activity_options else {
        return Err(ServiceError::invalid_argument("ActivityOptions are not provided"));
    };
    let ids = target.find(state)?;
    let Some(mask) = mask else { return Err(ServiceError::invalid_argument("UpdateMask is not provided")) };
    let mut draft = Draft::new(state, env);
    let mut shown = None;
    for id in ids {
        let (Some(activity), Some(attempt)) = (state.activities.get(&id), state.attempt(id)) else { continue };
        let mut merged = shown_options(activity, attempt);
        activity_mask::merge(&mask, &mut merged, from)?;
        if mask.has_part_of("retryPolicy")
            && let Some(policy) = &mut merged.retry_policy
        {
            retry_policy::validate_and_cap(policy, draft.env.limits().duration_max)?;
        }
        adjust(&mut merged, activity, state.task_queue(), draft.env.limits())?;
        let mut kept = merged.clone();
        kept.start_delay = None;
        if let Some(policy) = &mut kept.retry_policy {
            policy.non_retryable_error_types = non_retryable_types(activity);
        }
        draft.change_options(id, activity, attempt, Some(kept));
        shown = Some(merged);
    }
    let answer = Answer { activity_options: shown };
    Ok(Decision::change(draft.finish(Durability::BeforeReply), answer))
}

/// Of a closed run too the options are shown; nothing changes there.
fn restore(state: &WorkflowState, target: ActivityTarget<'_>, env: &mut Env<'_>) -> ServiceResult<Decision<Answer>> {
    let ids = target.find(state)?;
    let last = ids.last().and_then(|id| state.activities.get(id));
    let answer = Answer { activity_options: last.map(|activity| original(activity)) };
    if !state.is_open() {
        return Ok(Decision::nothing(answer));
    }
    let mut draft = Draft::new(state, env);
    for id in ids {
        let (Some(activity), Some(attempt)) = (state.activities.get(&id), state.attempt(id)) else { continue };
        draft.change_options(id, activity, attempt, None);
    }
    Ok(Decision::change(draft.finish(Durability::BeforeReply), answer))
}

impl Draft<'_, '_> {
    fn change_options(
        &mut self,
        id: i64,
        activity: &records::ScheduledActivity,
        attempt: &records::ActivityAttempt,
        options: Option<ActivityOptions>,
    ) {
        let mut next = attempt.clone();
        next.options = options;
        next.stamp += 1;
        if next.started_time == 0 {
            let at = next_attempt(activity, &next);
            self.redispatch_activity(id, next, at);
        } else {
            self.set_attempt(id, next);
        }
    }
}

/// When a waiting attempt begins under the options in force: the first one when it was scheduled, later ones after
/// the policy's interval. The interval is the next attempt's, not this one's, as in Temporal.
fn next_attempt(activity: &records::ScheduledActivity, attempt: &records::ActivityAttempt) -> Timestamp {
    let scheduled = Timestamp::from_nanos(attempt.scheduled_time);
    let Some(policy) = in_force(activity, attempt).retry_policy.filter(|_| attempt.attempt > 1) else {
        return scheduled;
    };
    let longest = span(policy.maximum_interval.as_ref());
    let initial = span(policy.initial_interval.as_ref());
    let interval = exponential(initial, policy.backoff_coefficient, longest, attempt.attempt);
    let interval = if interval.is_zero() { longest } else { interval };
    if interval.is_zero() {
        return scheduled;
    }
    Timestamp::from_nanos(attempt.last_attempt_complete_time) + interval
}

/// The options in force as the answer shows them: without the policy's error types, which cannot be changed.
fn shown_options(activity: &records::ScheduledActivity, attempt: &records::ActivityAttempt) -> ActivityOptions {
    let mut options = in_force(activity, attempt).to_message();
    options.retry_policy.get_or_insert_with(RetryPolicy::default).non_retryable_error_types.clear();
    options
}

fn non_retryable_types(activity: &records::ScheduledActivity) -> Vec<String> {
    let policy = activity.attributes.as_ref().and_then(|attributes| attributes.retry_policy.as_ref());
    policy.map(|policy| policy.non_retryable_error_types.clone()).unwrap_or_default()
}

/// Begins the names of partitions.
const PARTITION_PREFIX: &str = "/_sys/";
/// Begins the names of queues that the server's own per-namespace workers poll.
const PER_NAMESPACE_PREFIX: &str = "temporal-sys-per-ns-";

fn check_queue_name(name: &str, workflow_queue: &str, limits: &Limits) -> ServiceResult<()> {
    let text = if name.is_empty() {
        "missing task queue name".to_owned()
    } else if name.len() > limits.id_length_max {
        "taskQueue length exceeds limit".to_owned()
    } else if name.starts_with(PARTITION_PREFIX) {
        format!("task queue name cannot start with reserved prefix {PARTITION_PREFIX}")
    } else if name.starts_with(PER_NAMESPACE_PREFIX) && name != workflow_queue {
        format!("cannot use internal per-namespace task queue:{name}")
    } else {
        return Ok(());
    };
    Err(ServiceError::invalid_argument(text))
}

/// Checks changed options, and fills in what follows from them.
fn adjust(
    options: &mut ActivityOptions,
    activity: &records::ScheduledActivity,
    workflow_queue: &str,
    limits: &Limits,
) -> ServiceResult<()> {
    let invalid = |text: String| ServiceError::invalid_argument(text);
    let queue = options.task_queue.get_or_insert_default();
    check_queue_name(&queue.name, workflow_queue, limits)?;
    queue.kind = TaskQueueKind::Normal.into();
    let timeouts = Timeouts::checked(
        [
            options.schedule_to_close_timeout.as_ref(),
            options.schedule_to_start_timeout.as_ref(),
            options.start_to_close_timeout.as_ref(),
            options.heartbeat_timeout.as_ref(),
        ],
        limits.duration_max,
    )
    .map_err(|(field, why)| invalid(format!("invalid {field}: {why}")))?;
    let Some(timeouts) = timeouts.filled(std::time::Duration::ZERO) else {
        let attributes = activity.attributes.as_ref();
        let id = attributes.map_or("", |attributes| &attributes.activity_id);
        let kind = attributes.and_then(|attributes| attributes.activity_type.as_ref()).map_or("", |kind| &kind.name);
        return Err(invalid(format!(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId={id} ActivityType={kind}"
        )));
    };
    timeouts.write(options);
    Ok(())
}
