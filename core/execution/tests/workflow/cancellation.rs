//! Cancellation: of the workflow by a client, of activities by the workflow.

use perdure_execution::workflow::calls::{activity_outcome::Outcome, cancel};
use perdure_kernel::ErrorKind;
use perdure_proto::api::{
    enums::{EventType as K, RetryState, WorkflowExecutionStatus, WorkflowTaskFailedCause as Cause},
    workflowservice::RequestCancelWorkflowExecutionRequest,
};

use crate::{
    activities::{completed, failed},
    kit::{Kit, last, make::*},
};

/// A run with one scheduled activity, and a workflow task that a worker has.
fn deciding() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a")]);
    kit.signal("go").unwrap();
    kit
}

#[test]
fn an_unstarted_activity_is_cancelled_at_once() {
    let mut kit = deciding();
    kit.start_task();
    kit.skip_news();
    kit.complete(vec![cancel_activity(5)]).unwrap();
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskCompleted, K::ActivityTaskCancelRequested, K::ActivityTaskCanceled, K::WorkflowTaskScheduled]
    );
    let canceled = last!(kit, ActivityTaskCanceledEventAttributes);
    assert_eq!((canceled.scheduled_event_id, canceled.started_event_id), (5, 0));
    assert_eq!(canceled.latest_cancel_requested_event_id, 10);
    assert_eq!(canceled.details, payloads("ACTIVITY_ID_NOT_STARTED"));
}

#[test]
fn an_activity_between_attempts_is_cancelled_at_once() {
    let mut kit = deciding();
    let token = kit.start_activity("a");
    kit.finish(&token, failed(failure("kind"))).unwrap();
    kit.start_task();
    kit.complete(vec![cancel_activity(5)]).unwrap();
    last!(kit, ActivityTaskCanceledEventAttributes);
    assert_eq!(kit.due_in(), None, "the retry is off");
}

#[test]
fn a_running_activity_hears_of_it_with_its_heartbeat() {
    let mut kit = deciding();
    let token = kit.start_activity("a");
    let canceled = Outcome::Canceled { details: payloads("details") };
    let error = kit.finish(&token, canceled.clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument, "nobody asked for it");
    kit.start_task();
    kit.skip_news();
    kit.complete(vec![cancel_activity(5)]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::ActivityTaskCancelRequested]);
    assert!(kit.heartbeat(&token, None).unwrap().cancel_requested);
    kit.finish(&token, canceled).unwrap();
    assert_eq!(kit.news(), [K::ActivityTaskStarted, K::ActivityTaskCanceled, K::WorkflowTaskScheduled]);
    let event = last!(kit, ActivityTaskCanceledEventAttributes);
    assert_eq!((event.latest_cancel_requested_event_id, event.started_event_id), (10, 11));
    assert_eq!(event.details, payloads("details"));
}

#[test]
fn a_cancelled_activity_may_still_complete_or_fail_for_good() {
    let asked = || {
        let mut kit = deciding();
        let token = kit.start_activity("a");
        kit.turn(vec![cancel_activity(5)]);
        (kit, token)
    };
    let (mut kit, token) = asked();
    kit.finish(&token, completed()).unwrap();
    last!(kit, ActivityTaskCompletedEventAttributes);
    let (mut kit, token) = asked();
    kit.finish(&token, failed(failure("kind"))).unwrap();
    assert_eq!(last!(kit, ActivityTaskFailedEventAttributes).retry_state(), RetryState::CancelRequested);
    let (mut kit, _) = asked();
    kit.pass(10 * SECOND);
    assert_eq!(last!(kit, ActivityTaskTimedOutEventAttributes).retry_state(), RetryState::CancelRequested);
}

#[test]
fn an_activity_is_cancelled_once() {
    let mut kit = deciding();
    kit.start_activity("a");
    kit.turn(vec![cancel_activity(5)]);
    kit.signal("go").unwrap();
    kit.start_task();
    kit.refused(vec![cancel_activity(5)]);
    assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), Cause::BadRequestCancelActivityAttributes);
}

#[test]
fn cancelling_what_just_ended_is_written_down_and_does_nothing() {
    // It ended while the worker decided.
    let mut kit = deciding();
    let token = kit.start_activity("a");
    kit.start_task();
    kit.finish(&token, completed()).unwrap();
    kit.skip_news();
    kit.complete(vec![cancel_activity(5)]).unwrap();
    assert_eq!(
        kit.news(),
        [
            K::WorkflowTaskCompleted,
            K::ActivityTaskCancelRequested,
            K::ActivityTaskStarted,
            K::ActivityTaskCompleted,
            K::WorkflowTaskScheduled
        ]
    );
    // It was cancelled by the command before.
    let mut kit = deciding();
    kit.turn(vec![cancel_activity(5), cancel_activity(5)]);
    // The worker has seen its end: cancelling it is a mistake.
    let mut kit = deciding();
    let token = kit.start_activity("a");
    kit.finish(&token, completed()).unwrap();
    kit.start_task();
    kit.refused(vec![cancel_activity(5)]);
    assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), Cause::BadRequestCancelActivityAttributes);
}

#[test]
fn a_workflow_is_asked_to_cancel_once() {
    let mut kit = Kit::new();
    kit.turn(vec![]);
    kit.skip_news();
    kit.cancel().unwrap();
    assert_eq!(kit.news(), [K::WorkflowExecutionCancelRequested, K::WorkflowTaskScheduled]);
    assert_eq!(last!(kit, WorkflowExecutionCancelRequestedEventAttributes).cause, "enough");
    kit.cancel().unwrap();
    assert_eq!(kit.news(), []);
    kit.turn(vec![cancel_workflow()]);
    assert_eq!(kit.state.status(), WorkflowExecutionStatus::Canceled);
    kit.skip_news();
    kit.cancel().unwrap();
    assert_eq!(kit.news(), [], "a closed run is cancelled enough");
}

#[test]
fn a_second_request_while_the_first_waits_does_nothing() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.cancel().unwrap();
    kit.cancel().unwrap();
    assert_eq!(kit.state.volatile.buffered.len(), 1);
    kit.skip_news();
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::WorkflowExecutionCancelRequested, K::WorkflowTaskScheduled]);
    kit.cancel().unwrap();
    assert_eq!(kit.news(), []);
}

#[test]
fn a_workflow_may_cancel_itself_unasked() {
    let mut kit = Kit::new();
    kit.turn(vec![cancel_workflow()]);
    assert_eq!(last!(kit, WorkflowExecutionCanceledEventAttributes).details, payloads("details"));
    assert_eq!(kit.state.status(), WorkflowExecutionStatus::Canceled);
}

#[test]
fn requests_may_name_the_chain() {
    let mut kit = Kit::new();
    let ask = |kit: &mut Kit, first: &str| {
        let request =
            RequestCancelWorkflowExecutionRequest { first_execution_run_id: first.to_owned(), ..Default::default() };
        kit.decide(|state, env| cancel::decide(state, request.clone(), env))
    };
    assert_eq!(ask(&mut kit, "another").unwrap_err().kind, ErrorKind::NotFound);
    ask(&mut kit, "run-1").unwrap();
    assert!(kit.state.record.cancel_requested);
}
