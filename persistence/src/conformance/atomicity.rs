//! A commit is applied whole or not at all.

use bytes::Bytes;
use perdure_kernel::Timestamp;

use super::sample::{
    ALL, OWNER, SHARD, acquire, batch, business, commit, delete, history, item, key, load, pointing, put, record,
    refused, run_id,
};
use crate::{
    SharedStore, StoreErrorKind,
    shard::{ExecutionOp, ExecutionWrite, ImmediateBatch, ShardCommit, TimerRow},
};

/// A commit with something of everything: a new run 1 with item, history and pointer, run 2 changed from
/// version 1, run 3 deleted, tasks, and both acks.
fn everything(range_id: i64) -> ShardCommit {
    let op = ExecutionOp::Put {
        expected_version: None,
        version: 1,
        record: record(1),
        items_put: vec![(item(1, "a"), record(0))],
        items_deleted: Vec::new(),
        history: vec![batch(1, 2)],
        visibility: None,
    };
    let new_run = ExecutionWrite { key: key(1), op, current: None };
    ShardCommit {
        executions: vec![
            pointing(new_run, None, Some(&run_id(1))),
            put(&key(2), Some(1), 2),
            pointing(delete(&key(3)), Some("three"), None),
        ],
        immediate: Some(ImmediateBatch { first_id: 100, last_id: 101, tasks: Bytes::from_static(b"tasks") }),
        timers: vec![TimerRow { fire_at: Timestamp::from_nanos(1000), id: 102, task: Bytes::from_static(b"timer") }],
        immediate_ack: Some(50),
        timer_ack: Some(Timestamp::from_nanos(500)),
        ..ShardCommit::new(SHARD, range_id)
    }
}

/// Runs 2 and 3 and tasks that the acks of [`everything`] would remove.
async fn prepare(store: &SharedStore) -> i64 {
    let range_id = acquire(store).await;
    let before = ShardCommit {
        immediate: Some(ImmediateBatch { first_id: 1, last_id: 9, tasks: Bytes::from_static(b"old") }),
        timers: vec![TimerRow { fire_at: Timestamp::from_nanos(10), id: 10, task: Bytes::from_static(b"old") }],
        ..commit(range_id, vec![put(&key(2), None, 1), pointing(put(&key(3), None, 1), None, Some("three"))])
    };
    store.commit(before).await.unwrap();
    range_id
}

/// What is visible of [`everything`], the acks last: they take the lease.
async fn look(store: &SharedStore) -> (Vec<Option<i64>>, Vec<Option<String>>, usize, Vec<i64>, Vec<i64>, i64, i64) {
    let mut versions = Vec::new();
    let mut pointers = Vec::new();
    for run in 1..=3 {
        versions.push(load(store, &key(run)).await.map(|held| held.version));
        pointers.push(store.current_run(SHARD, &business(run)).await.unwrap());
    }
    let history = history(store, &key(1)).await.len();
    let immediate = store.read_immediate(SHARD, 0, ALL).await.unwrap().iter().map(|row| row.first_id).collect();
    let start = (Timestamp::from_nanos(i64::MIN), i64::MIN);
    let timers = store.read_timers(SHARD, start, Timestamp::MAX, ALL).await.unwrap().iter().map(|row| row.id).collect();
    let lease = store.acquire_shard(SHARD, OWNER).await.unwrap();
    (versions, pointers, history, immediate, timers, lease.immediate_ack, lease.timer_ack.as_nanos())
}

async fn assert_untouched(store: &SharedStore) {
    let three = Some("three".to_owned());
    let untouched = (vec![None, Some(1), Some(1)], vec![None, None, three], 0, vec![1], vec![10], 0, 0);
    assert_eq!(look(store).await, untouched);
}

/// The success that the failures below are measured against.
pub async fn everything_of_a_commit_is_applied(store: SharedStore) {
    let range_id = prepare(&store).await;
    store.commit(everything(range_id)).await.unwrap();
    let run = Some(run_id(1));
    let applied = (vec![Some(1), Some(2), None], vec![run, None, None], 1, vec![100], vec![102], 50, 500);
    assert_eq!(look(&store).await, applied);
}

/// Wherever in the commit it stands.
pub async fn one_wrong_version_leaves_nothing(store: SharedStore) {
    let range_id = prepare(&store).await;
    for position in [0, 1, 3] {
        let mut commit = everything(range_id);
        commit.executions.insert(position, put(&key(4), Some(8), 9));
        refused(store.commit(commit).await, StoreErrorKind::Conflict);
    }
    assert_untouched(&store).await;
}

/// Wherever in the commit it stands.
pub async fn one_wrong_pointer_leaves_nothing(store: SharedStore) {
    let range_id = prepare(&store).await;
    for position in [0, 1, 3] {
        let mut commit = everything(range_id);
        commit.executions.insert(position, pointing(put(&key(4), None, 1), Some("nobody"), Some("run")));
        refused(store.commit(commit).await, StoreErrorKind::Conflict);
    }
    assert_untouched(&store).await;
}

/// A lost lease outweighs a conflict: the owner must stop, not reload.
pub async fn a_lost_lease_leaves_nothing(store: SharedStore) {
    let range_id = prepare(&store).await;
    let mut conflicting = everything(range_id + 1);
    conflicting.executions.push(put(&key(4), Some(8), 9));
    refused(store.commit(conflicting).await, StoreErrorKind::LeaseLost);
    refused(store.commit(everything(range_id - 1)).await, StoreErrorKind::LeaseLost);
    assert_untouched(&store).await;
}
