//! What can be asked of a run: its description, and how a query reaches a worker.

use perdure_execution::workflow::{
    describe::describe,
    query::{QueryPath, path},
};
use perdure_kernel::{ErrorKind, ServiceResult, time::span};
use perdure_proto::api::enums::{
    PendingActivityState, PendingWorkflowTaskState, QueryRejectCondition as Reject, WorkflowExecutionStatus as Status,
    WorkflowTaskFailedCause as Cause,
};

use crate::{
    activities::failed,
    kit::{BEGIN, Kit, make::*},
};

#[test]
fn a_fresh_run_described() {
    let kit = Kit::start(|request| {
        request.workflow_start_delay = secs(60);
        request.workflow_run_timeout = secs(100);
        request.workflow_execution_timeout = secs(500);
    });
    let told = describe(&kit.state, &kit.namespace);
    let info = told.workflow_execution_info.unwrap();
    assert_eq!(info.status(), Status::Running);
    assert_eq!((info.history_length, info.task_queue.as_str(), info.first_run_id.as_str()), (1, "queue", "run-1"));
    assert_eq!(info.start_time, Some(BEGIN.to_proto()));
    assert_eq!(info.execution_time, Some((BEGIN + 60 * SECOND).to_proto()));
    assert_eq!((info.close_time, info.execution_duration), (None, None));
    assert_eq!(info.state_transition_count, 1);
    assert_eq!(info.root_execution, info.execution);
    assert_eq!(told.pending_workflow_task, None);
    let config = told.execution_config.unwrap();
    assert_eq!((config.workflow_run_timeout, config.workflow_execution_timeout), (secs(100), secs(500)));
    let more = told.workflow_extended_info.unwrap();
    assert_eq!(more.run_expiration_time, Some((BEGIN + 160 * SECOND).to_proto()));
    assert_eq!(more.execution_expiration_time, Some((BEGIN + 500 * SECOND).to_proto()));
    assert!(more.request_id_infos.contains_key("start-1") && !more.cancel_requested);
}

#[test]
fn pending_things_described() {
    let mut kit = Kit::new();
    let pending = |kit: &Kit| describe(&kit.state, &kit.namespace).pending_workflow_task.unwrap();
    assert_eq!((pending(&kit).state(), pending(&kit).attempt), (PendingWorkflowTaskState::Scheduled, 1));
    kit.start_task();
    assert_eq!(pending(&kit).state(), PendingWorkflowTaskState::Started);
    kit.complete(vec![schedule("a"), schedule("b"), schedule("c")]).unwrap();
    assert_eq!(describe(&kit.state, &kit.namespace).pending_workflow_task, None);
    let a = kit.start_activity("a");
    kit.heartbeat(&a, payloads("half")).unwrap();
    let b = kit.start_activity("b");
    kit.finish(&b, failed(failure("kind"))).unwrap();
    let told = describe(&kit.state, &kit.namespace).pending_activities;
    let [a, b, c] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (a.state(), a.attempt, a.last_worker_identity.as_str()),
        (PendingActivityState::Started, 1, "activity worker")
    );
    assert_eq!((a.heartbeat_details.clone(), a.last_heartbeat_time), (payloads("half"), Some(kit.now.to_proto())));
    assert_eq!(a.expiration_time, Some((kit.now + HOUR).to_proto()));
    assert_eq!((b.state(), b.attempt, b.maximum_attempts), (PendingActivityState::Scheduled, 2, 3));
    assert_eq!(b.last_failure, Some(failure("kind")));
    assert_eq!(span(b.current_retry_interval.as_ref()), SECOND);
    assert_eq!(b.next_attempt_schedule_time, Some((kit.now + SECOND).to_proto()));
    assert_eq!(b.last_attempt_complete_time, Some(kit.now.to_proto()));
    assert_eq!((c.state(), c.next_attempt_schedule_time), (PendingActivityState::Scheduled, None));
    assert_eq!(c.activity_type.as_ref().unwrap().name, "deed");
    kit.signal("go").unwrap();
    kit.turn(vec![cancel_activity(5)]);
    assert_eq!(
        describe(&kit.state, &kit.namespace).pending_activities[0].state(),
        PendingActivityState::CancelRequested
    );
}

