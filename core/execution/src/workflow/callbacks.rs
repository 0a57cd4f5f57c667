//! Completion callbacks: who waits for a run's end, and how far telling them is.
//!
//! A callback stands by until its trigger, is then scheduled, and backs off between tries until it has
//! succeeded or failed for good. Continue-as-new and retry hand callbacks that stand by to the next run.

use std::{sync::Arc, time::Duration};

use perdure_kernel::{Timestamp, backoff};
use perdure_proto::{
    api::{
        common::{Callback, link},
        enums::{CallbackState, EventType, RetryState},
        failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
        history::{HistoryEvent, WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
    },
    records,
};

use super::{
    change::{Change, NewTask},
    draft::Draft,
    state::WorkflowState,
};
use crate::completion::{Completion, Outcome};

/// Share of a wait between tries that jitter may take away.
const RETRY_JITTER: f64 = 0.2;

/// Bytes kept of what went wrong with a try.
const FAILURE_TEXT_MAX: usize = 4096;

/// Names a callback of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallbackId {
    /// Request that attached it; empty for the start of the run.
    pub request_id: String,
    /// Its place among the callbacks of that request, from 0.
    pub index: i32,
}

/// How a try to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The other side took it.
    Succeeded,
    /// It did not get there, and may later. Holds what went wrong.
    Retry(String),
    /// It will never get there. Holds what went wrong.
    Failed(String),
}

impl WorkflowState {
    /// Takes callbacks in. Those that are known are left as they are.
    pub(crate) fn register_callbacks(
        &mut self,
        request_id: &str,
        update_id: &str,
        callbacks: &[Callback],
        at: Timestamp,
    ) {
        for (id, callback) in CallbackId::each(request_id, callbacks).zip(callbacks) {
            if self.callbacks.contains_key(&id) {
                continue;
            }
            let callback = records::CompletionCallback {
                request_id: id.request_id.clone(),
                index: id.index,
                registered_at: at.as_nanos(),
                callback: Some(callback.clone()),
                update_id: update_id.to_owned(),
                progress: None,
            };
            self.callbacks.insert(id, Arc::new(callback));
        }
    }

    /// Takes in what an update of the run's options attached; `event_id` is 0 while its event waits.
    pub(crate) fn attached(
        &mut self,
        updated: &WorkflowExecutionOptionsUpdatedEventAttributes,
        event_id: i64,
        at: Timestamp,
    ) {
        let request_id = &updated.attached_request_id;
        if !request_id.is_empty() {
            let event_type = EventType::WorkflowExecutionOptionsUpdated.into();
            self.attached_requests.insert(request_id.clone(), records::AttachedRequest { event_type, event_id });
        }
        self.register_callbacks(request_id, "", &updated.attached_completion_callbacks, at);
    }

    /// Sets how far a callback's delivery is.
    pub(crate) fn apply_callback(&mut self, id: &CallbackId, progress: &Arc<records::CallbackProgress>) {
        let due = |progress: &records::CallbackProgress| {
            let at = Timestamp::from_nanos(progress.next_attempt_time);
            (!at.is_unset()).then(|| (at, id.clone()))
        };
        let volatile = &mut self.volatile;
        if let Some(before) =
            volatile.callbacks.insert(id.clone(), Arc::clone(progress)).and_then(|before| due(&before))
        {
            volatile.callback_retries.remove(&before);
        }
        volatile.callback_retries.extend(due(progress));
    }

    /// Callbacks that wait for the end of the run, as the next run of the chain inherits them.
    pub(crate) fn inherited_callbacks(&self) -> Vec<Callback> {
        let standing_by = self
            .callbacks
            .iter()
            .filter(|(id, callback)| callback.update_id.is_empty() && !self.volatile.callbacks.contains_key(*id));
        standing_by.filter_map(|(_, callback)| callback.callback.clone()).collect()
    }

    /// Where a callback goes, when it is scheduled and `attempt` tries have ended.
    pub fn callback_to_deliver(&self, id: &CallbackId, attempt: i32) -> Option<&Callback> {
        let progress = self.volatile.callbacks.get(id)?;
        let wanted = progress.state() == CallbackState::Scheduled && progress.attempt == attempt;
        self.callbacks.get(id).filter(|_| wanted)?.callback.as_ref()
    }

    /// What a callback tells of the run's end, which `close` is.
    pub fn completion(&self, id: &CallbackId, namespace: &str, close: &HistoryEvent) -> Option<Completion> {
        let reference = match self.attached_requests.get(&id.request_id) {
            // The event that attached it may have been in the buffer: it is known by the request.
            Some(request) => link::workflow_event::Reference::RequestIdRef(link::workflow_event::RequestIdReference {
                request_id: id.request_id.clone(),
                event_type: request.event_type,
            }),
            None => link::workflow_event::Reference::EventRef(link::workflow_event::EventReference {
                event_id: 1,
                event_type: EventType::WorkflowExecutionStarted.into(),
            }),
        };
        Some(Completion {
            start_time: Timestamp::from_nanos(self.record.start_time),
            close_time: close.event_time.as_ref().map(Timestamp::from_proto).unwrap_or_default(),
            link: link::WorkflowEvent {
                namespace: namespace.to_owned(),
                workflow_id: self.workflow_id().to_owned(),
                run_id: self.run_id().to_owned(),
                reference: Some(reference),
            },
            outcome: Outcome::of_close(close.attributes.as_ref()?)?,
        })
    }
}

