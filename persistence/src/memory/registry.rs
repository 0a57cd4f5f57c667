//! Namespaces and cluster records in memory.

use std::{collections::BTreeMap, ops::Bound};

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::NamespaceId;

use super::{MemoryStore, lock};
use crate::{
    Operation, StoreError, StoreErrorKind, StoreResult,
    cluster::ClusterStore,
    namespace::{NamespaceRow, NamespaceStore},
};

#[derive(Debug, Default)]
pub(super) struct Registry {
    namespaces: BTreeMap<NamespaceId, NamespaceRow>,
    ids_by_name: BTreeMap<String, NamespaceId>,
    records: BTreeMap<String, (i64, Bytes)>,
}

fn refused(operation: Operation, kind: StoreErrorKind, message: String) -> StoreError {
    StoreError::new(kind, operation.name(), message)
}

#[async_trait]
impl NamespaceStore for MemoryStore {
    async fn create_namespace(&self, id: &NamespaceId, name: &str, record: Bytes) -> StoreResult<NamespaceRow> {
        let operation = Operation::CreateNamespace;
        self.check_open(operation)?;
        let mut registry = lock(&self.registry);
        if registry.namespaces.contains_key(id) || registry.ids_by_name.contains_key(name) {
            return Err(refused(operation, StoreErrorKind::AlreadyExists, format!("namespace {name} ({id}) exists")));
        }
        let row = NamespaceRow { id: id.clone(), name: name.to_owned(), version: 1, record };
        registry.ids_by_name.insert(name.to_owned(), id.clone());
        registry.namespaces.insert(id.clone(), row.clone());
        Ok(row)
    }

    async fn namespace_by_id(&self, id: &NamespaceId) -> StoreResult<Option<NamespaceRow>> {
        self.check_open(Operation::NamespaceById)?;
        Ok(lock(&self.registry).namespaces.get(id).cloned())
    }

    async fn namespace_by_name(&self, name: &str) -> StoreResult<Option<NamespaceRow>> {
        self.check_open(Operation::NamespaceByName)?;
        let registry = lock(&self.registry);
        Ok(registry.ids_by_name.get(name).and_then(|id| registry.namespaces.get(id)).cloned())
    }

    async fn update_namespace(&self, row: NamespaceRow) -> StoreResult<i64> {
        let operation = Operation::UpdateNamespace;
        self.check_open(operation)?;
        let mut registry = lock(&self.registry);
        let Some(held) = registry.namespaces.get(&row.id) else {
            return Err(refused(operation, StoreErrorKind::NotFound, format!("no namespace has id {}", row.id)));
        };
        if held.version != row.version {
            let message = format!("namespace {} has version {}, not {}", row.id, held.version, row.version);
            return Err(refused(operation, StoreErrorKind::Conflict, message));
        }
        if registry.ids_by_name.get(&row.name).is_some_and(|holder| *holder != row.id) {
            return Err(refused(operation, StoreErrorKind::AlreadyExists, format!("the name {} is taken", row.name)));
        }
        let old_name = held.name.clone();
        let version = row.version + 1;
        registry.ids_by_name.remove(&old_name);
        registry.ids_by_name.insert(row.name.clone(), row.id.clone());
        registry.namespaces.insert(row.id.clone(), NamespaceRow { version, ..row });
        Ok(version)
    }

    async fn list_namespaces(&self, after: Option<&NamespaceId>, limit: usize) -> StoreResult<Vec<NamespaceRow>> {
        self.check_open(Operation::ListNamespaces)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let registry = lock(&self.registry);
        Ok(registry.namespaces.range((start, Bound::Unbounded)).take(limit).map(|(_, row)| row.clone()).collect())
    }

    async fn delete_namespace(&self, id: &NamespaceId) -> StoreResult<()> {
        self.check_open(Operation::DeleteNamespace)?;
        let mut registry = lock(&self.registry);
        if let Some(row) = registry.namespaces.remove(id) {
            registry.ids_by_name.remove(&row.name);
        }
        Ok(())
    }
}

#[async_trait]
impl ClusterStore for MemoryStore {
    async fn cluster_record(&self, name: &str) -> StoreResult<Option<(i64, Bytes)>> {
        self.check_open(Operation::ClusterRecord)?;
        Ok(lock(&self.registry).records.get(name).cloned())
    }

    async fn put_cluster_record(&self, name: &str, expected: Option<i64>, record: Bytes) -> StoreResult<i64> {
        let operation = Operation::PutClusterRecord;
        self.check_open(operation)?;
        let mut registry = lock(&self.registry);
        let held = registry.records.get(name).map(|(version, _)| *version);
        if held != expected {
            let message = format!("record {name} has version {held:?}, not {expected:?}");
            return Err(refused(operation, StoreErrorKind::Conflict, message));
        }
        let version = expected.unwrap_or(0) + 1;
        registry.records.insert(name.to_owned(), (version, record));
        Ok(version)
    }

    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn close(&self) {
        self.close_now();
    }
}
