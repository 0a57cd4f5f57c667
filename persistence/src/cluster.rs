//! Small records about the cluster as a whole: its id, the shard map.

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreResult;

/// Named, versioned cluster records.
#[async_trait]
pub trait ClusterStore: Send + Sync + 'static {
    /// Record and its version, or `None`.
    async fn cluster_record(&self, name: &str) -> StoreResult<Option<(i64, Bytes)>>;

    /// Writes a record. `Conflict` unless the stored version is `expected` (`None`: absent). Returns the new version.
    async fn put_cluster_record(&self, name: &str, expected: Option<i64>, record: Bytes) -> StoreResult<i64>;

    /// Name of the back end, as `GetClusterInfo` reports it: `sqlite`, `memory`.
    fn backend(&self) -> &'static str;

    /// Waits for writes under way, then lets go of the database. Calls after this fail with `Unavailable`.
    async fn close(&self);
}
