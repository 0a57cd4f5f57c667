//! Changes to an activity's options, as `UpdateActivityExecutionOptions` takes them.

use perdure_kernel::{
    Limits, ServiceResult,
    field_mask::{Paths, json_path},
    retry_policy,
};
use perdure_proto::{
    Duration,
    api::{activity::ActivityOptions, common::Priority, workflowservice::UpdateActivityExecutionOptionsRequest},
};

use super::{durations, invalid, priorities, task_queues};

/// What a mask may name.
const PATHS: [&str; 15] = [
    "taskQueue.name",
    "scheduleToCloseTimeout",
    "scheduleToStartTimeout",
    "startToCloseTimeout",
    "heartbeatTimeout",
    "priority",
    "priority.priorityKey",
    "priority.fairnessKey",
    "priority.fairnessWeight",
    "retryPolicy",
    "retryPolicy.initialInterval",
    "retryPolicy.backoffCoefficient",
    "retryPolicy.maximumInterval",
    "retryPolicy.maximumAttempts",
    "startDelay",
];

/// Checks how long an activity may be put off at random.
pub(crate) fn jitter(jitter: Option<&mut Duration>, limits: &Limits) -> ServiceResult<()> {
    durations::check_and_cap(jitter, limits).map_err(|why| invalid(format!("invalid jitter: {why}")))
}

/// Checks which options are changed and to what, and fills in the defaults of a whole retry policy.
pub(crate) fn check_update(request: &mut UpdateActivityExecutionOptionsRequest, limits: &Limits) -> ServiceResult<()> {
    let named = request.update_mask.as_ref().is_some_and(|mask| !mask.paths.is_empty());
    if named && request.restore_original {
        return Err(invalid("Both UpdateMask and RestoreOriginal are provided"));
    }
    if request.restore_original {
        return Ok(());
    }
    let Some(options) = &mut request.activity_options else {
        return Err(invalid("ActivityOptions are not provided"));
    };
    let Some(mask) = &request.update_mask else { return Err(invalid("UpdateMask is not provided")) };
    if mask.paths.is_empty() {
        return Err(invalid("UpdateMask must specify at least one path"));
    }
    if let Some(unknown) = mask.paths.iter().find(|path| !PATHS.contains(&&*json_path(path))) {
        return Err(invalid(format!("unsupported update_mask path: {unknown:?}")));
    }
    let mask = Paths::of(mask);
    let has = |path: &str| mask.has(path);
    if has("taskQueue.name") {
        task_queues::normalize_user_defined(options.task_queue.as_mut(), limits)?;
    }
    timeouts(options, has, limits)?;
    priority(options, has)?;
    policy(options, has, limits)
}

fn timeouts(options: &mut ActivityOptions, has: impl Fn(&str) -> bool, limits: &Limits) -> ServiceResult<()> {
    for (path, name, value) in [
        ("scheduleToCloseTimeout", "ScheduleToCloseTimeout", options.schedule_to_close_timeout.as_mut()),
        ("scheduleToStartTimeout", "ScheduleToStartTimeout", options.schedule_to_start_timeout.as_mut()),
        ("startToCloseTimeout", "StartToCloseTimeout", options.start_to_close_timeout.as_mut()),
        ("heartbeatTimeout", "HeartbeatTimeout", options.heartbeat_timeout.as_mut()),
    ] {
        if has(path) {
            durations::check_and_cap(value, limits).map_err(|why| invalid(format!("invalid {name}: {why}")))?;
        }
    }
    Ok(())
}

fn priority(options: &ActivityOptions, has: impl Fn(&str) -> bool) -> ServiceResult<()> {
    let Some(given) = &options.priority else { return Ok(()) };
    if has("priority") {
        priorities::check(Some(given))?;
    }
    // Each part as a whole priority that has nothing else.
    let parts = [
        ("priority.priorityKey", Priority { priority_key: given.priority_key, ..Priority::default() }),
        ("priority.fairnessKey", Priority { fairness_key: given.fairness_key.clone(), ..Priority::default() }),
        ("priority.fairnessWeight", Priority { fairness_weight: given.fairness_weight, ..Priority::default() }),
    ];
    parts.iter().filter(|(path, _)| has(path)).try_for_each(|(_, part)| priorities::check(Some(part)))
}

fn policy(options: &mut ActivityOptions, has: impl Fn(&str) -> bool, limits: &Limits) -> ServiceResult<()> {
    if has("retryPolicy") {
        let policy = options.retry_policy.get_or_insert_default();
        retry_policy::fill_defaults(policy, &retry_policy::RetryDefaults::default());
        retry_policy::validate_and_cap(policy, limits.duration_max)?;
    }
    let Some(policy) = &mut options.retry_policy else {
        // A missing policy is refused by its first part that has no value of its own.
        return if has("retryPolicy.backoffCoefficient") { Err(too_small()) } else { Ok(()) };
    };
    for (path, name, value) in [
        ("retryPolicy.initialInterval", "InitialInterval", policy.initial_interval.as_mut()),
        ("retryPolicy.maximumInterval", "MaximumInterval", policy.maximum_interval.as_mut()),
    ] {
        if has(path) {
            durations::check_and_cap(value, limits)
                .map_err(|why| invalid(format!("invalid {name} set on retry policy: {why}")))?;
        }
    }
    if has("retryPolicy.backoffCoefficient") && policy.backoff_coefficient < 1.0 {
        return Err(too_small());
    }
    if has("retryPolicy.maximumAttempts") && policy.maximum_attempts < 0 {
        return Err(invalid("MaximumAttempts cannot be negative on retry policy."));
    }
    Ok(())
}

fn too_small() -> perdure_kernel::ServiceError {
    invalid("BackoffCoefficient cannot be less than 1 on retry policy.")
}
