//! Visibility: lists and counts of executions.
//!
//! Rows are written by the commits of shards: an [`crate::shard::ExecutionOp::Put`] may bring a record, and
//! a removed run takes its row with it. So what a commit has acknowledged, the next list shows.

use std::{borrow::Borrow, cmp::Reverse, collections::HashSet, sync::Arc};

use async_trait::async_trait;
use perdure_kernel::{NamespaceId, Timestamp, VisibilityRecord};
use perdure_visibility::{GroupBy, Query, SortKey};

use crate::StoreResult;

/// Closes of a namespace and division that a listing follows. One that has seen more of them since it began goes on
/// without its [`Snapshot`]: what a page reads has a bound, however long its token was kept.
pub const CLOSES_FOLLOWED_MAX: usize = 100_000;

/// What a store knew of closes when a listing began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the last close. Stores number closes in the order in which they are written, and give no
    /// number twice.
    pub closes: u64,
    /// No run that had closed by then closed later than this.
    pub newest_close: Timestamp,
}

impl Snapshot {
    /// Close times of runs that have closed end here.
    pub const LAST_CLOSE_TIME: Timestamp = Timestamp::from_nanos(i64::MAX - 1);
}

/// A place in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// `None` in listings that began before stores told, and in those that have seen more than
    /// [`CLOSES_FOLLOWED_MAX`] closes: they see a run that moves twice or not at all.
    pub snapshot: Option<Snapshot>,
    /// The last record's place, as the listing has it.
    pub key: SortKey,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<VisibilityRecord>,
    /// Where the next page begins; `None` when this one is not full.
    pub next: Option<Position>,
}

impl Page {
    /// A page whose records stand where they would stand in a new listing.
    pub fn of(records: Vec<VisibilityRecord>, limit: usize, snapshot: Option<Snapshot>) -> Self {
        let next = records.last().filter(|_| records.len() == limit);
        Self { next: next.map(|last| Position { snapshot, key: SortKey::of(last) }), records }
    }

    /// A page of a listing that goes on: of records that were open when it began, then of others.
    pub fn of_sections(
        open: Vec<VisibilityRecord>,
        closed: Vec<VisibilityRecord>,
        limit: usize,
        snapshot: Snapshot,
    ) -> Self {
        let last_open = closed.is_empty().then(|| open.last()).flatten();
        // Whatever has become of it, it stands where the open ones are.
        let key = last_open.map(|last| SortKey { close_time: Reverse(Timestamp::MAX), ..SortKey::of(last) });
        let key = key.or_else(|| closed.last().map(SortKey::of));
        let records: Vec<VisibilityRecord> = open.into_iter().chain(closed).collect();
        let next = key.filter(|_| records.len() == limit).map(|key| Position { snapshot: Some(snapshot), key });
        Self { records, next }
    }
}

/// The open section of a page: runs that are open, and those that have closed since the listing began, as if they still
/// were, at most `limit`. Who closed between the two questions is in both: what it is now is kept.
pub fn open_section<R: Borrow<VisibilityRecord>>(open: Vec<R>, closed_since: Vec<R>, limit: usize) -> Vec<R> {
    let place = |record: &VisibilityRecord| (Reverse(record.start_time), Arc::clone(&record.key.run_id));
    let mut records: Vec<R> = closed_since.into_iter().chain(open).collect();
    // Stable: of one run, the closed comes first.
    records.sort_by_cached_key(|record| place(record.borrow()));
    let mut known = HashSet::new();
    records.into_iter().filter(|record| known.insert(record.borrow().key.clone())).take(limit).collect()
}

/// Reads of visibility. Every query is about one namespace.
#[async_trait]
pub trait VisibilityStore: Send + Sync + 'static {
    /// Records that pass the query's filter and come after `after`, at most `limit`: in the order of [`SortKey`] as
    /// it was when the listing began. A run that closes meanwhile stays where it was: each run that was there when
    /// the listing began is seen once, if it passes when its turn comes; one that came later, once at most.
    async fn list_visibility(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> StoreResult<Page>;

    /// How many records pass the query's filter.
    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64>;

    /// How many records pass the query's filter, by group: the name of a status, or a keyword, empty for
    /// records without one. Groups are in the order of the status's numbers, or of the keywords.
    async fn count_visibility_groups(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        by: &GroupBy,
    ) -> StoreResult<Vec<(String, u64)>>;
}
