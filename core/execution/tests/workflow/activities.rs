//! Activities: start, heartbeat, outcome, retry.

use perdure_execution::workflow::{NewTask, calls::activity_outcome::Outcome};
use perdure_kernel::ErrorKind;
use perdure_proto::{
    api::{
        enums::{EventType as K, RetryState},
        failure::{Failure, failure::FailureInfo},
    },
    records, tokens,
};

use crate::kit::{Kit, last, make::*};

pub(crate) fn completed() -> Outcome {
    Outcome::Completed { result: payloads("result") }
}

pub(crate) fn failed(failure: Failure) -> Outcome {
    Outcome::Failed { failure: Some(failure.into()), last_heartbeat_details: None }
}

/// A run with one scheduled activity `a`.
fn with_activity() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a")]);
    kit
}

#[test]
fn a_start_is_written_when_the_activity_ends() {
    let mut kit = with_activity();
    kit.tick(SECOND);
    let started_at = kit.now;
    let token = kit.start_activity("a");
    kit.tick(SECOND);
    kit.skip_news();
    kit.finish(&token, completed()).unwrap();
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskCompleted, K::WorkflowTaskScheduled]);
    let started = last!(kit, ActivityTaskStartedEventAttributes);
    assert_eq!((started.scheduled_event_id, started.attempt, started.identity.as_str()), (5, 1, "activity worker"));
    assert_eq!(started.request_id, "poll-1");
    assert_eq!(kit.events[5].event_time, Some(started_at.to_proto()));
    let completed = last!(kit, ActivityTaskCompletedEventAttributes);
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (5, 6));
    assert_eq!(completed.result, payloads("result"));
}

#[test]
fn an_attempt_goes_to_one_poller() {
    let mut kit = with_activity();
    let task = kit.dispatched(5).unwrap();
    let stale = [
        records::QueuedTask { attempt: 2, ..task.clone() },
        records::QueuedTask { stamp: 1, ..task.clone() },
        records::QueuedTask { scheduled_event_id: 1, ..task.clone() },
    ];
    for task in stale {
        assert_eq!(kit.start_queued(&task, "poll-1").unwrap_err().kind, ErrorKind::StaleTask, "{task:?}");
    }
    kit.start_queued(&task, "poll-1").unwrap();
    let before = kit.state.clone();
    kit.start_queued(&task, "poll-1").unwrap();
    assert_eq!(kit.start_queued(&task, "poll-2").unwrap_err().kind, ErrorKind::StaleTask);
    assert_eq!(kit.state, before);
}

#[test]
fn reports_on_attempts_that_are_over_are_refused() {
    let mut kit = with_activity();
    let unstarted = kit.activity_token(5);
    for outcome in [completed(), failed(failure("kind")), Outcome::Canceled { details: None }] {
        assert_eq!(kit.finish(&unstarted, outcome).unwrap_err().kind, ErrorKind::NotFound);
    }
    assert_eq!(kit.heartbeat(&unstarted, None).unwrap_err().kind, ErrorKind::NotFound);
    let first = kit.start_activity("a");
    kit.finish(&first, failed(failure("kind"))).unwrap();
    kit.pass(SECOND);
    let second = kit.start_activity("a");
    assert_eq!(second.attempt, 2);
    assert_eq!(kit.finish(&first, completed()).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.heartbeat(&first, None).unwrap_err().kind, ErrorKind::NotFound);
    kit.finish(&second, completed()).unwrap();
    assert_eq!(kit.finish(&second, completed()).unwrap_err().kind, ErrorKind::NotFound);
    kit.terminate().unwrap();
    let error = kit.finish(&second, completed()).unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "workflow execution already completed"));
}

