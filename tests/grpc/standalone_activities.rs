//! Activities that clients start without a workflow.

use std::time::Duration;

use perdure_proto::api::{
    activity::activity_execution_outcome::Value,
    common::{Link, OnConflictOptions, link},
    enums::{
        ActivityExecutionStatus as Status, ActivityIdConflictPolicy, ActivityIdReusePolicy, PendingActivityState,
        RetryState,
    },
    errordetails::ActivityExecutionAlreadyStartedFailure,
    workflowservice as ws,
};
use prost::Message;
use tonic::Code;

use crate::kit::*;

fn refused<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
pub(crate) async fn an_activity_runs_and_its_outcome_is_kept() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    let started = solo.start(solo.request()).await.unwrap();
    assert!(started.started);
    let Some(link::Variant::Activity(link)) = started.link.unwrap().variant else { panic!() };
    assert_eq!((link.namespace.as_str(), &link.activity_id, &link.run_id), (NAMESPACE, &solo.id, &started.run_id));

    let task = solo.task().await;
    assert_eq!((task.activity_id.as_str(), task.attempt), (solo.id.as_str(), 1));
    assert_eq!((&task.activity_run_id, &task.input), (&started.run_id, &payloads("input")));
    assert_eq!(task.workflow_namespace, NAMESPACE);
    assert_eq!((&task.workflow_type, &task.workflow_execution), (&None, &Some(Default::default())));
    assert_eq!((task.start_to_close_timeout, task.schedule_to_close_timeout), (seconds(10), seconds(0)));
    let info = solo.info().await;
    assert_eq!((info.status(), info.run_state()), (Status::Running, PendingActivityState::Started));
    assert_eq!((info.last_worker_identity.as_str(), info.state_transition_count), (WORKER, 2));
    let policy = info.retry_policy.unwrap();
    assert_eq!((policy.initial_interval, policy.maximum_interval), (seconds(1), seconds(100)));

    solo.complete(&task).await.unwrap();
    assert_eq!(solo.outcome().await, (Value::Result(payloads("result").unwrap()), RetryState::Unspecified));
    let mut request = solo.describe_request();
    request.include_outcome = true;
    request.include_input = true;
    let closed = solo.describe(request).await.unwrap();
    let info = closed.info.unwrap();
    assert_eq!((info.status(), info.run_state()), (Status::Completed, PendingActivityState::Unspecified));
    assert_eq!((closed.input, closed.run_id.as_str()), (payloads("input"), info.run_id.as_str()));
    assert!(closed.outcome.is_some() && info.close_time.is_some() && info.execution_duration.is_some());
    assert_eq!(refused(solo.complete(&task).await), (Code::NotFound, solo.not_there()));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_id_that_is_taken_is_resolved_by_its_policies() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    let request = solo.request();
    let run_id = solo.start(request.clone()).await.unwrap().run_id;
    let repeated = solo.start(request.clone()).await.unwrap();
    assert_eq!((repeated.run_id.as_str(), repeated.started), (run_id.as_str(), false));

    let status = solo.start(solo.request()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::AlreadyExists, "activity execution already started"));
    let detail: ActivityExecutionAlreadyStartedFailure = detail(&status, "ActivityExecutionAlreadyStartedFailure");
    assert_eq!((&detail.run_id, &detail.start_request_id), (&run_id, &request.request_id));

    let mut use_existing = solo.request();
    use_existing.set_id_conflict_policy(ActivityIdConflictPolicy::UseExisting);
    use_existing.links = vec![job("x")];
    use_existing.on_conflict_options = Some(OnConflictOptions { attach_links: true, ..Default::default() });
    let existing = solo.start(use_existing.clone()).await.unwrap();
    assert_eq!((existing.run_id.as_str(), existing.started), (run_id.as_str(), false));
    assert_eq!(solo.info().await.links, [job("x")]);

    let task = solo.task().await;
    solo.complete(&task).await.unwrap();
    for policy in [ActivityIdReusePolicy::RejectDuplicate, ActivityIdReusePolicy::AllowDuplicateFailedOnly] {
        let mut request = solo.request();
        request.set_id_reuse_policy(policy);
        assert_eq!(solo.start(request).await.unwrap_err().code(), Code::AlreadyExists);
    }
    let again = solo.start(solo.request()).await.unwrap();
    assert!(again.started && again.run_id != run_id);
    server.stop().await;
}

