//! What can be set from outside.

use std::sync::Arc;

/// Knobs that may change while the server runs.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontendSettings {
    /// Requests a second that this host takes (`frontend.rps`). Infinite for no limit.
    pub rps: f64,
    /// Requests a second of one namespace (`frontend.namespaceRPS`). Infinite for no limit.
    pub namespace_rps: f64,
    /// Seconds' worth of requests that may come at once (`frontend.namespaceBurstRatio`); the host's limit
    /// uses it too.
    pub burst_ratio: f64,
    /// Long-running requests of one kind that a namespace may have in flight (`frontend.namespaceCount`).
    pub namespace_long_polls_max: u32,
    /// Bytes of a namespace name (`limit.maxIDLength`): checked before there is a namespace with limits.
    pub namespace_name_length_max: usize,
    /// Bytes of an error's text (`system.maxServiceErrorMessageLength`); longer ones are cut.
    pub error_message_length_max: usize,
}

impl Default for FrontendSettings {
    fn default() -> Self {
        Self {
            rps: 2400.0,
            namespace_rps: 2400.0,
            burst_ratio: 2.0,
            namespace_long_polls_max: 1200,
            namespace_name_length_max: 1000,
            error_message_length_max: 4000,
        }
    }
}

/// Gives the settings in force. Called for every request: it should load a pointer, no more.
pub type SettingsSource = Arc<dyn Fn() -> Arc<FrontendSettings> + Send + Sync>;

/// What `GetClusterInfo` and `ListClusters` tell about this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// UUID given at the cluster's first start.
    pub cluster_id: String,
    /// Name from the static configuration.
    pub cluster_name: String,
    /// Address under which clients reach this cluster's frontend: `host:port`.
    pub rpc_address: String,
    /// History shards.
    pub history_shard_count: u32,
    /// Name of the store that holds executions, such as `sqlite`.
    pub persistence_store: String,
    /// Name of the store that answers lists.
    pub visibility_store: String,
    /// Failover version of this cluster's first writes.
    pub initial_failover_version: i64,
    /// Step between failover versions.
    pub failover_version_increment: i64,
}
