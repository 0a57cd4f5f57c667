//! Updates, and those who wait for them.
//!
//! Admitting an update is nothing that is stored: its workflow task goes to matching straight from memory, and
//! what is told to its caller is told when an event of it, or its rejection, is final.

use std::collections::{BTreeMap, BTreeSet};

use perdure_execution::{
    Env,
    workflow::{
        Durability, Standing, Transition, UpdateEnd, UpdateNotice, WorkflowState,
        calls::update,
        updates::{abandoned, aborted_by_closing, aborted_by_server, failed, workflow_is_closing},
    },
};
use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult, Timestamp};
use perdure_proto::api::{
    history::{HistoryEvent, history_event::Attributes},
    update::Outcome,
};
use perdure_rpc::HistoryCall;
use perdure_runtime::Ctx;

use super::{
    Shard,
    asked::{Asked, PollAsk, Stage, Status, UpdateAsk},
    events::read_stored,
    holder::Holder,
    load::unreadable,
    message::ShardMsg,
    run::Run,
    work::Job,
};

/// Callers that wait for updates. Each holds an admission permit, which bounds their number.
#[derive(Default)]
pub(super) struct UpdateWaiters {
    next: u64,
    waiting: BTreeMap<u64, Waiter>,
    due: BTreeSet<(Timestamp, u64)>,
}

struct Waiter {
    run: ExecutionKey,
    until: Timestamp,
    asked: Asked,
}

/// What a caller can be told.
enum Verdict {
    /// Nothing yet.
    Wait,
    /// This stage is reached.
    Reached(Status),
    /// The update is answered by this event.
    Answered(i64),
    /// It has come to nothing.
    Failed(ServiceError),
    /// It must be asked for anew.
    Again,
}

impl UpdateWaiters {
    fn add(&mut self, run: &mut Run, until: Timestamp, asked: Asked) {
        self.next += 1;
        self.put(self.next, run, Waiter { run: run.state.key.clone(), until, asked });
    }

    fn put(&mut self, id: u64, run: &mut Run, waiter: Waiter) {
        run.update_waiters.push(id);
        self.due.insert((waiter.until, id));
        self.waiting.insert(id, waiter);
    }

    fn take(&mut self, id: u64) -> Option<Waiter> {
        let waiter = self.waiting.remove(&id)?;
        self.due.remove(&(waiter.until, id));
        Some(waiter)
    }

    /// When the next caller gets an answer in any case.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// All that is asked, to ask it anew: what the shard had in memory is lost.
    pub(super) fn drain(&mut self) -> Vec<Asked> {
        self.due.clear();
        std::mem::take(&mut self.waiting).into_values().map(|waiter| waiter.asked).collect()
    }
}

impl Shard {
    pub(super) fn update_workflow(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        ask: UpdateAsk,
        ctx: &mut Ctx<Self>,
    ) {
        let namespace = ask.caller.namespace.clone();
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        match update::decide(&holder.runs[index].state, &ask.request.request, &mut env) {
            Ok(decision) => {
                self.admit(key, holder, index, decision.transition, ctx);
                self.await_update(holder, index, Asked::Update(ask), ctx);
            }
            Err(error) => ask.refuse(error),
        }
    }

    pub(super) fn poll_update(&mut self, holder: &mut Holder, index: usize, ask: PollAsk, ctx: &mut Ctx<Self>) {
        let id = ask.request.update_ref.as_ref().map_or("", |update| &update.update_id);
        if holder.runs[index].state.find_update(id) == Standing::Unknown {
            let error = ServiceError::not_found(format!("update {id:?} not found"));
            return ask.refuse(error);
        }
        self.await_update(holder, index, Asked::Poll(ask), ctx);
    }

    /// Carries out what admitting an update came to.
    pub(super) fn admit(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        transition: Option<Transition>,
        ctx: &Ctx<Self>,
    ) {
        match transition {
            Some(transition) if transition.durability == Durability::InMemory => {
                self.change_in_memory(&mut holder.runs[index], transition, ctx);
            }
            Some(transition) => self.commit(key, holder, index, transition, Box::new(|_, _, _| {}), ctx),
            None => {}
        }
    }

