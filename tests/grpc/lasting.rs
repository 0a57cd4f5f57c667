//! What outlives a server, and what does not outlive its retention.

use std::{path::Path, sync::Arc, time::Duration};

use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_proto::api::{enums::EventType, workflowservice as ws};
use tonic::Code;

use crate::kit::*;

async fn over_file(path: &Path) -> Server {
    let store = SqliteStore::open(SqliteOptions::file(path)).await.unwrap();
    Server::over(Arc::new(store), &[]).await
}

/// The same workflow, seen through another server.
fn through(server: &Server, flow: &Flow) -> Flow {
    Flow { rpc: server.rpc(), ..flow.clone() }
}

#[tokio::test]
async fn an_open_workflow_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("perdure.db");
    let server = over_file(&file).await;
    let namespace = unique("namespace");
    crate::namespaces::register(&server, &namespace).await;
    let (flow, waiting) = (Flow::new(&server), Flow::new(&server));
    let nap = Duration::from_secs(1);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1)), timer("nap", nap)]).await;
    let taken = flow.activity().await;
    waiting.start().await;
    let before = flow.events().await;
    server.stop().await;

    let server = over_file(&file).await;
    let flow = through(&server, &flow);
    let describe = ws::DescribeNamespaceRequest { namespace, ..Default::default() };
    server.rpc().describe_namespace(describe).await.unwrap();
    let events = flow.events().await;
    assert_eq!(events[..before.len()], before);
    // A workflow task that nobody had taken is there for the next worker, tokens are as good as before.
    assert_eq!(through(&server, &waiting).task().await.attempt, 1);
    let outcome = ws::RespondActivityTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: taken.task_token,
        ..Default::default()
    };
    server.rpc().respond_activity_task_completed(outcome).await.unwrap();
    let mut seen = Vec::new();
    while !seen.contains(&EventType::TimerFired) || !seen.contains(&EventType::ActivityTaskCompleted) {
        let task = flow.task().await;
        seen = kinds(&task.history.as_ref().unwrap().events);
        flow.complete(&task, Vec::new()).await.unwrap();
    }
    let events = flow.events().await;
    assert_eq!(ids(&events), (1..=events.len() as i64).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_lets_its_polls_go() {
    let server = Server::with(&[]).await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (mut rpc, poll) = (server.rpc(), within(PATIENCE, flow.poll_request()));
    let task = tokio::spawn(async move { rpc.poll_workflow_task_queue(poll).await });
    let request = ws::GetWorkflowExecutionHistoryRequest { wait_new_event: true, ..flow.history_request() };
    let (_, next_page_token) = flow.page(request.clone()).await.unwrap();
    let watch = ws::GetWorkflowExecutionHistoryRequest { next_page_token, ..request };
    let mut rpc = server.rpc();
    let news = tokio::spawn(async move { rpc.get_workflow_execution_history(watch).await });
    // An answer comes after both have been asked.
    flow.describe().await;
    server.stop().await;
    for refused in [task.await.unwrap().map(drop), news.await.unwrap().map(drop)] {
        // Empty, or an error that clients try again after.
        let fine = refused.as_ref().err().is_none_or(|status| status.code() == Code::Unavailable);
        assert!(fine, "{refused:?}");
    }
}

#[tokio::test]
async fn a_closed_workflow_is_deleted_after_its_retention() {
    let config = [("system.namespaceMinRetentionLocal", "\"0s\""), ("history.retentionTimerJitterDuration", "\"0s\"")];
    let server = Server::with(&config).await;
    let request = ws::RegisterNamespaceRequest {
        namespace: "brief".to_owned(),
        workflow_execution_retention_period: span(Duration::from_millis(100)),
        ..Default::default()
    };
    server.rpc().register_namespace(request).await.unwrap();
    let flow = Flow::new(&server);
    let start = ws::StartWorkflowExecutionRequest { namespace: "brief".to_owned(), ..flow.start_request() };
    let run_id = server.rpc().start_workflow_execution(start).await.unwrap().into_inner().run_id;
    let terminate = ws::TerminateWorkflowExecutionRequest { namespace: "brief".to_owned(), ..flow.terminate_request() };
    server.rpc().terminate_workflow_execution(terminate).await.unwrap();

    for run_id in ["", &run_id] {
        let describe = ws::DescribeWorkflowExecutionRequest {
            namespace: "brief".to_owned(),
            execution: execution(&flow.id, run_id),
        };
        let status = loop {
            if let Err(status) = server.rpc().describe_workflow_execution(describe.clone()).await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::NotFound);
    }
    let history = ws::GetWorkflowExecutionHistoryRequest { namespace: "brief".to_owned(), ..flow.history_request() };
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.page(history).await, Code::NotFound, "NotFoundFailure", &text);
    server.stop().await;
}
