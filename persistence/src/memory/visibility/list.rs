//! Lists, page by page, and counts.
//!
//! A page asks for the open section of the listing (what is open, and what has closed since it began), then for what
//! had closed before. What changes between the questions goes from the open to the closed, so asking in that order
//! misses nothing, and what comes twice is dropped.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use async_trait::async_trait;
use perdure_kernel::{NamespaceId, Timestamp, VisibilityRecord};
use perdure_visibility::{GroupBy, Query, SortKey, evaluate};

use super::{Enough, Part, RECORDS_AT_ONCE};
use crate::{
    Operation, StoreResult,
    memory::{MemoryStore, lock},
    visibility::{CLOSES_FOLLOWED_MAX, Page, Position, Snapshot, VisibilityStore, open_section},
};

/// The place before everything that stands at a close time.
fn start_of(close_time: Timestamp) -> SortKey {
    SortKey { close_time: Reverse(close_time), start_time: Reverse(Timestamp::MAX), run_id: String::new() }
}

impl MemoryStore {
    /// What is known of closes now.
    fn snapshot(&self, namespace: &NamespaceId, query: &Query) -> Snapshot {
        let visibility = lock(&self.visibility);
        let newest = || {
            let division = query.division()?.map(str::to_owned);
            let first_closed = (division, start_of(Snapshot::LAST_CLOSE_TIME), Arc::from(""));
            let records = visibility.namespaces.get(namespace)?;
            let (place, _) = records.sorted.range((Excluded(first_closed), Unbounded)).next()?;
            // Of another division it is no later than needed: then this one has nothing closed.
            Some(place.1.close_time.0)
        };
        Snapshot {
            closes: visibility.closes,
            newest_close: newest().unwrap_or(Snapshot::LAST_CLOSE_TIME).min(Snapshot::LAST_CLOSE_TIME),
        }
    }

    /// Records of a part that pass, in the order of lists.
    fn sorted(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        part: Part,
        after: Option<&SortKey>,
        limit: usize,
    ) -> Vec<Arc<VisibilityRecord>> {
        let mut found: Vec<(SortKey, Arc<VisibilityRecord>)> = Vec::new();
        let mut of_division: (Option<Option<String>>, usize) = (None, 0);
        self.each_record(namespace, query, part, after, |(division, key, _), record| {
            if of_division.0.as_ref() != Some(&division) {
                of_division = (Some(division), 0);
            }
            of_division.1 += 1;
            found.push((key, record));
            if of_division.1 == limit { Enough::Yes } else { Enough::No }
        });
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.truncate(limit);
        found.into_iter().map(|(_, record)| record).collect()
    }

    /// Runs that have closed since a listing began, that pass, and that stand behind `key` among those that were
    /// open; `None` when more than [`CLOSES_FOLLOWED_MAX`] have closed.
    fn closed_since(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        since: u64,
        key: &SortKey,
    ) -> Option<Vec<Arc<VisibilityRecord>>> {
        let behind = (key.start_time, key.run_id.as_str());
        let (mut last, mut seen, mut found) = (since, 0, Vec::new());
        loop {
            let some: Vec<(u64, Arc<VisibilityRecord>)> = {
                let visibility = lock(&self.visibility);
                let Some(records) = visibility.namespaces.get(namespace) else { return Some(found) };
                let closes = records.closes.range((Excluded(last), Unbounded)).take(RECORDS_AT_ONCE);
                closes.filter_map(|(close, run)| Some((*close, Arc::clone(&records.get(run)?.record)))).collect()
            };
            let Some((newest, _)) = some.last() else { return Some(found) };
            last = *newest;
            seen += some.len();
            if seen > CLOSES_FOLLOWED_MAX {
                return None;
            }
            let records = some.into_iter().map(|(_, record)| record);
            found.extend(
                records
                    .filter(|record| (Reverse(record.start_time), &*record.key.run_id) > behind)
                    .filter(|record| query.filter.as_ref().is_none_or(|filter| evaluate::matches(filter, record))),
            );
        }
    }

    /// A page of a listing that began with `snapshot`; `None` where that is too long ago.
    fn page(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        snapshot: Snapshot,
        key: &SortKey,
        limit: usize,
    ) -> Option<Page> {
        let mut open = Vec::new();
        if key.is_open() {
            open = self.sorted(namespace, query, Part::Open, Some(key), limit);
            open = open_section(open, self.closed_since(namespace, query, snapshot.closes, key)?, limit);
        }
        let mut closed = Vec::new();
        if open.len() < limit {
            let first = start_of(snapshot.newest_close);
            let key = if key.is_open() { &first } else { key };
            closed = self.sorted(namespace, query, Part::ClosedUpTo(snapshot.closes), Some(key), limit - open.len());
        }
        Some(Page::of_sections(owned(open), owned(closed), limit, snapshot))
    }
}

fn owned(records: Vec<Arc<VisibilityRecord>>) -> Vec<VisibilityRecord> {
    records.into_iter().map(Arc::unwrap_or_clone).collect()
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
        let page = match after {
            // As if there had been a page before it, so that what closes meanwhile is followed from here on.
            None => {
                let snapshot = self.snapshot(namespace, query);
                self.page(namespace, query, snapshot, &start_of(Timestamp::MAX), limit)
            }
            Some(Position { snapshot: Some(snapshot), key }) => self.page(namespace, query, *snapshot, key, limit),
            Some(Position { snapshot: None, .. }) => None,
        };
        Ok(page.unwrap_or_else(|| {
            let records = self.sorted(namespace, query, Part::All, after.map(|after| &after.key), limit);
            Page::of(owned(records), limit, None)
        }))
    }

    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64> {
        self.check_open(Operation::CountVisibility)?;
        let mut count = 0;
        self.each_record(namespace, query, Part::All, None, |_, _| {
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
        self.each_record(namespace, query, Part::All, None, |_, record| {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::conformance::sample::{key, namespace};
    use crate::conformance::visibility::{closed, open, query};
    use perdure_proto::api::enums::WorkflowExecutionStatus::Completed;

    /// A token kept for too long is followed no more, and still leads on.
    #[tokio::test]
    async fn a_listing_follows_a_bounded_number_of_closes() {
        let store = MemoryStore::new();
        let put = |record| lock(&store.visibility).put(Arc::new(record));
        (0..4).for_each(|n| put(open(key(n), n)));
        let first = store.list_visibility(&namespace(), &query(""), None, 2).await.unwrap();
        let max = u64::try_from(CLOSES_FOLLOWED_MAX).unwrap();
        (0..max).for_each(|n| put(closed(open(key(10 + n), 10), Completed, 20)));
        let next = store.list_visibility(&namespace(), &query(""), first.next.as_ref(), 2).await.unwrap();
        assert!(next.next.unwrap().snapshot.is_some());
        put(closed(open(key(9), 10), Completed, 20));
        let next = store.list_visibility(&namespace(), &query(""), first.next.as_ref(), 2).await.unwrap();
        assert_eq!(next.records, [open(key(1), 1), open(key(0), 0)]);
        assert!(next.next.unwrap().snapshot.is_none());
    }
}
