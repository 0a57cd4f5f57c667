//! Options of activities, changed from outside.

use perdure_execution::workflow::{NewTask, calls::activity_outcome::Outcome, describe::describe};
use perdure_proto::api::{
    activity::ActivityOptions,
    common::{Priority, RetryPolicy},
    enums::{EventType, TaskQueueKind},
};

use crate::kit::{Kit, last, make::*, operator::*};

fn waiting() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a")]);
    kit.skip_news();
    kit
}

fn shown(kit: &Kit) -> ActivityOptions {
    describe(&kit.state, &kit.namespace).pending_activities.remove(0).activity_options.unwrap()
}

fn fail(kit: &mut Kit) {
    let token = kit.start_activity("a");
    let failed = Outcome::Failed { failure: Some(failure("kind").into()), last_heartbeat_details: None };
    kit.finish(&token, failed).unwrap();
}

#[test]
fn a_waiting_activity_moves_to_its_new_queue() {
    let mut kit = waiting();
    let before = kit.dispatched(kit.activity("a")).unwrap();
    let options = ActivityOptions {
        task_queue: queue("other"),
        priority: Some(Priority { priority_key: 2, ..Default::default() }),
        ..Default::default()
    };
    let answer = kit.update_activity(&activity_update("a", options, &["task_queue.name", "priority"])).unwrap();
    assert_eq!(answer.task_queue.unwrap().kind(), TaskQueueKind::Normal);
    let [NewTask::Activity(task)] = &kit.new_tasks()[..] else { panic!() };
    assert_eq!((task.task_queue.as_str(), task.priority.as_ref().unwrap().priority_key), ("other", 2));
    assert!(kit.start_queued(&before, "poll-1").is_err());
    assert_eq!((kit.news(), shown(&kit).task_queue.unwrap().normal_name.as_str()), (vec![], "other"));

    kit.update_activity(&activity_restore("a")).unwrap();
    let [NewTask::Activity(task)] = &kit.new_tasks()[..] else { panic!() };
    assert_eq!((task.task_queue.as_str(), &task.priority), ("queue", &None));
}

#[test]
fn changed_timeouts_move_deadlines() {
    let mut kit = waiting();
    let options =
        ActivityOptions { start_to_close_timeout: secs(30), heartbeat_timeout: secs(20), ..Default::default() };
    let token = kit.start_activity("a");
    assert_eq!(kit.due_in(), Some(10 * SECOND));
    kit.update_activity(&activity_update("a", options, &["start_to_close_timeout", "heartbeatTimeout"])).unwrap();
    assert_eq!(kit.due_in(), Some(20 * SECOND));
    kit.heartbeat(&token, None).unwrap();
    let options = ActivityOptions { schedule_to_close_timeout: secs(5), ..Default::default() };
    kit.update_activity(&activity_update("a", options, &["schedule_to_close_timeout"])).unwrap();
    // The others are cut to it.
    let told = shown(&kit);
    assert_eq!((told.start_to_close_timeout, told.heartbeat_timeout), (secs(5), secs(5)));
    kit.pass(5 * SECOND);
    assert_eq!(last!(kit, ActivityTaskTimedOutEventAttributes).scheduled_event_id, 5);
}

#[test]
fn a_changed_policy_changes_the_wait() {
    let mut kit = waiting();
    fail(&mut kit);
    assert_eq!(kit.due_in(), Some(SECOND));
    let policy = RetryPolicy { initial_interval: secs(7), maximum_attempts: 9, ..Default::default() };
    let options = ActivityOptions { retry_policy: Some(policy), ..Default::default() };
    let paths = ["retry_policy.initial_interval", "retry_policy.maximum_attempts"];
    kit.update_activity(&activity_update("a", options, &paths)).unwrap();
    // As Temporal: the wait is that of the attempt to come.
    assert_eq!(kit.due_in(), Some(14 * SECOND));
    let told = describe(&kit.state, &kit.namespace).pending_activities.remove(0);
    assert_eq!((told.maximum_attempts, told.current_retry_interval, told.last_failure), (9, secs(14), None));
    kit.pass(14 * SECOND);
    for _ in 0..2 {
        fail(&mut kit);
        kit.pass(100 * SECOND);
    }
    assert_eq!(kit.attempt("a").attempt, 4);
    // Error types stay those of the schedule.
    let token = kit.start_activity("a");
    kit.finish(&token, Outcome::Failed { failure: Some(failure("Fatal").into()), last_heartbeat_details: None })
        .unwrap();
    assert_eq!(kit.events.last().unwrap().event_type(), EventType::WorkflowTaskScheduled);
}

