//! The four activity timeouts.

use perdure_execution::workflow::{NewTask, calls::activity_outcome::Outcome};
use perdure_proto::api::{
    command::ScheduleActivityTaskCommandAttributes,
    enums::{EventType as K, RetryState, TimeoutType},
    failure::failure::FailureInfo,
    history::ActivityTaskTimedOutEventAttributes,
};

use crate::{
    activities::{completed, failed},
    kit::{Kit, last, make::*},
};

fn with(adjust: impl Fn(&mut ScheduleActivityTaskCommandAttributes)) -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule_with("a", adjust)]);
    kit.skip_news();
    kit
}

/// Which timeout the event tells of, and why there was no other attempt.
fn told(event: &ActivityTaskTimedOutEventAttributes) -> (TimeoutType, RetryState) {
    let failure = event.failure.as_ref().unwrap();
    let Some(FailureInfo::TimeoutFailureInfo(info)) = &failure.failure_info else { panic!("{failure:?}") };
    (info.timeout_type(), event.retry_state())
}

#[test]
fn schedule_to_start_ends_the_activity() {
    let mut kit = with(|activity| activity.schedule_to_start_timeout = secs(5));
    kit.pass(5 * SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::ScheduleToStart, RetryState::Timeout));
    assert_eq!((event.scheduled_event_id, event.started_event_id), (5, 0));
    assert_eq!(event.failure.unwrap().message, "activity ScheduleToStart timeout");
}

#[test]
fn schedule_to_start_begins_anew_with_each_attempt() {
    let mut kit = with(|activity| activity.schedule_to_start_timeout = secs(5));
    kit.pass(4 * SECOND);
    let token = kit.start_activity("a");
    kit.pass(2 * SECOND);
    kit.finish(&token, failed(failure("kind"))).unwrap();
    kit.pass(5 * SECOND);
    assert_eq!(kit.news(), [], "one second of backoff, then four of waiting");
    kit.pass(SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(event.failure.unwrap().cause.map(|cause| *cause), Some(failure("kind")));
}

#[test]
fn start_to_close_is_tried_again_and_then_ends_the_activity() {
    let mut kit = with(|activity| activity.retry_policy = retries(2));
    kit.start_activity("a");
    kit.pass(10 * SECOND);
    assert_eq!((kit.news(), kit.attempt("a").attempt), (vec![], 2));
    kit.pass(SECOND);
    kit.start_activity("a");
    kit.pass(10 * SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::StartToClose, RetryState::MaximumAttemptsReached));
    assert_eq!(event.started_event_id, 6);
    let cause = event.failure.unwrap().cause.unwrap();
    assert_eq!(cause.message, "activity StartToClose timeout", "the attempt before");
}

#[test]
fn a_heartbeat_keeps_the_attempt_alive() {
    let mut kit = with(|activity| {
        activity.heartbeat_timeout = secs(3);
        activity.retry_policy = retries(1);
    });
    let token = kit.start_activity("a");
    for beat in ["one", "two", "three"] {
        kit.pass(2 * SECOND);
        kit.heartbeat(&token, payloads(beat)).unwrap();
    }
    kit.pass(3 * SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::Heartbeat, RetryState::MaximumAttemptsReached));
    let Some(FailureInfo::TimeoutFailureInfo(info)) = event.failure.unwrap().failure_info else { panic!("timeout") };
    assert_eq!(info.last_heartbeat_details, payloads("three"));
}

#[test]
fn a_worker_that_never_beats_is_given_up() {
    let mut kit = with(|activity| activity.heartbeat_timeout = secs(3));
    kit.start_activity("a");
    kit.pass(3 * SECOND);
    assert_eq!(kit.attempt("a").attempt, 2);
    assert_eq!(kit.attempt("a").last_failure.as_ref().unwrap().message, "activity Heartbeat timeout");
}

