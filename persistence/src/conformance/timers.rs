//! Timer tasks.

use bytes::Bytes;
use perdure_kernel::Timestamp;

use super::sample::{ALL, OTHER_SHARD, OWNER, SHARD};
use crate::{
    SharedStore,
    shard::{ShardCommit, TimerRow},
};

/// Before every row.
const START: (Timestamp, i64) = (Timestamp::from_nanos(i64::MIN), i64::MIN);

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn row(nanos: i64, id: i64) -> TimerRow {
    TimerRow { fire_at: at(nanos), id, task: Bytes::from(format!("timer {id} at {nanos}")) }
}

async fn write(store: &SharedStore, timers: Vec<TimerRow>) {
    store.acquire_shard(SHARD, OWNER).await.unwrap();
    store.commit(ShardCommit { timers, ..ShardCommit::new(SHARD, 1) }).await.unwrap();
}

async fn read(store: &SharedStore, from: (Timestamp, i64), until: Timestamp, limit: usize) -> Vec<i64> {
    store.read_timers(SHARD, from, until, limit).await.unwrap().into_iter().map(|row| row.id).collect()
}

/// The lower end is left out by instant and id, the upper end by instant.
pub async fn rows_are_read_in_order_between_two_instants(store: SharedStore) {
    assert_eq!(read(&store, START, Timestamp::MAX, ALL).await, [0_i64; 0]);
    write(&store, vec![row(30, 4), row(10, 9), row(20, 2), row(20, 1), row(1_700_000_000_123_456_789, 3)]).await;
    let rows = store.read_timers(SHARD, START, Timestamp::MAX, ALL).await.unwrap();
    assert_eq!(rows, [row(10, 9), row(20, 1), row(20, 2), row(30, 4), row(1_700_000_000_123_456_789, 3)]);
    assert_eq!(read(&store, START, at(30), ALL).await, [9, 1, 2]);
    assert_eq!(read(&store, (at(20), 1), at(31), ALL).await, [2, 4]);
    assert_eq!(read(&store, (at(20), i64::MAX), at(31), ALL).await, [4]);
    assert_eq!(read(&store, (at(20), i64::MIN), at(30), ALL).await, [1, 2]);
    assert_eq!(read(&store, (at(30), 4), at(30), ALL).await, [0_i64; 0]);
}

/// Many timers may be due at once.
pub async fn the_limit_pages_through_one_instant(store: SharedStore) {
    write(&store, (0..150).map(|id| row(10, id)).chain([row(11, 0)]).collect()).await;
    let mut from = START;
    let mut pages = Vec::new();
    loop {
        let page = store.read_timers(SHARD, from, Timestamp::MAX, 40).await.unwrap();
        let Some(last) = page.last() else { break };
        from = (last.fire_at, last.id);
        pages.push(page.len());
    }
    assert_eq!(pages, [40, 40, 40, 31]);
}

/// Rows due at the level itself are not finished.
pub async fn the_ack_removes_earlier_rows_only(store: SharedStore) {
    write(&store, vec![row(10, 1), row(20, 2), row(20, 3), row(30, 4)]).await;
    let mut commit = ShardCommit { timer_ack: Some(at(20)), ..ShardCommit::new(SHARD, 1) };
    commit.timers = vec![row(25, 5)];
    store.commit(commit).await.unwrap();
    assert_eq!(read(&store, START, Timestamp::MAX, ALL).await, [2, 3, 5, 4]);
    store.commit(ShardCommit { timer_ack: Some(Timestamp::MAX), ..ShardCommit::new(SHARD, 1) }).await.unwrap();
    assert_eq!(read(&store, START, Timestamp::MAX, ALL).await, [0_i64; 0]);
    assert_eq!(store.acquire_shard(SHARD, OWNER).await.unwrap().timer_ack, Timestamp::MAX);
}

/// Neither reads nor acks reach into other shards.
pub async fn rows_belong_to_one_shard_of_timers(store: SharedStore) {
    write(&store, vec![row(10, 1)]).await;
    store.acquire_shard(OTHER_SHARD, OWNER).await.unwrap();
    assert_eq!(store.read_timers(OTHER_SHARD, START, Timestamp::MAX, ALL).await, Ok(Vec::new()));
    store.commit(ShardCommit { timer_ack: Some(at(99)), ..ShardCommit::new(OTHER_SHARD, 1) }).await.unwrap();
    assert_eq!(read(&store, START, Timestamp::MAX, ALL).await, [1]);
}
