//! Updates of runs that leave memory, end, pause or stop while somebody waits.

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_persistence::Operation;
use perdure_proto::api::{
    enums::{ResourceExhaustedCause, UpdateWorkflowExecutionLifecycleStage as Stage},
    workflowservice as ws,
};

use super::queries::replace;
use crate::kit::*;

/// Has everything that may leave memory leave it.
async fn evict(node: &Node) {
    for index in 0..4 {
        let id = format!("other-{index}");
        node.ask(&id, start_later(&id, secs(36_000))).await.unwrap();
    }
}

#[test]
fn who_waits_keeps_the_update_in_memory() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = 0;
        let node = world.boot().await;
        world.idle(&node, "order").await;
        node.ask("order", signal("order", "one")).await.unwrap();
        let waiting = node.send("order", update("order", "u", Stage::Completed));
        settle().await;
        evict(&node).await;
        let task = world.workflow_task(&node).await;
        assert_eq!(task.messages.len(), 1);
        evict(&node).await;
        node.ask("order", says(&task, vec![accept("u"), respond("u", "done")])).await.unwrap();
        assert_eq!(waiting.wait().await.unwrap().outcome, outcome("done"));
    });
}

#[test]
fn an_update_that_left_memory_is_asked_for_again() {
    run(async {
        for taken in [false, true] {
            let mut world = World::new();
            world.settings.cache_bytes = 0;
            let node = world.boot().await;
            world.idle(&node, "order").await;
            node.ask("order", signal("order", "one")).await.unwrap();
            let impatient = node.caller_for(secs(2));
            let gone = node.send_as(impatient, "order", update("order", "u", Stage::Completed));
            settle().await;
            // The start is written while the caller waits.
            let task = if taken { Some(world.workflow_task(&node).await) } else { None };
            assert_eq!(gone.wait().await.unwrap_err().kind, ErrorKind::DeadlineExceeded);
            evict(&node).await;
            let loads = world.script.count(Operation::LoadExecution);
            let again = node.send("order", update("order", "u", Stage::Completed));
            settle().await;
            assert_eq!(world.script.count(Operation::LoadExecution), loads + 1, "it has left memory");
            let task = match task {
                Some(task) => task,
                None => world.workflow_task(&node).await,
            };
            assert_eq!(task.messages.len(), 1);
            node.ask("order", says(&task, vec![accept("u"), respond("u", "done")])).await.unwrap();
            assert_eq!(again.wait().await.unwrap().outcome, outcome("done"), "taken: {taken}");
            assert_eq!(outcomes_in(&node.events("order", "").await), [outcome("done")]);
        }
    });
}

#[test]
fn outcomes_are_found_again_in_the_store() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = 0;
        let node = world.boot().await;
        world.idle(&node, "order").await;
        let worker = Updater::default();
        let ids = ["one", "two", "three"];
        for id in ids {
            let waiting = node.send("order", update("order", id, Stage::Completed));
            settle().await;
            worker.work(&world, &node).await.unwrap();
            waiting.wait().await.unwrap();
        }
        evict(&node).await;
        for closed in [false, true] {
            if closed {
                node.ask("order", terminate("order")).await.unwrap();
                evict(&node).await;
            }
            for (index, id) in ids.into_iter().enumerate() {
                let expected = outcome(&format!("run {}", index + 1));
                let updated = node.ask("order", update("order", id, Stage::Completed)).await.unwrap();
                assert_eq!(updated.outcome, expected, "closed: {closed}");
                let polled = node.ask("order", poll_update("order", id, Stage::Accepted)).await.unwrap();
                assert_eq!((polled.stage(), polled.outcome), (Stage::Completed, expected));
            }
        }
        assert_eq!(worker.runs(), 3);
    });
}

