//! Finds and starts the actors of task queues.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use perdure_kernel::{NamespaceId, Random, random::SplitMix, shard_map::Fnv};
use perdure_persistence::TaskQueueStore;
use perdure_rpc::{HistoryClient, MatchingCall, MatchingClient, MatchingDirectory, QueueName, WorkersCall};
use perdure_runtime::{ActorRef, ActorSystem, Placement, Recipient, Registry, Supervision, lock};
use perdure_task_queue::fairness;

use crate::{
    queue::{Msg, TaskQueue},
    settings::SettingsSource,
    workers::Workers,
};

/// Locks over which the queues are spread.
const SEGMENTS: usize = 16;

/// Counters by which tasks are dealt out to partitions; fairness keys of all queues share them by their hash.
const DEALS: usize = 4096;

/// What matching needs from its surroundings.
pub struct MatchingParts {
    /// Where the actors live.
    pub system: ActorSystem,
    /// Records starts.
    pub history: HistoryClient,
    /// Keeps leases and backlogs.
    pub store: Arc<dyn TaskQueueStore>,
    /// Settings of queues.
    pub settings: Arc<dyn SettingsSource>,
    /// Task queue partitions in memory at most; requests for more are refused.
    pub queues_max: usize,
    /// The actors' place in the order of stopping; above that of the history shards.
    pub stage: u32,
    /// Seeds the ids that tell incarnations of actors apart: must differ between processes.
    pub seed: u64,
}

/// What the actors of all queues share.
pub(crate) struct Shared {
    pub(crate) history: HistoryClient,
    pub(crate) matching: MatchingClient,
    pub(crate) store: Arc<dyn TaskQueueStore>,
    pub(crate) settings: Arc<dyn SettingsSource>,
    random: Mutex<SplitMix>,
}

impl Shared {
    /// A fresh id.
    pub(crate) fn uuid(&self) -> String {
        lock(&self.random).uuid()
    }
}

/// Every task queue of this node. Cheap to clone; clones name the same queues.
#[derive(Clone)]
pub struct Matching(Arc<Inner>);

struct Inner {
    system: ActorSystem,
    stage: u32,
    shared: Arc<Shared>,
    segments: Vec<Mutex<Registry<QueueName, Msg>>>,
    calls: AtomicU64,
    /// Tasks dealt out, by queue and fairness key.
    deals: Vec<AtomicU32>,
    workers: ActorRef<WorkersCall>,
}

impl Matching {
    /// Matching without any queue in memory yet.
    pub fn new(parts: MatchingParts) -> Self {
        let per_segment = parts.queues_max.div_ceil(SEGMENTS).max(1);
        let settings = Arc::clone(&parts.settings);
        let supervision = Supervision::new("workers", parts.stage);
        let workers = parts.system.spawn(Placement::Hash(0), supervision, move || Workers::new(Arc::clone(&settings)));
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| Inner {
            workers,
            system: parts.system,
            stage: parts.stage,
            shared: Arc::new(Shared {
                history: parts.history,
                // The actors hold this: a strong pointer would keep everything alive for ever.
                matching: MatchingClient::new(Arc::new(Directory(inner.clone()))),
                store: parts.store,
                settings: parts.settings,
                random: Mutex::new(SplitMix::new(parts.seed)),
            }),
            segments: (0..SEGMENTS).map(|_| Mutex::new(Registry::new(per_segment))).collect(),
            calls: AtomicU64::new(parts.seed),
            deals: (0..DEALS).map(|_| AtomicU32::new(0)).collect(),
        });
        Self(inner)
    }

    /// A client for these queues.
    pub fn client(&self) -> MatchingClient {
        MatchingClient::new(Arc::new(self.clone()))
    }

    /// Partitions in memory; some may just have left it.
    pub fn queue_count(&self) -> usize {
        self.0.segments.iter().map(|segment| lock(segment).iter().filter(|(_, queue)| !queue.has_ended()).count()).sum()
    }
}

