//! Operators pause, unpause and reset activities that have no workflow.

use perdure_proto::api::{
    enums::{ActivityExecutionStatus as Status, PendingActivityState as State},
    workflowservice as ws,
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
async fn a_standalone_activity_that_is_not_there_is_not_found() {
    let server = server().await;
    let solo = Solo::new(&server);
    let text = format!("activity not found for ID: {}", solo.id);
    for refusal in [pause(&solo).await, unpause(&solo).await, reset(&solo).await] {
        assert_eq!(refused(refusal), (Code::NotFound, text.clone()));
    }
    server.stop().await;
}

#[tokio::test]
async fn operators_may_not_touch_a_standalone_activity_by_default() {
    let server = Server::with(&[]).await;
    let solo = Solo::new(&server);
    let text = "Standalone activity operator commands are disabled";
    for refusal in [pause(&solo).await, unpause(&solo).await, reset(&solo).await] {
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
