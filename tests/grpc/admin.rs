//! AdminService: what `perdure db check --address` and `perdure describe` ask. Only this server has it.

use std::sync::Arc;

use perdure_kernel::{ExecutionKey, ShardId};
use perdure_persistence::{SharedStore, memory::MemoryStore};
use perdure_proto::{
    admin::{self, check_database_response::Part},
    api::workflowservice as ws,
};
use tonic::Code;

use crate::{kit::*, namespaces::register};

/// What a check found, and its summary.
async fn check(server: &Server, request: admin::CheckDatabaseRequest) -> (Vec<admin::Finding>, admin::CheckSummary) {
    let mut parts = server.admin().check_database(request).await.unwrap().into_inner();
    let mut findings = Vec::new();
    loop {
        match parts.message().await.unwrap().unwrap().part.unwrap() {
            Part::Finding(finding) => findings.push(finding),
            Part::Summary(summary) => {
                assert!(parts.message().await.unwrap().is_none(), "the summary is the last");
                return (findings, summary);
            }
        }
    }
}

/// Every run of a store.
async fn runs(store: &SharedStore) -> Vec<ExecutionKey> {
    let mut runs = Vec::new();
    for shard in 1..=4 {
        runs.extend(store.list_executions(ShardId(shard), None, 1000).await.unwrap().keys);
    }
    runs
}

#[tokio::test]
async fn a_database_is_checked_and_set_right() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let server = Server::over(Arc::clone(&store), &[]).await;
    let (open, closed, other) = (Flow::new(&server), Flow::new(&server), unique("namespace"));
    open.start().await;
    closed.start().await;
    closed.terminate().await;
    register(&server, &other).await;
    let elsewhere =
        ws::StartWorkflowExecutionRequest { namespace: other.clone(), ..Flow::new(&server).start_request() };
    server.rpc().start_workflow_execution(elsewhere).await.unwrap();
    let (findings, summary) = check(&server, admin::CheckDatabaseRequest::default()).await;
    assert_eq!((findings.len(), summary.runs, summary.rows, summary.findings), (0, 3, 3, 0));

    let runs = runs(&store).await;
    store.remove_visibility(&runs).await.unwrap();
    let namespace = admin::CheckDatabaseRequest { namespace: other.clone(), ..Default::default() };
    let (findings, summary) = check(&server, namespace).await;
    assert_eq!((summary.runs, summary.rows, summary.findings, summary.repaired), (1, 0, 1, 0));
    assert_eq!((findings[0].problem.as_str(), findings[0].repaired), ("not_shown", false));

    let repair = admin::CheckDatabaseRequest { repair: true, without_histories: true, ..Default::default() };
    let (findings, summary) = check(&server, repair).await;
    assert!(findings.iter().all(|finding| finding.problem == "not_shown" && finding.repaired), "{findings:?}");
    assert_eq!((summary.findings, summary.repaired, summary.rows), (3, 3, 3));
    let (findings, _) = check(&server, admin::CheckDatabaseRequest::default()).await;
    assert_eq!(findings, []);
    let list = ws::ListWorkflowExecutionsRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
    let listed = server.rpc().list_workflow_executions(list).await.unwrap().into_inner();
    assert_eq!(listed.executions.len(), 2);
    let node = server.admin().describe_node(admin::DescribeNodeRequest {}).await.unwrap().into_inner();
    assert_eq!(node.last_check.unwrap().runs, 3);

    let unknown = admin::CheckDatabaseRequest { namespace: "nowhere".to_owned(), ..Default::default() };
    let refusal = server.admin().check_database(unknown).await.map(drop);
    refused(refusal, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    server.stop().await;
}

