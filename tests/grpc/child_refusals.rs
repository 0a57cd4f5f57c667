//! Commands about other workflows that fail the workflow task.

use perdure_proto::api::{
    command::Command,
    common::{Payload, Priority, RetryPolicy},
    enums::{EventType as K, WorkflowTaskFailedCause as Cause},
    history::history_event::Attributes,
    workflowservice::RegisterNamespaceRequest,
};
use tonic::Code;

use crate::{children::told, kit::*};

/// A JSON value.
fn json(value: &str) -> Payload {
    let metadata = [("encoding".to_owned(), "json/plain".into())].into();
    Payload { metadata, data: value.to_owned().into(), ..Default::default() }
}

/// Commands, why the task fails, and what the worker is told after the cause.
fn refused_commands(other: &str) -> Vec<(Vec<Command>, Cause, String)> {
    use Cause::{
        BadRequestCancelExternalWorkflowExecutionAttributes as BadCancel, BadSearchAttributes,
        BadSignalWorkflowExecutionAttributes as BadSignal, BadStartChildExecutionAttributes as BadChild,
    };
    let long = "x".repeat(1001);
    let names = "WorkflowId=c WorkflowType=part Namespace=default";
    let one = |command, cause, text: String| (vec![command], cause, text);
    vec![
        one(child("", "q"), BadChild, "Required field WorkflowId is not set on StartChildWorkflowExecutionCommand. WorkflowType=part Namespace=default".into()),
        one(child_with("c", "q", |child| child.workflow_type = None), BadChild, "Required field WorkflowType is not set on StartChildWorkflowExecutionCommand. WorkflowId=c Namespace=default".into()),
        one(child(&long, "q"), BadChild, format!("WorkflowId on StartChildWorkflowExecutionCommand exceeds length limit. WorkflowId={long} Length=1001 Limit=1000 WorkflowType=part Namespace=default")),
        one(child_with("c", "q", |child| child.workflow_run_timeout = Some(perdure_proto::Duration { seconds: -1, nanos: 0 })), BadChild, format!("Invalid WorkflowRunTimeout on StartChildWorkflowExecutionCommand: negative duration. {names}")),
        one(child_with("c", "q", |child| child.retry_policy = Some(RetryPolicy { backoff_coefficient: 0.5, ..Default::default() })), BadChild, format!("invalid WorkflowRetryPolicy on StartChildWorkflowExecutionCommand: BackoffCoefficient cannot be less than 1 on retry policy.. {names}")),
        one(child_with("c", "q", |child| child.cron_schedule = "never".into()), BadChild, format!("invalid CronSchedule on StartChildWorkflowExecutionCommand: invalid CronSchedule.. {names}")),
        one(child_with("c", "q", |child| child.priority = Some(Priority { priority_key: -1, ..Default::default() })), BadChild, "priority key can't be negative".into()),
        one(child_with("c", "q", |child| child.search_attributes = Some(Default::default())), Cause::Unspecified, String::new()),
        one(child_with("c", "q", |child| {
            let fields = [("Nobody".to_owned(), payloads("x").unwrap().payloads.remove(0))].into();
            child.search_attributes = Some(perdure_proto::api::common::SearchAttributes { indexed_fields: fields });
        }), BadSearchAttributes, "Namespace default has no mapping defined for search attribute Nobody".to_owned()),
        one(child_with("c", "q", |child| {
            let fields = [("Amount".to_owned(), json("\"x\""))].into();
            child.search_attributes = Some(perdure_proto::api::common::SearchAttributes { indexed_fields: fields });
        }), BadSearchAttributes, format!("invalid SearchAttributes on StartChildWorkflowCommand: invalid value for search attribute Amount of type Int: x. {names}")),
        one(child_with("c", "q", |child| child.inherit_build_id = true), BadChild, "StartChildWorkflowExecution with UseCompatibleVersion cannot run on different task queue.".into()),
        one(child_with("c", "q", |child| child.namespace = other.to_owned()), BadChild, "cross namespace commands are not allowed".into()),
        (vec![child("c", "q"), cancel_other("c", |_| {})], BadCancel, "Start and RequestCancel for child workflow is not allowed in same workflow task. WorkflowId=c RunId= Namespace=".into()),
        one(signal_other("c", |signal| signal.execution = None), BadSignal, "Execution is not set on SignalExternalWorkflowExecutionCommand.".into()),
        one(signal_other("", |_| {}), BadSignal, "WorkflowId is not set on SignalExternalWorkflowExecutionCommand. Namespace= RunId= SignalName=go".into()),
        one(signal_other("c", |signal| signal.signal_name = String::new()), BadSignal, "SignalName is not set on SignalExternalWorkflowExecutionCommand. WorkflowId=c Namespace= RunId=".into()),
        one(signal_other("c", |signal| signal.execution = execution("c", "run")), BadSignal, "Invalid RunId set on SignalExternalWorkflowExecutionCommand. WorkflowId=c Namespace= RunId=run SignalName=go".into()),
        one(signal_other("c", |signal| signal.namespace = other.to_owned()), BadSignal, "cross namespace commands are not allowed".into()),
        one(cancel_other("", |_| {}), BadCancel, "WorkflowId is not set on RequestCancelExternalWorkflowExecutionCommand. Namespace= RunId=".into()),
        one(cancel_other("c", |cancel| cancel.run_id = "run".into()), BadCancel, "Invalid RunId set on RequestCancelExternalWorkflowExecutionCommand. WorkflowId=c RunId=run Namespace=".into()),
        one(cancel_other(&long, |_| {}), BadCancel, format!("WorkflowId on RequestCancelExternalWorkflowExecutionCommand exceeds length limit. WorkflowId={long} Length=1001 Limit=1000 RunId= Namespace=")),
        one(cancel_other("c", |cancel| cancel.namespace = other.to_owned()), BadCancel, "cross namespace commands are not allowed".into()),
    ]
}

