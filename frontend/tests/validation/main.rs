//! What malformed requests are told: status code, detail and text, through real gRPC.

#![allow(clippy::unwrap_used)]

mod executions;
mod rpc;
mod starts;
#[path = "../support/mod.rs"]
mod support;
mod workers;

use perdure_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use rpc::{Case, refusal};
use support::{TestServer, detail};
use tonic::transport::{Channel, Endpoint};

fn cases() -> Vec<Case> {
    [
        starts::namespace_cases(),
        starts::start_cases(),
        starts::signal_with_start_cases(),
        executions::execution_cases(),
        workers::poll_cases(),
        workers::by_id_cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where the answers to `cases` are not those expected.
async fn differences(client: WorkflowServiceClient<Channel>, cases: Vec<Case>) -> Vec<String> {
    let mut differences = Vec::new();
    for (index, case) in cases.into_iter().enumerate() {
        let expected = (case.code, case.detail.to_owned(), case.text.clone());
        let actual = refusal(client.clone(), case.rpc).await.map(|s| (s.code(), detail(&s), s.message().to_owned()));
        if actual.as_ref() != Some(&expected) {
            differences.push(format!("{index}: expected {expected:?}, got {actual:?}"));
        }
    }
    differences
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let server = TestServer::start().await;
    let mut cases = cases();
    cases.extend(workers::old_versioning_cases());
    let differences = differences(server.workflows(), cases).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(server.log.lock().unwrap().is_empty(), "a malformed request went through: {}", server.last());
}

/// Holds the table above against Temporal itself: start its development server with
/// `--search-attribute Amount=Int` and give its address in `TEMPORAL_ADDRESS`.
#[tokio::test]
#[ignore = "needs a Temporal server"]
async fn temporal_refuses_them_in_the_same_words() {
    let address = std::env::var("TEMPORAL_ADDRESS").unwrap();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let differences = differences(WorkflowServiceClient::new(channel), cases()).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
