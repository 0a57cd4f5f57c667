//! Shard leases, and the commits of many shards in one transaction.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use perdure_kernel::{ShardId, Timestamp};
use perdure_persistence::{
    Operation, StoreError, StoreErrorKind, StoreResult,
    shard::{ExecutionOp, ExecutionWrite, HistoryBatch, ImmediateBatch, ItemKey, ShardCommit, ShardLease, TimerRow},
};
use sqlx::{Row, SqliteConnection};

use super::{statement::Repeated, visibility::VisibilityRows};
use crate::key::{self, RunKey};

static SHARDS: Repeated = Repeated::new("SELECT shard, range_id FROM shard WHERE shard IN (", "?", ")");
static RUNS: Repeated = Repeated::new("SELECT key, run, version FROM execution WHERE key IN (", "?", ")");
static POINTERS: Repeated = Repeated::new("SELECT business, run_id FROM current_run WHERE business IN (", "?", ")");

static DELETE_RUNS: Repeated = Repeated::new("DELETE FROM execution WHERE run IN (", "?", ")");
static DELETE_RUNS_ITEMS: Repeated = Repeated::new("DELETE FROM item WHERE run IN (", "?", ")");
static DELETE_RUNS_HISTORY: Repeated = Repeated::new("DELETE FROM history WHERE run IN (", "?", ")");
static DELETE_ITEMS: Repeated = Repeated::new("DELETE FROM item WHERE (run, kind, name) IN (VALUES ", "(?,?,?)", ")");
static DELETE_POINTERS: Repeated = Repeated::new("DELETE FROM current_run WHERE business IN (", "?", ")");

// `OR FAIL`, and no constraints on columns of values: a statement that may have to undo the rows it has
// written makes SQLite copy every page before it touches it. After a failure the whole transaction goes.
static PUT_EXECUTIONS: Repeated = Repeated::new(
    "INSERT OR FAIL INTO execution(run, key, version, record) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT(run) DO UPDATE SET version = excluded.version, record = excluded.record",
);
static PUT_ITEMS: Repeated = Repeated::new(
    "INSERT OR FAIL INTO item(run, kind, name, value) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT(run, kind, name) DO UPDATE SET value = excluded.value",
);
static PUT_HISTORY: Repeated = Repeated::new(
    "INSERT OR FAIL INTO history(run, first_id, last_id, events) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT(run, first_id) DO UPDATE SET last_id = excluded.last_id, events = excluded.events",
);
static PUT_POINTERS: Repeated = Repeated::new(
    "INSERT OR FAIL INTO current_run(business, run_id) VALUES ",
    "(?,?)",
    " ON CONFLICT(business) DO UPDATE SET run_id = excluded.run_id",
);
static PUT_IMMEDIATE: Repeated = Repeated::new(
    "INSERT OR FAIL INTO immediate(shard, first_id, last_id, tasks) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT(shard, first_id) DO UPDATE SET last_id = excluded.last_id, tasks = excluded.tasks",
);
static PUT_TIMERS: Repeated = Repeated::new(
    "INSERT OR FAIL INTO timer(shard, fire_at, id, task) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT(shard, fire_at, id) DO UPDATE SET task = excluded.task",
);

const ACK_IMMEDIATE: &str = "UPDATE shard SET immediate_ack = ? WHERE shard = ?; \
     DELETE FROM immediate WHERE shard = ? AND first_id < ? AND last_id < ?";
const ACK_TIMERS: &str =
    "UPDATE shard SET timer_ack = ? WHERE shard = ?; DELETE FROM timer WHERE shard = ? AND fire_at < ?";

/// Numbers taken from the sequence at once.
const RUN_BLOCK: i64 = 1 << 16;

/// Run numbers that were taken from the sequence and not given out yet. Thrown away when a transaction fails: the
/// taking may have been part of it.
#[derive(Debug, Default)]
pub(super) struct RunNumbers {
    next: i64,
    end: i64,
}