#[test]
fn a_failed_attempt_is_followed_by_another_after_a_growing_wait() {
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    kit.skip_news();
    kit.finish(&token, failed(failure("kind"))).unwrap();
    assert_eq!((kit.news(), kit.new_tasks().len(), kit.due_in()), (vec![], 0, Some(SECOND)));
    assert_eq!(kit.attempt("a").last_worker_identity, "activity worker");
    kit.pass(SECOND);
    let tasks = kit.new_tasks();
    let [NewTask::Activity(task)] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!((task.scheduled_event_id, task.attempt), (5, 2));
    let token = kit.start_activity("a");
    kit.finish(&token, failed(failure("kind"))).unwrap();
    assert_eq!(kit.due_in(), Some(2 * SECOND));
    kit.pass(2 * SECOND);
    let token = kit.start_activity("a");
    kit.skip_news();
    kit.finish(&token, failed(failure("last"))).unwrap();
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskFailed, K::WorkflowTaskScheduled]);
    let started = last!(kit, ActivityTaskStartedEventAttributes);
    assert_eq!((started.attempt, started.last_failure), (3, Some(failure("kind"))));
    let ended = last!(kit, ActivityTaskFailedEventAttributes);
    assert_eq!((ended.retry_state(), ended.failure), (RetryState::MaximumAttemptsReached, Some(failure("last"))));
}

#[test]
fn why_no_other_attempt_follows() {
    let mut stubborn = failure("kind");
    if let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut stubborn.failure_info {
        info.non_retryable = true;
    }
    let late = |delay| {
        let mut failure = failure("kind");
        if let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut failure.failure_info {
            info.next_retry_delay = secs(delay);
        }
        failure
    };
    let cases = [
        (failure("Fatal"), RetryState::NonRetryableFailure),
        (stubborn, RetryState::NonRetryableFailure),
        (late(3_601), RetryState::Timeout),
    ];
    for (failure, retry_state) in cases {
        let mut kit = with_activity();
        let token = kit.start_activity("a");
        kit.finish(&token, failed(failure)).unwrap();
        assert_eq!(last!(kit, ActivityTaskFailedEventAttributes).retry_state(), retry_state);
    }
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    kit.finish(&token, failed(late(3_000))).unwrap();
    assert_eq!(kit.due_in(), Some(3_000 * SECOND), "the failing code may ask for more than the longest wait");
}

#[test]
fn heartbeat_details_reach_the_next_attempt() {
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    assert!(!kit.heartbeat(&token, payloads("half")).unwrap().cancel_requested);
    kit.finish(&token, failed(failure("kind"))).unwrap();
    assert_eq!(kit.attempt("a").heartbeat_details, payloads("half"));
    kit.pass(SECOND);
    let token = kit.start_activity("a");
    assert_eq!(kit.attempt("a").heartbeat_details, payloads("half"));
    let last_words =
        Outcome::Failed { failure: Some(failure("kind").into()), last_heartbeat_details: payloads("most") };
    kit.finish(&token, last_words).unwrap();
    assert_eq!(kit.attempt("a").heartbeat_details, payloads("most"));
}

#[test]
fn a_large_failure_is_kept_in_short() {
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    let mut large = failure("kind");
    large.message = "ü".repeat(10_000);
    kit.finish(&token, failed(large)).unwrap();
    let kept = kit.attempt("a").last_failure.clone().unwrap();
    assert!(prost::Message::encoded_len(&kept) <= kit.namespace.limits.activity_failure_size_max);
    assert!(kept.cause.unwrap().message.starts_with("üü"));
}

