//! A try to deliver a completion callback has ended.

use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        callbacks::{CallbackId, Delivery},
        change::Durability,
        draft::Draft,
    },
};

/// Records how the try ended that began after `attempt` others. A try that is not under way (any more) is
/// nothing to record.
pub fn decide(
    state: &WorkflowState,
    id: &CallbackId,
    attempt: i32,
    delivery: Delivery,
    env: &mut Env<'_>,
) -> Decision<()> {
    if state.callback_to_deliver(id, attempt).is_none() {
        return Decision::nothing(());
    }
    let mut draft = Draft::new(state, env);
    draft.callback_tried(id, delivery);
    Decision::change(draft.finish(Durability::BeforeReply), ())
}
