//! Visibility in memory: the records of each namespace and division, sorted as lists are, and the
//! evaluator for filters.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use async_trait::async_trait;
use perdure_kernel::{ExecutionKey, NamespaceId, Timestamp, VisibilityRecord, visibility::NAMESPACE_DIVISION};
use perdure_visibility::{
    GroupBy, Query, SortKey,
    attributes::{self, Value},
    evaluate,
};

use super::{MemoryStore, lock};
use crate::{
    Operation, StoreResult,
    shard::{ExecutionOp, ShardCommit},
    visibility::{Page, Position, VisibilityStore},
};

/// How often a first page is read anew because something closed meanwhile.
const FIRST_PAGE_TRIES: usize = 8;

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
    sorted: BTreeMap<Place, Arc<VisibilityRecord>>,
    places: BTreeMap<ExecutionKey, (Place, Option<u64>)>,
    /// Closed runs by the number of their close.
    closes: BTreeMap<u64, ExecutionKey>,
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
        let old = records.places.remove(&key);
        let mut close = old.as_ref().and_then(|(_, close)| *close);
        if let Some((old, _)) = old {
            records.sorted.remove(&old);
        }
        if close.is_none() && record.closed.is_some() {
            self.closes += 1;
            close = Some(self.closes);
            records.closes.insert(self.closes, key.clone());
        }
        records.places.insert(key, (place.clone(), close));
        records.sorted.insert(place, record);
    }

    pub(super) fn remove(&mut self, key: &ExecutionKey) {
        let Some(records) = self.namespaces.get_mut(&key.business.namespace_id) else { return };
        if let Some((place, close)) = records.places.remove(key) {
            records.sorted.remove(&place);
            close.map(|close| records.closes.remove(&close));
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
        let records = self.namespaces.get(&key.business.namespace_id)?;
        Some((**records.sorted.get(&records.places.get(key)?.0)?).clone())
    }
}

/// The end of a division: no record comes later.
fn last_of(division: Option<String>) -> Place {
    let end = Reverse(Timestamp::from_nanos(i64::MIN));
    (division, SortKey { close_time: end, start_time: end, run_id: "\u{10ffff}".repeat(64) }, Arc::from("\u{10ffff}"))
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
    fn some_records(&self, namespace: &NamespaceId, after: Option<&Place>) -> Vec<(Place, Arc<VisibilityRecord>)> {
        let visibility = lock(&self.visibility);
        let Some(records) = visibility.namespaces.get(namespace) else { return Vec::new() };
        let start = after.map_or(Unbounded, Excluded);
        let found = records.sorted.range::<Place, _>((start, Unbounded)).take(RECORDS_AT_ONCE);
        found.map(|(place, record)| (place.clone(), Arc::clone(record))).collect()
    }

    /// Calls `with` for the records that pass, sorted within each division, until it says "enough" for the
    /// division.
    fn each_record(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&SortKey>,
        mut with: impl FnMut(Arc<VisibilityRecord>) -> Enough,
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
            for (place, record) in records {
                if only.as_ref().is_some_and(|only| *only != place.0) {
                    return;
                }
                let passed = after.is_none_or(|after| place.1 > *after)
                    && query.filter.as_ref().is_none_or(|filter| evaluate::matches(filter, &record));
                if passed && with(record) == Enough::Yes {
                    // What follows in this division comes later still.
                    next = Some(last_of(place.0));
                    break;
                }
            }
            from = next;
        }
    }
}

/// Parts of listings.
impl MemoryStore {
    /// The first page, and how many closes there were when it was begun. A close that comes while it is read moves a
    /// run from where it is read to where it was read: the page is read again.
    fn first_page(&self, namespace: &NamespaceId, query: &Query, limit: usize) -> (u64, Vec<VisibilityRecord>) {
        let closes = || lock(&self.visibility).closes;
        let mut before = closes();
        for _ in 0..FIRST_PAGE_TRIES {
            let records = self.sorted(namespace, query, None, limit, |_| true);
            let after = closes();
            if before == after {
                return (before, records);
            }
            before = after;
        }
        (before, self.sorted(namespace, query, None, limit, |_| true))
    }

    /// Records that pass and that are `wanted`, in the order of lists.
    fn sorted(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&SortKey>,
        limit: usize,
        wanted: impl Fn(&VisibilityRecord) -> bool,
    ) -> Vec<VisibilityRecord> {
        let mut found: Vec<(SortKey, Arc<VisibilityRecord>)> = Vec::new();
        let mut of_division: (Option<Option<String>>, usize) = (None, 0);
        self.each_record(namespace, query, after, |record| {
            if !wanted(&record) {
                return Enough::No;
            }
            let (division, key, _) = place(&record);
            if of_division.0.as_ref() != Some(&division) {
                of_division = (Some(division), 0);
            }
            of_division.1 += 1;
            found.push((key, record));
            if of_division.1 == limit { Enough::Yes } else { Enough::No }
        });
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.truncate(limit);
        found.into_iter().map(|(_, record)| (*record).clone()).collect()
    }

