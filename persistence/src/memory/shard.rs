//! Shards in memory.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use perdure_kernel::{BusinessKey, ExecutionKey, ShardId, Timestamp};

use super::{MemoryStore, find, find_or_make, lease_lost, lock, remove_below};
use crate::{
    Operation, StoreError, StoreErrorKind, StoreResult,
    shard::{
        CurrentRunWrite, Direction, ExecutionOp, ExecutionPage, ExecutionWrite, HistoryBatch, ImmediateBatch, ItemKey,
        ShardCommit, ShardLease, ShardStore, StoredExecution, TimerRow,
    },
};

/// History batches a run has room for at first and grows by. Most runs are short, and a finished run
/// stays: doubling would leave it with half-empty buffers.
const HISTORY_GROWTH: usize = 4;

/// From this many batches on a history grows by doubling, so that appending stays cheap.
const HISTORY_DOUBLES_FROM: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Shard {
    range_id: i64,
    immediate_ack: i64,
    timer_ack: Timestamp,
    businesses: BTreeMap<BusinessKey, Business>,
    /// By first id: last id and tasks.
    immediate: BTreeMap<i64, (i64, Bytes)>,
    timers: BTreeMap<(Timestamp, i64), Bytes>,
}

/// All runs of one business id. Most have one, so a sorted vector is smaller than a map.
#[derive(Debug, Default)]
struct Business {
    current: Option<Arc<str>>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    run_id: Arc<str>,
    version: i64,
    record: Bytes,
    items: BTreeMap<ItemKey, Bytes>,
    /// Ascending.
    history: Vec<HistoryBatch>,
}

impl Business {
    fn run(&self, run_id: &str) -> Option<&Run> {
        self.position(run_id).ok().map(|at| &self.runs[at])
    }

    fn position(&self, run_id: &str) -> Result<usize, usize> {
        self.runs.binary_search_by(|run| (*run.run_id).cmp(run_id))
    }

    fn is_empty(&self) -> bool {
        self.current.is_none() && self.runs.is_empty()
    }
}

impl Run {
    fn put_items(&mut self, put: Vec<(ItemKey, Bytes)>, deleted: &[ItemKey]) {
        for key in deleted {
            self.items.remove(key);
        }
        self.items.extend(put);
        if self.items.is_empty() {
            // An emptied map keeps its node; a finished run has no use for it.
            self.items = BTreeMap::new();
        }
    }

    fn append(&mut self, batches: Vec<HistoryBatch>) {
        for batch in batches {
            match self.history.binary_search_by_key(&batch.first_event_id, |held| held.first_event_id) {
                Ok(at) => self.history[at] = batch,
                Err(at) => {
                    if self.history.len() == self.history.capacity() && self.history.len() < HISTORY_DOUBLES_FROM {
                        self.history.reserve_exact(HISTORY_GROWTH);
                    }
                    self.history.insert(at, batch);
                }
            }
        }
    }
}

impl Shard {
    fn run(&self, key: &ExecutionKey) -> Option<&Run> {
        self.businesses.get(&key.business)?.run(&key.run_id)
    }

    /// Whether every precondition holds; changes nothing.
    fn check(&self, commit: &ShardCommit) -> StoreResult<()> {
        if self.range_id != commit.range_id {
            let what = format_args!("shard {}", commit.shard);
            return Err(lease_lost(Operation::Commit, what, commit.range_id, self.range_id));
        }
        // Pointers that entries before the one at hand have moved.
        let mut moved: BTreeMap<&BusinessKey, Option<&str>> = BTreeMap::new();
        for write in &commit.executions {
            self.check_version(write)?;
            if let Some(current) = &write.current {
                let business = &write.key.business;
                let held = moved
                    .get(business)
                    .copied()
                    .unwrap_or_else(|| self.businesses.get(business).and_then(|business| business.current.as_deref()));
                if held != current.expected.as_deref() {
                    return Err(conflict(format!(
                        "current run of {} is {held:?}, the write expected {:?}",
                        business.business_id, current.expected
                    )));
                }
                moved.insert(business, current.run_id.as_deref());
            }
        }
        Ok(())
    }

