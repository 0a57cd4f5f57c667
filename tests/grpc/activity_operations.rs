//! Activities paused, unpaused, reset and changed, by the older RPCs and by the newer ones.

use perdure_proto::{
    FieldMask,
    api::{
        activity::ActivityOptions,
        enums::PendingActivityState,
        workflow::pending_activity_info::pause_info::{Manual, PausedBy},
        workflowservice::{
            self as ws, pause_activity_request::Activity as Pause, reset_activity_request::Activity as Reset,
            unpause_activity_request::Activity as Unpause, update_activity_options_request::Activity as Update,
        },
    },
};
use tonic::Code;

use crate::kit::*;

const GONE: &str = "Can't find pending activity with such ID. Invalid activityID or activity already completed";
const NOT_NAMED: &str = "Either Activity.Id or Activity.Type should be set on request.";

fn pause(flow: &Flow, request_id: &str) -> ws::PauseActivityRequest {
    ws::PauseActivityRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        activity: Some(Pause::Id("a".to_owned())),
        identity: "operator".to_owned(),
        reason: "why".to_owned(),
        request_id: request_id.to_owned(),
    }
}

fn unpause(flow: &Flow) -> ws::UnpauseActivityRequest {
    ws::UnpauseActivityRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        activity: Some(Unpause::Id("a".to_owned())),
        ..Default::default()
    }
}

fn reset(flow: &Flow) -> ws::ResetActivityRequest {
    ws::ResetActivityRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        activity: Some(Reset::Id("a".to_owned())),
        ..Default::default()
    }
}

fn update(flow: &Flow, options: ActivityOptions, paths: &[&str]) -> ws::UpdateActivityOptionsRequest {
    ws::UpdateActivityOptionsRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        activity: Some(Update::Id("a".to_owned())),
        activity_options: Some(options),
        update_mask: mask(paths),
        ..Default::default()
    }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

async fn heartbeat(flow: &Flow, token: &prost::bytes::Bytes) -> ws::RecordActivityTaskHeartbeatResponse {
    let request = ws::RecordActivityTaskHeartbeatRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        ..Default::default()
    };
    flow.rpc.clone().record_activity_task_heartbeat(request).await.unwrap().into_inner()
}

async fn fail(flow: &Flow, token: &prost::bytes::Bytes) {
    let request = ws::RespondActivityTaskFailedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: token.clone(),
        failure: failure("broken", false),
        ..Default::default()
    };
    flow.rpc.clone().respond_activity_task_failed(request).await.unwrap();
}

