//! A workflow run as it stands.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use perdure_kernel::{ExecutionKey, Timestamp};
use perdure_proto::{
    api::{
        common::{Memo, Payload, SearchAttributes},
        enums::WorkflowExecutionStatus,
        history::WorkflowExecutionStartedEventAttributes,
    },
    records,
};

use super::{callbacks::CallbackId, deadline::Deadline, updates::PendingUpdate};

/// A workflow run.
///
/// Cheap to clone: what can grow is shared. A decision works on a clone and hands it back, so a refused
/// decision leaves nothing behind.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowState {
    /// Which run this is.
    pub key: ExecutionKey,
    /// Small facts told by events. Its `volatile` field is always `None` here: see [`Volatile::run`].
    pub record: records::Workflow,
    /// The attributes of the first event.
    pub start: Arc<WorkflowExecutionStartedEventAttributes>,
    /// Present memo.
    pub memo: Arc<Memo>,
    /// Present search attributes.
    pub search_attributes: Arc<SearchAttributes>,
    /// Open activities by the id of their scheduled event.
    pub activities: OrdMap<i64, Arc<records::ScheduledActivity>>,
    /// Open activities' scheduled event ids by activity id.
    pub activity_ids: OrdMap<String, i64>,
    /// Pending timers by the id of their started event.
    pub timers: OrdMap<i64, Arc<records::Timer>>,
    /// Pending timers' started event ids by timer id.
    pub timer_ids: OrdMap<String, i64>,
    /// Children that have not closed, by the id of their initiated event.
    pub children: OrdMap<i64, Arc<records::PendingChild>>,
    /// Signals on their way to other workflows, by the id of their initiated event.
    pub external_signals: OrdMap<i64, Arc<records::PendingSignal>>,
    /// Cancellations on their way to other workflows, by the id of their initiated event.
    pub external_cancels: OrdMap<i64, Arc<records::PendingCancel>>,
    /// Updates that were accepted, or admitted by an event, by id.
    pub updates: OrdMap<String, records::Update>,
    /// Completion callbacks, those that are done included. Their `progress` is `None` here: see
    /// [`Volatile::callbacks`].
    pub callbacks: OrdMap<CallbackId, Arc<records::CompletionCallback>>,
    /// Requests attached to the run after its start, by their id.
    pub attached_requests: OrdMap<String, records::AttachedRequest>,
    /// What events do not tell.
    pub volatile: Volatile,
}

/// The part of a run's state that only mutations touch. A rebuild from history leaves it at its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volatile {
    /// Workflow task, stickiness, counters.
    pub run: records::WorkflowVolatile,
    /// Attempts of open activities by the id of their scheduled event.
    pub attempts: OrdMap<i64, Arc<records::ActivityAttempt>>,
    /// Events that wait for the running workflow task to end, in order of arrival.
    pub buffered: Vec<Arc<records::BufferedEvent>>,
    /// Request ids of signals received.
    pub signal_requests: OrdSet<String>,
    /// Updates that no event tells of yet, in order of admission. Not stored.
    pub updates: Vec<Arc<PendingUpdate>>,
    /// Deadlines of activities and timers, earliest first. Derived from them.
    pub deadlines: OrdSet<(Timestamp, Deadline)>,
    /// Progress of the completion callbacks that were triggered.
    pub callbacks: OrdMap<CallbackId, Arc<records::CallbackProgress>>,
    /// Callbacks that wait for their next try, earliest first. Derived from their progress.
    pub callback_retries: OrdSet<(Timestamp, CallbackId)>,
}

impl WorkflowState {
    /// A run before its first event.
    pub fn empty(key: ExecutionKey) -> Self {
        Self {
            key,
            record: records::Workflow { next_event_id: 1, ..Default::default() },
            start: Arc::default(),
            memo: Arc::default(),
            search_attributes: Arc::default(),
            activities: OrdMap::new(),
            activity_ids: OrdMap::new(),
            timers: OrdMap::new(),
            timer_ids: OrdMap::new(),
            children: OrdMap::new(),
            external_signals: OrdMap::new(),
            external_cancels: OrdMap::new(),
            updates: OrdMap::new(),
            callbacks: OrdMap::new(),
            attached_requests: OrdMap::new(),
            volatile: Volatile::default(),
        }
    }

