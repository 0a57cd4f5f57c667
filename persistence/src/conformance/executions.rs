//! Execution records and their items.

use bytes::Bytes;
use perdure_kernel::ExecutionKey;

use super::sample::{
    ALL, OTHER_SHARD, OWNER, SHARD, acquire, batch, commit, delete, history, item, key, key_of, load, pointing, put,
    put_history, put_items, record, refused, run_id, stored,
};
use crate::{
    SharedStore, StoreErrorKind,
    shard::{Direction, ExecutionOp, ExecutionWrite, HistoryBatch, ShardCommit, StoredExecution},
};

/// In a shard that exists and in one that does not.
pub async fn an_absent_run_loads_as_none(store: SharedStore) {
    assert_eq!(load(&store, &key(1)).await, None);
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(2), None, 1)])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, None);
}

/// With the version and record it was written with.
pub async fn a_new_run_is_stored(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(1), None, 7)])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(stored(7)));
}

/// Versions need not be consecutive.
pub async fn a_record_is_replaced(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await.unwrap();
    store.commit(commit(range_id, vec![put(&key(1), Some(1), 2)])).await.unwrap();
    store.commit(commit(range_id, vec![put(&key(1), Some(2), 9)])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(stored(9)));
}

/// Creating what is there, changing what is not, changing what moved on.
pub async fn a_wrong_version_conflicts(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(1), None, 3)])).await.unwrap();
    for (run, expected) in [(1, None), (1, Some(2)), (1, Some(4)), (2, Some(1))] {
        let write = put(&key(run), expected, 10);
        refused(store.commit(commit(range_id, vec![write])).await, StoreErrorKind::Conflict);
    }
    assert_eq!(load(&store, &key(1)).await, Some(stored(3)));
    assert_eq!(load(&store, &key(2)).await, None);
}

/// Items come back ordered by kind, then name.
pub async fn items_are_put_replaced_and_removed(store: SharedStore) {
    let range_id = acquire(&store).await;
    let put_first = vec![
        (item(2, "a"), Bytes::from_static(b"2a")),
        (item(1, "z"), Bytes::from_static(b"1z")),
        (item(1, "b"), Bytes::from_static(b"1b")),
        (item(1, ""), Bytes::from_static(b"1")),
    ];
    let absent = vec![item(9, "absent")];
    store.commit(commit(range_id, vec![put_items(&key(1), None, 1, put_first, absent)])).await.unwrap();
    let names = async |store: &SharedStore| -> Vec<(u16, String, Bytes)> {
        let items = load(store, &key(1)).await.unwrap().items;
        items.into_iter().map(|(key, value)| (key.kind, key.name, value)).collect()
    };
    let entry = |kind, name: &str, value: &'static [u8]| (kind, name.to_owned(), Bytes::from_static(value));
    let all = [entry(1, "", b"1"), entry(1, "b", b"1b"), entry(1, "z", b"1z"), entry(2, "a", b"2a")];
    assert_eq!(names(&store).await, all);

    // The same name under another kind is another item.
    let replace = vec![(item(1, "z"), Bytes::from_static(b"new"))];
    let remove = vec![item(1, ""), item(2, "b"), item(2, "a")];
    store.commit(commit(range_id, vec![put_items(&key(1), Some(1), 2, replace, remove)])).await.unwrap();
    assert_eq!(names(&store).await, [entry(1, "b", b"1b"), entry(1, "z", b"new")]);

    // A put that names no items leaves them.
    store.commit(commit(range_id, vec![put(&key(1), Some(2), 3)])).await.unwrap();
    assert_eq!(names(&store).await.len(), 2);

    let rest = vec![item(1, "b"), item(1, "z")];
    store.commit(commit(range_id, vec![put_items(&key(1), Some(3), 4, Vec::new(), rest)])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(stored(4)));
}

/// Runs of one business id and of others have items of their own.
pub async fn items_belong_to_one_run(store: SharedStore) {
    let range_id = acquire(&store).await;
    let first = key(1);
    let second = ExecutionKey { run_id: run_id(99).into(), ..first.clone() };
    for (run, value) in [(&first, "first"), (&second, "second")] {
        let items = vec![(item(1, "same"), Bytes::from(value))];
        store.commit(commit(range_id, vec![put_items(run, None, 1, items, Vec::new())])).await.unwrap();
    }
    let removed = vec![item(1, "same")];
    store.commit(commit(range_id, vec![put_items(&second, Some(1), 2, Vec::new(), removed)])).await.unwrap();
    let held = load(&store, &first).await.unwrap().items;
    assert_eq!(held, [(item(1, "same"), Bytes::from_static(b"first"))]);
}

/// A run made again under the same key starts with nothing of the old one.
pub async fn deleting_removes_record_items_and_history(store: SharedStore) {
    let range_id = acquire(&store).await;
    let full = |run| ExecutionWrite {
        op: ExecutionOp::Put {
            expected_version: None,
            version: 1,
            record: record(1),
            items_put: vec![(item(1, "a"), record(0))],
            items_deleted: Vec::new(),
            history: vec![batch(1, 3), batch(4, 4)],
            visibility: None,
        },
        ..put(&key(run), None, 1)
    };
    store.commit(commit(range_id, vec![full(1), full(2)])).await.unwrap();
    store.commit(commit(range_id, vec![delete(&key(1))])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, None);
    assert_eq!(history(&store, &key(1)).await, []);
    assert_eq!(load(&store, &key(2)).await.unwrap().items.len(), 1);
    assert_eq!(history(&store, &key(2)).await, [(1, 3), (4, 4)]);

    store.commit(commit(range_id, vec![put_history(&key(1), None, 1, vec![batch(1, 2)])])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(stored(1)));
    assert_eq!(history(&store, &key(1)).await, [(1, 2)]);
}

