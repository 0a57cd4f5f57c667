//! Updates: how clients ask for them, and what workers say of them.

use std::{cell::Cell, rc::Rc};

use perdure_kernel::ServiceResult;
use perdure_proto::{
    Any,
    api::{
        common::{Payload, Payloads},
        enums::UpdateWorkflowExecutionLifecycleStage as Stage,
        failure::Failure,
        history::{HistoryEvent, history_event::Attributes},
        protocol::Message,
        update::{Acceptance, Input, Meta, Outcome, Rejection, Request, Response, UpdateRef, WaitPolicy, outcome},
        workflowservice::{self as ws, execute_multi_operation_response::response},
    },
};
use perdure_rpc::history::{UpdateWithStart, UpdateWorkflow};

use super::{Completion, Node, World, decisions, execution, start};

fn wait_for(stage: Stage) -> Option<WaitPolicy> {
    Some(WaitPolicy { lifecycle_stage: stage.into() })
}

fn update_request(workflow_id: &str, id: &str, stage: Stage) -> ws::UpdateWorkflowExecutionRequest {
    let request = Request {
        meta: Some(Meta { update_id: id.into(), identity: "client".into() }),
        input: Some(Input { name: "change".into(), ..Default::default() }),
        ..Default::default()
    };
    ws::UpdateWorkflowExecutionRequest {
        workflow_execution: execution(workflow_id, ""),
        wait_policy: wait_for(stage),
        request: Some(request),
        ..Default::default()
    }
}

/// An update of the current run.
pub(crate) fn update(workflow_id: &str, id: &str, stage: Stage) -> Box<UpdateWorkflow> {
    Box::new(UpdateWorkflow { request: update_request(workflow_id, id, stage), renewals: 0 })
}

/// A wait for an update.
pub(crate) fn poll_update(workflow_id: &str, id: &str, stage: Stage) -> Box<ws::PollWorkflowExecutionUpdateRequest> {
    let workflow_execution = execution(workflow_id, "");
    Box::new(ws::PollWorkflowExecutionUpdateRequest {
        update_ref: Some(UpdateRef { workflow_execution, update_id: id.into() }),
        wait_policy: wait_for(stage),
        ..Default::default()
    })
}

/// A start, and an update that is waited for to its end.
pub(crate) fn update_with_start(workflow_id: &str, id: &str) -> Box<UpdateWithStart> {
    Box::new(UpdateWithStart {
        start: *start(workflow_id),
        update: update_request(workflow_id, id, Stage::Completed),
        renewals: 0,
        aborted_once: false,
    })
}

/// The two answers to an update-with-start.
pub(crate) fn both(
    response: ws::ExecuteMultiOperationResponse,
) -> (ws::StartWorkflowExecutionResponse, ws::UpdateWorkflowExecutionResponse) {
    let mut answers = response.responses.into_iter().filter_map(|response| response.response);
    match (answers.next(), answers.next()) {
        (Some(response::Response::StartWorkflow(start)), Some(response::Response::UpdateWorkflow(update))) => {
            (start, update)
        }
        other => panic!("not the answers to a start and an update: {other:?}"),
    }
}

fn message(id: &str, kind: &str, body: &impl prost::Message) -> Message {
    let type_url = format!("type.googleapis.com/temporal.api.update.v1.{kind}");
    Message {
        id: format!("{id}/{kind}"),
        protocol_instance_id: id.into(),
        body: Some(Any { type_url, value: body.encode_to_vec() }),
        ..Default::default()
    }
}

/// A worker accepts an update. As workers do, it repeats the request.
pub(crate) fn accept(id: &str) -> Message {
    let acceptance = Acceptance {
        accepted_request_message_id: format!("{id}/request"),
        accepted_request_sequencing_event_id: 1,
        accepted_request: update_request("", id, Stage::Completed).request,
    };
    message(id, "Acceptance", &acceptance)
}

pub(crate) fn reject(id: &str) -> Message {
    let failure = Some(Failure { message: "no".into(), ..Default::default() });
    message(id, "Rejection", &Rejection { failure, ..Default::default() })
}

/// A worker answers an update.
pub(crate) fn respond(id: &str, text: &str) -> Message {
    let meta = Some(Meta { update_id: id.into(), identity: "client".into() });
    message(id, "Response", &Response { meta, outcome: outcome(text) })
}

/// The outcome `text`.
pub(crate) fn outcome(text: &str) -> Option<Outcome> {
    let payload = Payload { data: text.as_bytes().to_vec().into(), ..Default::default() };
    Some(Outcome { value: Some(outcome::Value::Success(Payloads { payloads: vec![payload] })) })
}

/// The message of an outcome that is a failure.
pub(crate) fn failure_of(outcome: Option<&Outcome>) -> &str {
    match outcome.and_then(|outcome| outcome.value.as_ref()) {
        Some(outcome::Value::Failure(failure)) => &failure.message,
        other => panic!("not a failure: {other:?}"),
    }
}

/// What a worker says of updates, and decides nothing.
pub(crate) fn says(task: &super::WorkflowTask, messages: Vec<Message>) -> Completion {
    let mut completion = decisions(task, Vec::new());
    completion.request.messages = messages;
    completion
}

/// Outcomes of all updates that a history tells.
pub(crate) fn outcomes_in(events: &[HistoryEvent]) -> Vec<Option<Outcome>> {
    let outcome = |event: &HistoryEvent| match &event.attributes {
        Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => Some(completed.outcome.clone()),
        _ => None,
    };
    events.iter().filter_map(outcome).collect()
}

/// A worker that runs every update it is sent. Each run of one has an outcome of its own, so that it shows when
/// something is told that is not what was stored.
#[derive(Clone, Default)]
pub(crate) struct Updater(Rc<Cell<usize>>);

impl Updater {
    /// Takes one task and answers it. What became of the answer is the store's doing.
    pub(crate) async fn work(&self, world: &World, node: &Node) -> ServiceResult<()> {
        let task = world.workflow_task(node).await;
        let mut messages = Vec::new();
        for message in &task.messages {
            self.0.set(self.0.get() + 1);
            let id = &message.protocol_instance_id;
            messages.extend([accept(id), respond(id, &format!("run {}", self.0.get()))]);
        }
        let completion = says(&task, messages);
        let workflow_id = completion.token.workflow_id.clone();
        node.ask(&workflow_id, completion).await.map(|_| ())
    }

    /// Times that an update was run.
    pub(crate) fn runs(&self) -> usize {
        self.0.get()
    }
}

impl World {
    /// A workflow whose worker has nothing to do. Gives the run's id.
    pub(crate) async fn idle(&self, node: &Node, workflow_id: &str) -> String {
        self.begin(node, workflow_id, Vec::new()).await
    }
}
