//! The jobs over the in-memory store, with shards and namespaces that the test plays, in paused time.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{
    ErrorKind, ExecutionKey, Namespace, NamespaceId, ServiceError, ServiceResult, ShardId, ShardMap, Timestamp,
};
use perdure_persistence::{
    ShardStore, SharedStore,
    memory::MemoryStore,
    shard::{ExecutionOp, ExecutionWrite, ShardCommit},
};
use perdure_rpc::{
    HistoryCall, HistoryClient, HistoryDirectory, NamespaceDeletions, NamespaceSnapshots,
    jobs::{CheckScope, CheckSummary, DeletionStage, Finding, FindingSink, JobService},
    namespaces::Deletion,
};
use perdure_runtime::{ActorRef, ActorSystem, Recipient, TokioClock};
use perdure_worker::{Jobs, JobsParts, WorkerSettings};

const SHARD: ShardId = ShardId(1);
const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// The shard, played: it removes what it is asked to, at once.
struct Shards(Recipient<HistoryCall>);

impl HistoryDirectory for Shards {
    fn shard(&self, _shard: ShardId) -> Option<Recipient<HistoryCall>> {
        Some(self.0.clone())
    }

    fn shard_map(&self) -> Arc<ShardMap> {
        Arc::new(ShardMap::uniform(1))
    }
}

/// One namespace that is being deleted, once the test says so.
#[derive(Default)]
struct Namespaces {
    deletions: Mutex<Vec<Deletion>>,
    tell: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
    /// Removals that fail before one succeeds.
    failures: Mutex<usize>,
}

impl Namespaces {
    fn delete(&self, deletion: Deletion) {
        self.deletions.lock().unwrap().push(deletion);
        self.tell.lock().unwrap().as_ref().unwrap()();
    }

    fn count(&self) -> usize {
        self.deletions.lock().unwrap().len()
    }
}

impl NamespaceSnapshots for Namespaces {
    fn by_name(&self, _name: &str) -> Option<Arc<Namespace>> {
        None
    }

    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        Some(Arc::new(Namespace::new(id.clone(), id.as_str())))
    }
}

#[async_trait]
impl NamespaceDeletions for Namespaces {
    fn deletions(&self) -> Vec<Deletion> {
        self.deletions.lock().unwrap().clone()
    }

    fn on_deletion(&self, tell: Box<dyn Fn() + Send + Sync>) {
        *self.tell.lock().unwrap() = Some(tell);
    }

    async fn remove(&self, id: &NamespaceId) -> ServiceResult<()> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(ServiceError::unavailable("the database is away"));
        }
        self.deletions.lock().unwrap().retain(|deletion| deletion.id != *id);
        Ok(())
    }
}

/// What the jobs work with.
struct World {
    jobs: Jobs,
    namespaces: Arc<Namespaces>,
    store: Arc<MemoryStore>,
    range_id: i64,
}

impl World {
    async fn new(settings: WorkerSettings) -> Self {
        let store = Arc::new(MemoryStore::new());
        let range_id = store.acquire_shard(SHARD, "test").await.unwrap().range_id;
        let namespaces = Arc::<Namespaces>::default();
        let (shard, mut inbox) = ActorRef::<HistoryCall>::inbox("shard");
        let removes = Arc::clone(&store);
        tokio::task::spawn_local(async move {
            while let Some(call) = inbox.next().await {
                let HistoryCall::RemoveRun(ask) = call else { panic!("{}", call.name()) };
                let write = ExecutionWrite { key: ask.request.run.clone(), op: ExecutionOp::Delete, current: None };
                let commit = ShardCommit { executions: vec![write], ..ShardCommit::new(SHARD, range_id) };
                removes.commit(commit).await.unwrap();
                ask.reply.send(Ok(true));
            }
        });
        let parts = JobsParts {
            store: Arc::clone(&store) as SharedStore,
            lists: true,
            history: HistoryClient::new(Arc::new(Shards(shard.recipient()))),
            namespaces: Arc::clone(&namespaces) as _,
            archetypes: Arc::default(),
            settings: Arc::new(move || settings),
            stage: 1,
            seed: 7,
        };
        let jobs = Jobs::start(&ActorSystem::local(Arc::new(TokioClock::new(NOW))), parts);
        Self { jobs, namespaces, store, range_id }
    }

    /// Runs of a namespace that nothing can be read of.
    async fn fill(&self, namespace: &str, count: usize) {
        let write = |index: usize| ExecutionWrite {
            key: ExecutionKey::workflow(&namespace.into(), &format!("order-{index}"), "run"),
            op: ExecutionOp::Put {
                expected_version: None,
                version: 1,
                record: Bytes::from_static(b"\xff"),
                items_put: Vec::new(),
                items_deleted: Vec::new(),
                history: Vec::new(),
                visibility: None,
            },
            current: None,
        };
        let executions = (0..count).map(write).collect();
        self.store.commit(ShardCommit { executions, ..ShardCommit::new(SHARD, self.range_id) }).await.unwrap();
    }

    async fn left(&self) -> usize {
        self.store.list_executions(SHARD, None, 10_000).await.unwrap().keys.len()
    }
}

