//! Task queue partitions and their backlogs.

use bytes::Bytes;
use perdure_kernel::{NamespaceId, ShardId, Timestamp};
use tokio::task::JoinSet;

use super::sample::{ALL, key, namespace, position, put, queue, refused, task, task_at};
use crate::{
    SharedStore, StoreErrorKind,
    shard::ShardCommit,
    task_queue::{BacklogSummary, LevelSummary, QueueKey, QueueLease, TaskPosition},
};

async fn ids(store: &SharedStore, key: &QueueKey, after_id: i64, limit: usize) -> Vec<i64> {
    let after = position(2, 0, after_id);
    store.read_tasks(key, after, limit).await.unwrap().into_iter().map(|task| task.position.id).collect()
}

/// A queue nobody took before starts at range 1, empty.
pub async fn the_first_acquire_makes_the_queue(store: SharedStore) {
    assert_eq!(ids(&store, &queue("orders", 1), 0, ALL).await, [0_i64; 0]);
    let lease = store.acquire_queue(&queue("orders", 1)).await.unwrap();
    assert_eq!(lease, QueueLease { range_id: 1, record: Bytes::new() });
    assert_eq!(ids(&store, &queue("orders", 1), 0, ALL).await, [0_i64; 0]);
}

/// By one; other queues keep theirs.
pub async fn each_acquire_of_a_queue_raises_its_range(store: SharedStore) {
    for expected in 1..=3 {
        assert_eq!(store.acquire_queue(&queue("orders", 1)).await.unwrap().range_id, expected);
    }
    assert_eq!(store.acquire_queue(&queue("orders", 2)).await.unwrap().range_id, 1);
    assert_eq!(store.acquire_queue(&queue("orders/", 1)).await.unwrap().range_id, 1);
}

/// All three kinds of write, under older and newer ranges and to queues that do not exist.
pub async fn writes_under_another_range_are_refused(store: SharedStore) {
    let held = queue("orders", 1);
    store.acquire_queue(&held).await.unwrap();
    store.acquire_queue(&held).await.unwrap();
    store.append_tasks(&held, 2, vec![task(1)]).await.unwrap();
    for (key, range_id) in [(&held, 1), (&held, 3), (&queue("absent", 1), 0), (&queue("absent", 1), 1)] {
        refused(store.append_tasks(key, range_id, vec![task(5)]).await, StoreErrorKind::LeaseLost);
        refused(store.ack_tasks(key, range_id, vec![position(2, 0, 5)]).await, StoreErrorKind::LeaseLost);
        refused(store.put_queue_record(key, range_id, Bytes::from_static(b"x")).await, StoreErrorKind::LeaseLost);
    }
    assert_eq!(ids(&store, &held, 0, ALL).await, [1]);
    let lease = store.acquire_queue(&held).await.unwrap();
    assert_eq!(lease, QueueLease { range_id: 3, record: Bytes::new() });
    assert_eq!(store.list_queues(&namespace()).await, Ok(vec![held]));
}

/// Tasks come back as written, in pages.
pub async fn tasks_are_read_ascending_after_an_id(store: SharedStore) {
    let key = queue("orders", 1);
    store.acquire_queue(&key).await.unwrap();
    store.append_tasks(&key, 1, vec![task(10), task(12)]).await.unwrap();
    store.append_tasks(&key, 1, Vec::new()).await.unwrap();
    store.append_tasks(&key, 1, (20..220).map(task).collect()).await.unwrap();
    assert_eq!(store.read_tasks(&key, TaskPosition::start_of(2), 2).await, Ok(vec![task(10), task(12)]));
    assert_eq!(ids(&store, &key, 10, 3).await, [12, 20, 21]);
    assert_eq!(ids(&store, &key, 11, 1).await, [12]);
    assert_eq!(ids(&store, &key, 12, ALL).await, (20..220).collect::<Vec<_>>());
    assert_eq!(ids(&store, &key, 219, ALL).await, [0_i64; 0]);
}

