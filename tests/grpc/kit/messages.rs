//! Parts of requests and answers.

use std::time::Duration;

use perdure_proto::api::{
    common::{Payload, Payloads, WorkflowExecution},
    enums::{EventType, TaskQueueKind},
    failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    history::HistoryEvent,
    taskqueue::{StickyExecutionAttributes, TaskQueue},
};
use tonic::Request;

/// How long a poll for something that must come waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a poll for something that must not come waits: it ends a second earlier.
pub(crate) const BRIEF: Duration = Duration::from_millis(2_050);

/// A request with a deadline.
pub(crate) fn within<Q>(time: Duration, message: Q) -> Request<Q> {
    let mut request = Request::new(message);
    request.set_timeout(time);
    request
}

pub(crate) fn span(time: Duration) -> Option<perdure_proto::Duration> {
    Some(time.try_into().unwrap())
}

pub(crate) fn seconds(count: u64) -> Option<perdure_proto::Duration> {
    span(Duration::from_secs(count))
}

/// One payload.
pub(crate) fn payloads(text: &str) -> Option<Payloads> {
    let payload = Payload { data: text.to_owned().into(), ..Payload::default() };
    Some(Payloads { payloads: vec![payload] })
}

pub(crate) fn normal(name: &str) -> Option<TaskQueue> {
    Some(TaskQueue { name: name.to_owned(), kind: TaskQueueKind::Normal.into(), ..TaskQueue::default() })
}

pub(crate) fn sticky(name: &str, normal: &str) -> Option<TaskQueue> {
    Some(TaskQueue { name: name.to_owned(), kind: TaskQueueKind::Sticky.into(), normal_name: normal.to_owned() })
}

/// What a worker says that keeps the workflow in its cache.
pub(crate) fn stick_to(name: &str, normal: &str) -> Option<StickyExecutionAttributes> {
    Some(StickyExecutionAttributes { worker_task_queue: sticky(name, normal), schedule_to_start_timeout: seconds(10) })
}

pub(crate) fn execution(workflow_id: &str, run_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() })
}

/// A failure that an application reports.
pub(crate) fn failure(message: &str, non_retryable: bool) -> Option<Failure> {
    let info = ApplicationFailureInfo { r#type: "Broken".to_owned(), non_retryable, ..Default::default() };
    Some(Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
        ..Failure::default()
    })
}

/// A run that does not exist.
pub(crate) const NO_RUN: &str = "00000000-0000-4000-8000-000000000000";

pub(crate) fn kinds(events: &[HistoryEvent]) -> Vec<EventType> {
    events.iter().map(HistoryEvent::event_type).collect()
}

pub(crate) fn ids(events: &[HistoryEvent]) -> Vec<i64> {
    events.iter().map(|event| event.event_id).collect()
}
