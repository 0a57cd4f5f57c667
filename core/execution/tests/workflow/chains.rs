//! Runs that follow each other under one id: continue-as-new, retry, cron.

use std::time::Duration;

use perdure_kernel::{Timestamp, time::span};
use perdure_proto::api::{
    common::{Memo, WorkflowType},
    enums::{ContinueAsNewInitiator as By, EventType as K, RetryState, WorkflowExecutionStatus as Status},
    failure::failure::FailureInfo,
};

use crate::kit::{BEGIN, Kit, last, make::*};

/// When the first workflow task of a run is due, from now; zero when it is scheduled already.
fn backoff(kit: &Kit) -> Duration {
    let at = Timestamp::from_nanos(kit.state.volatile.run.first_task_at);
    assert_eq!(at.is_unset(), kit.state.task().is_some());
    if at.is_unset() { Duration::ZERO } else { at.since(kit.now) }
}

#[test]
fn continue_as_new_inherits_what_the_command_leaves_out() {
    let mut kit = Kit::start(|request| {
        request.workflow_execution_timeout = secs(7_200);
        request.workflow_run_timeout = secs(3_600);
        request.workflow_task_timeout = secs(7);
        request.retry_policy = retries(3);
        request.memo = Some(Memo { fields: [("key".to_owned(), payload("value"))].into() });
    });
    kit.tick(10 * SECOND);
    kit.turn(vec![continue_with(|next| next.input = payloads("second"))]);
    assert_eq!(kit.state.status(), Status::ContinuedAsNew);
    let closed = last!(kit, WorkflowExecutionContinuedAsNewEventAttributes);
    assert_eq!(closed.new_execution_run_id, kit.next().state.run_id());
    assert_eq!(kit.state.record.new_execution_run_id, kit.next().state.run_id());
    let next = kit.next();
    assert_eq!(next.events.len(), 2, "started, and its workflow task scheduled");
    let start = &next.state.start;
    assert_eq!((start.initiator(), start.attempt), (By::Workflow, 1));
    assert_eq!((next.state.workflow_type(), next.state.task_queue()), ("kind", "queue"));
    assert_eq!(start.input, payloads("second"));
    assert_eq!((start.workflow_run_timeout, start.workflow_task_timeout), (secs(3_600), secs(7)));
    assert_eq!(start.continued_execution_run_id, "run-1");
    assert_eq!(start.first_execution_run_id, "run-1");
    assert_eq!(start.original_execution_run_id, next.state.run_id());
    assert_eq!((start.retry_policy.as_ref(), start.memo.as_ref()), (None, None));
    let expires = BEGIN + 7_200 * SECOND;
    assert_eq!(start.workflow_execution_expiration_time, Some(expires.to_proto()));
    assert_eq!(next.state.record.run_expires_at, (kit.now + 3_600 * SECOND).as_nanos());
    assert_eq!(next.tasks.len(), 1);
}

#[test]
fn continue_as_new_takes_what_the_command_says() {
    let mut kit = Kit::new();
    kit.tick(10 * SECOND);
    kit.turn(vec![continue_with(|next| {
        next.workflow_type = Some(WorkflowType { name: "other".to_owned() });
        next.task_queue = queue("elsewhere");
        next.workflow_run_timeout = secs(60);
        next.workflow_task_timeout = secs(90);
        next.backoff_start_interval = secs(5);
        next.retry_policy = retries(2);
        next.cron_schedule = "@hourly".to_owned();
        next.last_completion_result = payloads("result");
        next.failure = Some(failure("kind"));
        next.memo = Some(Memo { fields: [("key".to_owned(), payload("value"))].into() });
    })]);
    let next = kit.next();
    assert_eq!((next.state.workflow_type(), next.state.task_queue()), ("other", "elsewhere"));
    let start = &next.state.start;
    assert_eq!((start.workflow_run_timeout, start.workflow_task_timeout), (secs(60), secs(60)));
    assert_eq!((start.retry_policy.clone(), start.cron_schedule.as_str()), (retries(2), "@hourly"));
    assert_eq!(
        (start.last_completion_result.clone(), start.continued_failure.clone()),
        (payloads("result"), Some(failure("kind")))
    );
    assert_eq!(next.state.memo.fields["key"], payload("value"));
    assert_eq!(backoff(next), 5 * SECOND);
    let mut next = next.clone();
    next.skip_news();
    next.pass(5 * SECOND);
    assert_eq!(next.news(), [K::WorkflowTaskScheduled]);
}

#[test]
fn runs_of_a_chain_are_a_second_apart() {
    let mut kit = Kit::new();
    kit.tick(Duration::from_millis(300));
    kit.turn(vec![continue_with(|_| {})]);
    assert_eq!(backoff(kit.next()), Duration::from_millis(700));
    // A run's life begins when it was due, not when it was created.
    let mut kit = Kit::start(|request| request.workflow_start_delay = secs(60));
    kit.pass(60 * SECOND);
    kit.turn(vec![continue_with(|_| {})]);
    assert_eq!(backoff(kit.next()), SECOND);
}

