//! QueryWorkflow and RespondQueryTaskCompleted.

use perdure_proto::api::{
    enums::{QueryRejectCondition, QueryResultType, WorkflowExecutionStatus, WorkflowTaskFailedCause},
    errordetails::{QueryFailedFailure, ResourceExhaustedFailure},
    query::WorkflowQueryResult,
    workflowservice as ws,
};
use prost::Message;
use tonic::{Code, Status};

use crate::kit::*;

fn answer(task: &Task, result: &str) -> ws::RespondQueryTaskCompletedRequest {
    ws::RespondQueryTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token.clone(),
        completed_type: QueryResultType::Answered.into(),
        query_result: payloads(result),
        ..Default::default()
    }
}

/// Answers the next query that comes on its own.
async fn serve_query(flow: &Flow, result: &str) -> Task {
    let task = flow.task().await;
    assert_eq!(task.query.as_ref().unwrap().query_type, "state");
    flow.rpc.clone().respond_query_task_completed(answer(&task, result)).await.unwrap();
    task
}

/// Keeps the workflow task alive until queries have come with it.
async fn task_with_queries(flow: &Flow, count: usize) -> Task {
    let mut task = flow.task().await;
    while task.queries.len() < count {
        let request = ws::RespondWorkflowTaskCompletedRequest {
            force_create_new_workflow_task: true,
            return_new_workflow_task: true,
            ..flow.completion(&task, Vec::new())
        };
        task = flow.respond(request).await.unwrap().workflow_task.unwrap();
    }
    task
}

fn with_results(flow: &Flow, task: &Task, result: &WorkflowQueryResult) -> ws::RespondWorkflowTaskCompletedRequest {
    ws::RespondWorkflowTaskCompletedRequest {
        query_results: task.queries.keys().map(|id| (id.clone(), result.clone())).collect(),
        ..flow.completion(task, Vec::new())
    }
}

fn rejecting(flow: &Flow, condition: QueryRejectCondition) -> ws::QueryWorkflowRequest {
    ws::QueryWorkflowRequest { query_reject_condition: condition.into(), ..flow.query_request("state") }
}

#[tokio::test]
pub(crate) async fn a_quiet_workflow_is_asked_directly() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let (result, task) = tokio::join!(flow.query("state"), serve_query(&flow, "fine"));
    assert_eq!(result.unwrap().query_result, payloads("fine"));
    assert_eq!(ids(&task.history.as_ref().unwrap().events), [1, 2, 3, 4]);
    assert_eq!(task.previous_started_event_id, 3);
    // No trace of it is left, and it is answered once.
    assert_eq!(flow.events().await.len(), 4);
    let late = server.rpc().respond_query_task_completed(answer(&task, "again")).await;
    refused(late, Code::NotFound, "NotFoundFailure", "query task not found, or already expired");

    flow.terminate().await;
    let (result, _) = tokio::join!(flow.query("state"), serve_query(&flow, "over"));
    assert_eq!(result.unwrap().query_result, payloads("over"));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_worker_refuses_to_answer() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let refusing = async {
        let task = flow.task().await;
        let request = ws::RespondQueryTaskCompletedRequest {
            completed_type: QueryResultType::Failed.into(),
            query_result: None,
            error_message: "no such query".to_owned(),
            failure: failure("no such query", false),
            ..answer(&task, "")
        };
        server.rpc().respond_query_task_completed(request).await.unwrap();
    };
    let (result, ()) = tokio::join!(flow.query("state"), refusing);
    let detail = refused(result, Code::InvalidArgument, "QueryFailedFailure", "no such query");
    let detail = QueryFailedFailure::decode(detail.as_slice()).unwrap();
    assert_eq!(detail.failure, failure("no such query", false));
    server.stop().await;
}

#[tokio::test]
async fn a_query_waits_for_the_workflow_task() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let answered = WorkflowQueryResult {
        result_type: QueryResultType::Answered.into(),
        answer: payloads("fine"),
        ..Default::default()
    };
    let (result, ()) = tokio::join!(flow.query("state"), async {
        let task = task_with_queries(&flow, 1).await;
        assert_eq!(task.queries.values().next().unwrap().query_type, "state");
        flow.respond(with_results(&flow, &task, &answered)).await.unwrap();
    });
    assert_eq!(result.unwrap().query_result, payloads("fine"));

    let failed = WorkflowQueryResult {
        result_type: QueryResultType::Failed.into(),
        error_message: "not now".to_owned(),
        failure: failure("not now", false),
        ..Default::default()
    };
    flow.signal("wake up").await.unwrap();
    let (result, ()) = tokio::join!(flow.query("state"), async {
        let task = task_with_queries(&flow, 1).await;
        flow.respond(with_results(&flow, &task, &failed)).await.unwrap();
    });
    refused(result, Code::InvalidArgument, "QueryFailedFailure", "not now");
    server.stop().await;
}