#[tokio::test]
pub(crate) async fn an_activity_is_paused_and_goes_on() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 3))]).await;
    server.rpc().pause_activity(pause(&flow, "1")).await.unwrap();
    server.rpc().pause_activity(pause(&flow, "1")).await.unwrap();
    let again = server.rpc().pause_activity(pause(&flow, "2")).await;
    refused(again, Code::FailedPrecondition, "", "activity is already paused");
    let told = flow.describe().await;
    let pending = &told.pending_activities[0];
    assert_eq!((pending.state(), pending.paused), (PendingActivityState::Paused, true));
    let by = Manual { identity: "operator".to_owned(), reason: "why".to_owned() };
    assert_eq!(pending.pause_info.as_ref().unwrap().paused_by, Some(PausedBy::Manual(by)));
    let attributes = told.workflow_execution_info.unwrap().search_attributes.unwrap().indexed_fields;
    assert_eq!(attributes["TemporalPauseInfo"].data, r#"["property:activityType=charge"]"#);
    assert_eq!(attributes["BuildIds"].data, r#"["unversioned"]"#);
    let nothing = server.rpc().poll_activity_task_queue(within(BRIEF, flow.activity_poll_request())).await.unwrap();
    assert!(nothing.into_inner().task_token.is_empty());

    server.rpc().unpause_activity(unpause(&flow)).await.unwrap();
    server.rpc().unpause_activity(unpause(&flow)).await.unwrap();
    let task = flow.activity().await;
    server.rpc().pause_activity(pause(&flow, "3")).await.unwrap();
    assert!(heartbeat(&flow, &task.task_token).await.activity_paused);
    assert_eq!(flow.describe().await.pending_activities[0].state(), PendingActivityState::PauseRequested);
    fail(&flow, &task.task_token).await;
    let pending = &flow.describe().await.pending_activities[0];
    assert_eq!((pending.state(), pending.attempt), (PendingActivityState::Paused, 2));
    let mut request = unpause(&flow);
    request.activity = Some(Unpause::UnpauseAll(true));
    server.rpc().unpause_activity(request).await.unwrap();
    assert_eq!(flow.activity().await.attempt, 2);
    let attributes = flow.describe().await.workflow_execution_info.unwrap().search_attributes.unwrap();
    assert!(!attributes.indexed_fields.contains_key("TemporalPauseInfo"));
    assert_eq!(flow.events().await.len(), 5, "no event tells of it");
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_activity_is_reset() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let mut slow = activity("a", &flow.queue, 3);
    slow.retry_policy.as_mut().unwrap().initial_interval = seconds(600);
    flow.begin(vec![schedule(slow)]).await;
    let task = flow.activity().await;
    fail(&flow, &task.task_token).await;
    let pending = &flow.describe().await.pending_activities[0];
    assert!(pending.next_attempt_schedule_time.is_some() && pending.current_retry_interval.is_some());
    server.rpc().reset_activity(reset(&flow)).await.unwrap();
    let task = flow.activity().await;
    assert_eq!(task.attempt, 1);
    let mut request = reset(&flow);
    request.activity = Some(Reset::Type("charge".to_owned()));
    server.rpc().reset_activity(request).await.unwrap();
    assert!(heartbeat(&flow, &task.task_token).await.activity_reset);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_activity_moves_to_another_queue() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let other = Flow { queue: unique("queue"), ..flow.clone() };
    flow.begin(vec![schedule(activity("a", &flow.queue, 3))]).await;
    let options = ActivityOptions {
        task_queue: normal(&other.queue),
        heartbeat_timeout: seconds(30),
        ..ActivityOptions::default()
    };
    let request = update(&flow, options, &["task_queue.name", "heartbeatTimeout"]);
    let shown = server.rpc().update_activity_options(request).await.unwrap().into_inner().activity_options.unwrap();
    assert_eq!((shown.task_queue, shown.heartbeat_timeout), (normal(&other.queue), seconds(30)));
    assert_eq!((shown.start_to_close_timeout, shown.schedule_to_close_timeout), (seconds(600), seconds(0)));
    let shown = flow.describe().await.pending_activities.remove(0).activity_options.unwrap();
    let queue = shown.task_queue.unwrap();
    assert_eq!((&queue.name, &queue.normal_name), (&other.queue, &other.queue));
    // What the worker is told is what was scheduled.
    assert_eq!(other.activity().await.heartbeat_timeout, seconds(0));

    let mut request = update(&flow, ActivityOptions::default(), &[]);
    request.restore_original = true;
    let shown = server.rpc().update_activity_options(request).await.unwrap().into_inner().activity_options.unwrap();
    assert_eq!((shown.task_queue.unwrap().name, shown.heartbeat_timeout), (flow.queue.clone(), seconds(0)));
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 3))]).await;
    let invalid = |text: &'static str| (Code::InvalidArgument, "", text);
    type Adjust = fn(&mut ws::PauseActivityRequest);
    let cases: [(Adjust, (Code, &str, &str)); 6] = [
        (|request| request.execution = None, invalid("WorkflowId is not set on request.")),
        (|request| request.activity = None, invalid(NOT_NAMED)),
        (|request| request.execution.as_mut().unwrap().run_id = "x".to_owned(), invalid("RunId is not valid UUID.")),
        (|request| request.activity = Some(Pause::Id("b".to_owned())), (Code::NotFound, "NotFoundFailure", GONE)),
        (|request| request.activity = Some(Pause::Type("b".to_owned())), (Code::NotFound, "NotFoundFailure", GONE)),
        (
            |request| request.execution.as_mut().unwrap().workflow_id = "nobody".to_owned(),
            (Code::NotFound, "NotFoundFailure", "workflow not found for ID: nobody"),
        ),
    ];
    for (adjust, (code, detail, text)) in cases {
        let mut request = pause(&flow, "1");
        adjust(&mut request);
        let (execution, activity) = (request.execution.clone(), request.activity.clone());
        refused(server.rpc().pause_activity(request).await, code, detail, text);
        let (mut unpause, mut reset) = (unpause(&flow), reset(&flow));
        let mut update = update(&flow, ActivityOptions::default(), &[]);
        unpause.execution.clone_from(&execution);
        reset.execution.clone_from(&execution);
        update.execution = execution;
        (unpause.activity, reset.activity, update.activity) = match activity {
            Some(Pause::Id(id)) => (Some(Unpause::Id(id.clone())), Some(Reset::Id(id.clone())), Some(Update::Id(id))),
            Some(Pause::Type(name)) => {
                (Some(Unpause::Type(name.clone())), Some(Reset::Type(name.clone())), Some(Update::Type(name)))
            }
            None => (None, None, None),
        };
        refused(server.rpc().unpause_activity(unpause).await, code, detail, text);
        refused(server.rpc().reset_activity(reset).await, code, detail, text);
        refused(server.rpc().update_activity_options(update).await, code, detail, text);
    }
    let request = update(&flow, ActivityOptions::default(), &["task_queue.name"]);
    let answer = server.rpc().update_activity_options(request).await;
    refused(answer, Code::InvalidArgument, "", "TaskQueue is not provided");
    flow.terminate().await;
    let closed = "workflow execution already completed";
    refused(server.rpc().pause_activity(pause(&flow, "1")).await, Code::NotFound, "NotFoundFailure", closed);
    refused(server.rpc().unpause_activity(unpause(&flow)).await, Code::NotFound, "NotFoundFailure", closed);
    refused(server.rpc().reset_activity(reset(&flow)).await, Code::NotFound, "NotFoundFailure", closed);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn the_newer_calls_do_the_same() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 3))]).await;
    let names = || (NAMESPACE.to_owned(), flow.id.clone(), "a".to_owned());
    let (namespace, workflow_id, activity_id) = names();
    let pause = ws::PauseActivityExecutionRequest { namespace, workflow_id, activity_id, ..Default::default() };
    server.rpc().pause_activity_execution(pause.clone()).await.unwrap();
    let again = server.rpc().pause_activity_execution(pause.clone()).await;
    refused(again, Code::FailedPrecondition, "", "activity is already paused");
    let (namespace, workflow_id, activity_id) = names();
    let unpause = ws::UnpauseActivityExecutionRequest { namespace, workflow_id, activity_id, ..Default::default() };
    server.rpc().unpause_activity_execution(unpause.clone()).await.unwrap();
    assert_eq!(flow.describe().await.pending_activities[0].state(), PendingActivityState::Scheduled);
    let (namespace, workflow_id, activity_id) = names();
    let reset = ws::ResetActivityExecutionRequest { namespace, workflow_id, activity_id, ..Default::default() };
    server.rpc().reset_activity_execution(reset.clone()).await.unwrap();
    let (namespace, workflow_id, activity_id) = names();
    let update = ws::UpdateActivityExecutionOptionsRequest {
        namespace,
        workflow_id,
        activity_id,
        activity_options: Some(ActivityOptions { heartbeat_timeout: seconds(30), ..Default::default() }),
        update_mask: mask(&["heartbeat_timeout"]),
        ..Default::default()
    };
    let shown = server.rpc().update_activity_execution_options(update.clone()).await.unwrap().into_inner();
    assert_eq!(shown.activity_options.unwrap().heartbeat_timeout, seconds(30));

    let long = || "x".repeat(1001);
    type Adjust = fn(&mut ws::PauseActivityExecutionRequest, String);
    let cases: [(Adjust, &str); 5] = [
        (|request, _| request.activity_id.clear(), "activity ID is required"),
        (|request, long| request.activity_id = long, "activity ID exceeds length limit. Length=1001 Limit=1000"),
        (|request, long| request.identity = long, "identity exceeds length limit. Length=1001 Limit=1000"),
        (|request, long| request.request_id = long, "request ID exceeds length limit. Length=1001 Limit=1000"),
        (|request, _| request.run_id = "x".to_owned(), "invalid run id: must be a valid UUID"),
    ];
    for (adjust, text) in cases {
        let mut request = pause.clone();
        adjust(&mut request, long());
        refused(server.rpc().pause_activity_execution(request).await, Code::InvalidArgument, "", text);
    }
    let jitter = Some(perdure_proto::Duration { seconds: -1, nanos: 0 });
    let answer =
        server.rpc().unpause_activity_execution(ws::UnpauseActivityExecutionRequest { jitter, ..unpause }).await;
    refused(answer, Code::InvalidArgument, "", "invalid jitter: negative duration");
    let answer = server.rpc().reset_activity_execution(ws::ResetActivityExecutionRequest { jitter, ..reset }).await;
    refused(answer, Code::InvalidArgument, "", "invalid jitter: negative duration");
    type Change = fn(&mut ws::UpdateActivityExecutionOptionsRequest);
    let cases: [(Change, &str); 7] = [
        (|request| request.activity_options = None, "ActivityOptions are not provided"),
        (|request| request.update_mask = None, "UpdateMask is not provided"),
        (|request| request.update_mask = mask(&[]), "UpdateMask must specify at least one path"),
        (|request| request.update_mask = mask(&["nope"]), "unsupported update_mask path: \"nope\""),
        (|request| request.update_mask = mask(&["task_queue.name"]), "taskQueue is not set"),
        (|request| request.update_mask = mask(&["retry_policy.initial_interval"]), "RetryPolicy is not provided"),
        (|request| request.restore_original = true, "Both UpdateMask and RestoreOriginal are provided"),
    ];
    for (adjust, text) in cases {
        let mut request = update.clone();
        adjust(&mut request);
        refused(server.rpc().update_activity_execution_options(request).await, Code::InvalidArgument, "", text);
    }
    server.stop().await;
}
