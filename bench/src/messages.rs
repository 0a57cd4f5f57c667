//! Short ways to build and read the API's messages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use perdure_proto::{
    Timestamp,
    api::{
        command::{
            Command, CompleteWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
            StartChildWorkflowExecutionCommandAttributes, StartTimerCommandAttributes, command::Attributes,
        },
        common::{ActivityType, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType},
        enums::{CommandType, EventType, TaskQueueKind},
        history::HistoryEvent,
        taskqueue::TaskQueue,
        workflowservice::StartWorkflowExecutionRequest,
    },
};

/// One plain payload.
pub fn payloads(text: &str) -> Payloads {
    let payload = Payload { data: text.to_owned().into_bytes().into(), ..Default::default() };
    Payloads { payloads: vec![payload] }
}

/// The text of the first payload; empty when there is none.
pub fn text(payloads: Option<&Payloads>) -> String {
    let first = payloads.and_then(|payloads| payloads.payloads.first());
    first.map(|payload| String::from_utf8_lossy(&payload.data).into_owned()).unwrap_or_default()
}

/// A normal task queue.
pub fn normal_queue(name: &str) -> TaskQueue {
    TaskQueue { name: name.to_owned(), kind: TaskQueueKind::Normal.into(), ..Default::default() }
}

/// A sticky task queue of `normal`.
pub fn sticky_queue(name: &str, normal: &str) -> TaskQueue {
    TaskQueue { name: name.to_owned(), kind: TaskQueueKind::Sticky.into(), normal_name: normal.to_owned() }
}

/// An execution by its ids.
pub fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() }
}

/// A duration of the API; beyond what it can hold, its greatest value.
pub fn duration(value: Duration) -> perdure_proto::Duration {
    value.try_into().unwrap_or(perdure_proto::Duration { seconds: i64::MAX, nanos: 0 })
}

/// A start with what every scenario needs. Its request id is the workflow id, so a repeated start
/// gives the same run.
pub fn start(namespace: &str, workflow_id: &str, task_queue: &str) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        workflow_id: workflow_id.to_owned(),
        workflow_type: Some(WorkflowType { name: "load".to_owned() }),
        task_queue: Some(normal_queue(task_queue)),
        input: Some(payloads("load")),
        identity: "load".to_owned(),
        request_id: workflow_id.to_owned(),
        ..Default::default()
    }
}

/// Schedules an activity that must finish within `start_to_close` each time it is tried.
pub fn schedule_activity(task_queue: &str, start_to_close: Duration, retry: Option<RetryPolicy>) -> Command {
    command(
        CommandType::ScheduleActivityTask,
        Attributes::ScheduleActivityTaskCommandAttributes(ScheduleActivityTaskCommandAttributes {
            activity_id: "activity".to_owned(),
            activity_type: Some(ActivityType { name: "load".to_owned() }),
            task_queue: Some(normal_queue(task_queue)),
            input: Some(payloads("load")),
            start_to_close_timeout: Some(duration(start_to_close)),
            retry_policy: retry,
            ..Default::default()
        }),
    )
}

/// Starts a timer.
pub fn start_timer(fires_after: Duration) -> Command {
    command(
        CommandType::StartTimer,
        Attributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
            timer_id: "timer".to_owned(),
            start_to_fire_timeout: Some(duration(fires_after)),
        }),
    )
}

/// Starts a child workflow.
pub fn start_child(workflow_id: &str, task_queue: &str) -> Command {
    command(
        CommandType::StartChildWorkflowExecution,
        Attributes::StartChildWorkflowExecutionCommandAttributes(StartChildWorkflowExecutionCommandAttributes {
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType { name: "load".to_owned() }),
            task_queue: Some(normal_queue(task_queue)),
            input: Some(payloads("load")),
            ..Default::default()
        }),
    )
}

/// Completes the workflow.
pub fn complete_workflow(result: &str) -> Command {
    command(
        CommandType::CompleteWorkflowExecution,
        Attributes::CompleteWorkflowExecutionCommandAttributes(CompleteWorkflowExecutionCommandAttributes {
            result: Some(payloads(result)),
        }),
    )
}

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command { command_type: command_type.into(), attributes: Some(attributes), ..Default::default() }
}

/// Whether `event` is of type `wanted`.
pub fn is(event: &HistoryEvent, wanted: EventType) -> bool {
    event.event_type == i32::from(wanted)
}

/// Microseconds since the Unix epoch; 0 when absent.
pub fn micros(time: Option<&Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

/// Microseconds since the Unix epoch, by this machine's clock.
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
