//! What a worker says of updates, in messages: acceptance, rejection, response. A command gives a message its place
//! among the commands; messages that no command names come last.

use std::collections::BTreeMap;

use perdure_kernel::ServiceError;
use perdure_proto::api::{
    command::ProtocolMessageCommandAttributes,
    enums::{UpdateAdmittedEventOrigin, WorkflowTaskFailedCause},
    history::{
        WorkflowExecutionUpdateAcceptedEventAttributes, WorkflowExecutionUpdateAdmittedEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes, history_event::Attributes,
    },
    protocol::Message,
    update::{Acceptance, Rejection, Request, Response},
};
use prost::Message as _;

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::{
    calls::update::{admitted, require_total},
    draft::{Draft, EventExtras},
    updates::{PendingStage, message_id},
};

const CAUSE: WorkflowTaskFailedCause = WorkflowTaskFailedCause::BadUpdateWorkflowExecutionMessage;

/// The protocol of updates.
const PROTOCOL: &str = "temporal.api.update.v1";

/// The messages of one answer that are not carried out yet.
#[derive(Default)]
pub(super) struct Messages {
    waiting: Vec<Option<Message>>,
    places: BTreeMap<String, usize>,
}

impl Messages {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        let places = messages.iter().enumerate().map(|(place, message)| (message.id.clone(), place)).collect();
        Self { waiting: messages.into_iter().map(Some).collect(), places }
    }

    fn take(&mut self, id: &str) -> Option<Message> {
        let place = self.places.remove(id)?;
        self.waiting.get_mut(place)?.take()
    }

    fn take_rest(&mut self) -> impl Iterator<Item = Message> + use<> {
        std::mem::take(&mut self.waiting).into_iter().flatten()
    }
}

/// What a message of the update protocol says.
enum Word {
    Accepts(Acceptance),
    Rejects(Rejection),
    Answers(Response),
}

impl Word {
    /// The message's type as error texts show it.
    fn name(&self) -> &'static str {
        match self {
            Self::Accepts(_) => "*update.Acceptance",
            Self::Rejects(_) => "*update.Rejection",
            Self::Answers(_) => "*update.Response",
        }
    }

    /// The request that the worker gives back, so that a server which lost it can go on.
    fn request(&self) -> Option<&Request> {
        match self {
            Self::Accepts(acceptance) => acceptance.accepted_request.as_ref(),
            Self::Rejects(rejection) => rejection.rejected_request.as_ref(),
            Self::Answers(_) => None,
        }
    }
}

/// Where an update is while an answer is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Admitted,
    Sent,
    ProvisionallyAccepted,
    Accepted,
    ProvisionallyCompleted,
    Completed,
    Aborted,
}

impl Commands<'_, '_, '_, '_> {
    /// Carries out the message that a command names.
    pub(super) fn protocol_message(&mut self, command: &ProtocolMessageCommandAttributes) -> Outcome {
        if command.message_id.is_empty() {
            return Err(CommandFailure::fail(CAUSE, "MessageID is not set on ProtocolMessageCommand."));
        }
        match self.messages.take(&command.message_id) {
            Some(message) => self.message(message),
            None => {
                let text = format!("ProtocolMessageCommand referenced absent message ID {}", command.message_id);
                Err(CommandFailure::fail(CAUSE, text))
            }
        }
    }

    /// Carries out the messages that no command named.
    pub(super) fn other_messages(&mut self) -> Outcome {
        self.messages.take_rest().try_for_each(|message| self.message(message))
    }

    fn message(&mut self, message: Message) -> Outcome {
        let malformed = |text: String| CommandFailure::Reject(ServiceError::invalid_argument(text));
        let Some(body) = message.body else { return Err(malformed("nil message body".to_owned())) };
        let name = body.type_url.rsplit('/').next().unwrap_or_default();
        if name.is_empty() {
            return Err(malformed("no message name specified".to_owned()));
        }
        let Some((protocol, kind)) = name.rsplit_once('.') else {
            return Err(malformed(format!("failed to extract protocol type: no . found in {name:?}")));
        };
        if body.encoded_len() > self.draft.env.limits().blob_size_max {
            return Err(CommandFailure::EndRun {
                cause: CAUSE,
                text: format!("Message type {name} exceeds size limit."),
            });
        }
        if protocol != PROTOCOL {
            return Err(CommandFailure::fail(CAUSE, format!("unsupported protocol type {protocol}")));
        }
        let id = message.protocol_instance_id;
        let word = word(kind, &body.value);
        let state = match self.state_of(&id) {
            Some(state) => state,
            None => self.resurrect(&id, word.as_ref().ok())?,
        };
        let word = word.map_err(|text| CommandFailure::fail(CAUSE, text))?;
        if !self.draft.state.is_open() && !matches!(word, Word::Rejects(_)) {
            // A command has closed the run: the update is aborted with it.
            return Ok(());
        }
        let fits = match word {
            Word::Accepts(_) | Word::Rejects(_) => matches!(state, State::Admitted | State::Sent),
            Word::Answers(_) => matches!(state, State::ProvisionallyAccepted | State::Accepted),
        };
        if !fits {
            let name = word.name();
            return Err(CommandFailure::fail(
                CAUSE,
                format!(
                    "invalid state transition attempted for Update {id}: received {name} message while in state {state:?}"
                ),
            ));
        }
        match word {
            Word::Accepts(acceptance) => self.accept(&id, acceptance),
            Word::Rejects(rejection) => {
                self.draft.reject_update(&id, rejection.failure.unwrap_or_default());
                Ok(())
            }
            Word::Answers(response) => self.answer(&id, response),
        }
    }

