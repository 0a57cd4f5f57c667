//! Requests, commands and values.

use std::time::Duration;

use perdure_execution::workflow::Signal;
use perdure_kernel::time::span_to_proto;
use perdure_proto::{
    Any, Duration as ProtoDuration, FieldMask,
    api::{
        command::{
            CancelTimerCommandAttributes, CancelWorkflowExecutionCommandAttributes, Command,
            CompleteWorkflowExecutionCommandAttributes, ContinueAsNewWorkflowExecutionCommandAttributes,
            FailWorkflowExecutionCommandAttributes, ProtocolMessageCommandAttributes, RecordMarkerCommandAttributes,
            RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes,
            StartTimerCommandAttributes, command::Attributes,
        },
        common::{ActivityType, Payload, Payloads, Priority, RetryPolicy, WorkflowType},
        enums::CommandType,
        failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
        history::WorkflowExecutionSignaledEventAttributes,
        protocol::Message,
        taskqueue::{StickyExecutionAttributes, TaskQueue},
        update::{Acceptance, Input, Meta, Outcome, Rejection, Request, Response, outcome},
        workflow::{VersioningOverride, WorkflowExecutionOptions, versioning_override::Override},
        workflowservice::{
            ResetWorkflowExecutionRequest, StartWorkflowExecutionRequest, UpdateWorkflowExecutionOptionsRequest,
            UpdateWorkflowExecutionRequest,
        },
    },
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Whole seconds as requests carry them.
pub(crate) fn secs(seconds: i64) -> Option<ProtoDuration> {
    Some(ProtoDuration { seconds, nanos: 0 })
}

pub(crate) fn queue(name: &str) -> Option<TaskQueue> {
    Some(TaskQueue { name: name.to_owned(), ..Default::default() })
}

pub(crate) fn payload(text: &str) -> Payload {
    let metadata = [("encoding".to_owned(), bytes::Bytes::from_static(b"json/plain"))].into();
    Payload { metadata, data: format!("\"{text}\"").into_bytes().into(), ..Default::default() }
}

pub(crate) fn payloads(text: &str) -> Option<Payloads> {
    Some(Payloads { payloads: vec![payload(text)] })
}

/// A payload of many bytes.
pub(crate) fn bulk(size: usize) -> Option<Payloads> {
    Some(Payloads { payloads: vec![Payload { data: vec![b'x'; size].into(), ..Default::default() }] })
}

pub(crate) fn start_request() -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: "namespace".to_owned(),
        workflow_id: "workflow".to_owned(),
        workflow_type: Some(WorkflowType { name: "kind".to_owned() }),
        task_queue: queue("queue"),
        input: payloads("input"),
        identity: "client".to_owned(),
        request_id: "start-1".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn signal(name: &str, request_id: &str) -> Signal {
    Signal {
        attributes: WorkflowExecutionSignaledEventAttributes { signal_name: name.to_owned(), ..Default::default() },
        request_id: request_id.to_owned(),
        links: Vec::new(),
    }
}

pub(crate) fn sticky(name: &str, schedule_to_start: i64) -> StickyExecutionAttributes {
    StickyExecutionAttributes { worker_task_queue: queue(name), schedule_to_start_timeout: secs(schedule_to_start) }
}

/// A failure of the worker's code.
pub(crate) fn failure(kind: &str) -> Failure {
    Failure {
        message: "no luck".to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
            r#type: kind.to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// Retries after 1 s, 2 s, 4 s, ... up to `attempts` in all; 0 is no limit.
pub(crate) fn retries(attempts: i32) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        initial_interval: Some(span_to_proto(SECOND)),
        backoff_coefficient: 2.0,
        maximum_interval: Some(span_to_proto(100 * SECOND)),
        maximum_attempts: attempts,
        non_retryable_error_types: vec!["Fatal".to_owned()],
    })
}

pub(crate) fn command(kind: CommandType, attributes: Attributes) -> Command {
    Command { command_type: kind.into(), attributes: Some(attributes), ..Default::default() }
}

/// An activity with a schedule-to-close timeout of an hour and attempts of 10 s, changed by `adjust`.
pub(crate) fn schedule_with(id: &str, adjust: impl Fn(&mut ScheduleActivityTaskCommandAttributes)) -> Command {
    let mut attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: id.to_owned(),
        activity_type: Some(ActivityType { name: "deed".to_owned() }),
        task_queue: queue("queue"),
        input: payloads("input"),
        schedule_to_close_timeout: secs(3600),
        start_to_close_timeout: secs(10),
        retry_policy: retries(3),
        ..Default::default()
    };
    adjust(&mut attributes);
    command(CommandType::ScheduleActivityTask, Attributes::ScheduleActivityTaskCommandAttributes(attributes))
}

pub(crate) fn schedule(id: &str) -> Command {
    schedule_with(id, |_| {})
}

pub(crate) fn cancel_activity(scheduled_event_id: i64) -> Command {
    let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
    command(CommandType::RequestCancelActivityTask, Attributes::RequestCancelActivityTaskCommandAttributes(attributes))
}