    fn check_version(&self, write: &ExecutionWrite) -> StoreResult<()> {
        match &write.op {
            ExecutionOp::Put { expected_version, .. } => {
                let held = self.run(&write.key).map(|run| run.version);
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

    fn apply(&mut self, commit: ShardCommit) {
        for write in commit.executions {
            self.apply_execution(write);
        }
        if let Some(batch) = commit.immediate {
            self.immediate.insert(batch.first_id, (batch.last_id, batch.tasks));
        }
        self.timers.extend(commit.timers.into_iter().map(|row| ((row.fire_at, row.id), row.task)));
        if let Some(ack) = commit.immediate_ack {
            self.immediate_ack = ack;
            while let Some(first) = self.immediate.first_entry()
                && first.get().0 < ack
            {
                first.remove();
            }
        }
        if let Some(ack) = commit.timer_ack {
            self.timer_ack = ack;
            remove_below(&mut self.timers, &(ack, i64::MIN));
        }
    }

    fn apply_execution(&mut self, write: ExecutionWrite) {
        let ExecutionWrite { key, op, current } = write;
        match op {
            ExecutionOp::Put {
                version,
                record,
                items_put,
                items_deleted,
                history,
                expected_version: _,
                visibility: _,
            } => {
                let business = self.businesses.entry(key.business.clone()).or_default();
                let at = match business.position(&key.run_id) {
                    Ok(at) => at,
                    Err(at) => {
                        let run = Run {
                            run_id: key.run_id,
                            version,
                            record: Bytes::new(),
                            items: BTreeMap::new(),
                            history: Vec::new(),
                        };
                        business.runs.reserve_exact(1);
                        business.runs.insert(at, run);
                        at
                    }
                };
                let run = &mut business.runs[at];
                run.version = version;
                run.record = record;
                run.put_items(items_put, &items_deleted);
                run.append(history);
            }
            ExecutionOp::Delete => {
                if let Some(business) = self.businesses.get_mut(&key.business)
                    && let Ok(at) = business.position(&key.run_id)
                {
                    business.runs.remove(at);
                }
            }
        }
        if let Some(CurrentRunWrite { run_id, expected: _ }) = current {
            self.businesses.entry(key.business.clone()).or_default().current = run_id.map(Arc::from);
        }
        if self.businesses.get(&key.business).is_some_and(Business::is_empty) {
            self.businesses.remove(&key.business);
        }
    }

    fn list(&self, from: Option<&ExecutionKey>, limit: usize) -> ExecutionPage {
        let start = from.map_or(Bound::Unbounded, |key| Bound::Included(&key.business));
        let mut keys = self
            .businesses
            .range((start, Bound::Unbounded))
            .flat_map(|(business, held)| {
                held.runs.iter().map(|run| ExecutionKey { business: business.clone(), run_id: run.run_id.clone() })
            })
            .skip_while(|key| from.is_some_and(|from| key < from));
        ExecutionPage { keys: keys.by_ref().take(limit).collect(), next: keys.next() }
    }
}

fn conflict(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, Operation::Commit.name(), message)
}

impl MemoryStore {
    fn shard<T: Default>(
        &self,
        operation: Operation,
        shard: ShardId,
        read: impl FnOnce(&Shard) -> T,
    ) -> StoreResult<T> {
        self.check_open(operation)?;
        Ok(find(&self.shards, &shard).map(|shard| read(&lock(&shard))).unwrap_or_default())
    }
}

#[async_trait]
impl ShardStore for MemoryStore {
    async fn acquire_shard(&self, shard: ShardId, _owner: &str) -> StoreResult<ShardLease> {
        self.check_open(Operation::AcquireShard)?;
        let shard = find_or_make(&self.shards, &shard);
        let mut shard = lock(&shard);
        shard.range_id += 1;
        Ok(ShardLease { range_id: shard.range_id, immediate_ack: shard.immediate_ack, timer_ack: shard.timer_ack })
    }

    async fn commit(&self, mut commit: ShardCommit) -> StoreResult<()> {
        self.check_open(Operation::Commit)?;
        let Some(shard) = find(&self.shards, &commit.shard) else {
            let what = format_args!("shard {}", commit.shard);
            return Err(lease_lost(Operation::Commit, what, commit.range_id, 0));
        };
        let mut shard = lock(&shard);
        shard.check(&commit)?;
        self.show(&mut commit);
        shard.apply(commit);
        Ok(())
    }

    async fn load_execution(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Option<StoredExecution>> {
        self.shard(Operation::LoadExecution, shard, |shard| {
            shard.run(key).map(|run| StoredExecution {
                version: run.version,
                record: run.record.clone(),
                items: run.items.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            })
        })
    }

    async fn current_run(&self, shard: ShardId, key: &BusinessKey) -> StoreResult<Option<String>> {
        self.shard(Operation::CurrentRun, shard, |shard| {
            shard.businesses.get(key).and_then(|business| business.current.as_deref()).map(str::to_owned)
        })
    }

    async fn read_history(
        &self,
        shard: ShardId,
        key: &ExecutionKey,
        first: i64,
        last: i64,
        direction: Direction,
        limit: usize,
    ) -> StoreResult<Vec<HistoryBatch>> {
        self.shard(Operation::ReadHistory, shard, |shard| {
            let Some(run) = shard.run(key) else { return Vec::new() };
            let start = run.history.partition_point(|batch| batch.last_event_id < first);
            let end = run.history.partition_point(|batch| batch.first_event_id <= last).max(start);
            let found = run.history[start..end].iter().cloned();
            match direction {
                Direction::Forward => found.take(limit).collect(),
                Direction::Backward => found.rev().take(limit).collect(),
            }
        })
    }

    async fn read_immediate(&self, shard: ShardId, from_id: i64, limit: usize) -> StoreResult<Vec<ImmediateBatch>> {
        self.shard(Operation::ReadImmediate, shard, |shard| {
            shard
                .immediate
                .iter()
                .filter(|(_, (last_id, _))| *last_id >= from_id)
                .take(limit)
                .map(|(first_id, (last_id, tasks))| ImmediateBatch {
                    first_id: *first_id,
                    last_id: *last_id,
                    tasks: tasks.clone(),
                })
                .collect()
        })
    }

    async fn read_timers(
        &self,
        shard: ShardId,
        from: (Timestamp, i64),
        until: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<TimerRow>> {
        self.shard(Operation::ReadTimers, shard, |shard| {
            shard
                .timers
                .range((Bound::Excluded(from), Bound::Unbounded))
                .take_while(|((fire_at, _), _)| *fire_at < until)
                .take(limit)
                .map(|((fire_at, id), task)| TimerRow { fire_at: *fire_at, id: *id, task: task.clone() })
                .collect()
        })
    }

    async fn list_executions(
        &self,
        shard: ShardId,
        from: Option<&ExecutionKey>,
        limit: usize,
    ) -> StoreResult<ExecutionPage> {
        self.shard(Operation::ListExecutions, shard, |shard| shard.list(from, limit))
    }
}
