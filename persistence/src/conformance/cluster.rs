//! Cluster records, and the life of the store as a whole.

use bytes::Bytes;
use tokio::task::JoinSet;

use super::sample::{OWNER, SHARD, commit, key, namespace, put, queue, refused, task};
use crate::{SharedStore, StoreErrorKind};

/// From 1 upwards; names do not meet.
pub async fn a_record_is_versioned(store: SharedStore) {
    assert_eq!(store.cluster_record("shards").await, Ok(None));
    assert_eq!(store.put_cluster_record("shards", None, Bytes::from_static(b"one")).await, Ok(1));
    assert_eq!(store.put_cluster_record("shards", Some(1), Bytes::from_static(b"two")).await, Ok(2));
    assert_eq!(store.cluster_record("shards").await, Ok(Some((2, Bytes::from_static(b"two")))));
    assert_eq!(store.cluster_record("identity").await, Ok(None));
    assert_eq!(store.put_cluster_record("identity", None, Bytes::new()).await, Ok(1));
    assert_eq!(store.cluster_record("identity").await, Ok(Some((1, Bytes::new()))));
}

/// Otherwise it conflicts and stays as it is.
pub async fn a_record_needs_the_expected_version(store: SharedStore) {
    refused(store.put_cluster_record("shards", Some(1), Bytes::new()).await, StoreErrorKind::Conflict);
    assert_eq!(store.cluster_record("shards").await, Ok(None));
    store.put_cluster_record("shards", None, Bytes::from_static(b"one")).await.unwrap();
    for expected in [None, Some(0), Some(2)] {
        refused(store.put_cluster_record("shards", expected, Bytes::new()).await, StoreErrorKind::Conflict);
    }
    assert_eq!(store.cluster_record("shards").await, Ok(Some((1, Bytes::from_static(b"one")))));
}

/// Two nodes that start a new cluster agree on one identity.
pub async fn of_racing_record_writes_one_wins(store: SharedStore) {
    let mut tasks = JoinSet::new();
    for writer in 0..12 {
        let store = store.clone();
        tasks.spawn(async move {
            let record = Bytes::from(format!("writer {writer}"));
            store.put_cluster_record("identity", None, record.clone()).await.map(|_| record)
        });
    }
    let won: Vec<Bytes> = tasks.join_all().await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.cluster_record("identity").await, Ok(Some((1, won[0].clone()))));
}

/// Closing twice is no error; what was acknowledged stays acknowledged.
pub async fn a_closed_store_is_unavailable(store: SharedStore) {
    let range_id = store.acquire_shard(SHARD, OWNER).await.unwrap().range_id;
    store.close().await;
    store.close().await;
    let unavailable = StoreErrorKind::Unavailable;
    refused(store.acquire_shard(SHARD, OWNER).await, unavailable);
    refused(store.commit(commit(range_id, vec![put(&key(1), None, 1)])).await, unavailable);
    refused(store.load_execution(SHARD, &key(1)).await, unavailable);
    refused(store.append_tasks(&queue("orders", 1), 1, vec![task(1)]).await, unavailable);
    refused(store.list_queues(&namespace()).await, unavailable);
    refused(store.create_namespace(&namespace(), "orders", Bytes::new()).await, unavailable);
    refused(store.namespace_by_name("orders").await, unavailable);
    refused(store.put_cluster_record("shards", None, Bytes::new()).await, unavailable);
    refused(store.cluster_record("shards").await, unavailable);
}
