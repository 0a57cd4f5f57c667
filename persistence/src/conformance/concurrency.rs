//! Several owners and readers at once.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use perdure_kernel::ShardId;
use tokio::task::JoinSet;

use super::sample::{SHARD, acquire, commit, item, key, load, put, put_items, refused, run_id};
use crate::{
    SharedStore, StoreErrorKind,
    shard::{ExecutionOp, ExecutionWrite, ShardCommit},
};

/// No two owners ever hold the same fence.
pub async fn parallel_acquires_get_different_ranges(store: SharedStore) {
    const OWNERS: i64 = 40;
    let mut tasks = JoinSet::new();
    for owner in 0..OWNERS {
        let store = store.clone();
        tasks.spawn(async move { store.acquire_shard(SHARD, &format!("owner {owner}")).await.unwrap().range_id });
    }
    let ranges: BTreeSet<i64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ranges, (1..=OWNERS).collect());
}

/// The others conflict; nothing is lost or applied twice.
pub async fn of_racing_commits_one_wins(store: SharedStore) {
    const RACERS: usize = 8;
    let range_id = acquire(&store).await;
    for round in 0..20_i64 {
        let expected = (round > 0).then_some(round);
        let mut tasks = JoinSet::new();
        for _ in 0..RACERS {
            let store = store.clone();
            tasks.spawn(async move { store.commit(commit(range_id, vec![put(&key(1), expected, round + 1)])).await });
        }
        let (won, lost): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, RACERS - 1), "round {round}");
        lost.into_iter().for_each(|result| refused(result, StoreErrorKind::Conflict));
        assert_eq!(load(&store, &key(1)).await.map(|run| run.version), Some(round + 1));
    }
}

/// A writer that races a takeover either commits before it or is fenced off, and what it was told is true.
pub async fn an_earlier_owner_writes_nothing_after_a_takeover(store: SharedStore) {
    for round in 0..10_u64 {
        let range_id = acquire(&store).await;
        let run = key(round);
        let writer = tokio::spawn({
            let (store, run) = (store.clone(), run.clone());
            async move {
                let mut version = 0;
                loop {
                    let expected = (version > 0).then_some(version);
                    match store.commit(commit(range_id, vec![put(&run, expected, version + 1)])).await {
                        Ok(()) => version += 1,
                        Err(error) => return (version, error.kind),
                    }
                }
            }
        });
        while load(&store, &run).await.is_none() {
            tokio::task::yield_now().await;
        }
        let new_range = acquire(&store).await;
        let at_takeover = load(&store, &run).await.map(|held| held.version);
        let (acknowledged, ended_with) = writer.await.unwrap();
        assert_eq!(ended_with, StoreErrorKind::LeaseLost);
        assert_eq!(at_takeover, Some(acknowledged));
        let next = put(&run, Some(acknowledged), acknowledged + 1);
        store.commit(commit(new_range, vec![next])).await.unwrap();
    }
}

/// Stores may merge the commits of several shards; each still stands or falls alone.
pub async fn a_refused_commit_does_not_harm_its_neighbours(store: SharedStore) {
    const SHARDS: u32 = 6;
    const ROUNDS: i64 = 30;
    let mut tasks = JoinSet::new();
    for shard in (1..=SHARDS).map(ShardId) {
        let store = store.clone();
        tasks.spawn(async move {
            let range_id = store.acquire_shard(shard, "owner").await.unwrap().range_id;
            for round in 0..ROUNDS {
                let expected = (round > 0).then_some(round);
                let good = put(&key(1), expected, round + 1);
                let (wrong_version, unwanted) = (put(&key(2), Some(99), 100), put(&key(3), None, 1));
                let (bad, range, kind) = match (round + i64::from(shard.0)) % 3 {
                    0 => (vec![unwanted, wrong_version], range_id, StoreErrorKind::Conflict),
                    1 => (vec![unwanted], range_id + 1, StoreErrorKind::LeaseLost),
                    _ => (vec![unwanted, put(&key(1), Some(99), 100)], range_id, StoreErrorKind::Conflict),
                };
                let bad = ShardCommit { executions: bad, ..ShardCommit::new(shard, range) };
                let good = ShardCommit { executions: vec![good], ..ShardCommit::new(shard, range_id) };
                let (bad, good) = tokio::join!(store.commit(bad), store.commit(good));
                refused(bad, kind);
                good.unwrap();
            }
            assert_eq!(store.load_execution(shard, &key(3)).await, Ok(None));
            store.load_execution(shard, &key(1)).await.unwrap().map(|run| run.version)
        });
    }
    assert_eq!(tasks.join_all().await, vec![Some(ROUNDS); SHARDS as usize]);
}

/// A load shows record and items of one commit, never of two.
pub async fn readers_see_whole_commits(store: SharedStore) {
    const VERSIONS: i64 = 60;
    let range_id = acquire(&store).await;
    let run = Arc::new(key(1));
    let version_text = |version: i64| Bytes::from(version.to_string());
    let write = move |run, expected, version| {
        let items = (0..3).map(|n| (item(n, &run_id(1)), version_text(version))).collect();
        let write = put_items(run, expected, version, items, Vec::new());
        let ExecutionWrite { key, op, current } = write;
        let ExecutionOp::Put { expected_version, version, items_put, items_deleted, history, record: _, visibility } =
            op
        else {
            unreachable!("put_items makes puts")
        };
        let record = version_text(version);
        let op = ExecutionOp::Put { expected_version, version, record, items_put, items_deleted, history, visibility };
        commit(range_id, vec![ExecutionWrite { key, op, current }])
    };
    store.commit(write(&run, None, 1)).await.unwrap();
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (store, run) = (store.clone(), run.clone());
        readers.spawn(async move {
            let mut last = 0;
            while last < VERSIONS {
                let held = load(&store, &run).await.unwrap();
                assert!(held.version >= last, "went back from {last} to {}", held.version);
                last = held.version;
                assert_eq!(held.record, version_text(last));
                assert!(held.items.len() == 3 && held.items.iter().all(|(_, value)| *value == version_text(last)));
                tokio::task::yield_now().await;
            }
        });
    }
    for version in 2..=VERSIONS {
        store.commit(write(&run, Some(version - 1), version)).await.unwrap();
    }
    readers.join_all().await;
}