    /// Where the update is, if it is known.
    fn state_of(&self, id: &str) -> Option<State> {
        let state = &self.draft.state;
        let rejected_now = || self.draft.notices.iter().any(|notice| notice.id == id);
        if let Some(pending) = state.volatile.updates.iter().find(|pending| pending.id == id) {
            return Some(match pending.stage {
                PendingStage::Admitted => State::Admitted,
                PendingStage::Sent => State::Sent,
                PendingStage::Rejected(_) if rejected_now() => State::ProvisionallyCompleted,
                PendingStage::Rejected(_) => State::Completed,
                PendingStage::Aborted => State::Aborted,
            });
        }
        let Some(update) = state.updates.get(id) else {
            return rejected_now().then_some(State::ProvisionallyCompleted);
        };
        let now = |event_id: i64| self.completed_event_id != 0 && event_id > self.completed_event_id;
        Some(match (update.accepted_event_id, update.completed_event_id) {
            (0, 0) => State::Admitted,
            (accepted, 0) if now(accepted) => State::ProvisionallyAccepted,
            (_, 0) => State::Accepted,
            (_, completed) if now(completed) => State::ProvisionallyCompleted,
            (_, _) => State::Completed,
        })
    }

    /// The server has lost an update that a worker still has: the worker's own copy brings it back.
    fn resurrect(&mut self, id: &str, word: Option<&Word>) -> Result<State, CommandFailure> {
        require_total(&self.draft.state, self.draft.env.limits().updates_total_max).map_err(CommandFailure::Reject)?;
        match word.and_then(Word::request) {
            Some(request) => {
                self.draft.push_update(admitted(id, request.clone()));
                Ok(State::Admitted)
            }
            None => {
                let text = format!(
                    "update {id} wasn't found on the server. This is most likely a transient error which will be resolved automatically by retries"
                );
                Err(CommandFailure::fail(CAUSE, text))
            }
        }
    }

    fn accept(&mut self, id: &str, acceptance: Acceptance) -> Outcome {
        let unset =
            |field: &str| Err(CommandFailure::fail(CAUSE, format!("invalid *update.Acceptance: {field} is not set")));
        if acceptance.accepted_request_sequencing_event_id == 0 {
            return unset("accepted_request_sequencing_event_id");
        }
        if acceptance.accepted_request_message_id.is_empty() {
            return unset("accepted_request_message_id");
        }
        let request = self.draft.take_update(id).and_then(|pending| std::sync::Arc::unwrap_or_clone(pending).request);
        let attributes = WorkflowExecutionUpdateAcceptedEventAttributes {
            protocol_instance_id: id.to_owned(),
            accepted_request_message_id: message_id(id),
            accepted_request_sequencing_event_id: acceptance.accepted_request_sequencing_event_id,
            accepted_request: request,
        };
        self.draft.emit(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(attributes));
        Ok(())
    }

    fn answer(&mut self, id: &str, response: Response) -> Outcome {
        let invalid = |what: String| Err(CommandFailure::fail(CAUSE, format!("invalid *update.Response: {what}")));
        let Some(meta) = response.meta else { return invalid("meta is not set".to_owned()) };
        if meta.update_id.is_empty() {
            return invalid("meta.update_id is not set".to_owned());
        }
        if meta.update_id != id {
            return invalid(format!("meta.update_id != {id}"));
        }
        if response.outcome.is_none() {
            return invalid("outcome is not set".to_owned());
        }
        let accepted_event_id = self.draft.state.updates.get(id).map_or(0, |update| update.accepted_event_id);
        let attributes = WorkflowExecutionUpdateCompletedEventAttributes {
            meta: Some(meta),
            accepted_event_id,
            outcome: response.outcome,
        };
        self.draft.emit(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(attributes));
        Ok(())
    }
}

impl Draft<'_, '_> {
    /// Admits an update by an event: a reset takes it along into the new run. Its request is in the event, so
    /// workers read it there, and its acceptance does not repeat it.
    pub(crate) fn admit_update(&mut self, request: Request, origin: UpdateAdmittedEventOrigin) {
        let attributes =
            WorkflowExecutionUpdateAdmittedEventAttributes { request: Some(request), origin: origin.into() };
        let attributes = Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(attributes);
        self.emit_or_buffer(attributes, EventExtras::default());
    }
}

/// The message's body by its type's name, or why it cannot be read.
fn word(kind: &str, body: &[u8]) -> Result<Word, String> {
    let unreadable = |error: prost::DecodeError| format!("unable to unmarshal request: {error}");
    match kind {
        "Acceptance" => Acceptance::decode(body).map(Word::Accepts).map_err(unreadable),
        "Rejection" => Rejection::decode(body).map(Word::Rejects).map_err(unreadable),
        "Response" => Response::decode(body).map(Word::Answers).map_err(unreadable),
        other => Err(format!("Message type *update.{other} not supported")),
    }
}
