//! Somebody asks the workflow for an update.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::api::{
    enums::{ResourceExhaustedCause, ResourceExhaustedScope, UpdateAdmittedEventOrigin},
    update::Request,
    workflowservice::UpdateWorkflowExecutionRequest,
};
use prost::Message;

use super::{require_chain, require_open};
use crate::{
    Env,
    workflow::{
        Decision, Standing, WorkflowState,
        change::Durability,
        draft::Draft,
        task::Delivery,
        updates::{FAILING_ATTEMPT, PendingStage, PendingUpdate, task_keeps_failing, workflow_is_closing},
    },
};

/// The update's id.
pub fn id_of(request: &UpdateWorkflowExecutionRequest) -> &str {
    request.request.as_ref().and_then(|request| request.meta.as_ref()).map_or("", |meta| &meta.update_id)
}

/// Admits the update, in memory, and sees to it that a workflow task takes it along. An id that is known is that
/// update: nothing happens, and the caller waits for it with the others. Also on a closed run.
pub fn decide(
    state: &WorkflowState,
    request: &UpdateWorkflowExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_chain(state, &request.first_execution_run_id)?;
    let id = id_of(request);
    let known = state.find_update(id) != Standing::Unknown;
    if !state.is_open() {
        return if known {
            Ok(Decision::nothing(()))
        } else {
            Err(ServiceError::not_found("workflow execution already completed"))
        };
    }
    if state.is_paused() {
        return Err(ServiceError::failed_precondition("Workflow is paused. Cannot update the workflow."));
    }
    if state.task_attempt() >= FAILING_ATTEMPT {
        return Err(task_keeps_failing());
    }
    if state.volatile.run.close_attempted && state.started_task().is_some() {
        return Err(workflow_is_closing());
    }
    if known {
        return Ok(Decision::nothing(()));
    }
    let request = request.request.clone().unwrap_or_default();
    require_room(state, id, &request, env)?;
    let mut draft = Draft::new(state, env);
    draft.push_update(admitted(id, request));
    if state.task().is_some() {
        return Ok(Decision::change(draft.finish(Durability::InMemory), ()));
    }
    if state.task_attempt() > 1 {
        draft.schedule_task(Delivery::Dispatch);
        return Ok(Decision::change(draft.finish(Durability::BeforeReply), ()));
    }
    draft.schedule_speculative_task(Delivery::Dispatch);
    Ok(Decision::change(draft.finish(Durability::InMemory), ()))
}

/// Admits an update by an event: for a run that takes over what another one was asked. See
/// `Draft::admit_update`.
pub fn reapply(
    state: &WorkflowState,
    request: Request,
    origin: UpdateAdmittedEventOrigin,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let mut draft = Draft::new(state, env);
    draft.admit_update(request, origin);
    draft.schedule_task(Delivery::Dispatch);
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// An update at its beginning.
pub(crate) fn admitted(id: &str, request: Request) -> PendingUpdate {
    PendingUpdate { id: id.to_owned(), stage: PendingStage::Admitted, request: Some(request) }
}

/// The bounds on updates of a run.
fn require_room(state: &WorkflowState, id: &str, request: &Request, env: &Env<'_>) -> ServiceResult<()> {
    let limits = env.limits();
    let exhausted = |message: String| {
        let (cause, scope) = (ResourceExhaustedCause::ConcurrentLimit, ResourceExhaustedScope::Namespace);
        Err(ServiceError::exhausted(cause, scope, message))
    };
    let bound = limits.updates_in_flight_max;
    if bound > 0 && state.updates_in_flight() >= bound {
        return exhausted(format!("limit on number of concurrent in-flight updates has been reached ({bound})"));
    }
    require_total(state, limits.updates_total_max)?;
    let bound = limits.updates_in_flight_size_max;
    if bound > 0 && state.pending_updates_size() + 2 * id.len() + request.encoded_len() >= bound {
        return exhausted(format!("limit on total payload size of in-flight updates has been reached ({bound} bytes)"));
    }
    Ok(())
}

/// The bound on all updates of a run.
pub(crate) fn require_total(state: &WorkflowState, bound: usize) -> ServiceResult<()> {
    if bound == 0 || state.updates_total() < bound {
        return Ok(());
    }
    Err(ServiceError::failed_precondition(format!(
        "The limit on the total number of distinct updates in this workflow has been reached ({bound}). Make sure any duplicate updates share an Update ID so the server can deduplicate them, and consider rejecting updates that you aren't going to process. You can also Continue-as-New to avoid this; we recommend you check Continue-as-New Suggested in your Workflow."
    )))
}
