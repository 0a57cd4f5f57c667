//! What a run that closes does about its updates.

use perdure_execution::workflow::{Standing, updates::abandoned};
use perdure_proto::api::{enums::EventType, failure::failure::FailureInfo, update::outcome};

use crate::kit::{Kit, last, make::*};

/// A run with one update of each kind: completed, accepted, sent, and admitted.
fn busy() -> Kit {
    let mut kit = Kit::new();
    for id in ["completed", "accepted"] {
        kit.update(id).unwrap();
    }
    kit.start_task();
    kit.say(vec![accept("completed"), respond("completed"), accept("accepted")]);
    kit.update("sent").unwrap();
    kit.start_task();
    kit.update("admitted").unwrap();
    kit.skip_news();
    kit
}

fn standings(kit: &Kit) -> [Standing; 4] {
    ["completed", "accepted", "sent", "admitted"].map(|id| kit.state.find_update(id))
}

#[test]
fn updates_end_with_the_run() {
    type End = (&'static str, fn(&mut Kit));
    let ends: [End; 4] = [
        ("complete", |kit| drop(kit.complete(vec![complete("result")]))),
        ("fail", |kit| drop(kit.complete(vec![fail(failure("kind"))]))),
        ("terminate", |kit| kit.terminate().unwrap()),
        ("cancel", |kit| drop(kit.complete(vec![cancel_workflow()]))),
    ];
    for (name, end) in ends {
        let mut kit = busy();
        end(&mut kit);
        assert!(!kit.state.is_open(), "{name}");
        let [completed, accepted, sent, admitted] = standings(&kit);
        assert!(matches!(completed, Standing::Completed { .. }), "{name}");
        assert_eq!((accepted, sent, admitted), (Standing::Accepted, Standing::Aborted, Standing::Aborted), "{name}");
        // Whoever asks again hears the same; an update that was never asked for is refused.
        for id in ["completed", "accepted", "sent", "admitted"] {
            kit.update(id).unwrap();
        }
        kit.update("new").unwrap_err();
    }
}

#[test]
fn accepted_updates_of_a_closed_run_have_failed() {
    let Some(outcome::Value::Failure(failure)) = abandoned().value else { panic!() };
    let Some(FailureInfo::ApplicationFailureInfo(info)) = failure.failure_info else { panic!() };
    assert_eq!(
        (info.r#type.as_str(), info.non_retryable, failure.source.as_str()),
        ("AcceptedUpdateCompletedWorkflow", true, "Server")
    );
}

#[test]
fn a_run_that_continues_leaves_its_updates_to_the_next() {
    let mut kit = busy();
    kit.complete(vec![continue_with(|_| {})]).unwrap();
    let [completed, accepted, sent, admitted] = standings(&kit);
    assert!(matches!(completed, Standing::Completed { .. }));
    assert_eq!((accepted, sent, admitted), (Standing::Accepted, Standing::Unknown, Standing::Unknown));
    assert_eq!(kit.next().state.updates_total(), 0);
}

#[test]
fn what_is_said_of_updates_in_the_closing_task_counts_unless_it_comes_after_the_end() {
    let mut kit = busy();
    let commands = vec![place("sent/Acceptance"), complete("result")];
    kit.complete_with(commands, |request| request.messages = vec![accept("sent"), respond("accepted")]).unwrap();
    assert_eq!(kit.news()[3..], [EventType::WorkflowExecutionUpdateAccepted, EventType::WorkflowExecutionCompleted]);
    assert_eq!(kit.state.find_update("accepted"), Standing::Accepted);
    assert_eq!(kit.state.find_update("sent"), Standing::Accepted);
}

#[test]
fn a_task_that_nobody_has_ends_without_events() {
    let mut kit = Kit::new();
    kit.turn(Vec::new());
    kit.update("u").unwrap();
    kit.skip_news();
    kit.terminate().unwrap();
    assert_eq!(kit.news(), [EventType::WorkflowExecutionTerminated]);
}

#[test]
fn a_task_that_a_worker_has_fails_with_the_run() {
    let mut kit = busy();
    kit.terminate().unwrap();
    assert_eq!(
        kit.news(),
        [
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskFailed,
            EventType::WorkflowExecutionTerminated,
        ]
    );
    assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).identity, "history-service");
}

#[test]
fn an_update_may_come_with_the_start() {
    use perdure_execution::{Env, workflow::NewRun};
    let namespace = perdure_kernel::Namespace::new(perdure_kernel::NamespaceId::from("namespace-id"), "namespace");
    let mut random = perdure_kernel::random::SplitMix::new(1);
    let now = crate::kit::BEGIN;
    let mut env = Env { now, namespace: &namespace, random: &mut random };
    let key = perdure_kernel::ExecutionKey::workflow(&namespace.id, "workflow", "run-1");
    let mut run = NewRun::from_request(key, start_request(), &env);
    run.update = Some(update_request("u"));
    let transition = run.begin(&mut env);
    let mut kit = Kit::from_first(namespace.clone(), now, transition);
    kit.start_task();
    assert_eq!(kit.messages.len(), 1);
    kit.say(vec![accept("u"), respond("u")]);
    assert!(matches!(kit.state.find_update("u"), Standing::Completed { .. }));
}
