//! A worker takes an activity task.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{api::workflowservice::PollActivityTaskQueueRequest, records::QueuedTask};

use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// Records the start. It must be durable before the worker has the task: an attempt must not run twice
/// because the server forgot the first time.
pub fn decide(
    state: &WorkflowState,
    task: &QueuedTask,
    request_id: &str,
    poll: &PollActivityTaskQueueRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let stale = |why: &'static str| Err(ServiceError::new(ErrorKind::StaleTask, why));
    if !state.is_open() {
        return stale("the workflow is closed");
    }
    let Some(attempt) = state.attempt(task.scheduled_event_id) else { return stale("the activity has ended") };
    if attempt.stamp != task.stamp || attempt.attempt != task.attempt {
        return stale("the activity's attempt has ended");
    }
    if attempt.started_time != 0 {
        let repeated = attempt.request_id == request_id;
        return if repeated { Ok(Decision::nothing(())) } else { stale("another worker has the activity") };
    }
    let mut next = (**attempt).clone();
    let mut draft = Draft::new(state, env);
    next.started_time = draft.now().as_nanos();
    next.request_id = request_id.to_owned();
    next.identity.clone_from(&poll.identity);
    next.waits_for_retry = false;
    draft.set_attempt(task.scheduled_event_id, next);
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}
