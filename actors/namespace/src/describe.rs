//! `DescribeNamespace`: how a namespace is shown.

use perdure_kernel::{Limits, time::span_to_proto};
use perdure_proto::api::{
    enums::ReplicationState,
    namespace::{
        NamespaceConfig, NamespaceInfo,
        namespace_info::{Capabilities, Limits as ShownLimits},
    },
    replication::{ClusterReplicationConfig, NamespaceReplicationConfig},
    workflowservice::{DescribeNamespaceResponse, UpdateNamespaceResponse},
};

use crate::{Settings, snapshots::Entry};

pub(crate) fn described(entry: &Entry, settings: &Settings) -> DescribeNamespaceResponse {
    DescribeNamespaceResponse {
        namespace_info: Some(info(entry)),
        config: Some(config(entry)),
        replication_config: Some(replication(settings)),
        is_global_namespace: entry.record.is_global,
        ..DescribeNamespaceResponse::default()
    }
}

pub(crate) fn updated(entry: &Entry, settings: &Settings) -> UpdateNamespaceResponse {
    UpdateNamespaceResponse {
        namespace_info: Some(info(entry)),
        config: Some(config(entry)),
        replication_config: Some(replication(settings)),
        is_global_namespace: entry.record.is_global,
        ..UpdateNamespaceResponse::default()
    }
}

fn info(entry: &Entry) -> NamespaceInfo {
    let (namespace, record) = (&entry.namespace, &entry.record);
    NamespaceInfo {
        name: namespace.name.clone(),
        state: record.state,
        description: record.description.clone(),
        owner_email: record.owner_email.clone(),
        data: record.data.clone(),
        id: namespace.id.as_str().to_owned(),
        capabilities: Some(capabilities(&namespace.limits)),
        limits: Some(ShownLimits {
            blob_size_limit_error: shown(namespace.limits.blob_size_max),
            memo_size_limit_error: shown(namespace.limits.memo_size_max),
            // Completions in pages are not served, so they have no limit of their own.
            workflow_task_completion_size_limit_error: 0,
        }),
        supports_schedules: false,
    }
}

/// SDKs change what they do by these: only what is served may be true.
fn capabilities(limits: &Limits) -> Capabilities {
    Capabilities {
        eager_workflow_start: limits.eager_workflow_start,
        workflow_pause: limits.workflow_pause,
        worker_heartbeats: limits.worker_heartbeats,
        poller_autoscaling: true,
        reported_problems_search_attribute: true,
        worker_poll_complete_on_shutdown: limits.cancel_polls_on_shutdown,
        sync_update: true,
        async_update: true,
        standalone_activities: limits.standalone_activities,
        standalone_activity_start_delay: limits.standalone_activities && limits.activity_start_delay,
        standalone_activity_operator_commands: limits.standalone_activities && limits.activity_operator_commands,
        ..Capabilities::default()
    }
}

fn shown(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn config(entry: &Entry) -> NamespaceConfig {
    let record = &entry.record;
    NamespaceConfig {
        workflow_execution_retention_ttl: Some(span_to_proto(entry.namespace.retention)),
        bad_binaries: Some(record.bad_binaries.clone().unwrap_or_default()),
        history_archival_state: record.history_archival_state,
        history_archival_uri: record.history_archival_uri.clone(),
        visibility_archival_state: record.visibility_archival_state,
        visibility_archival_uri: record.visibility_archival_uri.clone(),
        custom_search_attribute_aliases: record.custom_search_attribute_aliases.clone(),
    }
}

fn replication(settings: &Settings) -> NamespaceReplicationConfig {
    NamespaceReplicationConfig {
        active_cluster_name: settings.cluster_name.clone(),
        clusters: vec![ClusterReplicationConfig {
            cluster_name: settings.cluster_name.clone(),
            ..ClusterReplicationConfig::default()
        }],
        state: ReplicationState::Normal.into(),
    }
}