#[test]
fn a_failed_run_is_tried_again() {
    let mut kit = Kit::start(|request| {
        request.retry_policy = retries(3);
        request.last_completion_result = payloads("earlier");
    });
    kit.tick(10 * SECOND);
    for (attempt, wait) in [(2, 1), (3, 2)] {
        kit.turn(vec![fail(failure("kind"))]);
        let closed = last!(kit, WorkflowExecutionFailedEventAttributes);
        assert_eq!(closed.retry_state(), RetryState::InProgress);
        let next = kit.next().clone();
        assert_eq!(closed.new_execution_run_id, next.state.run_id());
        let start = &next.state.start;
        assert_eq!((start.initiator(), start.attempt), (By::Retry, attempt));
        assert_eq!((start.input.clone(), start.last_completion_result.clone()), (payloads("input"), None));
        assert_eq!(start.continued_failure, Some(failure("kind")));
        assert_eq!((start.retry_policy.clone(), start.first_execution_run_id.as_str()), (retries(3), "run-1"));
        assert_eq!(span(start.first_workflow_task_backoff.as_ref()), wait * SECOND);
        kit = next;
        assert_eq!(kit.state.task(), None);
        kit.pass(wait * SECOND);
        kit.tick(10 * SECOND);
    }
    kit.turn(vec![fail(failure("kind"))]);
    assert_eq!(last!(kit, WorkflowExecutionFailedEventAttributes).retry_state(), RetryState::MaximumAttemptsReached);
    assert!(kit.successor.is_none());
}

#[test]
fn why_a_run_is_not_tried_again() {
    let with_policy = || {
        let mut kit = Kit::start(|request| {
            request.retry_policy = retries(0);
            request.workflow_execution_timeout = secs(30);
        });
        kit.tick(10 * SECOND);
        kit
    };
    let mut kit = with_policy();
    kit.turn(vec![fail(failure("Fatal"))]);
    assert_eq!(last!(kit, WorkflowExecutionFailedEventAttributes).retry_state(), RetryState::NonRetryableFailure);
    let mut kit = with_policy();
    let mut late = failure("kind");
    if let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut late.failure_info {
        info.next_retry_delay = secs(25);
    }
    kit.turn(vec![fail(late)]);
    assert_eq!(last!(kit, WorkflowExecutionFailedEventAttributes).retry_state(), RetryState::Timeout);
    for close in [complete("done"), cancel_workflow()] {
        let mut kit = with_policy();
        kit.turn(vec![close]);
        assert!(kit.successor.is_none());
    }
    let mut kit = with_policy();
    kit.terminate().unwrap();
    assert!(kit.successor.is_none());
}

#[test]
fn a_run_out_of_time_is_tried_again_until_the_execution_is() {
    let mut kit = Kit::start(|request| {
        request.retry_policy = retries(0);
        request.workflow_run_timeout = secs(20);
        request.workflow_execution_timeout = secs(50);
        request.last_completion_result = payloads("earlier");
    });
    kit.pass(20 * SECOND);
    let closed = last!(kit, WorkflowExecutionTimedOutEventAttributes);
    assert_eq!(closed.retry_state(), RetryState::InProgress);
    assert_eq!(closed.new_execution_run_id, kit.next().state.run_id());
    let mut kit = kit.next().clone();
    assert_eq!((kit.state.start.attempt, kit.state.start.last_completion_result.clone()), (2, payloads("earlier")));
    assert_eq!(backoff(&kit), SECOND);
    kit.pass(21 * SECOND);
    // The third run would outlive the execution: it gets what is left.
    let mut kit = kit.next().clone();
    assert_eq!(kit.due_in(), Some(2 * SECOND));
    kit.pass(9 * SECOND);
    assert_eq!(kit.now, BEGIN + 50 * SECOND);
    let closed = last!(kit, WorkflowExecutionTimedOutEventAttributes);
    assert_eq!((closed.retry_state(), closed.new_execution_run_id.as_str()), (RetryState::Timeout, ""));
    assert!(kit.successor.is_none());
}

