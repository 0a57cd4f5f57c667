//! Somebody ends the run.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{common::Payloads, workflowservice::TerminateWorkflowExecutionRequest};

use super::{require_chain, require_open};
use crate::{
    Env,
    workflow::{Decision, NewRun, Transition, WorkflowState, change::Durability, close::SERVER_IDENTITY, draft::Draft},
};

/// Ends the run at once. A worker that has its workflow task will be told that the task is gone.
pub fn decide(
    state: &WorkflowState,
    request: TerminateWorkflowExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    require_chain(state, &request.first_execution_run_id)?;
    let mut draft = Draft::new(state, env);
    draft.terminate(&request.reason, request.details, &request.identity, request.links);
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// Ends the run because its parent has closed.
pub fn by_parent(state: &WorkflowState, identity: &str, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let mut draft = Draft::new(state, env);
    draft.terminate("by parent close policy", None, identity, Vec::new());
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// Ends the run on the server's own behalf, because of a limit.
pub fn by_server(state: &WorkflowState, reason: &str, env: &mut Env<'_>) -> Transition {
    let mut draft = Draft::new(state, env);
    draft.terminate(reason, None, SERVER_IDENTITY, Vec::new());
    draft.finish(Durability::BeforeReply)
}

/// Ends the run and starts `replacement` in the same commit.
pub fn and_replace(state: &WorkflowState, replacement: NewRun, env: &mut Env<'_>) -> Transition {
    let details = Payloads { payloads: vec![json(&format!("terminated by new runID: {}", replacement.key.run_id))] };
    let mut draft = Draft::new(state, env);
    draft.terminate("TerminateIfRunning WorkflowIdReusePolicy", Some(details), SERVER_IDENTITY, Vec::new());
    draft.successor = Some(Box::new(replacement.begin(draft.env)));
    draft.finish(Durability::BeforeReply)
}

/// A text as a JSON payload, as SDKs' default data converters read it.
pub(crate) fn json(text: &str) -> perdure_proto::api::common::Payload {
    let metadata = [("encoding".to_owned(), bytes::Bytes::from_static(b"json/plain"))].into();
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    perdure_proto::api::common::Payload {
        metadata,
        data: format!("\"{escaped}\"").into_bytes().into(),
        ..Default::default()
    }
}
