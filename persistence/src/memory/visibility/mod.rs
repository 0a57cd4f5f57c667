//! Visibility in memory: the records of each namespace and division, sorted as lists are, and the
//! evaluator for filters.

mod list;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use perdure_kernel::{ExecutionKey, NamespaceId, Timestamp, VisibilityRecord, visibility::NAMESPACE_DIVISION};
use perdure_visibility::{
    Query, SortKey,
    attributes::{self, Value},
    evaluate,
};

use super::{MemoryStore, lock};
use crate::shard::{ExecutionOp, ShardCommit};

/// Records looked at under one hold of the lock: writers wait no longer than that takes.
const RECORDS_AT_ONCE: usize = 1024;

/// A record's place: division, then as lists are sorted. The namespace is told apart one level up.
type Place = (Option<String>, SortKey, Arc<str>);

#[derive(Debug, Default)]
pub(super) struct Visibility {
    namespaces: BTreeMap<NamespaceId, Records>,
    /// Closes so far, of all namespaces: each has a number.
    closes: u64,
}

#[derive(Debug, Default)]
struct Records {
    sorted: BTreeMap<Place, Shown>,
    places: BTreeMap<ExecutionKey, Place>,
    /// Closed runs by the number of their close.
    closes: BTreeMap<u64, ExecutionKey>,
}

/// A record and, once it is closed, the number of its close.
#[derive(Clone, Debug)]
struct Shown {
    record: Arc<VisibilityRecord>,
    close: Option<u64>,
}

impl Records {
    fn get(&self, key: &ExecutionKey) -> Option<&Shown> {
        self.sorted.get(self.places.get(key)?)
    }
}

fn place(record: &VisibilityRecord) -> Place {
    let division = record.search_attributes.indexed_fields.get(NAMESPACE_DIVISION).and_then(attributes::decode);
    let division = match division {
        Some((_, Value::Keyword(division))) => Some(division),
        Some(_) | None => None,
    };
    (division, SortKey::of(record), Arc::clone(&record.key.business.business_id))
}

impl Visibility {
    pub(super) fn put(&mut self, record: Arc<VisibilityRecord>) {
        let records = self.namespaces.entry(record.key.business.namespace_id.clone()).or_default();
        let (key, place) = (record.key.clone(), place(&record));
        let old = records.places.remove(&key).and_then(|old| records.sorted.remove(&old));
        let mut close = old.and_then(|old| old.close);
        if close.is_none() && record.closed.is_some() {
            self.closes += 1;
            close = Some(self.closes);
            records.closes.insert(self.closes, key.clone());
        }
        records.places.insert(key, place.clone());
        records.sorted.insert(place, Shown { record, close });
    }

    pub(super) fn remove(&mut self, key: &ExecutionKey) {
        let Some(records) = self.namespaces.get_mut(&key.business.namespace_id) else { return };
        let old = records.places.remove(key).and_then(|place| records.sorted.remove(&place));
        if let Some(close) = old.and_then(|old| old.close) {
            records.closes.remove(&close);
        }
        if records.places.is_empty() {
            self.namespaces.remove(&key.business.namespace_id);
        }
    }
}

/// Records as they are, whatever they say.
impl Visibility {
    /// Those behind `after`, in the order of their keys.
    pub(super) fn scan(&self, after: Option<&ExecutionKey>, limit: usize) -> Vec<VisibilityRecord> {
        let first = after.map(|after| &after.business.namespace_id);
        let namespaces = self.namespaces.range::<NamespaceId, _>((first.map_or(Unbounded, Included), Unbounded));
        let keys = namespaces.flat_map(|(_, records)| {
            records.places.range::<ExecutionKey, _>((after.map_or(Unbounded, Excluded), Unbounded)).map(|(key, _)| key)
        });
        keys.take(limit).filter_map(|key| self.get(key)).collect()
    }

