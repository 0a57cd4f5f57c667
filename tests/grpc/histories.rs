//! GetWorkflowExecutionHistory and GetWorkflowExecutionHistoryReverse.

use perdure_proto::api::{
    enums::{EventType, HistoryEventFilterType},
    history::HistoryEvent,
    workflowservice as ws,
};
use tonic::Code;

use crate::kit::*;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

fn waiting(flow: &Flow) -> ws::GetWorkflowExecutionHistoryRequest {
    ws::GetWorkflowExecutionHistoryRequest { wait_new_event: true, ..flow.history_request() }
}

#[tokio::test]
pub(crate) async fn a_history_is_read_in_pages() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin((0..5).map(|number| timer(&format!("timer {number}"), HOUR)).collect()).await;
    let mut request = flow.history_request();
    request.maximum_page_size = 2;
    let mut read: Vec<HistoryEvent> = Vec::new();
    loop {
        let (events, token) = flow.page(request.clone()).await.unwrap();
        read.extend(events);
        if token.is_empty() {
            break;
        }
        request.next_page_token = token;
    }
    assert_eq!(ids(&read), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(read, flow.events().await);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_waits_for_what_comes_next() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let mut request = waiting(&flow);
    let (events, token) = flow.page(request.clone()).await.unwrap();
    assert_eq!(ids(&events), [1, 2, 3, 4]);
    request.next_page_token = token;
    let (page, signaled) = tokio::join!(flow.page(request.clone()), flow.signal("news"));
    signaled.unwrap();
    let (events, token) = page.unwrap();
    assert_eq!(kinds(&events), [EventType::WorkflowExecutionSignaled, EventType::WorkflowTaskScheduled]);

    // Nothing comes: the wait ends before its deadline, with a token to go on.
    request.next_page_token = token;
    let empty = server.rpc().get_workflow_execution_history(within(BRIEF, request.clone())).await.unwrap();
    assert!(empty.get_ref().history.as_ref().unwrap().events.is_empty());
    request.next_page_token = empty.into_inner().next_page_token;
    flow.terminate().await;
    let (events, token) = flow.page(request).await.unwrap();
    assert_eq!(kinds(&events), [EventType::WorkflowExecutionTerminated]);
    assert!(token.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_reader_of_the_end_gets_only_that() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let mut request = flow.history_request();
    request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
    let (events, token) = flow.page(request.clone()).await.unwrap();
    assert!(events.is_empty() && token.is_empty());

    request.wait_new_event = true;
    let (page, ()) = tokio::join!(flow.page(request.clone()), async {
        flow.signal("not the end").await.unwrap();
        flow.terminate().await;
    });
    let (events, token) = page.unwrap();
    assert_eq!(kinds(&events), [EventType::WorkflowExecutionTerminated]);
    assert!(token.is_empty());
    request.wait_new_event = false;
    assert_eq!(flow.page(request).await.unwrap().0, events);
    server.stop().await;
}

#[tokio::test]
async fn tokens_belong_to_their_run() {
    let server = Server::start().await;
    let (flow, other) = (Flow::new(&server), Flow::new(&server));
    let run_id = flow.start().await;
    other.start().await;
    let (_, token) = flow.page(waiting(&flow)).await.unwrap();

    let mut request = waiting(&flow);
    request.next_page_token = "no token".into();
    refused(flow.page(request).await, Code::InvalidArgument, "", "Invalid NextPageToken.");

    let mut request = waiting(&flow);
    request.execution = execution(&flow.id, NO_RUN);
    request.next_page_token = token.clone();
    let text = "RunId in the request does not match the NextPageToken.";
    refused(flow.page(request).await, Code::InvalidArgument, "", text);

    let mut request = other.history_request();
    request.next_page_token = token;
    let status = other.page(request).await.unwrap_err();
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {run_id:?}", other.id);
    refused::<()>(Err(status), Code::NotFound, "NotFoundFailure", &text);
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_has_no_history() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.page(flow.history_request()).await, Code::NotFound, "NotFoundFailure", &text);
    refused(flow.page(waiting(&flow)).await, Code::NotFound, "NotFoundFailure", &text);
    flow.start().await;
    let mut request = flow.history_request();
    request.execution = execution(&flow.id, NO_RUN);
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {NO_RUN:?}", flow.id);
    refused(flow.page(request).await, Code::NotFound, "NotFoundFailure", &text);
    server.stop().await;
}

#[tokio::test]
async fn a_token_follows_its_run_when_the_id_has_a_new_one() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let (_, token) = flow.page(waiting(&flow)).await.unwrap();
    flow.terminate().await;
    flow.start().await;
    let mut request = waiting(&flow);
    request.next_page_token = token;
    let (events, _) = flow.page(request).await.unwrap();
    assert_eq!(kinds(&events), [EventType::WorkflowExecutionTerminated]);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_reads_what_its_attempt_begins_with() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let first = flow.task().await;
    let request = ws::RespondWorkflowTaskFailedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: first.task_token,
        ..Default::default()
    };
    server.rpc().respond_workflow_task_failed(request).await.unwrap();
    let second = flow.task().await;
    // A later attempt is no part of the history until it succeeds, but its worker has to see it.
    let events = flow.events().await;
    assert_eq!(kinds(&events), kinds(&second.history.unwrap().events));
    assert_eq!(events.last().unwrap().event_id, second.started_event_id);
    let mut request = tonic::Request::new(flow.history_request());
    request.metadata_mut().insert("client-name", "temporal-cli".parse().unwrap());
    request.metadata_mut().insert("client-version", "1.9.1".parse().unwrap());
    let shown = server.rpc().get_workflow_execution_history(request).await.unwrap().into_inner();
    assert_eq!(kinds(&shown.history.unwrap().events), kinds(&events[..4]));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_history_is_read_backwards() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let mut request = ws::GetWorkflowExecutionHistoryReverseRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        maximum_page_size: 1,
        ..Default::default()
    };
    let answer = server.rpc().get_workflow_execution_history_reverse(request.clone()).await;
    refused(answer, Code::NotFound, "NotFoundFailure", &format!("workflow not found for ID: {}", flow.id));

    flow.begin((0..3).map(|number| timer(&format!("timer {number}"), HOUR)).collect()).await;
    let mut read = Vec::new();
    let mut pages = 0;
    loop {
        let page = server.rpc().get_workflow_execution_history_reverse(request.clone()).await.unwrap().into_inner();
        read.extend(page.history.unwrap().events);
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.next_page_token = page.next_page_token;
    }
    assert!(pages > 1);
    read.reverse();
    assert_eq!(read, flow.events().await);
    request.next_page_token = "no token".into();
    let answer = server.rpc().get_workflow_execution_history_reverse(request).await;
    refused(answer, Code::InvalidArgument, "", "Invalid NextPageToken.");
    server.stop().await;
}
