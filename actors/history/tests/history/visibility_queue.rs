//! Lists beside the store: rows come after the commits, and in the end they are what the runs say.

use perdure_execution::activity::{Input, Reply};
use perdure_kernel::{BusinessKey, VisibilityRecord};
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{enums::WorkflowExecutionStatus as Status, workflowservice as ws};

use super::{deletions::delete, queries::replace};
use crate::kit::*;

const FAULTS: [Fault; 5] = [
    Fault::Before(StoreErrorKind::Unavailable),
    Fault::Before(StoreErrorKind::Corrupt),
    Fault::Before(StoreErrorKind::Conflict),
    Fault::Before(StoreErrorKind::OutcomeUnknown),
    Fault::After(StoreErrorKind::OutcomeUnknown),
];

/// The lists are what the runs say. Gives the rows.
pub(super) async fn agreed(world: &World, node: &Node, lists: &Lists) -> Vec<VisibilityRecord> {
    let listed = rows(&lists.memory, &node.namespace_id).await;
    assert_eq!(listed, world.shown().await);
    assert_eq!(rows(&world.memory, &node.namespace_id).await, [], "commits bring no rows");
    listed
}

fn ids(listed: &[VisibilityRecord]) -> Vec<&str> {
    let mut ids: Vec<&str> = listed.iter().map(|record| &*record.key.business.business_id).collect();
    ids.sort_unstable();
    ids
}

pub(super) fn ask_activity(node: &Node, id: &str, input: Input) -> Pending<Box<Reply>> {
    let key = BusinessKey::activity(&node.namespace_id, id);
    let act = perdure_rpc::history::Act { key: key.clone(), run_id: String::new(), input: Box::new(input) };
    let (ask, answer) = perdure_rpc::Ask::new(node.caller(), Box::new(act), None);
    node.history.send(&key, ask.into());
    Pending::of(async move { answer.await.map(|reply: Box<dyn std::any::Any + Send>| reply.downcast().unwrap()) })
}

pub(super) fn start_activity(id: &str) -> Input {
    Input::Start(Box::new(ws::StartActivityExecutionRequest {
        activity_id: id.to_owned(),
        activity_type: activity_type("charge"),
        task_queue: Some(queue(QUEUE)),
        request_id: format!("{id}-start"),
        start_to_close_timeout: Some(perdure_kernel::time::span_to_proto(secs(3600))),
        ..Default::default()
    }))
}

#[test]
fn rows_follow_the_commits_which_do_not_wait() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        writes.hold();
        node.ask("order", start("order")).await.unwrap();
        node.ask("order", terminate("order")).await.unwrap();
        node.ask("other", start("other")).await.unwrap();
        settle().await;
        assert_eq!(rows(&lists.memory, &node.namespace_id).await, []);
        writes.release();
        settle().await;
        let listed = agreed(&world, &node, &lists).await;
        let statuses: Vec<Status> = listed.iter().map(|record| record.status).collect();
        assert_eq!((ids(&listed), statuses), (vec!["order", "other"], vec![Status::Running, Status::Terminated]));

        // A run and its successor.
        node.ask("other", replace("other")).await.unwrap();
        settle().await;
        assert_eq!(agreed(&world, &node, &lists).await.len(), 3);
        // Nothing that lists do not show is written.
        let before = lists.writes().len();
        node.ask("other", signal("other", "hello")).await.unwrap();
        settle().await;
        assert_eq!(lists.writes().len(), before);
        // Retention takes the rows of those that are closed.
        pass(secs(10 * 24 * 3600)).await;
        assert_eq!(ids(&agreed(&world, &node, &lists).await), ["other"]);
    });
}

#[test]
fn many_changes_become_one_row_and_many_rows_one_write() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        writes.hold();
        node.ask("first", start("first")).await.unwrap();
        settle().await;
        assert_eq!(writes.waiting(), 1);
        for round in 0..5 {
            for id in ["a", "b", "c"] {
                let request = ws::StartWorkflowExecutionRequest { request_id: format!("{round}"), ..*replace(id) };
                node.ask(id, Box::new(request)).await.unwrap();
            }
        }
        node.ask("a", terminate("a")).await.unwrap();
        settle().await;
        assert_eq!(writes.waiting(), 1, "one write at a time");
        writes.release();
        settle().await;
        // Of fifteen runs all but two began and ended meanwhile.
        let sizes: Vec<usize> = lists.writes().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 15]);
        assert_eq!(agreed(&world, &node, &lists).await.len(), 16);
    });
}

#[test]
fn standalone_activities_are_listed_changed_and_removed_alike() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        ask_activity(&node, "solo", start_activity("solo")).wait().await.unwrap();
        settle().await;
        assert_eq!(agreed(&world, &node, &lists).await[0].status, Status::Running);
        writes.hold();
        ask_activity(&node, "solo", Input::Terminate(Default::default())).wait().await.unwrap();
        let node = world.crash(node).await;
        writes.release();
        settle().await;
        // As Temporal shows activities that were terminated.
        assert_eq!(agreed(&world, &node, &lists).await[0].status, Status::Failed);
        ask_activity(&node, "solo", Input::Delete).wait().await.unwrap();
        settle().await;
        assert_eq!(agreed(&world, &node, &lists).await, []);
    });
}

