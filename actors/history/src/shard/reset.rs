//! Resets: a new run from the history of an earlier one.
//!
//! The history up to the point, and what came after it, are read beside the actor; other work for the workflow id
//! waits meanwhile, so the runs are as they were when the reading ends.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::calls::reset::{self, Excluded, Fork, is_reapplied},
};
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceResult, ShardId};
use perdure_persistence::{SharedStore, StoreError, StoreErrorKind};
use perdure_proto::{
    api::{enums::WorkflowExecutionStatus, history::HistoryEvent, workflowservice as ws},
    records,
};
use perdure_rpc::Ask;
use perdure_runtime::Ctx;
use prost::Message;

use super::{
    Shard,
    events::{EventRange, read_stored},
    holder::{Current, Holder},
    load::unreadable,
    message::ShardMsg,
    reads::not_found,
    work::{Found, Job, Selector},
};

/// Events read at a time of those that come after the point.
const PAGE: i64 = 256;

/// Runs of a chain that are looked through for what comes after the point; more are not.
const CHAIN_MAX: usize = 10_000;

/// A request for a reset.
pub(super) type ResetAsk = Ask<Box<ws::ResetWorkflowExecutionRequest>, ws::ResetWorkflowExecutionResponse>;

/// How far a reset has come.
pub(super) enum Stage {
    /// The current run was looked for.
    CurrentLookedFor,
    /// The histories were read.
    Read(Box<Fork>),
}

/// The histories that a reset asked for.
pub(crate) struct ResetRead {
    /// The incarnation of the shard that asked.
    pub(crate) epoch: u64,
    base: ExecutionKey,
    ask: ResetAsk,
    result: Result<Fork, StoreError>,
}

impl Shard {
    pub(super) fn reset(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Found,
        ask: ResetAsk,
        stage: Option<Stage>,
        ctx: &mut Ctx<Self>,
    ) {
        let index = match found {
            Ok(index) => index,
            Err(selector) => return ask.refuse(not_found(key, &selector)),
        };
        let base = &holder.runs[index];
        let looked = match stage {
            Some(Stage::Read(fork)) => return self.finish_reset(key, holder, index, ask, *fork, ctx),
            Some(Stage::CurrentLookedFor) => true,
            None => false,
        };
        if let Err(error) = reset::check(&base.state, &ask.request) {
            return ask.refuse(error);
        }
        if holder.current != Current::Absent && holder.current_position().is_none() && !looked {
            let selector = Selector::Run(Arc::clone(&base.run_id));
            holder.waiting.push_front((selector, Job::Reset { ask, stage: Stage::CurrentLookedFor }));
            return self.load(key, holder, Selector::Current, ctx);
        }
        let current = holder.current_position().map(|index| &holder.runs[index].state);
        if let Some(run_id) = current.and_then(|current| reset::repeated(current, &ask.request)) {
            let run_id = run_id.to_owned();
            return ask.reply.send(Ok(ws::ResetWorkflowExecutionResponse { run_id }));
        }
        let point = ask.request.workflow_task_finish_event_id;
        let reading = Reading {
            store: self.store.clone(),
            shard: self.id,
            base: base.state.key.clone(),
            events: base.events(1, point + 1),
            later: (point, base.state.next_event_id() - 1),
            // Whatever is not stored yet is in memory.
            later_in_memory: base.events(base.durable_end().max(point), base.state.next_event_id()),
            next: next_of(base.state.status(), &base.state.record.new_execution_run_id),
            current: current.map(|current| Arc::clone(&current.key.run_id)),
            nothing_later: Excluded::of(&ask.request).everything(),
        };
        holder.loading = true;
        let epoch = self.epoch;
        let base = base.state.key.clone();
        ctx.spawn_io(
            async move {
                let result = reading.fork().await;
                ResetRead { epoch, base, ask, result }
            },
            |read| ShardMsg::ResetRead(Box::new(read)),
        );
    }

    /// The histories are here, or cannot be read.
    pub(super) fn reset_read(&mut self, read: ResetRead, ctx: &mut Ctx<Self>) {
        let ResetRead { base, ask, result, .. } = read;
        let Some(holder) = self.holders.get_mut(&base.business) else { return };
        holder.loading = false;
        match result {
            Ok(fork) => {
                let job = Job::Reset { ask, stage: Stage::Read(Box::new(fork)) };
                holder.waiting.push_front((Selector::Run(base.run_id), job));
            }
            Err(error) => ask.refuse(unreadable(&error)),
        }
        self.advance(&base.business, ctx);
    }