    /// Takes over what is not stored.
    pub(super) fn change_in_memory(&mut self, run: &mut Run, mut transition: Transition, ctx: &Ctx<Self>) {
        let tasks = std::mem::take(&mut transition.tasks);
        run.take(transition, ctx.now());
        if run.state.task_is_speculative() {
            // Its start has no row to fall back on.
            run.task_row = None;
        }
        self.arm_volatile_wake(run);
        for task in tasks {
            self.offer_from_memory(&run.state.key, task, ctx);
        }
    }

    /// Answers a caller as soon as there is something to tell.
    pub(super) fn await_update(&mut self, holder: &mut Holder, index: usize, asked: Asked, ctx: &mut Ctx<Self>) {
        let now = ctx.now();
        let caller = asked.caller();
        let until = now + caller.namespace.limits.history_long_poll;
        let until = caller.deadline.map_or(until, |deadline| deadline.min(until));
        let run = &mut holder.runs[index];
        // What is being written is told when it is written.
        let verdict = if holder.uncommitted { Verdict::Wait } else { judge(&run.state, &[], &asked, None) };
        match verdict {
            Verdict::Wait => self.update_waiters.add(run, until, asked),
            verdict => {
                if let Some(call) = self.tell(run, asked, verdict, ctx) {
                    renew(holder, call);
                }
            }
        }
    }

    /// Something of this id is final: callers whose wait is over are answered.
    pub(super) fn settle_updates(&mut self, holder: &mut Holder, ctx: &mut Ctx<Self>) {
        let mut again = Vec::new();
        for run in holder.runs.iter_mut().filter(|run| run.has_news_of_updates()) {
            let ended = std::mem::take(&mut run.ended_updates);
            for id in std::mem::take(&mut run.update_waiters) {
                let Some(waiter) = self.update_waiters.take(id) else { continue };
                if waiter.asked.is_closed() {
                    continue;
                }
                let expired = Some(ctx.now()).filter(|now| waiter.until <= *now);
                match judge(&run.state, &ended, &waiter.asked, expired) {
                    Verdict::Wait => self.update_waiters.put(id, run, waiter),
                    verdict => again.extend(self.tell(run, waiter.asked, verdict, ctx)),
                }
            }
        }
        for call in again {
            renew(holder, call);
        }
    }

    /// Tells a caller. Gives back what must be asked anew.
    fn tell(&self, run: &Run, asked: Asked, verdict: Verdict, ctx: &mut Ctx<Self>) -> Option<HistoryCall> {
        match verdict {
            Verdict::Wait => {}
            Verdict::Reached(status) => asked.answer(&run.state.key, Ok(status)),
            Verdict::Answered(event_id) => self.tell_outcome(run, asked, event_id, ctx),
            Verdict::Failed(error) => return asked.fail(error),
            Verdict::Again => return asked.again(),
        }
        None
    }

    /// Tells the outcome that an event holds: one that is in memory, or an old one from the store.
    fn tell_outcome(&self, run: &Run, asked: Asked, event_id: i64, ctx: &mut Ctx<Self>) {
        let key = run.state.key.clone();
        let outcome = |event: &HistoryEvent| match &event.attributes {
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => completed.outcome.clone(),
            _ => None,
        };
        let status = |outcome: Option<Outcome>| Status { stage: Stage::Completed, outcome };
        if let Some(event) = run.tail.range(event_id, event_id + 1).and_then(|events| events.into_iter().next()) {
            return asked.answer(&key, Ok(status(outcome(&event))));
        }
        let (store, shard) = (self.store.clone(), self.id);
        ctx.spawn_io(
            async move {
                let events = read_stored(&store, shard, &key, event_id, event_id).await;
                let result = events.map(|events| status(events.first().and_then(outcome)));
                asked.answer(&key, result.map_err(|error| unreadable(&error)));
            },
            |()| ShardMsg::Answered,
        );
    }

