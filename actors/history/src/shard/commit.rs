//! The commit pipeline: everything decided while one commit is under way goes into the next one.
//!
//! Nothing is told to anybody before the store has it. A write that failed, or whose outcome is unknown,
//! makes the shard start anew under a new range id, which fences whatever may still be on its way; what was
//! decided after that write rests on it and is given up too.

use bytes::{Bytes, BytesMut};
use perdure_execution::{
    items::{WorkflowItem, encode_record},
    workflow::{NewTask, Transition, visibility_record},
};
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceError, ServiceResult, Timestamp};
use perdure_persistence::{
    StoreError, StoreErrorKind,
    shard::{
        CurrentRunWrite, ExecutionOp, ExecutionWrite, HistoryBatch, ImmediateBatch, ItemKey, ShardCommit, TimerRow,
        VisibilityWrite,
    },
};
use perdure_proto::{api::history::HistoryEvent, records};
use perdure_runtime::Ctx;
use prost::Message;

use super::{
    Shard,
    holder::{Current, Holder},
    immediate::{execution_ref, stored_task},
    lease::Lease,
    message::ShardMsg,
    run::Run,
};

/// Finished task rows that are worth a range delete.
const FINISHED_ROWS_TO_ACK: usize = 256;

/// Events of a history batch: readers decode whole batches.
const BATCH_EVENTS_MAX: usize = 256;

/// What is done once a decision's commit has ended.
pub(super) type AfterCommit = Box<dyn FnOnce(&mut Shard, ServiceResult<()>, &mut Ctx<Shard>)>;

/// The open batch and the one on its way.
#[derive(Default)]
pub(super) struct Pipeline {
    open: Batch,
    in_flight: Option<Vec<Staged>>,
    /// When the commit in flight was sent.
    sent: Timestamp,
}

/// Decisions to write together.
#[derive(Default)]
struct Batch {
    executions: Vec<ExecutionWrite>,
    tasks: Vec<records::ImmediateTask>,
    timers: Vec<TimerRow>,
    staged: Vec<Staged>,
}

/// A decision that waits for its commit.
pub(super) struct Staged {
    key: BusinessKey,
    tasks: Vec<i64>,
    wakes: Vec<(Timestamp, i64, ExecutionKey)>,
    /// A finished task's row that was kept until this is stored.
    kept_row: Option<i64>,
    after: AfterCommit,
}

impl Staged {
    /// A decision about `key` without tasks or timers.
    pub(super) fn new(key: &BusinessKey, after: AfterCommit) -> Self {
        Self { key: key.clone(), tasks: Vec::new(), wakes: Vec::new(), kept_row: None, after }
    }
}

impl Pipeline {
    /// Puts a decision's write into the open batch.
    pub(super) fn push(&mut self, write: ExecutionWrite, staged: Staged) {
        self.open.executions.push(write);
        self.open.staged.push(staged);
    }

    /// How long a commit has been on its way; `None` without one.
    pub(super) fn commit_age(&self, now: Timestamp) -> Option<std::time::Duration> {
        self.in_flight.as_ref().map(|_| now.since(self.sent))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.open.staged.is_empty()
    }
}

impl Shard {
    /// Takes over a transition and puts it into the open batch. A successor run goes with it.
    pub(super) fn commit(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        mut transition: Transition,
        after: AfterCommit,
        ctx: &Ctx<Self>,
    ) {
        let now = ctx.now();
        let successor = transition.successor.take();
        let tasks = std::mem::take(&mut transition.tasks);
        holder.runs[index].take(transition, now);
        let Some(successor) = successor else {
            return self.stage(key, holder, index, tasks, None, after);
        };
        self.stage(key, holder, index, tasks, None, after);
        self.create(key, holder, *successor, Box::new(|_, _, _| {}), ctx);
    }

