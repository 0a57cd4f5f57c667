//! UpdateWorkflowExecution and PollWorkflowExecutionUpdate, and what workers get and say of updates.

use perdure_proto::api::{
    enums::{EventType, UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowTaskFailedCause},
    update::{Outcome, WaitPolicy, outcome},
    workflowservice as ws,
};
use tonic::{Code, Status};

use crate::kit::*;

async fn update(
    flow: &Flow,
    request: ws::UpdateWorkflowExecutionRequest,
) -> Result<ws::UpdateWorkflowExecutionResponse, Status> {
    Ok(flow.rpc.clone().update_workflow_execution(within(PATIENCE, request)).await?.into_inner())
}

async fn poll(flow: &Flow, id: &str, stage: Stage) -> Result<ws::PollWorkflowExecutionUpdateResponse, Status> {
    poll_run(flow, "", id, stage).await
}

async fn poll_run(
    flow: &Flow,
    run_id: &str,
    id: &str,
    stage: Stage,
) -> Result<ws::PollWorkflowExecutionUpdateResponse, Status> {
    let request = ws::PollWorkflowExecutionUpdateRequest {
        namespace: NAMESPACE.to_owned(),
        update_ref: Some(update_ref(&flow.id, run_id, id)),
        wait_policy: Some(WaitPolicy { lifecycle_stage: stage.into() }),
        ..Default::default()
    };
    Ok(flow.rpc.clone().poll_workflow_execution_update(within(PATIENCE, request)).await?.into_inner())
}

fn failure_type(outcome: Option<&Outcome>) -> String {
    use perdure_proto::api::failure::failure::FailureInfo;
    let Some(Outcome { value: Some(outcome::Value::Failure(failure)) }) = outcome else { panic!("{outcome:?}") };
    let Some(FailureInfo::ApplicationFailureInfo(info)) = &failure.failure_info else { panic!("{failure:?}") };
    info.r#type.clone()
}

/// The answer to a task with nothing but messages.
fn words(
    flow: &Flow,
    task: &Task,
    messages: Vec<perdure_proto::api::protocol::Message>,
) -> ws::RespondWorkflowTaskCompletedRequest {
    ws::RespondWorkflowTaskCompletedRequest { messages, ..flow.completion(task, Vec::new()) }
}

#[tokio::test]
pub(crate) async fn an_update_is_accepted_and_answered_in_one_task() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Completed)), async {
        let task = flow.task().await;
        let [message] = &task.messages[..] else { panic!("{task:?}") };
        assert_eq!((message.id.as_str(), message.protocol_instance_id.as_str()), ("u/request", "u"));
        assert_eq!(message.sequencing_id, Some(perdure_proto::api::protocol::message::SequencingId::EventId(5)));
        assert_eq!(message.body.as_ref().unwrap().type_url, "type.googleapis.com/temporal.api.update.v1.Request");
        assert_eq!((task.previous_started_event_id, task.started_event_id, task.attempt), (3, 6, 1));
        assert_eq!(ids(&task.history.as_ref().unwrap().events), [1, 2, 3, 4, 5, 6]);
        // The task is no part of the history yet, but who reads it sees it.
        assert_eq!(ids(&flow.events().await), [1, 2, 3, 4, 5, 6]);
        let answer = flow.respond(words(&flow, &task, vec![accept("u"), respond("u", "result")])).await.unwrap();
        assert_eq!((answer.reset_history_event_id, answer.workflow_task), (0, None));
    });
    let response = response.unwrap();
    assert_eq!(response.stage(), Stage::Completed);
    assert_eq!(response.outcome, Some(success("result")));
    assert_eq!(response.update_ref, Some(update_ref(&flow.id, &run_id, "u")));
    let events = flow.events().await;
    assert_eq!(
        kinds(&events)[4..],
        [
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskCompleted,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::WorkflowExecutionUpdateCompleted,
        ]
    );
    // The same again gets the same answer, and so do those who only wait.
    let again = update(&flow, update_request(&flow.id, "u", Stage::Completed)).await.unwrap();
    assert_eq!(again.outcome, response.outcome);
    let polled = poll(&flow, "u", Stage::Completed).await.unwrap();
    assert_eq!(
        (polled.stage(), polled.outcome, polled.update_ref),
        (Stage::Completed, response.outcome, response.update_ref)
    );
    server.stop().await;
}