impl MatchingDirectory for Matching {
    fn queue(&self, queue: &QueueName) -> Option<Recipient<MatchingCall>> {
        self.0.queue(queue)
    }

    fn partition_for(&self, queue: &QueueName, call: &MatchingCall) -> u32 {
        self.0.partition_for(queue, call)
    }

    fn partitions(&self, namespace: &str, queue: &QueueName) -> (u32, u32) {
        self.0.shared.settings.partitions(namespace, queue)
    }

    fn workers(&self, _namespace_id: &NamespaceId) -> Option<Recipient<WorkersCall>> {
        Some(self.0.workers.recipient())
    }
}

impl Inner {
    fn queue(&self, queue: &QueueName) -> Option<Recipient<MatchingCall>> {
        let hash = hash_of(queue);
        let segment = &self.segments[usize::try_from(hash % SEGMENTS as u64).unwrap_or(0)];
        let found = lock(segment).get_or_spawn(queue, || {
            let (name, shared) = (queue.clone(), Arc::clone(&self.shared));
            let supervision = Supervision::new(queue.to_string(), self.stage);
            let clock = Arc::clone(self.system.clock());
            self.system.spawn(Placement::Hash(hash), supervision, move || {
                TaskQueue::new(name.clone(), Arc::clone(&shared), clock.now())
            })
        });
        match found {
            Ok(queue) => Some(queue.recipient()),
            Err(full) => {
                tracing::warn!(%queue, limit = full.limit, "no more task queues can be started");
                None
            }
        }
    }

    /// A partition at random: neighbouring calls of one queue must not fall into step with each other.
    fn partition_for(&self, queue: &QueueName, call: &MatchingCall) -> u32 {
        let (read, write) = self.shared.settings.partitions(&call.caller().namespace.name, queue);
        let count = match call {
            MatchingCall::PollWorkflowTask(_) | MatchingCall::PollActivityTask(_) => read,
            MatchingCall::AddTask(_)
            | MatchingCall::OfferTask(_)
            | MatchingCall::Query(_)
            | MatchingCall::AnswerQuery(_)
            | MatchingCall::WorkerGone(_)
            | MatchingCall::CancelPolls(_)
            | MatchingCall::Configure(_)
            | MatchingCall::FetchConfig(_)
            | MatchingCall::TakeConfig(_)
            | MatchingCall::Describe(_) => write,
        };
        if count <= 1 {
            return 0;
        }
        // Tasks of one fairness key are dealt out in turn: a share of each partition is a share of the queue.
        if let MatchingCall::AddTask(ask) = call {
            let lane = hash_of(queue) ^ fairness::key_number(ask.request.task.priority.as_ref());
            let lane = &self.deals[usize::try_from(lane % DEALS as u64).unwrap_or(0)];
            return lane.fetch_add(1, Ordering::Relaxed) % count;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        u32::try_from(SplitMix::new(call).below(u64::from(count))).unwrap_or(0)
    }
}

/// The directory as the actors hold it.
struct Directory(Weak<Inner>);

impl MatchingDirectory for Directory {
    fn queue(&self, queue: &QueueName) -> Option<Recipient<MatchingCall>> {
        self.0.upgrade()?.queue(queue)
    }

    fn partition_for(&self, queue: &QueueName, call: &MatchingCall) -> u32 {
        self.0.upgrade().map_or(0, |inner| inner.partition_for(queue, call))
    }

    fn partitions(&self, namespace: &str, queue: &QueueName) -> (u32, u32) {
        self.0.upgrade().map_or((1, 1), |inner| inner.shared.settings.partitions(namespace, queue))
    }
}

fn hash_of(queue: &QueueName) -> u64 {
    let mut hash = Fnv::default();
    hash.write(queue.namespace_id.as_str().as_bytes());
    hash.write(queue.name.as_bytes());
    hash.write(&queue.partition.to_le_bytes());
    hash.write(&[queue.task_type as u8]);
    hash.finish64()
}
