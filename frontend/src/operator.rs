//! `temporal.api.operatorservice.v1.OperatorService`.

use std::sync::Arc;

use perdure_kernel::{
    ServiceError, ServiceResult,
    search_attributes::{PREDEFINED, SYSTEM, is_reserved},
};
use perdure_proto::{
    api::{enums::IndexedValueType, operatorservice as os},
    temporal::api::operatorservice::v1::operator_service_server::OperatorService,
};

use crate::{
    call::{Call, Shared},
    service::service,
    validate::invalid,
};

/// The service's server side.
#[derive(Clone)]
pub(crate) struct Operator(pub(crate) Arc<Shared>);

async fn list_search_attributes(
    _shared: &Shared,
    call: Call<()>,
    request: os::ListSearchAttributesRequest,
) -> ServiceResult<os::ListSearchAttributesResponse> {
    if request.namespace.is_empty() {
        return Err(ServiceError::invalid_argument("Namespace is not set on request."));
    }
    let custom = &call.caller.namespace.search_attributes;
    let system = SYSTEM.iter().map(|(name, value_type)| ((*name).to_owned(), i32::from(*value_type)));
    let predefined = PREDEFINED.iter().map(|(name, value_type, _)| ((*name).to_owned(), i32::from(*value_type)));
    Ok(os::ListSearchAttributesResponse {
        custom_attributes: custom.iter().map(|(name, value_type)| (name.clone(), i32::from(*value_type))).collect(),
        system_attributes: system.chain(predefined).collect(),
        ..Default::default()
    })
}

async fn add_search_attributes(
    shared: &Shared,
    call: Call<()>,
    request: os::AddSearchAttributesRequest,
) -> ServiceResult<os::AddSearchAttributesResponse> {
    let mut attributes = Vec::with_capacity(request.search_attributes.len());
    for (name, number) in &request.search_attributes {
        if is_reserved(name) {
            return Err(invalid(format!("Search attribute {name} is reserved by system.")));
        }
        let value_type = IndexedValueType::try_from(*number)
            .map_err(|_unknown| invalid(format!("Unknown search attribute type: {number}.")))?;
        attributes.push((name.clone(), value_type));
    }
    if attributes.is_empty() {
        return Err(invalid("SearchAttributes are not set on request."));
    }
    if request.namespace.is_empty() {
        return Err(invalid("Namespace is not set on request."));
    }
    shared.namespaces.add_attributes(&call.caller.namespace.name, attributes).await?;
    Ok(os::AddSearchAttributesResponse {})
}

async fn remove_search_attributes(
    shared: &Shared,
    call: Call<()>,
    request: os::RemoveSearchAttributesRequest,
) -> ServiceResult<os::RemoveSearchAttributesResponse> {
    if request.search_attributes.is_empty() {
        return Err(invalid("SearchAttributes are not set on request."));
    }
    if request.namespace.is_empty() {
        return Err(invalid("Namespace is not set on request."));
    }
    shared.namespaces.remove_attributes(&call.caller.namespace.name, request.search_attributes).await?;
    Ok(os::RemoveSearchAttributesResponse {})
}

async fn delete_namespace(
    shared: &Shared,
    _call: Call<()>,
    request: os::DeleteNamespaceRequest,
) -> ServiceResult<os::DeleteNamespaceResponse> {
    shared.namespaces.delete(request).await
}

async fn list_clusters(
    shared: &Shared,
    _call: Call<()>,
    _request: os::ListClustersRequest,
) -> ServiceResult<os::ListClustersResponse> {
    let cluster = &shared.cluster;
    let this = os::ClusterMetadata {
        cluster_name: cluster.cluster_name.clone(),
        cluster_id: cluster.cluster_id.clone(),
        address: cluster.rpc_address.clone(),
        http_address: String::new(),
        initial_failover_version: cluster.initial_failover_version,
        history_shard_count: i32::try_from(cluster.history_shard_count).unwrap_or(i32::MAX),
        is_connection_enabled: true,
        is_replication_enabled: false,
    };
    Ok(os::ListClustersResponse { clusters: vec![this], ..Default::default() })
}

service! {
    impl OperatorService for Operator {
        served {
            ListSearchAttributes: list_search_attributes(os::ListSearchAttributesRequest) -> os::ListSearchAttributesResponse = list_search_attributes;
            AddSearchAttributes: add_search_attributes(os::AddSearchAttributesRequest) -> os::AddSearchAttributesResponse = add_search_attributes;
            RemoveSearchAttributes: remove_search_attributes(os::RemoveSearchAttributesRequest) -> os::RemoveSearchAttributesResponse = remove_search_attributes;
            DeleteNamespace: delete_namespace(os::DeleteNamespaceRequest) -> os::DeleteNamespaceResponse = delete_namespace;
            ListClusters: list_clusters(os::ListClustersRequest) -> os::ListClustersResponse = list_clusters;
        }
        unserved {
            AddOrUpdateRemoteCluster: add_or_update_remote_cluster(os::AddOrUpdateRemoteClusterRequest) -> os::AddOrUpdateRemoteClusterResponse;
            RemoveRemoteCluster: remove_remote_cluster(os::RemoveRemoteClusterRequest) -> os::RemoveRemoteClusterResponse;
            GetNexusEndpoint: get_nexus_endpoint(os::GetNexusEndpointRequest) -> os::GetNexusEndpointResponse;
            CreateNexusEndpoint: create_nexus_endpoint(os::CreateNexusEndpointRequest) -> os::CreateNexusEndpointResponse;
            UpdateNexusEndpoint: update_nexus_endpoint(os::UpdateNexusEndpointRequest) -> os::UpdateNexusEndpointResponse;
            DeleteNexusEndpoint: delete_nexus_endpoint(os::DeleteNexusEndpointRequest) -> os::DeleteNexusEndpointResponse;
            ListNexusEndpoints: list_nexus_endpoints(os::ListNexusEndpointsRequest) -> os::ListNexusEndpointsResponse;
        }
    }
}
