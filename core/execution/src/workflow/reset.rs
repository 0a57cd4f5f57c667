//! A run made from another one's history: what is taken over from the events before the point, and what is
//! done again of those after it.

use std::{collections::BTreeMap, sync::Arc};

use perdure_kernel::{Timestamp, time::span};
use perdure_proto::{
    api::{
        common::Payloads,
        enums::{
            ResetReapplyExcludeType as Exclude, ResetReapplyType, RetryState, UpdateAdmittedEventOrigin,
            WorkflowTaskFailedCause,
        },
        failure::{Failure, ResetWorkflowFailureInfo, failure::FailureInfo},
        history::{
            ActivityTaskFailedEventAttributes, HistoryEvent, WorkflowExecutionOptionsUpdatedEventAttributes,
            WorkflowExecutionSignaledEventAttributes, WorkflowTaskFailedEventAttributes, history_event::Attributes,
        },
        update::Request,
        workflowservice::ResetWorkflowExecutionRequest,
    },
    records,
};

use super::{
    change::{Change, NewTask},
    close::SERVER_IDENTITY,
    draft::{Draft, EventExtras},
    family::{Pending, pending},
    start::Signal,
    state::WorkflowState,
    task::{ResetRuns, TaskFailure, TaskStart},
};

/// Request id of the start that is written for a workflow task which no worker had taken at the point.
const NO_REQUEST_ID: &str = "emptyUuid";

impl WorkflowState {
    /// A failed workflow task changes nothing, unless a reset failed it: from there on the run is a new one,
    /// whose times count from now.
    pub(super) fn task_failed(&mut self, failed: &WorkflowTaskFailedEventAttributes, at: Timestamp) {
        if failed.cause() != WorkflowTaskFailedCause::ResetWorkflow || failed.new_run_id.is_empty() {
            return;
        }
        let record = &mut self.record;
        let original_start_time = record.reset.as_ref().map_or(record.start_time, |reset| reset.original_start_time);
        record.reset = Some(records::WorkflowReset {
            base_run_id: failed.base_run_id.clone(),
            reset_time: at.as_nanos(),
            original_start_time,
        });
        record.start_time = at.as_nanos();
        record.execution_time = at.as_nanos();
        let execution_timeout = span(self.start.workflow_execution_timeout.as_ref());
        let run_timeout = span(self.start.workflow_run_timeout.as_ref());
        let expires = (!execution_timeout.is_zero()).then(|| at + execution_timeout);
        if let Some(expires) = expires {
            record.execution_expires_at = expires.as_nanos();
        }
        if !run_timeout.is_zero() {
            record.run_expires_at = expires.into_iter().chain([at + run_timeout]).min().unwrap_or(at).as_nanos();
        }
        let open: Vec<i64> = self.activities.keys().copied().collect();
        for id in open {
            if let Some(activity) = self.activities.get_mut(&id) {
                Arc::make_mut(activity).scheduled_time = at.as_nanos();
            }
        }
    }
}

/// What of the events after the point is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// Signals.
    pub signals: bool,
    /// Updates.
    pub updates: bool,
    /// Results of Nexus operations.
    pub nexus: bool,
    /// Requests to cancel: never done again anyway.
    cancel_requests: bool,
}

impl Excluded {
    /// What a request leaves out, by its list and by the deprecated type.
    #[expect(deprecated, reason = "clients may still send it")]
    pub fn of(request: &ResetWorkflowExecutionRequest) -> Self {
        let by_type = request.reset_reapply_type();
        let listed = |kind: Exclude| request.reset_reapply_exclude_types().any(|listed| listed == kind);
        let none = by_type == ResetReapplyType::None;
        Self {
            signals: none || listed(Exclude::Signal),
            updates: none || by_type == ResetReapplyType::Signal || listed(Exclude::Update),
            nexus: listed(Exclude::Nexus),
            cancel_requests: listed(Exclude::CancelRequest),
        }
    }

    /// Whether nothing at all is left: then later events need not even be read.
    pub fn everything(self) -> bool {
        self.signals && self.updates && self.nexus && self.cancel_requests
    }
}

/// Whether a reset may do something again because of an event after its point.
pub fn is_reapplied(event: &HistoryEvent) -> bool {
    matches!(
        event.attributes,
        Some(
            Attributes::WorkflowExecutionSignaledEventAttributes(_)
                | Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(_)
                | Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(_)
                | Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(_)
                | Attributes::StartChildWorkflowExecutionFailedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionStartedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionCompletedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionFailedEventAttributes(_)
                | Attributes::ChildWorkflowExecutionCanceledEventAttributes(_)
                | Attributes::ChildWorkflowExecutionTimedOutEventAttributes(_)
                | Attributes::ChildWorkflowExecutionTerminatedEventAttributes(_)
        )
    )
}

