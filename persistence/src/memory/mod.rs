//! The in-memory store: a back end of its own for tests, simulations and development servers.
//!
//! State lives as long as the process. Every shard and every queue has a lock of its own, held for
//! short synchronous sections only. Values are kept as they are handed in, so a value that is a slice of
//! a larger buffer keeps that buffer alive.

mod maintenance;
mod registry;
mod shard;
mod task_queue;
mod visibility;
mod visibility_writer;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use perdure_kernel::ShardId;

use self::{registry::Registry, shard::Shard, task_queue::Queue, visibility::Visibility, visibility_writer::Written};
use crate::{Operation, StoreError, StoreErrorKind, StoreResult, task_queue::QueueKey};

/// A store whose data lives in this process's memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    shards: RwLock<BTreeMap<ShardId, Arc<Mutex<Shard>>>>,
    queues: RwLock<BTreeMap<QueueKey, Arc<Mutex<Queue>>>>,
    registry: Mutex<Registry>,
    visibility: Mutex<Visibility>,
    /// Used only where another database holds the executions.
    written: Mutex<Written>,
    closed: AtomicBool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn check_open(&self, operation: Operation) -> StoreResult<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, operation.name(), "the store is closed"));
        }
        Ok(())
    }

    fn close_now(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// Locks; a panic under a lock leaves no half-done change that matters more than the panic itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry of `key`, if there is one.
fn find<K: Ord, V>(map: &RwLock<BTreeMap<K, Arc<Mutex<V>>>>, key: &K) -> Option<Arc<Mutex<V>>> {
    map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

/// The entry of `key`, made when it is missing.
fn find_or_make<K: Ord + Clone, V: Default>(map: &RwLock<BTreeMap<K, Arc<Mutex<V>>>>, key: &K) -> Arc<Mutex<V>> {
    if let Some(found) = find(map, key) {
        return found;
    }
    map.write().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone()
}

/// Removes the entries below `bound`; costs as much as there are of them.
fn remove_below<K: Ord, V>(map: &mut BTreeMap<K, V>, bound: &K) {
    while let Some(entry) = map.first_entry() {
        if entry.key() >= bound {
            break;
        }
        entry.remove();
    }
}

fn lease_lost(operation: Operation, what: impl std::fmt::Display, named: i64, held: i64) -> StoreError {
    let message = format!("{what} has range id {held}, the write named {named}");
    StoreError::new(StoreErrorKind::LeaseLost, operation.name(), message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryStore;
    use crate::conformance::Subject;

    async fn memory() -> Subject {
        Subject::new(Arc::new(MemoryStore::new()))
    }

    crate::conformance_suite!(memory);
}
