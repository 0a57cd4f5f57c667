//! A worker lost its cache: the next workflow task goes to the normal queue.

use perdure_kernel::ServiceResult;

use super::require_open;
use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// Forgets the sticky queue.
pub fn decide(state: &WorkflowState, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let mut draft = Draft::new(state, env);
    draft.clear_sticky();
    Ok(Decision::change(draft.finish(Durability::WithNext), ()))
}
