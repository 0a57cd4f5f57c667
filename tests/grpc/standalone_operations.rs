//! Operators pause, unpause and reset activities that have no workflow, and change their options.

use perdure_proto::{
    FieldMask,
    api::{
        activity::ActivityOptions,
        enums::{ActivityExecutionStatus as Status, PendingActivityState as State},
        workflowservice as ws,
    },
};
use tonic::Code;

use crate::kit::*;

/// Temporal's development server lets operators do it; elsewhere the configuration has to.
async fn server() -> Server {
    if std::env::var("TEMPORAL_ADDRESS").is_ok() {
        return Server::start().await;
    }
    Server::with(&[("history.enableStandaloneActivityOperatorCommands", "true")]).await
}

fn refused<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), status.message().to_owned())
}

async fn pause(solo: &Solo) -> Result<(), tonic::Status> {
    let request = ws::PauseActivityExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        reason: "enough".to_owned(),
        ..Default::default()
    };
    solo.rpc.clone().pause_activity_execution(request).await.map(drop)
}

async fn unpause(solo: &Solo) -> Result<(), tonic::Status> {
    let request = ws::UnpauseActivityExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        ..Default::default()
    };
    solo.rpc.clone().unpause_activity_execution(request).await.map(drop)
}

async fn reset(solo: &Solo) -> Result<(), tonic::Status> {
    let request = ws::ResetActivityExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        ..Default::default()
    };
    solo.rpc.clone().reset_activity_execution(request).await.map(drop)
}

fn changes(solo: &Solo, paths: &[&str], options: ActivityOptions) -> ws::UpdateActivityExecutionOptionsRequest {
    ws::UpdateActivityExecutionOptionsRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        activity_options: Some(options),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        ..Default::default()
    }
}

async fn update(
    solo: &Solo,
    request: ws::UpdateActivityExecutionOptionsRequest,
) -> Result<ActivityOptions, tonic::Status> {
    let answer = solo.rpc.clone().update_activity_execution_options(request).await?;
    Ok(answer.into_inner().activity_options.unwrap())
}

/// A change that is always in order.
async fn patience(solo: &Solo) -> Result<(), tonic::Status> {
    let options = ActivityOptions { start_to_close_timeout: seconds(20), ..Default::default() };
    update(solo, changes(solo, &["start_to_close_timeout"], options)).await.map(drop)
}

