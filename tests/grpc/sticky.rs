//! Workers with a cache: sticky queues, ResetStickyTaskQueue and ShutdownWorker.

use perdure_proto::api::{enums::EventType, workflowservice as ws};
use tonic::Code;

use crate::kit::*;

/// A poll of the worker's own queue.
fn own_poll(flow: &Flow, own: &str) -> ws::PollWorkflowTaskQueueRequest {
    ws::PollWorkflowTaskQueueRequest { task_queue: sticky(own, &flow.queue), ..flow.poll_request() }
}

/// Has the first task completed by a worker that keeps the workflow, and that has polled its own queue.
async fn begin_sticky(flow: &Flow, own: &str) {
    flow.start().await;
    let task = flow.task().await;
    let request = ws::RespondWorkflowTaskCompletedRequest {
        sticky_attributes: stick_to(own, &flow.queue),
        ..flow.completion(&task, Vec::new())
    };
    flow.respond(request).await.unwrap();
}

fn reset_sticky(flow: &Flow) -> ws::ResetStickyTaskQueueRequest {
    ws::ResetStickyTaskQueueRequest { namespace: NAMESPACE.to_owned(), execution: flow.execution() }
}

#[tokio::test]
async fn a_worker_that_has_the_workflow_gets_only_news() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let own = unique("own");
    begin_sticky(&flow, &own).await;
    let (task, signaled) = tokio::join!(flow.task_by(own_poll(&flow, &own)), flow.signal("news"));
    signaled.unwrap();
    assert_eq!(task.previous_started_event_id, 3);
    let expected = [
        EventType::WorkflowTaskCompleted,
        EventType::WorkflowExecutionSignaled,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
    ];
    let events = task.history.as_ref().unwrap();
    assert_eq!(kinds(&events.events), expected);
    // A worker that lost its cache asks for the rest.
    assert_eq!(ids(&flow.events().await), [1, 2, 3, 4, 5, 6, 7]);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_that_does_not_come_is_not_waited_for() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    begin_sticky(&flow, &unique("own")).await;
    flow.signal("news").await.unwrap();
    let task = flow.task().await;
    assert_eq!(task.history.as_ref().unwrap().events[0].event_id, 1);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_reset_sends_the_next_task_to_everyone() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    let answer = server.rpc().reset_sticky_task_queue(reset_sticky(&flow)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", &text);

    let own = unique("own");
    begin_sticky(&flow, &own).await;
    server.rpc().reset_sticky_task_queue(reset_sticky(&flow)).await.unwrap();
    let waiting = server.connection().await;
    let own_poll = async { waiting.clone().poll_workflow_task_queue(within(PATIENCE, own_poll(&flow, &own))).await };
    let normal = async {
        flow.signal("news").await.unwrap();
        flow.task().await
    };
    let task = tokio::select! {
        stolen = own_poll => panic!("the worker was forgotten: {stolen:?}"),
        task = normal => task,
    };
    assert_eq!(task.history.as_ref().unwrap().events[0].event_id, 1);

    flow.terminate().await;
    let answer = server.rpc().reset_sticky_task_queue(reset_sticky(&flow)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_worker_says_goodbye() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let own = unique("own");
    begin_sticky(&flow, &own).await;
    let request = ws::ShutdownWorkerRequest {
        namespace: NAMESPACE.to_owned(),
        sticky_task_queue: own,
        identity: WORKER.to_owned(),
        reason: "done for today".to_owned(),
        ..Default::default()
    };
    server.rpc().shutdown_worker(request).await.unwrap();
    // Others carry on.
    flow.signal("news").await.unwrap();
    flow.task().await;
    server.stop().await;
}
