//! PollWorkflowTaskQueue, RespondWorkflowTaskCompleted and RespondWorkflowTaskFailed.

use std::time::Duration;

use perdure_proto::api::{
    enums::{EventType, WorkflowExecutionStatus as Status, WorkflowTaskFailedCause as Cause},
    history::{HistoryEvent, WorkflowTaskFailedEventAttributes, history_event::Attributes},
    workflowservice as ws,
};
use tonic::Code;

use crate::kit::*;

const TASK_NOT_FOUND: &str = "Workflow task not found.";

fn failed_tasks(events: &[HistoryEvent]) -> Vec<&WorkflowTaskFailedEventAttributes> {
    let failed = events.iter().filter_map(|event| match event.attributes.as_ref() {
        Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => Some(&**failed),
        _ => None,
    });
    failed.collect()
}

#[tokio::test]
pub(crate) async fn a_worker_takes_a_task_and_decides() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    // The worker is there first.
    let (task, run_id) = tokio::join!(flow.task(), flow.start());
    assert_eq!(task.workflow_execution, execution(&flow.id, &run_id));
    assert_eq!((task.attempt, task.previous_started_event_id, task.started_event_id), (1, 0, 3));
    assert_eq!(task.workflow_type.as_ref().unwrap().name, "order");
    assert_eq!(task.workflow_execution_task_queue, normal(&flow.queue));
    let history = task.history.as_ref().unwrap();
    let expected =
        [EventType::WorkflowExecutionStarted, EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted];
    assert_eq!(kinds(&history.events), expected);

    let answer = flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert!(answer.workflow_task.is_none());
    let last = flow.closed().await;
    let Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) = last.attributes else { panic!() };
    assert_eq!((completed.result, completed.workflow_task_completed_event_id), (payloads("done"), 4));

    let again = flow.complete(&task, vec![complete("twice")]).await;
    refused(again, Code::NotFound, "NotFoundFailure", TASK_NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn a_poll_without_a_task_ends_empty() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let answer = server.rpc().poll_workflow_task_queue(within(BRIEF, flow.poll_request())).await.unwrap();
    assert_eq!(answer.into_inner(), ws::PollWorkflowTaskQueueResponse::default());
    server.stop().await;
}

#[tokio::test]
async fn a_task_does_not_go_to_a_client_that_has_left() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    for _ in 0..10 {
        let mut rpc = server.rpc();
        let poll = rpc.poll_workflow_task_queue(within(PATIENCE, flow.poll_request()));
        let seen = async { while queue_pollers(&flow).await.is_empty() {} };
        tokio::select! {
            answer = poll => panic!("nothing was to come: {answer:?}"),
            () = seen => {}
        }
    }
    // Every partition answers this, after it was told who left.
    queue_pollers(&flow).await;
    flow.start().await;
    assert_eq!(flow.task().await.attempt, 1);
    server.stop().await;
}

async fn queue_pollers(flow: &Flow) -> Vec<String> {
    let request = ws::DescribeTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: normal(&flow.queue),
        ..Default::default()
    };
    let described = flow.rpc.clone().describe_task_queue(request).await.unwrap().into_inner();
    described.pollers.into_iter().map(|poller| poller.identity).collect()
}

