//! Somebody wants a run gone.

use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, close::SERVER_IDENTITY, draft::Draft},
};

/// What the history of a run that is deleted while it is open says at last.
const REASON: &str = "Delete workflow execution";

/// Makes the run's deletion due at once; an open run is ended first. The deletion itself is that of retention:
/// it comes with the run's next wake-up, also after a crash.
pub fn decide(state: &WorkflowState, env: &mut Env<'_>) -> Decision<()> {
    let mut draft = Draft::new(state, env);
    if state.is_open() {
        draft.terminate(REASON, None, SERVER_IDENTITY, Vec::new());
    }
    let now = draft.now().as_nanos();
    let run = &mut draft.state.volatile.run;
    if run.delete_at != 0 && run.delete_at <= now {
        return Decision::nothing(());
    }
    run.delete_at = now;
    Decision::change(draft.finish(Durability::BeforeReply), ())
}
