//! Writes that hold under concurrent writers and unknown outcomes.

use std::sync::Arc;

use bytes::Bytes;
use perdure_kernel::{NamespaceId, ServiceError, ServiceResult};
use perdure_persistence::{SharedStore, StoreErrorKind, namespace::NamespaceRow};
use perdure_proto::records;
use prost::Message;

use crate::{
    fault,
    snapshots::{Entry, Snapshots, decode},
};

/// How often a change is tried on top of others' changes before the caller is told to try again.
const ATTEMPTS_MAX: usize = 10;

/// Whether an edit changed the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing to write.
    Same,
    /// The record is to be written.
    Changed,
}

/// Stores a new namespace. `NAMESPACE_ALREADY_EXISTS` when its name is taken.
pub(crate) async fn create(
    store: &SharedStore,
    snapshots: &Snapshots,
    id: NamespaceId,
    name: &str,
    record: records::Namespace,
) -> ServiceResult<Arc<Entry>> {
    let error = match store.create_namespace(&id, name, Bytes::from(record.encode_to_vec())).await {
        Ok(row) => return Ok(snapshots.publish_record(&row, record)),
        Err(error) => error,
    };
    match error.kind {
        StoreErrorKind::AlreadyExists => Err(fault::already_exists(name)),
        // The id is ours alone: if it is there, the write was applied.
        StoreErrorKind::OutcomeUnknown => match read_id(store, &id).await? {
            Some(row) => snapshots.publish(&row),
            None => Err(fault::store(&error)),
        },
        StoreErrorKind::LeaseLost
        | StoreErrorKind::Conflict
        | StoreErrorKind::NotFound
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Corrupt => Err(fault::store(&error)),
    }
}

/// How a caller names a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// By its name.
    Name(&'a str),
    /// By its id.
    Id(&'a str),
}

impl Wanted<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Id(id) => id,
        }
    }

    /// The row, or that there is none.
    pub(crate) async fn read(&self, store: &SharedStore) -> ServiceResult<NamespaceRow> {
        let row = match self {
            Self::Name(name) => read_name(store, name).await?,
            Self::Id(id) => read_id(store, &NamespaceId::from(*id)).await?,
        };
        row.ok_or_else(|| fault::not_found(self.text()))
    }
}

/// Edits the record of a name: see [`rewrite`].
pub(crate) async fn change(
    store: &SharedStore,
    snapshots: &Snapshots,
    name: &str,
    mut edit: impl FnMut(&mut records::Namespace) -> ServiceResult<Edit> + Send,
) -> ServiceResult<Arc<Entry>> {
    rewrite(store, snapshots, Wanted::Name(name), |row, record| edit(record).map(|edit| (row.name.clone(), edit))).await
}

/// Edits name and record of a namespace and writes them under the version that was read. An edit that meets
/// another writer is made again on what that one left. `NAMESPACE_ALREADY_EXISTS` when its new name is taken.
pub(crate) async fn rewrite(
    store: &SharedStore,
    snapshots: &Snapshots,
    wanted: Wanted<'_>,
    mut edit: impl FnMut(&NamespaceRow, &mut records::Namespace) -> ServiceResult<(String, Edit)> + Send,
) -> ServiceResult<Arc<Entry>> {
    for _ in 0..ATTEMPTS_MAX {
        let row = wanted.read(store).await?;
        let mut record = decode(&row)?;
        let name = match edit(&row, &mut record)? {
            (_, Edit::Same) => return Ok(snapshots.publish_record(&row, record)),
            (name, Edit::Changed) => name,
        };
        let edited = NamespaceRow { name, record: Bytes::from(record.encode_to_vec()), ..row };
        let error = match store.update_namespace(edited.clone()).await {
            Ok(version) => return Ok(snapshots.publish_record(&NamespaceRow { version, ..edited }, record)),
            Err(error) => error,
        };
        match error.kind {
            StoreErrorKind::Conflict | StoreErrorKind::NotFound => {}
            StoreErrorKind::OutcomeUnknown => {
                // Either it was applied, or the version that it named still fences it against the next try.
                if let Some(found) = read_id(store, &edited.id).await?
                    && found.version == edited.version + 1
                    && found.record == edited.record
                    && found.name == edited.name
                {
                    return Ok(snapshots.publish_record(&found, record));
                }
            }
            StoreErrorKind::AlreadyExists => return Err(fault::already_exists(&edited.name)),
            StoreErrorKind::LeaseLost | StoreErrorKind::Unavailable | StoreErrorKind::Corrupt => {
                return Err(fault::store(&error));
            }
        }
    }
    let text = format!("namespace {} is being changed by others; try again", wanted.text());
    Err(ServiceError::unavailable(text))
}

pub(crate) async fn read_name(store: &SharedStore, name: &str) -> ServiceResult<Option<NamespaceRow>> {
    store.namespace_by_name(name).await.map_err(|error| fault::store(&error))
}

pub(crate) async fn read_id(store: &SharedStore, id: &NamespaceId) -> ServiceResult<Option<NamespaceRow>> {
    store.namespace_by_id(id).await.map_err(|error| fault::store(&error))
}
