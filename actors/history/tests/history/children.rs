//! A parent, its child and a workflow that is signalled, each on a shard of its own, whatever fails meanwhile.

use perdure_kernel::ShardMap;
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{
    command::Command,
    enums::{EventType as K, ParentClosePolicy, WorkflowExecutionStatus as Status},
    history::HistoryEvent,
};
use perdure_rpc::matching::AddTask;

use crate::kit::*;

const PARENT: &str = "parent";
const CHILD: &str = "child";
const TARGET: &str = "listener";

/// Workflow tasks after which a family that is not done is taken to be stuck.
const TURNS_MAX: usize = 60;

async fn world() -> (World, Node) {
    let mut world = World::new();
    world.shards = 14;
    let node = world.boot().await;
    let map = ShardMap::uniform(world.shards);
    let shards = [PARENT, CHILD, TARGET].map(|id| map.shard_of(&node.key(id)));
    assert!(shards[0] != shards[1] && shards[1] != shards[2] && shards[0] != shards[2], "{shards:?}");
    (world, node)
}

/// What each of the three decides, by its history.
fn decisions_of(workflow_id: &str, events: &[HistoryEvent]) -> Vec<Command> {
    let has = |kind: K| events.iter().any(|event| event.event_type() == kind);
    match workflow_id {
        PARENT if !has(K::StartChildWorkflowExecutionInitiated) => vec![start_child(CHILD), signal_other(TARGET)],
        PARENT if has(K::ChildWorkflowExecutionCompleted) && has(K::ExternalWorkflowExecutionSignaled) => {
            vec![complete_workflow()]
        }
        CHILD => vec![complete_workflow()],
        _ => Vec::new(),
    }
}

/// A worker takes one task and answers it. What fails is tried again when the task comes again.
async fn turn(world: &World, node: &Node) {
    let task: AddTask = world.matching.task().await;
    let run = run_of(&task);
    let Ok(taken) = node.take_workflow_task(&task).await else { return };
    let events = events_so_far(node, &run.business_id, &run.run_id).await;
    let _ = node.decide(&taken, decisions_of(&run.business_id, &events)).await;
}

/// A run's history; reads that meet a shard without a lease are made again.
async fn events_so_far(node: &Node, workflow_id: &str, run_id: &str) -> Vec<HistoryEvent> {
    loop {
        let mut read = read(workflow_id);
        read.request.execution = execution(workflow_id, run_id);
        if let Ok(page) = node.ask(workflow_id, read).await {
            return page.history.unwrap().events;
        }
        pass(millis(100)).await;
    }
}

async fn is_done(node: &Node) -> bool {
    events_so_far(node, PARENT, "").await.last().unwrap().event_type() == K::WorkflowExecutionCompleted
}

/// Everything happened exactly once.
async fn check(node: &Node, what: &str) {
    let parent = events_so_far(node, PARENT, "").await;
    for kind in [
        K::StartChildWorkflowExecutionInitiated,
        K::ChildWorkflowExecutionStarted,
        K::ChildWorkflowExecutionCompleted,
        K::SignalExternalWorkflowExecutionInitiated,
        K::ExternalWorkflowExecutionSignaled,
    ] {
        assert_eq!(parent.iter().filter(|event| event.event_type() == kind).count(), 1, "{what}: {kind:?}");
    }
    let child = events_so_far(node, CHILD, "").await;
    assert_eq!(child.iter().filter(|event| event.event_type() == K::WorkflowTaskCompleted).count(), 1, "{what}");
    let signals = events_so_far(node, TARGET, "").await;
    let signals = signals.iter().filter(|event| event.event_type() == K::WorkflowExecutionSignaled);
    assert_eq!(signals.count(), 1, "{what}");
}

async fn start_both(node: &Node) {
    node.ask(TARGET, start(TARGET)).await.unwrap();
    node.ask(PARENT, start(PARENT)).await.unwrap();
}

#[test]
fn a_family_survives_a_crash_after_any_number_of_turns() {
    run(async {
        for crash_at in 0..8 {
            for idle in [false, true] {
                let (mut world, mut node) = world().await;
                start_both(&node).await;
                for turns in 0.. {
                    assert!(turns < TURNS_MAX, "stuck after a crash at {crash_at}");
                    if turns == crash_at {
                        if idle {
                            settle().await;
                        }
                        node = world.crash(node).await;
                    }
                    if is_done(&node).await {
                        break;
                    }
                    turn(&world, &node).await;
                }
                check(&node, &format!("crash at {crash_at}")).await;
            }
        }
    });
}

