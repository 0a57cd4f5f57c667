//! ExecuteMultiOperation: an update for a workflow that is started if need be.

use perdure_proto::api::{
    enums::{
        EventType, UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowExecutionStatus, WorkflowIdConflictPolicy,
        WorkflowIdReusePolicy,
    },
    errordetails::MultiOperationExecutionFailure,
    workflowservice::{
        self as ws,
        execute_multi_operation_request::{Operation, operation},
        execute_multi_operation_response::response,
    },
};
use prost::Message;
use tonic::{Code, Status};

use crate::kit::*;

type Answers = (ws::StartWorkflowExecutionResponse, ws::UpdateWorkflowExecutionResponse);

fn operations(start: ws::StartWorkflowExecutionRequest, update: ws::UpdateWorkflowExecutionRequest) -> Vec<Operation> {
    vec![
        Operation { operation: Some(operation::Operation::StartWorkflow(start)) },
        Operation { operation: Some(operation::Operation::UpdateWorkflow(update)) },
    ]
}

async fn execute(flow: &Flow, operations: Vec<Operation>) -> Result<Answers, Status> {
    let request =
        ws::ExecuteMultiOperationRequest { namespace: NAMESPACE.to_owned(), operations, ..Default::default() };
    let response = flow.rpc.clone().execute_multi_operation(within(PATIENCE, request)).await?.into_inner();
    let mut responses = response.responses.into_iter().map(|response| response.response.unwrap());
    let Some(response::Response::StartWorkflow(start)) = responses.next() else { panic!() };
    let Some(response::Response::UpdateWorkflow(update)) = responses.next() else { panic!() };
    Ok((start, update))
}

async fn update_with_start(
    flow: &Flow,
    id: &str,
    adjust: impl Fn(&mut ws::StartWorkflowExecutionRequest),
) -> Result<Answers, Status> {
    let mut start = flow.start_request();
    adjust(&mut start);
    execute(flow, operations(start, update_request(&flow.id, id, Stage::Completed))).await
}

fn use_existing(start: &mut ws::StartWorkflowExecutionRequest) {
    start.workflow_id_conflict_policy = WorkflowIdConflictPolicy::UseExisting.into();
}

fn fail_existing(start: &mut ws::StartWorkflowExecutionRequest) {
    start.workflow_id_conflict_policy = WorkflowIdConflictPolicy::Fail.into();
}

/// The worker takes the next task, which asks for an update, and answers it.
async fn answer(flow: &Flow, id: &str) {
    let task = flow.task().await;
    assert_eq!(task.messages.len(), 1);
    let messages = vec![accept(id), respond(id, id)];
    let request = ws::RespondWorkflowTaskCompletedRequest { messages, ..flow.completion(&task, Vec::new()) };
    flow.respond(request).await.unwrap();
}

/// Asserts that the operations came to this: codes and texts in order.
#[track_caller]
fn came_to<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, expected: [(Code, &str); 2]) {
    let text = "Update-with-Start could not be executed.";
    let detail = refused(result, code, "MultiOperationExecutionFailure", text);
    let failure = MultiOperationExecutionFailure::decode(detail.as_slice()).unwrap();
    let told: Vec<_> = failure.statuses.iter().map(|status| (status.code, status.message.clone())).collect();
    let expected: Vec<_> = expected.iter().map(|(code, text)| (*code as i32, (*text).to_owned())).collect();
    assert_eq!(told, expected);
}

const ABORTED: (Code, &str) = (Code::Aborted, "Operation was aborted.");

#[tokio::test]
pub(crate) async fn the_workflow_starts_with_its_update() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let (answers, ()) = tokio::join!(update_with_start(&flow, "u", use_existing), answer(&flow, "u"));
    let (start, update) = answers.unwrap();
    assert!(start.started);
    assert_eq!(start.status(), WorkflowExecutionStatus::Running);
    assert_eq!(update.outcome, Some(success("u")));
    assert_eq!(update.update_ref, Some(update_ref(&flow.id, &start.run_id, "u")));
    assert_eq!(
        flow.kinds().await[1..],
        [
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskCompleted,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::WorkflowExecutionUpdateCompleted,
        ]
    );
    // The answered update is told of again, whatever the policy.
    let (again, update) = update_with_start(&flow, "u", fail_existing).await.unwrap();
    assert_eq!((again.started, again.run_id), (false, start.run_id));
    assert_eq!(update.outcome, Some(success("u")));
    server.stop().await;
}

#[tokio::test]
async fn a_running_workflow_gets_the_update_alone() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let (answers, ()) = tokio::join!(update_with_start(&flow, "u", use_existing), answer(&flow, "u"));
    let (start, update) = answers.unwrap();
    assert_eq!((start.started, start.run_id, start.status), (false, run_id, WorkflowExecutionStatus::Running.into()));
    assert_eq!((start.first_execution_run_id.as_str(), start.link.is_some()), ("", true));
    assert_eq!(update.outcome, Some(success("u")));
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_in_the_way() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let response = update_with_start(&flow, "u", fail_existing).await;
    let text = format!("Workflow execution is already running. WorkflowId: {}, RunId: {run_id}.", flow.id);
    came_to(response, Code::AlreadyExists, [(Code::AlreadyExists, &text), ABORTED]);
    // One that may be ended makes room.
    let (answers, ()) = tokio::join!(
        update_with_start(&flow, "u", |start| {
            start.workflow_id_conflict_policy = WorkflowIdConflictPolicy::TerminateExisting.into();
        }),
        answer(&flow, "u")
    );
    let (start, _) = answers.unwrap();
    assert!(start.started && start.run_id != run_id);
    assert_eq!(flow.status(&run_id).await, WorkflowExecutionStatus::Terminated);
    server.stop().await;
}

