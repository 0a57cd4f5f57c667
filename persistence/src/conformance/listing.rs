//! Listings of executions.

use std::collections::BTreeSet;

use perdure_kernel::ExecutionKey;

use super::sample::{ALL, OTHER_SHARD, SHARD, acquire, commit, delete, key, key_of, put, run_id};
use crate::{SharedStore, shard::ExecutionPage};

/// 61 runs, some of one business id.
fn keys() -> Vec<ExecutionKey> {
    let more_runs = (100..120).map(|n| ExecutionKey { run_id: run_id(n).into(), ..key(5) });
    (0..41).map(key).chain(more_runs).collect()
}

async fn write(store: &SharedStore) -> i64 {
    let range_id = acquire(store).await;
    store.commit(commit(range_id, keys().iter().map(|key| put(key, None, 1)).collect())).await.unwrap();
    range_id
}

/// Whatever the size of the page, in the same order.
pub async fn pages_cover_every_run_once(store: SharedStore) {
    write(&store).await;
    let whole = store.list_executions(SHARD, None, ALL).await.unwrap();
    assert_eq!(whole.next, None);
    assert_eq!(whole.keys.iter().collect::<BTreeSet<_>>(), keys().iter().collect());
    assert_eq!(whole.keys.len(), keys().len());
    for limit in [1, 7, 60, 61] {
        let mut seen = Vec::new();
        let mut from = None;
        loop {
            let page = store.list_executions(SHARD, from.as_ref(), limit).await.unwrap();
            assert!(page.keys.len() <= limit);
            seen.extend(page.keys);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(seen, whole.keys, "pages of {limit}");
    }
}

/// The key itself is on the page; when it is gone the page starts at what follows.
pub async fn a_page_starts_at_its_key(store: SharedStore) {
    let range_id = write(&store).await;
    let whole = store.list_executions(SHARD, None, ALL).await.unwrap().keys;
    let page = store.list_executions(SHARD, Some(&whole[20]), 2).await.unwrap();
    assert_eq!((page.keys.as_slice(), page.next.as_ref()), (&whole[20..22], Some(&whole[22])));
    store.commit(commit(range_id, vec![delete(&whole[20])])).await.unwrap();
    let page = store.list_executions(SHARD, Some(&whole[20]), 2).await.unwrap();
    assert_eq!((page.keys.as_slice(), page.next.as_ref()), (&whole[21..23], Some(&whole[23])));
}

/// Nor do runs of one shard show in another.
pub async fn an_unknown_shard_lists_nothing(store: SharedStore) {
    write(&store).await;
    assert_eq!(store.list_executions(OTHER_SHARD, None, ALL).await, Ok(ExecutionPage::default()));
    assert_eq!(store.list_executions(OTHER_SHARD, Some(&key(1)), ALL).await, Ok(ExecutionPage::default()));
}

/// From the key that has nothing but the namespace, whatever other namespaces and archetypes there are.
pub async fn a_namespace_is_listed_from_its_empty_key(store: SharedStore) {
    let range_id = acquire(&store).await;
    let namespaces = ["a", "b", "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11", "b\0", "ba"];
    let ids = ["", "order", "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a12"];
    let mut keys = Vec::new();
    for namespace in namespaces {
        for archetype in [1, 2, 1000] {
            keys.extend(ids.map(|id| key_of(namespace, archetype, id, &run_id(7))));
        }
    }
    store.commit(commit(range_id, keys.iter().map(|key| put(key, None, 1)).collect())).await.unwrap();
    for namespace in namespaces {
        let from = key_of(namespace, 0, "", "");
        let listed = store.list_executions(SHARD, Some(&from), ALL).await.unwrap().keys;
        let is_of = |key: &&ExecutionKey| key.business.namespace_id.as_str() == namespace;
        let first: BTreeSet<_> = listed.iter().take_while(is_of).collect();
        assert_eq!(first, keys.iter().filter(is_of).collect(), "{namespace:?}");
    }
}
