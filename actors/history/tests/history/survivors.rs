//! Timers outlive nodes, and none fires early.

use std::time::Duration;

use perdure_kernel::{ErrorKind, Timestamp, time::span_to_proto};
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};
use perdure_proto::api::{enums::WorkflowExecutionStatus, history::HistoryEvent, workflowservice as ws};

use crate::kit::*;

/// How late a timer may be: the resolution of the actor's timer, and store calls take no time here.
const LATE_MAX: Duration = millis(2);

/// A workflow that waits for something, and the event that ends the wait.
struct Case {
    event: &'static str,
    due_after: Duration,
    prepare: Prepare,
}

enum Prepare {
    /// The start itself waits.
    Start(Box<ws::StartWorkflowExecutionRequest>),
    /// The first decisions wait.
    Decide(Vec<perdure_proto::api::command::Command>),
    /// A worker took the activity.
    TakeActivity(Vec<perdure_proto::api::command::Command>),
    /// A worker took the workflow task.
    TakeTask,
}

fn cases() -> Vec<Case> {
    let run_timeout =
        ws::StartWorkflowExecutionRequest { workflow_run_timeout: Some(span_to_proto(secs(50))), ..*start("order") };
    let case = |event, seconds, prepare| Case { event, due_after: secs(seconds), prepare };
    vec![
        case("TimerFired", 90, Prepare::Decide(vec![start_timer("later", secs(4000)), start_timer("tea", secs(90))])),
        case("ActivityTaskTimedOut", 70, Prepare::TakeActivity(vec![schedule_activity_within("charge", secs(70))])),
        case("WorkflowExecutionTimedOut", 50, Prepare::Start(Box::new(run_timeout))),
        case("WorkflowTaskScheduled", 3000, Prepare::Start(start_later("order", secs(3000)))),
        case("WorkflowTaskTimedOut", 10, Prepare::TakeTask),
    ]
}

/// Prepares the wait; gives the instant at which it began.
async fn prepare(world: &World, node: &Node, prepare: Prepare) -> Timestamp {
    match prepare {
        Prepare::Start(start) => drop(node.ask("order", start).await.unwrap()),
        Prepare::Decide(commands) => drop(world.begin(node, "order", commands).await),
        Prepare::TakeActivity(commands) => {
            world.begin(node, "order", commands).await;
            let task = world.matching.task().await;
            node.take_activity_task(&task).await.unwrap();
        }
        Prepare::TakeTask => {
            node.ask("order", start("order")).await.unwrap();
            world.workflow_task(node).await;
        }
    }
    world.now()
}

fn find<'e>(events: &'e [HistoryEvent], name: &str) -> Option<&'e HistoryEvent> {
    kinds(events);
    events.iter().find(|event| kind(event) == name)
}

#[test]
fn what_a_run_waits_for_comes_in_time_whoever_owns_the_shard() {
    run(async {
        // Dies never; dies and comes back before it is due; is dead when it is due.
        for (crash_after, down_for) in [(None, secs(0)), (Some(secs(4)), secs(0)), (Some(secs(4)), secs(20_000))] {
            for case in cases() {
                let mut world = World::new();
                let mut node = world.boot().await;
                let since = prepare(&world, &node, case.prepare).await;
                let due = since + case.due_after;
                let mut earliest = due;
                if let Some(after) = crash_after {
                    pass(after).await;
                    node.crash().await;
                    tokio::time::sleep(down_for).await;
                    node = world.boot().await;
                    earliest = due.max(world.now());
                }
                let before = earliest.since(world.now()).saturating_sub(millis(1));
                if !before.is_zero() {
                    pass(before).await;
                    let events = node.events("order", "").await;
                    assert!(find(&events, case.event).is_none(), "{} came early", case.event);
                }
                pass(LATE_MAX + millis(1)).await;
                let events = node.events("order", "").await;
                let Some(event) = find(&events, case.event) else {
                    panic!("{} did not come, crash after {crash_after:?}: {:?}", case.event, kinds(&events));
                };
                let at = time_of(event);
                assert!(at >= due && at <= earliest + LATE_MAX, "{}: {at}, due {due}", case.event);
            }
        }
    });
}

#[test]
fn retention_removes_run_and_pointer_whoever_owns_the_shard() {
    run(async {
        for crashes in [false, true] {
            let mut world = World::new();
            let mut node = world.boot().await;
            let key = node.key("order");
            let run_id = world.begin(&node, "order", vec![complete_workflow()]).await;
            let closed = world.now();
            if crashes {
                node = world.crash(node).await;
            }
            tokio::time::sleep_until(
                tokio::time::Instant::now() + secs(24 * 3600).saturating_sub(world.now().since(closed)) - millis(2),
            )
            .await;
            assert_eq!(world.memory.current_run(SHARD, &key).await.unwrap(), Some(run_id));
            pass(millis(10)).await;
            assert_eq!(world.memory.list_executions(SHARD, None, 1).await.unwrap().keys, []);
            assert_eq!(world.memory.current_run(SHARD, &key).await.unwrap(), None, "crashes: {crashes}");
            assert_eq!(node.ask("order", describe("order")).await.unwrap_err().kind, ErrorKind::NotFound);
            world.begin(&node, "order", vec![complete_workflow()]).await;
        }
    });
}

