//! Reads of shards and task queues. Each is one statement, so it sees one state of the database.

use std::collections::BTreeMap;

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, NamespaceId, ShardId, Timestamp};
use perdure_persistence::{
    Operation, StoreResult,
    shard::{Direction, ExecutionPage, HistoryBatch, ImmediateBatch, ItemKey, StoredExecution, TimerRow},
    task_queue::{BacklogSummary, BacklogTask, LevelSummary, QueueKey, SUMMARY_SPAN_MIN, SUMMARY_SPANS, TaskPosition},
};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::error::{corrupt, read_failed};
use crate::key::{self, RunKey};

/// The record's row comes first, with a version; the rows of items have none.
const LOAD: &str = "SELECT version, NULL, NULL, record FROM execution WHERE key = ?1 \
     UNION ALL \
     SELECT NULL, kind, name, value FROM item WHERE run = (SELECT run FROM execution WHERE key = ?1)";

const CURRENT: &str = "SELECT run_id FROM current_run WHERE business = ?";

// Batches do not overlap, so the first one of interest is the last that starts at or before the first
// event: without the inner select a page deep in a long history would scan all before it.
macro_rules! history_query {
    ($order:literal) => {
        concat!(
            "SELECT first_id, last_id, events FROM history AS h, (SELECT run AS r FROM execution WHERE key = ?1) ",
            "WHERE h.run = r AND first_id <= ?3 AND last_id >= ?2 AND first_id >= coalesce(",
            "(SELECT max(first_id) FROM history AS before WHERE before.run = r AND before.first_id <= ?2), ?2) ",
            "ORDER BY first_id ",
            $order,
            " LIMIT ?4"
        )
    };
}
const HISTORY_FORWARD: &str = history_query!("ASC");
const HISTORY_BACKWARD: &str = history_query!("DESC");

const IMMEDIATE: &str = "SELECT first_id, last_id, tasks FROM immediate WHERE shard = ? AND last_id >= ? \
     ORDER BY first_id LIMIT ?";
const TIMERS: &str = "SELECT fire_at, id, task FROM timer \
     WHERE shard = ? AND (fire_at, id) > (?, ?) AND fire_at < ? ORDER BY fire_at, id LIMIT ?";
const EXECUTIONS: &str = "SELECT key FROM execution WHERE key >= ? AND key < ? ORDER BY key LIMIT ?";
const TASKS: &str = "SELECT pass, id, fair_key, created_at, expires_at, task FROM queue_task \
     WHERE queue = (SELECT queue FROM queue WHERE key = ?) AND level = ? AND (pass, id) > (?, ?) \
     ORDER BY pass, id LIMIT ?";
const AGES: &str = "WITH span AS (SELECT level AS of_level, \
         max(?2, (max(created_at) - min(created_at)) / ?3) AS length FROM queue_task \
         WHERE queue = (SELECT queue FROM queue WHERE key = ?1) GROUP BY level) \
     SELECT level, min(pass), min(created_at), count(*) FROM queue_task JOIN span ON of_level = level \
     WHERE queue = (SELECT queue FROM queue WHERE key = ?1) \
     GROUP BY level, created_at / length ORDER BY level, min(created_at)";
const LAST_PASSES: &str = "WITH last AS (SELECT level, fair_key, max(pass) AS pass FROM queue_task \
         WHERE queue = (SELECT queue FROM queue WHERE key = ?) GROUP BY level, fair_key), \
     ranked AS (SELECT level, fair_key, pass, \
         row_number() OVER (PARTITION BY level ORDER BY pass DESC, fair_key) AS place FROM last) \
     SELECT level, fair_key, pass FROM ranked WHERE place <= ? ORDER BY level, fair_key";
const QUEUES: &str = "SELECT key FROM queue WHERE key >= ? AND key < ? ORDER BY key";

/// A page size as SQLite takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn bytes(row: &SqliteRow, column: usize) -> sqlx::Result<Bytes> {
    row.try_get::<Vec<u8>, _>(column).map(Bytes::from)
}