#[test]
fn a_family_survives_any_failed_write() {
    run(async {
        let faults = [
            Fault::Before(StoreErrorKind::Unavailable),
            Fault::Before(StoreErrorKind::OutcomeUnknown),
            Fault::After(StoreErrorKind::OutcomeUnknown),
        ];
        for fault in faults {
            for after in 0..16 {
                let (world, node) = world().await;
                start_both(&node).await;
                world.script.fail(Operation::Commit, after, fault);
                for turns in 0.. {
                    assert!(turns < TURNS_MAX, "stuck after {fault:?} of write {after}");
                    if is_done(&node).await {
                        break;
                    }
                    turn(&world, &node).await;
                }
                check(&node, &format!("{fault:?} of write {after}")).await;
            }
        }
    });
}

#[test]
fn a_child_outlives_or_follows_its_parent_also_after_a_crash() {
    run(async {
        for (policy, status) in [
            (ParentClosePolicy::Terminate, Status::Terminated),
            (ParentClosePolicy::Abandon, Status::Running),
            (ParentClosePolicy::RequestCancel, Status::Running),
        ] {
            let (mut world, node) = world().await;
            world.begin(&node, PARENT, vec![start_child_with(CHILD, policy)]).await;
            settle().await;
            let parent = events_so_far(&node, PARENT, "").await;
            assert!(parent.iter().any(|event| event.event_type() == K::ChildWorkflowExecutionStarted));
            // The parent's end is durable and the node dies before anybody is told.
            world.script.hold_after();
            let ended = node.send(PARENT, terminate(PARENT));
            settle().await;
            drop(ended);
            world.script.release();
            let node = world.crash(node).await;
            settle().await;
            pass(secs(1)).await;
            assert_eq!(node.status(PARENT).await, Status::Terminated);
            assert_eq!(node.status(CHILD).await, status, "{policy:?}");
            let requests = events_so_far(&node, CHILD, "").await;
            let requests = requests.iter().filter(|event| event.event_type() == K::WorkflowExecutionCancelRequested);
            assert_eq!(requests.count(), usize::from(policy == ParentClosePolicy::RequestCancel));
        }
    });
}

#[test]
fn a_parent_that_ends_while_its_child_is_being_started_leaves_none_behind() {
    run(async {
        let (world, node) = world().await;
        node.ask(PARENT, start(PARENT)).await.unwrap();
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![start_child_with(CHILD, ParentClosePolicy::Abandon)]).await.unwrap();
        // The child's start hangs in its shard's write, and the parent is ended meanwhile.
        world.script.hold();
        settle().await;
        let ended = node.send(PARENT, terminate(PARENT));
        settle().await;
        world.script.release();
        let _ = ended.wait().await;
        pass(secs(1)).await;
        let parent = kinds(&events_so_far(&node, PARENT, "").await);
        let recorded = parent.contains(&"ChildWorkflowExecutionStarted".to_owned());
        let child = node.ask(CHILD, describe(CHILD)).await;
        let status = child.map(|found| found.workflow_execution_info.unwrap().status());
        // It was known to its parent and goes on, or it never began.
        match status {
            Ok(Status::Running) => assert!(recorded),
            Ok(Status::Terminated) | Err(_) => assert!(!recorded),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_child_whose_parent_is_gone_ends_all_the_same() {
    run(async {
        let (world, node) = world().await;
        world.begin(&node, PARENT, vec![start_child_with(CHILD, ParentClosePolicy::Abandon)]).await;
        settle().await;
        node.ask(PARENT, terminate(PARENT)).await.unwrap();
        pass(world.namespaces.snapshot().retention + secs(60)).await;
        assert!(node.ask(PARENT, describe(PARENT)).await.is_err(), "the parent is deleted");
        for _ in 0..TURNS_MAX {
            if node.status(CHILD).await == Status::Completed {
                break;
            }
            turn(&world, &node).await;
        }
        assert_eq!(node.status(CHILD).await, Status::Completed);
        settle().await;
    });
}
