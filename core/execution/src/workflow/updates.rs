//! Updates: requests that the workflow's code accepts or rejects, and then answers.
//!
//! Until it is accepted, an update is in memory only: it is admitted, then sent to a worker with a workflow
//! task. Losing it costs a repetition by whoever asked, who is still there. From its acceptance on, events tell
//! of it. A rejection leaves nothing behind.

use std::sync::Arc;

use perdure_kernel::ServiceError;
use perdure_proto::{
    Any,
    api::{
        enums::{ResourceExhaustedCause, ResourceExhaustedScope},
        failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
        protocol::{Message, message::SequencingId},
        update::{Outcome, Request, outcome},
    },
};
use prost::Message as _;

use super::{draft::Draft, state::WorkflowState};

/// Name of the request's type in an [`Any`].
const REQUEST_TYPE: &str = "type.googleapis.com/temporal.api.update.v1.Request";

/// An update that is in memory only.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingUpdate {
    /// The update's id.
    pub id: String,
    /// How far it is.
    pub stage: PendingStage,
    /// What is asked; `None` when an event tells it, or nobody will ask any more.
    pub request: Option<Request>,
}

/// How far an update is that no event has accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum PendingStage {
    /// It goes out with the next workflow task.
    Admitted,
    /// A worker has it.
    Sent,
    /// The worker rejected an update that an event had admitted: the event stays, so this is remembered.
    Rejected(Box<Failure>),
    /// The run closed over it.
    Aborted,
}

/// What a run knows of an update.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing.
    Unknown,
    /// It waits for a worker's word.
    Admitted,
    /// The workflow works on it; or has closed over it, when the run is closed.
    Accepted,
    /// It is answered: by this event.
    Completed {
        /// The event with the outcome.
        event_id: i64,
    },
    /// It was rejected.
    Rejected(Box<Failure>),
    /// The run closed before any worker accepted it.
    Aborted,
}

/// What became of an update that leaves no trace in the run.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateNotice {
    /// The update's id.
    pub id: String,
    /// What became of it.
    pub end: UpdateEnd,
}

/// See [`UpdateNotice`].
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateEnd {
    /// The worker rejected it, or the server did in its place.
    Rejected(Box<Failure>),
    /// It cannot be handled: whoever waits gets this error.
    Refused(ServiceError),
}

impl WorkflowState {
    /// What the run knows of an update.
    pub fn find_update(&self, id: &str) -> Standing {
        if let Some(pending) = self.volatile.updates.iter().find(|pending| pending.id == id) {
            return match &pending.stage {
                PendingStage::Admitted | PendingStage::Sent => Standing::Admitted,
                PendingStage::Rejected(failure) => Standing::Rejected(failure.clone()),
                PendingStage::Aborted => Standing::Aborted,
            };
        }
        match self.updates.get(id) {
            None => Standing::Unknown,
            Some(update) if update.completed_event_id != 0 => {
                Standing::Completed { event_id: update.completed_event_id }
            }
            Some(update) if update.accepted_event_id != 0 => Standing::Accepted,
            Some(_) if self.is_open() => Standing::Admitted,
            Some(_) => Standing::Aborted,
        }
    }

    /// Updates that are not over: admitted, sent or accepted.
    pub fn updates_in_flight(&self) -> usize {
        let told = self.updates.len() - usize::try_from(self.record.completed_updates).unwrap_or(0);
        told + self.volatile.updates.iter().filter(|pending| pending.request.is_some()).count()
    }

    /// Updates of this run: those in flight and those that completed. Rejected ones do not count.
    pub fn updates_total(&self) -> usize {
        self.updates_in_flight() + usize::try_from(self.record.completed_updates).unwrap_or(0)
    }

    /// Approximate bytes of the updates that are in memory only.
    pub fn pending_updates_size(&self) -> usize {
        let size = |pending: &Arc<PendingUpdate>| {
            2 * pending.id.len() + pending.request.as_ref().map_or(0, |request| request.encoded_len())
        };
        self.volatile.updates.iter().map(size).sum()
    }

