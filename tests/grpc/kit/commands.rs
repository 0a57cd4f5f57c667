//! What workers decide.

use std::time::Duration;

use perdure_proto::api::{
    command::{
        CancelWorkflowExecutionCommandAttributes, Command, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes, RequestCancelActivityTaskCommandAttributes,
        ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes, command::Attributes,
    },
    common::{ActivityType, RetryPolicy},
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