#[tokio::test]
async fn a_node_and_its_shards_are_described() {
    let server = Server::with(&[]).await;
    let flow = Flow::new(&server);
    flow.start().await;
    let node = server.admin().describe_node(admin::DescribeNodeRequest {}).await.unwrap().into_inner();
    assert_eq!((node.store.as_str(), node.shards, node.threads, node.last_check), ("memory", 4, 2, None));
    assert!(node.actors > 4 && node.requests >= 1 && node.resident_bytes > 0);

    let by_id = admin::DescribeShardRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        ..Default::default()
    };
    let holder = server.admin().describe_shard(by_id).await.unwrap().into_inner();
    assert_eq!((holder.executions, holder.range_id, holder.renewals, holder.share), (1, 1, 0, 0.25));
    let mut executions = 0;
    for shard in 1..=4 {
        let request = admin::DescribeShardRequest { shard, ..Default::default() };
        let shown = server.admin().describe_shard(request).await.unwrap().into_inner();
        assert_eq!((shown.shard, shown.ranges.len()), (shard, 1));
        executions += shown.executions;
    }
    assert_eq!(executions, 1);

    let request = |shard| admin::DescribeShardRequest { shard, ..Default::default() };
    let text = "there is no shard 9; shards are 1 to 4";
    refused(server.admin().describe_shard(request(9)).await, Code::NotFound, "NotFoundFailure", text);
    let text = "name a shard by its number, or a workflow that it holds";
    refused(server.admin().describe_shard(request(0)).await, Code::InvalidArgument, "", text);
    server.stop().await;
}

#[tokio::test]
async fn a_queue_is_described_by_partition() {
    let config = [("matching.numTaskqueueReadPartitions", "2"), ("matching.numTaskqueueWritePartitions", "2")];
    let server = Server::with(&config).await;
    let flow = Flow::new(&server);
    flow.start().await;
    let request = admin::DescribeQueueRequest { namespace: NAMESPACE.to_owned(), name: flow.queue.clone() };
    // The task is on its way to its queue.
    let shown = loop {
        let shown = server.admin().describe_queue(request.clone()).await.unwrap().into_inner();
        if shown.partitions.iter().map(|partition| partition.backlog).sum::<i64>() == 1 {
            break shown;
        }
    };
    let partitions: Vec<(&str, u32)> =
        shown.partitions.iter().map(|partition| (partition.r#type.as_str(), partition.partition)).collect();
    assert_eq!(partitions, [("workflow", 0), ("workflow", 1), ("activity", 0), ("activity", 1)]);
    let nameless = admin::DescribeQueueRequest { name: String::new(), ..request };
    refused(server.admin().describe_queue(nameless).await, Code::InvalidArgument, "", "name a task queue");
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_is_described_by_name_and_id() {
    let server = Server::with(&[]).await;
    let flow = Flow::new(&server);
    flow.start().await;
    flow.terminate().await;
    Flow::new(&server).start().await;
    let describe = async |namespace: &str| {
        let request = admin::DescribeNamespaceRequest { namespace: namespace.to_owned() };
        server.admin().describe_namespace(request).await.map(tonic::Response::into_inner)
    };
    let shown = describe(NAMESPACE).await.unwrap();
    assert_eq!(describe(&shown.id).await.unwrap(), shown);
    let count = |name: &str, count| admin::Count { name: name.to_owned(), count };
    assert_eq!(shown.workflows, [count("Running", 1), count("Terminated", 1)]);
    assert_eq!((shown.state.as_str(), shown.search_attributes, shown.deletion), ("Registered", 1, None));
    refused(describe("nowhere").await, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");

    let name = unique("namespace");
    register(&server, &name).await;
    let request = perdure_proto::api::operatorservice::DeleteNamespaceRequest {
        namespace: name.clone(),
        namespace_delete_delay: seconds(3600),
        ..Default::default()
    };
    let deleted = server.operator().delete_namespace(request).await.unwrap().into_inner().deleted_namespace;
    let deletion = loop {
        let deletion = describe(&deleted).await.unwrap().deletion.unwrap();
        if deletion.stage == "waiting for its delay to end" {
            break deletion;
        }
    };
    assert_eq!((deletion.former_name, deletion.left, deletion.trouble.as_str()), (name, 0, ""));
    server.stop().await;
}