#[test]
fn a_reset_restores_all_but_the_priority() {
    let mut kit = waiting();
    let priority = Some(Priority { priority_key: 2, ..Default::default() });
    let options = ActivityOptions { task_queue: queue("other"), priority: priority.clone(), ..Default::default() };
    kit.update_activity(&activity_update("a", options, &["task_queue.name", "priority.priority_key"])).unwrap();
    let mut request = activity_reset("a");
    request.restore_original_options = true;
    kit.reset_activity(&request).unwrap();
    assert_eq!((shown(&kit).task_queue.unwrap().name.as_str(), shown(&kit).priority), ("queue", priority));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let options = |adjust: fn(&mut ActivityOptions)| {
        let mut options = ActivityOptions::default();
        adjust(&mut options);
        options
    };
    let policy = |adjust: fn(&mut RetryPolicy)| {
        let mut policy = RetryPolicy::default();
        adjust(&mut policy);
        ActivityOptions { retry_policy: Some(policy), ..Default::default() }
    };
    let cases = [
        (options(|_| {}), "task_queue.name", "TaskQueue is not provided"),
        (options(|to| to.task_queue = queue("")), "task_queue.name", "missing task queue name"),
        (
            options(|to| to.task_queue = queue("/_sys/x")),
            "task_queue.name",
            "task queue name cannot start with reserved prefix /_sys/",
        ),
        (
            options(|to| to.start_to_close_timeout = secs(-5)),
            "start_to_close_timeout",
            "invalid StartToCloseTimeout: negative duration",
        ),
        (options(|_| {}), "retry_policy", "RetryPolicy is not provided"),
        (options(|_| {}), "retry_policy.initial_interval", "RetryPolicy is not provided"),
        (options(|_| {}), "priority.priority_key", "Priority is not provided"),
        (
            policy(|to| to.backoff_coefficient = 0.5),
            "retry_policy.backoff_coefficient",
            "BackoffCoefficient cannot be less than 1 on retry policy.",
        ),
        (
            policy(|to| to.maximum_attempts = -1),
            "retry_policy.maximum_attempts",
            "MaximumAttempts cannot be negative on retry policy.",
        ),
    ];
    let mut kit = waiting();
    let before = kit.state.clone();
    for (options, path, text) in cases {
        let error = kit.update_activity(&activity_update("a", options, &[path])).unwrap_err();
        assert_eq!(error.message, text);
    }
    let neither =
        activity_update("a", ActivityOptions::default(), &["start_to_close_timeout", "schedule_to_close_timeout"]);
    assert_eq!(
        kit.update_activity(&neither).unwrap_err().message,
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId=a ActivityType=deed"
    );
    let mut request = activity_update("a", ActivityOptions::default(), &["priority"]);
    request.restore_original = true;
    assert_eq!(kit.update_activity(&request).unwrap_err().message, "Both UpdateMask and RestoreOriginal are provided");
    request = activity_update("a", ActivityOptions::default(), &[]);
    request.update_mask = None;
    assert_eq!(kit.update_activity(&request).unwrap_err().message, "UpdateMask is not provided");
    request.activity_options = None;
    assert_eq!(kit.update_activity(&request).unwrap_err().message, "ActivityOptions are not provided");
    assert_eq!(kit.state, before);
}