pub(super) async fn load_execution(
    pool: &SqlitePool,
    shard: ShardId,
    key: &ExecutionKey,
) -> StoreResult<Option<StoredExecution>> {
    let failed = read_failed(Operation::LoadExecution);
    let query = sqlx::query(LOAD).bind(RunKey::new(shard, key).into_run());
    let rows = query.fetch_all(pool).await.map_err(&failed)?;
    let decode = || -> sqlx::Result<Option<StoredExecution>> {
        let mut head = None;
        let mut items = Vec::with_capacity(rows.len().saturating_sub(1));
        for row in &rows {
            match row.try_get::<Option<i64>, _>(0)? {
                Some(version) => head = Some((version, bytes(row, 3)?)),
                None => items.push((ItemKey { kind: row.try_get(1)?, name: row.try_get(2)? }, bytes(row, 3)?)),
            }
        }
        // As good as sorted: both parts come in the order of their keys.
        items.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(head.map(|(version, record)| StoredExecution { version, record, items }))
    };
    decode().map_err(failed)
}

pub(super) async fn current_run(pool: &SqlitePool, shard: ShardId, key: &BusinessKey) -> StoreResult<Option<String>> {
    let query = sqlx::query_scalar(CURRENT).bind(key::business(shard, key));
    let run: Option<Vec<u8>> = query.fetch_optional(pool).await.map_err(read_failed(Operation::CurrentRun))?;
    run.map(|run| key::decode_run_id(&run).ok_or_else(|| corrupt(Operation::CurrentRun, "run id"))).transpose()
}