    pub(super) fn get(&self, key: &ExecutionKey) -> Option<VisibilityRecord> {
        let shown = self.namespaces.get(&key.business.namespace_id)?.get(key)?;
        Some((*shown.record).clone())
    }
}

/// The end of a division: no record comes later.
fn last_of(division: Option<String>) -> Place {
    let end = Reverse(Timestamp::from_nanos(i64::MIN));
    (division, SortKey { close_time: end, start_time: end, run_id: "\u{10ffff}".repeat(64) }, Arc::from("\u{10ffff}"))
}

/// A place that only other divisions' records come before.
fn before(division: Option<String>) -> Option<Place> {
    let start = Reverse(Timestamp::MAX);
    division.as_ref()?;
    Some((division, SortKey { close_time: start, start_time: start, run_id: String::new() }, Arc::from("")))
}

/// What part of the records is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    /// What is open.
    Open,
    /// What had closed by this close.
    ClosedUpTo(u64),
}

#[derive(PartialEq)]
enum Enough {
    Yes,
    No,
}

impl Part {
    /// Whether a record is of this part; `None` where none that come later in the division are.
    fn has(self, shown: &Shown) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Open => shown.record.closed.is_none().then_some(true),
            Self::ClosedUpTo(last) => Some(shown.close.is_some_and(|close| close <= last)),
        }
    }
}

impl MemoryStore {
    /// Takes over the rows that a commit writes and removes. The caller holds the shard's lock.
    pub(super) fn show(&self, commit: &mut ShardCommit) {
        let mut visibility = None;
        for write in &mut commit.executions {
            match &mut write.op {
                ExecutionOp::Put { visibility: row, .. } => {
                    if let Some(row) = row.take() {
                        visibility.get_or_insert_with(|| lock(&self.visibility)).put(Arc::from(row.record));
                    }
                }
                ExecutionOp::Delete => visibility.get_or_insert_with(|| lock(&self.visibility)).remove(&write.key),
            }
        }
    }

    /// Up to [`RECORDS_AT_ONCE`] records of a namespace after a place.
    fn some_records(&self, namespace: &NamespaceId, after: Option<&Place>) -> Vec<(Place, Shown)> {
        let visibility = lock(&self.visibility);
        let Some(records) = visibility.namespaces.get(namespace) else { return Vec::new() };
        let start = after.map_or(Unbounded, Excluded);
        let found = records.sorted.range::<Place, _>((start, Unbounded)).take(RECORDS_AT_ONCE);
        found.map(|(place, shown)| (place.clone(), shown.clone())).collect()
    }

    /// Calls `with` for the records of a part that pass, sorted within each division, until it says "enough" for
    /// the division.
    fn each_record(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        part: Part,
        after: Option<&SortKey>,
        mut with: impl FnMut(Place, Arc<VisibilityRecord>) -> Enough,
    ) {
        let only = query.division().map(|division| division.map(str::to_owned));
        let start = |division: Option<String>| after.map(|after| (division, after.clone(), Arc::from("\u{10ffff}")));
        let mut from = match &only {
            // Nothing sorts before the place without anything but a division.
            Some(division) => start(division.clone()).or_else(|| before(division.clone())),
            None => start(None),
        };
        loop {
            let records = self.some_records(namespace, from.as_ref());
            let Some((last, _)) = records.last() else { return };
            let mut next = Some(last.clone());
            for (place, shown) in records {
                if only.as_ref().is_some_and(|only| *only != place.0) {
                    return;
                }
                let is_behind = after.is_none_or(|after| place.1 > *after);
                let has = if is_behind { part.has(&shown) } else { Some(false) };
                let passes = || query.filter.as_ref().is_none_or(|filter| evaluate::matches(filter, &shown.record));
                let division = place.0.clone();
                if has.is_none() || (has == Some(true) && passes() && with(place, shown.record) == Enough::Yes) {
                    // What follows in this division comes later still.
                    next = Some(last_of(division));
                    break;
                }
            }
            from = next;
        }
    }
}
