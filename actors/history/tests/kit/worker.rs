//! What workers decide, and a worker that works until there is nothing left to do.

use std::time::Duration;

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, time::span_to_proto};
use perdure_proto::api::{
    command::{
        CancelTimerCommandAttributes, Command, CompleteWorkflowExecutionCommandAttributes,
        ContinueAsNewWorkflowExecutionCommandAttributes, FailWorkflowExecutionCommandAttributes,
        ScheduleActivityTaskCommandAttributes, SignalExternalWorkflowExecutionCommandAttributes,
        StartChildWorkflowExecutionCommandAttributes, StartTimerCommandAttributes, command::Attributes,
    },
    common::WorkflowType,
    enums::{CommandType, EventType, ParentClosePolicy, WorkflowExecutionStatus},
    history::HistoryEvent,
    workflowservice as ws,
};
use perdure_rpc::{history::WithToken, matching::AddTask};

use super::{Node, QUEUE, WorkflowTask, World, activity_type, matching::is_workflow, queue, run_of, token_of};

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command { command_type: command_type.into(), attributes: Some(attributes), ..Default::default() }
}

pub(crate) fn complete_workflow() -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes::default();
    let attributes = Attributes::CompleteWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::CompleteWorkflowExecution, attributes)
}

pub(crate) fn fail_workflow() -> Command {
    let attributes = FailWorkflowExecutionCommandAttributes { failure: Some(Default::default()) };
    command(CommandType::FailWorkflowExecution, Attributes::FailWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn continue_as_new() -> Command {
    let attributes = ContinueAsNewWorkflowExecutionCommandAttributes {
        workflow_type: Some(WorkflowType { name: "order".into() }),
        task_queue: Some(queue(QUEUE)),
        ..Default::default()
    };
    let attributes = Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::ContinueAsNewWorkflowExecution, attributes)
}

/// An activity that may take an hour.
pub(crate) fn schedule_activity(id: &str) -> Command {
    schedule_activity_within(id, Duration::from_secs(3600))
}

/// An activity whose one attempt may take so long.
pub(crate) fn schedule_activity_within(id: &str, start_to_close: Duration) -> Command {
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: id.into(),
        activity_type: activity_type("charge"),
        task_queue: Some(queue(QUEUE)),
        start_to_close_timeout: Some(span_to_proto(start_to_close)),
        retry_policy: Some(perdure_proto::api::common::RetryPolicy { maximum_attempts: 1, ..Default::default() }),
        ..Default::default()
    };
    command(CommandType::ScheduleActivityTask, Attributes::ScheduleActivityTaskCommandAttributes(attributes))
}

pub(crate) fn start_timer(id: &str, after: Duration) -> Command {
    let start_to_fire_timeout = Some(span_to_proto(after));
    let attributes = StartTimerCommandAttributes { timer_id: id.into(), start_to_fire_timeout };
    command(CommandType::StartTimer, Attributes::StartTimerCommandAttributes(attributes))
}

pub(crate) fn cancel_timer(id: &str) -> Command {
    let attributes = CancelTimerCommandAttributes { timer_id: id.into() };
    command(CommandType::CancelTimer, Attributes::CancelTimerCommandAttributes(attributes))
}

/// A child that is terminated with its parent.
pub(crate) fn start_child(id: &str) -> Command {
    start_child_with(id, ParentClosePolicy::Terminate)
}

pub(crate) fn start_child_with(id: &str, policy: ParentClosePolicy) -> Command {
    let attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: id.into(),
        workflow_type: Some(WorkflowType { name: "part".into() }),
        parent_close_policy: policy.into(),
        ..Default::default()
    };
    let attributes = Attributes::StartChildWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::StartChildWorkflowExecution, attributes)
}

