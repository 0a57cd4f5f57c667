//! The beginning of a run.

use std::time::Duration;

use perdure_kernel::{Namespace, NamespaceId, Timestamp, time::span};
use perdure_proto::api::{
    common::{Memo, Payload},
    enums::EventType as K,
};

use crate::kit::{BEGIN, Kit, last, make::*};

fn namespace() -> Namespace {
    Namespace::new(NamespaceId::from("namespace-id"), "namespace")
}

#[test]
fn the_first_event_tells_all() {
    let kit = Kit::start(|request| {
        request.memo =
            Some(Memo { fields: [("key".to_owned(), payload("value")), ("no".to_owned(), Payload::default())].into() });
    });
    let start = &kit.state.start;
    assert_eq!((start.attempt, start.workflow_id.as_str(), start.identity.as_str()), (1, "workflow", "client"));
    assert_eq!(start.first_execution_run_id, "run-1");
    assert_eq!(start.original_execution_run_id, "run-1");
    assert_eq!(start.workflow_task_timeout, secs(10));
    assert_eq!(kit.state.memo.fields.len(), 1, "what has no value is not there");
    assert_eq!(kit.state.volatile.run.create_request_id, "start-1");
    assert_eq!(kit.due_in(), None);
}

#[test]
fn timeouts_are_held_together() {
    // execution, run, task -> run, task; seconds.
    let cases = [
        ((0, 0, 0), (0, 10)),
        ((60, 0, 0), (60, 10)),
        ((60, 100, 0), (60, 10)),
        ((60, 30, 0), (30, 10)),
        ((0, 5, 0), (5, 5)),
        ((0, 0, 300), (0, 120)),
        ((0, 20, 300), (20, 20)),
    ];
    for ((execution, run, task), (expected_run, expected_task)) in cases {
        let kit = Kit::start(|request| {
            request.workflow_execution_timeout = secs(execution);
            request.workflow_run_timeout = secs(run);
            request.workflow_task_timeout = secs(task);
        });
        let start = &kit.state.start;
        let seconds = |value: Option<_>| i64::try_from(span(value.as_ref()).as_secs()).unwrap();
        assert_eq!(
            (seconds(start.workflow_run_timeout), seconds(start.workflow_task_timeout)),
            (expected_run, expected_task),
            "{execution} {run} {task}"
        );
        assert_eq!(kit.due_in(), (expected_run > 0).then(|| span(secs(expected_run).as_ref())));
    }
}

#[test]
fn the_execution_expires_on_a_whole_millisecond() {
    let now = Timestamp::from_nanos(BEGIN.as_nanos() + 1_499_999);
    let kit = Kit::start_with(namespace(), now, None, |request| request.workflow_execution_timeout = secs(60));
    let expires = BEGIN + 60 * SECOND + Duration::from_millis(1);
    assert_eq!(kit.state.record.execution_expires_at, expires.as_nanos());
    assert_eq!(kit.state.record.run_expires_at, expires.as_nanos(), "a run does not outlive its execution");
}

#[test]
fn a_delayed_run_gets_its_first_task_later() {
    let mut kit = Kit::start(|request| {
        request.workflow_start_delay = secs(60);
        request.workflow_run_timeout = secs(100);
    });
    assert_eq!(kit.news(), [K::WorkflowExecutionStarted]);
    assert_eq!(kit.state.record.execution_time, (BEGIN + 60 * SECOND).as_nanos());
    kit.signal("waits").unwrap();
    assert_eq!(kit.news(), [K::WorkflowExecutionSignaled], "a signal waits with the run");
    assert_eq!(kit.new_tasks().len(), 0);
    kit.pass(59 * SECOND);
    assert_eq!(kit.state.task(), None);
    kit.pass(SECOND);
    assert_eq!(kit.news(), [K::WorkflowTaskScheduled]);
    assert_eq!(kit.new_tasks().len(), 1);
    kit.pass(99 * SECOND);
    assert!(kit.state.is_open(), "its time counts from the end of the delay");
    kit.pass(SECOND);
    assert!(!kit.state.is_open());
}

#[test]
fn what_cuts_a_delay_short() {
    let delayed = || Kit::start(|request| request.workflow_start_delay = secs(60));
    let mut kit = delayed();
    kit.signal_with(signal("hasty", ""), true).unwrap();
    assert!(kit.state.task().is_some());
    assert_eq!(kit.due_in(), None);
    let mut kit = delayed();
    kit.cancel().unwrap();
    assert!(kit.state.task().is_some());
    let mut kit = delayed();
    kit.terminate().unwrap();
    assert!(!kit.state.is_open());
}

#[test]
fn a_start_may_bring_a_signal() {
    let mut kit = Kit::start_with(namespace(), BEGIN, Some(signal("first", "signal-1")), |_| {});
    assert_eq!(kit.news(), [K::WorkflowExecutionStarted, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
    kit.signal_with(signal("first", "signal-1"), false).unwrap();
    assert_eq!(kit.news(), []);
    let kit = Kit::start_with(namespace(), BEGIN, Some(signal("first", "")), |request| {
        request.workflow_start_delay = secs(60);
    });
    assert_eq!(kit.events.len(), 2, "a new run keeps its delay");
}

#[test]
fn an_eager_start_hands_out_the_first_task() {
    let mut kit = Kit::start(|request| request.request_eager_execution = true);
    assert_eq!(kit.news(), [K::WorkflowExecutionStarted, K::WorkflowTaskScheduled, K::WorkflowTaskStarted]);
    assert_eq!(kit.new_tasks().len(), 0);
    assert!(kit.state.start.eager_execution_accepted);
    assert_eq!(last!(kit, WorkflowTaskStartedEventAttributes).identity, "client");
    kit.complete(vec![complete("done")]).unwrap();
    // Not when there is nothing to hand out yet, and not when it is switched off.
    let kit = Kit::start(|request| {
        request.request_eager_execution = true;
        request.workflow_start_delay = secs(60);
    });
    assert!(!kit.state.start.eager_execution_accepted && kit.state.task().is_none());
    let mut namespace = namespace();
    namespace.limits.eager_workflow_start = false;
    let kit = Kit::start_in(namespace, |request| request.request_eager_execution = true);
    assert!(!kit.state.start.eager_execution_accepted && kit.state.started_task().is_none());
}

#[test]
fn absurd_timeouts_do_no_harm() {
    for seconds in [i64::MAX, i64::MAX / 1_000_000_000, -5] {
        let mut kit = Kit::start(|request| {
            request.workflow_execution_timeout = secs(seconds);
            request.workflow_run_timeout = secs(seconds);
            request.workflow_task_timeout = secs(seconds);
            request.workflow_start_delay = secs(seconds);
        });
        kit.pass(HOUR);
        kit.cancel().unwrap();
        kit.turn(vec![complete("done")]);
    }
}