#[test]
fn retention_of_an_old_run_leaves_the_current_one_alone() {
    run(async {
        for crashes in [false, true] {
            let mut world = World::new();
            let mut node = world.boot().await;
            let first = world.begin(&node, "order", vec![complete_workflow()]).await;
            pass(secs(3600)).await;
            let again = ws::StartWorkflowExecutionRequest { request_id: "again".into(), ..*start("order") };
            let second = node.ask("order", Box::new(again)).await.unwrap().run_id;
            if crashes {
                node = world.crash(node).await;
            }
            pass(secs(24 * 3600)).await;
            assert_eq!(node.current_run("order").await, second);
            assert_eq!(node.status("order").await, WorkflowExecutionStatus::Running);
            let mut old = read("order");
            old.request.execution = execution("order", &first);
            assert_eq!(node.ask("order", old).await.unwrap_err().kind, ErrorKind::NotFound);
        }
    });
}

/// The wake-up row of a timer that was cancelled fires for nothing and is deleted; a timer set much later
/// needs a row of its own.
#[test]
fn a_timer_set_after_a_void_wake_up_survives() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = 0;
        let node = world.boot().await;
        world.begin(&node, "order", vec![start_timer("tea", secs(100))]).await;
        node.ask("order", signal("order", "one")).await.unwrap();
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![cancel_timer("tea")]).await.unwrap();
        pass(secs(200)).await;
        delete_finished_timers(&world, &node).await;

        node.ask("order", signal("order", "two")).await.unwrap();
        let task = workflow_task_of(&world, &node, "order").await;
        node.decide(&task, vec![start_timer("cake", secs(100))]).await.unwrap();
        let set = world.now();
        let node = world.crash(node).await;
        pass(secs(101)).await;
        let events = node.events("order", "").await;
        let fired = find(&events, "TimerFired").expect("the second timer is lost");
        assert!(time_of(fired) >= set + secs(100));
    });
}

/// The next task of a workflow; those of others are taken over.
async fn workflow_task_of(world: &World, node: &Node, workflow_id: &str) -> WorkflowTask {
    loop {
        let task = world.matching.task().await;
        if run_of(&task).business_id == workflow_id {
            return node.take_workflow_task(&task).await.unwrap();
        }
    }
}

/// Lets so many timers fire that the shard deletes the rows of those that did.
async fn delete_finished_timers(world: &World, node: &Node) {
    for index in 0..300 {
        let id = format!("late-{index}");
        node.ask(&id, start_later(&id, secs(1))).await.unwrap();
    }
    pass(secs(2)).await;
    assert_eq!(world.matching.take_all().len(), 300);
    node.ask("last", start("last")).await.unwrap();
    world.matching.take_all();
}

/// Rows of fired timers are deleted by range. The range must not reach rows that were written just now.
#[test]
fn deleting_fired_timers_spares_those_of_the_same_commit_and_the_one_before() {
    run(async {
        for behind in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            for index in 0..300 {
                let id = format!("soon-{index}");
                node.ask(&id, start_later(&id, secs(1))).await.unwrap();
            }
            if behind {
                // The commit of "order" is in flight when the timers end, and the next one has the range.
                pass(millis(990)).await;
                world.script.hold();
                let _first = node.send("order", start_later("order", secs(30)));
                pass(millis(100)).await;
                world.script.release();
                pass(millis(10)).await;
                node.ask("next", start_later("next", secs(7000))).await.unwrap();
            } else {
                pass(secs(2)).await;
                node.ask("order", start_later("order", secs(30))).await.unwrap();
            }
            assert_eq!(world.matching.take_all().len(), 300);
            let rows = world.memory.read_timers(SHARD, (Timestamp::EPOCH, 0), Timestamp::MAX, 1000).await.unwrap();
            assert!(rows.len() < 300, "the rows of fired timers are deleted");
            let node = world.crash(node).await;
            pass(secs(40)).await;
            let offered = world.matching.take_all();
            assert!(
                offered.iter().any(|task| run_of(task).business_id == "order"),
                "the timer of the workflow was deleted with those that fired"
            );
            node.crash().await;
        }
    });
}

#[test]
fn a_wake_up_that_could_not_be_worked_off_comes_again() {
    run(async {
        for (operation, fault) in [
            (Operation::LoadExecution, Fault::Before(StoreErrorKind::Unavailable)),
            (Operation::CurrentRun, Fault::Before(StoreErrorKind::OutcomeUnknown)),
            (Operation::Commit, Fault::Before(StoreErrorKind::Unavailable)),
            (Operation::Commit, Fault::After(StoreErrorKind::OutcomeUnknown)),
        ] {
            let mut world = World::new();
            let node = world.boot().await;
            node.ask("order", start_later("order", secs(60))).await.unwrap();
            let node = world.crash(node).await;
            settle().await;
            world.script.fail(operation, 0, fault);
            pass(secs(70)).await;
            let offered = world.matching.take_all();
            assert_eq!(offered.len(), 1, "{operation:?} {fault:?}");
            node.take_workflow_task(&offered[0]).await.unwrap();
        }
    });
}

#[test]
fn wake_ups_wait_for_a_namespace_that_is_not_known_yet() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start_later("order", secs(60))).await.unwrap();
        world.namespaces.set_unknown(true);
        pass(secs(90)).await;
        assert!(world.matching.try_offer().is_none());
        // Other timers come and go, and the rows of those that are done are deleted.
        world.namespaces.set_unknown(false);
        let node = {
            world.namespaces.set_unknown(true);
            let node = world.crash(node).await;
            pass(secs(10)).await;
            assert!(world.matching.try_offer().is_none());
            node
        };
        world.namespaces.set_unknown(false);
        pass(secs(2)).await;
        assert_eq!(world.matching.take_all().len(), 1);
        node.crash().await;
    });
}
