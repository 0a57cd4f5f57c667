//! GetClusterInfo, GetSystemInfo, GetSearchAttributes, OperatorService and health.

use perdure_frontend::SERVER_VERSION;
use perdure_proto::api::{enums::IndexedValueType, operatorservice as os, workflowservice as ws};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::kit::*;

#[tokio::test]
pub(crate) async fn the_cluster_tells_about_itself() {
    let server = Server::start().await;
    let info = server.rpc().get_cluster_info(ws::GetClusterInfoRequest::default()).await.unwrap().into_inner();
    assert_eq!((info.cluster_name.as_str(), info.server_version.as_str()), ("active", SERVER_VERSION));
    assert!(!info.cluster_id.is_empty() && info.history_shard_count > 0);
    assert!(info.supported_clients.contains_key("temporal-go"));

    let clusters = server.operator().list_clusters(os::ListClustersRequest::default()).await.unwrap().into_inner();
    assert_eq!(clusters.clusters.len(), 1);
    assert_eq!((clusters.clusters[0].cluster_id.as_str()), info.cluster_id);
    assert_eq!(clusters.clusters[0].history_shard_count, info.history_shard_count);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn the_system_says_what_it_can_do() {
    let server = Server::start().await;
    let info = server.rpc().get_system_info(ws::GetSystemInfoRequest::default()).await.unwrap().into_inner();
    assert_eq!(info.server_version, SERVER_VERSION);
    let capabilities = info.capabilities.unwrap();
    assert!(capabilities.signal_and_query_header && capabilities.eager_workflow_start && capabilities.sdk_metadata);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn search_attributes_are_listed() {
    let server = Server::start().await;
    let keys = server.rpc().get_search_attributes(ws::GetSearchAttributesRequest::default()).await.unwrap();
    assert_eq!(keys.get_ref().keys["WorkflowType"], i32::from(IndexedValueType::Keyword));

    let of = |namespace: &str| os::ListSearchAttributesRequest { namespace: namespace.to_owned() };
    let listed = server.operator().list_search_attributes(of(NAMESPACE)).await.unwrap().into_inner();
    let (name, kind) = ATTRIBUTE;
    assert_eq!(listed.custom_attributes.get(name), Some(&i32::from(kind)));
    assert_eq!(listed.system_attributes["StartTime"], i32::from(IndexedValueType::Datetime));
    let unknown = server.operator().list_search_attributes(of("nowhere")).await;
    refused(unknown, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    server.stop().await;
}

#[tokio::test]
async fn services_are_healthy() {
    let server = Server::start().await;
    let mut health = HealthClient::new(server.channel());
    for service in ["", "temporal.api.workflowservice.v1.WorkflowService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().get_ref().status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "no.such.Service".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_served_says_so_by_name() {
    let server = Server::with(&[]).await;
    let answer = server.rpc().create_schedule(ws::CreateScheduleRequest::default()).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("CreateSchedule"), "{}", status.message());
    let status = server.operator().create_nexus_endpoint(os::CreateNexusEndpointRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("CreateNexusEndpoint"), "{}", status.message());
    server.stop().await;
}
