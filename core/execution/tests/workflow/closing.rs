//! The end of a run, and what a closed run says.

use perdure_execution::workflow::calls::{activity_outcome::Outcome, terminate};
use perdure_kernel::{ErrorKind, Namespace, NamespaceId};
use perdure_proto::api::enums::{
    EventType as K, RetryState, WorkflowExecutionStatus as Status, WorkflowTaskFailedCause as Cause,
};
use perdure_proto::api::workflowservice::TerminateWorkflowExecutionRequest;

use crate::{
    activities::completed,
    kit::{Kit, Worker, last, make::*},
};

#[test]
fn each_close_has_its_status() {
    let cases = [
        (complete("done"), Status::Completed, K::WorkflowExecutionCompleted),
        (fail(failure("kind")), Status::Failed, K::WorkflowExecutionFailed),
        (cancel_workflow(), Status::Canceled, K::WorkflowExecutionCanceled),
        (continue_with(|_| {}), Status::ContinuedAsNew, K::WorkflowExecutionContinuedAsNew),
    ];
    for (close, status, event) in cases {
        let mut kit = Kit::new();
        kit.start_task();
        kit.skip_news();
        kit.tick(SECOND);
        kit.complete_with(vec![marker("m"), close], |request| request.force_create_new_workflow_task = true).unwrap();
        assert_eq!(kit.news(), [K::WorkflowTaskCompleted, K::MarkerRecorded, event]);
        assert_eq!(kit.state.status(), status);
        assert_eq!(kit.state.record.close_time, kit.now.as_nanos());
    }
}

#[test]
fn a_failure_without_a_policy_is_final() {
    let mut kit = Kit::new();
    kit.turn(vec![fail(failure("kind"))]);
    let event = last!(kit, WorkflowExecutionFailedEventAttributes);
    assert_eq!((event.retry_state(), event.failure), (RetryState::RetryPolicyNotSet, Some(failure("kind"))));
    assert!(kit.successor.is_none());
}

#[test]
fn termination_ends_a_run_at_once() {
    let mut kit = Kit::new();
    kit.skip_news();
    kit.terminate().unwrap();
    assert_eq!(kit.news(), [K::WorkflowExecutionTerminated], "nobody had the workflow task");
    let event = last!(kit, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!((event.reason.as_str(), event.identity.as_str()), ("enough", "operator"));
    assert_eq!(kit.terminate().unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn termination_fails_the_task_that_a_worker_has() {
    let mut kit = Kit::new();
    let token = kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    kit.terminate().unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowExecutionTerminated]);
    let failed = last!(kit, WorkflowTaskFailedEventAttributes);
    assert_eq!((failed.cause(), failed.identity.as_str()), (Cause::ForceCloseCommand, "history-service"));
    assert_eq!(kit.complete_as(&token, vec![], |_| {}).unwrap_err().kind, ErrorKind::NotFound);
    // A retried task has no events that a failure could refer to.
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::NonDeterministicError).unwrap();
    kit.start_task();
    kit.skip_news();
    kit.terminate().unwrap();
    assert_eq!(kit.news(), [K::WorkflowExecutionTerminated]);
}

#[test]
fn termination_may_name_the_chain() {
    let mut kit = Kit::new();
    let request =
        TerminateWorkflowExecutionRequest { first_execution_run_id: "another".to_owned(), ..Default::default() };
    let refused = kit.decide(|state, env| terminate::decide(state, request.clone(), env));
    assert_eq!(refused.unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_run_ends_with_its_time() {
    let mut kit = Kit::start(|request| request.workflow_run_timeout = secs(30));
    kit.start_task();
    kit.complete_with(vec![], |request| request.force_create_new_workflow_task = true).unwrap();
    kit.pass(25 * SECOND);
    kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    kit.pass(5 * SECOND);
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowExecutionTimedOut]);
    let event = last!(kit, WorkflowExecutionTimedOutEventAttributes);
    assert_eq!((event.retry_state(), event.new_execution_run_id.as_str()), (RetryState::RetryPolicyNotSet, ""));
}

#[test]
fn a_closed_run_refuses_everything() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a"), schedule("b"), start_timer("t", 60)]);
    let activity = kit.start_activity("a");
    let queued = kit.dispatched(6).unwrap();
    kit.signal("go").unwrap();
    let task = kit.start_task();
    kit.terminate().unwrap();
    let before = kit.state.clone();
    assert_eq!(kit.signal("s").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.complete_as(&task, vec![], |_| {}).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.fail_task(Cause::NonDeterministicError).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.start_exactly(8, 1, Worker::default()).unwrap_err().kind, ErrorKind::StaleTask);
    assert_eq!(kit.start_queued(&queued, "poll-2").unwrap_err().kind, ErrorKind::StaleTask);
    assert_eq!(kit.finish(&activity, completed()).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.finish(&activity, Outcome::Canceled { details: None }).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.heartbeat(&activity, None).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(kit.reset_sticky().unwrap_err().kind, ErrorKind::NotFound);
    kit.cancel().unwrap();
    assert_eq!(kit.state, before);
}

#[test]
fn a_closed_run_waits_for_its_deletion_only() {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.retention = HOUR;
    let mut kit = Kit::start_in(namespace, |request| request.workflow_run_timeout = secs(1_000));
    kit.turn(vec![schedule("a"), start_timer("t", 60), complete("done")]);
    let wait = kit.due_in().unwrap();
    assert!((HOUR..HOUR + 30 * MINUTE).contains(&wait), "{wait:?}");
    kit.skip_news();
    kit.pass(HOUR - SECOND);
    assert!(!kit.deleted);
    kit.pass(31 * MINUTE);
    assert!(kit.deleted);
    assert_eq!(kit.news(), []);
}

#[test]
fn limits_end_a_run_on_the_servers_behalf() {
    use perdure_execution::workflow::limits::exceeded;
    let mut kit = Kit::new();
    assert_eq!(exceeded(&kit.state, &kit.namespace.limits), None);
    kit.namespace.limits.history_count_max = 1;
    let reason = exceeded(&kit.state, &kit.namespace.limits).unwrap();
    assert_eq!(reason, "Workflow history count exceeds limit.");
    kit.start_task();
    kit.skip_news();
    kit.decide(|state, env| {
        let transition = terminate::by_server(state, reason, env);
        Ok(perdure_execution::workflow::Decision { transition: Some(transition), answer: () })
    })
    .unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionTerminated]);
    assert_eq!(last!(kit, WorkflowExecutionTerminatedEventAttributes).identity, "history-service");
    assert_eq!(exceeded(&kit.state, &kit.namespace.limits), None, "a closed run is over its limits in peace");
}