    /// Puts a new run into the open batch; its id's pointer moves to it.
    pub(super) fn create(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        mut transition: Transition,
        after: AfterCommit,
        ctx: &Ctx<Self>,
    ) {
        let tasks = std::mem::take(&mut transition.tasks);
        let run = Run::new(perdure_execution::workflow::WorkflowState::empty(transition.state.key.clone()), 0);
        let expected = holder.current.run_id();
        holder.current = Current::Run(std::sync::Arc::clone(&run.run_id));
        let pointer = CurrentRunWrite { expected, run_id: holder.current.run_id() };
        let index = holder.add(run);
        holder.runs[index].take(transition, ctx.now());
        self.stage(key, holder, index, tasks, Some(pointer), after);
    }

    /// Puts what is unsaved of a run into the open batch.
    pub(super) fn stage(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        tasks: Vec<NewTask>,
        current: Option<CurrentRunWrite>,
        after: AfterCommit,
    ) {
        let run = &mut holder.runs[index];
        let mut staged = Staged { kept_row: run.kept_row.take(), ..Staged::new(key, after) };
        if let Some(fire_at) = next_wake(run) {
            let Some(id) = self.stage_wake(&run.state.key, fire_at, &mut staged) else { return };
            run.state.volatile.run.wake_at = fire_at.as_nanos();
            run.state.volatile.run.wake_id = id;
        }
        for task in tasks {
            let is_workflow_task = matches!(task, NewTask::Workflow(_));
            let id = self.stage_task(&run.state.key, task, &mut staged);
            if is_workflow_task {
                run.task_row = id;
            }
        }
        if let Some(wake) = run.volatile_wake.take() {
            self.timers.remove(wake);
        }
        if run.unsaved.shown.is_some() && self.visibility.is_separate() {
            run.unsaved.shown = None;
            self.stage_visibility(&run.state.key, &mut staged);
        }
        self.pipeline.push(write_of(run, current), staged);
        holder.uncommitted = true;
    }

    /// Puts a row for a run's next wake-up into the open batch. Gives its id.
    pub(super) fn stage_wake(&mut self, key: &ExecutionKey, fire_at: Timestamp, staged: &mut Staged) -> Option<i64> {
        let id = self.lease.as_mut()?.take_id();
        let task = records::WakeTask { execution: Some(execution_ref(key)) };
        self.pipeline.open.timers.push(TimerRow { fire_at, id, task: task.encode_to_vec().into() });
        self.timers.stage((fire_at, id));
        staged.wakes.push((fire_at, id, key.clone()));
        Some(id)
    }

    /// Puts a task into the open batch; it is handed out once that is durable. Gives its id.
    pub(super) fn stage_task(&mut self, key: &ExecutionKey, task: NewTask, staged: &mut Staged) -> Option<i64> {
        let id = self.lease.as_mut()?.take_id();
        let task = stored_task(id, key, task);
        self.immediate.stage(task.clone());
        self.pipeline.open.tasks.push(task);
        staged.tasks.push(id);
        Some(id)
    }

    /// Puts a task into the open batch that brings a run's row in a separate visibility store up to date. Does
    /// nothing where rows go with the commit, or when such a task of the run waits anyway.
    pub(super) fn stage_visibility(&mut self, key: &ExecutionKey, staged: &mut Staged) {
        if !self.visibility.wants_task(key) {
            return;
        }
        let Some(id) = self.lease.as_mut().map(Lease::take_id) else { return };
        let task = records::immediate_task::Task::Visibility(records::UpdateVisibility {});
        let task = records::ImmediateTask { id, execution: Some(execution_ref(key)), task: Some(task) };
        self.immediate.stage(task.clone());
        self.pipeline.open.tasks.push(task);
        staged.tasks.push(id);
    }

    /// Sets what is done once the decision staged last is durable. For answers that can only be made from
    /// the state after the decision.
    pub(super) fn after_last_staged(&mut self, after: AfterCommit) {
        if let Some(staged) = self.pipeline.open.staged.last_mut() {
            staged.after = after;
        }
    }