    /// Whether an update waits for a workflow task to go out with.
    pub(crate) fn has_outgoing_updates(&self) -> bool {
        let waits = |stage: &PendingStage| match stage {
            PendingStage::Admitted | PendingStage::Sent => true,
            PendingStage::Rejected(_) | PendingStage::Aborted => false,
        };
        self.volatile.updates.iter().any(|pending| waits(&pending.stage)) || self.admitted_unseen().next().is_some()
    }

    /// Messages for the worker that has the workflow task: the updates it is asked about. Those that an earlier
    /// worker has are among them when `again`. A task whose update was admitted by an event carries no message:
    /// the worker reads the event.
    pub fn update_messages(&self, again: bool) -> Vec<Message> {
        let started_event_id = self.task().map_or(0, |task| task.started_event_id);
        let outgoing = self.volatile.updates.iter().filter(|pending| goes_out(&pending.stage, again));
        let message = |pending: &Arc<PendingUpdate>| {
            let request = pending.request.as_ref()?;
            Some(Message {
                id: message_id(&pending.id),
                protocol_instance_id: pending.id.clone(),
                sequencing_id: Some(SequencingId::EventId(started_event_id - 1)),
                body: Some(Any { type_url: REQUEST_TYPE.to_owned(), value: request.encode_to_vec() }),
            })
        };
        outgoing.filter_map(message).collect()
    }

    /// Updates that an event admitted and that no worker has seen since the run came into memory.
    fn admitted_unseen(&self) -> impl Iterator<Item = &String> {
        // Seldom: only a reset admits by events.
        let admitted = (self.record.admitted_updates > 0 && self.is_open()).then_some(&self.updates);
        let unaccepted = admitted.into_iter().flatten().filter(|(_, update)| update.accepted_event_id == 0);
        let ids = unaccepted.map(|(id, _)| id);
        ids.filter(|id| !self.volatile.updates.iter().any(|pending| pending.id == **id))
    }
}

impl Draft<'_, '_> {
    /// Marks as sent what [`WorkflowState::update_messages`] gives, and returns it.
    pub(crate) fn send_updates(&mut self, again: bool) -> Vec<Message> {
        let messages = self.state.update_messages(again);
        let unseen: Vec<String> = self.state.admitted_unseen().cloned().collect();
        for pending in &mut self.state.volatile.updates {
            if pending.stage == PendingStage::Admitted {
                Arc::make_mut(pending).stage = PendingStage::Sent;
                self.updates_changed = true;
            }
        }
        for id in unseen {
            self.push_update(PendingUpdate { id, stage: PendingStage::Sent, request: None });
        }
        messages
    }

    /// Admits an update in memory.
    pub(crate) fn push_update(&mut self, update: PendingUpdate) {
        self.state.volatile.updates.push(Arc::new(update));
        self.updates_changed = true;
    }

    /// Takes an update out of memory: it is accepted or rejected.
    pub(crate) fn take_update(&mut self, id: &str) -> Option<Arc<PendingUpdate>> {
        let index = self.state.volatile.updates.iter().position(|pending| pending.id == id)?;
        self.updates_changed = true;
        Some(self.state.volatile.updates.remove(index))
    }

    /// An update is rejected: whoever waits is told, and it is forgotten.
    pub(crate) fn reject_update(&mut self, id: &str, failure: Failure) {
        self.take_update(id);
        let failure = Box::new(failure);
        if self.state.updates.contains_key(id) {
            let stage = PendingStage::Rejected(failure.clone());
            self.push_update(PendingUpdate { id: id.to_owned(), stage, request: None });
        }
        self.notices.push(UpdateNotice { id: id.to_owned(), end: UpdateEnd::Rejected(failure) });
    }

    /// Rejects updates that the worker was sent and said nothing of: asking again would not help.
    pub(crate) fn reject_unprocessed_updates(&mut self) {
        let sent = self.state.volatile.updates.iter().filter(|pending| pending.stage == PendingStage::Sent);
        let ids: Vec<String> = sent.map(|pending| pending.id.clone()).collect();
        for id in ids {
            self.reject_update(&id, unprocessed());
        }
    }

