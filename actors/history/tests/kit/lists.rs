//! A visibility store beside the main one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use perdure_execution::{items, workflow::visibility_record};
use perdure_kernel::{Archetype, NamespaceId, ShardId, VisibilityRecord};
use perdure_persistence::{
    ShardStore, StoreError, StoreErrorKind, StoreResult, VisibilityChange, VisibilityStore, VisibilityWriter,
    decorator::Decorated, memory::MemoryStore,
};
use perdure_proto::records;
use perdure_visibility::{Names, Query, SortKey};
use prost::Message;
use tokio::sync::Notify;

use super::{Script, World};

/// Rows and runs that a test has at most.
const ALL: usize = 10_000;

/// Takes rows as a memory store does, but for those of ids it is told to refuse.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) memory: MemoryStore,
    refused: Mutex<BTreeSet<String>>,
    writes: Mutex<Vec<Vec<String>>>,
    held: Mutex<Option<Arc<Notify>>>,
}

#[async_trait]
impl VisibilityWriter for Lists {
    async fn write_visibility(&self, changes: Vec<VisibilityChange>) -> StoreResult<()> {
        let ids: Vec<String> = changes.iter().map(|change| change.key().business.business_id.to_string()).collect();
        if ids.iter().any(|id| self.refused.lock().unwrap().contains(id)) {
            return Err(StoreError::new(StoreErrorKind::Corrupt, "write_visibility", "a row is not to my liking"));
        }
        self.writes.lock().unwrap().push(ids);
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            held.notified().await;
        }
        self.memory.write_visibility(changes).await
    }

    fn visibility_backend(&self) -> &'static str {
        "lists"
    }
}

impl Lists {
    /// Refuses every write with a row of this id, until the next call without one.
    pub(crate) fn refuse(&self, id: Option<&str>) {
        *self.refused.lock().unwrap() = id.map(str::to_owned).into_iter().collect();
    }

    /// Lets the next write wait, alone, until it is told to go on.
    pub(crate) fn hold_one(&self) -> Arc<Notify> {
        Arc::clone(self.held.lock().unwrap().insert(Arc::default()))
    }

    /// Ids in each write that was not refused.
    pub(crate) fn writes(&self) -> Vec<Vec<String>> {
        self.writes.lock().unwrap().clone()
    }
}

/// Every row of a store.
pub(crate) async fn rows(store: &MemoryStore, namespace: &NamespaceId) -> Vec<VisibilityRecord> {
    let everywhere = "TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL";
    let query = Query::parse(everywhere, &Names { custom: &BTreeMap::new(), archetype: None }).unwrap();
    store.list_visibility(namespace, &query, None, ALL).await.unwrap().records
}

impl World {
    /// A world whose lists are kept beside the store, and the script of their writes.
    pub(crate) fn with_lists() -> (Self, Arc<Lists>, Script) {
        let (lists, script) = (Arc::<Lists>::default(), Script::default());
        let writer = Decorated::with(Arc::clone(&lists), script.clone());
        (Self { visibility: Some(Arc::new(writer)), ..Self::new() }, lists, script)
    }

    /// What lists show of every run, as the store has it.
    pub(crate) async fn shown(&self) -> Vec<VisibilityRecord> {
        let mut shown = Vec::new();
        for shard in (1..=self.shards).map(ShardId) {
            for key in self.memory.list_executions(shard, None, ALL).await.unwrap().keys {
                let stored = self.memory.load_execution(shard, &key).await.unwrap().unwrap();
                let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes));
                if key.business.archetype == Archetype::WORKFLOW {
                    shown.push(visibility_record(&items::decode(key, &stored.record, items).unwrap()));
                } else {
                    let machine = self.archetypes.machine(key.business.archetype).unwrap();
                    let record = records::Actor::decode(stored.record).unwrap().record;
                    shown.extend(machine.visibility(&machine.restore(key, record, items.collect()).unwrap()));
                }
            }
        }
        shown.sort_by_key(SortKey::of);
        shown
    }
}
