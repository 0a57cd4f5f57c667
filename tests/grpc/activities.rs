//! PollActivityTaskQueue, heartbeats and outcomes, by token.

use perdure_proto::api::{
    enums::{EventType, PendingActivityState, RetryState, TimeoutType},
    failure::failure::FailureInfo,
    history::history_event::Attributes,
    workflowservice as ws,
};
use prost::bytes::Bytes;
use tonic::Code;

use crate::kit::*;

const GONE: &str = "invalid activityID or activity already timed out or invoking workflow is completed";

fn completion(token: &Bytes) -> ws::RespondActivityTaskCompletedRequest {
    ws::RespondActivityTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        identity: WORKER.to_owned(),
        result: payloads("result"),
        ..Default::default()
    }
}

fn failing(token: &Bytes, non_retryable: bool) -> ws::RespondActivityTaskFailedRequest {
    ws::RespondActivityTaskFailedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        identity: WORKER.to_owned(),
        failure: failure("broken", non_retryable),
        ..Default::default()
    }
}

fn heartbeat(token: &Bytes, details: &str) -> ws::RecordActivityTaskHeartbeatRequest {
    ws::RecordActivityTaskHeartbeatRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        identity: WORKER.to_owned(),
        details: payloads(details),
        ..Default::default()
    }
}

fn canceled(token: &Bytes) -> ws::RespondActivityTaskCanceledRequest {
    ws::RespondActivityTaskCanceledRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        identity: WORKER.to_owned(),
        details: payloads("stopped"),
        ..Default::default()
    }
}

#[tokio::test]
pub(crate) async fn an_activity_completes() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    let task = flow.activity().await;
    assert_eq!((task.activity_id.as_str(), task.attempt, &task.input), ("a", 1, &payloads("input")));
    assert_eq!(task.workflow_execution, execution(&flow.id, &run_id));
    assert_eq!((task.workflow_namespace.as_str(), task.start_to_close_timeout), (NAMESPACE, seconds(600)));
    assert!(task.heartbeat_details.is_none() && task.scheduled_time.is_some());

    server.rpc().respond_activity_task_completed(completion(&task.task_token)).await.unwrap();
    let workflow_task = flow.task().await;
    let events = &workflow_task.history.as_ref().unwrap().events;
    let expected = [
        EventType::ActivityTaskScheduled,
        EventType::ActivityTaskStarted,
        EventType::ActivityTaskCompleted,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
    ];
    assert_eq!(kinds(&events[4..]), expected);
    let Some(Attributes::ActivityTaskCompletedEventAttributes(completed)) = &events[6].attributes else { panic!() };
    assert_eq!((&completed.result, completed.scheduled_event_id), (&payloads("result"), 5));
    let again = server.rpc().respond_activity_task_completed(completion(&task.task_token)).await;
    refused(again, Code::NotFound, "NotFoundFailure", GONE);
    server.stop().await;
}

#[tokio::test]
async fn a_poll_without_an_activity_ends_empty() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let answer = server.rpc().poll_activity_task_queue(within(BRIEF, flow.activity_poll_request())).await.unwrap();
    assert_eq!(answer.into_inner(), ws::PollActivityTaskQueueResponse::default());
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_failed_attempt_is_followed_by_another() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 2))]).await;
    let first = flow.activity().await;
    let mut request = failing(&first.task_token, false);
    request.last_heartbeat_details = payloads("half way");
    server.rpc().respond_activity_task_failed(request.clone()).await.unwrap();
    refused(server.rpc().respond_activity_task_failed(request).await, Code::NotFound, "NotFoundFailure", GONE);

    let second = flow.activity().await;
    assert_eq!((second.attempt, &second.heartbeat_details), (2, &payloads("half way")));
    let pending = &flow.describe().await.pending_activities[0];
    assert_eq!((pending.attempt, pending.last_failure.as_ref().unwrap().message.as_str()), (2, "broken"));
    // The first attempt's worker has nothing to say any more.
    let late = server.rpc().respond_activity_task_completed(completion(&first.task_token)).await;
    refused(late, Code::NotFound, "NotFoundFailure", GONE);

    server.rpc().respond_activity_task_failed(failing(&second.task_token, false)).await.unwrap();
    let events = flow.task().await.history.unwrap().events;
    let Some(Attributes::ActivityTaskFailedEventAttributes(failed)) = &events[6].attributes else { panic!() };
    assert_eq!(failed.retry_state(), RetryState::MaximumAttemptsReached);
    let Some(Attributes::ActivityTaskStartedEventAttributes(started)) = &events[5].attributes else { panic!() };
    assert_eq!((started.attempt, started.last_failure.as_ref().unwrap().message.as_str()), (2, "broken"));
    server.stop().await;
}

