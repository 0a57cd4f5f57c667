//! Somebody changes the options of a run.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{
    workflow::versioning_override::Override,
    workflowservice::{UpdateWorkflowExecutionOptionsRequest, UpdateWorkflowExecutionOptionsResponse},
};

use super::require_open;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        draft::Draft,
        options::{check_override, pins_in_place},
    },
};

/// Merges the masked options into those of the run. The workflow is not woken: what changes is how its tasks
/// are handed out. A request that changes nothing writes nothing.
pub fn decide(
    state: &WorkflowState,
    request: UpdateWorkflowExecutionOptionsRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<UpdateWorkflowExecutionOptionsResponse>> {
    require_open(state)?;
    let options = request.workflow_execution_options.unwrap_or_default();
    let given = options.versioning_override.as_ref();
    if pins_in_place(given) {
        require_pinned(state)?;
    }
    check_override(state, given)?;
    let mut draft = Draft::new(state, env);
    let mask = request.update_mask.unwrap_or_default();
    let (merged, changed) = draft.merge_options(&options, &mask, request.identity)?;
    let answer =
        UpdateWorkflowExecutionOptionsResponse { workflow_execution_options: Some(merged), ..Default::default() };
    if !changed {
        return Ok(Decision::nothing(answer));
    }
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), answer))
}

/// The refusal of a pin without a version: the run must be pinned to one already.
fn require_pinned(state: &WorkflowState) -> ServiceResult<()> {
    let behavior = match state.versioning_override().and_then(|given| given.r#override) {
        Some(Override::AutoUpgrade(_)) => "AutoUpgrade",
        Some(Override::Pinned(_)) => return Ok(()),
        Some(Override::OneTime(_)) | None => "Unspecified",
    };
    let text = format!(
        "must specify a specific pinned override version because workflow with id {} has behavior {behavior} and is \
         not yet pinned to any version",
        state.workflow_id()
    );
    Err(ServiceError::new(ErrorKind::FailedPrecondition, text))
}