pub(crate) fn start_timer(id: &str, seconds: i64) -> Command {
    let attributes = StartTimerCommandAttributes { timer_id: id.to_owned(), start_to_fire_timeout: secs(seconds) };
    command(CommandType::StartTimer, Attributes::StartTimerCommandAttributes(attributes))
}

pub(crate) fn cancel_timer(id: &str) -> Command {
    let attributes = CancelTimerCommandAttributes { timer_id: id.to_owned() };
    command(CommandType::CancelTimer, Attributes::CancelTimerCommandAttributes(attributes))
}

pub(crate) fn complete(result: &str) -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes { result: payloads(result) };
    command(CommandType::CompleteWorkflowExecution, Attributes::CompleteWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn fail(failure: Failure) -> Command {
    let attributes = FailWorkflowExecutionCommandAttributes { failure: Some(failure) };
    command(CommandType::FailWorkflowExecution, Attributes::FailWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn cancel_workflow() -> Command {
    let attributes = CancelWorkflowExecutionCommandAttributes { details: payloads("details") };
    command(CommandType::CancelWorkflowExecution, Attributes::CancelWorkflowExecutionCommandAttributes(attributes))
}

pub(crate) fn continue_with(adjust: impl Fn(&mut ContinueAsNewWorkflowExecutionCommandAttributes)) -> Command {
    let mut attributes = ContinueAsNewWorkflowExecutionCommandAttributes::default();
    adjust(&mut attributes);
    let attributes = Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::ContinueAsNewWorkflowExecution, attributes)
}

/// What an update asks.
pub(crate) fn update_request(id: &str) -> Request {
    Request {
        meta: Some(Meta { update_id: id.to_owned(), identity: "client".to_owned() }),
        input: Some(Input { name: "change".to_owned(), args: payloads("args"), ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn update(id: &str) -> UpdateWorkflowExecutionRequest {
    UpdateWorkflowExecutionRequest { request: Some(update_request(id)), ..Default::default() }
}

fn message(id: &str, kind: &str, body: &impl prost::Message) -> Message {
    let type_url = format!("type.googleapis.com/temporal.api.update.v1.{kind}");
    Message {
        id: format!("{id}/{kind}"),
        protocol_instance_id: id.to_owned(),
        body: Some(Any { type_url, value: body.encode_to_vec() }),
        ..Default::default()
    }
}

pub(crate) fn accept(id: &str) -> Message {
    accept_as(id, None)
}

/// An acceptance that repeats the request.
pub(crate) fn accept_as(id: &str, accepted_request: Option<Request>) -> Message {
    let acceptance = Acceptance {
        accepted_request_message_id: format!("{id}/request"),
        accepted_request_sequencing_event_id: 1,
        accepted_request,
    };
    message(id, "Acceptance", &acceptance)
}

pub(crate) fn reject(id: &str) -> Message {
    message(id, "Rejection", &Rejection { failure: Some(failure("Rejected")), ..Default::default() })
}

pub(crate) fn respond(id: &str) -> Message {
    let outcome = Outcome { value: Some(outcome::Value::Success(payloads("result").unwrap())) };
    let meta = Some(Meta { update_id: id.to_owned(), identity: "client".to_owned() });
    message(id, "Response", &Response { meta, outcome: Some(outcome) })
}

/// The place of a message among the commands.
pub(crate) fn place(message_id: &str) -> Command {
    let attributes = ProtocolMessageCommandAttributes { message_id: message_id.to_owned() };
    command(CommandType::ProtocolMessage, Attributes::ProtocolMessageCommandAttributes(attributes))
}

pub(crate) fn marker(name: &str) -> Command {
    let attributes = RecordMarkerCommandAttributes { marker_name: name.to_owned(), ..Default::default() };
    command(CommandType::RecordMarker, Attributes::RecordMarkerCommandAttributes(attributes))
}

/// A change of priority and of the versioning override.
pub(crate) fn options(priority: Option<i32>, auto_upgrade: Option<bool>) -> UpdateWorkflowExecutionOptionsRequest {
    let given = auto_upgrade
        .filter(|on| *on)
        .map(|_| VersioningOverride { r#override: Some(Override::AutoUpgrade(true)), ..Default::default() });
    UpdateWorkflowExecutionOptionsRequest {
        workflow_execution_options: Some(WorkflowExecutionOptions {
            priority: priority.map(|priority_key| Priority { priority_key, ..Default::default() }),
            versioning_override: given,
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["priority".to_owned(), "versioning_override".to_owned()] }),
        ..Default::default()
    }
}

pub(crate) fn reset_request(finish_event_id: i64) -> ResetWorkflowExecutionRequest {
    ResetWorkflowExecutionRequest {
        reason: "once more".to_owned(),
        workflow_task_finish_event_id: finish_event_id,
        request_id: "reset-1".to_owned(),
        ..Default::default()
    }
}