/// Deletion may be repeated after an unknown outcome.
pub async fn deleting_an_absent_run_is_no_error(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await.unwrap();
    store.commit(commit(range_id, vec![delete(&key(1)), delete(&key(2))])).await.unwrap();
    store.commit(commit(range_id, vec![delete(&key(1)), delete(&key(2))])).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, None);
}

/// Ids are any text: not all are UUIDs, some hold zero bytes, some are prefixes of others.
pub async fn keys_of_any_form_stay_apart(store: SharedStore) {
    let range_id = acquire(&store).await;
    let uuid = run_id(1);
    let keys = [
        key_of(&uuid, 1, "id", &uuid),
        key_of(&uuid, 2, "id", &uuid),
        key_of(&uuid.to_uppercase(), 1, "id", &uuid),
        key_of(&uuid, 1, "id", &uuid.to_uppercase()),
        key_of(&uuid, 1, "id", &uuid.replace('-', "")),
        key_of("namespace", 1, "id", "run"),
        key_of("namespace", 1, "", "idrun"),
        key_of("namespace", 1, "i", "drun"),
        key_of("", 1, "id", "run"),
        key_of("namespace", 1, "id\0", "run"),
        key_of("namespace", 1, "id", "\0run"),
        key_of("namespace", 1, "id\0\0", "run"),
        key_of("namespace\0", 1, "id", "run"),
        key_of("namespace", 1, "\u{1}id", "run"),
        key_of("namespace", 1, "日本語 'quoted' \"\u{10ffff}", "run"),
        key_of("namespace", u16::MAX, "id", "run"),
    ];
    for (version, key) in (1..).zip(&keys) {
        store.commit(commit(range_id, vec![put(key, None, version)])).await.unwrap();
    }
    for (version, key) in (1..).zip(&keys) {
        assert_eq!(load(&store, key).await, Some(stored(version)), "{key:?}");
    }
    let listed = store.list_executions(SHARD, None, ALL).await.unwrap().keys;
    assert_eq!(listed.len(), keys.len());
    assert!(keys.iter().all(|key| listed.contains(key)));
}

/// The same key in two shards names two runs.
pub async fn shards_stay_apart(store: SharedStore) {
    let range_id = acquire(&store).await;
    let other_range = store.acquire_shard(OTHER_SHARD, OWNER).await.unwrap().range_id;
    store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await.unwrap();
    assert_eq!(store.load_execution(OTHER_SHARD, &key(1)).await, Ok(None));
    let same_key =
        ShardCommit { executions: vec![put(&key(1), None, 5)], ..ShardCommit::new(OTHER_SHARD, other_range) };
    store.commit(same_key).await.unwrap();
    let removal = ShardCommit { executions: vec![delete(&key(1))], ..ShardCommit::new(OTHER_SHARD, other_range) };
    store.commit(removal).await.unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(stored(1)));
}

/// Hundreds of executions with hundreds of items, in one commit; then all of them deleted in one.
pub async fn a_large_batch_is_stored_whole(store: SharedStore) {
    const RUNS: u64 = 333;
    let range_id = acquire(&store).await;
    let items = |run: u64| -> Vec<_> { (0..run % 5).map(|n| (item(3, &format!("{n}")), record(1))).collect() };
    let writes = (0..RUNS)
        .map(|run| {
            let op = ExecutionOp::Put {
                expected_version: None,
                version: 1,
                record: record(1),
                items_put: items(run),
                items_deleted: Vec::new(),
                history: vec![batch(1, 2), batch(3, 3)],
                visibility: None,
            };
            pointing(ExecutionWrite { key: key(run), op, current: None }, None, Some(&run_id(run)))
        })
        .collect();
    store.commit(commit(range_id, writes)).await.unwrap();
    for run in 0..RUNS {
        assert_eq!(load(&store, &key(run)).await, Some(StoredExecution { items: items(run), ..stored(1) }));
        assert_eq!(history(&store, &key(run)).await, [(1, 2), (3, 3)]);
        assert_eq!(store.current_run(SHARD, &key(run).business).await, Ok(Some(run_id(run))));
    }
    let deletes = (0..RUNS).map(|run| pointing(delete(&key(run)), Some(&run_id(run)), None)).collect();
    store.commit(commit(range_id, deletes)).await.unwrap();
    assert_eq!(store.list_executions(SHARD, None, ALL).await.unwrap().keys, []);
    assert_eq!(store.current_run(SHARD, &key(7).business).await, Ok(None));
}

/// A megabyte and nothing at all are both values.
pub async fn large_and_empty_values_are_kept(store: SharedStore) {
    let range_id = acquire(&store).await;
    for (run, value) in [(1, Bytes::from(vec![0xa5; 1 << 20])), (2, Bytes::new())] {
        let op = ExecutionOp::Put {
            expected_version: None,
            version: 1,
            record: value.clone(),
            items_put: vec![(item(1, "value"), value.clone())],
            items_deleted: Vec::new(),
            history: vec![HistoryBatch { events: value.clone(), ..batch(1, 1) }],
            visibility: None,
        };
        let write = ExecutionWrite { key: key(run), op, current: None };
        store.commit(commit(range_id, vec![write])).await.unwrap();
        let held = load(&store, &key(run)).await.unwrap();
        assert!(held.record == value && held.items[0].1 == value, "run {run}");
        let batches = store.read_history(SHARD, &key(run), 1, 1, Direction::Forward, ALL).await.unwrap();
        assert!(batches[0].events == value, "run {run}");
    }
}
