//! What clients, workers and matching ask of a run: one file per call.
//!
//! Every function takes the run as it stands and a request that the frontend has validated. It returns
//! a [`super::Decision`], or a refusal that changed nothing.

pub mod activity_outcome;
pub mod activity_target;
pub mod attach;
pub mod callback_tried;
pub mod cancel;
pub mod child_closed;
pub mod child_start;
pub mod delete;
pub mod external_cancel;
pub mod external_signal;
pub mod first_task;
pub mod heartbeat;
pub mod pause;
pub mod pause_activity;
pub mod reset;
pub mod reset_activity;
pub mod reset_sticky;
pub mod signal;
pub mod start_activity;
pub mod start_task;
pub mod task_completed;
pub mod task_failed;
pub mod terminate;
pub mod unpause_activity;
pub mod update;
pub mod update_activity_options;
pub mod update_options;

use perdure_kernel::ServiceError;
use perdure_proto::api::common::WorkflowExecution;

use super::state::WorkflowState;

/// The refusal of calls that need an open run.
pub(crate) fn require_open(state: &WorkflowState) -> Result<(), ServiceError> {
    if state.is_open() { Ok(()) } else { Err(ServiceError::not_found("workflow execution already completed")) }
}

/// The refusal of calls that are meant for children of another workflow.
pub(crate) fn require_child(state: &WorkflowState, parent: &WorkflowExecution) -> Result<(), ServiceError> {
    if state.is_child_of(parent) { Ok(()) } else { Err(ServiceError::not_found("workflow parent does not match")) }
}

/// The refusal of calls that name a chain the run is not part of.
pub(crate) fn require_chain(state: &WorkflowState, first_run_id: &str) -> Result<(), ServiceError> {
    if first_run_id.is_empty() || first_run_id == state.first_run_id() {
        Ok(())
    } else {
        Err(ServiceError::not_found("workflow execution not found"))
    }
}
