//! RequestCancelWorkflowExecution and TerminateWorkflowExecution.

use perdure_proto::api::{
    enums::{EventType, WorkflowExecutionStatus as Status},
    history::history_event::Attributes,
    workflowservice::{RequestCancelWorkflowExecutionRequest, TerminateWorkflowExecutionRequest},
};
use tonic::Code;

use crate::kit::*;

fn request_cancel(flow: &Flow) -> RequestCancelWorkflowExecutionRequest {
    RequestCancelWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: flow.execution(),
        identity: "client".to_owned(),
        request_id: unique("request"),
        reason: "enough".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
pub(crate) async fn a_cancel_request_wakes_the_workflow_once() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    for _ in 0..2 {
        server.rpc().request_cancel_workflow_execution(request_cancel(&flow)).await.unwrap();
    }
    assert!(flow.describe().await.workflow_extended_info.unwrap().cancel_requested);
    let task = flow.task().await;
    let events = &task.history.as_ref().unwrap().events;
    let requests = events.iter().filter(|event| event.event_type() == EventType::WorkflowExecutionCancelRequested);
    let Some(Attributes::WorkflowExecutionCancelRequestedEventAttributes(requested)) =
        requests.clone().next().and_then(|event| event.attributes.clone())
    else {
        panic!("no request")
    };
    assert_eq!(requests.count(), 1);
    assert_eq!((requested.cause.as_str(), requested.identity.as_str()), ("enough", "client"));
    flow.complete(&task, vec![cancel()]).await.unwrap();
    assert_eq!(flow.closed().await.event_type(), EventType::WorkflowExecutionCanceled);
    // A run that is over has nothing against being cancelled.
    server.rpc().request_cancel_workflow_execution(request_cancel(&flow)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn cancel_requests_name_a_run_that_exists() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let answer = server.rpc().request_cancel_workflow_execution(request_cancel(&flow)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", &format!("workflow not found for ID: {}", flow.id));
    let run_id = flow.start().await;
    let of_chain = |first: &str| RequestCancelWorkflowExecutionRequest {
        first_execution_run_id: first.to_owned(),
        ..request_cancel(&flow)
    };
    let answer = server.rpc().request_cancel_workflow_execution(of_chain(NO_RUN)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution not found");
    server.rpc().request_cancel_workflow_execution(of_chain(&run_id)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_termination_ends_the_run_under_its_worker() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    let task = flow.task().await;
    let request = TerminateWorkflowExecutionRequest {
        details: payloads("why"),
        identity: "client".to_owned(),
        first_execution_run_id: run_id.clone(),
        ..flow.terminate_request()
    };
    server.rpc().terminate_workflow_execution(request).await.unwrap();
    let last = flow.closed().await;
    let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(terminated)) = last.attributes else { panic!() };
    assert_eq!((terminated.reason.as_str(), terminated.identity.as_str()), ("enough", "client"));
    assert_eq!(terminated.details, payloads("why"));
    assert_eq!(flow.status(&run_id).await, Status::Terminated);
    let late = flow.complete(&task, vec![complete("late")]).await;
    refused(late, Code::NotFound, "NotFoundFailure", "Workflow task not found.");
    server.stop().await;
}

#[tokio::test]
async fn terminations_need_an_open_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let answer = server.rpc().terminate_workflow_execution(flow.terminate_request()).await;
    refused(answer, Code::NotFound, "NotFoundFailure", &format!("workflow not found for ID: {}", flow.id));
    flow.start().await;
    let of_other_chain =
        TerminateWorkflowExecutionRequest { first_execution_run_id: NO_RUN.to_owned(), ..flow.terminate_request() };
    let answer = server.rpc().terminate_workflow_execution(of_other_chain).await;
    refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution not found");
    flow.terminate().await;
    let answer = server.rpc().terminate_workflow_execution(flow.terminate_request()).await;
    refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    server.stop().await;
}
