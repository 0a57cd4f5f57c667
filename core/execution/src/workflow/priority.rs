//! Priorities that commands give.

use perdure_proto::api::common::Priority;

/// Bytes of a fairness key.
const FAIRNESS_KEY_LENGTH_MAX: usize = 64;

/// What is wrong with a priority that a command gives, if anything is.
pub(crate) fn flaw(priority: Option<&Priority>) -> Option<&'static str> {
    let priority = priority?;
    if priority.priority_key < 0 {
        Some("priority key can't be negative")
    } else if priority.fairness_key.len() > FAIRNESS_KEY_LENGTH_MAX {
        Some("fairness key length exceeds limit")
    } else if priority.fairness_weight < 0.0 {
        Some("must be greater than zero")
    } else {
        None
    }
}
