//! A paused run takes in what happens to it, and hands out nothing.

use perdure_kernel::Timestamp;
use perdure_proto::api::{
    enums::{WorkflowExecutionStatus, WorkflowTaskFailedCause},
    history::{WorkflowExecutionPausedEventAttributes, history_event::Attributes},
    workflow::WorkflowExecutionPauseInfo,
};
use perdure_proto::records;

use super::{
    activity_control::with_matching,
    draft::{Draft, EventExtras},
    state::WorkflowState,
    task::{Delivery, TaskFailure},
};

/// The search attribute that tells what of a run is paused.
pub const PAUSE_ATTRIBUTE: &str = "TemporalPauseInfo";

impl WorkflowState {
    /// Whether the run is paused.
    pub fn is_paused(&self) -> bool {
        self.status() == WorkflowExecutionStatus::Paused
    }

    /// The pause as clients see it. A run that was closed while it was paused keeps it.
    pub(super) fn pause_info(&self) -> Option<WorkflowExecutionPauseInfo> {
        self.record.pause.as_ref().map(|pause| WorkflowExecutionPauseInfo {
            identity: pause.identity.clone(),
            paused_time: Timestamp::from_nanos(pause.paused_time).to_proto_opt(),
            reason: pause.reason.clone(),
        })
    }

    /// The values of [`PAUSE_ATTRIBUTE`]; none when nothing of the run is paused. The run's own pause is told by
    /// events, those of its activities are not.
    pub fn pause_entries(&self) -> Vec<String> {
        let mut entries = Vec::new();
        if let Some(pause) = &self.record.pause {
            entries.push(format!("Workflow:{}", self.workflow_id()));
            if !pause.reason.is_empty() {
                entries.push(format!("Reason:{}", pause.reason));
            }
        }
        entries.extend(self.volatile.run.pause_info.iter().cloned());
        entries
    }

    /// The pause takes effect. Doing it twice is the same as once.
    pub(super) fn paused(&mut self, paused: &WorkflowExecutionPausedEventAttributes, at: Timestamp) {
        self.record.set_status(WorkflowExecutionStatus::Paused);
        self.record.pause = Some(records::WorkflowPause {
            paused_time: at.as_nanos(),
            identity: paused.identity.clone(),
            reason: paused.reason.clone(),
            request_id: paused.request_id.clone(),
        });
    }

    /// The pause ends.
    pub(super) fn unpaused(&mut self) {
        self.record.set_status(WorkflowExecutionStatus::Running);
        self.record.pause = None;
    }
}

impl Draft<'_, '_> {
    /// Pauses the run. A workflow task that no worker has yet fails, for it may not be handed out any more; one
    /// that a worker has goes on. Activities that wait for a worker are taken back from matching.
    pub(crate) fn pause(&mut self, event: WorkflowExecutionPausedEventAttributes) {
        if self.state.task().is_some_and(|task| task.started_time == 0) {
            let cause = WorkflowTaskFailedCause::WorkflowPauseRequestedBeforeTaskStarted;
            self.fail_task(TaskFailure::by_server(cause));
            // Nobody's fault: what comes after the pause is a first attempt.
            self.state.volatile.run.next_task_attempt = 1;
        }
        self.emit_or_buffer(Attributes::WorkflowExecutionPausedEventAttributes(event), EventExtras::default());
        for id in self.waiting_activities() {
            self.void_dispatch(id);
        }
    }

    /// Lets the run go on: with a workflow task, and with the activities that waited.
    pub(crate) fn unpause(&mut self, event: Attributes) {
        self.emit_or_buffer(event, EventExtras::default());
        for id in self.waiting_activities() {
            self.dispatch_activity(id);
        }
        self.schedule_task(Delivery::Dispatch);
    }

    /// Activities whose present attempt a worker may take.
    fn waiting_activities(&self) -> Vec<i64> {
        let attempts = self.state.volatile.attempts.iter();
        let waiting = attempts.filter(|(_, attempt)| with_matching(attempt));
        waiting.map(|(id, _)| *id).collect()
    }
}
