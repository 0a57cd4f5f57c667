//! User timers.

use perdure_proto::api::enums::{EventType as K, WorkflowTaskFailedCause as Cause};

use crate::kit::{Kit, last, make::*};

#[test]
fn a_timer_fires_when_its_time_has_come() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 60)]);
    assert_eq!(last!(kit, TimerStartedEventAttributes).workflow_task_completed_event_id, 4);
    kit.skip_news();
    kit.pass(59 * SECOND);
    assert_eq!(kit.news(), []);
    kit.pass(SECOND);
    assert_eq!(kit.news(), [K::TimerFired, K::WorkflowTaskScheduled]);
    let fired = last!(kit, TimerFiredEventAttributes);
    assert_eq!((fired.timer_id.as_str(), fired.started_event_id), ("t", 5));
    kit.turn(vec![start_timer("t", 0)]);
    assert_eq!(kit.due_in(), Some(std::time::Duration::ZERO), "the id is free, and no time is a time");
}

#[test]
fn timers_fire_in_order_of_time_however_late() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("late", 30), start_timer("early", 10), start_timer("later", 90)]);
    kit.skip_news();
    kit.oversleep(60 * SECOND);
    assert_eq!(kit.news(), [K::TimerFired, K::TimerFired, K::WorkflowTaskScheduled]);
    assert_eq!(last!(kit, TimerFiredEventAttributes).timer_id, "late");
    assert_eq!(kit.due_in(), Some(30 * SECOND));
}

#[test]
fn a_cancelled_timer_does_not_fire() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 60), start_timer("u", 5), cancel_timer("u")]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.skip_news();
    kit.complete(vec![cancel_timer("t")]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::TimerCanceled]);
    let canceled = last!(kit, TimerCanceledEventAttributes);
    assert_eq!((canceled.timer_id.as_str(), canceled.started_event_id, canceled.identity.as_str()), ("t", 5, "worker"));
    kit.pass(HOUR);
    assert_eq!(kit.news(), []);
}

/// A run whose worker decides while its timer has fired already.
fn fired_while_deciding() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 5)]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.pass(5 * SECOND);
    assert_eq!(kit.state.volatile.buffered.len(), 1);
    kit.skip_news();
    kit
}

#[test]
fn cancelling_takes_back_a_fired_timer_that_waits() {
    let mut kit = fired_while_deciding();
    kit.complete(vec![cancel_timer("t")]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::TimerCanceled], "and nothing wakes the workflow");
    assert_eq!(kit.state.task(), None);
    // With that the workflow has seen everything, so it may close.
    let mut kit = fired_while_deciding();
    kit.complete(vec![cancel_timer("t"), complete("done")]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::TimerCanceled, K::WorkflowExecutionCompleted]);
}

#[test]
fn other_waiting_events_stay() {
    let mut kit = fired_while_deciding();
    kit.signal("more").unwrap();
    let text = kit.refused(vec![cancel_timer("t"), complete("done")]);
    assert_eq!(text, "UnhandledCommand");
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskFailed, K::TimerFired, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled],
        "taking the timer back is undone with the rest"
    );
    let mut kit = fired_while_deciding();
    kit.signal("more").unwrap();
    kit.complete(vec![cancel_timer("t")]).unwrap();
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskCompleted, K::TimerCanceled, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]
    );
}

#[test]
fn the_id_of_a_fired_timer_that_waits_can_be_used_again() {
    let mut kit = fired_while_deciding();
    kit.complete(vec![start_timer("t", 7)]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::TimerStarted, K::TimerFired, K::WorkflowTaskScheduled]);
    assert_eq!(last!(kit, TimerFiredEventAttributes).started_event_id, 5);
    assert_eq!(kit.state.timer_ids["t"], 10, "the new timer keeps its name");
    kit.turn(vec![cancel_timer("t")]);
    assert!(kit.state.timers.is_empty());
}

#[test]
fn a_timer_that_the_worker_saw_fire_cannot_be_cancelled() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 5)]);
    kit.pass(5 * SECOND);
    kit.start_task();
    kit.refused(vec![cancel_timer("t")]);
    assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), Cause::BadCancelTimerAttributes);
}

#[test]
fn absurdly_long_timers_wait_a_hundred_years() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", i64::MAX)]);
    assert_eq!(last!(kit, TimerStartedEventAttributes).start_to_fire_timeout, secs(100 * 365 * 24 * 3600));
}

#[test]
fn what_waits_for_a_lost_task_comes_before_what_is_due_after_it() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 15)]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    kit.oversleep(20 * SECOND);
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskTimedOut, K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled, K::TimerFired]
    );
}