fn job(id: &str) -> Link {
    Link { variant: Some(link::Variant::BatchJob(link::BatchJob { job_id: id.to_owned() })) }
}

fn detail<D: Message + Default>(status: &tonic::Status, name: &str) -> D {
    let full = perdure_proto::google::rpc::Status::decode(status.details()).unwrap();
    assert_eq!(full.details[0].type_url, format!("type.googleapis.com/temporal.api.errordetails.v1.{name}"));
    D::decode(full.details[0].value.as_slice()).unwrap()
}

#[tokio::test]
pub(crate) async fn attempts_fail_and_are_tried_again() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    solo.begin().await;
    let first = solo.task().await;
    solo.fail(&first, false).await;
    let mut request = solo.describe_request();
    request.include_last_failure = true;
    let info = solo.describe(request).await.unwrap().info.unwrap();
    assert_eq!((info.attempt, info.run_state()), (2, PendingActivityState::Scheduled));
    assert_eq!((info.current_retry_interval, info.last_failure.unwrap().message.as_str()), (seconds(1), "broken"));
    assert!(info.next_attempt_schedule_time.is_some() && info.last_attempt_complete_time.is_some());
    assert_eq!(refused(solo.complete(&first).await), (Code::NotFound, solo.not_there()));

    let second = solo.task().await;
    assert_eq!(second.attempt, 2);
    solo.fail(&second, true).await;
    assert_eq!(solo.failure().await, ("broken".to_owned(), RetryState::NonRetryableFailure));
    assert_eq!(solo.info().await.status(), Status::Failed);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn timeouts_end_it() {
    let server = Server::start().await;
    let waits = Solo::new(&server);
    let mut request = waits.request();
    request.schedule_to_start_timeout = seconds(1);
    waits.start(request).await.unwrap();

    let runs = Solo::new(&server);
    let mut request = runs.request();
    request.start_to_close_timeout = seconds(1);
    request.schedule_to_close_timeout = seconds(2);
    runs.start(request).await.unwrap();
    runs.task().await;

    let text = "activity ScheduleToStart timeout";
    assert_eq!(waits.failure().await, (text.to_owned(), RetryState::Timeout));
    let text = "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying";
    assert_eq!(runs.failure().await, (text.to_owned(), RetryState::Timeout));
    assert_eq!(runs.info().await.status(), Status::TimedOut);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_delayed_one_is_handed_out_when_its_delay_is_over() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    let mut request = solo.request();
    request.start_delay = seconds(1);
    solo.start(request).await.unwrap();
    let info = solo.info().await;
    assert_eq!((info.start_delay, info.next_attempt_schedule_time), (seconds(1), info.execution_time));
    let task = solo.task().await;
    assert_eq!(task.current_attempt_scheduled_time, info.execution_time);
    assert_eq!(task.scheduled_time, info.schedule_time);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn cancellation_is_asked_for_once_and_confirmed_by_the_worker() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    assert_eq!(refused(solo.cancel("1").await), (Code::NotFound, solo.not_there()));
    solo.begin().await;
    let task = solo.task().await;
    let confirm = ws::RespondActivityTaskCanceledRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token.clone(),
        details: payloads("stopped"),
        ..Default::default()
    };
    let text = "unable to mark activity as canceled without activity being request canceled first";
    let early = solo.rpc.clone().respond_activity_task_canceled(confirm.clone()).await;
    assert_eq!(refused(early), (Code::InvalidArgument, text.to_owned()));
    solo.cancel("1").await.unwrap();
    solo.cancel("1").await.unwrap();
    let text = "cancellation already requested with request ID 1";
    assert_eq!(refused(solo.cancel("2").await), (Code::FailedPrecondition, text.to_owned()));
    let beat = ws::RecordActivityTaskHeartbeatRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token.clone(),
        ..Default::default()
    };
    assert!(solo.rpc.clone().record_activity_task_heartbeat(beat).await.unwrap().into_inner().cancel_requested);
    let info = solo.info().await;
    assert_eq!((info.run_state(), info.canceled_reason.as_str()), (PendingActivityState::CancelRequested, "enough"));
    solo.rpc.clone().respond_activity_task_canceled(confirm).await.unwrap();
    assert_eq!(solo.failure().await, ("Activity canceled".to_owned(), RetryState::Unspecified));
    let text = "activity is in terminal state Canceled";
    assert_eq!(refused(solo.cancel("3").await), (Code::FailedPrecondition, text.to_owned()));

    // Without a worker it is over at once.
    let solo = Solo::new(&server);
    solo.begin().await;
    solo.cancel("1").await.unwrap();
    assert_eq!(solo.info().await.status(), Status::Canceled);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn termination_and_deletion() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    assert_eq!(refused(solo.terminate("1").await), (Code::NotFound, solo.not_there()));
    solo.begin().await;
    solo.terminate("1").await.unwrap();
    solo.terminate("1").await.unwrap();
    let text = "already terminated with request ID 1";
    assert_eq!(refused(solo.terminate("2").await), (Code::FailedPrecondition, text.to_owned()));
    assert_eq!(solo.failure().await.0, "enough");
    let done = Solo::new(&server);
    done.begin().await;
    done.complete(&done.task().await).await.unwrap();
    let text = "invalid transition from Completed";
    assert_eq!(refused(done.terminate("1").await), (Code::FailedPrecondition, text.to_owned()));

    let delete = |solo: &Solo| ws::DeleteActivityExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        ..Default::default()
    };
    solo.rpc.clone().delete_activity_execution(delete(&solo)).await.unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while solo.describe(solo.describe_request()).await.is_ok() {
        assert!(std::time::Instant::now() < until, "it is not deleted");
    }
    let again = solo.rpc.clone().delete_activity_execution(delete(&solo)).await;
    assert_eq!(refused(again), (Code::NotFound, solo.not_there()));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn it_is_reported_on_by_its_id() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    let beat = |solo: &Solo| ws::RecordActivityTaskHeartbeatByIdRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        details: payloads("half"),
        ..Default::default()
    };
    let none = solo.rpc.clone().record_activity_task_heartbeat_by_id(beat(&solo)).await;
    assert_eq!(refused(none), (Code::NotFound, solo.not_there()));
    solo.begin().await;
    let early = solo.rpc.clone().record_activity_task_heartbeat_by_id(beat(&solo)).await;
    assert_eq!(refused(early), (Code::NotFound, solo.not_there()), "no worker has it");
    solo.task().await;
    solo.rpc.clone().record_activity_task_heartbeat_by_id(beat(&solo)).await.unwrap();
    let mut request = solo.describe_request();
    request.include_heartbeat_details = true;
    let info = solo.describe(request).await.unwrap().info.unwrap();
    assert_eq!((info.heartbeat_details, info.total_heartbeat_count), (payloads("half"), 1));
    let complete = |solo: &Solo| ws::RespondActivityTaskCompletedByIdRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: solo.id.clone(),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    solo.rpc.clone().respond_activity_task_completed_by_id(complete(&solo)).await.unwrap();
    assert_eq!(solo.outcome().await.0, Value::Result(Default::default()));
    let again = solo.rpc.clone().respond_activity_task_completed_by_id(complete(&solo)).await;
    assert_eq!(refused(again), (Code::FailedPrecondition, "invalid transition from Completed".to_owned()));

    let other = Solo::new(&server);
    other.begin().await;
    other.rpc.clone().respond_activity_task_completed_by_id(complete(&other)).await.unwrap();
    assert_eq!(other.info().await.last_worker_identity, "somebody", "before any worker had it");
    let failing = Solo::new(&server);
    failing.begin().await;
    failing.task().await;
    let fail = ws::RespondActivityTaskFailedByIdRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: failing.id.clone(),
        failure: failure("broken", true),
        ..Default::default()
    };
    failing.rpc.clone().respond_activity_task_failed_by_id(fail).await.unwrap();
    assert_eq!(failing.failure().await.0, "broken");
    let stopping = Solo::new(&server);
    stopping.begin().await;
    stopping.task().await;
    stopping.cancel("1").await.unwrap();
    let cancel = ws::RespondActivityTaskCanceledByIdRequest {
        namespace: NAMESPACE.to_owned(),
        activity_id: stopping.id.clone(),
        ..Default::default()
    };
    stopping.rpc.clone().respond_activity_task_canceled_by_id(cancel).await.unwrap();
    assert_eq!(stopping.info().await.status(), Status::Canceled);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn waits_end_with_the_change_or_in_time_with_nothing() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    let missing = solo.rpc.clone().poll_activity_execution(solo.poll_request()).await;
    assert_eq!(refused(missing), (Code::NotFound, solo.not_there()));
    let run_id = solo.begin().await;
    let brief = within(BRIEF, solo.poll_request());
    let nothing = solo.rpc.clone().poll_activity_execution(brief).await.unwrap().into_inner();
    assert_eq!(nothing, ws::PollActivityExecutionResponse::default());

    let seen = solo.describe(solo.describe_request()).await.unwrap();
    let mut watch = solo.describe_request();
    watch.run_id = run_id.clone();
    watch.long_poll_token = seen.long_poll_token.clone();
    let brief = within(BRIEF, watch.clone());
    let nothing = solo.rpc.clone().describe_activity_execution(brief).await.unwrap().into_inner();
    assert_eq!(nothing, ws::DescribeActivityExecutionResponse::default());
    let (changed, _task) = tokio::join!(solo.describe(watch.clone()), solo.task());
    assert_eq!(changed.unwrap().info.unwrap().run_state(), PendingActivityState::Started);

    let other = Solo::new(&server);
    let other_run = other.begin().await;
    let mut foreign = other.describe_request();
    foreign.run_id = other_run;
    foreign.long_poll_token = seen.long_poll_token.clone();
    let text = "long poll token does not match execution";
    assert_eq!(refused(other.describe(foreign).await), (Code::InvalidArgument, text.to_owned()));
    let mut malformed = watch.clone();
    malformed.long_poll_token = vec![1, 2, 3].into();
    let text = "invalid long poll token";
    assert_eq!(refused(solo.describe(malformed).await), (Code::InvalidArgument, text.to_owned()));
    watch.run_id.clear();
    let text = "run id is required when long poll token is provided";
    assert_eq!(refused(solo.describe(watch).await), (Code::InvalidArgument, text.to_owned()));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn malformed_requests_are_refused() {
    let server = Server::start().await;
    let solo = Solo::new(&server);
    type Spoil = fn(&mut ws::StartActivityExecutionRequest);
    let long = |field: &str| format!("{field} exceeds length limit. Length=1001 Limit=1000");
    let cases: Vec<(Spoil, String)> = vec![
        (|request| request.activity_id.clear(), "activityId is not set".into()),
        (|request| request.activity_type = None, "activityType is not set".into()),
        (|request| request.task_queue = None, "taskQueue is not set".into()),
        (|request| request.activity_id = "x".repeat(1001), long("activityId")),
        (|request| request.request_id = "x".repeat(1001), long("request ID")),
        (|request| request.identity = "x".repeat(1001), long("identity")),
        (
            |request| request.start_delay = Some(perdure_proto::Duration { seconds: -1, nanos: 0 }),
            "invalid StartDelay: negative duration".into(),
        ),
        (
            |request| request.heartbeat_timeout = Some(perdure_proto::Duration { seconds: -1, nanos: 0 }),
            "invalid HeartbeatTimeout: negative duration".into(),
        ),
        (|request| request.id_conflict_policy = 9, "unsupported ID conflict policy: 9".into()),
        (|request| request.id_reuse_policy = 9, "unsupported ID reuse policy: 9".into()),
        (|request| request.input = payloads(&"x".repeat(2 * 1024 * 1024 + 1)), "input exceeds length limit".into()),
        (
            |request| {
                request.priority = Some(perdure_proto::api::common::Priority { priority_key: -1, ..Default::default() })
            },
            "invalid priorities: priority key can't be negative".into(),
        ),
        (
            |request| request.completion_callbacks = vec![Default::default()],
            "completion callbacks are not enabled for this namespace".into(),
        ),
        (
            |request| {
                request.on_conflict_options = Some(OnConflictOptions { attach_request_id: true, ..Default::default() })
            },
            "on_conflict_options: attach_request_id requires at least one completion callback or link".into(),
        ),
    ];
    for (spoil, text) in cases {
        let mut request = solo.request();
        spoil(&mut request);
        assert_eq!(refused(solo.start(request).await), (Code::InvalidArgument, text));
    }
    let mut request = solo.request();
    request.start_to_close_timeout = None;
    let text = format!(
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId={} ActivityType=charge",
        solo.id
    );
    assert_eq!(refused(solo.start(request).await), (Code::InvalidArgument, text));

    let mut request = solo.describe_request();
    request.activity_id.clear();
    assert_eq!(refused(solo.describe(request).await), (Code::InvalidArgument, "activity ID is required".into()));
    let mut request = solo.describe_request();
    request.run_id = "x".into();
    let text = "invalid run id: must be a valid UUID";
    assert_eq!(refused(solo.describe(request).await), (Code::InvalidArgument, text.into()));
    let mut request = solo.cancel_request("1");
    request.reason = "x".repeat(2 * 1024 * 1024 + 1);
    let refusal = solo.rpc.clone().request_cancel_activity_execution(request).await;
    assert_eq!(refused(refusal), (Code::InvalidArgument, "reason exceeds length limit".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_without_standalone_activities_says_so() {
    let server = Server::with(&[("activity.enableStandalone", "false")]).await;
    let solo = Solo::new(&server);
    let text = "Standalone activity is disabled";
    assert_eq!(refused(solo.start(solo.request()).await), (Code::Unimplemented, text.to_owned()));
    let server = Server::with(&[("activity.startDelayEnabled", "false")]).await;
    let solo = Solo::new(&server);
    let mut request = solo.request();
    request.start_delay = Some(Duration::from_secs(1).try_into().unwrap());
    let text = "start_delay is not enabled for this namespace";
    assert_eq!(refused(solo.start(request).await), (Code::InvalidArgument, text.to_owned()));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn they_are_listed_and_counted() {
    let server = Server::start().await;
    let (done, open) = (Solo::new(&server), Solo::new(&server));
    let kind = unique("kind");
    for solo in [&done, &open] {
        let mut request = solo.request();
        request.activity_type = Some(perdure_proto::api::common::ActivityType { name: kind.clone() });
        solo.start(request).await.unwrap();
    }
    done.complete(&done.task().await).await.unwrap();
    let list = async |query: String| {
        let request =
            ws::ListActivityExecutionsRequest { namespace: NAMESPACE.to_owned(), query, ..Default::default() };
        let answer = done.rpc.clone().list_activity_executions(request).await.unwrap().into_inner();
        answer.executions.into_iter().map(|shown| (shown.activity_id.clone(), shown)).collect::<Vec<_>>()
    };
    // A server with a database of lists beside its own shows them a moment later.
    let until = std::time::Instant::now() + PATIENCE;
    let completed = format!("ActivityType = '{kind}' AND ExecutionStatus = 'Completed'");
    let shown = loop {
        let mut listed = list(completed.clone()).await;
        if let Some((_, shown)) = listed.pop() {
            break shown;
        }
        assert!(std::time::Instant::now() < until, "it is not listed");
    };
    assert_eq!((&shown.activity_id, shown.status(), &shown.task_queue), (&done.id, Status::Completed, &done.queue));
    assert_eq!(shown.activity_type.unwrap().name, kind);
    assert!(shown.close_time.is_some() && shown.execution_duration.is_some() && shown.schedule_time.is_some());
    let running = list(format!("ActivityType = '{kind}' AND ExecutionStatus = 'Running'")).await;
    assert_eq!(running.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&open.id]);
    assert_eq!(list(format!("ActivityId = '{}'", open.id)).await.len(), 1);
    let query = format!("ActivityType = '{kind}'");
    let request = ws::CountActivityExecutionsRequest { namespace: NAMESPACE.to_owned(), query };
    assert_eq!(done.rpc.clone().count_activity_executions(request).await.unwrap().into_inner().count, 2);
    server.stop().await;
}
