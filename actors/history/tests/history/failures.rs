//! Commits that fail: what callers hear, and what is true afterwards.

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};
use perdure_proto::api::enums::WorkflowExecutionStatus;

use super::commits::signal_names;
use crate::kit::*;

/// All ways in which a commit fails.
pub(crate) const FAULTS: [Fault; 6] = [
    Fault::Before(StoreErrorKind::LeaseLost),
    Fault::Before(StoreErrorKind::Conflict),
    Fault::Before(StoreErrorKind::Unavailable),
    Fault::Before(StoreErrorKind::Corrupt),
    Fault::Before(StoreErrorKind::OutcomeUnknown),
    Fault::After(StoreErrorKind::OutcomeUnknown),
];

/// What the caller of a failed write must hear.
pub(crate) fn require_wording(error: &ServiceError, fault: Fault) {
    let (Fault::Before(kind) | Fault::After(kind)) = fault;
    let unknown = kind == StoreErrorKind::OutcomeUnknown;
    assert_eq!(error.kind, ErrorKind::Unavailable, "{fault:?}");
    let says = if unknown {
        "may have been applied; try again with the same request id"
    } else {
        "nothing changed; try again"
    };
    assert!(error.message.contains(says), "{fault:?}: {error}");
}

#[test]
fn a_start_happens_once_whatever_became_of_its_first_commit() {
    run(async {
        for fault in FAULTS {
            let mut world = World::new();
            let node = world.boot().await;
            settle().await;
            world.script.fail(Operation::Commit, 0, fault);
            let error = node.ask("order", start("order")).await.unwrap_err();
            require_wording(&error, fault);

            let started = node.ask("order", start("order")).await.unwrap();
            assert!(started.started, "{fault:?}");
            assert_eq!(node.ask("order", start("order")).await.unwrap().run_id, started.run_id);
            assert_eq!(world.script.count(Operation::AcquireShard), 2, "{fault:?}");
            assert_eq!(world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len(), 1, "{fault:?}");
            world.work_until_closed(&node, "order").await;
            assert_eq!(node.status("order").await, WorkflowExecutionStatus::Completed);
        }
    });
}

#[test]
fn a_signal_happens_once_whatever_became_of_its_first_commit() {
    run(async {
        for fault in FAULTS {
            let mut world = World::new();
            let node = world.boot().await;
            node.ask("order", start("order")).await.unwrap();
            node.ask("order", signal("order", "one")).await.unwrap();
            world.script.fail(Operation::Commit, 0, fault);
            require_wording(&node.ask("order", signal("order", "two")).await.unwrap_err(), fault);
            for name in ["two", "one", "three"] {
                node.ask("order", signal("order", name)).await.unwrap();
            }
            let events = node.events("order", "").await;
            assert_eq!(signal_names(&events), ["one", "two", "three"], "{fault:?}");
            kinds(&events);
            world.work_until_closed(&node, "order").await;
        }
    });
}

#[test]
fn every_answer_of_a_worker_can_be_repeated_after_a_failed_commit() {
    run(async {
        for fault in FAULTS {
            // The commits of the workflow, in order: start, first decisions, activity's start, its end, last decisions.
            for commit in 0..5 {
                let mut world = World::new();
                let node = world.boot().await;
                settle().await;
                world.script.fail(Operation::Commit, commit, fault);
                let again = |result: Option<ServiceError>| {
                    if let Some(error) = &result {
                        require_wording(error, fault);
                    }
                    result.is_some()
                };
                if again(node.ask("order", start("order")).await.err()) {
                    node.ask("order", start("order")).await.unwrap();
                }
                let mut failed = false;
                while node.status("order").await == WorkflowExecutionStatus::Running {
                    let task = world.matching.task().await;
                    if is_workflow(&task) {
                        let Ok(taken) = node.take_workflow_task(&task).await else { continue };
                        let events = node.events("order", "").await;
                        failed |= again(node.decide(&taken, one_activity(&events)).await.err());
                        continue;
                    }
                    let mut taken = node.take_activity_task(&task).await;
                    if taken.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable) {
                        failed = true;
                        taken = node.take_activity_task(&task).await;
                    }
                    let Ok(taken) = taken else { continue };
                    failed |= again(node.complete_activity(&taken).await.err()) && {
                        let done = node.complete_activity(&taken).await;
                        assert!(done.is_ok() || done.is_err_and(|error| error.kind == ErrorKind::NotFound));
                        true
                    };
                }
                assert_eq!(failed, commit > 0, "{fault:?} in commit {commit}");
                let events = kinds(&node.events("order", "").await);
                let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
                assert_eq!(
                    (count("ActivityTaskScheduled"), count("ActivityTaskCompleted")),
                    (1, 1),
                    "{fault:?} {events:?}"
                );
                assert_eq!(count("WorkflowExecutionCompleted"), 1, "{fault:?} {events:?}");
            }
        }
    });
}

