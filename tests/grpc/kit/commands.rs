//! What workers decide.

use std::time::Duration;

use perdure_proto::api::{
    command::{
        CancelWorkflowExecutionCommandAttributes, Command, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes, RequestCancelActivityTaskCommandAttributes,
        RequestCancelExternalWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, StartChildWorkflowExecutionCommandAttributes,
        StartTimerCommandAttributes, command::Attributes,
    },
    common::{ActivityType, RetryPolicy, WorkflowType},
    enums::CommandType,
};

use super::{failure, normal, payloads, seconds, span};

pub(crate) fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command { command_type: command_type.into(), attributes: Some(attributes), ..Default::default() }
}

pub(crate) fn complete(result: &str) -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes { result: payloads(result) };
    command(CommandType::CompleteWorkflowExecution, Attributes::CompleteWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn fail(message: &str) -> Command {
    let attributes = FailWorkflowExecutionCommandAttributes { failure: failure(message, false) };
    command(CommandType::FailWorkflowExecution, Attributes::FailWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn cancel() -> Command {
    let attributes = CancelWorkflowExecutionCommandAttributes::default();
    command(CommandType::CancelWorkflowExecution, Attributes::CancelWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn timer(id: &str, after: Duration) -> Command {
    let attributes = StartTimerCommandAttributes { timer_id: id.to_owned(), start_to_fire_timeout: span(after) };
    command(CommandType::StartTimer, Attributes::StartTimerCommandAttributes(attributes))
}

/// An activity on this queue, tried at most so often, without pauses to speak of.
pub(crate) fn activity(id: &str, queue: &str, attempts_max: i32) -> ScheduleActivityTaskCommandAttributes {
    ScheduleActivityTaskCommandAttributes {
        activity_id: id.to_owned(),
        activity_type: Some(ActivityType { name: "charge".to_owned() }),
        task_queue: normal(queue),
        input: payloads("input"),
        start_to_close_timeout: seconds(600),
        retry_policy: Some(RetryPolicy {
            initial_interval: span(Duration::from_millis(1)),
            backoff_coefficient: 1.0,
            maximum_attempts: attempts_max,
            ..RetryPolicy::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn schedule(attributes: ScheduleActivityTaskCommandAttributes) -> Command {
    command(CommandType::ScheduleActivityTask, Attributes::ScheduleActivityTaskCommandAttributes(attributes))
}

pub(crate) fn cancel_activity(scheduled_event_id: i64) -> Command {
    let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
    command(CommandType::RequestCancelActivityTask, Attributes::RequestCancelActivityTaskCommandAttributes(attributes))
}

/// A child on this queue, changed by `adjust`.
pub(crate) fn child_with(
    id: &str,
    queue: &str,
    adjust: impl Fn(&mut StartChildWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: "part".to_owned() }),
        task_queue: normal(queue),
        input: payloads("input"),
        ..Default::default()
    };
    adjust(&mut attributes);
    let attributes = Attributes::StartChildWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::StartChildWorkflowExecution, attributes)
}

/// A child on this queue.
pub(crate) fn child(id: &str, queue: &str) -> Command {
    child_with(id, queue, |_| {})
}

/// A signal to another workflow, changed by `adjust`.
pub(crate) fn signal_other(
    id: &str,
    adjust: impl Fn(&mut SignalExternalWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = SignalExternalWorkflowExecutionCommandAttributes {
        execution: super::execution(id, ""),
        signal_name: "go".to_owned(),
        input: payloads("input"),
        ..Default::default()
    };
    adjust(&mut attributes);
    let attributes = Attributes::SignalExternalWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::SignalExternalWorkflowExecution, attributes)
}

/// A cancellation of another workflow, changed by `adjust`.
pub(crate) fn cancel_other(
    id: &str,
    adjust: impl Fn(&mut RequestCancelExternalWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = RequestCancelExternalWorkflowExecutionCommandAttributes {
        workflow_id: id.to_owned(),
        reason: "enough".to_owned(),
        ..Default::default()
    };
    adjust(&mut attributes);
    let attributes = Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::RequestCancelExternalWorkflowExecution, attributes)
}