    /// The workflow task could not be completed. Updates that its worker has seen must not be sent again, for
    /// they may be the reason; the others go out with the next task, unless tasks keep failing.
    pub(crate) fn refuse_updates_of_failed_task(&mut self) {
        let failing = self.state.task_attempt() >= FAILING_ATTEMPT;
        for pending in std::mem::take(&mut self.state.volatile.updates) {
            let error = match (&pending.stage, pending.request.is_some()) {
                (PendingStage::Sent, true) => Some(unexpected_task_failure()),
                (PendingStage::Admitted, true) if failing => Some(task_keeps_failing()),
                (
                    PendingStage::Admitted | PendingStage::Sent | PendingStage::Rejected(_) | PendingStage::Aborted,
                    _,
                ) => None,
            };
            match error {
                Some(error) => {
                    self.updates_changed = true;
                    self.notices.push(UpdateNotice { id: pending.id.clone(), end: UpdateEnd::Refused(error) });
                }
                None => self.state.volatile.updates.push(pending),
            }
        }
    }

    /// The run is closed: what was not accepted will not be. Where another run follows, it may take them.
    pub(crate) fn abort_updates(&mut self) {
        if self.state.volatile.updates.is_empty() {
            return;
        }
        self.updates_changed = true;
        if self.state.is_continued() {
            self.state.volatile.updates.clear();
            return;
        }
        for pending in &mut self.state.volatile.updates {
            let pending = Arc::make_mut(pending);
            pending.stage = PendingStage::Aborted;
            pending.request = None;
        }
    }
}

/// Failed attempts of a workflow task from which on no updates are taken.
pub(crate) const FAILING_ATTEMPT: i32 = 3;

/// Id of the message that carries an update's request.
pub(crate) fn message_id(update_id: &str) -> String {
    format!("{update_id}/request")
}

fn goes_out(stage: &PendingStage, again: bool) -> bool {
    match stage {
        PendingStage::Admitted => true,
        PendingStage::Sent => again,
        PendingStage::Rejected(_) | PendingStage::Aborted => false,
    }
}

/// The outcome of an update that was accepted by a run which closed before answering it.
pub fn abandoned() -> Outcome {
    let message = "Workflow Update failed because the Workflow completed before the Update completed.";
    failed(server_failure(message, "AcceptedUpdateCompletedWorkflow"))
}

/// The outcome of an update that was rejected.
pub fn failed(failure: Failure) -> Outcome {
    Outcome { value: Some(outcome::Value::Failure(failure)) }
}

fn unprocessed() -> Failure {
    let message = "Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is not supported by the worker.";
    server_failure(message, "UnprocessedUpdate")
}

fn server_failure(message: &str, kind: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
            r#type: kind.to_owned(),
            non_retryable: true,
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// The run closed before any worker accepted the update.
pub fn aborted_by_closing() -> ServiceError {
    ServiceError::not_found("workflow update was aborted by closing workflow")
}

/// The workflow is about to close, or goes on in another run: whoever tries again finds that.
pub fn workflow_is_closing() -> ServiceError {
    ServiceError::exhausted(
        ResourceExhaustedCause::BusyWorkflow,
        ResourceExhaustedScope::Namespace,
        "workflow operation can not be applied because workflow is closing",
    )
}

/// What was in memory is lost; the same request may be made again.
pub fn aborted_by_server() -> ServiceError {
    ServiceError::unavailable("workflow update was aborted")
}

fn unexpected_task_failure() -> ServiceError {
    ServiceError::not_ready("Unable to perform workflow execution update due to unexpected workflow task failure.")
}

/// Workflow tasks fail again and again: an update would only wait.
pub(crate) fn task_keeps_failing() -> ServiceError {
    ServiceError::not_ready("Unable to perform workflow execution update due to Workflow Task in failed state.")
}
