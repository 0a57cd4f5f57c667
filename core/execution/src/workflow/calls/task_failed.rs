//! A worker could not make its decisions.

use perdure_kernel::ServiceResult;
use perdure_proto::{
    api::{enums::WorkflowTaskFailedCause, workflowservice::RespondWorkflowTaskFailedRequest},
    tokens,
};

use super::task_completed::require_task;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        close::SERVER_IDENTITY,
        draft::Draft,
        task::{Delivery, TaskFailure},
    },
};

/// Records the failure and schedules the task again. A worker that cannot send its answer because it is
/// too large will never be able to: then the run is ended.
pub fn decide(
    state: &WorkflowState,
    token: &tokens::WorkflowTask,
    request: RespondWorkflowTaskFailedRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_task(state, token)?;
    let cause = request.cause();
    let mut draft = Draft::new(state, env);
    draft.fail_task(TaskFailure {
        cause,
        failure: request.failure,
        identity: request.identity,
        binary_checksum: request.binary_checksum,
        reset: None,
    });
    if cause == WorkflowTaskFailedCause::GrpcMessageTooLarge {
        draft.terminate("GrpcMessageTooLarge", None, SERVER_IDENTITY, Vec::new());
    } else {
        draft.schedule_task(Delivery::Dispatch);
    }
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
