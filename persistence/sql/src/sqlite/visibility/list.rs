//! Lists, page by page, in the order as of the first page.
//!
//! A page after the first asks for the open section of the listing (what is open, and what has closed since), then
//! for what had closed before. Each question is a statement of its own; what changes from one to the next goes
//! from the open to the closed, so asking in that order misses nothing, and what comes twice is dropped.

use std::cmp::Reverse;

use perdure_kernel::{NamespaceId, Timestamp, VisibilityRecord};
use perdure_persistence::{
    Operation, StoreResult,
    visibility::{CLOSES_FOLLOWED_MAX, Page, Position, Snapshot, open_section},
};
use perdure_visibility::{Query, SortKey};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::{
    super::error::{corrupt, read_failed},
    condition::{Bind, Sql},
    read::{COLUMNS, Part, decode, passing, statement},
    scope,
};

const OPERATION: Operation = Operation::ListVisibility;

/// The number of the last close that was written; 0 before the first.
const LAST_CLOSE: &str = "SELECT last_close FROM run_sequence";

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
        Some(Position { snapshot: Some(snapshot), key }) if listing.can_follow(snapshot, key).await? => {
            listing.next(*snapshot, key, limit).await
        }
        Some(Position { snapshot: _, key }) => {
            let records = listing.records(Part::All, Some(key), limit).await?;
            Ok(Page::of(records, limit, None))
        }
    }
}

struct Listing<'a> {
    pool: &'a SqlitePool,
    namespace: &'a NamespaceId,
    query: &'a Query,
}

impl Listing<'_> {
    async fn first(&self, limit: usize) -> StoreResult<Page> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", (").push(LAST_CLOSE).push(") AS last_close, ");
        self.newest_close(&mut sql);
        sql.push(" AS newest_close");
        let rows = self.rows(sql, Part::All, None, limit).await?;
        // In the statement that reads the rows, so that no close comes between.
        let snapshot = match rows.first() {
            None => None,
            Some(row) => {
                let closes: i64 = row.try_get("last_close").map_err(read_failed(OPERATION))?;
                let newest_close: Option<i64> = row.try_get("newest_close").map_err(read_failed(OPERATION))?;
                Some(Snapshot {
                    closes: closes.cast_unsigned(),
                    newest_close: newest_close.map_or(Snapshot::LAST_CLOSE_TIME, Timestamp::from_nanos),
                })
            }
        };
        Ok(Page::of(self.decoded(&rows)?, limit, snapshot))
    }

    /// The newest close time of the listing's division; null where the listing is about several.
    fn newest_close(&self, sql: &mut Sql) {
        match self.query.division() {
            Some(division) => {
                sql.push("(SELECT max(list_time) FROM visibility INDEXED BY visibility_by_time WHERE scope = ");
                sql.bind(Bind::Blob(scope(self.namespace, division))).push(" AND list_time < ").int(i64::MAX).push(")");
            }
            None => {
                sql.push("NULL");
            }
        }
    }

    /// Whether what has closed since the listing began is little enough to look through for each page.
    async fn can_follow(&self, snapshot: &Snapshot, key: &SortKey) -> StoreResult<bool> {
        if !key.is_open() {
            return Ok(true);
        }
        let closes = snapshot.closes.cast_signed();
        let max = i64::try_from(CLOSES_FOLLOWED_MAX).unwrap_or(i64::MAX);
        let last: i64 = sqlx::query_scalar(LAST_CLOSE).fetch_one(self.pool).await.map_err(read_failed(OPERATION))?;
        let (Some(division), true) = (self.query.division(), last.saturating_sub(closes) > max) else {
            return Ok(last.saturating_sub(closes) <= max);
        };
        // Most of them may be of others.
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM (SELECT 1 FROM visibility INDEXED BY visibility_by_close WHERE scope = ");
        sql.bind(Bind::Blob(scope(self.namespace, division))).push(" AND closed_number > ").int(closes);
        sql.push(" LIMIT ").int(max.saturating_add(1)).push(")");
        let row = statement(&sql).fetch_one(self.pool).await.map_err(read_failed(OPERATION))?;
        Ok(row.try_get::<i64, _>(0).map_err(read_failed(OPERATION))? <= max)
    }

    async fn next(&self, snapshot: Snapshot, key: &SortKey, limit: usize) -> StoreResult<Page> {
        let seen = snapshot.closes.cast_signed();
        let mut open = Vec::new();
        if key.is_open() {
            open = self.records(Part::Open, Some(key), limit).await?;
            open = open_section(open, self.records(Part::ClosedSince(seen), Some(key), limit).await?, limit);
        }
        let mut closed = Vec::new();
        if open.len() < limit {
            let key = (!key.is_open()).then_some(key);
            let part = Part::ClosedUpTo(seen, snapshot.newest_close.as_nanos());
            closed = self.records(part, key, limit - open.len()).await?;
        }
        Ok(Page::of_sections(open, closed, limit, snapshot))
    }

    async fn records(&self, part: Part, after: Option<&SortKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS);
        self.decoded(&self.rows(sql, part, after, limit).await?)
    }

    fn decoded(&self, rows: &[SqliteRow]) -> StoreResult<Vec<VisibilityRecord>> {
        let decoded = rows.iter().map(|row| {
            let record = decode(self.namespace, row).map_err(read_failed(OPERATION))?;
            record.ok_or_else(|| corrupt(OPERATION, "visibility row"))
        });
        decoded.collect()
    }

    /// Rows of a part, with what `sql` selects of them.
    async fn rows(
        &self,
        mut sql: Sql,
        part: Part,
        after: Option<&SortKey>,
        limit: usize,
    ) -> StoreResult<Vec<SqliteRow>> {
        sql.append(passing(self.pool, self.namespace, self.query, part).await.map_err(read_failed(OPERATION))?);
        if let Some(after) = after {
            behind(part, after, &mut sql);
        }
        sql.push(match part {
            Part::All | Part::Counted | Part::ClosedUpTo(..) => {
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
        Part::All | Part::Counted | Part::ClosedUpTo(..) => {
            sql.push(" AND (v.list_time, v.start_time) <= (").int(list_time).push(", ").int(start_time).push(")");
            sql.push(" AND NOT (v.list_time = ").int(list_time).push(" AND v.start_time = ").int(start_time);
        }
        Part::Open | Part::ClosedSince(_) => {
            sql.push(" AND v.start_time <= ").int(start_time).push(" AND NOT (v.start_time = ").int(start_time);
        }
    }
    sql.push(" AND v.run_id <= ").text(run_id).push(")");
}
