//! Every run of a namespace, or of all, shard by shard.

use std::sync::Arc;

use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, NamespaceId, ShardId};
use perdure_persistence::{SharedStore, StoreResult};

/// A place in the listing of a shard's executions.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    shard: ShardId,
    namespace: Option<NamespaceId>,
    from: Option<ExecutionKey>,
    ended: bool,
}

impl Walk {
    /// From the first run of the shard, or of a namespace in it.
    pub(crate) fn new(shard: ShardId, namespace: Option<&NamespaceId>) -> Self {
        let first = |namespace_id: &NamespaceId| ExecutionKey {
            business: BusinessKey {
                namespace_id: namespace_id.clone(),
                archetype: Archetype::default(),
                business_id: Arc::default(),
            },
            run_id: Arc::default(),
        };
        Self { shard, namespace: namespace.cloned(), from: namespace.map(first), ended: false }
    }

    /// The next runs, at most `limit`; none at the end.
    pub(crate) async fn next(&mut self, store: &SharedStore, limit: usize) -> StoreResult<Vec<ExecutionKey>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let page = store.list_executions(self.shard, self.from.as_ref(), limit).await?;
        let mut keys = page.keys;
        if let Some(namespace) = &self.namespace {
            // Runs of a namespace stand together.
            keys.retain(|key| key.business.namespace_id == *namespace);
        }
        let beyond = |next: &ExecutionKey| {
            self.namespace.as_ref().is_some_and(|namespace| next.business.namespace_id != *namespace)
        };
        self.from = page.next.filter(|next| !beyond(next));
        self.ended = self.from.is_none();
        Ok(keys)
    }
}
