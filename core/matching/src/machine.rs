//! The machine: one partition of one task queue.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::Timestamp;
use perdure_proto::records::QueuedTask;

use crate::{
    AddRefusal, Input, Output, PollerNote, QueryRefusal, Settings, StartId,
    backlog::Backlog,
    dispatch::Pair,
    fairness::{Fairness, clamp, weight_of},
    forward::Forwards,
    line::Line,
    queries::Queries,
    rate::{KeyLimits, Limiter, Meter},
    seen::Seen,
    settings::LEVELS_MAX,
    tasks::{Entry, Place, Tasks},
};

/// What kind of partition this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only partition of a worker's own queue: nothing is stored, everything is short-lived.
    Sticky,
    /// The root of a normal queue.
    Root,
    /// Another partition of a normal queue: hands on to its parent what finds no partner here.
    Child,
}

/// One partition of one task queue. See the crate's page for its rules.
#[derive(Debug)]
pub struct QueueMachine {
    pub(crate) role: Role,
    pub(crate) settings: Settings,
    pub(crate) draining: bool,
    pub(crate) line: Line,
    pub(crate) tasks: Tasks,
    /// Tasks whose start failed, by the end of their pause.
    pub(crate) aside: BTreeMap<(Timestamp, u64), Entry>,
    pub(crate) backlog: Backlog,
    pub(crate) queries: Queries,
    pub(crate) starts: BTreeMap<StartId, Pair>,
    pub(crate) forwards: Forwards,
    pub(crate) limiter: Limiter,
    pub(crate) rate: Option<f64>,
    pub(crate) key_limits: KeyLimits,
    pub(crate) fairness: [Fairness; LEVELS_MAX],
    /// Weights of fairness keys that an operator has set.
    pub(crate) weights: BTreeMap<u64, f32>,
    /// How often more pollers are asked for.
    pub(crate) scaling: Limiter,
    pub(crate) seen: Seen,
    pub(crate) added: [Meter; LEVELS_MAX],
    pub(crate) dispatched: [Meter; LEVELS_MAX],
    /// Tasks in memory whose asker waits for the acknowledgement.
    pub(crate) unacknowledged: usize,
    pub(crate) last_poll: Option<Timestamp>,
    last_use: Timestamp,
    numbers: u64,
}

impl QueueMachine {
    /// A partition that has just come to memory.
    pub fn new(role: Role, settings: Settings, now: Timestamp) -> Self {
        Self {
            role,
            settings,
            draining: false,
            line: Line::default(),
            tasks: Tasks::default(),
            aside: BTreeMap::new(),
            backlog: Backlog::new(role != Role::Sticky),
            queries: Queries::default(),
            starts: BTreeMap::new(),
            forwards: Forwards::default(),
            limiter: Limiter::default(),
            rate: None,
            key_limits: KeyLimits::default(),
            fairness: Default::default(),
            weights: BTreeMap::new(),
            scaling: Limiter::default(),
            seen: Seen::default(),
            added: Default::default(),
            dispatched: Default::default(),
            unacknowledged: 0,
            last_poll: None,
            last_use: now,
            numbers: 0,
        }
    }

    /// Takes new settings; what already waits keeps the times it was given.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Remembers who polled, for describe.
    pub fn note_poller(&mut self, now: Timestamp, note: PollerNote<'_>) {
        self.seen.note(now, note);
    }

    /// Forgets a poller that shut down.
    pub fn forget_poller(&mut self, identity: &str) {
        self.seen.forget(identity);
    }