#[test]
fn a_write_that_fails_is_made_again() {
    run(async {
        for fault in FAULTS {
            let (mut world, lists, writes) = World::with_lists();
            let node = world.boot().await;
            for _ in 0..3 {
                writes.fail(Operation::WriteVisibility, 0, fault);
            }
            node.ask("order", start("order")).await.unwrap();
            node.ask("other", start("other")).await.unwrap();
            settle().await;
            assert_eq!(writes.count(Operation::WriteVisibility), 1, "it waits before it tries again");
            node.ask("order", terminate("order")).await.unwrap();
            pass(secs(5)).await;
            assert_eq!(agreed(&world, &node, &lists).await.len(), 2, "{fault:?}");
            let calls = writes.total();
            pass(secs(100)).await;
            assert_eq!(writes.total(), calls, "an idle queue writes nothing");
        }
    });
}

#[test]
fn a_store_that_does_not_answer_is_given_up_and_asked_again() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        for applied in [false, true] {
            if applied {
                writes.hold_after();
            } else {
                writes.hold();
            }
            let id = format!("order-{applied}");
            node.ask(&id, start(&id)).await.unwrap();
            pass(secs(20)).await;
            assert_eq!(writes.waiting(), 1);
            let calls = writes.total();
            pass(secs(20)).await;
            assert_eq!((writes.total(), writes.waiting()), (calls + 1, 1), "the first is given up");
            writes.release();
            pass(secs(1)).await;
            agreed(&world, &node, &lists).await;
        }
    });
}

#[test]
fn a_row_that_the_store_does_not_take_holds_up_no_other() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        lists.refuse(Some("bad"));
        writes.hold();
        let names: Vec<String> = (0..40).map(|n| format!("order-{n}")).collect();
        for id in
            names.iter().take(20).map(String::as_str).chain(["bad"]).chain(names.iter().skip(20).map(String::as_str))
        {
            node.ask(id, start(id)).await.unwrap();
        }
        writes.release();
        pass(secs(60)).await;
        assert_eq!(rows(&lists.memory, &node.namespace_id).await.len(), 40);
        node.ask("late", start("late")).await.unwrap();
        pass(secs(30)).await;
        assert_eq!(rows(&lists.memory, &node.namespace_id).await.len(), 41);
        lists.refuse(None);
        pass(secs(11)).await;
        assert_eq!(agreed(&world, &node, &lists).await.len(), 42);
    });
}

#[test]
fn what_was_acknowledged_is_shown_after_sudden_death() {
    run(async {
        for applied in [false, true] {
            let (mut world, lists, writes) = World::with_lists();
            let mut node = world.boot().await;
            for id in ["a", "b", "c"] {
                node.ask(id, start(id)).await.unwrap();
            }
            settle().await;
            if applied {
                writes.hold_after();
            } else {
                writes.hold();
            }
            node.ask("a", terminate("a")).await.unwrap();
            node.ask("b", delete("b", "")).await.unwrap();
            node.ask("d", start("d")).await.unwrap();
            settle().await;
            // Death at the gate, again and again.
            for _ in 0..3 {
                node = world.crash(node).await;
                settle().await;
            }
            writes.release();
            pass(secs(1)).await;
            assert_eq!(ids(&agreed(&world, &node, &lists).await), ["a", "c", "d"], "{applied}");
        }
    });
}

/// The shard starts anew while a write of its past self is on its way, which then comes after the new one's.
#[test]
fn a_write_from_the_past_changes_nothing() {
    run(async {
        for fault in [Fault::Before(StoreErrorKind::LeaseLost), Fault::After(StoreErrorKind::OutcomeUnknown)] {
            for removed in [false, true] {
                let (mut world, lists, _writes) = World::with_lists();
                let node = world.boot().await;
                let old = lists.hold_one();
                node.ask("order", start("order")).await.unwrap();
                settle().await;
                assert_eq!(rows(&lists.memory, &node.namespace_id).await, []);
                world.script.fail(Operation::Commit, 0, fault);
                node.ask("other", start("other")).await.unwrap_err();
                if removed {
                    node.ask("order", delete("order", "")).await.unwrap();
                } else {
                    node.ask("order", terminate("order")).await.unwrap();
                }
                settle().await;
                let before = agreed(&world, &node, &lists).await;
                assert_eq!(ids(&before).contains(&"order"), !removed, "{fault:?}");
                old.notify_one();
                settle().await;
                assert_eq!(agreed(&world, &node, &lists).await, before);
            }
        }
    });
}

