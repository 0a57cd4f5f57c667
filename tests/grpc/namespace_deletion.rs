//! DeleteNamespace: what it answers, and that nothing is left.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use perdure_kernel::{NamespaceId, ShardId};
use perdure_persistence::{Store, memory::MemoryStore, task_queue::QueueKey};
use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_proto::api::{
    enums::NamespaceState, namespace::NamespaceFilter, operatorservice as os, workflowservice as ws,
};
use perdure_visibility::Query;
use tonic::{Code, Status};

use crate::{kit::*, namespaces::register};

async fn delete(server: &Server, name: &str) -> Result<String, Status> {
    let request = os::DeleteNamespaceRequest { namespace: name.to_owned(), ..Default::default() };
    Ok(server.operator().delete_namespace(request).await?.into_inner().deleted_namespace)
}

async fn describe(server: &Server, name: &str, id: &str) -> Result<ws::DescribeNamespaceResponse, Status> {
    let request = ws::DescribeNamespaceRequest { namespace: name.to_owned(), id: id.to_owned(), ..Default::default() };
    Ok(server.rpc().describe_namespace(request).await?.into_inner())
}

async fn id_of(server: &Server, name: &str) -> String {
    describe(server, name, "").await.unwrap().namespace_info.unwrap().id
}

/// Workflows that nobody works on, and a standalone activity.
async fn fill(server: &Server, name: &str, workflows: usize) {
    let flow = Flow::new(server);
    for _ in 0..workflows {
        let request = ws::StartWorkflowExecutionRequest {
            namespace: name.to_owned(),
            workflow_id: unique("flow"),
            ..flow.start_request()
        };
        server.rpc().start_workflow_execution(request).await.unwrap();
    }
    let request = ws::StartActivityExecutionRequest {
        namespace: name.to_owned(),
        activity_id: unique("activity"),
        request_id: unique("request"),
        activity_type: Some(perdure_proto::api::common::ActivityType { name: "act".to_owned() }),
        task_queue: normal(&unique("queue")),
        start_to_close_timeout: seconds(60),
        ..Default::default()
    };
    server.rpc().start_activity_execution(request).await.unwrap();
}

/// Until the namespace's record is gone.
async fn until_gone(server: &Server, id: &str) {
    loop {
        match describe(server, "", id).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(status) => {
                let text = format!("Namespace {id} is not found.");
                refused::<()>(Err(status), Code::NotFound, "NamespaceNotFoundFailure", &text);
                return;
            }
        }
    }
}