#[tokio::test]
async fn the_link_leads_to_the_event_of_acceptance() {
    use perdure_proto::api::common::link::{Variant, workflow_event::Reference};
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let mut request = update_request(&flow.id, "u", Stage::Completed);
    request.request.as_mut().unwrap().request_id = "request".to_owned();
    let (response, ()) = tokio::join!(update(&flow, request), async {
        let task = flow.task().await;
        flow.respond(words(&flow, &task, vec![accept("u"), respond("u", "result")])).await.unwrap();
    });
    let Some(Variant::WorkflowEvent(event)) = response.unwrap().link.unwrap().variant else { panic!() };
    assert_eq!((event.namespace, event.workflow_id, event.run_id), (NAMESPACE.to_owned(), flow.id.clone(), run_id));
    let Some(Reference::RequestIdRef(reference)) = event.reference else { panic!() };
    assert_eq!(
        (reference.request_id.as_str(), reference.event_type()),
        ("request", EventType::WorkflowExecutionUpdateAccepted)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_rejected_update_leaves_no_trace() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    for id in ["u", "v"] {
        let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, id, Stage::Completed)), async {
            let task = flow.task().await;
            let answer = flow.respond(words(&flow, &task, vec![reject(id)])).await.unwrap();
            assert_eq!(answer.reset_history_event_id, 3);
        });
        let response = response.unwrap();
        assert_eq!((response.stage(), failure_type(response.outcome.as_ref()).as_str()), (Stage::Completed, "Broken"));
        let Some(perdure_proto::api::common::link::Variant::Workflow(link)) = response.link.unwrap().variant else {
            panic!()
        };
        assert_eq!(link.reason, "Update rejected");
        assert_eq!(flow.events().await.len(), 4);
    }
    let missing = poll(&flow, "u", Stage::Unspecified).await;
    refused(missing, Code::NotFound, "NotFoundFailure", "update \"u\" not found");
    server.stop().await;
}

#[tokio::test]
async fn an_update_that_its_worker_passes_over_is_rejected() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Accepted)), async {
        let task = flow.task().await;
        flow.complete(&task, Vec::new()).await.unwrap();
    });
    assert_eq!(failure_type(response.unwrap().outcome.as_ref()), "UnprocessedUpdate");
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn callers_wait_for_the_stage_they_want() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (response, task) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Accepted)), async {
        let task = flow.task().await;
        flow.respond(ws::RespondWorkflowTaskCompletedRequest {
            force_create_new_workflow_task: true,
            return_new_workflow_task: true,
            ..words(&flow, &task, vec![accept("u")])
        })
        .await
        .unwrap()
        .workflow_task
        .unwrap()
    });
    let response = response.unwrap();
    assert_eq!((response.stage(), response.outcome), (Stage::Accepted, None));
    for stage in [Stage::Unspecified, Stage::Admitted, Stage::Accepted] {
        let polled = poll(&flow, "u", stage).await.unwrap();
        assert_eq!((polled.stage(), polled.outcome), (Stage::Accepted, None), "{stage:?}");
    }
    assert!(task.messages.is_empty(), "the worker has it");
    let (polled, _) = tokio::join!(poll(&flow, "u", Stage::Completed), async {
        flow.respond(words(&flow, &task, vec![respond("u", "result")])).await.unwrap()
    });
    assert_eq!(polled.unwrap().outcome, Some(success("result")));
    server.stop().await;
}

