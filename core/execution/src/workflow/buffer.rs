//! Events that arrive while a worker has a workflow task wait until the task ends, so that the worker's
//! commands join the history it saw.

use std::{collections::BTreeMap, sync::Arc};

use perdure_proto::api::history::{HistoryEvent, history_event::Attributes};
use prost::Message;

use super::{change::Change, draft::Draft};

impl Draft<'_, '_> {
    /// Appends the waiting events. Order of arrival is kept, but the ends of activities and children come last: a
    /// worker must see what happened before it sees what it waited for. Returns whether there were any.
    pub(crate) fn flush_buffer(&mut self) -> bool {
        let buffered = self.state.volatile.buffered.clone();
        if buffered.is_empty() {
            return false;
        }
        self.change(Change::ClearBuffer(buffered.iter().map(|event| event.id).collect()));
        let events = buffered.iter().filter_map(|event| event.event.as_ref());
        let (completions, others): (Vec<_>, Vec<_>) = events.partition(|event| is_completion(event));
        let mut started = BTreeMap::new();
        for event in others.into_iter().chain(completions) {
            self.append_buffered(event.clone(), &mut started);
        }
        true
    }

    /// Forgets the waiting events: the run is closed.
    pub(crate) fn drop_buffer(&mut self) {
        if !self.state.volatile.buffered.is_empty() {
            let ids = self.state.volatile.buffered.iter().map(|event| event.id).collect();
            self.change(Change::ClearBuffer(ids));
        }
    }

    /// Whether the buffer is over its bounds.
    pub(crate) fn buffer_overflows(&self) -> bool {
        let limits = self.env.limits();
        let buffered = &self.state.volatile.buffered;
        buffered.len() > limits.buffered_events_max
            || buffered.iter().map(|event| event.encoded_len()).sum::<usize>() > limits.buffered_events_size_max
    }

    /// Gives a buffered event its id, and the end of an activity or child the id that its start got.
    fn append_buffered(&mut self, mut event: HistoryEvent, started: &mut BTreeMap<i64, i64>) {
        event.task_id += self.state.next_event_id() - event.event_id;
        event.event_id = self.state.next_event_id();
        match event.attributes.as_mut() {
            Some(Attributes::ActivityTaskStartedEventAttributes(start)) => {
                started.insert(start.scheduled_event_id, event.event_id);
            }
            Some(Attributes::ChildWorkflowExecutionStartedEventAttributes(start)) => {
                started.insert(start.initiated_event_id, event.event_id);
            }
            Some(Attributes::ChildWorkflowExecutionCompletedEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.initiated_event_id, started);
            }
            Some(Attributes::ChildWorkflowExecutionFailedEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.initiated_event_id, started);
            }
            Some(Attributes::ChildWorkflowExecutionCanceledEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.initiated_event_id, started);
            }
            Some(Attributes::ChildWorkflowExecutionTimedOutEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.initiated_event_id, started);
            }
            Some(Attributes::ChildWorkflowExecutionTerminatedEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.initiated_event_id, started);
            }
            Some(Attributes::ActivityTaskCompletedEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.scheduled_event_id, started);
            }
            Some(Attributes::ActivityTaskFailedEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.scheduled_event_id, started);
            }
            Some(Attributes::ActivityTaskTimedOutEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.scheduled_event_id, started);
            }
            Some(Attributes::ActivityTaskCanceledEventAttributes(end)) => {
                relink(&mut end.started_event_id, end.scheduled_event_id, started);
            }
            _ => {}
        }
        self.change(Change::Event(Arc::new(event)));
    }
}

fn relink(started_event_id: &mut i64, first_event_id: i64, started: &BTreeMap<i64, i64>) {
    if let Some(id) = started.get(&first_event_id) {
        *started_event_id = *id;
    }
}

/// The activity that an event ends, by its scheduled event.
pub(crate) fn ended_activity(event: &HistoryEvent) -> Option<i64> {
    match event.attributes.as_ref()? {
        Attributes::ActivityTaskCompletedEventAttributes(end) => Some(end.scheduled_event_id),
        Attributes::ActivityTaskFailedEventAttributes(end) => Some(end.scheduled_event_id),
        Attributes::ActivityTaskTimedOutEventAttributes(end) => Some(end.scheduled_event_id),
        Attributes::ActivityTaskCanceledEventAttributes(end) => Some(end.scheduled_event_id),
        _ => None,
    }
}

/// Whether an event ends something that the workflow waits for.
fn is_completion(event: &HistoryEvent) -> bool {
    matches!(
        event.attributes,
        Some(
            Attributes::ActivityTaskCompletedEventAttributes(_)
                | Attributes::ActivityTaskFailedEventAttributes(_)
                | Attributes::ActivityTaskTimedOutEventAttributes(_)
                | Attributes::ActivityTaskCanceledEventAttributes(_)
                | Attributes::ChildWorkflowExecutionCompletedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionFailedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionCanceledEventAttributes(_)
                | Attributes::ChildWorkflowExecutionTimedOutEventAttributes(_)
                | Attributes::ChildWorkflowExecutionTerminatedEventAttributes(_)
        )
    )
}
