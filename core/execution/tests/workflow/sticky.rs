//! Stickiness: the worker that has a workflow in its cache gets its next task, for a while.

use perdure_execution::workflow::NewTask;
use perdure_kernel::ErrorKind;
use perdure_proto::api::enums::{EventType as K, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause as Cause};

use crate::kit::{Kit, Worker, last, make::*};

const STICKY: Worker<'_> = Worker { request_id: "poll-1", sticky_queue: Some("sticky") };

/// A run whose next workflow task is for the worker `sticky`, and is scheduled.
fn scheduled() -> Kit {
    let mut kit = Kit::new();
    kit.sticky_turn(vec![]);
    kit.skip_news();
    kit.signal("next").unwrap();
    kit
}

#[test]
fn the_next_task_goes_to_the_sticky_queue() {
    let mut kit = scheduled();
    let tasks = kit.new_tasks();
    let [NewTask::Workflow(task)] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!((task.task_queue.as_str(), task.sticky, task.normal_task_queue.as_str()), ("sticky", true, "queue"));
    assert_eq!(task.schedule_to_start, 5_000_000_000);
    let queue = last!(kit, WorkflowTaskScheduledEventAttributes).task_queue.unwrap();
    assert_eq!((queue.name.as_str(), queue.kind()), ("sticky", TaskQueueKind::Sticky));
    assert_eq!(queue.normal_name, "queue");
    assert_eq!(kit.due_in(), Some(5 * SECOND));
    kit.start_task_as(STICKY).unwrap();
    assert_eq!(kit.state.volatile.run.sticky_queue, "sticky");
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.state.volatile.run.sticky_queue, "", "an answer without a sticky queue clears it");
}

#[test]
fn a_sticky_worker_that_does_not_come_is_forgotten() {
    let mut kit = scheduled();
    kit.skip_news();
    kit.pass(5 * SECOND);
    assert_eq!(kit.news(), [K::WorkflowTaskTimedOut, K::WorkflowTaskScheduled]);
    let timed_out = last!(kit, WorkflowTaskTimedOutEventAttributes);
    assert_eq!((timed_out.timeout_type(), timed_out.started_event_id), (TimeoutType::ScheduleToStart, 0));
    let scheduled = last!(kit, WorkflowTaskScheduledEventAttributes);
    assert_eq!((scheduled.attempt, scheduled.task_queue.unwrap().name.as_str()), (1, "queue"));
    assert_eq!(kit.state.volatile.run.task_problems, 0);
    assert_eq!(kit.due_in(), None, "a task on the normal queue waits for ever");
}

#[test]
fn a_normal_poller_may_take_a_sticky_task() {
    let mut kit = scheduled();
    kit.start_task();
    assert_eq!(kit.state.volatile.run.sticky_queue, "");
    kit.complete(vec![]).unwrap();
}

#[test]
fn pollers_of_other_sticky_queues_get_nothing() {
    let mut kit = scheduled();
    let other = Worker { request_id: "poll-2", sticky_queue: Some("other") };
    assert_eq!(kit.start_task_as(other).unwrap_err().kind, ErrorKind::StaleTask);
    kit.reset_sticky().unwrap();
    assert_eq!(kit.start_task_as(STICKY).unwrap_err().kind, ErrorKind::StaleTask);
    kit.pass(5 * SECOND);
    kit.start_task();
}

#[test]
fn failing_on_the_sticky_worker_is_no_attempt() {
    for timeout in [true, false] {
        let mut kit = scheduled();
        kit.start_task_as(STICKY).unwrap();
        kit.skip_news();
        if timeout {
            kit.pass(10 * SECOND);
        } else {
            kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
        }
        let ended = if timeout { K::WorkflowTaskTimedOut } else { K::WorkflowTaskFailed };
        assert_eq!(kit.news(), [ended, K::WorkflowTaskScheduled]);
        assert_eq!(kit.state.volatile.run.task_problems, 0);
        assert_eq!(kit.start_task().attempt, 1);
        kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
        assert_eq!(kit.start_task().attempt, 2);
    }
}

#[test]
fn reset_sticky_needs_an_open_run() {
    let mut kit = Kit::new();
    kit.turn(vec![complete("done")]);
    assert_eq!(kit.reset_sticky().unwrap_err().kind, ErrorKind::NotFound);
}