    /// Puts the removal of a run into the open batch.
    pub(super) fn stage_delete(&mut self, key: &BusinessKey, holder: &mut Holder, index: usize, after: AfterCommit) {
        let run = holder.runs.remove(index);
        let mut current = None;
        if holder.current == Current::Run(std::sync::Arc::clone(&run.run_id)) {
            current = Some(CurrentRunWrite { expected: holder.current.run_id(), run_id: None });
            holder.current = Current::Absent;
        }
        let mut staged = Staged { kept_row: run.kept_row, ..Staged::new(key, after) };
        self.stage_visibility(&run.state.key, &mut staged);
        let write = ExecutionWrite { key: run.state.key, op: ExecutionOp::Delete, current };
        self.pipeline.push(write, staged);
        holder.uncommitted = true;
    }

    /// Sends the open batch to the store unless a commit is on its way.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<Self>) {
        if self.pipeline.in_flight.is_some() || self.pipeline.open.staged.is_empty() {
            return;
        }
        let Some(lease) = &self.lease else { return };
        let batch = std::mem::take(&mut self.pipeline.open);
        let mut commit = ShardCommit {
            shard: self.id,
            range_id: lease.range_id,
            executions: batch.executions,
            immediate: None,
            timers: batch.timers,
            immediate_ack: None,
            timer_ack: None,
        };
        if let (Some(first), Some(last)) = (batch.tasks.first(), batch.tasks.last()) {
            let (first_id, last_id) = (first.id, last.id);
            let tasks = records::ImmediateTasks { tasks: batch.tasks }.encode_to_vec().into();
            commit.immediate = Some(ImmediateBatch { first_id, last_id, tasks });
        }
        let left = self.visibility.left();
        commit.immediate_ack = self.immediate.take_ack(FINISHED_ROWS_TO_ACK, left, lease.next_id());
        commit.timer_ack = self.timers.take_ack(FINISHED_ROWS_TO_ACK, ctx.now());
        metrics::histogram!("shard_commit_executions").record(commit.executions.len() as f64);
        self.pipeline.in_flight = Some(batch.staged);
        self.pipeline.sent = ctx.now();
        let (store, epoch) = (self.store.clone(), self.epoch);
        ctx.spawn_io(async move { store.commit(commit).await }, move |result| ShardMsg::Committed { epoch, result });
    }

    /// The commit ended.
    pub(super) fn committed(&mut self, result: Result<(), StoreError>, ctx: &mut Ctx<Self>) {
        let Some(staged) = self.pipeline.in_flight.take() else { return };
        match result {
            Ok(()) => self.acknowledge(staged, ctx),
            Err(error) => self.commit_failed(staged, &error, ctx),
        }
    }

    fn acknowledge(&mut self, staged: Vec<Staged>, ctx: &mut Ctx<Self>) {
        // The next batch goes out before anything else is done: the store works while answers are given.
        self.flush(ctx);
        let mut keys = Vec::with_capacity(staged.len());
        for decision in staged {
            for (fire_at, id, run) in decision.wakes {
                self.timers.insert_stored(fire_at, id, run);
            }
            if let Some(id) = decision.kept_row {
                self.immediate.release(id);
            }
            for id in decision.tasks {
                self.begin_task(id, ctx);
            }
            (decision.after)(self, Ok(()), ctx);
            keys.push(decision.key);
        }
        for key in keys {
            if let Some(holder) = self.holders.get_mut(&key) {
                holder.uncommitted = false;
                self.watchers.notify(holder);
                self.waits.notify(holder);
                if holder.runs.iter().any(Run::has_news_of_updates)
                    && let Some(mut holder) = self.holders.remove(&key)
                {
                    self.settle_updates(&mut holder, ctx);
                    self.holders.insert(key.clone(), holder);
                }
            }
            self.advance(&key, ctx);
        }
        if self.pipeline.is_idle() && self.lease.as_ref().is_some_and(super::lease::Lease::is_used_up) {
            self.start_anew("the range's task ids are used up", ctx);
        }
    }

    fn commit_failed(&mut self, staged: Vec<Staged>, error: &StoreError, ctx: &mut Ctx<Self>) {
        tracing::warn!(shard = %self.id, %error, executions = staged.len(), "commit failed");
        let sent = || match error.kind {
            StoreErrorKind::OutcomeUnknown => ServiceError::unavailable(
                "the database did not confirm the write, which may have been applied; try again with the same request id",
            ),
            StoreErrorKind::LeaseLost
            | StoreErrorKind::Conflict
            | StoreErrorKind::AlreadyExists
            | StoreErrorKind::NotFound
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Corrupt => ServiceError::unavailable(format!(
                "the database refused the write, nothing changed; try again: {}",
                error.message
            )),
        };
        // What was decided after this batch rests on it: all of it is given up, and read again when asked for.
        let open = std::mem::take(&mut self.pipeline.open);
        for decision in staged {
            (decision.after)(self, Err(sent()), ctx);
        }
        for decision in open.staged {
            let unsent = format!("the write before this one failed, nothing changed; try again: {}", error.message);
            (decision.after)(self, Err(ServiceError::unavailable(unsent)), ctx);
        }
        self.start_anew("a commit failed", ctx);
    }
}

