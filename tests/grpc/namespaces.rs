//! RegisterNamespace, DescribeNamespace, ListNamespaces, UpdateNamespace and DeprecateNamespace.

use std::collections::BTreeSet;

use perdure_proto::api::{
    enums::NamespaceState,
    errordetails::NamespaceInvalidStateFailure,
    namespace::{NamespaceConfig, UpdateNamespaceInfo},
    workflowservice as ws,
};
use prost::Message;
use tonic::{Code, Status};

use crate::kit::*;

const DAY: u64 = 24 * 3600;

fn registration(name: &str) -> ws::RegisterNamespaceRequest {
    ws::RegisterNamespaceRequest {
        namespace: name.to_owned(),
        description: "orders".to_owned(),
        owner_email: "owner@example.com".to_owned(),
        workflow_execution_retention_period: seconds(DAY),
        ..Default::default()
    }
}

/// Registers a namespace.
pub(crate) async fn register(server: &Server, name: &str) {
    server.rpc().register_namespace(registration(name)).await.unwrap();
}

async fn describe(server: &Server, name: &str) -> Result<ws::DescribeNamespaceResponse, Status> {
    let request = ws::DescribeNamespaceRequest { namespace: name.to_owned(), ..Default::default() };
    Ok(server.rpc().describe_namespace(request).await?.into_inner())
}

#[tokio::test]
pub(crate) async fn a_namespace_is_registered_and_described() {
    let server = Server::start().await;
    let name = unique("namespace");
    register(&server, &name).await;
    let described = describe(&server, &name).await.unwrap();
    let info = described.namespace_info.clone().unwrap();
    assert_eq!((&info.name, info.state()), (&name, NamespaceState::Registered));
    assert_eq!((info.description.as_str(), info.owner_email.as_str()), ("orders", "owner@example.com"));
    assert_eq!(described.config.as_ref().unwrap().workflow_execution_retention_ttl, seconds(DAY));
    assert!(!described.is_global_namespace);
    let by_id = ws::DescribeNamespaceRequest { id: info.id, ..Default::default() };
    assert_eq!(server.rpc().describe_namespace(by_id).await.unwrap().into_inner(), described);

    let again = server.rpc().register_namespace(registration(&name)).await;
    let text = format!("Namespace {name:?} already exists");
    refused(again, Code::AlreadyExists, "NamespaceAlreadyExistsFailure", &text);
    server.stop().await;
}

