//! What lists show is what was acknowledged.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::{NamespaceId, VisibilityRecord};
use perdure_persistence::{Operation, StoreErrorKind, VisibilityStore};
use perdure_proto::api::{enums::WorkflowExecutionStatus as Status, workflowservice as ws};
use perdure_visibility::{Names, Query};

use super::queries::replace;
use crate::kit::*;

async fn list(world: &World, namespace: &NamespaceId) -> Vec<VisibilityRecord> {
    let query = Query::parse("", &Names { custom: &BTreeMap::new(), archetype: None }).unwrap();
    world.memory.list_visibility(namespace, &query, None, 100).await.unwrap().records
}

async fn statuses(world: &World, node: &Node) -> Vec<(String, Status)> {
    let listed = list(world, &node.namespace_id).await;
    listed.into_iter().map(|record| (record.key.business.business_id.to_string(), record.status)).collect()
}

#[test]
fn a_start_and_an_end_are_listed_once_they_are_answered() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.script.hold();
        let started = node.send("order", start("order"));
        settle().await;
        assert_eq!(statuses(&world, &node).await, []);
        world.script.release();
        let started = started.wait().await.unwrap();
        let [row] = &list(&world, &node.namespace_id).await[..] else { panic!("one row") };
        assert_eq!((row.status, &*row.key.run_id, row.start_time), (Status::Running, &*started.run_id, world.now()));
        assert_eq!((row.task_queue.as_str(), row.closed, &row.root, &row.parent), (QUEUE, None, &None, &None));

        // Nothing that lists do not show writes a row.
        node.ask("order", signal("order", "hello")).await.unwrap();
        assert_eq!(list(&world, &node.namespace_id).await, std::slice::from_ref(row));

        pass(secs(3)).await;
        node.ask("order", terminate("order")).await.unwrap();
        let [ended] = &list(&world, &node.namespace_id).await[..] else { panic!("one row") };
        let closed = ended.closed.unwrap();
        assert_eq!((ended.status, closed.close_time), (Status::Terminated, world.now()));
        assert_eq!(closed.execution_duration, 3_000_000_000);
        let described: ws::DescribeWorkflowExecutionResponse = node.ask("order", describe("order")).await.unwrap();
        let info = described.workflow_execution_info.unwrap();
        assert_eq!(closed.history_length, info.history_length);
        assert_eq!(closed.history_size_bytes, info.history_size_bytes);
        assert_eq!(closed.state_transition_count, info.state_transition_count);

        // Retention takes the row with the run.
        pass(Duration::from_secs(10 * 24 * 3600)).await;
        settle().await;
        assert_eq!(statuses(&world, &node).await, []);
    });
}

#[test]
fn a_run_and_its_successor_change_in_one_step() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        pass(secs(1)).await;
        node.ask("order", replace("order")).await.unwrap();
        let listed: Vec<Status> = list(&world, &node.namespace_id).await.iter().map(|record| record.status).collect();
        assert_eq!(listed, [Status::Running, Status::Terminated]);
    });
}

/// Whatever became of a commit, the list and the run agree afterwards.
#[test]
fn lists_and_runs_agree_after_failures() {
    run(async {
        for fault in [Fault::Before(StoreErrorKind::OutcomeUnknown), Fault::After(StoreErrorKind::OutcomeUnknown)] {
            let mut world = World::new();
            let node = world.boot().await;
            node.ask("order", start("order")).await.unwrap();
            world.script.fail(Operation::Commit, 0, fault);
            node.ask("order", terminate("order")).await.unwrap_err();
            settle().await;
            let status = node.status("order").await;
            assert_eq!(statuses(&world, &node).await, [("order".to_owned(), status)], "{fault:?}");
            let node = world.crash(node).await;
            if status == Status::Running {
                node.ask("order", terminate("order")).await.unwrap();
            }
            assert_eq!(statuses(&world, &node).await, [("order".to_owned(), Status::Terminated)]);
        }
    });
}
