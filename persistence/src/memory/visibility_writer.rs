//! The in-memory store as a visibility store beside another database.

use std::collections::{BTreeSet, HashMap, VecDeque};

use async_trait::async_trait;
use perdure_kernel::ExecutionKey;

use super::{MemoryStore, lock};
use crate::{Operation, StoreResult, VisibilityChange, VisibilityWriter};

/// Removed runs that are remembered, so that late puts do not bring them back.
const REMOVED_MAX: usize = 100_000;

/// What decides whether a change still counts.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Versions of the rows that are there.
    versions: HashMap<ExecutionKey, i64>,
    removed: BTreeSet<ExecutionKey>,
    /// The same, the longest removed first.
    in_order: VecDeque<ExecutionKey>,
}

impl Written {
    /// Whether a put of this version changes the row. If so it counts as made.
    fn put(&mut self, key: &ExecutionKey, version: i64) -> bool {
        if self.removed.contains(key) || self.versions.get(key).is_some_and(|known| *known >= version) {
            return false;
        }
        self.versions.insert(key.clone(), version);
        true
    }

    fn remove(&mut self, key: &ExecutionKey) {
        self.versions.remove(key);
        if !self.removed.insert(key.clone()) {
            return;
        }
        self.in_order.push_back(key.clone());
        if self.in_order.len() > REMOVED_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.removed.remove(&oldest);
        }
    }
}

#[async_trait]
impl VisibilityWriter for MemoryStore {
    async fn write_visibility(&self, changes: Vec<VisibilityChange>) -> StoreResult<()> {
        self.check_open(Operation::WriteVisibility)?;
        // Held together: what decides and what is shown do not part.
        let mut written = lock(&self.written);
        let mut visibility = lock(&self.visibility);
        for change in changes {
            match change {
                VisibilityChange::Put { record, version } => {
                    if written.put(&record.key, version) {
                        visibility.put(record.into());
                    }
                }
                VisibilityChange::Remove { key } => {
                    written.remove(&key);
                    visibility.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn visibility_backend(&self) -> &'static str {
        "memory"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use perdure_kernel::NamespaceId;

    use super::*;
    use crate::SeparateVisibility;

    async fn memory() -> Arc<dyn SeparateVisibility> {
        Arc::new(MemoryStore::new())
    }

    crate::visibility_writer_suite!(memory);

    #[test]
    fn removals_are_remembered_up_to_a_bound() {
        let mut written = Written::default();
        let key = |n: usize| ExecutionKey::workflow(&NamespaceId::from("ns"), "order", &n.to_string());
        (0..=REMOVED_MAX).for_each(|n| written.remove(&key(n)));
        written.remove(&key(1));
        assert_eq!((written.removed.len(), written.in_order.len()), (REMOVED_MAX, REMOVED_MAX));
        assert!(written.put(&key(0), 1) && !written.put(&key(1), 1));
    }
}
