//! One run in memory.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use perdure_execution::{
    items::WorkflowItem,
    workflow::{Durability, Transition, UpdateNotice, WorkflowState, shown_otherwise},
};
use perdure_kernel::Timestamp;
use perdure_proto::api::history::HistoryEvent;
use prost::Message;

use super::queries::BufferedQuery;

/// Bytes a run is taken to need beside its events.
const RUN_BYTES: usize = 4096;

/// A run in memory: its state, what of it the store does not have yet, and who waits for it.
pub(super) struct Run {
    pub(super) run_id: Arc<str>,
    pub(super) state: WorkflowState,
    /// Record version in the store; 0 when the run is not stored yet.
    pub(super) version: i64,
    pub(super) unsaved: Unsaved,
    pub(super) tail: EventTail,
    pub(super) queries: Vec<BufferedQuery>,
    /// Long polls for its events, by their number.
    pub(super) watchers: Vec<u64>,
    /// Those who wait for its updates, by their number.
    pub(super) update_waiters: Vec<u64>,
    /// Updates that ended without a trace, in what is not told yet.
    pub(super) ended_updates: Vec<UpdateNotice>,
    /// The wake-up in the timer queue that is not stored: a workflow task's timeout.
    pub(super) volatile_wake: Option<(Timestamp, i64)>,
    /// Id of the immediate task that handed the pending workflow task to matching, if that was done since
    /// the run came into memory.
    pub(super) task_row: Option<i64>,
    /// Id of such a task that stays in the store until the start in `unsaved` is stored.
    pub(super) kept_row: Option<i64>,
}

/// What the store does not have yet.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) items: BTreeSet<WorkflowItem>,
    pub(super) events: Vec<Arc<HistoryEvent>>,
    /// Whether lists show the run otherwise, and then whether its search attributes changed.
    pub(super) shown: Option<bool>,
    /// When the oldest of it was decided.
    pub(super) since: Option<Timestamp>,
}

impl Run {
    /// A run that is not stored yet, or one fresh from the store.
    pub(super) fn new(state: WorkflowState, version: i64) -> Self {
        Self {
            run_id: Arc::clone(&state.key.run_id),
            tail: EventTail::starting_at(state.next_event_id()),
            state,
            version,
            unsaved: Unsaved::default(),
            queries: Vec::new(),
            watchers: Vec::new(),
            update_waiters: Vec::new(),
            ended_updates: Vec::new(),
            volatile_wake: None,
            task_row: None,
            kept_row: None,
        }
    }

    /// Takes over what a transition decided.
    pub(super) fn take(&mut self, mut transition: Transition, now: Timestamp) {
        self.ended_updates.append(&mut transition.notices);
        if transition.durability == Durability::InMemory {
            self.state = transition.state;
            return;
        }
        self.unsaved.items.append(&mut transition.touched_items());
        for event in transition.events() {
            self.unsaved.events.push(Arc::clone(event));
            self.tail.push(Arc::clone(event));
        }
        if let Some(attributes_changed) = shown_otherwise(&self.state, &transition.state) {
            self.unsaved.shown = Some(attributes_changed || self.unsaved.shown == Some(true));
        }
        self.unsaved.since.get_or_insert(now);
        self.state = transition.state;
    }

    /// Id of the first event that the store does not have.
    pub(super) fn durable_end(&self) -> i64 {
        self.unsaved.events.first().map_or(self.state.next_event_id(), |event| event.event_id)
    }

    /// Whether nobody waits for this run and the store has all of it. Updates that nobody waits for any more may
    /// be lost: who still wants one asks again.
    pub(super) fn is_quiet(&self) -> bool {
        let nobody_asks = self.queries.iter().all(|query| query.ask.reply.is_closed());
        let stored = self.unsaved.since.is_none() && !self.state.task_is_speculative();
        self.watchers.is_empty() && self.update_waiters.is_empty() && nobody_asks && stored
    }

    /// Approximate memory.
    pub(super) fn bytes(&self) -> usize {
        RUN_BYTES + self.tail.bytes + self.state.pending_updates_size()
    }
}

/// The latest events of a run, kept so that a worker's poll needs no read.
pub(super) struct EventTail {
    events: VecDeque<Arc<HistoryEvent>>,
    first_id: i64,
    bytes: usize,
}

/// Bytes of events kept per run; older ones are read from the store.
const TAIL_BYTES_MAX: usize = 256 * 1024;

/// Bytes an event is taken to need beside its encoded size: one value holds the largest kind there is.
const EVENT_BYTES: usize = size_of::<HistoryEvent>();

impl EventTail {
    fn starting_at(first_id: i64) -> Self {
        Self { events: VecDeque::new(), first_id, bytes: 0 }
    }

    fn push(&mut self, event: Arc<HistoryEvent>) {
        self.bytes += event.encoded_len() + EVENT_BYTES;
        self.events.push_back(event);
        while self.bytes > TAIL_BYTES_MAX && self.events.len() > 1 {
            if let Some(event) = self.events.pop_front() {
                self.bytes -= event.encoded_len() + EVENT_BYTES;
                self.first_id = event.event_id + 1;
            }
        }
    }

    /// Id of the first event that is here.
    pub(super) fn first_id(&self) -> i64 {
        self.first_id
    }

    /// Events `first..end`, or `None` when some of them are no longer here.
    pub(super) fn range(&self, first: i64, end: i64) -> Option<Vec<Arc<HistoryEvent>>> {
        if first >= end {
            return Some(Vec::new());
        }
        if first < self.first_id {
            return None;
        }
        let skip = usize::try_from(first - self.first_id).ok()?;
        let count = usize::try_from(end - first).ok()?;
        let events: Vec<_> = self.events.iter().skip(skip).take(count).cloned().collect();
        (events.len() == count).then_some(events)
    }
}
