//! The scenarios: what the worker decides, and how the starters drive it.
//!
//! The worker keeps nothing between tasks. What it has to do follows from the events of the task
//! alone, with a full history as well as with the tail that a sticky queue gives.

mod open;
mod start_to_close;
mod timer;

use std::time::{Duration, Instant};

use perdure_proto::api::{
    command::Command,
    enums::{EventType, HistoryEventFilterType},
    history::{HistoryEvent, history_event::Attributes},
    workflowservice::{GetWorkflowExecutionHistoryRequest, PollWorkflowTaskQueueResponse},
};
use tonic::Status;

use crate::{
    client::{Answer, Rpc, SHORT_CALL, WAIT_FOR_CLOSE, until_acknowledged, with_deadline},
    messages::{self, is},
    options::LoadOptions,
    run::ThreadContext,
};

/// A workflow that was acknowledged and is not closed after this long is lost.
pub const LOST_AFTER: Duration = Duration::from_secs(90);
/// Start-to-close timeout of activities.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(60);
/// The signal that lets a workflow of `signal`, `query` and `update` complete.
const FINISH: &str = "finish";

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// A workflow that completes in its first task.
    Empty,
    /// A workflow of one activity. An operation is a workflow, from its start until its close is seen.
    OneActivity,
    /// Workflows of one timer, started at --rate. An operation is a fired timer.
    Timer,
    /// Signals to open workflows, one at a time to each. An operation is an acknowledged signal.
    Signal,
    /// Queries of open workflows, one at a time of each. An operation is an answered query.
    Query,
    /// Updates of open workflows, one at a time of each. An operation is an update whose outcome is known.
    Update,
}

impl Scenario {
    /// The commands that answer a workflow task whose events are `events`.
    pub fn decide(
        self,
        task: &PollWorkflowTaskQueueResponse,
        events: &[HistoryEvent],
        task_queue: &str,
        options: &LoadOptions,
    ) -> Vec<Command> {
        let has = |wanted| events.iter().any(|event| is(event, wanted));
        let first = task.previous_started_event_id == 0;
        match self {
            Scenario::Empty => vec![messages::complete_workflow("done")],
            Scenario::OneActivity if has(EventType::ActivityTaskCompleted) => {
                vec![messages::complete_workflow("done")]
            }
            Scenario::OneActivity if first && !has(EventType::ActivityTaskScheduled) => {
                vec![messages::schedule_activity(task_queue, ACTIVITY_TIMEOUT, None)]
            }
            Scenario::Timer if has(EventType::TimerFired) => vec![messages::complete_workflow("done")],
            Scenario::Timer if first && !has(EventType::TimerStarted) => vec![messages::start_timer(options.timer())],
            Scenario::Signal | Scenario::Query | Scenario::Update
                if events.iter().any(|event| signal_name(event) == Some(FINISH)) =>
            {
                vec![messages::complete_workflow("done")]
            }
            Scenario::OneActivity | Scenario::Timer | Scenario::Signal | Scenario::Query | Scenario::Update => {
                Vec::new()
            }
        }
    }

    /// Whether the worker needs activity pollers.
    pub fn has_activities(self) -> bool {
        self == Scenario::OneActivity
    }

    /// Drives the `slot`-th of the thread's starters until the run is over.
    pub async fn drive(self, context: ThreadContext, slot: usize) {
        match self {
            Scenario::Empty | Scenario::OneActivity => start_to_close::drive(context, slot).await,
            Scenario::Timer => timer::drive(context, slot).await,
            Scenario::Signal => open::signal(context, slot).await,
            Scenario::Query => open::query(context, slot).await,
            Scenario::Update => open::update(context, slot).await,
        }
    }

    /// Notes what only the worker sees in a task: how late a timer was.
    pub fn observe(self, context: &ThreadContext, events: &[HistoryEvent]) {
        if self == Scenario::Timer {
            timer::observe(context, events);
        }
    }
}

fn signal_name(event: &HistoryEvent) -> Option<&str> {
    match &event.attributes {
        Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => Some(&signal.signal_name),
        _ => None,
    }
}

/// Starts a workflow; `None` when the server would not, which is noted.
async fn start(context: &ThreadContext, rpc: &Rpc, workflow_id: &str) -> Option<String> {
    let request = messages::start(&context.options.namespace, workflow_id, &context.task_queue);
    let given_up = Instant::now() + LOST_AFTER;
    let Answer { result, .. } = until_acknowledged(
        given_up,
        |status| context.tally.lock().error("StartWorkflowExecution", status),
        || {
            let mut rpc = rpc.clone();
            let request = with_deadline(request.clone(), SHORT_CALL);
            async move { rpc.start_workflow_execution(request).await }
        },
    )
    .await;
    let mut tally = context.tally.lock();
    match result {
        Ok(response) => {
            tally.started += 1;
            Some(response.run_id)
        }
        Err(status) => {
            tally.violation(format!("start of {workflow_id} was refused: {}", status.message()));
            None
        }
    }
}

/// Waits until the run closes and holds it against COMPLETED. Whether it was.
async fn wait_completed(context: &ThreadContext, rpc: &Rpc, workflow_id: &str, run_id: &str) -> bool {
    let outcome = close_event(context, rpc, workflow_id, run_id).await;
    let mut tally = context.tally.lock();
    match outcome {
        Ok(Some(event)) if is(&event, EventType::WorkflowExecutionCompleted) => {
            tally.completed += 1;
            return true;
        }
        Ok(Some(event)) => tally.violation(format!("{workflow_id} closed as {:?}", event.event_type())),
        Ok(None) => tally.violation(format!("{workflow_id} was not closed after {LOST_AFTER:?}")),
        Err(status) => tally.violation(format!("{workflow_id} cannot be read: {}", status.message())),
    }
    false
}

/// The close event of a run; `None` when it does not close in time.
async fn close_event(
    context: &ThreadContext,
    rpc: &Rpc,
    workflow_id: &str,
    run_id: &str,
) -> Result<Option<HistoryEvent>, Status> {
    let given_up = Instant::now() + LOST_AFTER;
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: context.options.namespace.clone(),
        execution: Some(messages::execution(workflow_id, run_id)),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
        ..Default::default()
    };
    while Instant::now() < given_up {
        let answer = until_acknowledged(
            given_up,
            |status| context.tally.lock().error("GetWorkflowExecutionHistory", status),
            || {
                let mut rpc = rpc.clone();
                let request = with_deadline(request.clone(), WAIT_FOR_CLOSE);
                async move { rpc.get_workflow_execution_history(request).await }
            },
        )
        .await;
        let response = answer.result?;
        if let Some(event) = response.history.and_then(|mut history| history.events.pop()) {
            return Ok(Some(event));
        }
        // No event and a token: the server ended the poll, the run is still open.
        request.next_page_token = response.next_page_token;
    }
    Ok(None)
}
