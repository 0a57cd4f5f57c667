//! PauseWorkflowExecution and UnpauseWorkflowExecution.

use std::time::Duration;

use perdure_proto::api::{
    enums::{EventType as E, WorkflowExecutionStatus as Run},
    history::history_event::Attributes,
    workflowservice as ws,
};
use tonic::{Code, Status};

use crate::kit::*;

fn request(flow: &Flow, request_id: &str) -> ws::PauseWorkflowExecutionRequest {
    ws::PauseWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        identity: "operator".to_owned(),
        reason: "because".to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn pause(flow: &Flow, request_id: &str) -> Result<(), Status> {
    flow.rpc.clone().pause_workflow_execution(request(flow, request_id)).await.map(drop)
}

async fn unpause(flow: &Flow) -> Result<(), Status> {
    let request = ws::UnpauseWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        ..Default::default()
    };
    flow.rpc.clone().unpause_workflow_execution(request).await.map(drop)
}

#[tokio::test]
pub(crate) async fn a_paused_workflow_takes_in_signals_and_hands_out_nothing() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    pause(&flow, "p").await.unwrap();
    pause(&flow, "p").await.unwrap();
    flow.signal("s").await.unwrap();
    let events = flow.events().await;
    assert_eq!(kinds(&events)[2..], [E::WorkflowTaskFailed, E::WorkflowExecutionPaused, E::WorkflowExecutionSignaled]);
    assert!(events[3].worker_may_ignore);
    let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &events[2].attributes else { panic!() };
    assert_eq!((failed.started_event_id, failed.identity.as_str()), (0, "history-service"));
    let told = flow.describe().await;
    assert_eq!(told.pending_workflow_task, None);
    let pause_info = told.workflow_extended_info.unwrap().pause_info.unwrap();
    assert_eq!((pause_info.identity.as_str(), pause_info.reason.as_str()), ("operator", "because"));
    let attributes = told.workflow_execution_info.unwrap().search_attributes.unwrap().indexed_fields;
    let expected = format!("[\"Workflow:{}\",\"Reason:because\"]", flow.id);
    assert_eq!(attributes["TemporalPauseInfo"].data, expected.as_bytes());
    assert_eq!(flow.status(&run_id).await, Run::Paused);
    let rejected = flow.query("x").await.unwrap().query_rejected.unwrap();
    assert_eq!(rejected.status(), Run::Paused);
    let poll = within(BRIEF, flow.poll_request());
    assert!(server.rpc().poll_workflow_task_queue(poll).await.unwrap().into_inner().task_token.is_empty());
    unpause(&flow).await.unwrap();
    let task = flow.task().await;
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert_eq!(flow.status(&run_id).await, Run::Completed);
    server.stop().await;
}

#[tokio::test]
async fn what_a_worker_has_may_finish() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    pause(&flow, "").await.unwrap();
    let forced = ws::RespondWorkflowTaskCompletedRequest {
        force_create_new_workflow_task: true,
        ..flow.completion(&task, vec![])
    };
    let text = "Workflow is paused and force create new workflow task is not allowed.";
    refused(flow.respond(forced).await, Code::FailedPrecondition, "", text);
    let nap = timer("nap", Duration::from_secs(1));
    flow.complete(&task, vec![schedule(activity("a", &flow.queue, 1)), nap]).await.unwrap();
    let poll = within(BRIEF, flow.activity_poll_request());
    assert!(server.rpc().poll_activity_task_queue(poll).await.unwrap().into_inner().task_token.is_empty());
    unpause(&flow).await.unwrap();
    let task = flow.activity().await;
    pause(&flow, "").await.unwrap();
    let outcome = ws::RespondActivityTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token,
        ..Default::default()
    };
    server.rpc().respond_activity_task_completed(outcome).await.unwrap();
    assert_eq!(flow.describe().await.pending_workflow_task, None);
    flow.terminate().await;
    assert!(flow.describe().await.workflow_extended_info.unwrap().pause_info.is_some());
    server.stop().await;
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let missing = format!("workflow not found for ID: {}", flow.id);
    refused(pause(&flow, "").await, Code::NotFound, "NotFoundFailure", &missing);
    refused(unpause(&flow).await, Code::NotFound, "NotFoundFailure", &missing);
    flow.start().await;
    refused(unpause(&flow).await, Code::FailedPrecondition, "", "workflow is not paused.");
    let long = || "x".repeat(1001);
    let base = || request(&flow, "");
    for (request, text) in [
        (ws::PauseWorkflowExecutionRequest { reason: long(), ..base() }, "reason is too long."),
        (ws::PauseWorkflowExecutionRequest { request_id: long(), ..base() }, "request id is too long."),
        (ws::PauseWorkflowExecutionRequest { identity: long(), ..base() }, "identity is too long."),
        (
            ws::PauseWorkflowExecutionRequest { workflow_id: String::new(), ..base() },
            "Can't load workflow execution.  WorkflowId not set.",
        ),
        (ws::PauseWorkflowExecutionRequest { run_id: "x".to_owned(), ..base() }, "RunId is not valid UUID."),
    ] {
        refused(server.rpc().pause_workflow_execution(request).await, Code::InvalidArgument, "", text);
    }
    pause(&flow, "p").await.unwrap();
    for request_id in ["q", ""] {
        let answer = pause(&flow, request_id).await;
        refused(answer, Code::FailedPrecondition, "", "workflow is already paused.");
    }
    flow.terminate().await;
    let over = "workflow execution already completed";
    refused(pause(&flow, "p").await, Code::NotFound, "NotFoundFailure", over);
    refused(unpause(&flow).await, Code::NotFound, "NotFoundFailure", over);
    server.stop().await;
}

#[tokio::test]
async fn pauses_are_off_unless_switched_on() {
    let server = Server::with(&[("frontend.WorkflowPauseEnabled", "false")]).await;
    let flow = Flow::new(&server);
    flow.start().await;
    let text = "workflow pause is not enabled for namespace: default";
    refused(pause(&flow, "").await, Code::Unimplemented, "", text);
    refused(unpause(&flow).await, Code::FailedPrecondition, "", "workflow is not paused.");
    server.stop().await;
}
