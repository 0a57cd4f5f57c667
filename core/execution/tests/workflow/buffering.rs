//! Events that come while a worker has a workflow task wait until it ends.

use perdure_execution::workflow::calls::activity_outcome::Outcome;
use perdure_kernel::ErrorKind;
use perdure_proto::api::enums::{EventType as K, WorkflowTaskFailedCause as Cause};

use crate::{
    activities::{completed, failed},
    kit::{Kit, last, make::*},
};

/// A run with activities `a`, `b` and a timer of a minute, whose worker decides about a signal.
fn deciding() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a"), schedule("b"), start_timer("t", 60)]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.skip_news();
    kit
}

#[test]
fn completions_come_last() {
    let mut kit = deciding();
    let a = kit.start_activity("a");
    kit.finish(&a, completed()).unwrap();
    kit.signal("one").unwrap();
    let b = kit.start_activity("b");
    kit.finish(&b, failed(failure("Fatal"))).unwrap();
    kit.cancel().unwrap();
    assert_eq!(kit.news(), []);
    assert_eq!(kit.new_tasks().len(), 0);
    kit.complete(vec![marker("m")]).unwrap();
    assert_eq!(
        kit.news(),
        [
            K::WorkflowTaskCompleted,
            K::MarkerRecorded,
            K::ActivityTaskStarted,
            K::WorkflowExecutionSignaled,
            K::ActivityTaskStarted,
            K::WorkflowExecutionCancelRequested,
            K::ActivityTaskCompleted,
            K::ActivityTaskFailed,
            K::WorkflowTaskScheduled,
        ]
    );
    let first = last!(kit, ActivityTaskCompletedEventAttributes).started_event_id;
    let second = last!(kit, ActivityTaskFailedEventAttributes).started_event_id;
    assert_eq!(second - first, 2, "each end knows its start");
    assert_eq!(kit.new_tasks().len(), 1);
}

#[test]
fn a_retry_of_an_activity_does_not_wait() {
    let mut kit = deciding();
    let a = kit.start_activity("a");
    kit.finish(&a, failed(failure("kind"))).unwrap();
    assert!(kit.state.volatile.buffered.is_empty());
    kit.pass(SECOND);
    assert_eq!(kit.start_activity("a").attempt, 2);
}

#[test]
fn what_waits_joins_the_history_however_the_task_ends() {
    type End = fn(&mut Kit);
    let ends: [(End, K); 4] = [
        (|kit| drop(kit.complete(vec![]).unwrap()), K::WorkflowTaskCompleted),
        (|kit| kit.fail_task(Cause::NonDeterministicError).unwrap(), K::WorkflowTaskFailed),
        (|kit| kit.pass(10 * SECOND), K::WorkflowTaskTimedOut),
        (|kit| drop(kit.refused(vec![start_timer("", 1)])), K::WorkflowTaskFailed),
    ];
    for (end, event) in ends {
        let mut kit = deciding();
        kit.signal("waits").unwrap();
        end(&mut kit);
        assert_eq!(kit.news(), [event, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
        assert_eq!(kit.start_task().attempt, 1, "with news, the task is a fresh one");
    }
}

#[test]
fn an_end_that_waits_is_over_for_everybody() {
    let mut kit = deciding();
    let a = kit.start_activity("a");
    kit.finish(&a, completed()).unwrap();
    assert_eq!(kit.finish(&a, completed()).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.heartbeat(&a, None).unwrap_err().kind, ErrorKind::NotFound);
    let task = kit.dispatched(5).unwrap();
    assert_eq!(kit.start_queued(&task, "poll-1").unwrap_err().kind, ErrorKind::StaleTask);
}

#[test]
fn the_id_of_an_end_that_waits_can_be_used_again() {
    let mut kit = deciding();
    let a = kit.start_activity("a");
    kit.finish(&a, completed()).unwrap();
    kit.complete(vec![schedule("a")]).unwrap();
    assert_eq!(
        kit.news(),
        [
            K::WorkflowTaskCompleted,
            K::ActivityTaskScheduled,
            K::ActivityTaskStarted,
            K::ActivityTaskCompleted,
            K::WorkflowTaskScheduled
        ]
    );
    assert_eq!(kit.activity("a"), 12, "the new activity keeps its name");
    let by_id = perdure_proto::tokens::ActivityTask { activity_id: "a".to_owned(), ..Default::default() };
    kit.finish(&by_id, completed()).unwrap();
}

#[test]
fn unstarted_activities_that_time_out_wait_too() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule_with("a", |activity| activity.schedule_to_start_timeout = secs(5))]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.skip_news();
    kit.pass(5 * SECOND);
    assert_eq!(kit.news(), []);
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::ActivityTaskTimedOut, K::WorkflowTaskScheduled]);
    assert_eq!(last!(kit, ActivityTaskTimedOutEventAttributes).started_event_id, 0);
}