impl RunNumbers {
    /// Makes sure that `count` numbers are there.
    async fn reserve(&mut self, conn: &mut SqliteConnection, count: usize) -> sqlx::Result<()> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if self.end - self.next < count {
            let block = RUN_BLOCK.max(count);
            self.end = sqlx::query_scalar("UPDATE run_sequence SET next_run = next_run + ? RETURNING next_run")
                .bind(block)
                .fetch_one(conn)
                .await?;
            self.next = self.end - block;
        }
        Ok(())
    }

    fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }
}

pub(super) async fn acquire(conn: &mut SqliteConnection, shard: ShardId, owner: &str) -> sqlx::Result<ShardLease> {
    const ACQUIRE: &str = "INSERT INTO shard(shard, range_id, owner, immediate_ack, timer_ack) VALUES (?, 1, ?, 0, 0) \
         ON CONFLICT(shard) DO UPDATE SET range_id = range_id + 1, owner = excluded.owner \
         RETURNING range_id, immediate_ack, timer_ack";
    let row = sqlx::query(ACQUIRE).bind(shard.0).bind(owner.to_owned()).fetch_one(conn).await?;
    Ok(ShardLease {
        range_id: row.try_get(0)?,
        immediate_ack: row.try_get(1)?,
        timer_ack: Timestamp::from_nanos(row.try_get(2)?),
    })
}

/// Writes the commits whose preconditions hold; at most one per shard. `commits` and the answers carry the
/// caller's index.
pub(super) async fn apply(
    conn: &mut SqliteConnection,
    commits: &[(usize, &ShardCommit)],
    runs: &mut RunNumbers,
) -> sqlx::Result<Vec<(usize, StoreResult<()>)>> {
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    let commits: Vec<Keyed<'_>> = commits.iter().map(|(index, commit)| Keyed::new(*index, commit)).collect();
    let facts = Facts::read(conn, &commits).await?;
    let mut rows = Rows::default();
    let mut answers = Vec::with_capacity(commits.len());
    let mut accepted = Vec::with_capacity(commits.len());
    for commit in &commits {
        let answer = facts.judge(commit).map(|pointers| {
            accepted.push(commit);
            rows.pointers.extend(pointers);
        });
        answers.push((commit.index, answer));
    }
    let new_runs = accepted.iter().flat_map(|commit| commit.executions()).filter(|(_, write)| is_new(write)).count();
    runs.reserve(conn, new_runs).await?;
    for commit in accepted {
        rows.add(commit, &facts, runs);
    }
    rows.write(conn).await?;
    Ok(answers)
}

/// A commit with the keys of its executions.
struct Keyed<'a> {
    index: usize,
    commit: &'a ShardCommit,
    keys: Vec<RunKey>,
}

impl<'a> Keyed<'a> {
    fn new(index: usize, commit: &'a ShardCommit) -> Self {
        let keys = commit.executions.iter().map(|write| RunKey::new(commit.shard, &write.key)).collect();
        Self { index, commit, keys }
    }

    fn executions(&self) -> impl Iterator<Item = (&RunKey, &'a ExecutionWrite)> {
        self.keys.iter().zip(&self.commit.executions)
    }
}

fn is_new(write: &ExecutionWrite) -> bool {
    matches!(write.op, ExecutionOp::Put { expected_version: None, .. })
}

/// A stored run: its number and version.
#[derive(Clone, Copy)]
struct Held {
    run: i64,
    version: i64,
}

/// What is stored about the things that a set of commits names.
struct Facts {
    range_ids: BTreeMap<u32, i64>,
    runs: HashMap<Vec<u8>, Held>,
    pointers: HashMap<Vec<u8>, Vec<u8>>,
}

impl Facts {
    async fn read(conn: &mut SqliteConnection, commits: &[Keyed<'_>]) -> sqlx::Result<Self> {
        let shards = SHARDS.select(conn, commits, |query, keyed| query.bind(keyed.commit.shard.0)).await?;
        let range_ids = shards.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));

        let executions = || commits.iter().flat_map(Keyed::executions);
        let keys: Vec<&RunKey> = executions().map(|(key, _)| key).collect();
        let runs = RUNS.select(conn, &keys, |query, key| query.bind(key.run().to_vec())).await?;
        let runs =
            runs.iter().map(|row| Ok((row.try_get(0)?, Held { run: row.try_get(1)?, version: row.try_get(2)? })));

