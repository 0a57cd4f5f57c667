//! What a start does when its workflow id was used before.

use perdure_execution::workflow::{
    Decision, NewRun,
    calls::{
        attach::{self, Attachment},
        terminate,
    },
    id_policy::{IdPolicies, Resolution, resolve},
};
use perdure_kernel::{ErrorKind, ExecutionKey, random::SplitMix};
use perdure_proto::api::enums::{EventType as K, WorkflowIdConflictPolicy as Conflict, WorkflowIdReusePolicy as Reuse};

use crate::kit::{Kit, last, make::*};

fn ask(kit: &Kit, reuse: Reuse, conflict: Conflict, request_id: &str) -> Result<Resolution, ErrorKind> {
    let policies = IdPolicies::normalised(reuse.into(), conflict.into(), Conflict::Fail);
    let mut random = SplitMix::new(1);
    let env = perdure_execution::Env { now: kit.now, namespace: &kit.namespace, random: &mut random };
    resolve(&kit.state, policies, request_id, &env).map_err(|error| error.kind)
}

/// Whether an answer is the refusal that names the run in the way.
fn refused(answer: &Result<Resolution, ErrorKind>) -> bool {
    let Err(ErrorKind::WorkflowExecutionAlreadyStarted { start_request_id, run_id, first_execution_run_id }) = answer
    else {
        return false;
    };
    (start_request_id.as_str(), run_id.as_str(), first_execution_run_id.as_str()) == ("start-1", "run-1", "run-1")
}

#[test]
fn an_open_run_answers_to_the_conflict_policy() {
    let mut kit = Kit::new();
    kit.tick(2 * SECOND);
    for reuse in [Reuse::Unspecified, Reuse::AllowDuplicate, Reuse::AllowDuplicateFailedOnly, Reuse::RejectDuplicate] {
        assert!(refused(&ask(&kit, reuse, Conflict::Unspecified, "start-2")), "{reuse:?}");
        assert!(refused(&ask(&kit, reuse, Conflict::Fail, "start-2")), "{reuse:?}");
        assert_eq!(ask(&kit, reuse, Conflict::UseExisting, "start-2"), Ok(Resolution::UseExisting));
        assert_eq!(ask(&kit, reuse, Conflict::TerminateExisting, "start-2"), Ok(Resolution::TerminateAndStart));
    }
    assert_eq!(
        ask(&kit, Reuse::TerminateIfRunning, Conflict::Unspecified, "start-2"),
        Ok(Resolution::TerminateAndStart)
    );
}

#[test]
fn a_start_that_uses_the_open_run_leaves_its_mark() {
    let mut kit = Kit::new();
    let leave = |kit: &mut Kit, request_id: &str| {
        let attachment = || Attachment { request_id: request_id.to_owned(), ..Attachment::default() };
        kit.decide(|state, env| attach::decide(state, attachment(), env)).unwrap();
    };
    kit.skip_news();
    leave(&mut kit, "");
    assert_eq!(kit.news(), [K::WorkflowExecutionOptionsUpdated]);

    leave(&mut kit, "start-2");
    assert_eq!(kit.news(), [K::WorkflowExecutionOptionsUpdated]);
    let event = last!(kit, WorkflowExecutionOptionsUpdatedEventAttributes);
    assert_eq!((event.attached_request_id.as_str(), event.identity.as_str()), ("start-2", ""));
    assert_eq!(ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2"), Ok(Resolution::RepeatAttached));
    for number in 3..40 {
        leave(&mut kit, &format!("start-{number}"));
    }
    assert_eq!(ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2"), Ok(Resolution::RepeatAttached));
    assert!(refused(&ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-40")));
}

#[test]
fn a_closed_run_answers_to_the_reuse_policy() {
    let closed = |close: fn(&mut Kit)| {
        let mut kit = Kit::new();
        close(&mut kit);
        kit.tick(2 * SECOND);
        kit
    };
    let good = closed(|kit| drop(kit.turn(vec![complete("done")])));
    let went_on = closed(|kit| drop(kit.turn(vec![continue_with(|_| {})])));
    for kit in [&good, &went_on] {
        assert_eq!(ask(kit, Reuse::Unspecified, Conflict::Fail, "start-2"), Ok(Resolution::Start));
        assert_eq!(ask(kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2"), Ok(Resolution::Start));
        assert_eq!(ask(kit, Reuse::TerminateIfRunning, Conflict::Unspecified, "start-2"), Ok(Resolution::Start));
        assert!(refused(&ask(kit, Reuse::AllowDuplicateFailedOnly, Conflict::UseExisting, "start-2")));
        assert!(refused(&ask(kit, Reuse::RejectDuplicate, Conflict::UseExisting, "start-2")));
    }
    let bad: [fn(&mut Kit); 3] = [
        |kit| drop(kit.turn(vec![fail(failure("kind"))])),
        |kit| drop(kit.turn(vec![cancel_workflow()])),
        |kit| kit.terminate().unwrap(),
    ];
    for close in bad {
        let kit = closed(close);
        assert_eq!(ask(&kit, Reuse::AllowDuplicateFailedOnly, Conflict::Fail, "start-2"), Ok(Resolution::Start));
        assert!(refused(&ask(&kit, Reuse::RejectDuplicate, Conflict::Fail, "start-2")));
    }
}

#[test]
fn a_repeated_request_finds_its_run_under_any_policy() {
    let mut kit = Kit::new();
    for _ in 0..2 {
        for conflict in [Conflict::Fail, Conflict::TerminateExisting, Conflict::UseExisting] {
            assert_eq!(ask(&kit, Reuse::RejectDuplicate, conflict, "start-1"), Ok(Resolution::Repeat));
        }
        if kit.state.is_open() {
            kit.terminate().unwrap();
        }
    }
}

#[test]
fn runs_of_one_id_are_more_than_a_second_apart() {
    let mut kit = Kit::new();
    kit.tick(SECOND);
    let busy = |answer| matches!(answer, Err(ErrorKind::ResourceExhausted { .. }));
    assert!(busy(ask(&kit, Reuse::AllowDuplicate, Conflict::TerminateExisting, "start-2")));
    kit.terminate().unwrap();
    assert!(busy(ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2")));
    kit.tick(std::time::Duration::from_nanos(1));
    assert_eq!(ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2"), Ok(Resolution::Start));
    kit.namespace.limits.id_reuse_interval_min = std::time::Duration::ZERO;
    kit.now = kit.now - SECOND;
    assert_eq!(ask(&kit, Reuse::AllowDuplicate, Conflict::Fail, "start-2"), Ok(Resolution::Start));
}

#[test]
fn terminate_existing_ends_one_run_and_starts_another() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    let key = ExecutionKey::workflow(&kit.namespace.id, "workflow", "run-2");
    kit.decide(|state, env| {
        let run = NewRun::from_request(key.clone(), start_request(), env);
        Ok(Decision { transition: Some(terminate::and_replace(state, run, env)), answer: () })
    })
    .unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionTerminated]);
    let event = last!(kit, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!(event.reason, "TerminateIfRunning WorkflowIdReusePolicy");
    assert_eq!(event.details, payloads("terminated by new runID: run-2"));
    let next = kit.next();
    assert_eq!((next.state.run_id(), next.state.first_run_id()), ("run-2", "run-2"));
    assert_eq!(kit.state.record.new_execution_run_id, "", "another chain");
}