/// By pass, then by id; one level at a time.
pub async fn tasks_are_read_by_level_and_pass(store: SharedStore) {
    let key = queue("orders", 1);
    store.acquire_queue(&key).await.unwrap();
    store.append_tasks(&key, 1, vec![task_at(2, 30, 1), task_at(0, 5, 2), task_at(2, 10, 3)]).await.unwrap();
    store.append_tasks(&key, 1, vec![task_at(2, 20, 4), task_at(2, 10, 5), task_at(3, -7, 6)]).await.unwrap();
    let read = async |after, limit| store.read_tasks(&key, after, limit).await.unwrap();
    assert_eq!(read(TaskPosition::start_of(0), ALL).await, [task_at(0, 5, 2)]);
    assert_eq!(read(TaskPosition::start_of(1), ALL).await, []);
    assert_eq!(read(TaskPosition::start_of(2), 3).await, [task_at(2, 10, 3), task_at(2, 10, 5), task_at(2, 20, 4)]);
    assert_eq!(read(position(2, 10, 3), 2).await, [task_at(2, 10, 5), task_at(2, 20, 4)]);
    assert_eq!(read(position(2, 20, 4), ALL).await, [task_at(2, 30, 1)]);
    // A task may be written before the place up to which others were read.
    store.append_tasks(&key, 1, vec![task_at(2, 15, 7)]).await.unwrap();
    store.ack_tasks(&key, 1, vec![position(2, 15, 7), position(0, 4, 9)]).await.unwrap();
    assert_eq!(read(TaskPosition::start_of(2), ALL).await, [task_at(2, 20, 4), task_at(2, 30, 1)]);
    assert_eq!(read(TaskPosition::start_of(0), ALL).await, [task_at(0, 5, 2)]);
    assert_eq!(read(TaskPosition::start_of(3), ALL).await, [task_at(3, -7, 6)]);
}

/// Counts, creation times and the last pass of each key, for every level.
pub async fn a_backlog_is_summed_up(store: SharedStore) {
    let key = queue("orders", 1);
    assert_eq!(store.summarize_backlog(&key, 9).await, Ok(BacklogSummary::default()));
    store.acquire_queue(&key).await.unwrap();
    assert_eq!(store.summarize_backlog(&key, 9).await, Ok(BacklogSummary::default()));
    let mut late = task_at(2, 40, 8);
    late.created_at = Timestamp::from_nanos(3_400_000_000);
    store
        .append_tasks(&key, 1, vec![task_at(2, 30, 1), task_at(2, 10, 3), task_at(2, 20, 5), late, task_at(0, 5, 2)])
        .await
        .unwrap();
    let at = |second: i64, count| (Timestamp::from_nanos(second * 1_000_000_000), count);
    let first = LevelSummary { level: 0, first_pass: 5, ages: vec![at(2, 1)], last_passes: vec![(0, 5)] };
    let second =
        |last_passes| LevelSummary { level: 2, first_pass: 10, ages: vec![at(1, 1), at(3, 2), at(5, 1)], last_passes };
    let levels = vec![first.clone(), second(vec![(0, 40), (1, 30)])];
    assert_eq!(store.summarize_backlog(&key, 9).await, Ok(BacklogSummary { levels }));
    let levels = vec![first, second(vec![(0, 40)])];
    assert_eq!(store.summarize_backlog(&key, 1).await, Ok(BacklogSummary { levels }));
    // Over a long time neighbours are counted together.
    store.append_tasks(&key, 1, (3..2_003).map(|id| task_at(4, id, id * 7)).collect()).await.unwrap();
    let summary = store.summarize_backlog(&key, 9).await.unwrap();
    let ages = &summary.levels[2].ages;
    assert!(ages.len() <= 1_002, "{}", ages.len());
    assert_eq!(ages.iter().map(|(_, count)| count).sum::<u64>(), 2_000);
    assert_eq!(ages[0].0, Timestamp::from_nanos(21_000_000_000));
}

/// The task at the level is finished too.
pub async fn the_ack_removes_tasks_up_to_it(store: SharedStore) {
    let key = queue("orders", 1);
    store.acquire_queue(&key).await.unwrap();
    store.append_tasks(&key, 1, (1..=5).map(task).collect()).await.unwrap();
    for (ack_id, rest) in [(0, &[1, 2, 3, 4, 5][..]), (3, &[4, 5]), (3, &[4, 5]), (99, &[])] {
        store.ack_tasks(&key, 1, vec![position(2, 0, ack_id)]).await.unwrap();
        assert_eq!(ids(&store, &key, 0, ALL).await, rest, "ack {ack_id}");
    }
    store.ack_tasks(&key, 1, Vec::new()).await.unwrap();
}