#[test]
fn an_activity_can_be_completed_by_its_id() {
    let by_id = tokens::ActivityTask { activity_id: "a".to_owned(), ..Default::default() };
    // Before a worker took it: whoever completes it is shown as having started it.
    let mut kit = with_activity();
    kit.skip_news();
    assert_eq!(kit.finish(&by_id, failed(failure("kind"))).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.heartbeat(&by_id, None).unwrap_err().kind, ErrorKind::NotFound);
    kit.finish(&by_id, completed()).unwrap();
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskCompleted, K::WorkflowTaskScheduled]);
    assert_eq!(last!(kit, ActivityTaskStartedEventAttributes).identity, "activity worker");
    // While it runs.
    let mut kit = with_activity();
    kit.start_activity("a");
    kit.heartbeat(&by_id, None).unwrap();
    kit.finish(&by_id, completed()).unwrap();
    let error = kit.finish(&by_id, completed()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.starts_with("cannot find pending activity with ActivityID a"), "{error}");
    // While it waits for its next attempt.
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    kit.finish(&token, failed(failure("kind"))).unwrap();
    kit.finish(&by_id, completed()).unwrap();
    assert_eq!(last!(kit, ActivityTaskStartedEventAttributes).attempt, 2);
}

#[test]
fn an_eager_activity_goes_to_the_worker_that_scheduled_it() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    let eager = |id: &str| schedule_with(id, |activity| activity.request_eager_execution = true);
    let answer = kit.complete(vec![eager("a"), schedule("b"), eager("c")]).unwrap();
    assert_eq!(answer.eager_activities, [5, 7]);
    assert_eq!(kit.new_tasks().len(), 1, "only b goes through matching");
    assert_eq!(kit.attempt("a").identity, "worker");
    let token = kit.activity_token(5);
    kit.finish(&token, completed()).unwrap();
    assert_eq!(last!(kit, ActivityTaskStartedEventAttributes).identity, "worker");
}

#[test]
fn eager_activities_that_are_over_at_once_are_not_started() {
    let eager = || schedule_with("a", |activity| activity.request_eager_execution = true);
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    let answer = kit.complete(vec![eager(), cancel_activity(5)]).unwrap();
    assert_eq!(answer.eager_activities, Vec::<i64>::new());
    assert_eq!(
        kit.news()[1..],
        [K::ActivityTaskScheduled, K::ActivityTaskCancelRequested, K::ActivityTaskCanceled, K::WorkflowTaskScheduled]
    );
    let mut kit = Kit::new();
    kit.start_task();
    let answer = kit.complete(vec![eager(), complete("done")]).unwrap();
    assert_eq!(answer.eager_activities, Vec::<i64>::new());
}

#[test]
fn eager_activities_can_be_switched_off() {
    let mut kit = Kit::new();
    kit.namespace.limits.eager_activities = false;
    kit.start_task();
    kit.skip_news();
    let answer = kit.complete(vec![schedule_with("a", |activity| activity.request_eager_execution = true)]).unwrap();
    assert_eq!((answer.eager_activities, kit.new_tasks().len()), (vec![], 1));
}

#[test]
fn an_id_is_free_again_once_its_activity_has_ended() {
    let mut kit = with_activity();
    let token = kit.start_activity("a");
    kit.finish(&token, completed()).unwrap();
    kit.turn(vec![schedule("a")]);
    assert_ne!(kit.activity("a"), 5);
}

#[test]
fn dispatches_carry_what_matching_needs() {
    let mut kit = Kit::start(|request| {
        request.priority = Some(perdure_proto::api::common::Priority { priority_key: 4, ..Default::default() });
    });
    kit.start_task();
    kit.skip_news();
    let own = perdure_proto::api::common::Priority { priority_key: 2, ..Default::default() };
    kit.complete(vec![
        schedule_with("a", |activity| {
            activity.task_queue = queue("other");
            activity.schedule_to_start_timeout = secs(7);
            activity.priority = Some(own.clone());
        }),
        schedule_with("b", |activity| activity.task_queue = None),
    ])
    .unwrap();
    let tasks = kit.new_tasks();
    let [NewTask::Activity(a), NewTask::Activity(b)] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!((a.task_queue.as_str(), a.schedule_to_start), ("other", 7_000_000_000));
    assert_eq!(a.priority.as_ref().unwrap().priority_key, 2);
    assert_eq!((b.task_queue.as_str(), b.priority.as_ref().unwrap().priority_key), ("queue", 4));
}