    /// Runs that have closed since a listing began and stand behind `key` among those that were open.
    fn closed_since(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        snapshot: u64,
        key: &SortKey,
    ) -> Vec<VisibilityRecord> {
        let place = (key.start_time, &key.run_id);
        let visibility = lock(&self.visibility);
        let Some(records) = visibility.namespaces.get(namespace) else { return Vec::new() };
        let since = records.closes.range((Excluded(snapshot), Unbounded)).filter_map(|(_, run)| visibility.get(run));
        since
            .filter(|record| (Reverse(record.start_time), &record.key.run_id.to_string()) > place)
            .filter(|record| query.filter.as_ref().is_none_or(|filter| evaluate::matches(filter, record)))
            .collect()
    }

    /// Runs that have closed since a listing began.
    fn numbers_since(&self, namespace: &NamespaceId, snapshot: u64) -> BTreeSet<ExecutionKey> {
        let visibility = lock(&self.visibility);
        let Some(records) = visibility.namespaces.get(namespace) else { return BTreeSet::new() };
        records.closes.range((Excluded(snapshot), Unbounded)).map(|(_, run)| run.clone()).collect()
    }
}

/// A place that only other divisions' records come before.
fn before(division: Option<String>) -> Option<Place> {
    let start = Reverse(Timestamp::MAX);
    division.as_ref()?;
    Some((division, SortKey { close_time: start, start_time: start, run_id: String::new() }, Arc::from("")))
}

#[derive(PartialEq)]
enum Enough {
    Yes,
    No,
}

#[async_trait]
impl VisibilityStore for MemoryStore {
    async fn list_visibility(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> StoreResult<Page> {
        self.check_open(Operation::ListVisibility)?;
        if limit == 0 {
            return Ok(Page::default());
        }
        let Some(Position { snapshot, key }) = after else {
            let (closes, records) = self.first_page(namespace, query, limit);
            return Ok(Page::of(records, limit, Some(closes)));
        };
        let Some(snapshot) = snapshot else {
            return Ok(Page::of(self.sorted(namespace, query, Some(key), limit, |_| true), limit, None));
        };
        let in_open = key.close_time == Reverse(Timestamp::MAX);
        let mut open = Vec::new();
        if in_open {
            // In this order: what closes between the two is seen by one of them, or by both.
            open = self.sorted(namespace, query, Some(key), limit, |record| record.closed.is_none());
            open.extend(self.closed_since(namespace, query, *snapshot, key));
            open.sort_by(|a, b| (Reverse(a.start_time), &a.key.run_id).cmp(&(Reverse(b.start_time), &b.key.run_id)));
            open.dedup_by(|later, earlier| later.key == earlier.key);
            open.truncate(limit);
        }
        let mut closed = Vec::new();
        if open.len() < limit {
            let first_closed = SortKey {
                close_time: Reverse(Timestamp::from_nanos(i64::MAX - 1)),
                start_time: Reverse(Timestamp::MAX),
                run_id: String::new(),
            };
            let from = if in_open { &first_closed } else { key };
            let since = self.numbers_since(namespace, *snapshot);
            let had_closed = |record: &VisibilityRecord| record.closed.is_some() && !since.contains(&record.key);
            closed = self.sorted(namespace, query, Some(from), limit - open.len(), had_closed);
        }
        Ok(Page::of_sections(open, closed, limit, *snapshot))
    }

    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64> {
        self.check_open(Operation::CountVisibility)?;
        let mut count = 0;
        self.each_record(namespace, query, None, |_| {
            count += 1;
            Enough::No
        });
        Ok(count)
    }

    async fn count_visibility_groups(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        by: &GroupBy,
    ) -> StoreResult<Vec<(String, u64)>> {
        self.check_open(Operation::CountVisibilityGroups)?;
        let mut groups: BTreeMap<(i32, String), u64> = BTreeMap::new();
        self.each_record(namespace, query, None, |record| {
            let rank = match by {
                GroupBy::ExecutionStatus => i32::from(record.status),
                GroupBy::Keyword(_) => 0,
            };
            *groups.entry((rank, evaluate::group(by, &record).into_owned())).or_default() += 1;
            Enough::No
        });
        Ok(groups.into_iter().map(|((_, name), count)| (name, count)).collect())
    }
}