#[tokio::test]
async fn a_failure_that_is_final_is_not_tried_again() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 0))]).await;
    let task = flow.activity().await;
    server.rpc().respond_activity_task_failed(failing(&task.task_token, true)).await.unwrap();
    let events = flow.task().await.history.unwrap().events;
    let Some(Attributes::ActivityTaskFailedEventAttributes(failed)) = &events[6].attributes else { panic!() };
    assert_eq!(failed.retry_state(), RetryState::NonRetryableFailure);
    assert_eq!(failed.failure, failure("broken", true));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn heartbeats_keep_progress_and_tell_of_cancellation() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    let task = flow.activity().await;
    let answer = server.rpc().record_activity_task_heartbeat(heartbeat(&task.task_token, "one")).await.unwrap();
    assert!(!answer.get_ref().cancel_requested);
    let pending = flow.describe().await.pending_activities.remove(0);
    assert_eq!(pending.heartbeat_details, payloads("one"));
    assert!(pending.last_heartbeat_time.is_some());
    let early = server.rpc().respond_activity_task_canceled(canceled(&task.task_token)).await;
    let text = "unable to mark activity as canceled without activity being request canceled first";
    refused(early, Code::InvalidArgument, "", text);

    flow.signal("cancel it").await.unwrap();
    let workflow_task = flow.task().await;
    flow.complete(&workflow_task, vec![cancel_activity(5)]).await.unwrap();
    let answer = server.rpc().record_activity_task_heartbeat(heartbeat(&task.task_token, "two")).await.unwrap();
    assert!(answer.get_ref().cancel_requested);
    assert_eq!(flow.describe().await.pending_activities[0].state(), PendingActivityState::CancelRequested);

    server.rpc().respond_activity_task_canceled(canceled(&task.task_token)).await.unwrap();
    let events = flow.task().await.history.unwrap().events;
    let canceled = events.iter().find(|event| event.event_type() == EventType::ActivityTaskCanceled).unwrap();
    let Some(Attributes::ActivityTaskCanceledEventAttributes(attributes)) = &canceled.attributes else { panic!() };
    assert_eq!((&attributes.details, attributes.scheduled_event_id), (&payloads("stopped"), 5));
    let late = server.rpc().record_activity_task_heartbeat(heartbeat(&task.task_token, "three")).await;
    refused(late, Code::NotFound, "NotFoundFailure", GONE);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_cancelled_activity_says_so() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    let task = flow.activity().await;
    flow.terminate().await;
    for answer in [
        server.rpc().respond_activity_task_canceled(canceled(&task.task_token)).await.map(drop),
        server.rpc().respond_activity_task_completed(completion(&task.task_token)).await.map(drop),
        server.rpc().respond_activity_task_failed(failing(&task.task_token, false)).await.map(drop),
        server.rpc().record_activity_task_heartbeat(heartbeat(&task.task_token, "late")).await.map(drop),
    ] {
        refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_activity_that_goes_silent_times_out() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let mut silent = activity("a", &flow.queue, 1);
    silent.heartbeat_timeout = seconds(1);
    flow.begin(vec![schedule(silent)]).await;
    let task = flow.activity().await;
    server.rpc().record_activity_task_heartbeat(heartbeat(&task.task_token, "last words")).await.unwrap();
    let events = flow.task().await.history.unwrap().events;
    let Some(Attributes::ActivityTaskTimedOutEventAttributes(timed_out)) = &events[6].attributes else { panic!() };
    let Some(FailureInfo::TimeoutFailureInfo(info)) = &timed_out.failure.as_ref().unwrap().failure_info else {
        panic!()
    };
    assert_eq!((info.timeout_type(), &info.last_heartbeat_details), (TimeoutType::Heartbeat, &payloads("last words")));
    let late = server.rpc().respond_activity_task_completed(completion(&task.task_token)).await;
    refused(late, Code::NotFound, "NotFoundFailure", GONE);
    server.stop().await;
}

#[tokio::test]
async fn an_eager_activity_comes_with_the_answer() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    let mut eager = activity("a", &flow.queue, 1);
    eager.request_eager_execution = true;
    let answer = flow.complete(&task, vec![schedule(eager)]).await.unwrap();
    assert_eq!(answer.activity_tasks.len(), 1);
    let activity = &answer.activity_tasks[0];
    assert_eq!((activity.activity_id.as_str(), activity.attempt), ("a", 1));
    server.rpc().respond_activity_task_completed(completion(&activity.task_token)).await.unwrap();
    assert!(kinds(&flow.task().await.history.unwrap().events).contains(&EventType::ActivityTaskCompleted));
    server.stop().await;
}

#[tokio::test]
async fn a_token_of_another_namespace_is_refused() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    let task = flow.activity().await;
    let other = unique("other");
    crate::namespaces::register(&server, &other).await;
    let request = ws::RespondActivityTaskCompletedRequest { namespace: other, ..completion(&task.task_token) };
    let text = "Operation requested with a token from a different namespace.";
    refused(server.rpc().respond_activity_task_completed(request).await, Code::InvalidArgument, "", text);
    server.stop().await;
}
