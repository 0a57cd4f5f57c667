//! What a worker gets with its task.

use perdure_execution::workflow::{WorkflowState, options_in_force};
use perdure_kernel::{ServiceResult, Timestamp};
use perdure_proto::{
    api::{
        common::WorkflowExecution,
        enums::TaskQueueKind,
        history::{History, HistoryEvent},
        protocol::Message,
        taskqueue::TaskQueue,
        workflowservice::{PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse},
    },
    tokens,
};
use perdure_runtime::Ctx;

use super::{Shard, events::EventRange, load::unreadable, message::ShardMsg, reads::encode, run::Run};

/// A workflow task's answer, but for events that have to be read.
pub(super) struct TaskAnswer {
    response: Box<PollWorkflowTaskQueueResponse>,
    events: EventRange,
    tail: Vec<HistoryEvent>,
}

/// What of the history a worker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// All of it.
    Everything,
    /// What came since its last task: it has the rest in its cache.
    News,
}

impl TaskAnswer {
    /// The answer to a poll that took the run's started task.
    pub(super) fn of_task(
        run: &mut Run,
        needs: Needs,
        messages: Vec<Message>,
        page_max: usize,
        namespace_id: &str,
    ) -> Option<Self> {
        let state = &run.state;
        let task = state.started_task()?;
        let previous = state.record.last_completed_started_event_id;
        let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
        let token = tokens::WorkflowTask {
            namespace_id: namespace_id.to_owned(),
            workflow_id: state.workflow_id().to_owned(),
            run_id: state.run_id().to_owned(),
            scheduled_event_id: task.scheduled_event_id,
            started_event_id: task.started_event_id,
            started_time: task.started_time,
            attempt: task.attempt,
        };
        let mut response = PollWorkflowTaskQueueResponse {
            task_token: encode(token),
            previous_started_event_id: previous,
            started_event_id: task.started_event_id,
            attempt: task.attempt,
            scheduled_time: at(task.scheduled_time),
            started_time: at(task.started_time),
            messages,
            ..about_run(state)
        };
        let first = if needs == Needs::News { previous + 1 } else { 1 };
        let (events, tail) = first_page(run, first, page_max, &mut response);
        for query in &mut run.queries {
            query.sent = true;
            let asked = query.ask.request.query.clone().unwrap_or_default();
            response.queries.insert(query.id.clone(), asked);
        }
        Some(Self { response: Box::new(response), events, tail })
    }

    /// The answer to a poll that took a direct query.
    pub(super) fn of_query(run: &Run, needs: Needs, page_max: usize) -> Self {
        let previous = run.state.record.last_completed_started_event_id;
        let mut response = PollWorkflowTaskQueueResponse {
            previous_started_event_id: previous,
            started_event_id: previous,
            attempt: 1,
            ..about_run(&run.state)
        };
        let first = if needs == Needs::News { run.durable_end() } else { 1 };
        let (events, tail) = first_page(run, first, page_max, &mut response);
        Self { response: Box::new(response), events, tail }
    }

    /// Hands the answer to `send`, at once or when the store has given the events.
    pub(super) fn send(
        self,
        shard: &Shard,
        key: &perdure_kernel::ExecutionKey,
        ctx: &mut Ctx<Shard>,
        send: impl FnOnce(ServiceResult<Box<PollWorkflowTaskQueueResponse>>) + 'static,
    ) {
        let Self { mut response, events, tail } = self;
        let finish = move |mut events: Vec<HistoryEvent>| {
            events.extend(tail);
            response.history = Some(History { events });
            response
        };
        if let Some(events) = events.ready() {
            return send(Ok(finish(events)));
        }
        let (store, id, key) = (shard.store.clone(), shard.id, key.clone());
        ctx.spawn_io(
            async move {
                let events = events.read(&store, id, &key).await;
                send(events.map(finish).map_err(|error| unreadable(&error)));
            },
            |()| ShardMsg::Answered,
        );
    }
}

/// The first page of `first..`, with a token for the next one when there is one.
fn first_page(
    run: &Run,
    first: i64,
    page_max: usize,
    response: &mut PollWorkflowTaskQueueResponse,
) -> (EventRange, Vec<HistoryEvent>) {
    let end = run.state.next_event_id();
    let page_end = end.min(first + i64::try_from(page_max).unwrap_or(i64::MAX));
    if page_end < end {
        response.next_page_token = encode(tokens::HistoryPage {
            run_id: run.run_id.to_string(),
            next_event_id: page_end,
            end_event_id: end,
            ..Default::default()
        });
        return (run.events(first, page_end), Vec::new());
    }
    (run.events(first, end), run.state.transient_tail())
}

fn about_run(state: &WorkflowState) -> PollWorkflowTaskQueueResponse {
    PollWorkflowTaskQueueResponse {
        workflow_execution: Some(execution(state)),
        workflow_type: state.start.workflow_type.clone(),
        workflow_execution_task_queue: Some(TaskQueue {
            name: state.task_queue().to_owned(),
            kind: TaskQueueKind::Normal.into(),
            normal_name: String::new(),
        }),
        ..Default::default()
    }
}

fn execution(state: &WorkflowState) -> WorkflowExecution {
    WorkflowExecution { workflow_id: state.workflow_id().to_owned(), run_id: state.run_id().to_owned() }
}

/// The answer to a poll that took an activity's started attempt.
pub(super) fn activity_answer(
    state: &WorkflowState,
    scheduled_event_id: i64,
    namespace: &perdure_kernel::Namespace,
) -> Option<PollActivityTaskQueueResponse> {
    let activity = state.activities.get(&scheduled_event_id)?;
    let attempt = state.attempt(scheduled_event_id)?;
    let options = activity.attributes.as_ref()?;
    let in_force = options_in_force::in_force(activity, attempt);
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let activity_type = options.activity_type.clone();
    let token = tokens::ActivityTask {
        namespace_id: namespace.id.to_string(),
        workflow_id: state.workflow_id().to_owned(),
        run_id: state.run_id().to_owned(),
        scheduled_event_id,
        attempt: attempt.attempt,
        activity_id: options.activity_id.clone(),
        activity_type: activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        ..Default::default()
    };
    Some(PollActivityTaskQueueResponse {
        task_token: encode(token),
        workflow_namespace: namespace.name.clone(),
        workflow_type: state.start.workflow_type.clone(),
        workflow_execution: Some(execution(state)),
        activity_type,
        activity_id: options.activity_id.clone(),
        header: options.header.clone(),
        input: options.input.clone(),
        heartbeat_details: attempt.heartbeat_details.clone(),
        scheduled_time: at(activity.scheduled_time),
        current_attempt_scheduled_time: at(attempt.scheduled_time),
        started_time: at(attempt.started_time),
        attempt: attempt.attempt,
        schedule_to_close_timeout: options.schedule_to_close_timeout,
        start_to_close_timeout: options.start_to_close_timeout,
        heartbeat_timeout: options.heartbeat_timeout,
        // Timeouts are those it was scheduled with, whatever holds here, as in Temporal.
        retry_policy: in_force.retry_policy.cloned(),
        priority: in_force.priority.cloned(),
        ..Default::default()
    })
}