#[tokio::test]
async fn one_query_at_a_time_waits_for_the_workflow_task() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let answered = WorkflowQueryResult {
        result_type: QueryResultType::Answered.into(),
        answer: payloads("fine"),
        ..Default::default()
    };
    let (first, second, ()) = tokio::join!(flow.query("state"), flow.query("state"), async {
        let task = task_with_queries(&flow, 1).await;
        flow.respond(with_results(&flow, &task, &answered)).await.unwrap();
    });
    let (taken, left): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), left.len()), (1, 1));
    let text = "consistent query buffer is full, this may be caused by too many queries and workflow not able to \
                process query fast enough";
    for refusal in left {
        let detail = refused(refusal, Code::ResourceExhausted, "ResourceExhaustedFailure", text);
        let detail = ResourceExhaustedFailure::decode(detail.as_slice()).unwrap();
        assert_eq!(detail.cause().as_str_name(), "RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_worker_with_a_cache_is_asked_first() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let own = unique("own");
    let task = flow.task().await;
    let request = ws::RespondWorkflowTaskCompletedRequest {
        sticky_attributes: stick_to(&own, &flow.queue),
        ..flow.completion(&task, Vec::new())
    };
    flow.respond(request).await.unwrap();
    let own_poll = ws::PollWorkflowTaskQueueRequest { task_queue: sticky(&own, &flow.queue), ..flow.poll_request() };
    let serve = async {
        let task = flow.task_by(own_poll).await;
        assert!(task.query.is_some() && task.history.as_ref().unwrap().events.is_empty());
        server.rpc().respond_query_task_completed(answer(&task, "cached")).await.unwrap();
    };
    // The worker polls before the question comes: a queue that nobody polls is not asked.
    let (result, ()) = tokio::join!(query_once_polled(&flow, &own), serve);
    assert_eq!(result.unwrap().query_result, payloads("cached"));
    server.stop().await;
}

/// A query that is asked once the worker's own queue is polled.
async fn query_once_polled(flow: &Flow, own: &str) -> Result<ws::QueryWorkflowResponse, Status> {
    let request = ws::DescribeTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: sticky(own, &flow.queue),
        ..Default::default()
    };
    while flow.rpc.clone().describe_task_queue(request.clone()).await.unwrap().get_ref().pollers.is_empty() {}
    flow.query("state").await
}

#[tokio::test]
async fn a_worker_with_a_cache_that_has_gone_is_replaced() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let request = ws::RespondWorkflowTaskCompletedRequest {
        sticky_attributes: stick_to(&unique("own"), &flow.queue),
        ..flow.completion(&task, Vec::new())
    };
    flow.respond(request).await.unwrap();
    let (result, task) = tokio::join!(flow.query("state"), serve_query(&flow, "anew"));
    assert_eq!(result.unwrap().query_result, payloads("anew"));
    assert_eq!(ids(&task.history.as_ref().unwrap().events), [1, 2, 3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn a_query_names_the_states_it_wants_no_answer_in() {
    use QueryRejectCondition::{NotCompletedCleanly, NotOpen};
    let server = Server::start().await;
    for (end, condition, status) in [
        (complete("done"), NotOpen, WorkflowExecutionStatus::Completed),
        (fail("broken"), NotOpen, WorkflowExecutionStatus::Failed),
        (fail("broken"), NotCompletedCleanly, WorkflowExecutionStatus::Failed),
    ] {
        let flow = Flow::new(&server);
        flow.begin(vec![end]).await;
        let answer = server.rpc().query_workflow(rejecting(&flow, condition)).await.unwrap().into_inner();
        assert_eq!(answer.query_rejected.unwrap().status(), status);
    }
    let flow = Flow::new(&server);
    flow.begin(vec![complete("done")]).await;
    let query = server.rpc();
    let query = async { query.clone().query_workflow(within(PATIENCE, rejecting(&flow, NotCompletedCleanly))).await };
    let (result, _) = tokio::join!(query, serve_query(&flow, "clean"));
    assert_eq!(result.unwrap().into_inner().query_result, payloads("clean"));
    server.stop().await;
}

#[tokio::test]
async fn some_workflows_cannot_be_asked() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.query("state").await, Code::NotFound, "NotFoundFailure", &text);

    flow.start().await;
    for _ in 0..2 {
        let request = ws::RespondWorkflowTaskFailedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: flow.task().await.task_token,
            cause: WorkflowTaskFailedCause::NonDeterministicError.into(),
            ..Default::default()
        };
        server.rpc().respond_workflow_task_failed(request).await.unwrap();
    }
    let text = "Unable to query workflow due to Workflow Task in failed state.";
    refused(flow.query("state").await, Code::FailedPrecondition, "WorkflowNotReadyFailure", text);

    let flow = Flow::new(&server);
    flow.start().await;
    flow.terminate().await;
    let text = "Workflow execution closed before WorkflowTaskStarted event";
    refused(flow.query("state").await, Code::FailedPrecondition, "WorkflowNotReadyFailure", text);
    server.stop().await;
}

#[tokio::test]
async fn a_query_that_no_worker_takes_ends() {
    let server = Server::start().await;
    // Nobody was there lately, and that is said.
    let flow = Flow::new(&server);
    let eager = ws::StartWorkflowExecutionRequest { request_eager_execution: true, ..flow.start_request() };
    let task = server.rpc().start_workflow_execution(eager).await.unwrap().into_inner().eager_workflow_task.unwrap();
    flow.complete(&task, Vec::new()).await.unwrap();
    let answer = server.rpc().query_workflow(within(BRIEF, flow.query_request("state"))).await;
    let text = "no poller seen for task queue recently, worker may be down";
    refused(answer, Code::FailedPrecondition, "", text);

    // Somebody was: it may be busy until the deadline.
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let answer = server.rpc().query_workflow(within(BRIEF, flow.query_request("state"))).await;
    let status = answer.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_answer_with_a_bad_token_is_refused() {
    let server = Server::start().await;
    let mut task = Task { task_token: "no token".into(), ..Task::default() };
    let garbage = server.rpc().respond_query_task_completed(answer(&task, "")).await;
    assert_eq!(garbage.unwrap_err().code(), Code::InvalidArgument);
    task.task_token = Default::default();
    let empty = server.rpc().respond_query_task_completed(answer(&task, "")).await;
    assert_eq!(empty.unwrap_err().code(), Code::InvalidArgument);
    server.stop().await;
}
