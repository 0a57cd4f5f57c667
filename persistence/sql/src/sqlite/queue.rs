//! Task queue leases, and the writes of many queues in one transaction.

use std::collections::HashMap;

use bytes::Bytes;
use perdure_persistence::{
    Operation, StoreError, StoreErrorKind, StoreResult,
    task_queue::{BacklogTask, QueueKey, QueueLease, TaskPosition},
};
use sqlx::{Row, SqliteConnection};

use super::statement::Repeated;
use crate::key;

static QUEUES: Repeated = Repeated::new("SELECT key, queue, range_id FROM queue WHERE key IN (", "?", ")");
static PUT_TASKS: Repeated = Repeated::new(
    "INSERT OR FAIL INTO queue_task(queue, level, pass, id, fair_key, created_at, expires_at, task) VALUES ",
    "(?,?,?,?,?,?,?,?)",
    " ON CONFLICT(queue, level, pass, id) DO UPDATE SET fair_key = excluded.fair_key, \
      created_at = excluded.created_at, expires_at = excluded.expires_at, task = excluded.task",
);

/// A write under a queue's lease.
#[derive(Debug)]
pub(super) struct QueueWrite {
    pub(super) key: QueueKey,
    pub(super) range_id: i64,
    pub(super) change: QueueChange,
}

/// What is written.
#[derive(Debug)]
pub(super) enum QueueChange {
    Append(Vec<BacklogTask>),
    Ack(Vec<TaskPosition>),
    Record(Bytes),
}

impl QueueWrite {
    pub(super) const fn operation(&self) -> Operation {
        match self.change {
            QueueChange::Append(_) => Operation::AppendTasks,
            QueueChange::Ack(_) => Operation::AckTasks,
            QueueChange::Record(_) => Operation::PutQueueRecord,
        }
    }
}

pub(super) async fn acquire(conn: &mut SqliteConnection, queue: &QueueKey) -> sqlx::Result<QueueLease> {
    const ACQUIRE: &str = "INSERT INTO queue(key, range_id, ack_id, record) VALUES (?, 1, 0, x'') \
         ON CONFLICT(key) DO UPDATE SET range_id = range_id + 1 RETURNING range_id, record";
    let row = sqlx::query(ACQUIRE).bind(key::queue(queue)).fetch_one(conn).await?;
    let record: Vec<u8> = row.try_get(1)?;
    Ok(QueueLease { range_id: row.try_get(0)?, record: record.into() })
}

pub(super) async fn delete(conn: &mut SqliteConnection, queue: &QueueKey) -> sqlx::Result<()> {
    const DELETE: &str = "DELETE FROM queue_task WHERE queue = (SELECT queue FROM queue WHERE key = ?); \
         DELETE FROM queue WHERE key = ?";
    let key = key::queue(queue);
    sqlx::query(DELETE).bind(key.clone()).bind(key).execute(conn).await?;
    Ok(())
}

/// Makes the writes whose lease holds; at most one per queue. `writes` and the answers carry the caller's
/// index.
pub(super) async fn apply(
    conn: &mut SqliteConnection,
    writes: &[(usize, &QueueWrite)],
) -> sqlx::Result<Vec<(usize, StoreResult<()>)>> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Vec<u8>> = writes.iter().map(|(_, write)| key::queue(&write.key)).collect();
    let found = QUEUES.select(conn, &keys, |query, key| query.bind(key.clone())).await?;
    let held: HashMap<Vec<u8>, (i64, i64)> = found
        .iter()
        .map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?))))
        .collect::<sqlx::Result<_>>()?;

    let mut answers = Vec::with_capacity(writes.len());
    let mut tasks: Vec<(i64, &BacklogTask)> = Vec::new();
    for ((index, write), key) in writes.iter().zip(&keys) {
        let queue = match held.get(key) {
            Some((queue, range_id)) if *range_id == write.range_id => *queue,
            held => {
                answers.push((*index, Err(lease_lost(write, held.map_or(0, |(_, range_id)| *range_id)))));
                continue;
            }
        };
        answers.push((*index, Ok(())));
        match &write.change {
            QueueChange::Append(appended) => tasks.extend(appended.iter().map(|task| (queue, task))),
            QueueChange::Ack(through) => {
                const ACK: &str = "DELETE FROM queue_task WHERE queue = ? AND level = ? AND (pass, id) <= (?, ?)";
                for last in through {
                    let query = sqlx::query(ACK).bind(queue).bind(last.level).bind(last.pass).bind(last.id);
                    query.execute(&mut *conn).await?;
                }
            }
            QueueChange::Record(record) => {
                let query =
                    sqlx::query("UPDATE queue SET record = ? WHERE queue = ?").bind(record.to_vec()).bind(queue);
                query.execute(&mut *conn).await?;
            }
        }
    }
    PUT_TASKS
        .write(conn, &tasks, |query, (queue, task)| {
            let query = query.bind(*queue).bind(task.position.level).bind(task.position.pass).bind(task.position.id);
            let query = query.bind(task.fair_key).bind(task.created_at.as_nanos());
            query.bind(task.expires_at.as_nanos()).bind(task.task.to_vec())
        })
        .await?;
    Ok(answers)
}

fn lease_lost(write: &QueueWrite, held: i64) -> StoreError {
    let message = format!("queue {} has range id {held}, the write named {}", write.key.name, write.range_id);
    StoreError::new(StoreErrorKind::LeaseLost, write.operation().name(), message)
}