/// A signal to another workflow.
pub(crate) fn signal_other(id: &str) -> Command {
    let attributes = SignalExternalWorkflowExecutionCommandAttributes {
        execution: super::execution(id, ""),
        signal_name: "go".into(),
        ..Default::default()
    };
    let attributes = Attributes::SignalExternalWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::SignalExternalWorkflowExecution, attributes)
}

/// A worker's answer to a workflow task.
pub(crate) type Completion =
    Box<WithToken<perdure_proto::tokens::WorkflowTask, ws::RespondWorkflowTaskCompletedRequest>>;

/// A worker's decisions about a workflow task.
pub(crate) fn decisions(task: &WorkflowTask, commands: Vec<Command>) -> Completion {
    let request = ws::RespondWorkflowTaskCompletedRequest { commands, ..Default::default() };
    Box::new(WithToken { token: token_of(task), request })
}

impl Node {
    /// A worker answers a workflow task.
    pub(crate) async fn decide(
        &self,
        task: &WorkflowTask,
        commands: Vec<Command>,
    ) -> ServiceResult<ws::RespondWorkflowTaskCompletedResponse> {
        let completion = decisions(task, commands);
        let workflow_id = completion.token.workflow_id.clone();
        self.ask(&workflow_id, completion).await
    }
}

impl World {
    /// Starts a workflow and has its first task completed with `commands`. Returns the run's id.
    pub(crate) async fn begin(&self, node: &Node, workflow_id: &str, commands: Vec<Command>) -> String {
        let started = node.ask(workflow_id, super::start(workflow_id)).await.unwrap();
        let task = self.workflow_task(node).await;
        assert_eq!(token_of(&task).workflow_id, workflow_id);
        node.decide(&task, commands).await.unwrap();
        started.run_id
    }

    /// The next task that is not stale, which must be a workflow task, taken by a worker.
    pub(crate) async fn workflow_task(&self, node: &Node) -> WorkflowTask {
        loop {
            let task = self.matching.task().await;
            assert!(is_workflow(&task));
            match node.take_workflow_task(&task).await {
                Ok(taken) => return taken,
                Err(error) => assert!(is_over(&error), "{error:?}"),
            }
        }
    }

    /// Workers take tasks until the workflow is closed. The workflow runs one activity and completes. Gives
    /// every task that was offered, also those that were stale.
    pub(crate) async fn work_until_closed(&self, node: &Node, workflow_id: &str) -> Vec<AddTask> {
        let mut seen = Vec::new();
        while node.status(workflow_id).await == WorkflowExecutionStatus::Running {
            let task = self.matching.task().await;
            seen.push(task.clone());
            let done = if is_workflow(&task) { decide_one(node, &task).await } else { run_activity(node, &task).await };
            if let Err(error) = done {
                assert!(is_over(&error), "{error:?}");
            }
        }
        seen
    }
}

/// Whether a task is refused because it is not wanted any more.
fn is_over(error: &ServiceError) -> bool {
    matches!(error.kind, ErrorKind::StaleTask | ErrorKind::NotFound)
}

async fn run_activity(node: &Node, task: &AddTask) -> ServiceResult<()> {
    let activity = node.take_activity_task(task).await?;
    node.complete_activity(&activity).await.unwrap();
    Ok(())
}

async fn decide_one(node: &Node, offered: &AddTask) -> ServiceResult<()> {
    let task = node.take_workflow_task(offered).await?;
    let events = node.events(&run_of(offered).business_id, &run_of(offered).run_id).await;
    node.decide(&task, one_activity(&events)).await.unwrap();
    Ok(())
}

/// The workflow of one activity.
pub(crate) fn one_activity(events: &[HistoryEvent]) -> Vec<Command> {
    let has = |kind: EventType| events.iter().any(|event| event.event_type() == kind);
    if has(EventType::ActivityTaskCompleted) {
        vec![complete_workflow()]
    } else if has(EventType::ActivityTaskScheduled) {
        Vec::new()
    } else {
        vec![schedule_activity("charge")]
    }
}
