//! Lists and counts.

use std::sync::Arc;

use perdure_kernel::{Archetype, BusinessKey, ClosedRecord, ExecutionKey, NamespaceId, Timestamp, VisibilityRecord};
use perdure_persistence::{Operation, StoreResult};
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{GroupBy, Kind, Query, evaluate::status_name};
use prost::Message;
use sqlx::{
    AssertSqlSafe, Row, Sqlite, SqlitePool,
    query::Query as Statement,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    super::error::read_failed,
    access::{self, Access, PROBE_ENTRIES_MAX},
    condition::{Bind, Sql, condition},
    counted, direct, scope, stored_field,
};
use crate::key;

pub(super) const COLUMNS: &str = "v.archetype, v.workflow_id, v.run_id, v.type_name, v.task_queue, v.parent_workflow_id, \
     v.parent_run_id, v.root_workflow_id, v.root_run_id, v.start_time, v.execution_time, v.memo, v.attributes, \
     v.status, v.list_time, v.history_length, v.history_size_bytes, v.execution_duration, v.state_transition_count";

/// A statement made of constant texts and marks; every value is bound.
pub(super) fn statement(sql: &Sql) -> Statement<'_, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.text.clone()));
    sql.values.iter().fold(query, |query, value| match value {
        Bind::Text(text) => query.bind(text.clone()),
        Bind::Int(int) => query.bind(*int),
        Bind::Real(real) => query.bind(*real),
        Bind::Blob(blob) => query.bind(blob.clone()),
    })
}

/// Chooses the way to the rows: `None` is the order of lists itself.
async fn choose<'q>(
    pool: &SqlitePool,
    query: &'q Query,
    division: Option<&str>,
    scope: &[u8],
    part: Part,
) -> sqlx::Result<Option<Access<'q>>> {
    // To count is to look at all of them: many entries of an index are fewer than all rows, unless times bound those.
    let bounded = || access::demands(query, division).into_iter().any(access::bounds_list_time);
    let any_will_do = part == Part::Counted && !bounded();
    let mut least: Option<(i64, Access<'_>)> = None;
    for access in access::accesses(query, division, scope) {
        if access.is_best {
            return Ok(Some(access));
        }
        let entries: i64 = statement(&access.probe()).fetch_one(pool).await?.try_get(0)?;
        if least.as_ref().is_none_or(|(fewer, _)| entries < *fewer || (entries == *fewer && access.is_sorted)) {
            least = Some((entries, access));
        }
    }
    Ok(least.and_then(|(entries, access)| {
        (entries < PROBE_ENTRIES_MAX || access.is_sorted || any_will_do).then_some(access)
    }))
}

/// What part of the rows is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All, in the order of lists.
    All,
    /// All, in any order.
    Counted,
    /// What is open.
    Open,
    /// What has closed since this close.
    ClosedSince(i64),
    /// What had closed by this close, at this time or before.
    ClosedUpTo(i64, i64),
}

impl Part {
    fn condition(self, sql: &mut Sql) {
        match self {
            Self::All | Self::Counted => {}
            Self::Open => {
                sql.push(" AND v.list_time = ").int(i64::MAX);
            }
            Self::ClosedSince(close) => {
                sql.push(" AND v.closed_number > ").int(close);
            }
            Self::ClosedUpTo(close, newest) => {
                sql.push(" AND v.list_time <= ").int(newest);
                sql.push(" AND coalesce(v.closed_number, 0) <= ").int(close);
            }
        }
    }

    /// The index to read in order, where no better one is known.
    fn index(self) -> &'static str {
        match self {
            Self::All | Self::Counted | Self::Open | Self::ClosedUpTo(..) => "visibility_by_time",
            Self::ClosedSince(_) => "visibility_by_close",
        }
    }
}

/// ` FROM .. WHERE ..` of what passes.
pub(super) async fn passing(
    pool: &SqlitePool,
    namespace: &NamespaceId,
    query: &Query,
    part: Part,
) -> sqlx::Result<Sql> {
    let Some(division) = query.division() else { return Ok(passing_anywhere(namespace, query, part)) };
    let scope = scope(namespace, division);
    // What closes while a client turns pages is little: it is looked through.
    let access = match part {
        Part::ClosedSince(_) => None,
        Part::All | Part::Counted | Part::Open | Part::ClosedUpTo(..) => {
            choose(pool, query, division, &scope, part).await?
        }
    };
    Ok(passing_within(query, division, scope, part, access))
}