#[test]
fn an_outcome_that_cannot_be_read_is_not_made_up() {
    run(async {
        use perdure_persistence::StoreErrorKind;
        let mut world = World::new();
        let node = world.boot().await;
        world.idle(&node, "order").await;
        let waiting = node.send("order", update("order", "u", Stage::Completed));
        settle().await;
        Updater::default().work(&world, &node).await.unwrap();
        waiting.wait().await.unwrap();
        let node = world.crash(node).await;
        world.script.fail(Operation::ReadHistory, 0, Fault::Before(StoreErrorKind::Unavailable));
        let error = node.ask("order", update("order", "u", Stage::Completed)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        let again = node.ask("order", update("order", "u", Stage::Completed)).await.unwrap();
        assert_eq!(again.outcome, outcome("run 1"));
    });
}

/// The client is to try again: it finds the next run.
fn require_busy(error: &ServiceError) {
    let ErrorKind::ResourceExhausted { cause, .. } = error.kind else { panic!("{error:?}") };
    assert_eq!(cause, ResourceExhaustedCause::BusyWorkflow);
    assert_eq!(error.message, "workflow operation can not be applied because workflow is closing");
}

/// Every way in which a run ends over updates that somebody waits for: what is said, and not before it is stored.
#[test]
fn updates_end_with_their_run() {
    run(async {
        for way in ["completes", "continues", "is terminated", "is replaced", "is deleted", "times out"] {
            for accepted in [false, true] {
                let mut world = World::new();
                let node = world.boot().await;
                let run_timeout = Some(perdure_kernel::time::span_to_proto(secs(8)));
                let begin = ws::StartWorkflowExecutionRequest { workflow_run_timeout: run_timeout, ..*start("order") };
                node.ask("order", Box::new(begin)).await.unwrap();
                let task = world.workflow_task(&node).await;
                node.decide(&task, vec![start_timer("tea", secs(3600))]).await.unwrap();
                let mut waiting = node.send("order", update("order", "u", Stage::Completed));
                settle().await;
                if accepted {
                    let task = world.workflow_task(&node).await;
                    node.ask("order", says(&task, vec![accept("u")])).await.unwrap();
                    node.ask("order", signal("order", "one")).await.unwrap();
                }
                let polled = node.send("order", poll_update("order", "u", Stage::Completed));
                let ends = |command| async { decisions(&world.workflow_task(&node).await, vec![command]) };
                if way == "times out" {
                    pass(secs(9)).await;
                } else {
                    let completion = match way {
                        "completes" => Some(ends(complete_workflow()).await),
                        "continues" => Some(ends(continue_as_new()).await),
                        _ => None,
                    };
                    world.script.hold();
                    match (way, completion) {
                        (_, Some(completion)) => drop(node.send("order", completion)),
                        ("is terminated", None) => drop(node.send("order", terminate("order"))),
                        ("is replaced", None) => drop(node.send("order", replace("order"))),
                        (_, None) => {
                            let workflow_execution = execution("order", "");
                            let delete =
                                ws::DeleteWorkflowExecutionRequest { workflow_execution, ..Default::default() };
                            drop(node.send("order", Box::new(delete)));
                        }
                    }
                    settle().await;
                    assert!(!waiting.is_answered(), "{way}: the end is not durable yet");
                    world.script.release();
                }
                settle().await;
                assert!(waiting.is_answered(), "{way}, accepted: {accepted}");
                match (waiting.wait().await, polled.wait().await) {
                    (Ok(updated), Ok(polled)) => {
                        assert!(accepted, "{way}");
                        assert_eq!(updated.stage(), Stage::Completed);
                        assert_eq!(updated.outcome, polled.outcome);
                        let text = failure_of(updated.outcome.as_ref());
                        assert!(text.contains("the Workflow completed before the Update completed"), "{text}");
                    }
                    (Err(updated), Err(polled)) => {
                        assert!(!accepted, "{way}");
                        assert_eq!(updated, polled, "{way}");
                        if way == "continues" {
                            require_busy(&updated);
                        } else {
                            let closed = "workflow update was aborted by closing workflow";
                            assert_eq!(updated, ServiceError::not_found(closed), "{way}");
                        }
                    }
                    other => panic!("{way}, accepted: {accepted}: {other:?}"),
                }
            }
        }
    });
}

#[test]
fn a_run_that_continues_while_an_update_waits_for_its_worker_sends_the_client_on() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = world.idle(&node, "order").await;
        node.ask("order", signal("order", "one")).await.unwrap();
        let task = world.workflow_task(&node).await;
        // It comes while the worker decides.
        let waiting = node.send("order", update("order", "u", Stage::Completed));
        let polled = node.send("order", poll_update("order", "u", Stage::Completed));
        settle().await;
        // A first attempt to close has not seen it.
        let mut done = node.decide(&task, vec![continue_as_new()]).await;
        if node.current_run("order").await == first {
            let again = world.workflow_task(&node).await;
            done = node.decide(&again, vec![continue_as_new()]).await;
        }
        done.unwrap();
        assert_ne!(node.current_run("order").await, first);
        for error in [waiting.wait().await.unwrap_err(), polled.wait().await.unwrap_err()] {
            require_busy(&error);
        }
        let again = node.send("order", update("order", "u", Stage::Completed));
        settle().await;
        Updater::default().work(&world, &node).await.unwrap();
        assert_eq!(again.wait().await.unwrap().outcome, outcome("run 1"), "the next run takes it");
    });
}

#[test]
fn a_paused_run_takes_no_updates() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.idle(&node, "order").await;
        let pause = ws::PauseWorkflowExecutionRequest {
            workflow_id: "order".into(),
            request_id: "pause".into(),
            ..Default::default()
        };
        let mut waiting = node.send("order", update("order", "before", Stage::Completed));
        settle().await;
        node.ask("order", Box::new(pause)).await.unwrap();
        settle().await;
        let text = "Workflow is paused. Cannot update the workflow.";
        let error = node.ask("order", update("order", "u", Stage::Completed)).await.unwrap_err();
        assert_eq!(error, ServiceError::failed_precondition(text));
        let error = node.ask("order", update_with_start("order", "u")).await.unwrap_err();
        let ErrorKind::MultiOperation { operations } = error.kind else { panic!("{error:?}") };
        assert_eq!(operations[1], Some(ServiceError::failed_precondition(text)));
        // One that was admitted before waits for the end of the pause, as all do.
        assert!(!waiting.is_answered());
        let unpause = ws::UnpauseWorkflowExecutionRequest {
            workflow_id: "order".into(),
            request_id: "unpause".into(),
            ..Default::default()
        };
        node.ask("order", Box::new(unpause)).await.unwrap();
        Updater::default().work(&world, &node).await.unwrap();
        assert_eq!(waiting.wait().await.unwrap().outcome, outcome("run 1"));
    });
}

#[test]
fn an_orderly_stop_sends_everybody_away() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.idle(&node, "order").await;
        let waiting = node.send("order", update("order", "u", Stage::Completed));
        let polled = node.send("order", poll_update("order", "u", Stage::Completed));
        let both = node.send("second", update_with_start("second", "u"));
        settle().await;
        node.stop().await;
        for error in [waiting.wait().await.unwrap_err(), polled.wait().await.unwrap_err()] {
            assert_eq!(error, ServiceError::unavailable("workflow update was aborted"));
        }
        let error = both.wait().await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::MultiOperation { .. }), "{error:?}");
        let node = world.crash(node).await;
        let again = node.send("order", update("order", "u", Stage::Completed));
        settle().await;
        let worker = Updater::default();
        while worker.runs() == 0 {
            worker.work(&world, &node).await.unwrap();
        }
        again.wait().await.unwrap();
    });
}
