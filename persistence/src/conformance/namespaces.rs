//! Namespaces.

use bytes::Bytes;
use perdure_kernel::NamespaceId;

use super::sample::{namespace, refused};
use crate::{SharedStore, StoreErrorKind, namespace::NamespaceRow};

fn row(id: &NamespaceId, name: &str, version: i64, record: &'static str) -> NamespaceRow {
    NamespaceRow { id: id.clone(), name: name.to_owned(), version, record: Bytes::from_static(record.as_bytes()) }
}

async fn create(store: &SharedStore, id: &NamespaceId, name: &str) -> NamespaceRow {
    store.create_namespace(id, name, Bytes::from_static(b"settings")).await.unwrap()
}

/// Version 1, as created; what was never created is not found.
pub async fn a_namespace_is_found_by_id_and_name(store: SharedStore) {
    let id = namespace();
    assert_eq!(store.namespace_by_id(&id).await, Ok(None));
    assert_eq!(store.namespace_by_name("orders").await, Ok(None));
    let created = create(&store, &id, "orders").await;
    assert_eq!(created, row(&id, "orders", 1, "settings"));
    assert_eq!(store.namespace_by_id(&id).await, Ok(Some(created.clone())));
    assert_eq!(store.namespace_by_name("orders").await, Ok(Some(created)));
    assert_eq!(store.namespace_by_name("Orders").await, Ok(None));
}

/// Neither can be used twice, and the attempt changes nothing.
pub async fn ids_and_names_are_unique(store: SharedStore) {
    let (id, other) = (namespace(), NamespaceId::from("other"));
    let created = create(&store, &id, "orders").await;
    for (id, name) in [(&id, "fresh"), (&other, "orders"), (&id, "orders")] {
        let result = store.create_namespace(id, name, Bytes::from_static(b"new")).await;
        refused(result, StoreErrorKind::AlreadyExists);
    }
    assert_eq!(store.list_namespaces(None, 10).await, Ok(vec![created]));
}

/// Which grows by one.
pub async fn an_update_needs_the_stored_version(store: SharedStore) {
    let id = namespace();
    create(&store, &id, "orders").await;
    assert_eq!(store.update_namespace(row(&id, "orders", 1, "two")).await, Ok(2));
    for version in [1, 3] {
        refused(store.update_namespace(row(&id, "orders", version, "three")).await, StoreErrorKind::Conflict);
    }
    assert_eq!(store.namespace_by_name("orders").await, Ok(Some(row(&id, "orders", 2, "two"))));
    assert_eq!(store.update_namespace(row(&id, "orders", 2, "three")).await, Ok(3));
    assert_eq!(store.namespace_by_id(&id).await, Ok(Some(row(&id, "orders", 3, "three"))));
}

/// Another namespace may take it then.
pub async fn a_rename_frees_the_old_name(store: SharedStore) {
    let (id, other) = (namespace(), NamespaceId::from("other"));
    create(&store, &id, "orders").await;
    assert_eq!(store.update_namespace(row(&id, "archive", 1, "settings")).await, Ok(2));
    assert_eq!(store.namespace_by_name("orders").await, Ok(None));
    assert_eq!(store.namespace_by_name("archive").await.unwrap().map(|row| row.id), Some(id));
    create(&store, &other, "orders").await;
    assert_eq!(store.namespace_by_name("orders").await.unwrap().map(|row| row.id), Some(other));
}

/// `AlreadyExists` and `NotFound`.
pub async fn an_update_cannot_take_a_name_or_invent_an_id(store: SharedStore) {
    let (id, other) = (namespace(), NamespaceId::from("other"));
    create(&store, &id, "orders").await;
    create(&store, &other, "billing").await;
    refused(store.update_namespace(row(&id, "billing", 1, "x")).await, StoreErrorKind::AlreadyExists);
    refused(store.update_namespace(row(&"absent".into(), "fresh", 1, "x")).await, StoreErrorKind::NotFound);
    assert_eq!(store.namespace_by_id(&id).await, Ok(Some(row(&id, "orders", 1, "settings"))));
    assert_eq!(store.namespace_by_name("fresh").await, Ok(None));
}

/// In pages that start after an id.
pub async fn namespaces_are_listed_by_id_in_pages(store: SharedStore) {
    assert_eq!(store.list_namespaces(None, 10).await, Ok(Vec::new()));
    for id in ["c", "a", "e", "b", "d"] {
        create(&store, &id.into(), &format!("name {id}")).await;
    }
    let page = async |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(NamespaceId::from);
        let rows = store.list_namespaces(after.as_ref(), limit).await.unwrap();
        rows.into_iter().map(|row| row.id.to_string()).collect()
    };
    assert_eq!(page(None, 10).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(page(None, 2).await, ["a", "b"]);
    assert_eq!(page(Some("b"), 2).await, ["c", "d"]);
    assert_eq!(page(Some("bb"), 10).await, ["c", "d", "e"]);
    assert_eq!(page(Some("e"), 10).await, [""; 0]);
}

/// Removing twice is no error.
pub async fn deleting_frees_id_and_name(store: SharedStore) {
    let id = namespace();
    create(&store, &id, "orders").await;
    store.delete_namespace(&id).await.unwrap();
    store.delete_namespace(&id).await.unwrap();
    assert_eq!(store.namespace_by_id(&id).await, Ok(None));
    assert_eq!(store.namespace_by_name("orders").await, Ok(None));
    assert_eq!(create(&store, &id, "orders").await.version, 1);
}