#[tokio::test]
pub(crate) async fn a_namespace_goes_and_its_name_is_free() {
    let server = Server::start().await;
    let name = unique("namespace");
    register(&server, &name).await;
    let id = id_of(&server, &name).await;
    let request = os::DeleteNamespaceRequest {
        namespace: name.clone(),
        namespace_delete_delay: seconds(3600),
        ..Default::default()
    };
    let deleted = server.operator().delete_namespace(request).await.unwrap().into_inner().deleted_namespace;
    assert_eq!(deleted, format!("{name}-deleted-{}", &id[..5]));

    let gone = format!("Namespace {name} is not found.");
    refused(describe(&server, &name, "").await, Code::NotFound, "NamespaceNotFoundFailure", &gone);
    for found in [describe(&server, &deleted, "").await, describe(&server, "", &id).await] {
        let info = found.unwrap().namespace_info.unwrap();
        assert_eq!((info.name.as_str(), info.state()), (deleted.as_str(), NamespaceState::Deleted));
    }
    // Once more changes nothing.
    assert_eq!(delete(&server, &deleted).await.unwrap(), deleted);
    let by_id = os::DeleteNamespaceRequest { namespace_id: id.clone(), ..Default::default() };
    let again = server.operator().delete_namespace(by_id).await.unwrap().into_inner();
    assert_eq!(again.deleted_namespace, deleted);

    for (include_deleted, expected) in [(false, false), (true, true)] {
        let request = ws::ListNamespacesRequest {
            namespace_filter: Some(NamespaceFilter { include_deleted }),
            page_size: 1000,
            ..Default::default()
        };
        let listed = server.rpc().list_namespaces(request).await.unwrap().into_inner().namespaces;
        let listed = listed.into_iter().filter_map(|namespace| namespace.namespace_info);
        assert_eq!(listed.map(|info| info.name).any(|name| name == deleted), expected);
    }
    if !server.is_elsewhere() {
        let list = ws::ListWorkflowExecutionsRequest { namespace: deleted.clone(), ..Default::default() };
        let text = "Namespace has invalid state: Deleted. Must be Registered or Deprecated.";
        let refusal = server.rpc().list_workflow_executions(list).await;
        refused(refusal, Code::FailedPrecondition, "NamespaceInvalidStateFailure", text);
        let start = ws::StartWorkflowExecutionRequest { namespace: deleted, ..Flow::new(&server).start_request() };
        let text = "Namespace has invalid state: Deleted. Must be Registered.";
        let refusal = server.rpc().start_workflow_execution(start).await;
        refused(refusal, Code::FailedPrecondition, "NamespaceInvalidStateFailure", text);
    }
    register(&server, &name).await;
    assert_ne!(id_of(&server, &name).await, id);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_deleted_is_refused() {
    let server = Server::start().await;
    let request = |namespace: &str, namespace_id: &str| os::DeleteNamespaceRequest {
        namespace: namespace.to_owned(),
        namespace_id: namespace_id.to_owned(),
        ..Default::default()
    };
    let system = "32049b68-7872-4094-8e63-d0dd59896a83";
    let long = "x".repeat(1001);
    for (request, code, detail, text) in [
        (request("", ""), Code::InvalidArgument, "", "Namespace not set on request."),
        (request(&long, ""), Code::InvalidArgument, "", "Namespace length exceeds limit."),
        (
            request("default", system),
            Code::InvalidArgument,
            "",
            "Only one of namespace name or Id should be set on request.",
        ),
        (request("nowhere", ""), Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found."),
        (request("", "nowhere"), Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found."),
        (request("temporal-system", ""), Code::FailedPrecondition, "", "unable to delete system namespace"),
        (request("", system), Code::FailedPrecondition, "", "unable to delete system namespace"),
    ] {
        refused(server.operator().delete_namespace(request).await, code, detail, text);
    }
    server.stop().await;
}

/// What a store holds of a namespace.
#[derive(Debug, Default, PartialEq)]
struct Remains {
    /// Its record, its executions and the rows that lists show of them.
    records: usize,
    /// Task queues. A start is acknowledged before its task is in one.
    queues: BTreeSet<QueueKey>,
}

async fn remains(store: &impl Store, id: &NamespaceId) -> Remains {
    let everything = Query { filter: None, group_by: None };
    let mut records = usize::try_from(store.count_visibility(id, &everything).await.unwrap()).unwrap();
    for shard in 1..=4 {
        let listed = store.list_executions(ShardId(shard), None, 1000).await.unwrap().keys;
        records += listed.iter().filter(|key| key.business.namespace_id == *id).count();
    }
    records += usize::from(store.namespace_by_id(id).await.unwrap().is_some());
    Remains { records, queues: store.list_queues(id).await.unwrap().into_iter().collect() }
}

/// Only here: what the store holds.
#[tokio::test]
async fn nothing_of_it_is_left() {
    let store = Arc::new(MemoryStore::new());
    let config = [("frontend.deleteNamespaceDeletePageSize", "3"), ("frontend.deleteNamespaceDeleteActivityRPS", "0")];
    let server = Server::over(Arc::clone(&store) as _, &config).await;
    let (name, other) = (unique("namespace"), unique("namespace"));
    for name in [&name, &other] {
        register(&server, name).await;
        fill(&server, name, 10).await;
    }
    let (id, kept) = (id_of(&server, &name).await, id_of(&server, &other).await);
    let before = remains(&*store, &kept.as_str().into()).await;
    delete(&server, &name).await.unwrap();
    until_gone(&server, &id).await;
    assert_eq!(remains(&*store, &id.as_str().into()).await, Remains::default());
    let after = remains(&*store, &kept.as_str().into()).await;
    assert_eq!(after.records, before.records, "its neighbour is left alone");
    assert!(after.queues.is_superset(&before.queues), "its neighbour's queues too: {before:?}, {after:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_protected_namespace_stays() {
    let server = Server::with(&[("worker.protectedNamespaces", r#"["kept"]"#)]).await;
    register(&server, "kept").await;
    let id = id_of(&server, "kept").await;
    let by_id = os::DeleteNamespaceRequest { namespace_id: id.clone(), ..Default::default() };
    let text = "namespace kept is protected from deletion";
    for answer in [delete(&server, "kept").await.map(drop), server.operator().delete_namespace(by_id).await.map(drop)] {
        refused(answer, Code::FailedPrecondition, "", text);
    }
    assert_eq!(id_of(&server, "kept").await, id);
    server.stop().await;
}

/// Only here: a server that stops half-way goes on when it starts again.
#[tokio::test]
async fn a_deletion_outlives_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("perdure.db");
    let open = async || Arc::new(SqliteStore::open(SqliteOptions::file(&file)).await.unwrap());
    let slow = [("frontend.deleteNamespaceDeleteActivityRPS", "1")];
    let server = Server::over(open().await, &slow).await;
    let name = unique("namespace");
    register(&server, &name).await;
    fill(&server, &name, 10).await;
    let id = id_of(&server, &name).await;
    let deleted = delete(&server, &name).await.unwrap();
    server.stop().await;

    let store = open().await;
    let server = Server::over(Arc::clone(&store) as _, &[]).await;
    assert_eq!(describe(&server, "", &id).await.map(|found| found.namespace_info.unwrap().name).unwrap(), deleted);
    until_gone(&server, &id).await;
    assert_eq!(remains(&*store, &id.as_str().into()).await, Remains::default());
    server.stop().await;
}
