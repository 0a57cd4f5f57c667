//! Signals to other workflows and cancellations of them.

use perdure_proto::api::{
    command::Command,
    enums::{
        CancelExternalWorkflowExecutionFailedCause as CancelCause, EventType as K,
        SignalExternalWorkflowExecutionFailedCause as SignalCause,
    },
    history::{HistoryEvent, history_event::Attributes},
};

use crate::{
    children::{Family, news, told},
    kit::*,
};

/// A workflow that says this to another. Gives it with the events that came of it, and its run.
async fn say(server: &Server, command: Command) -> (Flow, String, Vec<HistoryEvent>) {
    let flow = Flow::new(server);
    let run = flow.begin(vec![command]).await;
    let task = flow.task().await;
    let events = news(&task);
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    (flow, run, events)
}

#[tokio::test]
pub(crate) async fn a_signal_arrives() {
    let server = Server::start().await;
    let target = Flow::new(&server);
    target.begin(Vec::new()).await;
    let (sender, run, events) =
        say(&server, signal_other(&target.id, |signal| signal.control = "control".to_owned())).await;
    assert_eq!(kinds(&events), [K::SignalExternalWorkflowExecutionInitiated, K::ExternalWorkflowExecutionSignaled]);
    let initiated = told!(events[0], SignalExternalWorkflowExecutionInitiatedEventAttributes);
    assert_eq!((&*initiated.namespace, initiated.workflow_execution), ("", execution(&target.id, "")));
    let done = told!(events[1], ExternalWorkflowExecutionSignaledEventAttributes);
    assert_eq!((done.initiated_event_id, &*done.namespace), (events[0].event_id, NAMESPACE));
    assert_eq!((done.workflow_execution, &*done.control), (execution(&target.id, ""), "control"));
    let task = target.task().await;
    let events = news(&task);
    assert_eq!(kinds(&events), [K::WorkflowExecutionSignaled]);
    let signal = told!(events[0], WorkflowExecutionSignaledEventAttributes);
    assert_eq!((&*signal.signal_name, signal.input, &*signal.identity), ("go", payloads("input"), "history-service"));
    assert_eq!(signal.external_workflow_execution, execution(&sender.id, &run));
    target.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_cancellation_arrives() {
    let server = Server::start().await;
    let target = Flow::new(&server);
    let target_run = target.begin(Vec::new()).await;
    let asked = |cancel: &mut perdure_proto::api::command::RequestCancelExternalWorkflowExecutionCommandAttributes| {
        cancel.run_id.clone_from(&target_run);
    };
    let (sender, run, events) = say(&server, cancel_other(&target.id, asked)).await;
    assert_eq!(
        kinds(&events),
        [K::RequestCancelExternalWorkflowExecutionInitiated, K::ExternalWorkflowExecutionCancelRequested]
    );
    let done = told!(events[1], ExternalWorkflowExecutionCancelRequestedEventAttributes);
    assert_eq!((done.initiated_event_id, &*done.namespace), (events[0].event_id, NAMESPACE));
    assert_eq!(done.workflow_execution, execution(&target.id, &target_run));
    let task = target.task().await;
    let news = news(&task);
    let request = told!(news[0], WorkflowExecutionCancelRequestedEventAttributes);
    assert_eq!((&*request.cause, &*request.identity), ("enough", "history-service"));
    assert_eq!(request.external_workflow_execution, execution(&sender.id, &run));
    assert_eq!(request.external_initiated_event_id, events[0].event_id);
    target.complete(&task, vec![cancel()]).await.unwrap();
    // Of a workflow that is closed it succeeds too.
    let (_, _, events) = say(&server, cancel_other(&target.id, asked)).await;
    assert_eq!(kinds(&events)[1], K::ExternalWorkflowExecutionCancelRequested);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_signal_that_cannot_arrive_fails() {
    let server = Server::start().await;
    let (closed, stranger) = (Flow::new(&server), Flow::new(&server));
    closed.begin(vec![complete("done")]).await;
    stranger.start().await;
    for command in [
        signal_other(&unique("nobody"), |_| {}),
        signal_other(&closed.id, |_| {}),
        signal_other(&stranger.id, |signal| signal.child_workflow_only = true),
        signal_other(&stranger.id, |signal| signal.execution = execution(&stranger.id, NO_RUN)),
    ] {
        let (_, _, events) = say(&server, command).await;
        assert_eq!(kinds(&events)[1], K::SignalExternalWorkflowExecutionFailed);
        let failed = told!(events[1], SignalExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), SignalCause::ExternalWorkflowExecutionNotFound);
        assert_eq!((failed.initiated_event_id, &*failed.namespace), (events[0].event_id, NAMESPACE));
        assert_eq!(failed.workflow_task_completed_event_id, 0);
    }
    // Not even to oneself.
    let own = Flow::new(&server);
    own.begin(vec![signal_other(&own.id, |_| {}), cancel_other(&own.id, |_| {})]).await;
    let mut failed = 0;
    while failed < 2 {
        let task = own.task().await;
        let ends = [K::SignalExternalWorkflowExecutionFailed, K::RequestCancelExternalWorkflowExecutionFailed];
        failed += kinds(&news(&task)).iter().filter(|kind| ends.contains(kind)).count();
        own.complete(&task, Vec::new()).await.unwrap();
    }
    own.terminate().await;
    stranger.terminate().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_cancellation_that_cannot_arrive_fails() {
    let server = Server::start().await;
    let stranger = Flow::new(&server);
    stranger.start().await;
    for command in [
        cancel_other(&unique("nobody"), |_| {}),
        cancel_other(&stranger.id, |cancel| cancel.child_workflow_only = true),
        cancel_other(&stranger.id, |cancel| cancel.run_id = NO_RUN.to_owned()),
    ] {
        let (_, _, events) = say(&server, command).await;
        assert_eq!(kinds(&events)[1], K::RequestCancelExternalWorkflowExecutionFailed);
        let failed = told!(events[1], RequestCancelExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), CancelCause::ExternalWorkflowExecutionNotFound);
        assert_eq!((failed.initiated_event_id, &*failed.namespace), (events[0].event_id, NAMESPACE));
    }
    stranger.terminate().await;
    server.stop().await;
}

/// A run that does not exist.
const NO_RUN: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
pub(crate) async fn a_parent_signals_and_cancels_its_child() {
    let server = Server::start().await;
    let Family { parent, child, .. } = Family::start(&server).await;
    let task = child.task().await;
    child.complete(&task, Vec::new()).await.unwrap();
    let task = parent.task().await;
    let commands = vec![
        signal_other(&child.id, |signal| signal.child_workflow_only = true),
        cancel_other(&child.id, |cancel| cancel.child_workflow_only = true),
    ];
    parent.complete(&task, commands).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let task = child.task().await;
        seen.extend(kinds(&news(&task)));
        let last = if seen.len() == 2 { vec![cancel()] } else { Vec::new() };
        child.complete(&task, last).await.unwrap();
    }
    seen.sort();
    assert_eq!(seen, [K::WorkflowExecutionCancelRequested, K::WorkflowExecutionSignaled]);
    parent.terminate().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn too_many_signals_are_refused_by_the_receiver() {
    let server = Server::with(&[("history.maximumSignalsPerExecution", "1")]).await;
    let target = Flow::new(&server);
    target.start().await;
    target.signal("one").await.unwrap();
    let (_, _, events) = say(&server, signal_other(&target.id, |_| {})).await;
    let failed = told!(events[1], SignalExternalWorkflowExecutionFailedEventAttributes);
    assert_eq!(failed.cause(), SignalCause::SignalCountLimitExceeded);
    target.terminate().await;
    server.stop().await;
}