pub(super) async fn history(
    pool: &SqlitePool,
    key: RunKey,
    first: i64,
    last: i64,
    direction: Direction,
    limit: i64,
) -> StoreResult<Vec<HistoryBatch>> {
    let failed = read_failed(Operation::ReadHistory);
    if first > last {
        return Ok(Vec::new());
    }
    let text = match direction {
        Direction::Forward => HISTORY_FORWARD,
        Direction::Backward => HISTORY_BACKWARD,
    };
    let query = sqlx::query(text).bind(key.into_run()).bind(first).bind(last).bind(limit);
    let rows = query.fetch_all(pool).await.map_err(&failed)?;
    let decode = |row: &SqliteRow| {
        Ok(HistoryBatch { first_event_id: row.try_get(0)?, last_event_id: row.try_get(1)?, events: bytes(row, 2)? })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(failed)
}

pub(super) async fn immediate(
    pool: &SqlitePool,
    shard: ShardId,
    from_id: i64,
    limit: i64,
) -> StoreResult<Vec<ImmediateBatch>> {
    let failed = read_failed(Operation::ReadImmediate);
    let query = sqlx::query(IMMEDIATE).bind(shard.0).bind(from_id).bind(limit);
    let rows = query.fetch_all(pool).await.map_err(&failed)?;
    let decode = |row: &SqliteRow| {
        Ok(ImmediateBatch { first_id: row.try_get(0)?, last_id: row.try_get(1)?, tasks: bytes(row, 2)? })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(failed)
}

pub(super) async fn timers(
    pool: &SqlitePool,
    shard: ShardId,
    from: (Timestamp, i64),
    until: Timestamp,
    limit: i64,
) -> StoreResult<Vec<TimerRow>> {
    let failed = read_failed(Operation::ReadTimers);
    let query =
        sqlx::query(TIMERS).bind(shard.0).bind(from.0.as_nanos()).bind(from.1).bind(until.as_nanos()).bind(limit);
    let rows = query.fetch_all(pool).await.map_err(&failed)?;
    let decode = |row: &SqliteRow| {
        let fire_at = Timestamp::from_nanos(row.try_get(0)?);
        Ok(TimerRow { fire_at, id: row.try_get(1)?, task: bytes(row, 2)? })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(failed)
}

pub(super) async fn executions(
    pool: &SqlitePool,
    shard: ShardId,
    from: Option<&ExecutionKey>,
    page: usize,
) -> StoreResult<ExecutionPage> {
    let operation = Operation::ListExecutions;
    let prefix = key::shard_prefix(shard);
    let start = from.map_or_else(|| prefix.clone(), |key| RunKey::new(shard, key).into_run());
    // One more than the page, to know where the next one starts.
    let query =
        sqlx::query_scalar(EXECUTIONS).bind(start).bind(key::after_prefix(prefix)).bind(limit(page).saturating_add(1));
    let found: Vec<Vec<u8>> = query.fetch_all(pool).await.map_err(read_failed(operation))?;
    let decode = |bytes: &Vec<u8>| key::decode_run(bytes).ok_or_else(|| corrupt(operation, "execution key"));
    let mut keys = found.iter().map(decode).collect::<StoreResult<Vec<_>>>()?;
    let next = (keys.len() > page).then(|| keys.pop()).flatten();
    Ok(ExecutionPage { keys, next })
}

pub(super) async fn tasks(
    pool: &SqlitePool,
    queue: &QueueKey,
    after: TaskPosition,
    limit: i64,
) -> StoreResult<Vec<BacklogTask>> {
    let failed = read_failed(Operation::ReadTasks);
    let query = sqlx::query(TASKS).bind(key::queue(queue)).bind(after.level).bind(after.pass).bind(after.id);
    let rows = query.bind(limit).fetch_all(pool).await.map_err(&failed)?;
    let decode = |row: &SqliteRow| {
        Ok(BacklogTask {
            position: TaskPosition { level: after.level, pass: row.try_get(0)?, id: row.try_get(1)? },
            fair_key: row.try_get(2)?,
            created_at: Timestamp::from_nanos(row.try_get(3)?),
            expires_at: Timestamp::from_nanos(row.try_get(4)?),
            task: bytes(row, 5)?,
        })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(failed)
}

/// Two statements: nobody but the owner writes, and the owner waits for this.
pub(super) async fn summary(pool: &SqlitePool, queue: &QueueKey, keys_max: i64) -> StoreResult<BacklogSummary> {
    let failed = read_failed(Operation::SummarizeBacklog);
    let key = key::queue(queue);
    let ages = sqlx::query(AGES).bind(key.clone()).bind(SUMMARY_SPAN_MIN).bind(SUMMARY_SPANS);
    let ages = ages.fetch_all(pool).await.map_err(&failed)?;
    if ages.is_empty() {
        return Ok(BacklogSummary::default());
    }
    let last_passes = sqlx::query(LAST_PASSES).bind(key).bind(keys_max);
    let last_passes = last_passes.fetch_all(pool).await.map_err(&failed)?;
    levels(&ages, &last_passes).map(|levels| BacklogSummary { levels }).map_err(failed)
}

fn levels(ages: &[SqliteRow], last_passes: &[SqliteRow]) -> sqlx::Result<Vec<LevelSummary>> {
    let mut levels: BTreeMap<i32, LevelSummary> = BTreeMap::new();
    for row in ages {
        let (level, pass, count): (i32, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
        let found = levels.entry(level).or_insert_with(|| LevelSummary {
            level,
            first_pass: pass,
            ages: Vec::new(),
            last_passes: Vec::new(),
        });
        found.first_pass = found.first_pass.min(pass);
        found.ages.push((Timestamp::from_nanos(row.try_get(2)?), u64::try_from(count).unwrap_or(0)));
    }
    for row in last_passes {
        if let Some(found) = levels.get_mut(&row.try_get(0)?) {
            found.last_passes.push((row.try_get(1)?, row.try_get(2)?));
        }
    }
    Ok(levels.into_values().collect())
}

pub(super) async fn queues(pool: &SqlitePool, namespace_id: &NamespaceId) -> StoreResult<Vec<QueueKey>> {
    let operation = Operation::ListQueues;
    let prefix = key::queue_prefix(namespace_id);
    let query = sqlx::query_scalar(QUEUES).bind(prefix.clone()).bind(key::after_prefix(prefix));
    let found: Vec<Vec<u8>> = query.fetch_all(pool).await.map_err(read_failed(operation))?;
    found.iter().map(|bytes| key::decode_queue(bytes).ok_or_else(|| corrupt(operation, "queue key"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plan::assert_searches;

    #[tokio::test]
    async fn every_read_uses_an_index() {
        let texts = [LOAD, CURRENT, HISTORY_FORWARD, HISTORY_BACKWARD, IMMEDIATE, TIMERS, EXECUTIONS, TASKS, QUEUES];
        assert_searches(&texts).await;
    }
}