    /// Takes in what happened and appends what is to be done.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        let mut may_idle = false;
        match input {
            Input::Opened => {}
            Input::PollArrived { poll, deadline } => {
                self.last_use = now;
                self.poll_arrived(now, poll, deadline, out);
            }
            Input::PollGone { poll } => {
                self.line.remove(poll);
                self.forwards.poll_gone(poll);
            }
            Input::TaskAdded { ask, task, until } => {
                self.last_use = now;
                self.task_added(now, ask, task, until, out);
            }
            Input::QueryAdded { query, deadline } => {
                self.last_use = now;
                self.query_added(now, query, deadline, out);
            }
            Input::QueryAnswered { query } => {
                self.queries.remove(query);
            }
            Input::Started { start, outcome } => self.started(now, start, outcome, out),
            Input::LeaseAcquired { range_id } => self.lease_acquired(range_id),
            Input::Surveyed(survey) => self.surveyed(survey),
            Input::LeaseFailed => self.lease_failed(now, out),
            Input::Appended => self.appended(out),
            Input::AppendFailed => self.append_failed(now, out),
            Input::PageRead { tasks, last, full } => self.page_read(now, tasks, last, full),
            Input::ReadFailed => self.read_failed(now),
            Input::Acked => self.acked(),
            Input::AckFailed => self.ack_failed(now),
            Input::PollForwarded { poll, outcome } => self.poll_forwarded(now, poll, outcome, out),
            Input::TaskForwarded { forward, outcome } => self.task_forwarded(now, forward, outcome, out),
            Input::RateSet(rate) => {
                self.rate = rate;
                self.limiter.set(rate, now);
            }
            Input::Configured(config) => {
                self.key_limits.set(config.key_rate);
                self.weights = config.weights;
            }
            Input::Tick => may_idle = true,
            Input::Drain => self.drain(out),
        }
        self.expire(now, out);
        self.dispatch(now, out);
        self.forward(now, out);
        self.maintain_backlog(now, out);
        if may_idle && self.is_quiet() && self.last_use + self.settings.idle_max <= now {
            out.push(Output::GoIdle);
        }
    }

    fn expire(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(poll) = self.line.pop_due(now) {
            self.last_poll = Some(now);
            out.push(Output::AnswerPollEmpty { poll });
        }
        self.expire_queries(now, out);
        self.expire_tasks(now, out);
    }

    /// When to send [`Input::Tick`] if nothing else happens before.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let tasks_wait = !self.line.is_empty() && self.tasks.loaded() + self.tasks.fresh() > 0;
        let limited = if tasks_wait { self.limited_until(now) } else { None };
        let idle = self.is_quiet().then(|| self.last_use + self.settings.idle_max);
        [
            self.line.next_deadline(),
            self.queries.next_wake(),
            self.tasks.next_end(),
            self.aside.first_key_value().map(|((at, _), _)| *at),
            limited,
            self.forward_wake(now),
            self.backlog_wake(),
            idle,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the next task may be dispatched, when that is not yet.
    fn limited_until(&self, now: Timestamp) -> Option<Timestamp> {
        let key = self.first_task().and_then(|place| self.tasks.get(place)).map_or(0, |entry| entry.key);
        let at = self.limiter.ready_at()?.max(self.key_limits.ready_at(key)?);
        (at > now).then_some(at)
    }

    /// Where the next task is, whatever the limits say.
    pub(crate) fn first_task(&self) -> Option<Place> {
        self.tasks.first(|level| self.backlog.gate(level))
    }

    /// The weight of a task of this key.
    pub(crate) fn weight(&self, key: u64, task: &QueuedTask) -> f32 {
        // Hardly a queue has overrides.
        let set = if self.weights.is_empty() { None } else { self.weights.get(&key) };
        set.map_or_else(|| weight_of(task.priority.as_ref()), |weight| clamp(*weight))
    }

    /// The pass of a task that comes now.
    pub(crate) fn pass_for(&mut self, level: usize, key: u64, task: &QueuedTask) -> i64 {
        let weight = self.weight(key, task);
        self.fairness[level].assign(key, weight)
    }

    /// Nobody waits for anything, and nothing but the stored backlog would be lost.
    fn is_quiet(&self) -> bool {
        self.line.is_empty()
            && self.queries.is_empty()
            && self.starts.is_empty()
            && self.aside.is_empty()
            && self.unacknowledged == 0
            && self.tasks.fresh() == 0
            && !self.forwards.has_polls()
            && !self.backlog.is_writing()
            && !self.has_garbage()
    }

    /// Hands back everything that has not been paired.
    fn drain(&mut self, out: &mut Vec<Output>) {
        self.draining = true;
        while let Some((poll, _)) = self.line.pop() {
            out.push(Output::AnswerPollEmpty { poll });
        }
        self.recall(out);
        for entry in self.tasks.take_fresh().into_iter().chain(std::mem::take(&mut self.aside).into_values()) {
            self.refuse(entry, AddRefusal::Stopping, out);
        }
        self.queries_stop(out);
    }

    pub(crate) fn queries_stop(&mut self, out: &mut Vec<Output>) {
        for query in self.queries.drain() {
            out.push(Output::FailQuery { query, refusal: QueryRefusal::Stopping });
        }
    }

    /// After [`Input::Drain`]: nothing is under way any more.
    pub fn is_drained(&self) -> bool {
        self.draining && self.starts.is_empty() && !self.backlog.is_writing()
    }

    /// Whether the partition has its lease and knows what its backlog holds.
    pub fn is_loaded(&self) -> bool {
        self.backlog.is_loaded()
    }

    /// Tasks that wait for a poller, stored ones included; those left by an earlier owner count once the
    /// backlog is summed up.
    pub fn backlog_count(&self) -> i64 {
        let away = self.aside.values().chain(self.forwards.tasks()).filter(|entry| !entry.is_guest()).count();
        let count = self.backlog.elsewhere() + (self.tasks.own() + away) as u64;
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Whether a poller waits, is being served, or was seen within `window`.
    pub(crate) fn polled_within(&self, now: Timestamp, window: Duration) -> bool {
        !self.line.is_empty()
            || !self.starts.is_empty()
            || self.forwards.has_polls()
            || self.last_poll.is_some_and(|at| now.since(at) < window)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
