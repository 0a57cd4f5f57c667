//! Immediate tasks.

use bytes::Bytes;

use super::sample::{ALL, OTHER_SHARD, OWNER, SHARD};
use crate::{
    SharedStore,
    shard::{ImmediateBatch, ShardCommit},
};

fn row(first_id: i64, last_id: i64) -> ImmediateBatch {
    ImmediateBatch { first_id, last_id, tasks: Bytes::from(format!("tasks {first_id} to {last_id}")) }
}

/// Writes rows 1-4, 5-5, 8-20.
async fn write_three(store: &SharedStore) {
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    for batch in [row(1, 4), row(5, 5), row(8, 20)] {
        store.commit(ShardCommit { immediate: Some(batch), ..ShardCommit::new(SHARD, 1) }).await.unwrap();
    }
}

/// A row counts as soon as its last task does.
pub async fn rows_are_read_ascending_from_an_id(store: SharedStore) {
    assert_eq!(store.read_immediate(SHARD, 0, ALL).await, Ok(Vec::new()));
    write_three(&store).await;
    let all = [row(1, 4), row(5, 5), row(8, 20)];
    for (from_id, expected) in
        [(i64::MIN, &all[..]), (4, &all), (5, &all[1..]), (6, &all[2..]), (20, &all[2..]), (21, &[])]
    {
        assert_eq!(store.read_immediate(SHARD, from_id, ALL).await.unwrap(), expected, "from {from_id}");
    }
    assert_eq!(store.read_immediate(SHARD, 0, 2).await.unwrap(), all[..2]);
    assert_eq!(store.read_immediate(SHARD, 6, 1).await.unwrap(), all[2..]);
}

/// A row with an unfinished task stays whole.
pub async fn the_ack_removes_finished_rows_only(store: SharedStore) {
    write_three(&store).await;
    let with_ack =
        |ack, batch| ShardCommit { immediate_ack: Some(ack), immediate: batch, ..ShardCommit::new(SHARD, 1) };
    for (ack, batch, expected) in [
        (4, None, vec![row(1, 4), row(5, 5), row(8, 20)]),
        (5, None, vec![row(5, 5), row(8, 20)]),
        (12, Some(row(21, 30)), vec![row(8, 20), row(21, 30)]),
        (100, None, vec![]),
    ] {
        store.commit(with_ack(ack, batch)).await.unwrap();
        assert_eq!(store.read_immediate(SHARD, 0, ALL).await.unwrap(), expected, "ack {ack}");
    }
    assert_eq!(store.acquire_shard(SHARD, OWNER).await.unwrap().immediate_ack, 100);
}

/// Neither reads nor acks reach into other shards.
pub async fn rows_belong_to_one_shard(store: SharedStore) {
    write_three(&store).await;
    store.acquire_shard(OTHER_SHARD, OWNER).await.unwrap();
    assert_eq!(store.read_immediate(OTHER_SHARD, 0, ALL).await, Ok(Vec::new()));
    store.commit(ShardCommit { immediate_ack: Some(1000), ..ShardCommit::new(OTHER_SHARD, 1) }).await.unwrap();
    assert_eq!(store.read_immediate(SHARD, 0, ALL).await.unwrap().len(), 3);
}
