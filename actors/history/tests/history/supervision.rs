//! Panics and drains.

use perdure_kernel::ErrorKind;
use perdure_proto::api::enums::WorkflowExecutionStatus;

use crate::kit::*;

/// Ids on two different shards.
fn apart(node: &Node) -> (String, String) {
    let map = perdure_kernel::ShardMap::uniform(4);
    let ids = (0..).map(|index| format!("order-{index}"));
    let first = "order-0".to_owned();
    let home = map.shard_of(&node.key(&first));
    let other = ids.skip(1).find(|id| map.shard_of(&node.key(id)) != home).unwrap();
    (first, other)
}

#[test]
fn a_panic_restarts_one_shard_and_no_other() {
    run(async {
        let mut world = World::new();
        world.shards = 4;
        let node = world.boot().await;
        let (id, other) = apart(&node);
        node.ask(&other, start(&other)).await.unwrap();
        node.ask(&id, start_later(&id, secs(3600))).await.unwrap();
        let waiting = node.send(&id, watch_close(&id));
        let unharmed = node.send(&other, watch_close(&other));
        world.matching.take_all();
        settle().await;
        // The shard looks the namespace up to hand the signal's task over.
        world.namespaces.panic_once();
        let hasty = node.send(&id, start_with_signal(&id));
        settle().await;
        // The signal was durable; its caller hears that the outcome is not known, or success.
        if let Err(error) = hasty.wait().await {
            assert_eq!(error.kind, ErrorKind::Unavailable);
        }
        assert_eq!(waiting.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
        let error = node.ask(&id, describe(&id)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("is restarting; try again"), "{error}");
        assert_eq!(node.status(&other).await, WorkflowExecutionStatus::Running);

        // Back after a while, with all that was durable, and the task is handed over.
        pass(secs(1)).await;
        assert_eq!(node.status(&id).await, WorkflowExecutionStatus::Running);
        let task = world.matching.task().await;
        assert_eq!(run_of(&task).business_id, id);
        let taken = node.take_workflow_task(&task).await.unwrap();
        node.decide(&taken, vec![complete_workflow()]).await.unwrap();
        node.ask(&other, terminate(&other)).await.unwrap();
        unharmed.wait().await.unwrap();
    });
}

fn start_with_signal(
    workflow_id: &str,
) -> Box<perdure_proto::api::workflowservice::SignalWithStartWorkflowExecutionRequest> {
    let start = *start(workflow_id);
    Box::new(perdure_proto::api::workflowservice::SignalWithStartWorkflowExecutionRequest {
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        request_id: "hasty".into(),
        signal_name: "now".into(),
        ..Default::default()
    })
}

#[test]
fn a_drain_answers_everything_in_flight() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        for id in ["a", "b", "c"] {
            node.ask(id, start(id)).await.unwrap();
        }
        let node = world.crash(node).await;
        settle().await;
        world.script.hold();
        let first = node.send("a", signal("a", "one"));
        settle().await;
        let behind = node.send("a", signal("a", "two"));
        let with_it = node.send("d", start("d"));
        settle().await;
        let loading = node.send("b", describe("b"));
        let page = node.send("c", read("c"));
        let watching = node.send("c", watch_close("c"));
        let querying = node.send("a", query("a"));
        let release = async {
            settle().await;
            world.script.release();
        };
        let (report, ()) = tokio::join!(node.stop(), release);
        assert!(report.complete && report.abandoned.is_empty(), "{report:?}");
        first.wait().await.unwrap();
        behind.wait().await.unwrap();
        with_it.wait().await.unwrap();
        loading.wait().await.unwrap();
        assert_eq!(page.wait().await.unwrap().history.unwrap().events.len(), 2);
        assert_eq!(watching.wait().await.unwrap().history.unwrap().events, []);
        assert_eq!(querying.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(node.ask("a", describe("a")).await.unwrap_err().kind, ErrorKind::Unavailable);

        let node = world.boot().await;
        assert_eq!(super::commits::signal_names(&node.events("a", "").await), ["one", "two"]);
    });
}

#[test]
fn a_drain_does_not_wait_for_a_store_that_is_away() {
    run(async {
        use perdure_persistence::{Operation, StoreErrorKind};
        let mut world = World::new();
        for _ in 0..1000 {
            world.script.fail(Operation::AcquireShard, 0, Fault::Before(StoreErrorKind::Unavailable));
        }
        let node = world.boot().await;
        let waiting = node.send("order", start("order"));
        pass(secs(3)).await;
        let begun = world.now();
        let report = node.stop().await;
        assert!(report.complete && report.abandoned.is_empty(), "{report:?}");
        assert!(world.now().since(begun) < secs(1));
        assert_eq!(waiting.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
    });
}
