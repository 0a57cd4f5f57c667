//! A worker takes a workflow task.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::{protocol::Message, workflowservice::PollWorkflowTaskQueueRequest};

use crate::{
    Env,
    workflow::{Decision, WorkflowState, change::Durability, draft::Draft, task::TaskStart},
};

/// What matching knows about the match.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The task's scheduled event.
    pub scheduled_event_id: i64,
    /// The task's attempt.
    pub attempt: i32,
    /// The task's stamp: older ones are void.
    pub stamp: i32,
    /// Fresh for every match; the same id again gets the same answer.
    pub request_id: &'a str,
    /// Name of the sticky queue the worker polled; `None` for the normal one.
    pub sticky_queue: Option<&'a str>,
}

/// Records the start. Losing it only means that the task is dispatched again, so it need not be durable
/// before the worker has it. Answers with the messages that go to the worker.
pub fn decide(
    state: &WorkflowState,
    matched: Match<'_>,
    poll: &PollWorkflowTaskQueueRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<Vec<Message>>> {
    let stale = |why: &'static str| Err(ServiceError::new(ErrorKind::StaleTask, why));
    if !state.is_open() {
        return stale("the workflow is closed");
    }
    let Some(task) = state.task() else { return stale("the workflow task has ended") };
    if task.scheduled_event_id != matched.scheduled_event_id || task.attempt != matched.attempt {
        return stale("the workflow task has ended");
    }
    if task.stamp != matched.stamp {
        return stale("the workflow task was sent again");
    }
    if task.started_time != 0 {
        // The answer to an earlier delivery of the same match was lost on the way.
        let repeated = task.request_id == matched.request_id;
        return if repeated {
            Ok(Decision::nothing(state.update_messages(true)))
        } else {
            stale("another worker has the workflow task")
        };
    }
    let sticky_queue = &state.volatile.run.sticky_queue;
    match matched.sticky_queue {
        Some(polled) if polled != sticky_queue => return stale("the workflow left this sticky queue"),
        Some(_) | None => {}
    }
    let mut draft = Draft::new(state, env);
    if matched.sticky_queue.is_none() {
        // A worker without this workflow in its cache: whatever comes next goes to whoever says so.
        draft.clear_sticky();
    }
    draft.start_task(TaskStart {
        identity: poll.identity.clone(),
        request_id: matched.request_id.to_owned(),
        worker_version: stamp(poll),
    });
    let messages = draft.send_updates(true);
    let in_memory = draft.state.task_is_speculative();
    if in_memory && messages.is_empty() {
        return stale("No messages for speculative workflow task.");
    }
    Ok(Decision::change(draft.finish(if in_memory { Durability::InMemory } else { Durability::WithNext }), messages))
}

/// The build that polls, as the started event carries it.
fn stamp(poll: &PollWorkflowTaskQueueRequest) -> Option<perdure_proto::api::common::WorkerVersionStamp> {
    let capabilities = poll.worker_version_capabilities.as_ref()?;
    Some(perdure_proto::api::common::WorkerVersionStamp {
        build_id: capabilities.build_id.clone(),
        use_versioning: capabilities.use_versioning,
    })
}
