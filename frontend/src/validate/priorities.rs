//! Priorities.

use perdure_kernel::ServiceResult;
use perdure_proto::api::common::Priority;

use super::invalid;

/// Bytes of a fairness key.
pub(crate) const FAIRNESS_KEY_LENGTH_MAX: usize = 64;

/// Checks a priority; none is fine.
pub(crate) fn check(priority: Option<&Priority>) -> ServiceResult<()> {
    let Some(priority) = priority else { return Ok(()) };
    if priority.priority_key < 0 {
        return Err(invalid("priority key can't be negative"));
    }
    if priority.fairness_key.len() > FAIRNESS_KEY_LENGTH_MAX {
        return Err(invalid("fairness key length exceeds limit"));
    }
    if priority.fairness_weight < 0.0 {
        return Err(invalid("must be greater than zero"));
    }
    Ok(())
}
