//! Deletion: once it is acknowledged the run goes, whatever happens.

use perdure_kernel::ErrorKind;
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};
use perdure_proto::api::workflowservice as ws;

use crate::kit::*;

pub(super) fn delete(workflow_id: &str, run_id: &str) -> Box<ws::DeleteWorkflowExecutionRequest> {
    let workflow_execution = execution(workflow_id, run_id);
    Box::new(ws::DeleteWorkflowExecutionRequest { workflow_execution, ..Default::default() })
}

async fn runs(world: &World) -> usize {
    world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len()
}

/// Nothing of the workflow is left, and its id can be used again.
async fn require_gone(world: &World, node: &Node) {
    settle().await;
    assert_eq!(runs(world).await, 0);
    assert_eq!(node.ask("order", describe("order")).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(node.ask("order", read("order")).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(node.ask("order", delete("order", "")).await.unwrap_err().kind, ErrorKind::NotFound);
    node.ask("order", start_as("order", "last")).await.unwrap();
    world.work_until_closed(node, "order").await;
}

#[test]
fn an_open_run_is_ended_and_removed_while_a_worker_has_its_task() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let mut watching = node.send("order", watch_close("order"));
        node.ask("order", delete("order", "")).await.unwrap();
        settle().await;
        assert!(watching.is_answered(), "readers that wait hear of the end");
        let late = node.decide(&task, vec![complete_workflow()]).await.unwrap_err();
        assert_eq!(late.kind, ErrorKind::NotFound);
        require_gone(&world, &node).await;
    });
}

#[test]
fn a_closed_run_is_removed_before_its_retention_is_over() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.begin(&node, "order", vec![complete_workflow()]).await;
        settle().await;
        assert_eq!(runs(&world).await, 1);
        node.ask("order", delete("order", "")).await.unwrap();
        require_gone(&world, &node).await;
    });
}

#[test]
fn an_earlier_run_goes_and_the_current_one_stays() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = world.begin(&node, "order", vec![complete_workflow()]).await;
        let second = node.ask("order", start_as("order", "second")).await.unwrap().run_id;
        node.ask("order", delete("order", &first)).await.unwrap();
        settle().await;
        assert_eq!(runs(&world).await, 1);
        assert_eq!(node.current_run("order").await, second);
        let node = world.crash(node).await;
        assert_eq!(node.current_run("order").await, second);
        world.work_until_closed(&node, "order").await;
        // Without its current run the id points to nothing, whatever else there was.
        node.ask("order", delete("order", "")).await.unwrap();
        require_gone(&world, &node).await;
    });
}

#[test]
fn an_acknowledged_deletion_survives_sudden_death() {
    run(async {
        for closed in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            world.begin(&node, "order", if closed { vec![complete_workflow()] } else { Vec::new() }).await;
            settle().await;
            // The second commit, which removes the run, is caught before it is applied.
            world.script.hold_after();
            let deleted = node.send("order", delete("order", ""));
            settle().await;
            world.script.hold();
            settle().await;
            drop(deleted);
            let node = world.crash(node).await;
            world.script.release();
            require_gone(&world, &node).await;
        }
    });
}

#[test]
fn a_deletion_can_be_repeated_after_a_failed_commit() {
    run(async {
        for fault in [
            Fault::Before(StoreErrorKind::Unavailable),
            Fault::Before(StoreErrorKind::OutcomeUnknown),
            Fault::After(StoreErrorKind::OutcomeUnknown),
        ] {
            for commit in 0..2 {
                let mut world = World::new();
                let node = world.boot().await;
                world.begin(&node, "order", Vec::new()).await;
                settle().await;
                world.script.fail(Operation::Commit, commit, fault);
                let answer = node.ask("order", delete("order", "")).await;
                assert_eq!(answer.is_err(), commit == 0, "{fault:?} {answer:?}");
                if answer.is_err() {
                    match node.ask("order", delete("order", "")).await {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.kind, ErrorKind::NotFound, "it was applied"),
                    }
                }
                pass(secs(5)).await;
                require_gone(&world, &node).await;
            }
        }
    });
}