#[tokio::test]
async fn a_standalone_activity_is_paused_and_unpaused() {
    let server = server().await;
    let solo = Solo::new(&server);
    solo.begin().await;
    pause(&solo).await.unwrap();
    let info = solo.info().await;
    assert_eq!((info.status(), info.run_state()), (Status::Paused, State::Paused));
    let text = "activity is in non-pausable state Paused".to_owned();
    assert_eq!(refused(pause(&solo).await), (Code::FailedPrecondition, text));
    unpause(&solo).await.unwrap();
    let text = "activity is in non-unpausable state Scheduled".to_owned();
    assert_eq!(refused(unpause(&solo).await), (Code::FailedPrecondition, text));
    let task = solo.task().await;
    assert_eq!(task.attempt, 1);
    solo.complete(&task).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_standalone_activity_begins_anew_with_the_first_attempt() {
    let server = server().await;
    let solo = Solo::new(&server);
    solo.begin().await;
    let task = solo.task().await;
    solo.fail(&task, false).await;
    assert_eq!(solo.info().await.attempt, 2);
    reset(&solo).await.unwrap();
    let task = solo.task().await;
    assert_eq!(task.attempt, 1);
    solo.complete(&task).await.unwrap();
    assert_eq!(refused(reset(&solo).await), (Code::FailedPrecondition, "activity execution is not running".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_standalone_activity_is_given_other_options() {
    let server = server().await;
    let mut solo = Solo::new(&server);
    solo.begin().await;
    let (first, second) = (solo.queue.clone(), unique("queue"));
    let options =
        ActivityOptions { task_queue: normal(&second), start_to_close_timeout: seconds(20), ..Default::default() };
    let mut request = changes(&solo, &["task_queue.name", "startToCloseTimeout"], options);
    request.request_id = unique("request");
    let shown = update(&solo, request.clone()).await.unwrap();
    assert_eq!((&shown.task_queue.as_ref().unwrap().name, shown.start_to_close_timeout), (&second, seconds(20)));
    let options = ActivityOptions { task_queue: normal(&first), ..Default::default() };
    let repeat = ws::UpdateActivityExecutionOptionsRequest { activity_options: Some(options), ..request };
    assert_eq!(update(&solo, repeat).await.unwrap(), shown);
    assert_eq!(solo.info().await.task_queue, second);
    let original = ws::UpdateActivityExecutionOptionsRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        restore_original: true,
        ..Default::default()
    };
    let shown = update(&solo, original).await.unwrap();
    assert_eq!((shown.task_queue.unwrap().name, shown.start_to_close_timeout), (first, seconds(10)));
    let options = ActivityOptions { task_queue: normal(&second), ..Default::default() };
    update(&solo, changes(&solo, &["task_queue.name"], options)).await.unwrap();
    solo.queue = second;
    let task = solo.task().await;
    let late = ActivityOptions { start_delay: seconds(5), ..Default::default() };
    let text = "cannot update start_delay: the first activity attempt has already been dispatched";
    let refusal = refused(update(&solo, changes(&solo, &["start_delay"], late)).await);
    assert_eq!(refusal, (Code::FailedPrecondition, text.into()));
    patience(&solo).await.unwrap();
    solo.complete(&task).await.unwrap();
    let text = "Cannot update options for activity in state Completed";
    assert_eq!(refused(patience(&solo).await), (Code::FailedPrecondition, text.into()));
    server.stop().await;
}

#[tokio::test]
async fn a_change_of_options_that_is_not_in_order_is_refused() {
    let server = server().await;
    let solo = Solo::new(&server);
    solo.begin().await;
    let with = |paths: &[&str]| changes(&solo, paths, ActivityOptions::default());
    let both = ws::UpdateActivityExecutionOptionsRequest { restore_original: true, ..with(&["priority"]) };
    let no_timeout = format!(
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId={} ActivityType=charge",
        solo.id
    );
    for (request, text) in [
        (with(&["bogus"]), "unsupported update_mask path: \"bogus\""),
        (with(&[]), "UpdateMask must specify at least one path"),
        (both, "Both UpdateMask and RestoreOriginal are provided"),
        (with(&["start_to_close_timeout"]), &no_timeout),
    ] {
        assert_eq!(refused(update(&solo, request).await), (Code::InvalidArgument, text.to_owned()));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_standalone_activity_that_is_not_there_is_not_found() {
    let server = server().await;
    let solo = Solo::new(&server);
    let text = format!("activity not found for ID: {}", solo.id);
    for refusal in [pause(&solo).await, unpause(&solo).await, reset(&solo).await, patience(&solo).await] {
        assert_eq!(refused(refusal), (Code::NotFound, text.clone()));
    }
    server.stop().await;
}

#[tokio::test]
async fn operators_may_not_touch_a_standalone_activity_by_default() {
    let server = Server::with(&[]).await;
    let solo = Solo::new(&server);
    let text = "Standalone activity operator commands are disabled";
    for refusal in [pause(&solo).await, unpause(&solo).await, reset(&solo).await, patience(&solo).await] {
        assert_eq!(refused(refusal), (Code::Unimplemented, text.to_owned()));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_says_whether_operators_may() {
    for (config, may) in [(vec![], false), (vec![("history.enableStandaloneActivityOperatorCommands", "true")], true)] {
        let server = Server::with(&config).await;
        let request = ws::DescribeNamespaceRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
        let shown = server.rpc().describe_namespace(request).await.unwrap().into_inner();
        let capabilities = shown.namespace_info.unwrap().capabilities.unwrap();
        assert_eq!(capabilities.standalone_activity_operator_commands, may);
        assert!(!capabilities.standalone_activity_batch_operations);
        server.stop().await;
    }
}