#[tokio::test]
async fn a_command_that_cannot_be_carried_out_fails_the_task() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let mut nameless = activity("", &flow.queue, 1);
    nameless.activity_type = None;
    let answer = flow.complete(&task, vec![timer("kept by nobody", Duration::from_secs(60)), schedule(nameless)]).await;
    let status = answer.unwrap_err();
    assert!(status.message().starts_with("BadScheduleActivityAttributes: "), "{}", status.message());
    let text = status.message().to_owned();
    refused::<()>(Err(status), Code::InvalidArgument, "", &text);

    let events = flow.events().await;
    let failed = failed_tasks(&events);
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].cause(), failed[0].scheduled_event_id), (Cause::BadScheduleActivityAttributes, 2));
    assert_eq!(failed[0].failure.as_ref().unwrap().message, text);
    assert!(!kinds(&events).contains(&EventType::TimerStarted));
    // The next attempt may do better.
    let task = flow.task().await;
    assert_eq!(task.attempt, 2);
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert_eq!(flow.closed().await.event_type(), EventType::WorkflowExecutionCompleted);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_leaves_the_task_alone() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let answer = flow.complete(&task, vec![complete("done"), timer("late", Duration::from_secs(60))]).await;
    let text = "invalid command sequence: [CompleteWorkflowExecution, StartTimer], \
                command CompleteWorkflowExecution must be the last command.";
    refused(answer, Code::InvalidArgument, "", text);
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert!(failed_tasks(&flow.events().await).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_worker_keeps_its_task_alive() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let mut task = flow.task().await;
    for beat in 1..=3 {
        let request = ws::RespondWorkflowTaskCompletedRequest {
            force_create_new_workflow_task: true,
            return_new_workflow_task: true,
            ..flow.completion(&task, Vec::new())
        };
        let next = flow.respond(request).await.unwrap().workflow_task.unwrap();
        assert_eq!((next.attempt, next.previous_started_event_id), (1, task.started_event_id));
        assert_eq!(next.started_event_id, 3 + 3 * beat);
        task = next;
    }
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert_eq!(flow.events().await.len(), 14);
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_does_not_close_over_what_it_has_not_seen() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    flow.signal("meanwhile").await.unwrap();
    let unhandled = flow.complete(&task, vec![complete("blind")]).await;
    refused(unhandled, Code::InvalidArgument, "", "UnhandledCommand");
    let task = flow.task().await;
    assert!(kinds(&task.history.as_ref().unwrap().events).contains(&EventType::WorkflowExecutionSignaled));
    // It gets a chance to close: signals must wait for its next attempt to do so.
    let text = "workflow operation can not be applied because workflow is closing";
    refused(flow.signal("again").await, Code::ResourceExhausted, "ResourceExhaustedFailure", text);
    flow.complete(&task, vec![complete("seen")]).await.unwrap();
    assert_eq!(flow.status("").await, Status::Completed);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_goes_on_with_what_came_meanwhile() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    flow.signal("meanwhile").await.unwrap();
    let request = ws::RespondWorkflowTaskCompletedRequest {
        return_new_workflow_task: true,
        ..flow.completion(&task, Vec::new())
    };
    let next = flow.respond(request).await.unwrap().workflow_task.unwrap();
    assert_eq!(next.previous_started_event_id, task.started_event_id);
    flow.complete(&next, vec![complete("seen")]).await.unwrap();
    assert_eq!(flow.status("").await, Status::Completed);
    server.stop().await;
}

fn failing(task: &Task, cause: Cause) -> ws::RespondWorkflowTaskFailedRequest {
    ws::RespondWorkflowTaskFailedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token.clone(),
        cause: cause.into(),
        failure: failure("cannot decide", false),
        identity: WORKER.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
pub(crate) async fn a_worker_that_cannot_decide_says_so() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let first = flow.task().await;
    let request = failing(&first, Cause::NonDeterministicError);
    server.rpc().respond_workflow_task_failed(request.clone()).await.unwrap();
    let answer = server.rpc().respond_workflow_task_failed(request).await;
    refused(answer, Code::NotFound, "NotFoundFailure", TASK_NOT_FOUND);
    refused(flow.complete(&first, Vec::new()).await, Code::NotFound, "NotFoundFailure", TASK_NOT_FOUND);

    // Later attempts leave no trace but the last one's.
    let second = flow.task().await;
    assert_eq!(second.attempt, 2);
    server.rpc().respond_workflow_task_failed(failing(&second, Cause::NonDeterministicError)).await.unwrap();
    let events = flow.events().await;
    let failed = failed_tasks(&events);
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].cause(), failed[0].identity.as_str()), (Cause::NonDeterministicError, WORKER));
    assert_eq!(failed[0].failure, failure("cannot decide", false));
    assert_eq!(flow.describe().await.pending_workflow_task.unwrap().attempt, 3);

    let third = flow.task().await;
    flow.complete(&third, vec![complete("done")]).await.unwrap();
    let kinds = flow.kinds().await;
    let tail = [
        EventType::WorkflowTaskFailed,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
        EventType::WorkflowTaskCompleted,
        EventType::WorkflowExecutionCompleted,
    ];
    assert_eq!(kinds[3..], tail);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_too_large_to_send_ends_the_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    server.rpc().respond_workflow_task_failed(failing(&task, Cause::GrpcMessageTooLarge)).await.unwrap();
    assert_eq!(flow.closed().await.event_type(), EventType::WorkflowExecutionTerminated);
    server.stop().await;
}

#[tokio::test]
async fn a_task_that_nobody_answers_comes_again() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let request = ws::StartWorkflowExecutionRequest { workflow_task_timeout: seconds(1), ..flow.start_request() };
    server.rpc().start_workflow_execution(request).await.unwrap();
    let lost = flow.task().await;
    let task = flow.task().await;
    assert_eq!(task.attempt, 2);
    assert!(flow.kinds().await.contains(&EventType::WorkflowTaskTimedOut));
    refused(flow.complete(&lost, Vec::new()).await, Code::NotFound, "NotFoundFailure", TASK_NOT_FOUND);
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}
