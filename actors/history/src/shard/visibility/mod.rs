//! The visibility queue: rows of lists go to a store beside the main database.
//!
//! A commit that changes what lists show of a run brings an immediate task. Once it is durable, the shard asks
//! the run what lists show of it, gathers such rows and writes them, one write at a time. The task's row stays
//! until that has succeeded, so nothing that was acknowledged is lost; commits never wait for it.

mod queue;

use std::time::Duration;

use perdure_execution::workflow::visibility_record;
use perdure_kernel::{Archetype, Timestamp};
use perdure_persistence::{StoreError, StoreErrorKind, VisibilityChange, shard::ImmediateBatch};
use perdure_proto::records::{self, immediate_task::Task};
use perdure_runtime::Ctx;
use prost::Message;

use self::queue::Due;
pub(super) use self::queue::VisibilityQueue;
use super::{
    Shard,
    immediate::{AtWork, execution_key},
    message::ShardMsg,
    work::Job,
};

/// The queue's tasks in metrics.
const OPERATION: &str = "VisibilityTask";

/// How long a write may take. After that its outcome is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a write under way may go on once the shard stops.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Rows of tasks that were left to the store, read at a time.
const PAGE: usize = 100;

/// Wait before they are read again after the store failed.
const READ_RETRY_DELAY: Duration = Duration::from_secs(1);

impl Shard {
    /// A task's turn will come.
    pub(super) fn visibility_due(&mut self, id: i64, now: Timestamp) {
        let execution = self.immediate.get(id).and_then(|task| task.execution.as_ref());
        let Some(key) = execution.map(execution_key) else { return self.immediate.finish(id) };
        match self.visibility.due(id, key, now) {
            Due::Held => {}
            Due::Needless => self.immediate.finish(id),
            Due::Left => self.immediate.leave(id),
        }
    }

    /// Asks the runs whose turn has come, and writes what is known by then.
    pub(super) fn deliver_visibility(&mut self, ctx: &mut Ctx<Self>) {
        if self.visibility.is_empty() || self.lease.is_none() || !self.visibility.can_go_on(ctx.now()) {
            return;
        }
        while let Some((id, key)) = self.visibility.ask_next() {
            self.submit(Job::Task { key, id, heard: None }, ctx);
        }
        self.read_left_tasks(ctx);
        let (Some(writer), Some(changes)) = (self.visibility.writer.clone(), self.visibility.take_ready()) else {
            return;
        };
        metrics::histogram!("pending_tasks", "operation" => "VisibilityQueueProcessor", "task_category" => "visibility")
            .record(self.visibility.len() as f64);
        metrics::counter!("task_requests", "operation" => OPERATION).increment(changes.len() as u64);
        let (epoch, mut stopping) = (self.epoch, self.visibility.stopping.subscribe());
        let given_up = |why| StoreError::new(StoreErrorKind::OutcomeUnknown, "write_visibility", why);
        let work = async move {
            let stop = async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
                tokio::time::sleep(STOP_PATIENCE).await;
            };
            tokio::select! {
                result = tokio::time::timeout(WRITE_TIMEOUT, writer.write_visibility(changes)) => {
                    result.unwrap_or_else(|_| Err(given_up("the store did not answer in time")))
                }
                () = stop => Err(given_up("the shard stops")),
            }
        };
        ctx.spawn_io(work, move |result| ShardMsg::VisibilityWritten { epoch, result });
    }

    /// Says what lists show of a task's run.
    pub(super) fn read_visibility(&mut self, at: &AtWork<'_>, now: Timestamp) {
        let change = if at.key.archetype == Archetype::WORKFLOW {
            let run = &at.holder.runs[at.index];
            if run.unsaved.shown.is_some() {
                // What is not durable is not shown. It will be soon.
                self.visibility.no_answer(at.id);
                return self.immediate.retry_at(at.id, now + self.settings.lazy_flush);
            }
            let record = Box::new(visibility_record(&run.state));
            Some(VisibilityChange::Put { record, version: run.version })
        } else {
            self.shown_of_actor(at.key, at.holder, at.index)
        };
        match change {
            Some(change) => self.visibility.answer(at.id, change),
            None => {
                self.visibility.forget(at.id);
                self.immediate.finish(at.id);
            }
        }
    }

    /// A write ended.
    pub(super) fn visibility_written(&mut self, result: Result<(), StoreError>, ctx: &Ctx<Self>) {
        let now = ctx.now();
        let Err(error) = result else {
            for (id, since) in self.visibility.written() {
                metrics::histogram!("task_latency_queue", "operation" => OPERATION)
                    .record(now.since(since).as_secs_f64());
                self.immediate.finish(id);
            }
            return;
        };
        metrics::counter!("task_errors", "operation" => OPERATION).increment(1);
        let waiting = self.visibility.len();
        tracing::warn!(shard = %self.id, %error, waiting, "rows of lists cannot be written; trying again");
        for id in self.visibility.failed(now, &mut self.random) {
            self.immediate.finish(id);
        }
    }

    fn read_left_tasks(&mut self, ctx: &mut Ctx<Self>) {
        let Some(from) = self.visibility.begin_reading() else { return };
        let (store, shard, epoch) = (self.store.clone(), self.id, self.epoch);
        let page = async move { store.read_immediate(shard, from, PAGE).await };
        ctx.spawn_io(page, move |rows| ShardMsg::VisibilityTasksRead { epoch, rows });
    }

    /// Tasks that were left to the store are here.
    pub(super) fn visibility_tasks_read(&mut self, rows: Result<Vec<ImmediateBatch>, StoreError>, ctx: &Ctx<Self>) {
        let (now, from) = (ctx.now(), self.visibility.left());
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(shard = %self.id, %error, "visibility tasks cannot be read; trying again");
                self.visibility.pause_until(now + READ_RETRY_DELAY);
                return self.visibility.end_reading(from);
            }
        };
        let mut left = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.last_id + 1);
        let tasks = rows.into_iter().flat_map(|row| match records::ImmediateTasks::decode(row.tasks) {
            Ok(row) => row.tasks,
            Err(error) => {
                tracing::error!(first_id = row.first_id, %error, "task row is damaged");
                Vec::new()
            }
        });
        for task in tasks {
            let wanted = matches!(task.task, Some(Task::Visibility(_))) && from.is_some_and(|from| task.id >= from);
            if !wanted || self.immediate.get(task.id).is_some() {
                continue;
            }
            if !self.visibility.has_room() {
                left = Some(task.id);
                break;
            }
            let id = task.id;
            self.immediate.stage(task);
            self.visibility_due(id, now);
        }
        self.visibility.end_reading(left);
    }
}