#[test]
fn schedule_to_close_ends_the_activity_in_any_state() {
    let close = |activity: &mut ScheduleActivityTaskCommandAttributes| {
        activity.schedule_to_close_timeout = secs(8);
        activity.start_to_close_timeout = secs(8);
        activity.retry_policy.as_mut().unwrap().initial_interval = secs(5);
    };
    // Not started: the wait to start is over at the same time, but comes second.
    let mut kit = with(close);
    kit.pass(8 * SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::ScheduleToClose, RetryState::Timeout));
    // Started.
    let mut kit = with(close);
    kit.pass(SECOND);
    kit.start_activity("a");
    kit.pass(7 * SECOND);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!((told(&event).0, event.started_event_id), (TimeoutType::ScheduleToClose, 6));
    // Between two attempts.
    let mut kit = with(close);
    let token = kit.start_activity("a");
    kit.pass(SECOND);
    kit.finish(&token, failed(failure("kind"))).unwrap();
    kit.pass(5 * SECOND);
    kit.start_activity("a");
    kit.pass(2 * SECOND);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::ScheduleToClose, RetryState::Timeout));
    assert_eq!(event.failure.unwrap().cause.map(|cause| *cause), Some(failure("kind")));
}

#[test]
fn an_attempt_that_times_out_too_late_for_another_is_told_as_schedule_to_close() {
    let mut kit = with(|activity| {
        activity.schedule_to_close_timeout = secs(10);
        activity.start_to_close_timeout = secs(8);
        activity.retry_policy.as_mut().unwrap().initial_interval = secs(5);
    });
    kit.start_activity("a");
    kit.pass(8 * SECOND);
    let event = last!(kit, ActivityTaskTimedOutEventAttributes);
    assert_eq!(told(&event), (TimeoutType::ScheduleToClose, RetryState::Timeout));
    assert!(event.failure.unwrap().message.starts_with("Not enough time to schedule next retry"));
}

#[test]
fn named_timeouts_are_not_tried_again() {
    for (name, kind) in [("StartToClose", TimeoutType::StartToClose), ("Heartbeat", TimeoutType::Heartbeat)] {
        let mut kit = with(|activity| {
            activity.heartbeat_timeout = secs(if kind == TimeoutType::Heartbeat { 3 } else { 10 });
            let policy = activity.retry_policy.as_mut().unwrap();
            policy.non_retryable_error_types = vec![format!("TemporalTimeout:{name}")];
        });
        let token = kit.start_activity("a");
        if kind == TimeoutType::StartToClose {
            kit.pass(5 * SECOND);
            kit.heartbeat(&token, None).unwrap();
        }
        kit.pass(5 * SECOND);
        let event = last!(kit, ActivityTaskTimedOutEventAttributes);
        assert_eq!(told(&event), (kind, RetryState::NonRetryableFailure));
    }
}

#[test]
fn all_that_is_due_happens_at_once_when_the_run_wakes_late() {
    let mut kit = Kit::new();
    kit.turn(vec![
        schedule_with("a", |activity| activity.schedule_to_start_timeout = secs(5)),
        schedule_with("b", |activity| activity.retry_policy = retries(2)),
        start_timer("t", 7),
    ]);
    kit.start_activity("b");
    kit.skip_news();
    kit.oversleep(10 * SECOND);
    assert_eq!(kit.news(), [K::ActivityTaskTimedOut, K::TimerFired, K::WorkflowTaskScheduled]);
    assert_eq!(kit.attempt("b").attempt, 2, "the next attempt counts from now");
    assert_eq!(kit.new_tasks().len(), 1);
    kit.pass(SECOND);
    let tasks = kit.new_tasks();
    assert!(matches!(tasks.as_slice(), [NewTask::Activity(task)] if task.attempt == 2), "{tasks:?}");
}

#[test]
fn a_timeout_of_an_ended_attempt_does_nothing() {
    let mut kit = with(|_| {});
    let token = kit.start_activity("a");
    kit.pass(9 * SECOND);
    kit.finish(&token, completed()).unwrap();
    kit.skip_news();
    kit.pass(2 * HOUR);
    assert_eq!(kit.news(), []);
    let mut kit = with(|_| {});
    let token = kit.start_activity("a");
    kit.pass(9 * SECOND);
    kit.finish(&token, Outcome::Failed { failure: None, last_heartbeat_details: None }).unwrap();
    kit.pass(5 * SECOND);
    assert_eq!(kit.attempt("a").attempt, 2, "the first attempt's time is over, the second waits in its queue");
}
