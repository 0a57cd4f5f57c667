//! A decision in the making: a working copy of the run, and the changes that led to it.

use std::sync::Arc;

use perdure_kernel::Timestamp;
use perdure_proto::{
    api::{
        common::Link,
        history::{HistoryEvent, history_event::Attributes},
        sdk::{EventGroupMarker, UserMetadata},
    },
    records,
};

use super::{
    buffer::ended_activity,
    change::{Change, Durability, NewTask, Transition},
    event_kind::event_type,
    state::WorkflowState,
    updates::UpdateNotice,
};
use crate::Env;

/// Parts of an event beside its attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventExtras {
    /// When it happened, if not now.
    pub(crate) time: Option<Timestamp>,
    /// As the client gave it.
    pub(crate) links: Vec<Link>,
    /// As the client or the command gave it.
    pub(crate) user_metadata: Option<UserMetadata>,
    /// As the command gave them.
    pub(crate) group_markers: Vec<EventGroupMarker>,
}

/// Clients see a task id with every event and only ask that it grows; no queue is kept by it here.
const TASK_ID_BASE: i64 = 1 << 20;

/// The working copy. Every change is applied at once, so later steps of a decision see earlier ones.
pub(crate) struct Draft<'a, 'e> {
    /// The world.
    pub(crate) env: &'a mut Env<'e>,
    /// The run as decided so far. Only `volatile.run` and, with `updates_changed` set, `volatile.updates` may be
    /// written to directly; [`Draft::finish`] records what became of them.
    pub(crate) state: WorkflowState,
    /// Tasks to enqueue.
    pub(crate) tasks: Vec<NewTask>,
    /// A run to start in the same commit.
    pub(crate) successor: Option<Box<Transition>>,
    /// Updates that ended without a trace.
    pub(crate) notices: Vec<UpdateNotice>,
    /// Whether `volatile.updates` was written to.
    pub(crate) updates_changed: bool,
    /// Whether the speculative workflow task is of this decision: it stays one.
    pub(crate) keeps_speculative: bool,
    /// Bytes of the history before this decision.
    pub(crate) history_size_before: i64,
    changes: Vec<Change>,
    run_before: records::WorkflowVolatile,
}

impl<'a, 'e> Draft<'a, 'e> {
    /// A draft of a decision about `state`.
    pub(crate) fn new(state: &WorkflowState, env: &'a mut Env<'e>) -> Self {
        Self {
            env,
            state: state.clone(),
            tasks: Vec::new(),
            successor: None,
            notices: Vec::new(),
            updates_changed: false,
            keeps_speculative: false,
            history_size_before: state.record.history_size,
            changes: Vec::new(),
            run_before: state.volatile.run.clone(),
        }
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.env.now
    }

    /// Carries out a change and keeps it.
    pub(crate) fn change(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }

    /// Appends an event and returns its id.
    pub(crate) fn emit(&mut self, attributes: Attributes) -> i64 {
        self.emit_with(attributes, EventExtras::default())
    }

    /// Appends an event and returns its id.
    pub(crate) fn emit_with(&mut self, attributes: Attributes, extras: EventExtras) -> i64 {
        self.write_speculative_task();
        let event_id = self.state.next_event_id();
        let event = self.event(event_id, attributes, extras);
        self.change(Change::Event(Arc::new(event)));
        event_id
    }

    /// Appends an event, or lets it wait in the buffer while a worker has a workflow task. Returns its id; 0 when
    /// it waits.
    pub(crate) fn emit_or_buffer(&mut self, attributes: Attributes, extras: EventExtras) -> i64 {
        self.write_speculative_task();
        if self.state.buffers_events() {
            let id = self.state.volatile.run.next_buffered_id;
            self.state.volatile.run.next_buffered_id += 1;
            let event = self.event(0, attributes, extras);
            self.change(Change::Buffer(Arc::new(records::BufferedEvent { id, event: Some(event) })));
            0
        } else {
            self.emit_with(attributes, extras)
        }
    }

    /// The latest event of this decision that joined the history.
    pub(crate) fn last_event(&self) -> Option<&Arc<HistoryEvent>> {
        self.changes.iter().rev().find_map(Change::event)
    }

    /// Whether an activity was ended by this decision, or by an event that waits in the buffer.
    pub(crate) fn ends_activity(&self, scheduled_event_id: i64) -> bool {
        let decided = self.changes.iter().filter_map(Change::event).map(|event| &**event);
        let waiting = self.state.volatile.buffered.iter().filter_map(|waiting| waiting.event.as_ref());
        decided.chain(waiting).filter_map(ended_activity).any(|id| id == scheduled_event_id)
    }

    /// Sets an open activity's attempt.
    pub(crate) fn set_attempt(&mut self, scheduled_event_id: i64, attempt: records::ActivityAttempt) {
        self.change(Change::Attempt { scheduled_event_id, attempt: Arc::new(attempt) });
    }

    /// The transition: what changed since the draft began.
    pub(crate) fn finish(mut self, mut durability: Durability) -> Transition {
        if durability != Durability::InMemory && self.state.task_is_speculative() && !self.keeps_speculative {
            self.write_speculative_task();
            durability = Durability::BeforeReply;
        }
        if !self.state.is_open() {
            self.abort_updates();
        }
        if durability != Durability::InMemory {
            self.state.volatile.run.state_transitions += 1;
        }
        if self.state.volatile.run != self.run_before {
            self.changes.push(Change::Run(Box::new(self.state.volatile.run.clone())));
        }
        if self.updates_changed {
            self.changes.push(Change::Updates(self.state.volatile.updates.clone()));
        }
        Transition {
            state: self.state,
            changes: self.changes,
            tasks: self.tasks,
            durability,
            notices: self.notices,
            successor: self.successor,
        }
    }

    fn event(&self, event_id: i64, attributes: Attributes, extras: EventExtras) -> HistoryEvent {
        HistoryEvent {
            event_id,
            task_id: TASK_ID_BASE + event_id,
            event_time: Some(extras.time.unwrap_or(self.env.now).to_proto()),
            event_type: event_type(&attributes).into(),
            links: extras.links,
            user_metadata: extras.user_metadata,
            event_group_markers: extras.group_markers,
            worker_may_ignore: may_be_ignored(&attributes),
            attributes: Some(attributes),
            ..Default::default()
        }
    }
}

/// Whether SDKs that do not know the event may go on without it.
fn may_be_ignored(attributes: &Attributes) -> bool {
    matches!(
        attributes,
        Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(_)
            | Attributes::WorkflowExecutionPausedEventAttributes(_)
            | Attributes::WorkflowExecutionUnpausedEventAttributes(_)
    )
}