#[tokio::test]
async fn an_update_that_comes_during_a_task_comes_with_the_answer_to_it() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Completed)), async {
        // The update has no task of its own that would tell when it is there.
        while poll(&flow, "u", Stage::Unspecified).await.is_err() {}
        let request = ws::RespondWorkflowTaskCompletedRequest {
            return_new_workflow_task: true,
            sticky_attributes: stick_to(&unique("own"), &flow.queue),
            ..flow.completion(&task, Vec::new())
        };
        let task = flow.respond(request).await.unwrap().workflow_task.unwrap();
        assert_eq!(task.messages.len(), 1);
        assert_eq!(ids(&task.history.as_ref().unwrap().events), [4, 5, 6]);
        let answer = flow.respond(words(&flow, &task, vec![reject("u")])).await.unwrap();
        assert_eq!(answer.reset_history_event_id, 3);
    });
    assert_eq!(failure_type(response.unwrap().outcome.as_ref()), "Broken");
    assert_eq!(flow.events().await.len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn a_signal_makes_the_task_an_ordinary_one() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Completed)), async {
        let task = flow.task().await;
        flow.signal("s").await.unwrap();
        let expected =
            [EventType::WorkflowTaskCompleted, EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted];
        assert_eq!(flow.kinds().await[3..], expected);
        flow.respond(words(&flow, &task, vec![reject("u")])).await.unwrap();
    });
    response.unwrap();
    assert_eq!(
        flow.kinds().await[6..],
        [EventType::WorkflowTaskCompleted, EventType::WorkflowExecutionSignaled, EventType::WorkflowTaskScheduled]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_task_that_no_worker_takes_becomes_an_ordinary_one() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let request = update_request(&flow.id, "u", Stage::Completed);
    let (response, ()) = tokio::join!(update(&flow, request), async {
        while flow.kinds().await.len() < 7 {
            tokio::task::yield_now().await;
        }
        let task = flow.task().await;
        flow.respond(words(&flow, &task, vec![accept("u"), respond("u", "result")])).await.unwrap();
    });
    assert_eq!(response.unwrap().outcome, Some(success("result")));
    assert_eq!(
        flow.kinds().await[4..7],
        [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskTimedOut, EventType::WorkflowTaskScheduled]
    );
    server.stop().await;
}

#[tokio::test]
async fn updates_end_with_their_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let accepted = update_request(&flow.id, "accepted", Stage::Accepted);
    let (response, _) = tokio::join!(update(&flow, accepted.clone()), async {
        let task = flow.task().await;
        flow.respond(words(&flow, &task, vec![accept("accepted")])).await.unwrap()
    });
    response.unwrap();
    let sent = update_request(&flow.id, "sent", Stage::Accepted);
    let (waits, polls, ()) =
        tokio::join!(update(&flow, sent.clone()), poll(&flow, "accepted", Stage::Completed), async {
            let task = flow.task().await;
            flow.complete(&task, vec![complete("result")]).await.unwrap();
        });
    refused(waits, Code::NotFound, "NotFoundFailure", "workflow update was aborted by closing workflow");
    assert_eq!(failure_type(polls.unwrap().outcome.as_ref()), "AcceptedUpdateCompletedWorkflow");
    // Also afterwards.
    refused(
        update(&flow, sent).await,
        Code::NotFound,
        "NotFoundFailure",
        "workflow update was aborted by closing workflow",
    );
    let again = update(&flow, accepted).await.unwrap();
    assert_eq!(failure_type(again.outcome.as_ref()), "AcceptedUpdateCompletedWorkflow");
    let fresh = update(&flow, update_request(&flow.id, "fresh", Stage::Accepted)).await;
    refused(fresh, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    let missing = poll_run(&flow, &run_id, "fresh", Stage::Accepted).await;
    refused(missing, Code::NotFound, "NotFoundFailure", "update \"fresh\" not found");
    server.stop().await;
}