#[test]
fn what_waited_behind_a_failed_commit_was_never_sent() {
    run(async {
        for fault in FAULTS {
            let mut world = World::new();
            let node = world.boot().await;
            settle().await;
            world.script.hold();
            world.script.fail(Operation::Commit, 0, fault);
            let first = node.send("a", start("a"));
            settle().await;
            let behind = node.send("b", start("b"));
            let same_id = node.send("a", signal("a", "one"));
            settle().await;
            world.script.release();
            require_wording(&first.wait().await.unwrap_err(), fault);
            require_wording(&behind.wait().await.unwrap_err(), Fault::Before(StoreErrorKind::Unavailable));
            assert_eq!(same_id.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
            let found = world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len();
            assert_eq!(found, usize::from(matches!(fault, Fault::After(_))), "{fault:?}");
            for id in ["a", "b"] {
                node.ask(id, start(id)).await.unwrap();
                world.work_until_closed(&node, id).await;
            }
        }
    });
}

#[test]
fn another_owner_is_fenced_and_fences() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        settle().await;
        let other = world.boot().await;
        settle().await;
        // The second node holds the lease; the first learns of it by its next write and takes it back.
        assert_eq!(node.ask("order", start("order")).await.unwrap_err().kind, ErrorKind::Unavailable);
        let run_id = node.ask("order", start("order")).await.unwrap().run_id;
        assert_eq!(other.ask("order", signal("order", "one")).await.unwrap_err().kind, ErrorKind::Unavailable);
        other.ask("order", signal("order", "one")).await.unwrap();
        assert_eq!(other.current_run("order").await, run_id);
        assert_eq!(signal_names(&other.events("order", "").await), ["one"]);
    });
}

#[test]
fn requests_wait_for_a_store_that_is_away() {
    run(async {
        let mut world = World::new();
        for kind in [StoreErrorKind::Unavailable, StoreErrorKind::OutcomeUnknown, StoreErrorKind::Corrupt] {
            world.script.fail(Operation::AcquireShard, 0, Fault::Before(kind));
        }
        world.script.fail(Operation::ReadTimers, 0, Fault::Before(StoreErrorKind::Unavailable));
        world.script.fail(Operation::ReadImmediate, 1, Fault::Before(StoreErrorKind::Unavailable));
        let node = world.boot().await;
        let (begun, mut started) = (world.now(), node.send("order", start("order")));
        settle().await;
        assert!(!started.is_answered());
        started.wait().await.unwrap();
        assert_eq!(world.script.count(Operation::AcquireShard), 6);
        assert!(world.now().since(begun) >= millis(5 * 200), "a store that is away is not asked in a loop");
        world.work_until_closed(&node, "order").await;
    });
}

#[test]
fn a_failed_read_refuses_one_request() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let mut node = node;
        for operation in [Operation::LoadExecution, Operation::CurrentRun] {
            node = world.crash(node).await;
            world.script.fail(operation, 0, Fault::Before(StoreErrorKind::Unavailable));
            let refused = node.send("order", describe("order"));
            let next = node.send("order", describe("order"));
            let error = refused.wait().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert!(error.message.contains("the database does not answer"), "{error}");
            next.wait().await.unwrap();
        }
        let node = world.crash(node).await;
        world.script.fail(Operation::LoadExecution, 0, Fault::Before(StoreErrorKind::Corrupt));
        assert_eq!(node.ask("order", describe("order")).await.unwrap_err().kind, ErrorKind::DataLoss);
        world.work_until_closed(&node, "order").await;
    });
}
