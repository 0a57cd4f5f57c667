//! Namespaces.

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::NamespaceId;

use crate::StoreResult;

/// A stored namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Immutable id.
    pub id: NamespaceId,
    /// Unique name.
    pub name: String,
    /// Grows by one with every change.
    pub version: i64,
    /// Encoded settings.
    pub record: Bytes,
}

/// Namespaces by id and by name.
#[async_trait]
pub trait NamespaceStore: Send + Sync + 'static {
    /// Stores a new namespace with version 1. `AlreadyExists` when its id or name is taken.
    async fn create_namespace(&self, id: &NamespaceId, name: &str, record: Bytes) -> StoreResult<NamespaceRow>;

    /// By id.
    async fn namespace_by_id(&self, id: &NamespaceId) -> StoreResult<Option<NamespaceRow>>;

    /// By name.
    async fn namespace_by_name(&self, name: &str) -> StoreResult<Option<NamespaceRow>>;

    /// Replaces name and record. `Conflict` unless the stored version is `row.version`; the stored version
    /// is one more afterwards and is returned. `AlreadyExists` when a new name is taken, `NotFound` when the id
    /// is unknown.
    async fn update_namespace(&self, row: NamespaceRow) -> StoreResult<i64>;

    /// Every namespace, ordered by id, those with an id greater than `after`, at most `limit`.
    async fn list_namespaces(&self, after: Option<&NamespaceId>, limit: usize) -> StoreResult<Vec<NamespaceRow>>;

    /// Removes a namespace. Removing an absent one is no error.
    async fn delete_namespace(&self, id: &NamespaceId) -> StoreResult<()>;
}
