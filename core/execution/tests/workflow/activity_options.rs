//! What the scheduled event of an activity says when its command leaves things out.

use perdure_kernel::time::span;
use perdure_proto::api::{common::RetryPolicy, enums::TaskQueueKind};

use crate::kit::{Kit, last, make::*};

#[test]
fn timeouts_follow_from_each_other_and_from_the_run() {
    // (to close, to start, start to close, heartbeat), run timeout -> the four as scheduled; seconds.
    let cases = [
        ((10, 0, 0, 0), 0, [10, 10, 10, 0]),
        ((10, 20, 5, 7), 0, [10, 10, 5, 5]),
        ((0, 0, 10, 3), 0, [0, 0, 10, 3]),
        ((0, 0, 10, 0), 60, [60, 60, 10, 0]),
        ((100, 100, 100, 100), 30, [30, 30, 30, 30]),
        ((0, 0, i64::MAX, 0), 0, [0, 0, 100 * 365 * 24 * 3600, 0]),
    ];
    for ((to_close, to_start, start_to_close, heartbeat), run, expected) in cases {
        let mut kit = Kit::start(|request| request.workflow_run_timeout = secs(run));
        kit.turn(vec![schedule_with("a", |activity| {
            activity.schedule_to_close_timeout = secs(to_close);
            activity.schedule_to_start_timeout = secs(to_start);
            activity.start_to_close_timeout = secs(start_to_close);
            activity.heartbeat_timeout = secs(heartbeat);
        })]);
        let event = last!(kit, ActivityTaskScheduledEventAttributes);
        let given = [
            event.schedule_to_close_timeout,
            event.schedule_to_start_timeout,
            event.start_to_close_timeout,
            event.heartbeat_timeout,
        ];
        assert_eq!(given.map(|value| span(value.as_ref()).as_secs()), expected);
    }
}

#[test]
fn a_retry_policy_is_always_there() {
    let mut kit = Kit::new();
    kit.turn(vec![
        schedule_with("a", |activity| activity.retry_policy = None),
        schedule_with("b", |activity| {
            activity.retry_policy =
                Some(RetryPolicy { initial_interval: secs(3), maximum_attempts: 7, ..Default::default() });
        }),
    ]);
    let policy = |id: i64| kit.state.activities[&id].attributes.clone().unwrap().retry_policy.unwrap();
    let default = RetryPolicy {
        initial_interval: secs(1),
        backoff_coefficient: 2.0,
        maximum_interval: secs(100),
        ..Default::default()
    };
    assert_eq!(policy(5), default);
    let own = RetryPolicy { initial_interval: secs(3), maximum_interval: secs(300), maximum_attempts: 7, ..default };
    assert_eq!(policy(6), own);
}

#[test]
fn the_queue_is_the_workflows_when_none_is_given() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule_with("a", |activity| activity.task_queue = queue(""))]);
    let queue = last!(kit, ActivityTaskScheduledEventAttributes).task_queue.unwrap();
    assert_eq!((queue.name.as_str(), queue.kind()), ("queue", TaskQueueKind::Normal));
}