        let moved: Vec<&RunKey> =
            executions().filter(|(_, write)| write.current.is_some()).map(|(key, _)| key).collect();
        let pointers = POINTERS.select(conn, &moved, |query, key| query.bind(key.business().to_vec())).await?;
        let pointers = pointers.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));

        Ok(Self {
            range_ids: range_ids.collect::<sqlx::Result<_>>()?,
            runs: runs.collect::<sqlx::Result<_>>()?,
            pointers: pointers.collect::<sqlx::Result<_>>()?,
        })
    }

    /// Whether every precondition of a commit holds; where its pointers then are.
    fn judge<'k>(&self, keyed: &'k Keyed<'_>) -> StoreResult<Pointers<'k>> {
        let commit = keyed.commit;
        let range_id = self.range_ids.get(&commit.shard.0).copied().unwrap_or(0);
        if range_id != commit.range_id || range_id == 0 {
            let message =
                format!("shard {} has range id {range_id}, the write named {}", commit.shard, commit.range_id);
            return Err(StoreError::new(StoreErrorKind::LeaseLost, Operation::Commit.name(), message));
        }
        let mut pointers = Pointers::new();
        for (key, write) in keyed.executions() {
            self.check_version(key, write)?;
            let Some(current) = &write.current else { continue };
            let expected = current.expected.as_deref().map(key::run_id);
            let moved = pointers.get(key.business()).map(Option::as_ref);
            let held = moved.unwrap_or_else(|| self.pointers.get(key.business()));
            if held != expected.as_ref() {
                let held = held.map(|bytes| key::decode_run_id(bytes));
                return Err(conflict(format!(
                    "current run of {} is {held:?}, the write expected {:?}",
                    write.key.business.business_id, current.expected
                )));
            }
            pointers.insert(key.business(), current.run_id.as_deref().map(key::run_id));
        }
        Ok(pointers)
    }

    fn check_version(&self, key: &RunKey, write: &ExecutionWrite) -> StoreResult<()> {
        match &write.op {
            ExecutionOp::Put { expected_version, .. } => {
                let held = self.runs.get(key.run()).map(|held| held.version);
                if held == *expected_version {
                    return Ok(());
                }
                Err(conflict(format!(
                    "run {} has version {held:?}, the write expected {expected_version:?}",
                    write.key.run_id
                )))
            }
            ExecutionOp::Delete => Ok(()),
        }
    }
}

fn conflict(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, Operation::Commit.name(), message)
}

/// Moved pointers by the key of their business id; `None` where one is cleared.
type Pointers<'a> = BTreeMap<&'a [u8], Option<Vec<u8>>>;

