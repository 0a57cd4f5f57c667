//! SignalWorkflowExecution and SignalWithStartWorkflowExecution.

use perdure_proto::api::{
    common::WorkflowType,
    enums::{EventType, WorkflowExecutionStatus as Status, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    history::{HistoryEvent, history_event::Attributes},
    workflowservice::{SignalWithStartWorkflowExecutionRequest, SignalWorkflowExecutionRequest},
};
use tonic::Code;

use crate::kit::*;

/// Names of the signals in a history.
fn signals(events: &[HistoryEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match event.attributes.as_ref() {
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signaled)) => Some(signaled.signal_name.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
pub(crate) async fn signals_reach_the_worker_in_order() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    for name in ["one", "two"] {
        flow.signal(name).await.unwrap();
    }
    let task = flow.task().await;
    assert_eq!(task.previous_started_event_id, 3);
    let events = task.history.unwrap().events;
    assert_eq!(signals(&events), ["one", "two"]);
    let Some(Attributes::WorkflowExecutionSignaledEventAttributes(one)) = &events[4].attributes else { panic!() };
    assert_eq!((&one.input, one.identity.as_str()), (&payloads("one"), "client"));
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_signal_is_recorded_once() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let request = SignalWorkflowExecutionRequest { request_id: unique("request"), ..flow.signal_request("once") };
    for _ in 0..3 {
        server.rpc().signal_workflow_execution(request.clone()).await.unwrap();
    }
    flow.signal("again").await.unwrap();
    flow.signal("again").await.unwrap();
    assert_eq!(signals(&flow.events().await), ["once", "again", "again"]);
    server.stop().await;
}

#[tokio::test]
async fn signals_need_an_open_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.signal("lost").await, Code::NotFound, "NotFoundFailure", &text);
    let run_id = flow.start().await;
    let to = |run_id: &str| SignalWorkflowExecutionRequest {
        workflow_execution: execution(&flow.id, run_id),
        ..flow.signal_request("to a run")
    };
    server.rpc().signal_workflow_execution(to(&run_id)).await.unwrap();
    let answer = server.rpc().signal_workflow_execution(to(NO_RUN)).await;
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {NO_RUN:?}", flow.id);
    refused(answer, Code::NotFound, "NotFoundFailure", &text);
    flow.terminate().await;
    let text = "workflow execution already completed";
    refused(flow.signal("late").await, Code::NotFound, "NotFoundFailure", text);
    let answer = server.rpc().signal_workflow_execution(to(&run_id)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", text);
    server.stop().await;
}

fn signal_with_start(flow: &Flow, name: &str) -> SignalWithStartWorkflowExecutionRequest {
    SignalWithStartWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        workflow_type: Some(WorkflowType { name: "order".to_owned() }),
        task_queue: normal(&flow.queue),
        input: payloads("input"),
        signal_name: name.to_owned(),
        signal_input: payloads(name),
        identity: "client".to_owned(),
        request_id: unique("request"),
        ..Default::default()
    }
}

#[tokio::test]
pub(crate) async fn a_signal_starts_what_is_not_there() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = server.rpc().signal_with_start_workflow_execution(signal_with_start(&flow, "one")).await.unwrap();
    let first = first.into_inner();
    assert!(first.started);
    let task = flow.task().await;
    let events = &task.history.as_ref().unwrap().events;
    let expected = [
        EventType::WorkflowExecutionStarted,
        EventType::WorkflowExecutionSignaled,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
    ];
    assert_eq!(kinds(events), expected);
    flow.complete(&task, Vec::new()).await.unwrap();

    let second = server.rpc().signal_with_start_workflow_execution(signal_with_start(&flow, "two")).await.unwrap();
    assert_eq!((second.get_ref().started, &second.get_ref().run_id), (false, &first.run_id));
    assert_eq!(signals(&flow.task().await.history.unwrap().events), ["one", "two"]);

    let request = SignalWithStartWorkflowExecutionRequest {
        workflow_id_conflict_policy: WorkflowIdConflictPolicy::TerminateExisting.into(),
        ..signal_with_start(&flow, "three")
    };
    let third = server.rpc().signal_with_start_workflow_execution(request).await.unwrap().into_inner();
    assert!(third.started && third.run_id != first.run_id);
    assert_eq!(flow.status(&first.run_id).await, Status::Terminated);
    assert_eq!(signals(&flow.events().await), ["three"]);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_signal_with_start_is_recorded_once() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let request = signal_with_start(&flow, "once");
    for _ in 0..2 {
        let answer = server.rpc().signal_with_start_workflow_execution(request.clone()).await.unwrap();
        assert!(!answer.get_ref().started);
    }
    assert_eq!(signals(&flow.events().await), ["once"]);
    server.stop().await;
}

#[tokio::test]
async fn a_signal_with_start_heeds_the_reuse_policy() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(vec![complete("done")]).await;
    let request = SignalWithStartWorkflowExecutionRequest {
        workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate.into(),
        ..signal_with_start(&flow, "late")
    };
    let answer = server.rpc().signal_with_start_workflow_execution(request).await;
    let text = format!(
        "Workflow execution already finished. WorkflowId: {}, RunId: {run_id}. \
         Workflow Id reuse policy: reject duplicate workflow Id.",
        flow.id
    );
    refused(answer, Code::AlreadyExists, "WorkflowExecutionAlreadyStartedFailure", &text);
    let again = server.rpc().signal_with_start_workflow_execution(signal_with_start(&flow, "anew")).await.unwrap();
    assert!(again.get_ref().started && again.get_ref().run_id != run_id);
    server.stop().await;
}
