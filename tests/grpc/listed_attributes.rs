//! Search attributes that the server sets are listed and found, on a file as in memory.

use std::sync::Arc;

use perdure_persistence::{SharedStore, memory::MemoryStore};
use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_proto::api::{common::WorkerVersionStamp, workflowservice as ws};

use crate::kit::*;

/// Ids of what a filter finds.
async fn found(server: &Server, query: &str) -> Vec<String> {
    let request = ws::ListWorkflowExecutionsRequest {
        namespace: NAMESPACE.to_owned(),
        query: query.to_owned(),
        ..Default::default()
    };
    let listed = server.rpc().list_workflow_executions(request).await.unwrap().into_inner().executions;
    listed.into_iter().filter_map(|info| info.execution).map(|execution| execution.workflow_id).collect()
}

async fn see_them(store: SharedStore) {
    let server = Server::over(store, &[]).await;
    let flow = Flow::new(&server);
    flow.start().await;
    let own = std::slice::from_ref(&flow.id);
    let nothing: [String; 0] = [];
    assert_eq!(found(&server, "BuildIds IS NOT NULL").await, nothing);
    let task = flow.task().await;
    let stamp = WorkerVersionStamp { build_id: "one".to_owned(), use_versioning: false };
    #[allow(deprecated, reason = "what workers without versions send")]
    let completion =
        ws::RespondWorkflowTaskCompletedRequest { worker_version_stamp: Some(stamp), ..flow.completion(&task, vec![]) };
    flow.respond(completion).await.unwrap();
    for query in ["BuildIds = 'unversioned:one'", "BuildIds IN ('unversioned', 'x')"] {
        assert_eq!(found(&server, query).await, own, "{query}");
    }

    let pause = ws::PauseWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        reason: "because".to_owned(),
        request_id: unique("request"),
        ..Default::default()
    };
    server.rpc().pause_workflow_execution(pause).await.unwrap();
    let paused = format!("TemporalPauseInfo = 'Workflow:{}' AND ExecutionStatus = 'Paused'", flow.id);
    assert_eq!(found(&server, &paused).await, own);
    assert_eq!(found(&server, "TemporalPauseInfo = 'Reason:because'").await, own);
    let unpause = ws::UnpauseWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        request_id: unique("request"),
        ..Default::default()
    };
    server.rpc().unpause_workflow_execution(unpause).await.unwrap();
    assert_eq!(found(&server, "TemporalPauseInfo IS NOT NULL").await, nothing);
    assert_eq!(found(&server, "BuildIds = 'unversioned:one'").await, own);
    flow.terminate().await;
    server.stop().await;
}

#[tokio::test]
async fn in_memory() {
    see_them(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::file(directory.path().join("perdure.db"));
    see_them(Arc::new(SqliteStore::open(options).await.unwrap())).await;
}