    /// Answers callers who have waited long enough with what there is.
    pub(super) fn expire_updates(&mut self, now: Timestamp, ctx: &mut Ctx<Self>) {
        while let Some((_, id)) = self.update_waiters.due.first().copied().filter(|(at, _)| *at <= now) {
            self.update_waiters.due.pop_first();
            let Some(waiter) = self.update_waiters.waiting.get(&id) else { continue };
            let key = waiter.run.business.clone();
            let Some(mut holder) = self.holders.remove(&key) else {
                if let Some(waiter) = self.update_waiters.take(id) {
                    waiter.asked.refuse(aborted_by_server());
                }
                continue;
            };
            // Where something is being written, the end of that answers.
            if !holder.uncommitted {
                self.settle_updates(&mut holder, ctx);
            }
            self.holders.insert(key.clone(), holder);
            self.advance(&key, ctx);
        }
    }

    /// The shard stops: callers are told to try again elsewhere.
    pub(super) fn release_updates(&mut self) {
        for asked in self.update_waiters.drain() {
            asked.refuse(aborted_by_server());
        }
    }

    /// The shard has lost what it had in memory: what callers wait for is asked anew, once it is back. Those
    /// updates that were accepted are found then.
    pub(super) fn renew_updates(&mut self, ctx: &mut Ctx<Self>) {
        for asked in self.update_waiters.drain() {
            if let Some(call) = asked.again().filter(|call| call.caller().deadline.is_none_or(|at| at > ctx.now())) {
                self.accept(Job::Call(call), ctx);
            }
        }
    }
}

impl Run {
    /// Whether somebody waits for an update, or could have.
    pub(super) fn has_news_of_updates(&self) -> bool {
        !self.update_waiters.is_empty() || !self.ended_updates.is_empty()
    }
}

/// Work that has to be done anew comes after what waits already.
fn renew(holder: &mut Holder, call: HistoryCall) {
    let job = Job::Call(call);
    let (_, selector) = job.target();
    holder.waiting.push_back((selector, job));
}

/// What a caller can be told. `expired` is the present instant when it has waited long enough.
fn judge(state: &WorkflowState, ended: &[UpdateNotice], asked: &Asked, expired: Option<Timestamp>) -> Verdict {
    let completed = |outcome| Verdict::Reached(Status { stage: Stage::Completed, outcome: Some(outcome) });
    let id = asked.update_id();
    if let Some(notice) = ended.iter().rev().find(|notice| notice.id == id) {
        return match &notice.end {
            UpdateEnd::Rejected(failure) => completed(failed((**failure).clone())),
            UpdateEnd::Refused(error) => Verdict::Failed(error.clone()),
        };
    }
    let stage = match state.find_update(id) {
        Standing::Completed { event_id } => return Verdict::Answered(event_id),
        Standing::Rejected(failure) => return completed(failed(*failure)),
        Standing::Accepted if !state.is_open() => return completed(abandoned()),
        Standing::Aborted => return Verdict::Failed(aborted_by_closing()),
        Standing::Unknown if state.is_open() => return Verdict::Again,
        Standing::Unknown if state.is_continued() => return Verdict::Failed(workflow_is_closing()),
        Standing::Unknown => return Verdict::Failed(aborted_by_closing()),
        Standing::Accepted => Stage::Accepted,
        Standing::Admitted => Stage::Admitted,
    };
    match expired {
        _ if asked.stage() <= stage => Verdict::Reached(Status { stage, outcome: None }),
        Some(now) if asked.caller().deadline.is_some_and(|deadline| deadline <= now) => {
            Verdict::Failed(ServiceError::new(ErrorKind::DeadlineExceeded, "context deadline exceeded"))
        }
        Some(_) => Verdict::Reached(Status { stage, outcome: None }),
        None => Verdict::Wait,
    }
}

/// What a caller is told, or why not.
pub(super) type Told = ServiceResult<Status>;