#[tokio::test]
async fn an_update_follows_its_workflow_into_the_next_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let request = update_request(&flow.id, "u", Stage::Completed);
    let (response, ()) = tokio::join!(update(&flow, request.clone()), async {
        let task = flow.task().await;
        flow.complete(&task, vec![continue_as_new()]).await.unwrap();
    });
    let text = "workflow operation can not be applied because workflow is closing";
    refused(response, Code::ResourceExhausted, "ResourceExhaustedFailure", text);
    // Clients try again, as they do.
    flow.complete(&flow.task().await, Vec::new()).await.unwrap();
    let (response, ()) = tokio::join!(update(&flow, request), async {
        let task = flow.task().await;
        flow.respond(words(&flow, &task, vec![accept("u"), respond("u", "result")])).await.unwrap();
    });
    let response = response.unwrap();
    assert_eq!(response.outcome, Some(success("result")));
    assert_ne!(response.update_ref.unwrap().workflow_execution.unwrap().run_id, run_id);
    server.stop().await;
}

#[tokio::test]
async fn words_that_make_no_sense_fail_the_task() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Completed)), async {
        let task = flow.task().await;
        let answer = flow.respond(words(&flow, &task, vec![respond("u", "result")])).await;
        let text = "BadUpdateWorkflowExecutionMessage: invalid state transition attempted for Update u: received *update.Response message while in state Sent";
        refused(answer, Code::InvalidArgument, "", text);
    });
    let text = "Unable to perform workflow execution update due to unexpected workflow task failure.";
    refused(response, Code::FailedPrecondition, "WorkflowNotReadyFailure", text);
    let task = flow.task().await;
    assert_eq!((task.messages.len(), task.attempt), (0, 2));
    let unknown = flow.respond(words(&flow, &task, vec![accept("v")])).await;
    let text = "BadUpdateWorkflowExecutionMessage: update v wasn't found on the server. This is most likely a transient error which will be resolved automatically by retries";
    refused(unknown, Code::InvalidArgument, "", text);
    let failed = flow.events().await;
    assert_eq!(
        kinds(&failed)[4..7],
        [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted, EventType::WorkflowTaskFailed]
    );
    server.stop().await;
}

#[tokio::test]
async fn what_the_server_has_lost_its_worker_brings_back() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let request = update_request(&flow.id, "u", Stage::Completed).request;
    flow.respond(words(&flow, &task, vec![accept_again("u", request), respond("u", "result")])).await.unwrap();
    let polled = poll(&flow, "u", Stage::Completed).await.unwrap();
    assert_eq!(polled.outcome, Some(success("result")));
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_whose_tasks_fail_takes_no_updates() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    for _ in 0..2 {
        let task = flow.task().await;
        let request = ws::RespondWorkflowTaskFailedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token,
            cause: WorkflowTaskFailedCause::NonDeterministicError.into(),
            ..Default::default()
        };
        flow.rpc.clone().respond_workflow_task_failed(request).await.unwrap();
    }
    let text = "Unable to perform workflow execution update due to Workflow Task in failed state.";
    let response = update(&flow, update_request(&flow.id, "u", Stage::Completed)).await;
    refused(response, Code::FailedPrecondition, "WorkflowNotReadyFailure", text);
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_that_has_not_begun_takes_updates() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let request = ws::StartWorkflowExecutionRequest { workflow_start_delay: seconds(600), ..flow.start_request() };
    flow.rpc.clone().start_workflow_execution(request).await.unwrap();
    let (response, ()) = tokio::join!(update(&flow, update_request(&flow.id, "u", Stage::Completed)), async {
        let task = flow.task().await;
        flow.respond(words(&flow, &task, vec![accept("u"), respond("u", "result")])).await.unwrap();
    });
    assert_eq!(response.unwrap().outcome, Some(success("result")));
    assert_eq!(flow.events().await.len(), 6);
    server.stop().await;
}

