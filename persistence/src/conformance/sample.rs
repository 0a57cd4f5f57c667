//! Values that the behaviours write.

use std::fmt::Debug;

use bytes::Bytes;
use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, NamespaceId, Random, ShardId, random::SplitMix};

use crate::{
    SharedStore, StoreErrorKind, StoreResult,
    shard::{
        CurrentRunWrite, Direction, ExecutionOp, ExecutionWrite, HistoryBatch, ItemKey, ShardCommit, StoredExecution,
    },
    task_queue::{BacklogTask, QueueKey, TaskPosition},
};

pub(super) const SHARD: ShardId = ShardId(1);
pub(super) const OTHER_SHARD: ShardId = ShardId(2);
pub(super) const OWNER: &str = "node-a:7234";
/// More than any test writes.
pub(super) const ALL: usize = 10_000;

pub(crate) fn namespace() -> NamespaceId {
    NamespaceId::from("2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11")
}

/// A run id as a cluster makes them, always the same for `n`.
pub(super) fn run_id(n: u64) -> String {
    SplitMix::new(n).uuid()
}

pub(super) fn business(n: u64) -> BusinessKey {
    BusinessKey::workflow(&namespace(), &format!("order-{n}"))
}

/// Run `n` of workflow `order-n`.
pub(crate) fn key(n: u64) -> ExecutionKey {
    ExecutionKey { business: business(n), run_id: run_id(n).into() }
}

pub(super) fn key_of(namespace: &str, archetype: u16, business_id: &str, run_id: &str) -> ExecutionKey {
    let business = BusinessKey {
        namespace_id: namespace.into(),
        archetype: Archetype(archetype),
        business_id: business_id.into(),
    };
    ExecutionKey { business, run_id: run_id.into() }
}

pub(super) fn record(version: i64) -> Bytes {
    Bytes::from(format!("record at version {version}"))
}

/// A put of the record only.
pub(super) fn put(key: &ExecutionKey, expected_version: Option<i64>, version: i64) -> ExecutionWrite {
    ExecutionWrite {
        key: key.clone(),
        op: ExecutionOp::Put {
            expected_version,
            version,
            record: record(version),
            items_put: Vec::new(),
            items_deleted: Vec::new(),
            history: Vec::new(),
            visibility: None,
        },
        current: None,
    }
}

/// A put with items.
pub(super) fn put_items(
    key: &ExecutionKey,
    expected: Option<i64>,
    version: i64,
    put: Vec<(ItemKey, Bytes)>,
    deleted: Vec<ItemKey>,
) -> ExecutionWrite {
    let op = ExecutionOp::Put {
        expected_version: expected,
        version,
        record: record(version),
        items_put: put,
        items_deleted: deleted,
        history: Vec::new(),
        visibility: None,
    };
    ExecutionWrite { key: key.clone(), op, current: None }
}

/// A put with history.
pub(super) fn put_history(
    key: &ExecutionKey,
    expected: Option<i64>,
    version: i64,
    history: Vec<HistoryBatch>,
) -> ExecutionWrite {
    let op = ExecutionOp::Put {
        expected_version: expected,
        version,
        record: record(version),
        items_put: Vec::new(),
        items_deleted: Vec::new(),
        history,
        visibility: None,
    };
    ExecutionWrite { key: key.clone(), op, current: None }
}

pub(super) fn delete(key: &ExecutionKey) -> ExecutionWrite {
    ExecutionWrite { key: key.clone(), op: ExecutionOp::Delete, current: None }
}

pub(super) fn pointing(write: ExecutionWrite, expected: Option<&str>, run_id: Option<&str>) -> ExecutionWrite {
    let current = CurrentRunWrite { expected: expected.map(str::to_owned), run_id: run_id.map(str::to_owned) };
    ExecutionWrite { current: Some(current), ..write }
}

pub(super) fn item(kind: u16, name: &str) -> ItemKey {
    ItemKey { kind, name: name.to_owned() }
}

/// Events `first..=last`.
pub(super) fn batch(first: i64, last: i64) -> HistoryBatch {
    HistoryBatch {
        first_event_id: first,
        last_event_id: last,
        events: Bytes::from(format!("events {first} to {last}")),
    }
}

/// A commit to [`SHARD`] of executions only.
pub(super) fn commit(range_id: i64, executions: Vec<ExecutionWrite>) -> ShardCommit {
    ShardCommit { executions, ..ShardCommit::new(SHARD, range_id) }
}

/// A stored run without items.
pub(super) fn stored(version: i64) -> StoredExecution {
    StoredExecution { version, record: record(version), items: Vec::new() }
}

/// Takes [`SHARD`].
pub(super) async fn acquire(store: &SharedStore) -> i64 {
    store.acquire_shard(SHARD, OWNER).await.unwrap().range_id
}

pub(super) async fn load(store: &SharedStore, key: &ExecutionKey) -> Option<StoredExecution> {
    store.load_execution(SHARD, key).await.unwrap()
}

/// The whole history, as (first, last) of its batches.
pub(super) async fn history(store: &SharedStore, key: &ExecutionKey) -> Vec<(i64, i64)> {
    let batches = store.read_history(SHARD, key, 1, i64::MAX, Direction::Forward, ALL).await.unwrap();
    batches.iter().map(|batch| (batch.first_event_id, batch.last_event_id)).collect()
}

#[track_caller]
pub(super) fn refused<T: Debug>(result: StoreResult<T>, kind: StoreErrorKind) {
    match result {
        Ok(value) => panic!("expected {kind:?}, got {value:?}"),
        Err(error) => assert_eq!(error.kind, kind, "{error}"),
    }
}

pub(super) fn queue(name: &str, task_type: i32) -> QueueKey {
    QueueKey { namespace_id: namespace(), name: name.to_owned(), task_type }
}

pub(super) fn task(id: i64) -> BacklogTask {
    task_at(2, 0, id)
}

pub(super) fn position(level: i32, pass: i64, id: i64) -> TaskPosition {
    TaskPosition { level, pass, id }
}

/// One of two fairness keys, made at a second of its own.
pub(super) fn task_at(level: i32, pass: i64, id: i64) -> BacklogTask {
    BacklogTask {
        position: position(level, pass, id),
        fair_key: id % 2,
        created_at: perdure_kernel::Timestamp::from_nanos(id * 1_000_000_000),
        expires_at: perdure_kernel::Timestamp::from_nanos(id * 7),
        task: Bytes::from(format!("task {id}")),
    }
}