/// The workflow task that is pending at the end of `events`: its scheduled event, and the id of its started one.
pub(super) fn pending_task(events: &[Arc<HistoryEvent>]) -> Option<(&HistoryEvent, Option<&HistoryEvent>)> {
    let mut pending = None;
    for event in events {
        match &event.attributes {
            Some(Attributes::WorkflowTaskScheduledEventAttributes(_)) => pending = Some((&**event, None)),
            Some(Attributes::WorkflowTaskStartedEventAttributes(_)) => {
                pending = pending.map(|(scheduled, _)| (scheduled, Some(&**event)));
            }
            Some(
                Attributes::WorkflowTaskCompletedEventAttributes(_)
                | Attributes::WorkflowTaskFailedEventAttributes(_)
                | Attributes::WorkflowTaskTimedOutEventAttributes(_),
            ) => pending = None,
            // No other event says anything about workflow tasks.
            _ => {}
        }
    }
    pending
}

/// What events tell of what a run keeps beside its events.
#[derive(Default)]
struct Traces<'a> {
    /// Cancel requests of activities: the event's id by the activity's scheduled event.
    cancels: BTreeMap<i64, i64>,
    /// Starts of activities: event id and worker by the activity's scheduled event.
    starts: BTreeMap<i64, (i64, &'a str)>,
    signals: Vec<&'a str>,
}

impl<'a> Traces<'a> {
    fn of(events: &'a [Arc<HistoryEvent>]) -> Self {
        let mut traces = Self::default();
        for event in events {
            match &event.attributes {
                Some(Attributes::ActivityTaskCancelRequestedEventAttributes(cancel)) => {
                    traces.cancels.insert(cancel.scheduled_event_id, event.event_id);
                }
                Some(Attributes::ActivityTaskStartedEventAttributes(start)) => {
                    traces.starts.insert(start.scheduled_event_id, (event.event_id, &start.identity));
                }
                Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) if !signal.request_id.is_empty() => {
                    traces.signals.push(&signal.request_id);
                }
                // The state keeps what any other event tells.
                _ => {}
            }
        }
        traces
    }
}

impl Draft<'_, '_> {
    /// Takes over the events before the point, and fails the workflow task that is pending there.
    pub(super) fn fork(&mut self, events: &[Arc<HistoryEvent>], runs: ResetRuns, reason: &str) {
        for event in events {
            self.change(Change::Event(Arc::clone(event)));
        }
        self.history_size_before = self.state.record.history_size;
        let traces = Traces::of(events);
        for request_id in traces.signals {
            self.change(Change::SignalRequest(request_id.to_owned()));
        }
        self.fail_forked_task(events, runs, reason);
        for (id, (started_event_id, worker)) in traces.starts {
            if self.state.activities.contains_key(&id) {
                let failed = ActivityTaskFailedEventAttributes {
                    failure: Some(reset_failure(reason, None)),
                    scheduled_event_id: id,
                    started_event_id,
                    identity: worker.to_owned(),
                    retry_state: RetryState::NonRetryableFailure.into(),
                    ..Default::default()
                };
                self.emit(Attributes::ActivityTaskFailedEventAttributes(failed));
            }
        }
    }

    /// Lets what was pending at the point begin anew: after everything else, for that may end it, or change how it
    /// is handed out.
    pub(super) fn begin_again(&mut self, events: &[Arc<HistoryEvent>]) {
        let cancels = Traces::of(events).cancels;
        let open: Vec<i64> = self.state.activities.keys().copied().collect();
        for id in open {
            let cancel = cancels.get(&id).copied();
            let attempt = records::ActivityAttempt {
                attempt: 1,
                scheduled_time: self.now().as_nanos(),
                cancel_requested: cancel.is_some(),
                cancel_requested_event_id: cancel.unwrap_or_default(),
                ..Default::default()
            };
            self.set_attempt(id, attempt);
            self.dispatch_activity(id);
        }
        let state = &self.state;
        let children = state.children.iter().filter(|(_, child)| child.started_run_id.is_empty());
        let children = children.map(|(id, _)| NewTask::StartChild(records::StartChild { initiated_event_id: *id }));
        let signals = state.external_signals.keys();
        let signals = signals.map(|id| NewTask::SignalExternal(records::SignalExternal { initiated_event_id: *id }));
        let cancels = state.external_cancels.keys();
        let cancels = cancels.map(|id| NewTask::CancelExternal(records::CancelExternal { initiated_event_id: *id }));
        self.tasks.extend(children.chain(signals).chain(cancels));
    }

