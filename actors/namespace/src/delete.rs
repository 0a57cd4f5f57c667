//! `DeleteNamespace`: the mark, and what is known of it afterwards.

use std::time::Duration;

use perdure_kernel::{ErrorKind, NamespaceId, ServiceError, ServiceResult, Timestamp, time::span};
use perdure_persistence::namespace::NamespaceRow;
use perdure_proto::{
    api::{enums::NamespaceState, operatorservice::DeleteNamespaceRequest},
    records,
};
use perdure_rpc::namespaces::Deletion;

use crate::{
    SYSTEM_NAMESPACE, fault,
    snapshots::Entry,
    write::{Edit, Wanted},
};

/// Letters of the id that a deleted namespace's name ends with, as long as that name is free.
const SUFFIX_MIN: usize = 5;

/// Checks a request and gives which namespace it is about.
pub(crate) fn wanted(request: &DeleteNamespaceRequest) -> ServiceResult<Wanted<'_>> {
    match (request.namespace.as_str(), request.namespace_id.as_str()) {
        ("", "") => Err(fault::not_set()),
        (name, "") => Ok(Wanted::Name(name)),
        ("", id) => Ok(Wanted::Id(id)),
        (_, _) => Err(ServiceError::invalid_argument("Only one of namespace name or Id should be set on request.")),
    }
}

/// How long the namespace itself is kept when everything in it is gone.
pub(crate) fn delay(request: &DeleteNamespaceRequest, default: Duration) -> Duration {
    match &request.namespace_delete_delay {
        Some(delay) => span(Some(delay)),
        None => default,
    }
}

/// Refuses to delete what must stay.
pub(crate) fn check(row: &NamespaceRow, protected: &[String]) -> ServiceResult<()> {
    let refused = |text: String| Err(ServiceError::new(ErrorKind::FailedPrecondition, text));
    if row.name == SYSTEM_NAMESPACE {
        return refused("unable to delete system namespace".to_owned());
    }
    if protected.contains(&row.name) {
        return refused(format!("namespace {} is protected from deletion", row.name));
    }
    Ok(())
}

/// Marks a namespace and gives the name that it has from now on: the old one with the first letters of the id.
/// A namespace that is marked already keeps its mark.
pub(crate) fn mark(
    row: &NamespaceRow,
    record: &mut records::Namespace,
    letters: usize,
    delay: Duration,
    now: Timestamp,
) -> (String, Edit) {
    if record.deletion.is_some() {
        return (row.name.clone(), Edit::Same);
    }
    record.state = NamespaceState::Deleted.into();
    record.deletion = Some(records::NamespaceDeletion {
        name: row.name.clone(),
        requested_at: now.as_nanos(),
        remove_at: (now + delay).as_nanos(),
    });
    let suffix: String = row.id.as_str().chars().take(letters).collect();
    (format!("{}-deleted-{suffix}", row.name), Edit::Changed)
}

/// Numbers of letters to try, until a name is free.
pub(crate) fn suffixes(id: &NamespaceId) -> impl Iterator<Item = usize> + use<> {
    SUFFIX_MIN..=id.as_str().chars().count().max(SUFFIX_MIN)
}

/// The deletion that a namespace is marked for.
pub(crate) fn of(entry: &Entry) -> Option<Deletion> {
    let deletion = entry.record.deletion.as_ref()?;
    Some(Deletion {
        id: entry.namespace.id.clone(),
        name: entry.namespace.name.clone(),
        former_name: deletion.name.clone(),
        requested_at: Timestamp::from_nanos(deletion.requested_at),
        remove_at: Timestamp::from_nanos(deletion.remove_at),
    })
}