#[test]
fn a_repeated_signal_is_recorded_once() {
    let mut kit = Kit::new();
    kit.signal_with(signal("s", "id-1"), false).unwrap();
    kit.start_task();
    kit.skip_news();
    kit.signal_with(signal("s", "id-1"), false).unwrap();
    kit.signal_with(signal("s", "id-2"), false).unwrap();
    kit.signal_with(signal("s", "id-2"), false).unwrap();
    kit.signal_with(signal("s", ""), false).unwrap();
    kit.signal_with(signal("s", ""), false).unwrap();
    assert_eq!(kit.state.volatile.buffered.len(), 3);
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.state.record.signal_count, 4);
}

#[test]
fn too_many_waiting_events_end_the_task() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    for _ in 0..100 {
        kit.signal("s").unwrap();
    }
    assert_eq!(kit.news(), []);
    kit.signal("last").unwrap();
    let news = kit.news();
    assert_eq!((news.len(), news[0], news[102]), (103, K::WorkflowTaskFailed, K::WorkflowTaskScheduled));
    let failed = last!(kit, WorkflowTaskFailedEventAttributes);
    assert_eq!((failed.cause(), failed.identity.as_str()), (Cause::ForceCloseCommand, "history-service"));
    assert_eq!(kit.new_tasks().len(), 1);
    assert_eq!(kit.start_task().attempt, 1);
}

#[test]
fn too_large_waiting_events_end_the_task() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    for _ in 0..2 {
        let mut large = signal("s", "");
        large.attributes.input = bulk(1_100_000);
        kit.signal_with(large, false).unwrap();
    }
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]
    );
}

#[test]
fn signals_have_a_limit_waiting_ones_included() {
    let mut kit = Kit::new();
    kit.namespace.limits.signals_per_execution_max = 3;
    kit.signal("one").unwrap();
    kit.start_task();
    kit.signal("two").unwrap();
    kit.signal("three").unwrap();
    assert_eq!(kit.signal("four").unwrap_err().kind, ErrorKind::InvalidArgument);
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.signal("four").unwrap_err().kind, ErrorKind::InvalidArgument);
}

#[test]
fn a_run_may_not_close_over_what_waits() {
    for close in [complete("done"), fail(failure("kind")), cancel_workflow(), continue_with(|_| {})] {
        let mut kit = deciding();
        kit.signal("waits").unwrap();
        assert_eq!(kit.refused(vec![close.clone()]), "UnhandledCommand");
        assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), Cause::UnhandledCommand);
        assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
        // While the worker tries again, signals may not get in its way for ever.
        kit.signal("fits in").unwrap();
        kit.start_task();
        let error = kit.signal("too late").unwrap_err();
        assert!(matches!(error.kind, ErrorKind::ResourceExhausted { .. }), "{error:?}");
        kit.complete(vec![close]).unwrap();
        assert!(!kit.state.is_open());
    }
}

#[test]
fn a_lost_task_no_longer_wants_to_close() {
    for timeout in [true, false] {
        let mut kit = deciding();
        kit.signal("waits").unwrap();
        kit.refused(vec![complete("done")]);
        kit.start_task();
        if timeout {
            kit.pass(10 * SECOND);
        } else {
            kit.fail_task(Cause::NonDeterministicError).unwrap();
        }
        kit.start_task();
        kit.signal("welcome").unwrap();
    }
}

#[test]
fn a_workflow_that_thinks_again_no_longer_wants_to_close() {
    let mut kit = deciding();
    kit.signal("waits").unwrap();
    kit.refused(vec![complete("done")]);
    kit.start_task();
    kit.complete_with(vec![], |request| request.force_create_new_workflow_task = true).unwrap();
    kit.start_task();
    kit.signal("welcome").unwrap();
}

#[test]
fn an_unhandled_close_is_recorded_on_later_attempts_too() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::NonDeterministicError).unwrap();
    kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    assert_eq!(kit.refused(vec![complete("done")]), "UnhandledCommand");
    assert_eq!(kit.news(), [K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
    assert_eq!(kit.start_task().attempt, 1);
}

#[test]
fn a_cancelled_activity_that_confirms_while_the_worker_decides() {
    let mut kit = deciding();
    let a = kit.start_activity("a");
    kit.complete_with(vec![cancel_activity(5)], |request| request.force_create_new_workflow_task = true).unwrap();
    kit.start_task();
    kit.skip_news();
    kit.finish(&a, Outcome::Canceled { details: None }).unwrap();
    kit.complete(vec![]).unwrap();
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskCompleted, K::ActivityTaskStarted, K::ActivityTaskCanceled, K::WorkflowTaskScheduled]
    );
}
