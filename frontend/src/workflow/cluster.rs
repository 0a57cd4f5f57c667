//! RPCs about the cluster.

use perdure_kernel::{
    ServiceResult,
    search_attributes::{FIELDS, PREDEFINED, SYSTEM, fields},
};
use perdure_proto::api::{
    version::{ReleaseInfo, VersionInfo},
    workflowservice::{self as ws, get_system_info_response::Capabilities},
};

use crate::{
    SERVER_VERSION,
    call::{Call, Shared},
    client_version::SUPPORTED_CLIENTS,
};

/// What this server can do. A field is true only once what it promises works.
const CAPABILITIES: Capabilities = Capabilities {
    signal_and_query_header: true,
    internal_error_differentiation: true,
    activity_failure_include_heartbeat: true,
    supports_schedules: false,
    encoded_failure_attributes: true,
    build_id_based_versioning: true,
    upsert_memo: true,
    eager_workflow_start: true,
    sdk_metadata: true,
    count_group_by_execution_status: true,
    nexus: false,
    server_scaled_deployments: false,
    server_scaled_provider_cloud_run: false,
};

pub(super) async fn get_system_info(
    _shared: &Shared,
    _call: Call<()>,
    _request: ws::GetSystemInfoRequest,
) -> ServiceResult<ws::GetSystemInfoResponse> {
    Ok(ws::GetSystemInfoResponse { server_version: SERVER_VERSION.to_owned(), capabilities: Some(CAPABILITIES) })
}

pub(super) async fn get_cluster_info(
    shared: &Shared,
    _call: Call<()>,
    _request: ws::GetClusterInfoRequest,
) -> ServiceResult<ws::GetClusterInfoResponse> {
    let cluster = &shared.cluster;
    let current = ReleaseInfo { version: SERVER_VERSION.to_owned(), ..ReleaseInfo::default() };
    Ok(ws::GetClusterInfoResponse {
        supported_clients: SUPPORTED_CLIENTS.iter().map(|(name, range, _)| ((*name).into(), (*range).into())).collect(),
        server_version: SERVER_VERSION.to_owned(),
        cluster_id: cluster.cluster_id.clone(),
        version_info: Some(VersionInfo { current: Some(current), ..VersionInfo::default() }),
        cluster_name: cluster.cluster_name.clone(),
        history_shard_count: i32::try_from(cluster.history_shard_count).unwrap_or(i32::MAX),
        persistence_store: cluster.persistence_store.clone(),
        visibility_store: cluster.visibility_store.clone(),
        initial_failover_version: cluster.initial_failover_version,
        failover_version_increment: cluster.failover_version_increment,
    })
}

/// The attributes that every namespace has, and the fields that custom ones are names for. The names belong
/// to a namespace, which this request does not name: `OperatorService.ListSearchAttributes` lists them.
pub(super) async fn get_search_attributes(
    _shared: &Shared,
    _call: Call<()>,
    _request: ws::GetSearchAttributesRequest,
) -> ServiceResult<ws::GetSearchAttributesResponse> {
    let system = SYSTEM.iter().map(|(name, value_type)| ((*name).to_owned(), i32::from(*value_type)));
    let predefined = PREDEFINED.iter().map(|(name, value_type, _)| ((*name).to_owned(), i32::from(*value_type)));
    let custom = FIELDS
        .iter()
        .flat_map(|(value_type, prefix, count)| fields(prefix, *count).map(|field| (field, i32::from(*value_type))));
    Ok(ws::GetSearchAttributesResponse { keys: system.chain(predefined).chain(custom).collect() })
}