    /// Whether the run is open. Everything that changes a run asks this first.
    pub fn is_open(&self) -> bool {
        matches!(self.status(), WorkflowExecutionStatus::Running | WorkflowExecutionStatus::Paused)
    }

    /// The run's status.
    pub fn status(&self) -> WorkflowExecutionStatus {
        self.record.status()
    }

    /// The workflow id.
    pub fn workflow_id(&self) -> &str {
        &self.key.business.business_id
    }

    /// The run id.
    pub fn run_id(&self) -> &str {
        &self.key.run_id
    }

    /// Id that the next event will get.
    pub fn next_event_id(&self) -> i64 {
        self.record.next_event_id
    }

    /// The workflow task that is scheduled or started.
    pub fn task(&self) -> Option<&records::WorkflowTask> {
        self.volatile.run.task.as_ref()
    }

    /// The workflow task that a worker has now.
    pub fn started_task(&self) -> Option<&records::WorkflowTask> {
        self.task().filter(|task| task.started_time != 0)
    }

    /// Which attempt the pending workflow task is, or the next one will be.
    pub fn task_attempt(&self) -> i32 {
        self.task().map_or(self.volatile.run.next_task_attempt.max(1), |task| task.attempt)
    }

    /// Whether the run closed with another one following it.
    pub fn is_continued(&self) -> bool {
        !self.record.new_execution_run_id.is_empty()
    }

    /// Whether events must wait for the running workflow task to end.
    pub fn buffers_events(&self) -> bool {
        self.started_task().is_some()
    }

    /// Name of the workflow's own task queue.
    pub fn task_queue(&self) -> &str {
        self.start.task_queue.as_ref().map_or("", |queue| &queue.name)
    }

    /// Name of the workflow's type.
    pub fn workflow_type(&self) -> &str {
        self.start.workflow_type.as_ref().map_or("", |kind| &kind.name)
    }

    /// First run of the chain.
    pub fn first_run_id(&self) -> &str {
        &self.start.first_execution_run_id
    }

    /// When the run times out, if it does.
    pub fn run_expiration(&self) -> Option<Timestamp> {
        let at = Timestamp::from_nanos(self.record.run_expires_at);
        (!at.is_unset()).then_some(at)
    }

    /// An activity's attempt. Every open activity has one.
    pub fn attempt(&self, scheduled_event_id: i64) -> Option<&Arc<records::ActivityAttempt>> {
        self.volatile.attempts.get(&scheduled_event_id)
    }

    /// Whether a worker ever completed a workflow task of this run.
    pub fn completed_a_task(&self) -> bool {
        self.record.last_completed_started_event_id > 0
    }

    /// A copy as the store gives it back: without what is in memory only.
    pub fn without_memory(&self) -> Self {
        let mut state = self.clone();
        state.volatile.updates.clear();
        state.volatile.run.task.take_if(|task| task.speculative);
        state
    }

    /// A copy as a rebuild from history would give it: without its volatile part.
    pub fn without_volatile(&self) -> Self {
        Self { volatile: Volatile::default(), ..self.clone() }
    }
}

/// `base` with `changes` merged in; a payload without data or encoded as null removes its key
/// (temporalio/api `UpsertWorkflowSearchAttributes`, `ModifyWorkflowProperties`).
pub(crate) fn merge_payloads(
    base: &std::collections::BTreeMap<String, Payload>,
    changes: &std::collections::BTreeMap<String, Payload>,
) -> std::collections::BTreeMap<String, Payload> {
    let mut merged = base.clone();
    for (name, payload) in changes {
        if is_null(payload) {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), payload.clone());
        }
    }
    merged
}

/// Whether a payload stands for "no value".
pub(crate) fn is_null(payload: &Payload) -> bool {
    let encoding = payload.metadata.get("encoding").map(|value| value.as_ref());
    payload.data.is_empty()
        || encoding == Some(b"binary/null".as_slice())
        || matches!(payload.data.as_ref(), b"null" | b"[]")
}
