//! Histories.

use super::sample::{ALL, SHARD, acquire, batch, commit, history, key, put_history, run_id};
use crate::{SharedStore, shard::Direction};

async fn read(store: &SharedStore, first: i64, last: i64, direction: Direction, limit: usize) -> Vec<i64> {
    let batches = store.read_history(SHARD, &key(1), first, last, direction, limit).await.unwrap();
    batches.iter().map(|batch| batch.first_event_id).collect()
}

/// Writes batches 1-3, 4-4, 5-10, 11-12.
async fn write_four(store: &SharedStore) -> i64 {
    let range_id = acquire(store).await;
    let batches = vec![batch(1, 3), batch(4, 4), batch(5, 10), batch(11, 12)];
    store.commit(commit(range_id, vec![put_history(&key(1), None, 1, batches)])).await.unwrap();
    range_id
}

/// Whole batches with ids and bytes as written.
pub async fn batches_are_read_forward_and_backward(store: SharedStore) {
    write_four(&store).await;
    let forward = store.read_history(SHARD, &key(1), 1, i64::MAX, Direction::Forward, ALL).await.unwrap();
    assert_eq!(forward, [batch(1, 3), batch(4, 4), batch(5, 10), batch(11, 12)]);
    let mut backward = store.read_history(SHARD, &key(1), 1, i64::MAX, Direction::Backward, ALL).await.unwrap();
    backward.reverse();
    assert_eq!(backward, forward);
}

/// The ends of the asked range may lie inside batches.
pub async fn a_batch_is_read_when_any_event_is_asked_for(store: SharedStore) {
    write_four(&store).await;
    let cases: [(i64, i64, &[i64]); 9] = [
        (1, 1, &[1]),
        (3, 4, &[1, 4]),
        (2, 5, &[1, 4, 5]),
        (6, 7, &[5]),
        (10, 11, &[5, 11]),
        (12, 12, &[11]),
        (13, 99, &[]),
        (0, 0, &[]),
        (5, 4, &[]),
    ];
    for (first, last, expected) in cases {
        assert_eq!(read(&store, first, last, Direction::Forward, ALL).await, expected, "{first}..={last}");
        let reversed: Vec<i64> = expected.iter().rev().copied().collect();
        assert_eq!(read(&store, first, last, Direction::Backward, ALL).await, reversed, "{first}..={last} backward");
    }
}

/// Pages continue at the event after or before the last batch.
pub async fn the_limit_counts_batches(store: SharedStore) {
    write_four(&store).await;
    assert_eq!(read(&store, 1, 12, Direction::Forward, 3).await, [1, 4, 5]);
    assert_eq!(read(&store, 11, 12, Direction::Forward, 3).await, [11]);
    assert_eq!(read(&store, 1, 12, Direction::Backward, 3).await, [11, 5, 4]);
    assert_eq!(read(&store, 1, 3, Direction::Backward, 3).await, [1]);
}

/// A long history stays in order however it was written.
pub async fn later_commits_append(store: SharedStore) {
    const BATCHES: i64 = 300;
    let range_id = acquire(&store).await;
    let mut next = 0;
    for version in 1.. {
        let upto = (next + version).min(BATCHES);
        let batches = (next..upto).map(|n| batch(2 * n + 1, 2 * n + 2)).collect();
        let expected = (version > 1).then_some(version - 1);
        store.commit(commit(range_id, vec![put_history(&key(1), expected, version, batches)])).await.unwrap();
        next = upto;
        if next == BATCHES {
            break;
        }
    }
    let all: Vec<(i64, i64)> = (0..BATCHES).map(|n| (2 * n + 1, 2 * n + 2)).collect();
    assert_eq!(history(&store, &key(1)).await, all);
    assert_eq!(read(&store, 400, 404, Direction::Forward, ALL).await, [399, 401, 403]);
}

/// What a retried write after a rebuild looks like.
pub async fn a_batch_with_a_known_start_replaces(store: SharedStore) {
    let range_id = write_four(&store).await;
    let again = vec![batch(11, 13), batch(14, 14)];
    store.commit(commit(range_id, vec![put_history(&key(1), Some(1), 2, again)])).await.unwrap();
    assert_eq!(history(&store, &key(1)).await, [(1, 3), (4, 4), (5, 10), (11, 13), (14, 14)]);
}

/// Runs of one business id have histories of their own; an absent run has none.
pub async fn histories_belong_to_one_run(store: SharedStore) {
    let range_id = write_four(&store).await;
    let other = perdure_kernel::ExecutionKey { run_id: run_id(77).into(), ..key(1) };
    assert_eq!(history(&store, &other).await, []);
    store.commit(commit(range_id, vec![put_history(&other, None, 1, vec![batch(1, 2)])])).await.unwrap();
    assert_eq!(history(&store, &other).await, [(1, 2)]);
    assert_eq!(history(&store, &key(1)).await.len(), 4);
}