fn settings() -> WorkerSettings {
    WorkerSettings { deletion_rate: 0, deletion_page: 7, scavenger: true, scavenger_rate: 0, scavenger_histories: true }
}

fn deletion(id: &str, delay: Duration) -> Deletion {
    Deletion {
        id: id.into(),
        name: format!("{id}-deleted"),
        former_name: id.to_owned(),
        requested_at: NOW,
        remove_at: NOW + delay,
    }
}

/// On a `LocalSet`, in paused time.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Keeps what is found.
#[derive(Clone, Default)]
struct Found(Arc<Mutex<Vec<Finding>>>);

#[async_trait]
impl FindingSink for Found {
    async fn found(&mut self, finding: Finding) {
        self.0.lock().unwrap().push(finding);
    }
}

fn everything() -> CheckScope {
    CheckScope { namespace: None, histories: true, mend: true, rate: None }
}

#[test]
fn a_namespace_is_emptied_and_removed_when_its_delay_is_over() {
    run(async {
        let world = World::new(settings()).await;
        world.fill("doomed", 100).await;
        world.fill("kept", 3).await;
        world.namespaces.delete(deletion("doomed", Duration::from_secs(60)));
        pass(Duration::from_secs(59)).await;
        let progress = world.jobs.deletion(&"doomed".into()).unwrap();
        assert_eq!((progress.stage, progress.removed), (DeletionStage::Delay, 100));
        assert_eq!((world.left().await, world.namespaces.count()), (3, 1));
        // What came in through another namespace's workflow goes too.
        world.fill("doomed", 1).await;
        pass(Duration::from_secs(2)).await;
        assert_eq!((world.left().await, world.namespaces.count()), (3, 0));
        assert_eq!(world.jobs.deletion(&"doomed".into()), None);
    });
}

#[test]
fn a_deletion_keeps_to_its_rate() {
    run(async {
        let world = World::new(WorkerSettings { deletion_rate: 10, ..settings() }).await;
        world.fill("doomed", 50).await;
        world.namespaces.delete(deletion("doomed", Duration::ZERO));
        pass(Duration::from_millis(2550)).await;
        let left = world.left().await;
        assert!((20..=30).contains(&left), "{left}");
        pass(Duration::from_secs(4)).await;
        assert_eq!((world.left().await, world.namespaces.count()), (0, 0));
    });
}

#[test]
fn a_deletion_that_fails_says_why_and_is_tried_again() {
    run(async {
        let world = World::new(settings()).await;
        *world.namespaces.failures.lock().unwrap() = 2;
        world.fill("doomed", 10).await;
        world.namespaces.delete(deletion("doomed", Duration::ZERO));
        pass(Duration::from_millis(500)).await;
        let progress = world.jobs.deletion(&"doomed".into()).unwrap();
        assert_eq!((progress.removed, progress.trouble.as_str()), (10, "the database is away"));
        assert_eq!(world.namespaces.count(), 1);
        pass(Duration::from_secs(5)).await;
        assert_eq!(world.namespaces.count(), 0);
    });
}

#[test]
fn a_check_finds_what_cannot_be_read() {
    run(async {
        let world = World::new(settings()).await;
        world.fill("some", 3).await;
        let found = Found::default();
        let summary = world.jobs.check(everything(), Box::new(found.clone())).await.unwrap();
        assert_eq!((summary.runs, summary.findings, summary.mended), (3, 3, 0));
        assert!(found.0.lock().unwrap().iter().all(|finding| finding.problem == "unreadable"));
        let scope = CheckScope { namespace: Some("other".into()), ..everything() };
        assert_eq!(world.jobs.check(scope, Box::new(Found::default())).await.unwrap().runs, 0);
    });
}

#[test]
fn one_check_runs_at_a_time_and_at_its_rate() {
    run(async {
        let world = World::new(settings()).await;
        world.fill("some", 30).await;
        let slow = world.jobs.check(CheckScope { rate: Some(10), ..everything() }, Box::new(Found::default()));
        let refused = world.jobs.check(everything(), Box::new(Found::default())).await.unwrap_err();
        assert!(matches!(refused.kind, ErrorKind::ResourceExhausted { .. }), "{refused:?}");
        let summary = slow.await.unwrap();
        assert_eq!(summary.runs, 30);
        assert!(summary.took >= Duration::from_millis(2900), "{:?}", summary.took);
        world.jobs.check(everything(), Box::new(Found::default())).await.unwrap();
    });
}

#[test]
fn the_database_is_checked_twice_a_day_unless_that_is_switched_off() {
    run(async {
        for scavenger in [true, false] {
            let world = World::new(WorkerSettings { scavenger, ..settings() }).await;
            world.fill("some", 3).await;
            pass(Duration::from_secs(9 * 3600)).await;
            assert_eq!(world.jobs.last_check(), None);
            pass(Duration::from_secs(4 * 3600)).await;
            let checked = world.jobs.last_check().map(|CheckSummary { runs, findings, .. }| (runs, findings));
            assert_eq!(checked, scavenger.then_some((3, 3)));
        }
    });
}
