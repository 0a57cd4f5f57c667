//! Namespaces and cluster records. They change rarely: each write is checked and made on its own within
//! the transaction.

use bytes::Bytes;
use perdure_kernel::NamespaceId;
use perdure_persistence::{Operation, StoreError, StoreErrorKind, StoreResult, namespace::NamespaceRow};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::error::read_failed;

fn refused<T>(operation: Operation, kind: StoreErrorKind, message: String) -> StoreResult<T> {
    Err(StoreError::new(kind, operation.name(), message))
}

pub(super) async fn create_namespace(conn: &mut SqliteConnection, row: &NamespaceRow) -> sqlx::Result<StoreResult<()>> {
    const CREATE: &str = "INSERT INTO namespace(id, name, version, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let query =
        sqlx::query(CREATE).bind(row.id.to_string()).bind(row.name.clone()).bind(row.version).bind(row.record.to_vec());
    if query.execute(conn).await?.rows_affected() == 0 {
        let message = format!("namespace {} ({}) exists", row.name, row.id);
        return Ok(refused(Operation::CreateNamespace, StoreErrorKind::AlreadyExists, message));
    }
    Ok(Ok(()))
}

pub(super) async fn update_namespace(
    conn: &mut SqliteConnection,
    row: &NamespaceRow,
) -> sqlx::Result<StoreResult<i64>> {
    const HELD: &str = "SELECT version, (SELECT count(*) FROM namespace AS other WHERE name = ? AND other.id <> ?) \
         FROM namespace WHERE id = ?";
    let operation = Operation::UpdateNamespace;
    let id = row.id.to_string();
    let query = sqlx::query(HELD).bind(row.name.clone()).bind(id.clone()).bind(id.clone());
    let Some(held) = query.fetch_optional(&mut *conn).await? else {
        return Ok(refused(operation, StoreErrorKind::NotFound, format!("no namespace has id {id}")));
    };
    let (version, holders): (i64, i64) = (held.try_get(0)?, held.try_get(1)?);
    if version != row.version {
        let message = format!("namespace {id} has version {version}, not {}", row.version);
        return Ok(refused(operation, StoreErrorKind::Conflict, message));
    }
    if holders > 0 {
        return Ok(refused(operation, StoreErrorKind::AlreadyExists, format!("the name {} is taken", row.name)));
    }
    sqlx::query("UPDATE namespace SET name = ?, version = ?, record = ? WHERE id = ?")
        .bind(row.name.clone())
        .bind(version + 1)
        .bind(row.record.to_vec())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(Ok(version + 1))
}

pub(super) async fn delete_namespace(conn: &mut SqliteConnection, id: &NamespaceId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM namespace WHERE id = ?").bind(id.to_string()).execute(conn).await?;
    Ok(())
}

pub(super) async fn put_cluster_record(
    conn: &mut SqliteConnection,
    name: &str,
    expected: Option<i64>,
    record: &Bytes,
) -> sqlx::Result<StoreResult<i64>> {
    let held: Option<i64> = sqlx::query_scalar("SELECT version FROM cluster_record WHERE name = ?")
        .bind(name.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    if held != expected {
        let message = format!("record {name} has version {held:?}, not {expected:?}");
        return Ok(refused(Operation::PutClusterRecord, StoreErrorKind::Conflict, message));
    }
    let version = expected.unwrap_or(0) + 1;
    sqlx::query("INSERT OR REPLACE INTO cluster_record(name, version, record) VALUES (?, ?, ?)")
        .bind(name.to_owned())
        .bind(version)
        .bind(record.to_vec())
        .execute(conn)
        .await?;
    Ok(Ok(version))
}

fn namespace_row(row: &SqliteRow) -> sqlx::Result<NamespaceRow> {
    let (id, record): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(3)?);
    Ok(NamespaceRow { id: id.as_str().into(), name: row.try_get(1)?, version: row.try_get(2)?, record: record.into() })
}

pub(super) async fn namespace_by_id(pool: &SqlitePool, id: &NamespaceId) -> StoreResult<Option<NamespaceRow>> {
    let query = sqlx::query("SELECT id, name, version, record FROM namespace WHERE id = ?").bind(id.to_string());
    let failed = read_failed(Operation::NamespaceById);
    query.fetch_optional(pool).await.map_err(&failed)?.as_ref().map(namespace_row).transpose().map_err(failed)
}

pub(super) async fn namespace_by_name(pool: &SqlitePool, name: &str) -> StoreResult<Option<NamespaceRow>> {
    let query = sqlx::query("SELECT id, name, version, record FROM namespace WHERE name = ?").bind(name.to_owned());
    let failed = read_failed(Operation::NamespaceByName);
    query.fetch_optional(pool).await.map_err(&failed)?.as_ref().map(namespace_row).transpose().map_err(failed)
}

pub(super) async fn list_namespaces(
    pool: &SqlitePool,
    after: Option<&NamespaceId>,
    limit: i64,
) -> StoreResult<Vec<NamespaceRow>> {
    // No parameter: the null id compares as unknown, so it is asked for first.
    const LIST: &str =
        "SELECT id, name, version, record FROM namespace WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2";
    let query = sqlx::query(LIST).bind(after.map(NamespaceId::to_string)).bind(limit);
    let failed = read_failed(Operation::ListNamespaces);
    let rows = query.fetch_all(pool).await.map_err(&failed)?;
    rows.iter().map(namespace_row).collect::<sqlx::Result<_>>().map_err(failed)
}

pub(super) async fn cluster_record(pool: &SqlitePool, name: &str) -> StoreResult<Option<(i64, Bytes)>> {
    let query = sqlx::query("SELECT version, record FROM cluster_record WHERE name = ?").bind(name.to_owned());
    let failed = read_failed(Operation::ClusterRecord);
    let row = query.fetch_optional(pool).await.map_err(&failed)?;
    let decode = |row: SqliteRow| Ok((row.try_get(0)?, row.try_get::<Vec<u8>, _>(1)?.into()));
    row.map(decode).transpose().map_err(failed)
}