/// It is opaque and replaced whole.
pub async fn the_record_passes_to_the_next_owner(store: SharedStore) {
    let key = queue("orders", 1);
    store.acquire_queue(&key).await.unwrap();
    for text in ["first", "second"] {
        store.put_queue_record(&key, 1, Bytes::from(text)).await.unwrap();
    }
    let lease = store.acquire_queue(&key).await.unwrap();
    assert_eq!(lease, QueueLease { range_id: 2, record: Bytes::from_static(b"second") });
}

/// By namespace, name and type.
pub async fn queues_stay_apart(store: SharedStore) {
    let elsewhere = QueueKey { namespace_id: NamespaceId::from("other"), ..queue("orders", 1) };
    let keys = [queue("orders", 1), queue("orders", 2), queue("order", 1), queue("orders\0", 1), elsewhere];
    for (id, key) in (1..).zip(&keys) {
        store.acquire_queue(key).await.unwrap();
        store.append_tasks(key, 1, vec![task(id)]).await.unwrap();
    }
    store.ack_tasks(&keys[1], 1, vec![position(2, 0, 99)]).await.unwrap();
    for (id, key) in (1..).zip(&keys) {
        let expected = if id == 2 { vec![] } else { vec![id] };
        assert_eq!(ids(&store, key, 0, ALL).await, expected, "{key:?}");
    }
}

/// By name, then type; other namespaces are left out.
pub async fn queues_of_a_namespace_are_listed_in_order(store: SharedStore) {
    assert_eq!(store.list_queues(&namespace()).await, Ok(Vec::new()));
    let mut keys =
        vec![queue("b", 2), queue("", 1), queue("b", 1), queue("/_sys/b/1", 1), queue("a", 3), queue("b\0", 1)];
    for key in &keys {
        store.acquire_queue(key).await.unwrap();
    }
    for other in ["2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a10", "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a12", "x", ""] {
        store.acquire_queue(&QueueKey { namespace_id: other.into(), ..queue("a", 1) }).await.unwrap();
    }
    keys.sort();
    assert_eq!(store.list_queues(&namespace()).await, Ok(keys));
}

/// A queue made again has nothing of the old one. Removing twice is no error.
pub async fn deleting_removes_the_queue_and_its_backlog(store: SharedStore) {
    let (gone, stays) = (queue("gone", 1), queue("stays", 1));
    for key in [&gone, &stays] {
        store.acquire_queue(key).await.unwrap();
        store.append_tasks(key, 1, vec![task(1), task(2)]).await.unwrap();
    }
    store.delete_queue(&gone).await.unwrap();
    store.delete_queue(&gone).await.unwrap();
    refused(store.append_tasks(&gone, 1, vec![task(3)]).await, StoreErrorKind::LeaseLost);
    assert_eq!(ids(&store, &gone, 0, ALL).await, [0_i64; 0]);
    assert_eq!(store.list_queues(&namespace()).await, Ok(vec![stays.clone()]));
    let lease = store.acquire_queue(&gone).await.unwrap();
    assert_eq!(lease.record, Bytes::new());
    assert_eq!(ids(&store, &gone, 0, ALL).await, [0_i64; 0]);
    assert_eq!(ids(&store, &stays, 0, ALL).await, [1, 2]);
}

/// Stores may merge these writes; each is applied once.
pub async fn parallel_writers_of_queues_and_shards_all_succeed(store: SharedStore) {
    const WRITERS: u32 = 5;
    const ROUNDS: i64 = 30;
    let mut tasks = JoinSet::new();
    for writer in 1..=WRITERS {
        let (shards, queues) = (store.clone(), store.clone());
        tasks.spawn(async move {
            let shard = ShardId(writer);
            shards.acquire_shard(shard, "owner").await.unwrap();
            for round in 0..ROUNDS {
                let executions = vec![put(&key(1), (round > 0).then_some(round), round + 1)];
                shards.commit(ShardCommit { executions, ..ShardCommit::new(shard, 1) }).await.unwrap();
            }
        });
        tasks.spawn(async move {
            let key = queue(&format!("queue {writer}"), 1);
            queues.acquire_queue(&key).await.unwrap();
            for round in 1..=ROUNDS {
                let (append, ack) = (
                    queues.append_tasks(&key, 1, vec![task(round)]),
                    queues.ack_tasks(&key, 1, vec![position(2, 0, round - 5)]),
                );
                let (append, ack) = tokio::join!(append, ack);
                append.unwrap();
                ack.unwrap();
            }
            assert_eq!(ids(&queues, &key, 0, ALL).await, (ROUNDS - 4..=ROUNDS).collect::<Vec<_>>());
        });
    }
    tasks.join_all().await;
}
