//! A start that found its workflow running leaves its mark on the run that is used instead.

use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    common::Link,
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

/// Request ids kept per run; the oldest is forgotten first (Temporal's `history.maximumRequestIDsPerExecution`).
const REQUEST_IDS_MAX: usize = 25;

/// Remembers the request id of a start that found this run open.
pub(crate) fn remember(kept: &mut Vec<String>, request_id: &str) {
    if kept.len() >= REQUEST_IDS_MAX {
        kept.remove(0);
    }
    kept.push(request_id.to_owned());
}

/// What the start leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Its request id: repeats of the start find this run by it. Empty to leave none.
    pub request_id: String,
    /// Its links. Empty to leave none.
    pub links: Vec<Link>,
    /// Who started.
    pub identity: String,
}

/// Records the attachment.
pub fn decide(state: &WorkflowState, attachment: Attachment, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    if attachment.request_id.is_empty() && attachment.links.is_empty() {
        return Ok(Decision::nothing(()));
    }
    let mut draft = Draft::new(state, env);
    if !attachment.request_id.is_empty() {
        remember(&mut draft.state.volatile.run.attached_request_ids, &attachment.request_id);
    }
    let attributes = WorkflowExecutionOptionsUpdatedEventAttributes {
        attached_request_id: attachment.request_id,
        identity: attachment.identity,
        ..Default::default()
    };
    let extras = EventExtras { links: attachment.links, ..EventExtras::default() };
    draft.emit_or_buffer(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(attributes), extras);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