#[tokio::test]
async fn at_most_ten_are_under_way() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    flow.task().await;
    let names: Vec<String> = (0..10).map(|number| format!("u{number}")).collect();
    let waiting: Vec<_> = names
        .iter()
        .map(|name| {
            let (flow, request) = (flow.clone(), update_request(&flow.id, name, Stage::Accepted));
            tokio::spawn(async move { update(&flow, request).await })
        })
        .collect();
    for name in &names {
        while poll(&flow, name, Stage::Unspecified).await.is_err() {}
    }
    let response = update(&flow, update_request(&flow.id, "one more", Stage::Accepted)).await;
    let text = "limit on number of concurrent in-flight updates has been reached (10)";
    refused(response, Code::ResourceExhausted, "ResourceExhaustedFailure", text);
    flow.terminate().await;
    for response in waiting {
        response.await.unwrap().unwrap_err();
    }
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_exist() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    let response = update(&flow, update_request(&flow.id, "u", Stage::Completed)).await;
    refused(response, Code::NotFound, "NotFoundFailure", &text);
    refused(poll(&flow, "u", Stage::Completed).await, Code::NotFound, "NotFoundFailure", &text);
    flow.start().await;
    refused(poll(&flow, "u", Stage::Completed).await, Code::NotFound, "NotFoundFailure", "update \"u\" not found");
    let request = ws::UpdateWorkflowExecutionRequest {
        first_execution_run_id: NO_RUN.to_owned(),
        ..update_request(&flow.id, "u", Stage::Completed)
    };
    refused(update(&flow, request).await, Code::NotFound, "NotFoundFailure", "workflow execution not found");
    server.stop().await;
}

#[tokio::test]
async fn malformed_updates() {
    type Adjust = fn(&mut ws::UpdateWorkflowExecutionRequest);
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let cases: [(Adjust, Code, &str, &str); 9] = [
        (|request| request.workflow_execution = None, Code::InvalidArgument, "", "Execution is not set on request."),
        (
            |request| request.workflow_execution.as_mut().unwrap().workflow_id.clear(),
            Code::InvalidArgument,
            "",
            "WorkflowId is not set on request.",
        ),
        (|request| request.request = None, Code::InvalidArgument, "", "Update meta is not set on request."),
        (
            |request| request.request.as_mut().unwrap().meta = None,
            Code::InvalidArgument,
            "",
            "Update meta is not set on request.",
        ),
        (
            |request| request.request.as_mut().unwrap().meta.as_mut().unwrap().update_id = "u".repeat(1001),
            Code::InvalidArgument,
            "",
            "UpdateId length exceeds limit.",
        ),
        (
            |request| request.request.as_mut().unwrap().input = None,
            Code::InvalidArgument,
            "",
            "Update input is not set on request.",
        ),
        (
            |request| request.request.as_mut().unwrap().input.as_mut().unwrap().name.clear(),
            Code::InvalidArgument,
            "",
            "Update name is not set on request.",
        ),
        (
            |request| request.wait_policy = Some(WaitPolicy { lifecycle_stage: Stage::Admitted.into() }),
            Code::PermissionDenied,
            "PermissionDeniedFailure",
            "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
        ),
        (
            |request| request.workflow_execution.as_mut().unwrap().run_id = "no uuid".to_owned(),
            Code::InvalidArgument,
            "",
            "Invalid RunId.",
        ),
    ];
    for (adjust, code, detail, text) in cases {
        let mut request = update_request(&flow.id, "u", Stage::Completed);
        adjust(&mut request);
        refused(update(&flow, request).await, code, detail, text);
    }
    let request = ws::PollWorkflowExecutionUpdateRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
    let response = flow.rpc.clone().poll_workflow_execution_update(request).await;
    refused(response, Code::InvalidArgument, "", "UpdateRef is not set on request.");
    server.stop().await;
}
