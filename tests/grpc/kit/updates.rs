//! What clients ask of updates and workers say of them.

use perdure_proto::{
    Any,
    api::{
        command::{Command, ContinueAsNewWorkflowExecutionCommandAttributes, command::Attributes},
        enums::{CommandType, UpdateWorkflowExecutionLifecycleStage as Stage},
        protocol::Message,
        update::{Acceptance, Input, Meta, Outcome, Rejection, Request, Response, UpdateRef, WaitPolicy, outcome},
        workflowservice::UpdateWorkflowExecutionRequest,
    },
};

use super::{NAMESPACE, command, execution, failure, payloads};

/// An update of a workflow's current run.
pub(crate) fn update_request(workflow_id: &str, id: &str, stage: Stage) -> UpdateWorkflowExecutionRequest {
    UpdateWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: execution(workflow_id, ""),
        wait_policy: Some(WaitPolicy { lifecycle_stage: stage.into() }),
        request: Some(Request {
            meta: Some(Meta { update_id: id.to_owned(), identity: "client".to_owned() }),
            input: Some(Input { name: "change".to_owned(), args: payloads("args"), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn update_ref(workflow_id: &str, run_id: &str, update_id: &str) -> UpdateRef {
    UpdateRef { workflow_execution: execution(workflow_id, run_id), update_id: update_id.to_owned() }
}

pub(crate) fn success(result: &str) -> Outcome {
    Outcome { value: Some(outcome::Value::Success(payloads(result).unwrap())) }
}

fn message(id: &str, kind: &str, body: &impl prost::Message) -> Message {
    let type_url = format!("type.googleapis.com/temporal.api.update.v1.{kind}");
    Message {
        id: format!("{id}/{kind}"),
        protocol_instance_id: id.to_owned(),
        body: Some(Any { type_url, value: body.encode_to_vec() }),
        ..Default::default()
    }
}

pub(crate) fn accept(id: &str) -> Message {
    accept_again(id, None)
}

/// An acceptance that gives the request back.
pub(crate) fn accept_again(id: &str, accepted_request: Option<Request>) -> Message {
    let acceptance = Acceptance {
        accepted_request_message_id: format!("{id}/request"),
        accepted_request_sequencing_event_id: 1,
        accepted_request,
    };
    message(id, "Acceptance", &acceptance)
}

pub(crate) fn reject(id: &str) -> Message {
    message(id, "Rejection", &Rejection { failure: failure("no", false), ..Default::default() })
}

pub(crate) fn respond(id: &str, result: &str) -> Message {
    let meta = Some(Meta { update_id: id.to_owned(), identity: "client".to_owned() });
    message(id, "Response", &Response { meta, outcome: Some(success(result)) })
}

/// The workflow goes on in another run.
pub(crate) fn continue_as_new() -> Command {
    let attributes = ContinueAsNewWorkflowExecutionCommandAttributes::default();
    let attributes = Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::ContinueAsNewWorkflowExecution, attributes)
}