#[test]
fn a_removal_is_the_last_word_wherever_the_node_dies() {
    run(async {
        for (fault, dies) in FAULTS.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
            let (mut world, lists, writes) = World::with_lists();
            let mut node = world.boot().await;
            node.ask("order", start("order")).await.unwrap();
            // The row of the start, that of the end, and the removal are written, or try to be.
            for after in [0, 0, 1] {
                writes.fail(Operation::WriteVisibility, after, fault);
            }
            node.ask("order", delete("order", "")).await.unwrap();
            if dies {
                node = world.crash(node).await;
            }
            pass(secs(5)).await;
            assert_eq!(agreed(&world, &node, &lists).await, [], "{fault:?}");
            node.ask("order", start_as("order", "again")).await.unwrap();
            pass(secs(5)).await;
            assert_eq!(agreed(&world, &node, &lists).await.len(), 1, "{fault:?}");
        }
    });
}

#[test]
fn a_node_stops_although_the_store_does_not_answer() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        writes.hold();
        node.ask("order", start("order")).await.unwrap();
        settle().await;
        assert_eq!(writes.waiting(), 1);
        let report = node.stop().await;
        assert!(report.complete && report.abandoned.is_empty(), "{report:?}");
        drop(node);
        writes.release();
        let node = world.boot().await;
        settle().await;
        assert_eq!(agreed(&world, &node, &lists).await.len(), 1);
    });
}

/// While the store is away, few tasks are in memory, and none is lost.
#[test]
fn tasks_beyond_the_bound_are_read_again() {
    const RUNS: usize = 350;
    run(async {
        for (bound, dies) in [(3, false), (40, false), (40, true), (150, false)] {
            let (mut world, lists, writes) = World::with_lists();
            world.settings.visibility_tasks_max = bound;
            let mut node = world.boot().await;
            writes.hold();
            for n in 0..RUNS {
                let id = format!("order-{n}");
                node.ask(&id, start(&id)).await.unwrap();
                // Others end meanwhile: rows of finished tasks are deleted as far as they may be.
                world.matching.take_all();
                if n % 3 == 0 {
                    node.ask(&id, terminate(&id)).await.unwrap();
                }
            }
            settle().await;
            if dies {
                node = world.crash(node).await;
                settle().await;
            }
            world.script.fail(Operation::ReadImmediate, 0, Fault::Before(StoreErrorKind::Unavailable));
            writes.release();
            pass(secs(60)).await;
            assert_eq!(agreed(&world, &node, &lists).await.len(), RUNS, "{bound} {dies}");
            // The queue is as before.
            node.ask("last", start("last")).await.unwrap();
            settle().await;
            agreed(&world, &node, &lists).await;
        }
    });
}

/// While all that is in memory is written and the rest is not read yet, the rows of the rest stay.
#[test]
fn rows_of_tasks_that_were_left_outlive_those_of_finished_ones() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        world.settings.visibility_tasks_max = 2;
        let node = world.boot().await;
        writes.hold();
        for n in 0..6 {
            let id = format!("order-{n}");
            node.ask(&id, start(&id)).await.unwrap();
        }
        world.matching.take_all();
        settle().await;
        world.script.fail(Operation::ReadImmediate, 0, Fault::Before(StoreErrorKind::Unavailable));
        writes.release();
        settle().await;
        assert_eq!(rows(&lists.memory, &node.namespace_id).await.len(), 2);
        // Enough finished tasks for their rows to be deleted, in no time.
        for n in 0..300 {
            let id = format!("other-{n}");
            node.ask(&id, start(&id)).await.unwrap();
            world.matching.take_all();
        }
        let node = world.crash(node).await;
        pass(secs(10)).await;
        assert_eq!(agreed(&world, &node, &lists).await.len(), 306);
    });
}

#[test]
fn a_run_that_cannot_be_read_is_asked_again() {
    run(async {
        let (mut world, lists, writes) = World::with_lists();
        let node = world.boot().await;
        writes.hold();
        for id in ["a", "b"] {
            node.ask(id, start(id)).await.unwrap();
        }
        let node = world.crash(node).await;
        world.script.fail(Operation::LoadExecution, 0, Fault::Before(StoreErrorKind::Unavailable));
        world.script.fail(Operation::LoadExecution, 1, Fault::Before(StoreErrorKind::OutcomeUnknown));
        writes.release();
        pass(secs(2)).await;
        assert_eq!(agreed(&world, &node, &lists).await.len(), 2);
    });
}

/// A node whose lists are in the store again has nobody to tell: what is left is done with.
#[test]
fn tasks_are_done_with_where_commits_bring_the_rows() {
    run(async {
        let (mut world, _lists, writes) = World::with_lists();
        let node = world.boot().await;
        writes.hold();
        node.ask("order", start("order")).await.unwrap();
        world.visibility = None;
        let node = world.crash(node).await;
        settle().await;
        node.ask("order", terminate("order")).await.unwrap();
        let listed = rows(&world.memory, &node.namespace_id).await;
        assert_eq!(listed, world.shown().await);
        assert_eq!(node.stop().await.abandoned, Vec::<String>::new());
    });
}
