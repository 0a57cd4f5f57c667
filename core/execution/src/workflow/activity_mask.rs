//! Changes to an activity's options, field by field.

use perdure_kernel::{ServiceError, ServiceResult, field_mask::Paths};
use perdure_proto::api::{activity::ActivityOptions, common::Priority};

/// Copies the fields that `mask` names. Names of fields that there are not are without effect.
///
/// # Errors
///
/// `INVALID_ARGUMENT` when the message around a named field is missing.
pub fn merge(mask: &Paths, into: &mut ActivityOptions, from: &ActivityOptions) -> ServiceResult<()> {
    if mask.has("taskQueue.name") {
        let queue = provided("TaskQueue", from.task_queue.as_ref())?;
        into.task_queue.get_or_insert_default().name.clone_from(&queue.name);
    }
    if mask.has("scheduleToCloseTimeout") {
        into.schedule_to_close_timeout = from.schedule_to_close_timeout;
    }
    if mask.has("scheduleToStartTimeout") {
        into.schedule_to_start_timeout = from.schedule_to_start_timeout;
    }
    if mask.has("startToCloseTimeout") {
        into.start_to_close_timeout = from.start_to_close_timeout;
    }
    if mask.has("heartbeatTimeout") {
        into.heartbeat_timeout = from.heartbeat_timeout;
    }
    merge_priority(mask, into, from)?;
    merge_retry_policy(mask, into, from)?;
    if mask.has("startDelay") {
        into.start_delay = from.start_delay;
    }
    Ok(())
}

fn merge_priority(mask: &Paths, into: &mut ActivityOptions, from: &ActivityOptions) -> ServiceResult<()> {
    if mask.has("priority") {
        into.priority.clone_from(&from.priority);
    }
    if !mask.has_part_of("priority") {
        return Ok(());
    }
    let given = from.priority.as_ref();
    let mut set = |field: &str, set: fn(&mut Priority, &Priority)| {
        if mask.has(field) {
            set(into.priority.get_or_insert_default(), provided("Priority", given)?);
        }
        Ok(())
    };
    set("priority.priorityKey", |into, from| into.priority_key = from.priority_key)?;
    set("priority.fairnessKey", |into, from| into.fairness_key.clone_from(&from.fairness_key))?;
    set("priority.fairnessWeight", |into, from| into.fairness_weight = from.fairness_weight)
}

fn merge_retry_policy(mask: &Paths, into: &mut ActivityOptions, from: &ActivityOptions) -> ServiceResult<()> {
    let given = from.retry_policy.as_ref();
    if mask.has("retryPolicy") {
        into.retry_policy = Some(provided("RetryPolicy", given)?.clone());
    }
    if mask.has("retryPolicy.initialInterval") {
        into.retry_policy.get_or_insert_default().initial_interval = provided("RetryPolicy", given)?.initial_interval;
    }
    if mask.has("retryPolicy.backoffCoefficient") {
        into.retry_policy.get_or_insert_default().backoff_coefficient =
            provided("RetryPolicy", given)?.backoff_coefficient;
    }
    if mask.has("retryPolicy.maximumInterval") {
        into.retry_policy.get_or_insert_default().maximum_interval = provided("RetryPolicy", given)?.maximum_interval;
    }
    if mask.has("retryPolicy.maximumAttempts") {
        into.retry_policy.get_or_insert_default().maximum_attempts = provided("RetryPolicy", given)?.maximum_attempts;
    }
    Ok(())
}

fn provided<'a, T>(name: &str, value: Option<&'a T>) -> ServiceResult<&'a T> {
    value.ok_or_else(|| ServiceError::invalid_argument(format!("{name} is not provided")))
}
