//! How a query reaches a worker.

use perdure_kernel::{ServiceError, ServiceResult, Timestamp};
use perdure_proto::api::{
    enums::{QueryRejectCondition, WorkflowExecutionStatus},
    query::QueryRejected,
};

use super::state::WorkflowState;

/// Failed attempts of a workflow task from which on queries are not worth waiting for.
const FAILING_ATTEMPT: i32 = 3;

/// How a query is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryPath {
    /// Not at all: the run's status is one that the caller does not want answers from.
    Rejected(QueryRejected),
    /// At once, past the workflow task, by a worker that sees the whole history.
    Direct,
    /// With the next or running workflow task, so that it sees all that happened before it.
    WithTask,
}

/// Chooses how a query is answered. `deadline` is when the caller stops waiting.
pub fn path(
    state: &WorkflowState,
    condition: QueryRejectCondition,
    deadline: Option<Timestamp>,
) -> ServiceResult<QueryPath> {
    let status = state.status();
    let rejected = match condition {
        QueryRejectCondition::NotOpen => !state.is_open(),
        QueryRejectCondition::NotCompletedCleanly => !state.is_open() && status != WorkflowExecutionStatus::Completed,
        QueryRejectCondition::None | QueryRejectCondition::Unspecified => false,
    };
    if rejected || status == WorkflowExecutionStatus::Paused {
        return Ok(QueryPath::Rejected(QueryRejected { status: status.into() }));
    }
    if !state.is_open() && !state.completed_a_task() {
        return Err(ServiceError::not_ready("Workflow execution closed before WorkflowTaskStarted event"));
    }
    if state.volatile.run.next_task_attempt.max(state.task().map_or(0, |task| task.attempt)) >= FAILING_ATTEMPT {
        return Err(ServiceError::not_ready("Unable to query workflow due to Workflow Task in failed state."));
    }
    if state.completed_a_task() && (!state.is_open() || state.task().is_none()) {
        return Ok(QueryPath::Direct);
    }
    let first_task_at = Timestamp::from_nanos(state.volatile.run.first_task_at);
    if !first_task_at.is_unset() && deadline.is_some_and(|deadline| deadline < first_task_at) {
        return Err(ServiceError::not_ready("Workflow Task is not scheduled yet."));
    }
    Ok(QueryPath::WithTask)
}