impl CallbackId {
    /// The names of `callbacks` that a request attaches.
    pub(crate) fn each(request_id: &str, callbacks: &[Callback]) -> impl Iterator<Item = Self> + use<> {
        let request_id = request_id.to_owned();
        let count = i32::try_from(callbacks.len()).unwrap_or(i32::MAX);
        (0..count).map(move |index| Self { request_id: request_id.clone(), index })
    }
}

impl Draft<'_, '_> {
    /// Schedules the callbacks that stand by for the end of the run. A run that another one carries on (also one
    /// that was reset away) leaves them to it; those of updates are told now in any case, for updates end with their run.
    pub(crate) fn trigger_callbacks(&mut self, close: &Attributes) {
        let inherited = self.state.volatile.run.was_reset || carries_on(close);
        self.schedule_callbacks(|callback| !inherited || !callback.update_id.is_empty());
    }

    /// Schedules the callbacks that stand by and are `wanted`.
    pub(crate) fn schedule_callbacks(&mut self, wanted: impl Fn(&records::CompletionCallback) -> bool) {
        let callbacks = self.state.callbacks.clone();
        for (id, _) in callbacks.iter().filter(|(_, callback)| wanted(callback)) {
            if !self.state.volatile.callbacks.contains_key(id) {
                self.deliver_callback(id, records::CallbackProgress::default());
            }
        }
    }

    /// Schedules the callbacks whose wait is over.
    pub(crate) fn retry_callbacks(&mut self) {
        while let Some((at, id)) = self.state.volatile.callback_retries.get_min().cloned() {
            let progress = self.state.volatile.callbacks.get(&id).map(|progress| (**progress).clone());
            let Some(progress) = progress.filter(|_| at <= self.now()) else { return };
            self.deliver_callback(&id, progress);
        }
    }

    /// Takes note of how a try ended.
    pub(crate) fn callback_tried(&mut self, id: &CallbackId, delivery: Delivery) {
        let Some(before) = self.state.volatile.callbacks.get(id) else { return };
        let mut progress = records::CallbackProgress {
            attempt: before.attempt + 1,
            last_attempt_complete_time: self.now().as_nanos(),
            ..Default::default()
        };
        match delivery {
            Delivery::Succeeded => progress.set_state(CallbackState::Succeeded),
            Delivery::Retry(text) => {
                progress.set_state(CallbackState::BackingOff);
                progress.last_attempt_failure = Some(failure(text, false));
                progress.next_attempt_time = (self.now() + self.callback_backoff(progress.attempt)).as_nanos();
            }
            Delivery::Failed(text) => {
                progress.set_state(CallbackState::Failed);
                progress.last_attempt_failure = Some(failure(text, true));
            }
        }
        self.change(Change::Callback { id: id.clone(), progress: Arc::new(progress) });
    }

    fn callback_backoff(&mut self, attempt: i32) -> Duration {
        let limits = self.env.limits();
        let (initial, max) = (limits.callback_retry_interval_initial, limits.callback_retry_interval_max);
        backoff::jitter_down(backoff::exponential(initial, 2.0, max, attempt), RETRY_JITTER, self.env.random)
    }

    fn deliver_callback(&mut self, id: &CallbackId, mut progress: records::CallbackProgress) {
        progress.set_state(CallbackState::Scheduled);
        progress.next_attempt_time = 0;
        self.tasks.push(NewTask::Callback(records::DeliverCallback {
            request_id: id.request_id.clone(),
            index: id.index,
            attempt: progress.attempt,
        }));
        self.change(Change::Callback { id: id.clone(), progress: Arc::new(progress) });
    }
}

/// Whether the run that this event closes is carried on by another one, in the eyes of those who wait for the
/// end. A cron schedule does not carry on: they wait for the end of its first run.
fn carries_on(close: &Attributes) -> bool {
    match close {
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(_) => true,
        Attributes::WorkflowExecutionFailedEventAttributes(close) => close.retry_state() == RetryState::InProgress,
        Attributes::WorkflowExecutionTimedOutEventAttributes(close) => close.retry_state() == RetryState::InProgress,
        _ => false,
    }
}

fn failure(mut text: String, non_retryable: bool) -> Failure {
    text.truncate(text.floor_char_boundary(FAILURE_TEXT_MAX));
    let info = ApplicationFailureInfo { non_retryable, ..Default::default() };
    Failure { message: text, failure_info: Some(FailureInfo::ApplicationFailureInfo(info)), ..Default::default() }
}