/// Everything that accepted commits write, by table.
#[derive(Default)]
struct Rows<'a> {
    pointers: Pointers<'a>,
    deleted_runs: Vec<i64>,
    executions: Vec<(i64, &'a [u8], i64, &'a Bytes)>,
    deleted_items: Vec<(i64, &'a ItemKey)>,
    items: Vec<(i64, &'a ItemKey, &'a Bytes)>,
    history: Vec<(i64, &'a HistoryBatch)>,
    immediate: Vec<(ShardId, &'a ImmediateBatch)>,
    timers: Vec<(ShardId, &'a TimerRow)>,
    immediate_acks: Vec<(ShardId, i64)>,
    timer_acks: Vec<(ShardId, Timestamp)>,
    visibility: VisibilityRows<'a>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, keyed: &'a Keyed<'_>, facts: &Facts, runs: &mut RunNumbers) {
        let commit = keyed.commit;
        for (key, write) in keyed.executions() {
            let held = facts.runs.get(key.run());
            match &write.op {
                ExecutionOp::Put {
                    version,
                    record,
                    items_put,
                    items_deleted,
                    history,
                    visibility,
                    expected_version: _,
                } => {
                    let run = held.map_or_else(|| runs.take(), |held| held.run);
                    if let Some(write) = visibility {
                        self.visibility.put(run, held.is_none(), write);
                    }
                    self.executions.push((run, key.run(), *version, record));
                    self.deleted_items.extend(items_deleted.iter().map(|key| (run, key)));
                    self.items.extend(items_put.iter().map(|(key, value)| (run, key, value)));
                    self.history.extend(history.iter().map(|batch| (run, batch)));
                }
                ExecutionOp::Delete => {
                    if let Some(held) = held {
                        self.deleted_runs.push(held.run);
                        self.visibility.remove(held.run);
                    }
                }
            }
        }
        self.immediate.extend(commit.immediate.iter().map(|batch| (commit.shard, batch)));
        self.timers.extend(commit.timers.iter().map(|row| (commit.shard, row)));
        self.immediate_acks.extend(commit.immediate_ack.map(|ack| (commit.shard, ack)));
        self.timer_acks.extend(commit.timer_ack.map(|ack| (commit.shard, ack)));
    }

    async fn write(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        for statement in [&DELETE_RUNS, &DELETE_RUNS_ITEMS, &DELETE_RUNS_HISTORY] {
            statement.delete(conn, &self.deleted_runs, |query, run| query.bind(*run)).await?;
        }
        PUT_EXECUTIONS
            .write(conn, &self.executions, |query, (run, key, version, record)| {
                query.bind(*run).bind(key.to_vec()).bind(*version).bind(record.to_vec())
            })
            .await?;
        DELETE_ITEMS
            .delete(conn, &self.deleted_items, |query, (run, key)| {
                query.bind(*run).bind(key.kind).bind(key.name.clone())
            })
            .await?;
        PUT_ITEMS
            .write(conn, &self.items, |query, (run, key, value)| {
                query.bind(*run).bind(key.kind).bind(key.name.clone()).bind(value.to_vec())
            })
            .await?;
        PUT_HISTORY
            .write(conn, &self.history, |query, (run, batch)| {
                query.bind(*run).bind(batch.first_event_id).bind(batch.last_event_id).bind(batch.events.to_vec())
            })
            .await?;
        self.visibility.write(conn).await?;
        self.write_pointers(conn).await?;
        self.write_tasks(conn).await
    }

    async fn write_pointers(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let cleared: Vec<&[u8]> =
            self.pointers.iter().filter(|(_, run)| run.is_none()).map(|(business, _)| *business).collect();
        DELETE_POINTERS.delete(conn, &cleared, |query, business| query.bind(business.to_vec())).await?;
        let set: Vec<(&[u8], &Vec<u8>)> =
            self.pointers.iter().filter_map(|(business, run)| run.as_ref().map(|run| (*business, run))).collect();
        PUT_POINTERS
            .write(conn, &set, |query, (business, run)| query.bind(business.to_vec()).bind((*run).clone()))
            .await
    }

    async fn write_tasks(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        PUT_IMMEDIATE
            .write(conn, &self.immediate, |query, (shard, batch)| {
                query.bind(shard.0).bind(batch.first_id).bind(batch.last_id).bind(batch.tasks.to_vec())
            })
            .await?;
        PUT_TIMERS
            .write(conn, &self.timers, |query, (shard, row)| {
                query.bind(shard.0).bind(row.fire_at.as_nanos()).bind(row.id).bind(row.task.to_vec())
            })
            .await?;
        for (shard, ack) in &self.immediate_acks {
            let query = sqlx::query(ACK_IMMEDIATE).bind(*ack).bind(shard.0).bind(shard.0).bind(*ack).bind(*ack);
            query.execute(&mut *conn).await?;
        }
        for (shard, ack) in &self.timer_acks {
            let ack = ack.as_nanos();
            let query = sqlx::query(ACK_TIMERS).bind(ack).bind(shard.0).bind(shard.0).bind(ack);
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plan::assert_searches;

    #[tokio::test]
    async fn every_look_up_and_delete_uses_an_index() {
        let repeated = [
            &SHARDS,
            &RUNS,
            &POINTERS,
            &DELETE_RUNS,
            &DELETE_RUNS_ITEMS,
            &DELETE_RUNS_HISTORY,
            &DELETE_ITEMS,
            &DELETE_POINTERS,
        ];
        let texts: Vec<String> = repeated.iter().map(|statement| statement.text(2).to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain([ACK_IMMEDIATE, ACK_TIMERS]).collect();
        assert_searches(&texts).await;
    }
}
