//! Bounds on what a run may grow to.

use perdure_kernel::{Limits, ServiceError, ServiceResult};

use super::state::WorkflowState;

/// Why an open run must be ended before anything else happens to it, if it must.
pub fn exceeded(state: &WorkflowState, limits: &Limits) -> Option<&'static str> {
    let over = |value: i64, bound: usize| usize::try_from(value).unwrap_or(0) > bound;
    if !state.is_open() {
        None
    } else if over(state.record.history_size, limits.history_size_max) {
        Some("Workflow history size exceeds limit.")
    } else if over(state.next_event_id() - 1, limits.history_count_max) {
        Some("Workflow history count exceeds limit.")
    } else {
        None
    }
}

/// The refusal of a payload over the blob limit.
pub fn require_blob(size: usize, limits: &Limits) -> ServiceResult<()> {
    if size > limits.blob_size_max {
        return Err(ServiceError::invalid_argument("Blob data size exceeds limit."));
    }
    Ok(())
}
