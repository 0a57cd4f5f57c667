//! The pointer from a business id to its current run.

use super::sample::{SHARD, acquire, business, commit, delete, key, load, pointing, put, refused, run_id};
use crate::{SharedStore, StoreErrorKind};

async fn current(store: &SharedStore) -> Option<String> {
    store.current_run(SHARD, &business(1)).await.unwrap()
}

/// A run alone makes no pointer.
pub async fn an_absent_pointer_is_none(store: SharedStore) {
    assert_eq!(current(&store).await, None);
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await.unwrap();
    assert_eq!(current(&store).await, None);
}

/// Each step names what it expects; runs need not be UUIDs.
pub async fn the_pointer_is_set_moved_and_cleared(store: SharedStore) {
    let range_id = acquire(&store).await;
    let uuid = run_id(1);
    let steps = [
        (None, Some(uuid.as_str())),
        (Some(uuid.as_str()), Some("second run")),
        (Some("second run"), Some("second run")),
        (Some("second run"), None),
        (None, None),
        (None, Some("third run")),
    ];
    for (version, (expected, run)) in (1..).zip(steps) {
        let write = pointing(put(&key(1), (version > 1).then_some(version - 1), version), expected, run);
        store.commit(commit(range_id, vec![write])).await.unwrap();
        assert_eq!(current(&store).await.as_deref(), run, "step {version}");
    }
}

/// And leaves pointer and run as they were.
pub async fn a_wrong_expectation_conflicts(store: SharedStore) {
    let range_id = acquire(&store).await;
    let absent_expected = pointing(put(&key(1), None, 1), Some("somebody"), Some("else"));
    refused(store.commit(commit(range_id, vec![absent_expected])).await, StoreErrorKind::Conflict);
    assert_eq!(current(&store).await, None);

    store.commit(commit(range_id, vec![pointing(put(&key(1), None, 1), None, Some("first"))])).await.unwrap();
    for (expected, run) in [(None, Some("second")), (Some("other"), Some("second")), (None, None), (Some(""), None)] {
        let write = pointing(put(&key(1), Some(1), 2), expected, run);
        refused(store.commit(commit(range_id, vec![write])).await, StoreErrorKind::Conflict);
    }
    assert_eq!(current(&store).await.as_deref(), Some("first"));
    assert_eq!(load(&store, &key(1)).await.map(|run| run.version), Some(1));
}

/// A run that continues as new and the new run's own continuation may share a commit.
pub async fn moves_in_one_commit_take_effect_in_order(store: SharedStore) {
    let range_id = acquire(&store).await;
    let (a, b) = (key(1), perdure_kernel::ExecutionKey { run_id: "b".into(), ..key(1) });
    let chain = vec![pointing(put(&a, None, 1), None, Some("a")), pointing(put(&b, None, 1), Some("a"), Some("b"))];
    store.commit(commit(range_id, chain)).await.unwrap();
    assert_eq!(current(&store).await.as_deref(), Some("b"));

    // The second move expects what the first replaced.
    let broken =
        vec![pointing(put(&a, Some(1), 2), Some("b"), Some("c")), pointing(put(&b, Some(1), 2), Some("b"), Some("d"))];
    refused(store.commit(commit(range_id, broken)).await, StoreErrorKind::Conflict);
    assert_eq!(current(&store).await.as_deref(), Some("b"));
}

/// Deleting a run says nothing about the pointer; a pointer goes with its run only when asked to.
pub async fn the_pointer_outlives_its_run_until_it_is_cleared(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![pointing(put(&key(1), None, 1), None, Some("first"))])).await.unwrap();
    store.commit(commit(range_id, vec![delete(&key(1))])).await.unwrap();
    assert_eq!(current(&store).await.as_deref(), Some("first"));
    let wrong = pointing(delete(&key(1)), Some("second"), None);
    refused(store.commit(commit(range_id, vec![wrong])).await, StoreErrorKind::Conflict);
    store.commit(commit(range_id, vec![pointing(delete(&key(1)), Some("first"), None)])).await.unwrap();
    assert_eq!(current(&store).await, None);
}
