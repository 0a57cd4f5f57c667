//! What this node knows of every namespace.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use perdure_kernel::{Limits, Namespace, NamespaceId, ServiceResult};
use perdure_persistence::namespace::NamespaceRow;
use perdure_proto::{
    api::enums::{IndexedValueType, NamespaceState},
    records,
};
use perdure_runtime::lock;
use prost::Message;

use crate::fault;

/// The limits in force for a namespace, by its name.
pub type LimitsSource = Arc<dyn Fn(&str) -> Limits + Send + Sync>;

/// A namespace as it was last read or written here.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) version: i64,
    pub(crate) record: Arc<records::Namespace>,
    pub(crate) namespace: Arc<Namespace>,
}

#[derive(Clone, Default)]
struct Maps {
    by_name: HashMap<String, Arc<Entry>>,
    by_id: HashMap<NamespaceId, Arc<Entry>>,
}

impl Maps {
    fn put(&mut self, entry: &Arc<Entry>) {
        let namespace = &entry.namespace;
        if let Some(old) = self.by_id.insert(namespace.id.clone(), Arc::clone(entry))
            && old.namespace.name != namespace.name
        {
            self.remove_name(&old);
        }
        self.by_name.insert(namespace.name.clone(), Arc::clone(entry));
    }

    fn remove(&mut self, id: &NamespaceId) {
        if let Some(old) = self.by_id.remove(id) {
            self.remove_name(&old);
        }
    }

    /// Removes the entry's name, unless another namespace has taken it since.
    fn remove_name(&mut self, entry: &Entry) {
        let Namespace { id, name, .. } = &*entry.namespace;
        if self.by_name.get(name).is_some_and(|holder| holder.namespace.id == *id) {
            self.by_name.remove(name);
        }
    }
}

/// Snapshots by name and by id. Readers take no lock; a change copies the maps, so it costs as much as
/// there are namespaces: few, and changed by people.
pub(crate) struct Snapshots {
    maps: ArcSwap<Maps>,
    limits: LimitsSource,
    /// Told when a namespace is marked for deletion.
    on_deletion: Mutex<Vec<Listener>>,
}

type Listener = Box<dyn Fn() + Send + Sync>;

impl Snapshots {
    pub(crate) fn new(limits: LimitsSource) -> Self {
        Self { maps: ArcSwap::default(), limits, on_deletion: Mutex::default() }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Namespace>> {
        self.maps.load().by_name.get(name).map(|entry| Arc::clone(&entry.namespace))
    }

    pub(crate) fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        self.maps.load().by_id.get(id).map(|entry| Arc::clone(&entry.namespace))
    }

    pub(crate) fn entry_by_name(&self, name: &str) -> Option<Arc<Entry>> {
        self.maps.load().by_name.get(name).cloned()
    }

    pub(crate) fn entry_by_id(&self, id: &NamespaceId) -> Option<Arc<Entry>> {
        self.maps.load().by_id.get(id).cloned()
    }

