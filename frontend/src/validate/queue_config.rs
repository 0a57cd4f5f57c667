//! Changes of what is set for a task queue.

use perdure_kernel::{Limits, ServiceResult};
use perdure_proto::api::{
    enums::TaskQueueType,
    workflowservice::{UpdateTaskQueueConfigRequest, update_task_queue_config_request::RateLimitUpdate},
};

use super::{invalid, priorities::FAIRNESS_KEY_LENGTH_MAX};

/// Bytes of a reason.
const REASON_LENGTH_MAX: usize = 1000;

/// Checks a change.
pub(crate) fn check(request: &UpdateTaskQueueConfigRequest, limits: &Limits) -> ServiceResult<()> {
    let workflow = request.task_queue_type == i32::from(TaskQueueType::Workflow);
    let is_set = |update: Option<&RateLimitUpdate>| update.is_some_and(|update| update.rate_limit.is_some());
    let (queue, key) = (&request.update_queue_rate_limit, &request.update_fairness_key_rate_limit_default);
    if workflow && is_set(queue.as_ref()) {
        return Err(invalid("Setting rate limit on workflow task queues is not allowed."));
    }
    rate(queue.as_ref(), "UpdateQueueRateLimit")?;
    if workflow && is_set(key.as_ref()) {
        return Err(invalid("Setting fairness key rate limit on workflow task queues is not allowed."));
    }
    rate(key.as_ref(), "UpdateFairnessKeyRateLimitDefault")?;
    length("Identity", &request.identity, limits.id_length_max)?;
    weights(request, limits.fairness_weight_overrides_max)
}

fn rate(update: Option<&RateLimitUpdate>, label: &str) -> ServiceResult<()> {
    let Some((update, limit)) = update.and_then(|update| Some((update, update.rate_limit.as_ref()?))) else {
        return Ok(());
    };
    if limit.requests_per_second < 0.0 {
        return Err(invalid(format!("RequestsPerSecond for {label} rate limit must be non-negative.")));
    }
    length(&format!("{label}.Reason"), &update.reason, REASON_LENGTH_MAX)
}

fn length(field: &str, value: &str, max: usize) -> ServiceResult<()> {
    if value.len() > max {
        return Err(invalid(format!("{field} field too long (max {max} characters).")));
    }
    Ok(())
}

fn weights(request: &UpdateTaskQueueConfigRequest, max: usize) -> ServiceResult<()> {
    let (set, unset) = (&request.set_fairness_weight_overrides, &request.unset_fairness_weight_overrides);
    let total = set.len() + unset.len();
    if total > max {
        return Err(invalid(format!("too many fairness weight overrides in request: got {total}, maximum {max}")));
    }
    for (key, weight) in set {
        check_key(key)?;
        // A weight that is no number is not above zero either.
        if weight.is_nan() || *weight <= 0.0 {
            let text = format!("invalid fairness weight weight for key {key:?}: must be greater than zero");
            return Err(invalid(text));
        }
    }
    for key in unset {
        check_key(key)?;
    }
    if let Some(key) = unset.iter().find(|key| set.contains_key(*key)) {
        return Err(invalid(format!("fairness weight override key {key:?} present in both set and unset lists")));
    }
    Ok(())
}

fn check_key(key: &str) -> ServiceResult<()> {
    if key.is_empty() {
        return Err(invalid("fairness weight override key must not be empty"));
    }
    if key.len() > FAIRNESS_KEY_LENGTH_MAX {
        return Err(invalid("fairness key length exceeds limit"));
    }
    Ok(())
}
