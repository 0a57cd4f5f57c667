//! A worker has made its decisions.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{
        enums::WorkflowTaskFailedCause,
        failure::{Failure, ServerFailureInfo, failure::FailureInfo},
        history::{WorkflowTaskCompletedEventAttributes, history_event::Attributes},
        protocol::Message,
        workflowservice::RespondWorkflowTaskCompletedRequest,
    },
    records, tokens,
};

use crate::{
    Env,
    workflow::{
        Decision, Transition, WorkflowState,
        change::Durability,
        close::SERVER_IDENTITY,
        commands::{CommandFailure, Commands, Neighbours},
        draft::Draft,
        task::{Delivery, TaskFailure, TaskStart, as_nanos, is_unwritten},
    },
};

/// Request id of a workflow task that is handed to the worker in the answer to the one before.
const INLINE_REQUEST_ID: &str = "request-from-RespondWorkflowTaskCompleted";

/// What the worker is told.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The next workflow task is started and goes into the response.
    pub new_task: bool,
    /// Messages that go with the next workflow task.
    pub messages: Vec<Message>,
    /// The workflow task left no trace: the worker goes back to this event, the start of the task before it.
    /// 0 when its events were written.
    pub reset_history_event_id: i64,
    /// Activities started for this worker, by scheduled event id; they go into the response.
    pub eager_activities: Vec<i64>,
    /// The decisions were refused: this is the error to return once the failure is recorded.
    pub refused: Option<ServiceError>,
}

/// The refusal of answers to a workflow task that the worker no longer has.
pub(crate) fn require_task(state: &WorkflowState, token: &tokens::WorkflowTask) -> ServiceResult<()> {
    let valid = state.is_open()
        && state.started_task().is_some_and(|task| {
            task.scheduled_event_id == token.scheduled_event_id
                && (token.started_event_id == 0 || task.started_event_id == token.started_event_id)
                && (token.started_time == 0 || task.started_time == token.started_time)
                && task.attempt == token.attempt
        });
    if valid { Ok(()) } else { Err(ServiceError::not_found("Workflow task not found.")) }
}

