//! Lists, page by page, in the order as of the first page.
//!
//! A page after the first asks for the open section of the listing (what is open, and what has closed since), then
//! for what had closed before. Each question is a statement of its own; what changes from one to the next goes
//! from the open to the closed, so asking in that order misses nothing, and what comes twice is dropped.

use std::{cmp::Reverse, collections::HashSet};

use perdure_kernel::{NamespaceId, Timestamp, VisibilityRecord};
use perdure_persistence::{
    Operation, StoreResult,
    visibility::{Page, Position},
};
use perdure_visibility::{Query, SortKey};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::{
    super::error::{corrupt, read_failed},
    condition::Sql,
    read::{COLUMNS, Part, decode, passing, statement},
};

const OPERATION: Operation = Operation::ListVisibility;

/// The number of the last close that was written; none before the first. The condition is what lets the partial
/// index answer it.
pub(in crate::sqlite) const LAST_CLOSE: &str =
    "SELECT max(closed_number) FROM visibility WHERE closed_number IS NOT NULL";

pub(in crate::sqlite) async fn list(
    pool: &SqlitePool,
    namespace: &NamespaceId,
    query: &Query,
    after: Option<&Position>,
    limit: usize,
) -> StoreResult<Page> {
    let listing = Listing { pool, namespace, query };
    match after {
        None => listing.first(limit).await,
        Some(Position { snapshot: None, key }) => {
            let records = listing.records(Part::All, Some(key), limit).await?;
            Ok(Page::of(records, limit, None))
        }
        Some(Position { snapshot: Some(snapshot), key }) => listing.next(*snapshot, key, limit).await,
    }
}

struct Listing<'a> {
    pool: &'a SqlitePool,
    namespace: &'a NamespaceId,
    query: &'a Query,
}

impl Listing<'_> {
    async fn first(&self, limit: usize) -> StoreResult<Page> {
        let rows = self.rows(Part::All, None, limit).await?;
        let last_close: Option<i64> = match rows.first() {
            Some(row) => row.try_get("last_close").map_err(read_failed(OPERATION))?,
            None => None,
        };
        let snapshot = u64::try_from(last_close.unwrap_or_default()).unwrap_or_default();
        Ok(Page::of(self.decoded(&rows)?, limit, Some(snapshot)))
    }

    async fn next(&self, snapshot: u64, key: &SortKey, limit: usize) -> StoreResult<Page> {
        let seen = i64::try_from(snapshot).unwrap_or(i64::MAX);
        let mut open = Vec::new();
        let in_open = key.close_time == Reverse(Timestamp::MAX);
        if in_open {
            open = self.records(Part::Open, Some(key), limit).await?;
            open.extend(self.records(Part::ClosedSince(seen), Some(key), limit).await?);
            open.sort_by(|a, b| (Reverse(a.start_time), &a.key.run_id).cmp(&(Reverse(b.start_time), &b.key.run_id)));
            let mut known = HashSet::new();
            // Of one that closed between the two questions, what it is now.
            open.reverse();
            open.retain(|record| known.insert(record.key.clone()));
            open.reverse();
            open.truncate(limit);
        }
        let mut closed = Vec::new();
        if open.len() < limit {
            let key = (!in_open).then_some(key);
            closed = self.records(Part::ClosedUpTo(seen), key, limit - open.len()).await?;
        }
        Ok(Page::of_sections(open, closed, limit, snapshot))
    }

    async fn records(&self, part: Part, after: Option<&SortKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>> {
        self.decoded(&self.rows(part, after, limit).await?)
    }

    fn decoded(&self, rows: &[SqliteRow]) -> StoreResult<Vec<VisibilityRecord>> {
        let decoded = rows.iter().map(|row| {
            let record = decode(self.namespace, row).map_err(read_failed(OPERATION))?;
            record.ok_or_else(|| corrupt(OPERATION, "visibility row"))
        });
        decoded.collect()
    }

    async fn rows(&self, part: Part, after: Option<&SortKey>, limit: usize) -> StoreResult<Vec<SqliteRow>> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", (").push(LAST_CLOSE).push(") AS last_close");
        sql.append(passing(self.pool, self.namespace, self.query, part).await.map_err(read_failed(OPERATION))?);
        if let Some(after) = after {
            behind(part, after, &mut sql);
        }
        sql.push(match part {
            Part::All | Part::Counted | Part::ClosedUpTo(_) => {
                " ORDER BY v.list_time DESC, v.start_time DESC, v.run_id"
            }
            Part::Open | Part::ClosedSince(_) => " ORDER BY v.start_time DESC, v.run_id",
        });
        sql.push(" LIMIT ").int(i64::try_from(limit).unwrap_or(i64::MAX));
        statement(&sql).fetch_all(self.pool).await.map_err(read_failed(OPERATION))
    }
}

/// A range of the index, without those of one instant that were shown.
fn behind(part: Part, key: &SortKey, sql: &mut Sql) {
    let SortKey { close_time: Reverse(list_time), start_time: Reverse(start_time), run_id } = key;
    let (list_time, start_time) = (list_time.as_nanos(), start_time.as_nanos());
    match part {
        Part::All | Part::Counted | Part::ClosedUpTo(_) => {
            sql.push(" AND (v.list_time, v.start_time) <= (").int(list_time).push(", ").int(start_time).push(")");
            sql.push(" AND NOT (v.list_time = ").int(list_time).push(" AND v.start_time = ").int(start_time);
        }
        Part::Open | Part::ClosedSince(_) => {
            sql.push(" AND v.start_time <= ").int(start_time).push(" AND NOT (v.start_time = ").int(start_time);
        }
    }
    sql.push(" AND v.run_id <= ").text(run_id).push(")");
}
