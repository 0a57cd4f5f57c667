//! A start that found its workflow running leaves its mark on the run that is used instead.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::api::{
    common::{Callback, Link},
    history::{WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
};

use super::require_open;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        draft::{Draft, EventExtras},
    },
};

/// What the start leaves. It leaves an event even when all of it is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Its request id: repeats of the start find this run by it. Empty to leave none.
    pub request_id: String,
    /// Its completion callbacks. Empty to leave none.
    pub callbacks: Vec<Callback>,
    /// Its links. Empty to leave none.
    pub links: Vec<Link>,
}

/// Records the attachment.
pub fn decide(state: &WorkflowState, attachment: Attachment, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    require_room(state, attachment.callbacks.len(), env.limits().callbacks_per_execution_max)?;
    let mut draft = Draft::new(state, env);
    let attributes = WorkflowExecutionOptionsUpdatedEventAttributes {
        attached_request_id: attachment.request_id,
        attached_completion_callbacks: attachment.callbacks,
        ..Default::default()
    };
    let extras = EventExtras { links: attachment.links, ..EventExtras::default() };
    draft.emit_or_buffer(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(attributes), extras);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// The refusal of more callbacks than a run may have, those of its updates included.
pub(crate) fn require_room(state: &WorkflowState, more: usize, max: usize) -> ServiceResult<()> {
    let present = state.callbacks.len();
    if more == 0 || present + more <= max {
        return Ok(());
    }
    Err(ServiceError::failed_precondition(format!(
        "cannot attach more than {max} callbacks to a workflow ({present} callbacks already attached)"
    )))
}
