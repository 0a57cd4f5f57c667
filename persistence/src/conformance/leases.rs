//! Shard leases and their range ids.

use perdure_kernel::Timestamp;

use super::sample::{OTHER_SHARD, OWNER, SHARD, commit, key, load, put, refused};
use crate::{
    SharedStore, StoreErrorKind,
    shard::{ShardCommit, ShardLease},
};

/// A shard nobody took before starts at range 1 with nothing finished.
pub async fn the_first_acquire_makes_the_shard(store: SharedStore) {
    let lease = store.acquire_shard(SHARD, OWNER).await.unwrap();
    assert_eq!(lease, ShardLease { range_id: 1, immediate_ack: 0, timer_ack: Timestamp::EPOCH });
}

/// Whoever takes it; other shards keep theirs.
pub async fn each_acquire_raises_the_range_by_one(store: SharedStore) {
    for expected in 1..=3 {
        assert_eq!(store.acquire_shard(SHARD, OWNER).await.unwrap().range_id, expected);
    }
    assert_eq!(store.acquire_shard(SHARD, "node-b:7234").await.unwrap().range_id, 4);
    assert_eq!(store.acquire_shard(OTHER_SHARD, OWNER).await.unwrap().range_id, 1);
}

/// A commit without changes succeeds exactly while the lease holds.
pub async fn an_empty_commit_checks_the_lease(store: SharedStore) {
    let range_id = store.acquire_shard(SHARD, OWNER).await.unwrap().range_id;
    store.commit(ShardCommit::new(SHARD, range_id)).await.unwrap();
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    refused(store.commit(ShardCommit::new(SHARD, range_id)).await, StoreErrorKind::LeaseLost);
}

/// Older or newer, both are somebody else's.
pub async fn a_commit_under_another_range_is_refused(store: SharedStore) {
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    for range_id in [1, 3] {
        refused(store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await, StoreErrorKind::LeaseLost);
    }
    assert_eq!(load(&store, &key(1)).await, None);
    store.commit(commit(2, vec![put(&key(1), None, 1)])).await.unwrap();
}

/// There is no range id to match.
pub async fn a_commit_to_a_shard_never_acquired_is_refused(store: SharedStore) {
    for range_id in [0, 1] {
        refused(store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await, StoreErrorKind::LeaseLost);
    }
    assert_eq!(load(&store, &key(1)).await, None);
}

/// The next owner starts reading where the last one had finished.
pub async fn ack_levels_pass_to_the_next_owner(store: SharedStore) {
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    let timer_ack = Timestamp::from_nanos(1_700_000_000_123_456_789);
    let acks = ShardCommit { immediate_ack: Some(41), timer_ack: Some(timer_ack), ..ShardCommit::new(SHARD, 1) };
    store.commit(acks).await.unwrap();
    let lease = store.acquire_shard(SHARD, "node-b:7234").await.unwrap();
    assert_eq!(lease, ShardLease { range_id: 2, immediate_ack: 41, timer_ack });

    let one_of_two = ShardCommit { immediate_ack: Some(50), ..ShardCommit::new(SHARD, 2) };
    store.commit(one_of_two).await.unwrap();
    let lease = store.acquire_shard(SHARD, OWNER).await.unwrap();
    assert_eq!(lease, ShardLease { range_id: 3, immediate_ack: 50, timer_ack });
}
