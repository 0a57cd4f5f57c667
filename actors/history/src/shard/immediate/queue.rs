//! Tasks that are not finished, and when they are tried again.
//!
//! A task's row stays in the store until the task is finished, so that a crash loses none. Rows of finished
//! tasks are deleted by range, inside a later commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use perdure_kernel::{Random, Timestamp, backoff};
use perdure_proto::records;

/// Wait before a task that failed once is tried again; it doubles with every failure.
const RETRY_INITIAL: Duration = Duration::from_millis(100);

/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Share of the wait that jitter may take away.
const RETRY_JITTER: f64 = 0.2;

/// Tasks that are not finished, by id.
#[derive(Default)]
pub(in crate::shard) struct Immediate {
    outstanding: BTreeMap<i64, Outstanding>,
    retries: BTreeSet<(Timestamp, i64)>,
    finished: usize,
    resumed: Vec<i64>,
    /// Finished tasks whose rows must stay: should this node die, they have to be offered again.
    kept: BTreeSet<i64>,
    /// Rows below this are deleted, or are about to be.
    acked: i64,
}

struct Outstanding {
    task: records::ImmediateTask,
    failures: i32,
}

impl Immediate {
    /// Takes in a task whose commit is not durable yet.
    pub(in crate::shard) fn stage(&mut self, task: records::ImmediateTask) {
        self.outstanding.insert(task.id, Outstanding { task, failures: 0 });
    }

    /// Takes in tasks that an earlier owner of the shard left.
    pub(in crate::shard) fn resume(&mut self, tasks: Vec<records::ImmediateTask>) {
        for task in tasks {
            self.resumed.push(task.id);
            self.stage(task);
        }
    }

    /// Tasks that are not finished.
    pub(in crate::shard) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether a run is starting a child.
    pub(in crate::shard) fn starts_child_of(&self, run_id: &str) -> bool {
        self.outstanding.values().map(|outstanding| &outstanding.task).any(|task| {
            matches!(task.task, Some(records::immediate_task::Task::StartChild(_)))
                && task.execution.as_ref().is_some_and(|execution| execution.run_id == run_id)
        })
    }

    /// Tasks that were taken in that way since the last look.
    pub(super) fn take_resumed(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.resumed)
    }

    /// A task that is not finished.
    pub(in crate::shard) fn get(&self, id: i64) -> Option<&records::ImmediateTask> {
        self.outstanding.get(&id).map(|outstanding| &outstanding.task)
    }

    /// The same, to change what is done with it. Its row stays as it is.
    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut records::ImmediateTask> {
        self.outstanding.get_mut(&id).map(|outstanding| &mut outstanding.task)
    }

    /// When the next failed task is tried again.
    pub(in crate::shard) fn next_retry(&self) -> Option<Timestamp> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// A task that is to be tried again by now.
    pub(super) fn pop_retry(&mut self, now: Timestamp) -> Option<i64> {
        let due = self.next_retry().is_some_and(|at| at <= now);
        if due { self.retries.pop_first().map(|(_, id)| id) } else { None }
    }

    /// Lets a task be tried again at a certain time.
    pub(in crate::shard) fn retry_at(&mut self, id: i64, at: Timestamp) {
        if self.outstanding.contains_key(&id) {
            self.retries.insert((at, id));
        }
    }

    /// Lets a task that failed be tried again, later with every failure.
    pub(super) fn retry(&mut self, id: i64, now: Timestamp, random: &mut dyn Random) {
        let Some(outstanding) = self.outstanding.get_mut(&id) else { return };
        outstanding.failures = outstanding.failures.saturating_add(1);
        let wait = backoff::exponential(RETRY_INITIAL, 2.0, RETRY_MAX, outstanding.failures);
        self.retries.insert((now + backoff::jitter_down(wait, RETRY_JITTER, random), id));
    }

    /// Forgets a task that is not finished: its row is read again later.
    pub(in crate::shard) fn leave(&mut self, id: i64) {
        self.outstanding.remove(&id);
    }

    /// The level below which all tasks are finished, once that is worth a write. Rows from `left` on are not
    /// all in memory.
    pub(in crate::shard) fn take_ack(&mut self, worth: usize, left: Option<i64>, next_id: i64) -> Option<i64> {
        if self.finished < worth {
            return None;
        }
        self.finished = 0;
        let open = [self.outstanding.first_key_value().map(|(id, _)| *id), self.kept.first().copied(), left];
        self.acked = open.into_iter().flatten().min().unwrap_or(next_id);
        Some(self.acked)
    }

    /// Keeps a task's row in the store although matching has the task. False when it may be gone already.
    pub(in crate::shard) fn keep(&mut self, id: i64) -> bool {
        let stored = id >= self.acked;
        if stored {
            self.kept.insert(id);
        }
        stored
    }

    /// A row that was kept is not needed any more.
    pub(in crate::shard) fn release(&mut self, id: i64) {
        self.kept.remove(&id);
    }

    /// Nothing is left to do.
    pub(in crate::shard) fn finish(&mut self, id: i64) {
        if self.outstanding.remove(&id).is_some() {
            self.finished += 1;
        }
    }
}