    fn finish_reset(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        base: usize,
        ask: ResetAsk,
        fork: Fork,
        ctx: &Ctx<Self>,
    ) {
        let Ask { caller, request, reply, permit } = ask;
        let namespace = Arc::clone(&caller.namespace);
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let current = holder.current_position();
        let state_of = |index: usize| &holder.runs[index].state;
        let decision = match reset::decide(state_of(base), current.map(state_of), &request, fork, &mut env) {
            Ok(decision) => decision,
            Err(error) => return reply.send(Err(error)),
        };
        self.commit(key, holder, base, decision.base, Box::new(|_, _, _| {}), ctx);
        if let (Some(transition), Some(index)) = (decision.current, current) {
            self.commit(key, holder, index, transition, Box::new(|_, _, _| {}), ctx);
        }
        let response = ws::ResetWorkflowExecutionResponse { run_id: decision.run_id };
        self.after_last_staged(Box::new(move |_, result: ServiceResult<()>, _| {
            let _permit = permit;
            reply.send(result.map(|()| response));
        }));
    }
}

impl Job {
    /// Whose work a reset is: that of its base run.
    pub(super) fn reset_target(ask: &ResetAsk) -> (BusinessKey, Selector) {
        let execution = ask.request.workflow_execution.as_ref();
        let workflow_id = execution.map_or("", |execution| &execution.workflow_id);
        let run_id = execution.map_or("", |execution| &execution.run_id);
        (BusinessKey::workflow(&ask.caller.namespace.id, workflow_id), Selector::of(run_id))
    }
}

/// What is to be read.
struct Reading {
    store: SharedStore,
    shard: ShardId,
    base: ExecutionKey,
    /// Events up to and with the point.
    events: EventRange,
    /// First and last of the base run's events from the point on.
    later: (i64, i64),
    /// The tail of these that may not be stored yet.
    later_in_memory: EventRange,
    /// The run that continued the base run as new.
    next: Option<String>,
    current: Option<Arc<str>>,
    nothing_later: bool,
}

impl Reading {
    async fn fork(self) -> Result<Fork, StoreError> {
        let Self { store, shard, base, events, later, later_in_memory, next, current, nothing_later } = self;
        let events = events.read(&store, shard, &base).await?.into_iter().map(Arc::new).collect();
        let mut fork = Fork { events, later: Vec::new(), reaches_current: current.as_deref() == Some(&*base.run_id) };
        if nothing_later {
            return Ok(fork);
        }
        let in_memory = later_in_memory.read(&store, shard, &base).await?;
        let stored_end = in_memory.first().map_or(later.1, |event| event.event_id - 1);
        read_reapplied(&store, shard, &base, (later.0, stored_end), &mut fork.later).await?;
        keep(in_memory, &mut fork.later);
        let mut next = next;
        for _ in 0..CHAIN_MAX {
            let Some(run_id) = next.take() else { break };
            let key = ExecutionKey { business: base.business.clone(), run_id: run_id.into() };
            // A run that was deleted ends the chain.
            let Some(stored) = store.load_execution(shard, &key).await? else { break };
            let record = records::Workflow::decode(stored.record)
                .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "load_execution", error.to_string()))?;
            read_reapplied(&store, shard, &key, (1, record.next_event_id - 1), &mut fork.later).await?;
            fork.reaches_current = current.as_deref() == Some(&*key.run_id);
            next = next_of(record.status(), &record.new_execution_run_id);
        }
        Ok(fork)
    }
}

/// The run that continued one as new: those that followed by retry or cron began afresh.
fn next_of(status: WorkflowExecutionStatus, run_id: &str) -> Option<String> {
    (status == WorkflowExecutionStatus::ContinuedAsNew && !run_id.is_empty()).then(|| run_id.to_owned())
}

/// Reads events `range.0..=range.1` a page at a time and keeps those that a reset does again.
async fn read_reapplied(
    store: &SharedStore,
    shard: ShardId,
    key: &ExecutionKey,
    range: (i64, i64),
    kept: &mut Vec<Arc<HistoryEvent>>,
) -> Result<(), StoreError> {
    let mut first = range.0;
    while first <= range.1 {
        let last = range.1.min(first + PAGE - 1);
        keep(read_stored(store, shard, key, first, last).await?, kept);
        first = last + 1;
    }
    Ok(())
}

fn keep(events: Vec<HistoryEvent>, kept: &mut Vec<Arc<HistoryEvent>>) {
    kept.extend(events.into_iter().filter(is_reapplied).map(Arc::new));
}