/// The run's next wake-up, when the store does not have one that comes early enough. A closed run gets one
/// of its own: the ones before it are void.
fn next_wake(run: &Run) -> Option<Timestamp> {
    let (at, _) = run.state.next_deadline()?;
    let stored = Timestamp::from_nanos(run.state.volatile.run.wake_at);
    if !stored.is_unset() && stored <= at && run.state.is_open() {
        return None;
    }
    (stored != at).then_some(at)
}

/// The write that brings the store up to date with a run.
fn write_of(run: &mut Run, current: Option<CurrentRunWrite>) -> ExecutionWrite {
    let unsaved = std::mem::take(&mut run.unsaved);
    let mut items_put = Vec::new();
    let mut items_deleted = Vec::new();
    for item in &unsaved.items {
        let key = stored_key(item);
        match item.encode(&run.state) {
            Some(bytes) => items_put.push((key, bytes)),
            None if run.version > 0 => items_deleted.push(key),
            None => {}
        }
    }
    let batch = |events: &[std::sync::Arc<HistoryEvent>]| match (events.first(), events.last()) {
        (Some(first), Some(last)) => Some(HistoryBatch {
            first_event_id: first.event_id,
            last_event_id: last.event_id,
            events: encode_events(events),
        }),
        _ => None,
    };
    let history = unsaved.events.chunks(BATCH_EVENTS_MAX).filter_map(batch).collect();
    let expected_version = (run.version > 0).then_some(run.version);
    run.version += 1;
    let op = ExecutionOp::Put {
        expected_version,
        version: run.version,
        record: encode_record(&run.state),
        items_put,
        items_deleted,
        history,
        visibility: unsaved.shown.map(|attributes_changed| VisibilityWrite {
            record: Box::new(visibility_record(&run.state)),
            attributes_changed,
        }),
    };
    ExecutionWrite { key: run.state.key.clone(), op, current }
}

fn stored_key(item: &WorkflowItem) -> ItemKey {
    let (kind, name) = item.stored_key();
    ItemKey { kind, name }
}

/// `temporal.api.history.v1.History` without first gathering the events into one.
fn encode_events(events: &[std::sync::Arc<HistoryEvent>]) -> Bytes {
    const EVENTS_FIELD: u32 = 1;
    let mut buffer = BytesMut::with_capacity(events.iter().map(|event| event.encoded_len() + 8).sum());
    for event in events {
        prost::encoding::message::encode(EVENTS_FIELD, &**event, &mut buffer);
    }
    buffer.freeze()
}