/// What passes within a division, by the way that was chosen.
fn passing_within(
    query: &Query,
    division: Option<&str>,
    scope: Vec<u8>,
    part: Part,
    access: Option<Access<'_>>,
) -> Sql {
    let mut sql = Sql::default();
    sql.push(" FROM visibility AS v");
    match access.as_ref().map(|access| access.index) {
        None => sql.push(" INDEXED BY ").push(part.index()),
        Some(Some(index)) => sql.push(" INDEXED BY ").push(index),
        Some(None) => sql.push(" NOT INDEXED"),
    };
    sql.push(" WHERE v.scope = ").bind(Bind::Blob(scope));
    let settled = access.as_ref().filter(|access| access.is_exact).map(|access| access.demand);
    // Elsewhere the list time would only be one more column to look up.
    let is_in_list_order = match &access {
        Some(access) => access.is_sorted,
        None => !matches!(part, Part::ClosedSince(_)),
    };
    if let Some(access) = access {
        sql.push(" AND ").append(access.condition);
    }
    for filter in access::demands(query, division) {
        if is_in_list_order {
            access::imply_list_time(filter, &mut sql);
        }
        if settled.is_none_or(|settled| !std::ptr::eq(settled, filter)) {
            sql.push(" AND ");
            condition(filter, &mut sql);
        }
    }
    part.condition(&mut sql);
    sql
}

/// What passes in all divisions of a namespace.
fn passing_anywhere(namespace: &NamespaceId, query: &Query, part: Part) -> Sql {
    let first = key::queue_prefix(namespace);
    let mut sql = Sql::default();
    sql.push(" FROM visibility AS v INDEXED BY ").push(part.index());
    sql.push(" WHERE v.scope >= ").bind(Bind::Blob(first.clone()));
    sql.push(" AND v.scope < ").bind(Bind::Blob(key::after_prefix(first)));
    if let Some(filter) = &query.filter {
        sql.push(" AND ");
        condition(filter, &mut sql);
    }
    part.condition(&mut sql);
    sql
}