/// Carries out the commands, all or none. Commands that cannot be carried out fail the workflow task on
/// its first attempt; on later attempts nothing is recorded and the task is left to time out. `neighbours`
/// are the other namespaces that commands name.
pub fn decide(
    state: &WorkflowState,
    token: &tokens::WorkflowTask,
    mut request: RespondWorkflowTaskCompletedRequest,
    neighbours: &Neighbours,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<Answer>> {
    require_task(state, token)?;
    let Some(task) = state.started_task().cloned() else {
        return Err(ServiceError::not_found("Workflow task not found."));
    };
    if state.is_paused() && request.force_create_new_workflow_task {
        let text = "Workflow is paused and force create new workflow task is not allowed.";
        return Err(ServiceError::new(ErrorKind::FailedPrecondition, text));
    }
    let heartbeat =
        request.force_create_new_workflow_task && request.commands.is_empty() && request.messages.is_empty();
    let chain_since = Timestamp::from_nanos(task.original_scheduled_time);
    if heartbeat && env.now > chain_since + env.limits().workflow_task_heartbeat_max {
        return Ok(end_heartbeats(state, env));
    }
    if env.namespace.bad_binaries.contains_key(&request.binary_checksum) {
        let text = format!("binary {} is marked as bad deployment", request.binary_checksum);
        return refuse(state, &task, &request, CommandFailure::fail(WorkflowTaskFailedCause::BadBinary, text), env);
    }

    let leaves_no_trace = state.drops_task(&task, &request, env.limits());
    let commands = std::mem::take(&mut request.commands);
    let messages = std::mem::take(&mut request.messages);
    let had_buffered = !state.volatile.buffered.is_empty();
    let mut draft = Draft::new(state, env);
    let completed_event_id = draft.complete_task(task.clone(), &request, leaves_no_trace);
    let mut run = Commands::new(&mut draft, &request, neighbours, completed_event_id, had_buffered);
    if let Err(failure) = run.handle_all(commands, messages) {
        drop(draft);
        return refuse(state, &task, &request, failure, env);
    }
    let (eager_activities, wake) = run.finish();

    let mut answer = Answer { eager_activities, ..Answer::default() };
    if leaves_no_trace {
        answer.reset_history_event_id = state.record.last_completed_started_event_id;
    }
    let forced = request.force_create_new_workflow_task;
    if draft.state.is_open() {
        if !forced {
            draft.reject_unprocessed_updates();
        }
        let delivery = if request.return_new_workflow_task { Delivery::Inline } else { Delivery::Dispatch };
        if forced || wake {
            let since = if heartbeat { chain_since } else { draft.now() };
            draft.schedule_task_since(delivery, since);
        } else if draft.state.has_outgoing_updates() && !draft.state.is_paused() {
            match delivery {
                Delivery::Inline => draft.schedule_speculative_task(delivery),
                Delivery::Dispatch => draft.schedule_task(delivery),
            }
        }
        if delivery == Delivery::Inline && draft.state.task().is_some() {
            draft.start_task(TaskStart {
                identity: request.identity,
                request_id: INLINE_REQUEST_ID.to_owned(),
                worker_version: request.worker_version_stamp,
            });
            answer.new_task = true;
            answer.messages = draft.send_updates(!forced);
        }
    }
    let in_memory = leaves_no_trace && draft.state.task().is_none_or(|task| task.speculative);
    let durability = if in_memory { Durability::InMemory } else { Durability::BeforeReply };
    Ok(Decision::change(draft.finish(durability), answer))
}

impl Draft<'_, '_> {
    /// Writes the completed event, unless the task leaves no trace, and sets or clears stickiness. Returns the
    /// event's id, or 0.
    fn complete_task(
        &mut self,
        mut task: records::WorkflowTask,
        request: &RespondWorkflowTaskCompletedRequest,
        leaves_no_trace: bool,
    ) -> i64 {
        self.state.volatile.run.task = None;
        self.state.volatile.run.next_task_attempt = 1;
        self.forget_problems();
        self.state.volatile.run.close_attempted = false;
        let event_id = if leaves_no_trace { 0 } else { self.write_completion(&mut task, request) };
        let sticky = request.sticky_attributes.as_ref();
        match sticky.and_then(|sticky| sticky.worker_task_queue.as_ref().map(|queue| (queue, sticky))) {
            Some((queue, sticky)) if !queue.name.is_empty() => {
                let to_start = perdure_kernel::time::span(sticky.schedule_to_start_timeout.as_ref());
                self.state.volatile.run.sticky_queue.clone_from(&queue.name);
                self.state.volatile.run.sticky_schedule_to_start = as_nanos(to_start);
            }
            Some(_) | None => self.clear_sticky(),
        }
        event_id
    }

    fn write_completion(
        &mut self,
        task: &mut records::WorkflowTask,
        request: &RespondWorkflowTaskCompletedRequest,
    ) -> i64 {
        if is_unwritten(task) {
            self.state.volatile.run.first_task_at = 0;
            self.write_task_events(task, &request.identity, request.worker_version_stamp.clone());
        }
        let completed = WorkflowTaskCompletedEventAttributes {
            scheduled_event_id: task.scheduled_event_id,
            started_event_id: task.started_event_id,
            identity: request.identity.clone(),
            binary_checksum: request.binary_checksum.clone(),
            worker_version: request.worker_version_stamp.clone(),
            sdk_metadata: request.sdk_metadata.clone(),
            metering_metadata: request.metering_metadata,
            ..Default::default()
        };
        self.emit(Attributes::WorkflowTaskCompletedEventAttributes(completed))
    }

    /// A running workflow task whose waiting events are over their bounds is ended, so that they can join
    /// the history.
    pub(crate) fn force_close_on_overflow(&mut self) {
        if !self.buffer_overflows() {
            return;
        }
        self.fail_task(TaskFailure::by_server(WorkflowTaskFailedCause::ForceCloseCommand));
        self.schedule_task(Delivery::Dispatch);
    }
}

/// The worker only kept its task alive, for too long.
fn end_heartbeats(state: &WorkflowState, env: &mut Env<'_>) -> Decision<Answer> {
    let mut draft = Draft::new(state, env);
    draft.time_out_task();
    draft.clear_sticky();
    draft.schedule_task(Delivery::Dispatch);
    let refused = Some(ServiceError::not_found("workflow task heartbeat timeout"));
    Decision::change(draft.finish(Durability::BeforeReply), Answer { refused, ..Answer::default() })
}

/// The commands cannot be carried out: nothing of them happened, the task failed.
fn refuse(
    state: &WorkflowState,
    task: &records::WorkflowTask,
    request: &RespondWorkflowTaskCompletedRequest,
    failure: CommandFailure,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<Answer>> {
    let (cause, text, terminates) = match failure {
        CommandFailure::Reject(error) if task.speculative => {
            let mut draft = Draft::new(state, env);
            draft.renew_speculative_task();
            let answer = Answer { refused: Some(error), ..Answer::default() };
            return Ok(Decision::change(draft.finish(Durability::InMemory), answer));
        }
        CommandFailure::Reject(error) => return Err(error),
        CommandFailure::FailTask { cause, text } => (cause, text, false),
        CommandFailure::EndRun { cause, text } => (cause, text, true),
    };
    let message = if text.is_empty() { format!("{cause:?}") } else { format!("{cause:?}: {text}") };
    let error = ServiceError::invalid_argument(message.clone());
    if task.attempt > 1 && cause != WorkflowTaskFailedCause::UnhandledCommand {
        if state.volatile.updates.is_empty() {
            return Err(error);
        }
        let mut draft = Draft::new(state, env);
        draft.refuse_updates_of_failed_task();
        let transition = draft.finish(Durability::InMemory);
        return Ok(Decision::change(transition, Answer { refused: Some(error), ..Answer::default() }));
    }
    let transition = failed(state, request, cause, &message, terminates, env);
    Ok(Decision::change(transition, Answer { refused: Some(error), ..Answer::default() }))
}

fn failed(
    state: &WorkflowState,
    request: &RespondWorkflowTaskCompletedRequest,
    cause: WorkflowTaskFailedCause,
    message: &str,
    terminates: bool,
    env: &mut Env<'_>,
) -> Transition {
    let mut draft = Draft::new(state, env);
    draft.fail_task(TaskFailure {
        cause,
        failure: Some(Failure {
            message: message.to_owned(),
            failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo::default())),
            ..Default::default()
        }),
        identity: request.identity.clone(),
        binary_checksum: request.binary_checksum.clone(),
        reset: None,
    });
    draft.refuse_updates_of_failed_task();
    if terminates {
        draft.terminate(message, None, SERVER_IDENTITY, Vec::new());
    } else {
        draft.schedule_task(Delivery::Dispatch);
    }
    draft.finish(Durability::BeforeReply)
}