#[tokio::test]
async fn a_closed_workflow() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(vec![complete("result")]).await;
    let response = update_with_start(&flow, "u", |start| {
        use_existing(start);
        start.workflow_id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate.into();
    })
    .await;
    let text = format!(
        "Workflow execution already finished. WorkflowId: {}, RunId: {run_id}. Workflow Id reuse policy: reject duplicate workflow Id.",
        flow.id
    );
    came_to(response, Code::AlreadyExists, [(Code::AlreadyExists, &text), ABORTED]);
    let (answers, ()) = tokio::join!(update_with_start(&flow, "u", use_existing), answer(&flow, "u"));
    assert_ne!(answers.unwrap().0.run_id, run_id);
    server.stop().await;
}

#[tokio::test]
async fn the_same_start_again_joins_its_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let with_id = |start: &mut ws::StartWorkflowExecutionRequest| {
        fail_existing(start);
        start.request_id = "the same".to_owned();
    };
    let (answers, ()) = tokio::join!(update_with_start(&flow, "u", with_id), answer(&flow, "u"));
    let run_id = answers.unwrap().0.run_id;
    let (answers, ()) = tokio::join!(update_with_start(&flow, "v", with_id), answer(&flow, "v"));
    assert_eq!(answers.unwrap().0.run_id, run_id);
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_that_closes_over_the_update_is_started_anew_once() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(Vec::new()).await;
    let (answers, ()) = tokio::join!(update_with_start(&flow, "u", use_existing), async {
        let task = flow.task().await;
        assert_eq!(task.messages.len(), 1);
        flow.complete(&task, vec![complete("result")]).await.unwrap();
        answer(&flow, "u").await;
    });
    let (start, update) = answers.unwrap();
    assert!(start.started && start.run_id != run_id);
    assert_eq!(update.outcome, Some(success("u")));
    server.stop().await;
}

#[tokio::test]
async fn a_started_workflow_that_closes_over_the_update_stays_started() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let (response, ()) = tokio::join!(update_with_start(&flow, "u", use_existing), async {
        let task = flow.task().await;
        flow.complete(&task, vec![complete("result")]).await.unwrap();
    });
    let text = "workflow update was aborted by closing workflow";
    came_to(response, Code::NotFound, [(Code::Ok, ""), (Code::NotFound, text)]);
    server.stop().await;
}

#[tokio::test]
async fn malformed_operations() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let start = || flow.start_request();
    let update = || update_request(&flow.id, "u", Stage::Completed);
    let text = "Operations have to be exactly [Start, Update].";
    let mut reversed = operations(start(), update());
    reversed.reverse();
    for operations in [Vec::new(), reversed, operations(start(), update())[..1].to_vec()] {
        refused(execute(&flow, operations).await, Code::InvalidArgument, "", text);
    }
    type Adjust = fn(&mut ws::StartWorkflowExecutionRequest, &mut ws::UpdateWorkflowExecutionRequest);
    let bad = |text| (Code::InvalidArgument, text);
    let cases: [(Adjust, [(Code, &str); 2]); 9] = [
        (|start, _| start.cron_schedule = "* * * * *".to_owned(), [bad("CronSchedule is not allowed."), ABORTED]),
        (|start, _| start.request_eager_execution = true, [bad("RequestEagerExecution is not supported."), ABORTED]),
        (|start, _| start.workflow_start_delay = seconds(1), [bad("WorkflowStartDelay is not supported."), ABORTED]),
        (
            |start, _| start.namespace = "another".to_owned(),
            [bad("Operation namespace did not match request's namespace."), ABORTED],
        ),
        (
            |_, update| update.namespace = "another".to_owned(),
            [ABORTED, bad("Operation namespace did not match request's namespace.")],
        ),
        (
            |_, update| update.first_execution_run_id = NO_RUN.to_owned(),
            [ABORTED, bad("FirstExecutionRunId is not allowed.")],
        ),
        (
            |_, update| update.workflow_execution.as_mut().unwrap().run_id = NO_RUN.to_owned(),
            [ABORTED, bad("RunId is not allowed.")],
        ),
        (
            |_, update| update.workflow_execution = execution("another", ""),
            [ABORTED, bad("WorkflowId is not consistent with previous operation(s).")],
        ),
        (
            |start, update| {
                start.workflow_type = None;
                update.request = None;
            },
            [bad("WorkflowType is not set on request."), bad("Update meta is not set on request.")],
        ),
    ];
    for (adjust, expected) in cases {
        let (mut start, mut update) = (start(), update());
        adjust(&mut start, &mut update);
        came_to(execute(&flow, operations(start, update)).await, Code::InvalidArgument, expected);
    }
    server.stop().await;
}