#[test]
fn a_cron_schedule_starts_the_next_run() {
    let mut kit = Kit::start(|request| request.cron_schedule = "* * * * *".to_owned());
    assert_eq!(kit.state.start.initiator(), By::CronSchedule);
    // It begins on the minute, so the first tick is a minute away.
    assert_eq!((backoff(&kit), kit.state.task()), (MINUTE, None));
    kit.pass(MINUTE);
    kit.tick(10 * SECOND);
    kit.turn(vec![complete("first")]);
    assert_eq!(last!(kit, WorkflowExecutionCompletedEventAttributes).new_execution_run_id, kit.next().state.run_id());
    let mut kit = kit.next().clone();
    let start = &kit.state.start;
    assert_eq!((start.initiator(), start.attempt, start.cron_schedule.as_str()), (By::CronSchedule, 1, "* * * * *"));
    assert_eq!((start.last_completion_result.clone(), start.continued_failure.clone()), (payloads("first"), None));
    assert_eq!((start.input.clone(), backoff(&kit)), (payloads("input"), 50 * SECOND));
    // A failure goes on to the next run, and so does the last result. Ticks that passed meanwhile are skipped.
    kit.pass(50 * SECOND);
    kit.tick(150 * SECOND);
    kit.turn(vec![fail(failure("kind"))]);
    assert_eq!(last!(kit, WorkflowExecutionFailedEventAttributes).retry_state(), RetryState::RetryPolicyNotSet);
    let mut kit = kit.next().clone();
    let start = &kit.state.start;
    assert_eq!(
        (start.last_completion_result.clone(), start.continued_failure.clone()),
        (payloads("first"), Some(failure("kind")))
    );
    assert_eq!(backoff(&kit), 30 * SECOND);
    // The end of the chain.
    kit.pass(30 * SECOND);
    kit.turn(vec![cancel_workflow()]);
    assert!(kit.successor.is_none());
}

#[test]
fn a_cron_run_out_of_time_is_followed_by_the_next() {
    let mut kit = Kit::start(|request| {
        request.cron_schedule = "@every 30s".to_owned();
        request.workflow_run_timeout = secs(20);
    });
    kit.pass(50 * SECOND);
    let closed = last!(kit, WorkflowExecutionTimedOutEventAttributes);
    assert_eq!(closed.retry_state(), RetryState::RetryPolicyNotSet);
    let next = kit.next();
    assert_eq!((next.state.start.initiator(), backoff(next)), (By::CronSchedule, 10 * SECOND));
    let Some(FailureInfo::TimeoutFailureInfo(_)) = next.state.start.continued_failure.as_ref().unwrap().failure_info
    else {
        panic!("a timeout")
    };
}

#[test]
fn retries_come_before_the_next_tick() {
    let mut kit = Kit::start(|request| {
        request.cron_schedule = "@hourly".to_owned();
        request.retry_policy = retries(2);
    });
    kit.pass(HOUR);
    kit.tick(10 * SECOND);
    kit.turn(vec![fail(failure("kind"))]);
    let mut kit = kit.next().clone();
    assert_eq!((kit.state.start.initiator(), kit.state.start.attempt), (By::Retry, 2));
    assert_eq!(kit.state.start.cron_schedule, "@hourly");
    kit.pass(SECOND);
    kit.tick(10 * SECOND);
    kit.turn(vec![fail(failure("kind"))]);
    let next = kit.next();
    assert_eq!((next.state.start.initiator(), next.state.start.attempt), (By::CronSchedule, 1));
}

#[test]
fn a_cron_chain_ends_with_its_execution() {
    let mut kit = Kit::start(|request| {
        request.cron_schedule = "@every 30s".to_owned();
        request.workflow_execution_timeout = secs(40);
    });
    kit.pass(40 * SECOND);
    assert_eq!(last!(kit, WorkflowExecutionTimedOutEventAttributes).retry_state(), RetryState::Timeout);
    assert!(kit.successor.is_none());
}

#[test]
fn callbacks_follow_retries_but_not_ticks() {
    let callbacks = || vec![perdure_proto::api::common::Callback::default()];
    let mut kit = Kit::start(|request| {
        request.retry_policy = retries(2);
        request.completion_callbacks = callbacks();
        request.cron_schedule = "@every 30s".to_owned();
    });
    kit.pass(30 * SECOND);
    kit.turn(vec![fail(failure("kind"))]);
    let mut kit = kit.next().clone();
    assert_eq!(kit.state.start.completion_callbacks, callbacks());
    kit.pass(SECOND);
    kit.turn(vec![fail(failure("kind"))]);
    assert_eq!(kit.next().state.start.completion_callbacks, vec![]);
    let mut kit = Kit::start(|request| request.completion_callbacks = callbacks());
    kit.turn(vec![continue_with(|_| {})]);
    assert_eq!(kit.next().state.start.completion_callbacks, callbacks());
}

#[test]
fn reset_points_follow_the_chain() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.complete_with(vec![continue_with(|_| {})], |request| request.binary_checksum = "v1".to_owned()).unwrap();
    let mut next = kit.next().clone();
    assert_eq!(next.state.record.auto_reset_points.len(), 1);
    next.pass(SECOND);
    for (build, points) in [("v1", 1), ("v2", 2), ("v2", 2)] {
        next.start_task();
        next.complete_with(vec![], |request| {
            request.binary_checksum = build.to_owned();
            request.force_create_new_workflow_task = true;
        })
        .unwrap();
        assert_eq!(next.state.record.auto_reset_points.len(), points, "{build}");
    }
    // The newest twenty are kept.
    for build in 3..=30 {
        next.start_task();
        next.complete_with(vec![], |request| {
            request.binary_checksum = format!("v{build}");
            request.force_create_new_workflow_task = true;
        })
        .unwrap();
    }
    let points = &next.state.record.auto_reset_points;
    assert_eq!((points.len(), points[0].binary_checksum.as_str()), (20, "v11"));
}
