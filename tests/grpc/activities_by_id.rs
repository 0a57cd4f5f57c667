//! Heartbeats and outcomes of activities, by id.

use perdure_proto::api::{
    enums::EventType,
    history::{HistoryEvent, history_event::Attributes},
    workflowservice as ws,
};
use tonic::{Code, Status};

use crate::kit::*;

async fn completed(flow: &Flow, run_id: &str, activity_id: &str) -> Result<(), Status> {
    let request = ws::RespondActivityTaskCompletedByIdRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        run_id: run_id.to_owned(),
        activity_id: activity_id.to_owned(),
        result: payloads("result"),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    flow.rpc.clone().respond_activity_task_completed_by_id(request).await.map(drop)
}

async fn failed(flow: &Flow, activity_id: &str) -> Result<(), Status> {
    let request = ws::RespondActivityTaskFailedByIdRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        activity_id: activity_id.to_owned(),
        failure: failure("broken", true),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    flow.rpc.clone().respond_activity_task_failed_by_id(request).await.map(drop)
}

async fn canceled(flow: &Flow, activity_id: &str) -> Result<(), Status> {
    let request = ws::RespondActivityTaskCanceledByIdRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        activity_id: activity_id.to_owned(),
        details: payloads("stopped"),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    flow.rpc.clone().respond_activity_task_canceled_by_id(request).await.map(drop)
}

async fn heartbeat(flow: &Flow, activity_id: &str) -> Result<bool, Status> {
    let request = ws::RecordActivityTaskHeartbeatByIdRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: flow.id.clone(),
        activity_id: activity_id.to_owned(),
        details: payloads("half way"),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    Ok(flow.rpc.clone().record_activity_task_heartbeat_by_id(request).await?.into_inner().cancel_requested)
}

/// The next task's last event before it was scheduled.
async fn news(flow: &Flow) -> HistoryEvent {
    let mut events = flow.task().await.history.unwrap().events;
    events.remove(events.len() - 3)
}

#[tokio::test]
pub(crate) async fn an_activity_is_completed_by_its_id() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    flow.activity().await;
    completed(&flow, &run_id, "a").await.unwrap();
    let Some(Attributes::ActivityTaskCompletedEventAttributes(event)) = news(&flow).await.attributes else { panic!() };
    assert_eq!((event.result, event.identity.as_str()), (payloads("result"), "somebody"));
    server.stop().await;
}

#[tokio::test]
async fn an_activity_is_completed_before_any_worker_has_it() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    completed(&flow, "", "a").await.unwrap();
    assert_eq!(news(&flow).await.event_type(), EventType::ActivityTaskCompleted);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_activity_is_failed_by_its_id() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 5))]).await;
    flow.activity().await;
    failed(&flow, "a").await.unwrap();
    let Some(Attributes::ActivityTaskFailedEventAttributes(event)) = news(&flow).await.attributes else { panic!() };
    assert_eq!(event.failure, failure("broken", true));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_activity_is_kept_alive_and_cancelled_by_its_id() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    flow.activity().await;
    assert!(!heartbeat(&flow, "a").await.unwrap());
    assert_eq!(flow.describe().await.pending_activities[0].heartbeat_details, payloads("half way"));
    let text = "unable to mark activity as canceled without activity being request canceled first";
    refused(canceled(&flow, "a").await, Code::InvalidArgument, "", text);
    flow.signal("cancel it").await.unwrap();
    let task = flow.task().await;
    flow.complete(&task, vec![cancel_activity(5)]).await.unwrap();
    assert!(heartbeat(&flow, "a").await.unwrap());
    canceled(&flow, "a").await.unwrap();
    assert_eq!(news(&flow).await.event_type(), EventType::ActivityTaskCanceled);
    server.stop().await;
}

#[tokio::test]
async fn ids_name_an_activity_that_is_pending() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(completed(&flow, "", "a").await, Code::NotFound, "NotFoundFailure", &text);
    flow.begin(Vec::new()).await;
    let text = "cannot find pending activity with ActivityID nobody, check workflow execution history for more details";
    for answer in [
        completed(&flow, "", "nobody").await,
        failed(&flow, "nobody").await,
        canceled(&flow, "nobody").await,
        heartbeat(&flow, "nobody").await.map(drop),
    ] {
        refused(answer, Code::NotFound, "NotFoundFailure", text);
    }
    flow.terminate().await;
    for answer in [
        completed(&flow, "", "a").await,
        failed(&flow, "a").await,
        canceled(&flow, "a").await,
        heartbeat(&flow, "a").await.map(drop),
    ] {
        refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_no_worker_has_cannot_fail_by_its_id() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    let text = "invalid activityID or activity already timed out or invoking workflow is completed";
    for answer in [failed(&flow, "a").await, canceled(&flow, "a").await, heartbeat(&flow, "a").await.map(drop)] {
        refused(answer, Code::NotFound, "NotFoundFailure", text);
    }
    server.stop().await;
}