    fn fail_forked_task(&mut self, events: &[Arc<HistoryEvent>], runs: ResetRuns, reason: &str) {
        let Some((scheduled, started)) = pending_task(events) else { return };
        let time = |event: &HistoryEvent| event.event_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
        self.state.volatile.run.task = Some(records::WorkflowTask {
            scheduled_event_id: scheduled.event_id,
            scheduled_time: time(scheduled).as_nanos(),
            started_event_id: started.map_or(0, |event| event.event_id),
            started_time: started.map_or(0, |event| time(event).as_nanos()),
            attempt: 1,
            ..Default::default()
        });
        if started.is_none() {
            self.start_task(TaskStart {
                identity: SERVER_IDENTITY.to_owned(),
                request_id: NO_REQUEST_ID.to_owned(),
                worker_version: None,
            });
        }
        self.fail_task(TaskFailure {
            cause: WorkflowTaskFailedCause::ResetWorkflow,
            failure: Some(reset_failure(reason, None)),
            identity: SERVER_IDENTITY.to_owned(),
            binary_checksum: String::new(),
            reset: Some(runs),
        });
        // Nobody's fault.
        self.state.volatile.run.task_problems = 0;
    }

    /// Does again what an event after the point told.
    pub(super) fn reapply(&mut self, event: &HistoryEvent, excluded: Excluded) {
        match &event.attributes {
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) if !excluded.signals => {
                self.record_signal(Signal {
                    attributes: WorkflowExecutionSignaledEventAttributes {
                        signal_name: signal.signal_name.clone(),
                        input: signal.input.clone(),
                        identity: signal.identity.clone(),
                        header: signal.header.clone(),
                        request_id: signal.request_id.clone(),
                        ..Default::default()
                    },
                    request_id: signal.request_id.clone(),
                    links: event.links.clone(),
                });
            }
            Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated)) => {
                self.reapply_options(updated, event);
            }
            Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(update)) if !excluded.updates => {
                self.admit_again(update.request.clone(), update.origin());
            }
            // An update that an event had admitted is accepted without its request: that event is done again.
            Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(update))
                if !excluded.updates && update.accepted_request.is_some() =>
            {
                self.admit_again(update.accepted_request.clone(), UpdateAdmittedEventOrigin::Reapply);
            }
            Some(attributes) => self.reapply_child(attributes),
            None => {}
        }
    }

    /// Admits an update by an event, unless the run knows it: the new run's worker is asked anew.
    fn admit_again(&mut self, request: Option<Request>, origin: UpdateAdmittedEventOrigin) {
        let Some(request) = request else { return };
        let id = request.meta.as_ref().map_or("", |meta| &meta.update_id);
        if !self.state.updates.contains_key(id) {
            self.admit_update(request, origin);
        }
    }

    /// Does again what happened to a child that was started before the point, or is being started.
    fn reapply_child(&mut self, told: &Attributes) {
        let Some(Pending::Child(id)) = pending(told) else { return };
        let Some(child) = self.state.children.get(&id) else { return };
        let started = child.started_event_id;
        let mut told = told.clone();
        match &mut told {
            Attributes::ChildWorkflowExecutionStartedEventAttributes(_) if started != 0 => return,
            Attributes::ChildWorkflowExecutionCompletedEventAttributes(end) => end.started_event_id = started,
            Attributes::ChildWorkflowExecutionFailedEventAttributes(end) => end.started_event_id = started,
            Attributes::ChildWorkflowExecutionCanceledEventAttributes(end) => end.started_event_id = started,
            Attributes::ChildWorkflowExecutionTimedOutEventAttributes(end) => end.started_event_id = started,
            Attributes::ChildWorkflowExecutionTerminatedEventAttributes(end) => end.started_event_id = started,
            // The start, or its failure.
            _ => {}
        }
        self.emit(told);
    }

    fn reapply_options(&mut self, updated: &WorkflowExecutionOptionsUpdatedEventAttributes, event: &HistoryEvent) {
        if self.state.attached_requests.contains_key(&updated.attached_request_id) {
            // The start that it tells of is attached already, by an event before the point.
            return;
        }
        self.update_options(updated.clone(), EventExtras { links: event.links.clone(), ..Default::default() });
    }
}

fn reset_failure(reason: &str, last_heartbeat_details: Option<Payloads>) -> Failure {
    Failure {
        message: reason.to_owned(),
        failure_info: Some(FailureInfo::ResetWorkflowFailureInfo(ResetWorkflowFailureInfo { last_heartbeat_details })),
        ..Default::default()
    }
}