    pub(crate) fn ids(&self) -> Vec<NamespaceId> {
        self.maps.load().by_id.keys().cloned().collect()
    }

    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.maps.load().by_id.values().cloned().collect()
    }

    /// Has `tell` called whenever a namespace that is marked for deletion is taken in.
    pub(crate) fn on_deletion(&self, tell: Listener) {
        lock(&self.on_deletion).push(tell);
    }

    /// Takes in a row, unless a later version of it is known, and gives what is known then. A row whose
    /// record cannot be decoded is `DATA_LOSS`.
    pub(crate) fn publish(&self, row: &NamespaceRow) -> ServiceResult<Arc<Entry>> {
        Ok(self.publish_record(row, decode(row)?))
    }

    /// As [`Self::publish`], for a row whose record is at hand.
    pub(crate) fn publish_record(&self, row: &NamespaceRow, record: records::Namespace) -> Arc<Entry> {
        let fresh = Arc::new(self.entry(row, record));
        let id = &row.id;
        let replaced = self.maps.rcu(|maps| match maps.by_id.get(id) {
            Some(known) if known.version >= fresh.version => Arc::clone(maps),
            Some(_) | None => {
                let mut maps = Maps::clone(maps);
                maps.put(&fresh);
                Arc::new(maps)
            }
        });
        // What stood there before is handed back.
        let is_news = replaced.by_id.get(id).is_none_or(|known| known.version < fresh.version);
        if is_news && fresh.record.deletion.is_some() {
            lock(&self.on_deletion).iter().for_each(|tell| tell());
        }
        replaced.by_id.get(id).filter(|known| known.version >= fresh.version).cloned().unwrap_or(fresh)
    }

    /// Forgets namespaces that the store no longer has.
    pub(crate) fn forget(&self, ids: &[NamespaceId]) {
        if ids.is_empty() {
            return;
        }
        self.maps.rcu(|maps| {
            let mut maps = Maps::clone(maps);
            ids.iter().for_each(|id| maps.remove(id));
            maps
        });
    }

    /// Asks for every namespace's limits again.
    pub(crate) fn refresh_limits(&self) {
        self.maps.rcu(|maps| {
            let mut maps = Maps::clone(maps);
            let known: Vec<Arc<Entry>> = maps.by_id.values().cloned().collect();
            for entry in known {
                let limits = (self.limits)(&entry.namespace.name);
                if limits != entry.namespace.limits {
                    let namespace = Arc::new(Namespace { limits, ..Namespace::clone(&entry.namespace) });
                    maps.put(&Arc::new(Entry { namespace, ..Entry::clone(&entry) }));
                }
            }
            maps
        });
    }

    /// The limits in force for a name, whether or not it is taken.
    pub(crate) fn limits(&self, name: &str) -> Limits {
        (self.limits)(name)
    }

    /// An entry that is not kept: how a row looks now.
    pub(crate) fn entry(&self, row: &NamespaceRow, record: records::Namespace) -> Entry {
        let namespace = Arc::new(snapshot(row, &record, (self.limits)(&row.name)));
        Entry { version: row.version, record: Arc::new(record), namespace }
    }
}

/// The record of a row.
pub(crate) fn decode(row: &NamespaceRow) -> ServiceResult<records::Namespace> {
    records::Namespace::decode(row.record.clone()).map_err(|error| {
        tracing::error!(namespace = row.name, id = %row.id, %error, "stored namespace cannot be decoded");
        fault::corrupt(format!("the stored settings of namespace {} cannot be read", row.name))
    })
}

fn snapshot(row: &NamespaceRow, record: &records::Namespace, limits: Limits) -> Namespace {
    let bad_binaries = record.bad_binaries.iter().flat_map(|bad| &bad.binaries);
    Namespace {
        id: row.id.clone(),
        name: row.name.clone(),
        state: NamespaceState::try_from(record.state).unwrap_or(NamespaceState::Unspecified),
        retention: Duration::from_nanos(u64::try_from(record.retention).unwrap_or(0)),
        bad_binaries: bad_binaries.map(|(checksum, info)| (checksum.clone(), info.reason.clone())).collect(),
        search_attributes: record
            .search_attributes
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), IndexedValueType::try_from(*value).ok()?)))
            .collect(),
        workflow_rules: record.workflow_rules.clone(),
        limits,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn row(name: &str, version: i64) -> NamespaceRow {
        let record = records::Namespace { retention: version, ..records::Namespace::default() };
        NamespaceRow { id: "id".into(), name: name.into(), version, record: record.encode_to_vec().into() }
    }

    fn snapshots() -> Snapshots {
        Snapshots::new(Arc::new(|_| Limits::default()))
    }

    #[test]
    fn later_versions_win_in_any_order() {
        let snapshots = snapshots();
        assert_eq!(snapshots.publish(&row("a", 2)).unwrap().version, 2);
        assert_eq!(snapshots.publish(&row("a", 1)).unwrap().version, 2);
        assert_eq!(snapshots.by_id(&"id".into()).unwrap().retention, Duration::from_nanos(2));
    }

    #[test]
    fn a_new_name_replaces_the_old_one() {
        let snapshots = snapshots();
        snapshots.publish(&row("a", 1)).unwrap();
        snapshots.publish(&row("b", 2)).unwrap();
        assert!(snapshots.by_name("a").is_none());
        assert_eq!(snapshots.by_name("b").unwrap().id, "id".into());
        snapshots.forget(&["id".into()]);
        assert!(snapshots.by_name("b").is_none() && snapshots.by_id(&"id".into()).is_none());
    }

    #[test]
    fn damaged_records_are_refused() {
        let damaged = NamespaceRow { record: bytes::Bytes::from_static(b"\xff"), ..row("a", 1) };
        assert_eq!(snapshots().publish(&damaged).unwrap_err().kind, perdure_kernel::ErrorKind::DataLoss);
    }
}
