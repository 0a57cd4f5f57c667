//! Resets under faults: one run comes of one request, with all that its history told.

use perdure_kernel::ErrorKind;
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};
use perdure_proto::api::{enums::WorkflowExecutionStatus as Status, workflowservice as ws};

use super::commits::signal_names;
use crate::kit::*;

fn reset_run(workflow_id: &str, run_id: &str, finish_event_id: i64) -> Box<ws::ResetWorkflowExecutionRequest> {
    Box::new(ws::ResetWorkflowExecutionRequest {
        workflow_execution: execution(workflow_id, run_id),
        reason: "once more".into(),
        workflow_task_finish_event_id: finish_event_id,
        request_id: format!("reset-{run_id}-{finish_event_id}"),
        ..Default::default()
    })
}

fn reset(workflow_id: &str, finish_event_id: i64) -> Box<ws::ResetWorkflowExecutionRequest> {
    reset_run(workflow_id, "", finish_event_id)
}

async fn runs(world: &World) -> usize {
    world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len()
}

/// A workflow with a pending activity and a signal that waits for the running workflow task.
async fn busy(world: &World, node: &Node) -> String {
    let run_id = world.begin(node, "order", vec![schedule_activity("charge")]).await;
    assert!(!run_id.is_empty());
    node.ask("order", signal("order", "one")).await.unwrap();
    loop {
        let offered = world.matching.task().await;
        if node.take_workflow_task(&offered).await.is_ok() {
            break;
        }
    }
    node.ask("order", signal("order", "two")).await.unwrap();
    run_id
}

#[test]
fn one_run_comes_of_a_request_whatever_became_of_its_commit() {
    run(async {
        for fault in [
            Fault::Before(StoreErrorKind::LeaseLost),
            Fault::Before(StoreErrorKind::Unavailable),
            Fault::Before(StoreErrorKind::OutcomeUnknown),
            Fault::After(StoreErrorKind::OutcomeUnknown),
        ] {
            let mut world = World::new();
            let node = world.boot().await;
            let first = busy(&world, &node).await;
            world.script.fail(Operation::Commit, 0, fault);
            let error = node.ask("order", reset("order", 4)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{fault:?}");
            let second = node.ask("order", reset("order", 4)).await.unwrap().run_id;
            assert_eq!(node.ask("order", reset("order", 4)).await.unwrap().run_id, second);
            assert_eq!(node.current_run("order").await, second);
            assert_eq!(runs(&world).await, 2, "{fault:?}");
            let events = node.events("order", &second).await;
            kinds(&events);
            assert_eq!(signal_names(&events), ["one", "two"], "{fault:?}");
            let ended = node.events("order", &first).await;
            assert!(ended.last().unwrap().event_type().as_str_name().ends_with("TERMINATED"));
            world.work_until_closed(&node, "order").await;
            assert_eq!(node.status("order").await, Status::Completed);
        }
    });
}

#[test]
fn sudden_death_in_the_middle_of_a_reset() {
    run(async {
        for applied in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            let first = busy(&world, &node).await;
            if applied {
                world.script.hold_after()
            } else {
                world.script.hold()
            }
            let mut pending = node.send("order", reset("order", 4));
            settle().await;
            assert_eq!(world.script.waiting(), 1);
            assert!(!pending.is_answered());
            let node = world.crash(node).await;
            world.script.release();
            assert_eq!(node.current_run("order").await == first, !applied);
            let second = node.ask("order", reset("order", 4)).await.unwrap().run_id;
            assert_eq!(runs(&world).await, 2);
            assert_eq!(signal_names(&node.events("order", &second).await), ["one", "two"]);
            world.work_until_closed(&node, "order").await;
        }
    });
}

#[test]
fn histories_are_read_from_the_store() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.begin(&node, "order", Vec::new()).await;
        let names: Vec<String> = (0..600).map(|number| format!("s{number}")).collect();
        for name in &names {
            node.ask("order", signal("order", name)).await.unwrap();
        }
        let node = world.crash(node).await;
        world.script.fail(Operation::ReadHistory, 1, Fault::Before(StoreErrorKind::Unavailable));
        let error = node.ask("order", reset("order", 4)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(runs(&world).await, 1);
        let second = node.ask("order", reset("order", 4)).await.unwrap().run_id;
        assert_eq!(signal_names(&node.events("order", &second).await), names);
        // The new run's history is whole in the store, too, and can be reset itself.
        let node = world.crash(node).await;
        let events = node.events("order", &second).await;
        assert_eq!(signal_names(&events), names);
        let finish = events.last().unwrap().event_id;
        assert_eq!(node.ask("order", reset("order", finish)).await.unwrap_err().kind, ErrorKind::InvalidArgument);
        let third = node.ask("order", reset("order", 4)).await.unwrap().run_id;
        assert_eq!(third, second, "the same request");
        world.work_until_closed(&node, "order").await;
    });
}

#[test]
fn signals_of_later_runs_are_done_again_along_the_chain() {
    run(async {
        for restart in [false, true] {
            let mut world = World::new();
            let mut node = world.boot().await;
            let first = world.begin(&node, "order", Vec::new()).await;
            for name in ["one", "two", "three"] {
                node.ask("order", signal("order", name)).await.unwrap();
                let task = world.workflow_task(&node).await;
                if name != "three" {
                    node.decide(&task, vec![continue_as_new()]).await.unwrap();
                    let task = world.workflow_task(&node).await;
                    node.decide(&task, Vec::new()).await.unwrap();
                }
            }
            if restart {
                node = world.crash(node).await;
            }
            let last = node.current_run("order").await;
            let new = node.ask("order", reset_run("order", &first, 4)).await.unwrap().run_id;
            let events = node.events("order", &new).await;
            assert_eq!(signal_names(&events), ["one", "two", "three"]);
            assert_eq!(node.current_run("order").await, new);
            assert_eq!(runs(&world).await, 4);
            let told = |run_id: &str| {
                let execution = execution("order", run_id);
                let request = ws::DescribeWorkflowExecutionRequest { execution, ..Default::default() };
                node.ask("order", request)
            };
            let ended = told(&last).await.unwrap();
            assert_eq!(ended.workflow_execution_info.unwrap().status(), Status::Terminated);
            assert_eq!(ended.workflow_extended_info.unwrap().reset_run_id, "");
            assert_eq!(told(&first).await.unwrap().workflow_extended_info.unwrap().reset_run_id, new);
            world.work_until_closed(&node, "order").await;
        }
    });
}

#[test]
fn a_run_whose_workflow_has_no_current_one() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = world.begin(&node, "order", vec![complete_workflow()]).await;
        node.ask("order", start_as("order", "second")).await.unwrap();
        let workflow_execution = execution("order", "");
        let delete = ws::DeleteWorkflowExecutionRequest { workflow_execution, ..Default::default() };
        node.ask("order", Box::new(delete)).await.unwrap();
        settle().await;
        assert_eq!(node.ask("order", reset("order", 4)).await.unwrap_err().kind, ErrorKind::NotFound);
        let new = node.ask("order", reset_run("order", &first, 4)).await.unwrap().run_id;
        assert_eq!(node.current_run("order").await, new);
        let node = world.crash(node).await;
        world.work_until_closed(&node, "order").await;
        assert_eq!(node.status("order").await, Status::Completed);
    });
}
