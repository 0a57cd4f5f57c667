//! A node's history service over a scripted store, with a task queue and namespaces that the test plays.

mod callbacks;
mod lists;
mod matching;
mod namespaces;
mod node;
mod requests;
mod store;
pub(crate) mod tally;
mod updates;
mod worker;

use std::{future::Future, sync::Arc, time::Duration};

use perdure_execution::archetype::Registry;
use perdure_history::HistorySettings;
use perdure_kernel::{Clock, Namespace, NamespaceId, ShardId, Timestamp};
use perdure_persistence::{SharedStore, VisibilityWriter, decorator::Decorated, memory::MemoryStore};
use perdure_proto::api::history::HistoryEvent;
use perdure_runtime::TokioClock;

pub(crate) use self::{
    callbacks::{Callbacks, Play},
    lists::{Lists, rows},
    matching::{Matching, answer, is_sticky, is_workflow, take, tasks_in},
    namespaces::Namespaces,
    node::{Node, Pending},
    requests::*,
    store::{COMMIT_FAULTS, Fault, Script},
    updates::*,
    worker::*,
};

/// Where tests begin. Not a round second, so that nothing works by being one.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);

/// The shard that holds every id of a world with one shard.
pub(crate) const SHARD: ShardId = ShardId(1);

/// Virtual time after which a test that waits is taken to wait for ever.
const TEST_TIME_MAX: Duration = Duration::from_secs(60 * 24 * 3600);

/// Turns given to other tasks before nothing more is expected of them without time going on.
const TURNS_TO_SETTLE: usize = 400;

/// What outlives a node: the store, the task queues, the namespaces and the time.
pub(crate) struct World {
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) store: SharedStore,
    pub(crate) script: Script,
    pub(crate) matching: Matching,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) archetypes: Arc<Registry>,
    pub(crate) callbacks: Callbacks,
    /// Where lists are kept, if not in the store.
    pub(crate) visibility: Option<Arc<dyn VisibilityWriter>>,
    pub(crate) settings: HistorySettings,
    pub(crate) shards: u32,
    boots: u64,
}

impl World {
    /// One shard, an empty store.
    pub(crate) fn new() -> Self {
        let (memory, script) = (Arc::new(MemoryStore::new()), Script::default());
        Self {
            store: Arc::new(Decorated::with(Arc::clone(&memory), script.clone())),
            memory,
            script,
            matching: Matching::new(),
            namespaces: Arc::new(Namespaces::new(namespace())),
            clock: Arc::new(TokioClock::new(BEGINNING)),
            archetypes: Arc::default(),
            callbacks: Callbacks::default(),
            visibility: None,
            settings: HistorySettings::default(),
            shards: 1,
            boots: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A node over the store as it is.
    pub(crate) async fn boot(&mut self) -> Node {
        self.boots += 1;
        Node::start(self, self.boots).await
    }

    /// Sudden death and a new node: what was only in memory is gone.
    pub(crate) async fn crash(&mut self, node: Node) -> Node {
        node.crash().await;
        self.boot().await
    }
}

/// The namespace of all tests: without the spacing of starts and the jitter of retention.
fn namespace() -> Namespace {
    let mut namespace = Namespace::new(NamespaceId::from("3c0ffee0-0000-4000-8000-000000000001"), "tests");
    namespace.limits.id_reuse_interval_min = Duration::ZERO;
    namespace.limits.retention_jitter_max = Duration::ZERO;
    namespace
}

/// Runs a test on a `LocalSet`, in paused time.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let bounded = async {
        let ended = tokio::time::timeout(TEST_TIME_MAX, Box::pin(test)).await;
        assert!(ended.is_ok(), "the test waits for something that does not come");
    };
    tokio::task::LocalSet::new().block_on(&runtime, bounded);
}

/// Lets everything happen that can happen without time going on.
pub(crate) async fn settle() {
    for _ in 0..TURNS_TO_SETTLE {
        tokio::task::yield_now().await;
    }
}

/// Lets time go on.
pub(crate) async fn pass(time: Duration) {
    settle().await;
    tokio::time::sleep(time).await;
    settle().await;
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Event types of a history, which must be without gaps from its first event.
pub(crate) fn kinds(events: &[HistoryEvent]) -> Vec<String> {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.event_id, index as i64 + 1, "a history has gaps: {events:#?}");
    }
    events.iter().map(kind).collect()
}

/// An event's type as `WorkflowTaskStarted`.
pub(crate) fn kind(event: &HistoryEvent) -> String {
    format!("{:?}", event.event_type())
}

/// When an event happened.
pub(crate) fn time_of(event: &HistoryEvent) -> Timestamp {
    Timestamp::from_proto(event.event_time.as_ref().unwrap())
}
