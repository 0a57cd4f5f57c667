//! Lists are read in pages while workflows start and close: each that was there is seen exactly once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use perdure_persistence::{SharedStore, memory::MemoryStore};
use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_proto::api::workflowservice as ws;

use crate::kit::*;

/// Workflows that are open before the first page is read.
const OPEN: usize = 120;
/// Listings, one after another.
const LISTINGS: usize = 4;
const PAGE: i32 = 9;

/// Starts another workflow: its id.
async fn start(server: &Server, flow: &Flow) -> String {
    let workflow_id = unique("steady");
    let start = ws::StartWorkflowExecutionRequest {
        workflow_id: workflow_id.clone(),
        request_id: unique("request"),
        ..flow.start_request()
    };
    server.rpc().start_workflow_execution(start).await.unwrap();
    workflow_id
}

/// Starts and closes workflows until told to stop.
async fn churn(server: &Server, ids: Vec<String>, stop: &AtomicBool, closed: &AtomicUsize) {
    let mut open = ids;
    let flow = Flow::new(server);
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        open.push(start(server, &flow).await);
        // By turns the one that has been open longest and the one started last.
        turn += 1;
        let victim = if turn % 2 == 0 { open.remove(0) } else { open.remove(open.len() / 2) };
        let terminate = ws::TerminateWorkflowExecutionRequest {
            workflow_execution: execution(&victim, ""),
            ..flow.terminate_request()
        };
        server.rpc().terminate_workflow_execution(terminate).await.unwrap();
        closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// How often a listing shows each workflow. Something closes between any two pages.
async fn listing(server: &Server, closed: &AtomicUsize) -> HashMap<String, usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut request =
        ws::ListWorkflowExecutionsRequest { namespace: NAMESPACE.to_owned(), page_size: PAGE, ..Default::default() };
    loop {
        let before = closed.load(Ordering::SeqCst);
        let page = server.rpc().list_workflow_executions(request.clone()).await.unwrap().into_inner();
        for info in page.executions {
            *seen.entry(info.execution.unwrap().workflow_id).or_default() += 1;
        }
        if page.next_page_token.is_empty() {
            return seen;
        }
        request.next_page_token = page.next_page_token;
        while closed.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
    }
}

async fn hold(store: SharedStore) {
    let server = Server::over(store, &[]).await;
    let flow = Flow::new(&server);
    let mut ids = Vec::new();
    for _ in 0..OPEN {
        ids.push(start(&server, &flow).await);
    }
    let (stop, closed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let look = async {
        let mut known: Vec<String> = ids.clone();
        for _ in 0..LISTINGS {
            let seen = listing(&server, &closed).await;
            assert!(seen.values().all(|times| *times == 1), "twice: {seen:?}");
            let missing: Vec<&String> = known.iter().filter(|id| !seen.contains_key(*id)).collect();
            assert!(missing.is_empty(), "not at all: {missing:?}");
            // What one listing has shown was there before the next began.
            known = seen.into_keys().collect();
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(churn(&server, ids.clone(), &stop, &closed), look);
    assert!(closed.load(Ordering::SeqCst) > 40);
    server.stop().await;
}

#[tokio::test]
async fn in_memory() {
    hold(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::file(directory.path().join("perdure.db"));
    hold(Arc::new(SqliteStore::open(options).await.unwrap())).await;
}
