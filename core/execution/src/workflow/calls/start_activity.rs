//! A worker takes an activity task.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{api::workflowservice::PollActivityTaskQueueRequest, records::QueuedTask};

use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft},
};

/// What became of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The worker has it.
    Started,
    /// A rule has paused the activity: there is nothing for the worker, once that is durable.
    Paused,
}

/// Records the start. It must be durable before the worker has the task: an attempt must not run twice
/// because the server forgot the first time.
pub fn decide(
    state: &WorkflowState,
    task: &QueuedTask,
    request_id: &str,
    poll: &PollActivityTaskQueueRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<Answer>> {
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
        return if repeated {
            Ok(Decision::nothing(Answer::Started))
        } else {
            stale("another worker has the activity")
        };
    }
    if attempt.pause.is_some() {
        return stale("the activity is paused");
    }
    let mut next = (**attempt).clone();
    let mut draft = Draft::new(state, env);
    // Later attempts were asked about before matching had them.
    if next.attempt <= 1 && draft.pause_by_rule(task.scheduled_event_id) {
        return Ok(Decision::change(draft.finish(Durability::BeforeReply), Answer::Paused));
    }
    next.started_time = draft.now().as_nanos();
    next.request_id = request_id.to_owned();
    next.identity.clone_from(&poll.identity);
    next.waits_for_retry = false;
    draft.set_attempt(task.scheduled_event_id, next);
    Ok(Decision::change(draft.finish(Durability::BeforeReply), Answer::Started))
}
