//! Queries to workers.

use std::time::Duration;

use perdure_kernel::ErrorKind;
use perdure_persistence::memory::MemoryStore;
use perdure_proto::{
    api::{common::Payloads, enums::QueryResultType, workflowservice as ws},
    tokens::QueryTask,
};
use perdure_rpc::{QueueKind, QueueName, TaskType, matching::AnswerQuery};
use prost::Message;

use crate::kit::{Node, local, queue, quiesce, settings, spawn};

const LONG: Duration = Duration::from_secs(70);

async fn answer(
    node: &Node,
    response: &ws::PollWorkflowTaskQueueResponse,
    request: ws::RespondQueryTaskCompletedRequest,
) -> perdure_kernel::ServiceResult<ws::RespondQueryTaskCompletedResponse> {
    let token = QueryTask::decode(response.task_token.clone()).unwrap();
    let (name, partition) = QueueName::parse_rpc_name(&token.task_queue).unwrap();
    let queue = QueueName {
        partition,
        kind: if token.sticky { QueueKind::Sticky } else { QueueKind::Normal },
        ..QueueName::normal(&token.namespace_id.as_str().into(), name, TaskType::Workflow)
    };
    let answer = AnswerQuery { queue: queue.clone(), query_id: token.query_id, request };
    node.client.ask(&queue, node.caller(LONG), Box::new(answer), None).await
}

#[tokio::test(start_paused = true)]
async fn a_worker_answers_from_any_partition() {
    local(async {
        let (node, queue) = (Node::start(settings(4), MemoryStore::new().into()), queue(TaskType::Workflow));
        for _ in 0..10 {
            let poll = spawn(node.poll(&queue, "worker", LONG));
            quiesce().await;
            let worker = async {
                let response = poll.await.unwrap().unwrap();
                assert_eq!(response.query.as_ref().unwrap().query_type, "state");
                let request = ws::RespondQueryTaskCompletedRequest {
                    completed_type: QueryResultType::Answered.into(),
                    query_result: Some(Payloads::default()),
                    ..Default::default()
                };
                answer(&node, &response, request.clone()).await.unwrap();
                let again = answer(&node, &response, request).await.unwrap_err();
                assert_eq!(again.kind, ErrorKind::NotFound);
                assert_eq!(again.message, "query task not found, or already expired");
            };
            let (result, ()) = tokio::join!(node.query(&queue, LONG), worker);
            assert!(result.unwrap().query_result.is_some());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_query_carries_the_workers_words() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&queue, "worker", LONG));
        let worker = async {
            let response = poll.await.unwrap().unwrap();
            let request = ws::RespondQueryTaskCompletedRequest {
                completed_type: QueryResultType::Failed.into(),
                error_message: "no such query".to_owned(),
                ..Default::default()
            };
            answer(&node, &response, request).await.unwrap();
        };
        let (result, ()) = tokio::join!(node.query(&queue, LONG), worker);
        let error = result.unwrap_err();
        assert_eq!((error.kind, &*error.message), (ErrorKind::QueryFailed { failure: None }, "no such query"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn queries_end_with_the_reason() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let error = node.query(&queue, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::FailedPrecondition);
        assert_eq!(error.message, "no poller seen for task queue recently, worker may be down");

        // A worker takes the query and never answers.
        let poll = spawn(node.poll(&queue, "worker", LONG));
        let error = node.query(&queue, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
        assert!(poll.await.unwrap().unwrap().query.is_some());

        // History cannot serve the query: its caller hears why, and the poller waits on.
        node.history.refuse_next(ErrorKind::WorkflowNotReady);
        let poll = spawn(node.poll(&queue, "worker", LONG));
        quiesce().await;
        let error = node.query(&queue, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::WorkflowNotReady);
        node.add(&queue, "run-1").await.unwrap();
        assert_eq!(&*poll.await.unwrap().unwrap().task_token, b"run-1");
    })
    .await;
}