#[tokio::test]
async fn what_was_not_registered_is_not_found() {
    let server = Server::start().await;
    let unknown = describe(&server, "nowhere").await;
    refused(unknown, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    let by_id = ws::DescribeNamespaceRequest { id: NO_RUN.to_owned(), ..Default::default() };
    let unknown = server.rpc().describe_namespace(by_id).await;
    refused(unknown, Code::NotFound, "NamespaceNotFoundFailure", &format!("Namespace {NO_RUN} is not found."));
    let update = ws::UpdateNamespaceRequest { namespace: "nowhere".to_owned(), ..Default::default() };
    let unknown = server.rpc().update_namespace(update).await;
    refused(unknown, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    let deprecate = ws::DeprecateNamespaceRequest { namespace: "nowhere".to_owned(), ..Default::default() };
    let unknown = server.rpc().deprecate_namespace(deprecate).await;
    refused(unknown, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    server.stop().await;
}

#[tokio::test]
async fn a_retention_that_is_too_short_is_refused() {
    let server = Server::start().await;
    let mut request = registration(&unique("namespace"));
    request.workflow_execution_retention_period = seconds(1);
    let text = "A valid retention period is not set on request.";
    refused(server.rpc().register_namespace(request).await, Code::InvalidArgument, "", text);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn namespaces_are_listed_in_pages() {
    let server = Server::start().await;
    let names: BTreeSet<String> = (0..5).map(|_| unique("namespace")).collect();
    for name in &names {
        register(&server, name).await;
    }
    let mut listed = BTreeSet::new();
    let mut request = ws::ListNamespacesRequest { page_size: 2, ..Default::default() };
    loop {
        let page = server.rpc().list_namespaces(request.clone()).await.unwrap().into_inner();
        assert!(page.namespaces.len() <= 2);
        listed.extend(page.namespaces.into_iter().map(|namespace| namespace.namespace_info.unwrap().name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.next_page_token = page.next_page_token;
    }
    assert!(listed.is_superset(&names) && listed.contains(NAMESPACE));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_namespace_is_updated_where_the_request_says_so() {
    let server = Server::start().await;
    let name = unique("namespace");
    register(&server, &name).await;
    let request = ws::UpdateNamespaceRequest {
        namespace: name.clone(),
        update_info: Some(UpdateNamespaceInfo {
            description: "invoices".to_owned(),
            data: [("team".to_owned(), "money".to_owned())].into(),
            ..Default::default()
        }),
        config: Some(NamespaceConfig { workflow_execution_retention_ttl: seconds(2 * DAY), ..Default::default() }),
        ..Default::default()
    };
    let updated = server.rpc().update_namespace(request).await.unwrap().into_inner();
    let described = describe(&server, &name).await.unwrap();
    assert_eq!((&updated.namespace_info, &updated.config), (&described.namespace_info, &described.config));
    let info = described.namespace_info.unwrap();
    assert_eq!((info.description.as_str(), info.owner_email.as_str()), ("invoices", "owner@example.com"));
    assert_eq!(info.data["team"], "money");
    assert_eq!(described.config.unwrap().workflow_execution_retention_ttl, seconds(2 * DAY));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_deprecated_namespace_starts_nothing_new() {
    let server = Server::start().await;
    let name = unique("namespace");
    register(&server, &name).await;
    let flow = Flow::new(&server);
    let start = ws::StartWorkflowExecutionRequest { namespace: name.clone(), ..flow.start_request() };
    server.rpc().start_workflow_execution(start.clone()).await.unwrap();

    let request = ws::DeprecateNamespaceRequest { namespace: name.clone(), ..Default::default() };
    server.rpc().deprecate_namespace(request).await.unwrap();
    assert_eq!(describe(&server, &name).await.unwrap().namespace_info.unwrap().state(), NamespaceState::Deprecated);
    // Temporal takes a while to know.
    let refusal = loop {
        let elsewhere = ws::StartWorkflowExecutionRequest {
            workflow_id: unique("flow"),
            task_queue: normal(&unique("queue")),
            ..start.clone()
        };
        if let Err(status) = server.rpc().start_workflow_execution(elsewhere).await {
            break status;
        }
    };
    let text = "Namespace has invalid state: Deprecated. Must be Registered.";
    let detail = refused::<()>(Err(refusal), Code::FailedPrecondition, "NamespaceInvalidStateFailure", text);
    assert_eq!(NamespaceInvalidStateFailure::decode(detail.as_slice()).unwrap().namespace, name);

    // What runs there goes on.
    let poll = ws::PollWorkflowTaskQueueRequest { namespace: name.clone(), ..flow.poll_request() };
    let task = flow.task_by(poll).await;
    let mut completion = flow.completion(&task, vec![complete("done")]);
    completion.namespace.clone_from(&name);
    flow.respond(completion).await.unwrap();

    let back = ws::UpdateNamespaceRequest {
        namespace: name,
        update_info: Some(UpdateNamespaceInfo { state: NamespaceState::Registered.into(), ..Default::default() }),
        ..Default::default()
    };
    refused(server.rpc().update_namespace(back).await, Code::InvalidArgument, "", "Invalid namespace state update.");
    server.stop().await;
}

#[tokio::test]
async fn namespaces_share_no_ids() {
    let server = Server::start().await;
    let other = unique("namespace");
    register(&server, &other).await;
    let flow = Flow::new(&server);
    let here = flow.start().await;
    let there = ws::StartWorkflowExecutionRequest { namespace: other.clone(), ..flow.start_request() };
    let there = server.rpc().start_workflow_execution(there).await.unwrap().into_inner().run_id;
    assert_ne!(here, there);
    let task = flow.task_by(ws::PollWorkflowTaskQueueRequest { namespace: other, ..flow.poll_request() }).await;
    assert_eq!(task.workflow_execution.unwrap().run_id, there);
    flow.terminate().await;
    server.stop().await;
}
