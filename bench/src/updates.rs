//! What a worker answers to the updates that come with a workflow task: each is accepted and completed at once.

use perdure_proto::{
    Any,
    api::{
        command::{Command, ProtocolMessageCommandAttributes, command::Attributes},
        common::Payloads,
        enums::{CommandType, UpdateWorkflowExecutionLifecycleStage},
        protocol::{Message, message::SequencingId},
        update::{Acceptance, Input, Meta, Outcome, Request, Response, WaitPolicy, outcome},
        workflowservice::UpdateWorkflowExecutionRequest,
    },
};
use prost::Message as _;

use crate::messages;

/// The name of every update.
const NAME: &str = "change";
/// Where the messages of updates are defined.
const PACKAGE: &str = "temporal.api.update.v1";

/// An update that waits until its outcome is known.
pub fn request(namespace: &str, workflow_id: &str, run_id: &str, update_id: &str) -> UpdateWorkflowExecutionRequest {
    UpdateWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        workflow_execution: Some(messages::execution(workflow_id, run_id)),
        wait_policy: Some(WaitPolicy { lifecycle_stage: UpdateWorkflowExecutionLifecycleStage::Completed.into() }),
        request: Some(Request {
            meta: Some(Meta { update_id: update_id.to_owned(), identity: "load".to_owned() }),
            input: Some(Input {
                name: NAME.to_owned(),
                args: Some(messages::payloads(update_id)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What an update was answered; `None` when it failed or its outcome is not known.
pub fn success(outcome: Option<&Outcome>) -> Option<&Payloads> {
    match outcome?.value.as_ref()? {
        outcome::Value::Success(payloads) => Some(payloads),
        outcome::Value::Failure(_) => None,
    }
}

/// The answer to the updates among `received`: commands and the messages that they refer to. `result` is
/// asked for the result of each update, by its id.
pub fn accept_and_complete(
    received: &[Message],
    mut result: impl FnMut(&str) -> Payloads,
) -> (Vec<Command>, Vec<Message>) {
    let mut commands = Vec::new();
    let mut answers = Vec::new();
    for message in received {
        let Some(request) = message.body.as_ref().and_then(unpack_request) else { continue };
        let update_id = &message.protocol_instance_id;
        let meta = request.meta.clone();
        let sequencing_event_id = match message.sequencing_id {
            Some(SequencingId::EventId(id)) => id,
            Some(SequencingId::CommandIndex(_)) | None => 0,
        };
        let acceptance = Acceptance {
            accepted_request_message_id: message.id.clone(),
            accepted_request_sequencing_event_id: sequencing_event_id,
            accepted_request: Some(request),
        };
        let outcome = Outcome { value: Some(outcome::Value::Success(result(update_id))) };
        let response = Response { meta, outcome: Some(outcome) };
        for (step, body) in [("accept", pack("Acceptance", &acceptance)), ("complete", pack("Response", &response))] {
            let id = format!("{update_id}/{step}");
            commands.push(refer_to(id.clone()));
            let instance = update_id.clone();
            answers.push(Message { id, protocol_instance_id: instance, body: Some(body), ..Default::default() });
        }
    }
    (commands, answers)
}

fn refer_to(message_id: String) -> Command {
    Command {
        command_type: CommandType::ProtocolMessage.into(),
        attributes: Some(Attributes::ProtocolMessageCommandAttributes(ProtocolMessageCommandAttributes { message_id })),
        ..Default::default()
    }
}

fn pack(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{PACKAGE}.{name}"), value: message.encode_to_vec() }
}

fn unpack_request(body: &Any) -> Option<Request> {
    let name = body.type_url.rsplit('/').next()?.strip_prefix(PACKAGE)?;
    if name == ".Request" { Request::decode(body.value.as_slice()).ok() } else { None }
}
