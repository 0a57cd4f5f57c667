//! The one place where a run's state changes.

use std::sync::Arc;

use perdure_kernel::{
    Timestamp,
    time::{span, span_to_proto_opt},
};
use perdure_proto::{
    api::{
        common::{Memo, SearchAttributes},
        enums::WorkflowExecutionStatus,
        history::{
            ActivityTaskScheduledEventAttributes, HistoryEvent, TimerStartedEventAttributes,
            WorkflowExecutionStartedEventAttributes, WorkflowTaskCompletedEventAttributes, history_event::Attributes,
        },
    },
    records,
};
use prost::Message;

use super::{
    change::Change,
    deadline, reset_points, server_attributes,
    state::{WorkflowState, merge_payloads},
};

impl WorkflowState {
    /// A run from its whole history, without its volatile part.
    pub fn rebuild<'a>(
        key: perdure_kernel::ExecutionKey,
        events: impl IntoIterator<Item = &'a Arc<HistoryEvent>>,
    ) -> Self {
        let mut state = Self::empty(key);
        for event in events {
            state.apply_event(event);
        }
        state.without_volatile()
    }

    /// Carries out one change. Cannot fail on what a decision made.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Event(event) => self.apply_event(event),
            Change::Attempt { scheduled_event_id, attempt } => self.apply_attempt(*scheduled_event_id, attempt),
            Change::Buffer(event) => {
                if let Some(event) = &event.event {
                    self.apply_at_once(event);
                }
                self.volatile.buffered.push(Arc::clone(event));
            }
            Change::ClearBuffer(ids) => self.volatile.buffered.retain(|event| !ids.contains(&event.id)),
            Change::Callback { id, progress } => self.apply_callback(id, progress),
            Change::SignalRequest(id) => {
                self.volatile.signal_requests.insert(id.clone());
            }
            Change::Run(run) => self.volatile.run.clone_from(run),
            Change::Updates(updates) => self.volatile.updates.clone_from(updates),
        }
    }

    fn apply_attempt(&mut self, id: i64, attempt: &Arc<records::ActivityAttempt>) {
        let Some(activity) = self.activities.get(&id) else { return };
        let before = self.volatile.attempts.insert(id, Arc::clone(attempt));
        if let Some(before) = before {
            for deadline in deadline::of_activity(activity, &before) {
                self.volatile.deadlines.remove(&deadline);
            }
        }
        self.volatile.deadlines.extend(deadline::of_activity(activity, attempt));
    }

    fn apply_event(&mut self, event: &HistoryEvent) {
        self.record.next_event_id = event.event_id + 1;
        self.record.history_size += i64::try_from(event.encoded_len()).unwrap_or(0);
        let at = event.event_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
        let Some(attributes) = &event.attributes else { return };
        match attributes {
            Attributes::WorkflowExecutionStartedEventAttributes(start) => {
                self.started(start, at);
                self.record.user_metadata.clone_from(&event.user_metadata);
                self.record.start_links.clone_from(&event.links);
            }
            Attributes::WorkflowExecutionCompletedEventAttributes(close) => {
                self.closed(event, at, WorkflowExecutionStatus::Completed, &close.new_execution_run_id);
            }
            Attributes::WorkflowExecutionFailedEventAttributes(close) => {
                self.closed(event, at, WorkflowExecutionStatus::Failed, &close.new_execution_run_id);
            }
            Attributes::WorkflowExecutionTimedOutEventAttributes(close) => {
                self.closed(event, at, WorkflowExecutionStatus::TimedOut, &close.new_execution_run_id);
            }
            Attributes::WorkflowExecutionContinuedAsNewEventAttributes(close) => {
                self.closed(event, at, WorkflowExecutionStatus::ContinuedAsNew, &close.new_execution_run_id);
            }
            Attributes::WorkflowExecutionCanceledEventAttributes(_) => {
                self.closed(event, at, WorkflowExecutionStatus::Canceled, "");
            }
            Attributes::WorkflowExecutionTerminatedEventAttributes(_) => {
                self.closed(event, at, WorkflowExecutionStatus::Terminated, "");
            }
            Attributes::WorkflowTaskScheduledEventAttributes(_) => self.record.first_task_scheduled = true,
            Attributes::WorkflowTaskCompletedEventAttributes(done) => self.task_completed(event, done, at),
            Attributes::WorkflowTaskFailedEventAttributes(failed) => self.task_failed(failed, at),
            Attributes::ActivityTaskScheduledEventAttributes(scheduled) => {
                self.activity_scheduled(event.event_id, scheduled, at);
            }
            Attributes::TimerStartedEventAttributes(timer) => self.timer_started(event.event_id, timer, at),
            Attributes::WorkflowExecutionSignaledEventAttributes(_) => self.record.signal_count += 1,
            Attributes::WorkflowExecutionCancelRequestedEventAttributes(_) => self.record.cancel_requested = true,
            Attributes::UpsertWorkflowSearchAttributesEventAttributes(upsert) => {
                if let Some(changes) = &upsert.search_attributes {
                    let merged = merge_payloads(&self.search_attributes.indexed_fields, &changes.indexed_fields);
                    self.search_attributes = Arc::new(SearchAttributes { indexed_fields: merged });
                    server_attributes::replace_builds(self, changes);
                }
            }
            Attributes::WorkflowPropertiesModifiedEventAttributes(modified) => {
                if let Some(changes) = &modified.upserted_memo {
                    let merged = merge_payloads(&self.memo.fields, &changes.fields);
                    self.memo = Arc::new(Memo { fields: merged });
                }
            }
            Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(initiated) => {
                self.child_initiated(event, initiated);
            }
            Attributes::ChildWorkflowExecutionStartedEventAttributes(started) => {
                self.child_started(started, event.event_id);
            }
            Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(initiated) => {
                self.external_signal_initiated(event.event_id, initiated);
            }
            Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(initiated) => {
                self.external_cancel_initiated(event.event_id, initiated);
            }
            Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(update) => {
                let meta = update.request.as_ref().and_then(|request| request.meta.as_ref());
                let id = meta.map_or("", |meta| &meta.update_id);
                self.record.admitted_updates += 1;
                self.updates.entry(id.to_owned()).or_default().admitted_event_id = event.event_id;
            }
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(update) => {
                let known = self.updates.entry(update.protocol_instance_id.clone()).or_default();
                known.accepted_event_id = event.event_id;
                self.record.admitted_updates -= i64::from(known.admitted_event_id != 0);
            }
            Attributes::WorkflowExecutionUpdateCompletedEventAttributes(update) => {
                let id = update.meta.as_ref().map_or("", |meta| &meta.update_id);
                self.updates.entry(id.to_owned()).or_default().completed_event_id = event.event_id;
                self.record.completed_updates += 1;
            }
            // What takes effect when it comes, and events that change nothing but the history.
            _ => self.apply_at_once(event),
        }
    }

    /// The part of an event's effect that does not wait in the buffer: the pending thing that it ends is over,
    /// options and pauses hold. Doing it twice is the same as once.
    fn apply_at_once(&mut self, event: &HistoryEvent) {
        let Some(attributes) = &event.attributes else { return };
        match attributes {
            Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated) => {
                self.options_updated(updated);
                let at = event.event_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
                self.attached(updated, event.event_id, at);
            }
            Attributes::WorkflowExecutionPausedEventAttributes(paused) => {
                let at = event.event_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
                self.paused(paused, at);
            }
            Attributes::WorkflowExecutionUnpausedEventAttributes(_) => self.unpaused(),
            Attributes::ActivityTaskCompletedEventAttributes(done) => self.activity_closed(done.scheduled_event_id),
            Attributes::ActivityTaskFailedEventAttributes(done) => self.activity_closed(done.scheduled_event_id),
            Attributes::ActivityTaskTimedOutEventAttributes(done) => self.activity_closed(done.scheduled_event_id),
            Attributes::ActivityTaskCanceledEventAttributes(done) => self.activity_closed(done.scheduled_event_id),
            Attributes::TimerFiredEventAttributes(timer) => self.timer_closed(timer.started_event_id),
            Attributes::TimerCanceledEventAttributes(timer) => self.timer_closed(timer.started_event_id),
            // While it waits in the buffer, the child is known to be started, but not by which event.
            Attributes::ChildWorkflowExecutionStartedEventAttributes(started) => self.child_started(started, 0),
            other => self.family_ended(other),
        }
    }

    fn started(&mut self, start: &WorkflowExecutionStartedEventAttributes, at: Timestamp) {
        let backoff = span(start.first_workflow_task_backoff.as_ref());
        let execution_time = at + backoff;
        let execution_expires = start.workflow_execution_expiration_time.as_ref().map(Timestamp::from_proto);
        let run_timeout = span(start.workflow_run_timeout.as_ref());
        let run_expires = (!run_timeout.is_zero()).then(|| execution_time + run_timeout);
        let run_expires = run_expires.into_iter().chain(execution_expires).min();
        let record = &mut self.record;
        record.set_status(WorkflowExecutionStatus::Running);
        record.start_time = at.as_nanos();
        record.execution_time = execution_time.as_nanos();
        record.run_expires_at = run_expires.unwrap_or_default().as_nanos();
        record.execution_expires_at = execution_expires.unwrap_or_default().as_nanos();
        record.auto_reset_points =
            start.prev_auto_reset_points.as_ref().map(|points| points.points.clone()).unwrap_or_default();
        self.memo = Arc::new(start.memo.clone().unwrap_or_default());
        self.search_attributes = Arc::new(start.search_attributes.clone().unwrap_or_default());
        self.start = Arc::new(start.clone());
        self.register_callbacks("", "", &start.completion_callbacks, at);
    }

    fn closed(&mut self, event: &HistoryEvent, at: Timestamp, status: WorkflowExecutionStatus, next_run: &str) {
        self.record.set_status(status);
        self.record.close_time = at.as_nanos();
        self.record.close_event_id = event.event_id;
        self.record.new_execution_run_id = next_run.to_owned();
    }

    fn task_completed(&mut self, event: &HistoryEvent, done: &WorkflowTaskCompletedEventAttributes, at: Timestamp) {
        self.record.last_completed_started_event_id = done.started_event_id;
        self.record.most_recent_worker_version.clone_from(&done.worker_version);
        reset_points::record(self, event.event_id, done, at);
        server_attributes::record_build(self, done.worker_version.as_ref());
    }

    fn activity_scheduled(&mut self, id: i64, scheduled: &ActivityTaskScheduledEventAttributes, at: Timestamp) {
        self.activity_ids.insert(scheduled.activity_id.clone(), id);
        let activity = records::ScheduledActivity {
            scheduled_event_id: id,
            scheduled_time: at.as_nanos(),
            attributes: Some(scheduled.clone()),
        };
        self.activities.insert(id, Arc::new(activity));
    }

    fn activity_closed(&mut self, id: i64) {
        let Some(activity) = self.activities.remove(&id) else { return };
        let activity_id = activity.attributes.as_ref().map_or("", |attributes| &attributes.activity_id);
        // A buffered end joins the history after its activity id was given to another activity.
        if self.activity_ids.get(activity_id) == Some(&id) {
            self.activity_ids.remove(activity_id);
        }
        if let Some(attempt) = self.volatile.attempts.remove(&id) {
            for deadline in deadline::of_activity(&activity, &attempt) {
                self.volatile.deadlines.remove(&deadline);
            }
        }
    }

    fn timer_started(&mut self, id: i64, started: &TimerStartedEventAttributes, at: Timestamp) {
        let timer = records::Timer {
            timer_id: started.timer_id.clone(),
            started_event_id: id,
            fire_at: (at + span(started.start_to_fire_timeout.as_ref())).as_nanos(),
        };
        self.timer_ids.insert(timer.timer_id.clone(), id);
        self.volatile.deadlines.insert(deadline::of_timer(&timer));
        self.timers.insert(id, Arc::new(timer));
    }

    fn timer_closed(&mut self, id: i64) {
        let Some(timer) = self.timers.remove(&id) else { return };
        if self.timer_ids.get(&timer.timer_id) == Some(&id) {
            self.timer_ids.remove(&timer.timer_id);
        }
        self.volatile.deadlines.remove(&deadline::of_timer(&timer));
    }
}

/// A span as events carry it: present even when it is zero.
pub(crate) fn event_span(value: std::time::Duration) -> Option<perdure_proto::Duration> {
    Some(span_to_proto_opt(value).unwrap_or_default())
}
