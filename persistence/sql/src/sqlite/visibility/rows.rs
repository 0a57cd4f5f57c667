//! Rows as they are stored, whatever they say.

use std::collections::HashMap;

use perdure_kernel::{ExecutionKey, VisibilityRecord};
use perdure_persistence::{Operation, StoreResult};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::{
    super::error::{corrupt, read_failed},
    condition::{Bind, Sql},
    read::{COLUMNS, decode, statement},
};
use crate::key;

/// Every row, in the order of run ids.
pub(in crate::sqlite) async fn scan(
    pool: &SqlitePool,
    after: Option<&ExecutionKey>,
    limit: i64,
) -> StoreResult<Vec<VisibilityRecord>> {
    let operation = Operation::ScanVisibility;
    let mut sql = Sql::default();
    sql.push("SELECT ").push(COLUMNS).push(", v.scope FROM visibility AS v INDEXED BY visibility_by_run");
    if let Some(after) = after {
        sql.push(" WHERE v.run_id > ").text(&after.run_id);
    }
    sql.push(" ORDER BY v.run_id LIMIT ").int(limit);
    let rows = statement(&sql).fetch_all(pool).await.map_err(read_failed(operation))?;
    rows.iter().map(|row| decode_any(operation, row)).collect()
}

/// The rows of these runs, in their order.
pub(in crate::sqlite) async fn load(
    pool: &SqlitePool,
    runs: &[ExecutionKey],
) -> StoreResult<Vec<Option<VisibilityRecord>>> {
    let operation = Operation::LoadVisibility;
    let mut sql = Sql::default();
    sql.push("SELECT ").push(COLUMNS).push(", v.scope FROM visibility AS v WHERE v.run_id IN ");
    sql.list(runs.iter().map(|run| Bind::Text(run.run_id.to_string())));
    let rows = statement(&sql).fetch_all(pool).await.map_err(read_failed(operation))?;
    let records = rows.iter().map(|row| decode_any(operation, row)).collect::<StoreResult<Vec<_>>>()?;
    let mut found: HashMap<ExecutionKey, VisibilityRecord> =
        records.into_iter().map(|record| (record.key.clone(), record)).collect();
    Ok(runs.iter().map(|run| found.remove(run)).collect())
}

/// A row of any namespace: [`COLUMNS`] and the scope.
fn decode_any(operation: Operation, row: &SqliteRow) -> StoreResult<VisibilityRecord> {
    let scope: Vec<u8> = row.try_get("scope").map_err(read_failed(operation))?;
    let namespace = key::namespace_of(&scope).ok_or_else(|| corrupt(operation, "scope of a visibility row"))?;
    let record = decode(&namespace, row).map_err(read_failed(operation))?;
    record.ok_or_else(|| corrupt(operation, "visibility row"))
}
