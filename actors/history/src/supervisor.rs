//! Starts the shards and finds them.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use perdure_execution::archetype::Registry;
use perdure_kernel::{ShardId, ShardMap};
use perdure_outbound::CallbackSender;
use perdure_persistence::{SharedStore, VisibilityWriter};
use perdure_rpc::{HistoryCall, HistoryClient, HistoryDirectory, MatchingClient, NamespaceSnapshots};
use perdure_runtime::{ActorSystem, Placement, Recipient, Supervision};

use crate::{
    HistorySettings,
    destinations::Destinations,
    shard::{Shard, ShardParts},
};

/// Stage of the shards in the order of stopping: after matching and the frontend, which call them.
const STAGE: u32 = 10;

/// What the service needs.
pub struct HistoryParts {
    /// Where executions live.
    pub store: SharedStore,
    /// Ranges of the shards.
    pub shard_map: ShardMap,
    /// Snapshots of namespaces.
    pub namespaces: Arc<dyn NamespaceSnapshots>,
    /// Kinds of executions beside workflows.
    pub archetypes: Arc<Registry>,
    /// Delivers completion callbacks.
    pub callbacks: Arc<dyn CallbackSender>,
    /// Where rows of lists are written by a queue after the commits, with a store of their own; `None`: by the
    /// commits, in `store`.
    pub visibility: Option<Arc<dyn VisibilityWriter>>,
    /// Knobs.
    pub settings: HistorySettings,
    /// Gives every shard's random stream its seed.
    pub seed: u64,
}

/// The shards of this node. It is its own directory: every shard is here.
pub struct History {
    shards: OnceLock<BTreeMap<ShardId, Recipient<HistoryCall>>>,
    shard_map: Arc<ShardMap>,
}

impl History {
    /// A directory without shards, so that matching and history can be told of each other. Calls are refused
    /// until [`History::start`].
    pub fn new(shard_map: ShardMap) -> Arc<Self> {
        Arc::new(Self { shards: OnceLock::new(), shard_map: Arc::new(shard_map) })
    }

    /// A client that reaches these shards.
    pub fn client(self: &Arc<Self>) -> HistoryClient {
        HistoryClient::new(Arc::clone(self) as _)
    }

    /// Spawns the shards, spread over the system's threads. A second call does nothing.
    pub fn start(self: &Arc<Self>, system: &ActorSystem, parts: &HistoryParts, matching: &MatchingClient) {
        self.shards.get_or_init(|| {
            let count = parts.shard_map.shards().count().max(1);
            let destinations = Arc::<Destinations>::default();
            let spawn = |(index, id): (usize, ShardId)| {
                let parts = ShardParts {
                    id,
                    store: Arc::clone(&parts.store),
                    matching: matching.clone(),
                    history: self.client(),
                    namespaces: Arc::clone(&parts.namespaces),
                    archetypes: Arc::clone(&parts.archetypes),
                    callbacks: Arc::clone(&parts.callbacks),
                    destinations: Arc::clone(&destinations),
                    visibility: parts.visibility.clone(),
                    settings: HistorySettings {
                        cache_bytes: parts.settings.cache_bytes / count,
                        ..parts.settings.clone()
                    },
                    seed: parts.seed ^ (u64::from(id.0) << 32),
                };
                let supervision = Supervision::new(format!("shard {id}"), STAGE);
                let mut incarnation = 0;
                let actor = system.spawn(Placement::Thread(index), supervision, move || {
                    incarnation += 1;
                    Shard::new(&parts, incarnation)
                });
                (id, actor.recipient())
            };
            parts.shard_map.shards().enumerate().map(spawn).collect()
        });
    }
}

impl HistoryDirectory for History {
    fn shard(&self, shard: ShardId) -> Option<Recipient<HistoryCall>> {
        self.shards.get()?.get(&shard).cloned()
    }

    fn shard_map(&self) -> Arc<ShardMap> {
        Arc::clone(&self.shard_map)
    }
}