pub(in crate::sqlite) async fn count(pool: &SqlitePool, namespace: &NamespaceId, query: &Query) -> StoreResult<u64> {
    let read = async || -> sqlx::Result<i64> {
        statement(&counting(pool, namespace, query).await?).fetch_one(pool).await?.try_get(0)
    };
    let count = read().await.map_err(read_failed(Operation::CountVisibility))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The statement that counts what passes: over kept counts, else over indexes, else over rows.
async fn counting(pool: &SqlitePool, namespace: &NamespaceId, query: &Query) -> sqlx::Result<Sql> {
    let mut sql = Sql::default();
    if let Some(counted) = counted::rows(namespace, query) {
        sql.push("SELECT coalesce(sum(v.number), 0)").append(counted);
        return Ok(sql);
    }
    sql.push("SELECT count(*)");
    let Some(division) = query.division() else {
        sql.append(passing_anywhere(namespace, query, Part::Counted));
        return Ok(sql);
    };
    let scope = scope(namespace, division);
    if let Some(direct) = direct::count(query, division, &scope) {
        return Ok(direct);
    }
    let access = choose(pool, query, division, &scope, Part::Counted).await?;
    if let Some(direct) = access.as_ref().and_then(|access| direct::count_by_attributes(query, division, access)) {
        return Ok(direct);
    }
    sql.append(passing_within(query, division, scope, Part::Counted, access));
    Ok(sql)
}

pub(in crate::sqlite) async fn groups(
    pool: &SqlitePool,
    namespace: &NamespaceId,
    query: &Query,
    by: &GroupBy,
) -> StoreResult<Vec<(String, u64)>> {
    let failed = read_failed(Operation::CountVisibilityGroups);
    let read = async || -> sqlx::Result<Vec<(String, i64)>> {
        if let (GroupBy::ExecutionStatus, Some(counted)) = (by, counted::rows(namespace, query)) {
            return by_counted_status(pool, counted).await;
        }
        let passing = passing(pool, namespace, query, Part::Counted).await?;
        match by {
            GroupBy::ExecutionStatus => by_status(pool, passing).await,
            GroupBy::Keyword(name) => by_keyword(pool, name, passing).await,
        }
    };
    let groups = read().await.map_err(failed)?;
    Ok(groups.into_iter().map(|(name, count)| (name, u64::try_from(count).unwrap_or(0))).collect())
}

/// By the counts that are kept.
async fn by_counted_status(pool: &SqlitePool, counted: Sql) -> sqlx::Result<Vec<(String, i64)>> {
    let mut sql = Sql::default();
    sql.push("SELECT v.status, sum(v.number) AS held").append(counted);
    sql.push(" GROUP BY v.status HAVING held > 0 ORDER BY v.status");
    let rows = statement(&sql).fetch_all(pool).await?;
    let group = |row: &SqliteRow| {
        let status = WorkflowExecutionStatus::try_from(row.try_get::<i32, _>(0)?).unwrap_or_default();
        Ok((status_name(status).to_owned(), row.try_get(1)?))
    };
    rows.iter().map(group).collect()
}

/// One pass over the index that sorts nothing: there are few statuses.
async fn by_status(pool: &SqlitePool, passing: Sql) -> sqlx::Result<Vec<(String, i64)>> {
    let statuses: Vec<WorkflowExecutionStatus> =
        (0..).map_while(|number| WorkflowExecutionStatus::try_from(number).ok()).collect();
    let mut sql = Sql::default();
    sql.push("SELECT ");
    for (index, status) in statuses.iter().enumerate() {
        sql.push(&format!(
            "{}count(*) FILTER (WHERE v.status = {})",
            if index > 0 { ", " } else { "" },
            i32::from(*status)
        ));
    }
    sql.append(passing);
    let row = statement(&sql).fetch_one(pool).await?;
    let mut groups = Vec::new();
    for (index, status) in statuses.into_iter().enumerate() {
        let count: i64 = row.try_get(index)?;
        if count > 0 {
            groups.push((status_name(status).to_owned(), count));
        }
    }
    Ok(groups)
}

async fn by_keyword(pool: &SqlitePool, name: &str, passing: Sql) -> sqlx::Result<Vec<(String, i64)>> {
    let field = stored_field(&perdure_visibility::Attribute { name: name.to_owned(), kind: Kind::Keyword });
    let mut sql = Sql::default();
    sql.push("SELECT coalesce((SELECT a.value FROM visibility_attribute AS a WHERE a.run = v.run AND a.position = 0 AND a.field = ");
    sql.text(&field).push("), '') AS held, count(*)").append(passing).push(" GROUP BY held ORDER BY held");
    statement(&sql).fetch_all(pool).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// `None` when the row holds what no version writes.
pub(super) fn decode(namespace: &NamespaceId, row: &SqliteRow) -> sqlx::Result<Option<VisibilityRecord>> {
    let text = |index: usize| row.try_get::<String, _>(index);
    let pair = |index: usize| -> sqlx::Result<Option<(String, String)>> {
        let (workflow_id, run_id): (Option<String>, Option<String>) = (row.try_get(index)?, row.try_get(index + 1)?);
        Ok(workflow_id.zip(run_id))
    };
    let instant = |index: usize| row.try_get(index).map(Timestamp::from_nanos);
    let blob =
        |index: usize| -> sqlx::Result<Vec<u8>> { Ok(row.try_get::<Option<Vec<u8>>, _>(index)?.unwrap_or_default()) };
    let Ok(status) = WorkflowExecutionStatus::try_from(row.try_get::<i32, _>(13)?) else { return Ok(None) };
    let (Ok(memo), Ok(search_attributes)) = (Message::decode(&blob(11)?[..]), Message::decode(&blob(12)?[..])) else {
        return Ok(None);
    };
    let closed = match row.try_get::<i64, _>(14)? {
        i64::MAX => None,
        close_time => Some(ClosedRecord {
            close_time: Timestamp::from_nanos(close_time),
            history_length: row.try_get(15)?,
            history_size_bytes: row.try_get(16)?,
            execution_duration: row.try_get(17)?,
            state_transition_count: row.try_get(18)?,
        }),
    };
    let business = BusinessKey {
        namespace_id: namespace.clone(),
        archetype: Archetype(row.try_get(0)?),
        business_id: text(1)?.into(),
    };
    Ok(Some(VisibilityRecord {
        key: ExecutionKey { business, run_id: text(2)?.into() },
        type_name: text(3)?,
        task_queue: text(4)?,
        parent: pair(5)?,
        root: pair(7)?,
        start_time: instant(9)?,
        execution_time: instant(10)?,
        memo: Arc::new(memo),
        search_attributes: Arc::new(search_attributes),
        status,
        closed,
    }))
}