#[tokio::test]
pub(crate) async fn flawed_commands_fail_the_task() {
    let server = Server::start().await;
    let other = unique("other");
    let request = RegisterNamespaceRequest {
        namespace: other.clone(),
        workflow_execution_retention_period: seconds(24 * 3600),
        ..Default::default()
    };
    server.rpc().register_namespace(request).await.unwrap();
    for (commands, cause, text) in refused_commands(&other) {
        let flow = Flow::new(&server);
        flow.start().await;
        let task = flow.task().await;
        let answer = flow.complete(&task, commands).await;
        if cause == Cause::Unspecified {
            answer.unwrap();
        } else {
            let refusal = answer.unwrap_err();
            let message = format!("{cause:?}: {text}");
            assert_eq!((refusal.code(), refusal.message()), (Code::InvalidArgument, &*message));
            let events = flow.events().await;
            let failed = events.iter().find(|event| event.event_type() == K::WorkflowTaskFailed).unwrap();
            let failed = told!(failed, WorkflowTaskFailedEventAttributes);
            assert_eq!((failed.cause(), failed.failure.unwrap().message), (cause, message));
        }
        flow.terminate().await;
    }
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_namespace_that_does_not_exist_is_refused_without_failing_the_task() {
    let server = Server::start().await;
    let nowhere = unique("nowhere");
    for command in [
        child_with("c", "q", |child| child.namespace.clone_from(&nowhere)),
        signal_other("c", |signal| signal.namespace.clone_from(&nowhere)),
        cancel_other("c", |cancel| cancel.namespace.clone_from(&nowhere)),
    ] {
        let flow = Flow::new(&server);
        flow.start().await;
        let task = flow.task().await;
        let refusal = flow.complete(&task, vec![command]).await.unwrap_err();
        assert_eq!(refusal.code(), Code::NotFound);
        assert_eq!(refusal.message(), format!("Namespace {nowhere} is not found."));
        assert_eq!(flow.kinds().await.last(), Some(&K::WorkflowTaskStarted));
        flow.terminate().await;
    }
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn too_much_under_way_fails_the_task() {
    let limits = [
        ("limit.numPendingChildExecutions.error", "1"),
        ("limit.numPendingSignals.error", "1"),
        ("limit.numPendingCancelRequests.error", "1"),
    ];
    let server = Server::with(&limits).await;
    let nobody = || unique("nobody");
    for (commands, text) in [
        (
            vec![child("a", "q"), child("b", "q")],
            "PendingChildWorkflowsLimitExceeded: the number of pending child workflow executions, 1, has reached the per-workflow limit of 1",
        ),
        (
            vec![signal_other(&nobody(), |_| {}), signal_other(&nobody(), |_| {})],
            "PendingSignalsLimitExceeded: the number of pending signals to external workflows, 1, has reached the per-workflow limit of 1",
        ),
        (
            vec![cancel_other(&nobody(), |_| {}), cancel_other(&nobody(), |_| {})],
            "PendingRequestCancelLimitExceeded: the number of pending requests to cancel external workflows, 1, has reached the per-workflow limit of 1",
        ),
    ] {
        let flow = Flow::new(&server);
        flow.start().await;
        let task = flow.task().await;
        assert_eq!(flow.complete(&task, commands).await.unwrap_err().message(), text);
        flow.terminate().await;
    }
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_child_of_another_namespace_runs_where_that_is_allowed() {
    let server = Server::with(&[("system.enableCrossNamespaceCommands", "true")]).await;
    let other = unique("other");
    let request = RegisterNamespaceRequest {
        namespace: other.clone(),
        workflow_execution_retention_period: seconds(24 * 3600),
        ..Default::default()
    };
    server.rpc().register_namespace(request).await.unwrap();
    let parent = Flow::new(&server);
    parent.begin(vec![child_with("abroad", "q", |child| child.namespace.clone_from(&other))]).await;
    let task = parent.task().await;
    let events = crate::children::news(&task);
    let started = told!(events[1], ChildWorkflowExecutionStartedEventAttributes);
    assert_eq!(started.namespace, other);
    parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}
