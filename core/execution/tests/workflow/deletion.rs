//! DeleteWorkflowExecution.

use perdure_proto::api::enums::{EventType as E, WorkflowExecutionStatus as Status};

use crate::kit::{Kit, last, make::*};

#[test]
fn an_open_run_is_ended_and_then_removed() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a"), start_timer("t", 60)]);
    kit.signal("s").unwrap();
    kit.start_task();
    kit.signal("waiting").unwrap();
    kit.skip_news();
    kit.delete();
    assert_eq!(kit.state.status(), Status::Terminated);
    assert_eq!(kit.news(), [E::WorkflowTaskFailed, E::WorkflowExecutionSignaled, E::WorkflowExecutionTerminated]);
    let event = last!(kit, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!((event.reason.as_str(), event.identity.as_str()), ("Delete workflow execution", "history-service"));
    assert!(kit.wake());
    assert!(kit.deleted);
}

#[test]
fn a_closed_run_is_removed_without_waiting_for_retention() {
    let mut kit = Kit::new();
    kit.turn(vec![complete("done")]);
    kit.skip_news();
    assert!(!kit.wake());
    kit.tick(SECOND);
    kit.delete();
    assert_eq!(kit.news(), []);
    // Asking again changes nothing.
    let before = kit.state.clone();
    kit.delete();
    assert_eq!(kit.state, before);
    assert!(kit.wake());
    assert!(kit.deleted);
}

#[test]
fn a_paused_run_can_be_deleted() {
    let mut kit = Kit::new();
    kit.pause("").unwrap();
    kit.delete();
    assert!(kit.wake());
    assert!(kit.deleted);
}