#[test]
fn a_cancel_request_is_told_while_it_waits() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.cancel().unwrap();
    assert!(describe(&kit.state, &kit.namespace).workflow_extended_info.unwrap().cancel_requested);
}

#[test]
fn a_closed_run_described() {
    let mut kit = Kit::start(|request| request.workflow_start_delay = secs(60));
    kit.pass(60 * SECOND);
    kit.tick(5 * SECOND);
    kit.turn(vec![schedule("a"), complete("done")]);
    let told = describe(&kit.state, &kit.namespace);
    let info = told.workflow_execution_info.unwrap();
    assert_eq!((info.status(), info.close_time), (Status::Completed, Some(kit.now.to_proto())));
    assert_eq!(span(info.execution_duration.as_ref()), 5 * SECOND, "the delay does not count");
    assert_eq!(info.history_size_bytes, kit.state.record.history_size);
    assert_eq!(told.pending_workflow_task, None);
}

fn ask(kit: &Kit) -> ServiceResult<QueryPath> {
    path(&kit.state, Reject::None, None)
}

#[test]
fn queries_go_with_the_task_or_on_their_own() {
    let mut kit = Kit::new();
    assert_eq!(ask(&kit), Ok(QueryPath::WithTask), "nobody has run the workflow yet");
    kit.start_task();
    assert_eq!(ask(&kit), Ok(QueryPath::WithTask));
    kit.complete(vec![]).unwrap();
    assert_eq!(ask(&kit), Ok(QueryPath::Direct));
    kit.signal("go").unwrap();
    assert_eq!(ask(&kit), Ok(QueryPath::WithTask), "the answer must know of the signal");
    kit.turn(vec![complete("done")]);
    assert_eq!(ask(&kit), Ok(QueryPath::Direct), "closed runs answer too");
}

#[test]
fn queries_that_cannot_be_answered() {
    let mut kit = Kit::new();
    kit.terminate().unwrap();
    assert_eq!(ask(&kit).unwrap_err().kind, ErrorKind::WorkflowNotReady, "no worker ever ran it");
    let mut kit = Kit::new();
    for _ in 0..2 {
        kit.start_task();
        assert_eq!(ask(&kit), Ok(QueryPath::WithTask));
        kit.fail_task(Cause::NonDeterministicError).unwrap();
    }
    assert_eq!(ask(&kit).unwrap_err().kind, ErrorKind::WorkflowNotReady, "it keeps failing");
    let kit = Kit::start(|request| request.workflow_start_delay = secs(60));
    let before = |seconds: u32| path(&kit.state, Reject::None, Some(kit.now + seconds * SECOND));
    assert_eq!(before(59).unwrap_err().kind, ErrorKind::WorkflowNotReady);
    assert_eq!(before(61), Ok(QueryPath::WithTask));
}

#[test]
fn callers_may_not_want_answers_of_closed_runs() {
    let closed = |close| {
        let mut kit = Kit::new();
        kit.turn(vec![close]);
        kit
    };
    let rejected = |kit: &Kit, condition| match path(&kit.state, condition, None).unwrap() {
        QueryPath::Rejected(rejected) => Some(rejected.status()),
        QueryPath::Direct | QueryPath::WithTask => None,
    };
    let open = Kit::new();
    let (good, bad) = (closed(complete("done")), closed(fail(failure("kind"))));
    assert_eq!(rejected(&open, Reject::NotOpen), None);
    assert_eq!(rejected(&good, Reject::NotOpen), Some(Status::Completed));
    assert_eq!(rejected(&good, Reject::NotCompletedCleanly), None);
    assert_eq!(rejected(&bad, Reject::NotCompletedCleanly), Some(Status::Failed));
    assert_eq!(rejected(&bad, Reject::None), None);
}
