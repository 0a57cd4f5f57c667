//! What leaves memory, and what must not.

use perdure_persistence::Operation;
use perdure_proto::api::enums::WorkflowExecutionStatus;

use super::commits::signal_names;
use crate::kit::*;

/// Room for a few dozen short workflows.
const SMALL: usize = 100_000;

#[test]
fn workflows_that_left_memory_come_back_as_they_were() {
    run(async {
        for budget in [0, SMALL] {
            let mut world = World::new();
            world.settings.cache_bytes = budget;
            let node = world.boot().await;
            let ids: Vec<String> = (0..80).map(|index| format!("order-{index}")).collect();
            for id in &ids {
                node.ask(id, start(id)).await.unwrap();
            }
            for name in ["one", "two"] {
                for id in &ids {
                    node.ask(id, signal(id, name)).await.unwrap();
                }
            }
            assert!(world.script.count(Operation::LoadExecution) > 80, "budget {budget}");
            for id in &ids {
                let events = node.events(id, "").await;
                kinds(&events);
                assert_eq!(signal_names(&events), ["one", "two"]);
            }
            for _ in &ids {
                let task = world.workflow_task(&node).await;
                node.decide(&task, vec![complete_workflow()]).await.unwrap();
            }
            for id in &ids {
                assert_eq!(node.status(id).await, WorkflowExecutionStatus::Completed);
            }
        }
    });
}

/// Loads while each of `ids` is described once.
async fn loads(world: &World, node: &Node, ids: &[String]) -> usize {
    let before = world.script.count(Operation::LoadExecution);
    for id in ids {
        node.ask(id, describe(id)).await.unwrap();
    }
    world.script.count(Operation::LoadExecution) - before
}

#[test]
fn the_account_of_bytes_does_not_drift() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = SMALL;
        let node = world.boot().await;
        let ids: Vec<String> = (0..200).map(|index| format!("order-{index}")).collect();
        for id in &ids {
            node.ask(id, start(id)).await.unwrap();
            node.ask(id, terminate(id)).await.unwrap();
        }
        // How many fit once they come fresh from the store.
        assert_eq!(loads(&world, &node, &ids).await, ids.len());
        let back: Vec<String> = ids.iter().rev().cloned().collect();
        let fit = ids.len() - loads(&world, &node, &back).await;
        assert!(fit > 10, "{fit}");
        // Heavy use of every way in: loads, misses, signals to open runs, successors, wake-ups.
        for round in 0..20 {
            for id in &ids {
                node.ask(id, describe(id)).await.unwrap();
            }
            let busy = format!("busy-{round}");
            node.ask("none", describe("none")).await.unwrap_err();
            node.ask(&busy, start_later(&busy, secs(1))).await.unwrap();
            for name in 0..20 {
                node.ask(&busy, signal(&busy, &name.to_string())).await.unwrap();
            }
            pass(secs(2)).await;
            let task = world.workflow_task(&node).await;
            node.decide(&task, vec![continue_as_new()]).await.unwrap();
            let task = world.workflow_task(&node).await;
            node.decide(&task, vec![complete_workflow()]).await.unwrap();
        }
        loads(&world, &node, &ids).await;
        loads(&world, &node, &ids).await;
        assert_eq!(ids.len() - loads(&world, &node, &back).await, fit);
    });
}

#[test]
fn what_somebody_waits_for_stays() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = 0;
        let node = world.boot().await;
        let run_id = node.ask("order", start("order")).await.unwrap().run_id;
        let mut watched = node.send("order", watch("order", &run_id, 3));
        let mut asked = node.send("order", query("order"));
        settle().await;
        let disturb = async || {
            for index in 0..100 {
                let id = format!("other-{index}");
                node.ask(&id, describe(&id)).await.unwrap_err();
            }
        };
        disturb().await;
        assert!(!watched.is_answered() && !asked.is_answered());

        let task = world.workflow_task(&node).await;
        assert_eq!(task.queries.len(), 1, "the query goes with the task");
        disturb().await;
        // Its start is only in memory.
        let mut completion = decisions(&task, Vec::new());
        let answered = perdure_proto::api::query::WorkflowQueryResult {
            result_type: perdure_proto::api::enums::QueryResultType::Answered.into(),
            ..Default::default()
        };
        let results = task.queries.keys().map(|id| (id.clone(), answered.clone()));
        completion.request.query_results = results.collect();
        node.ask("order", completion).await.unwrap();
        settle().await;
        assert!(watched.is_answered() && asked.is_answered());
        asked.wait().await.unwrap();
        let events = watched.wait().await.unwrap().history.unwrap().events;
        assert_eq!(kind(&events[0]), "WorkflowTaskStarted");

        // Once nobody waits it goes.
        disturb().await;
        let before = world.script.count(Operation::LoadExecution);
        node.ask("order", describe("order")).await.unwrap();
        assert_eq!(world.script.count(Operation::LoadExecution), before + 1);
    });
}

#[test]
fn a_start_that_is_only_in_memory_stays() {
    run(async {
        let mut world = World::new();
        world.settings.cache_bytes = SMALL;
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let commits = world.script.commits();
        for index in 0..500 {
            let id = format!("other-{index}");
            node.ask(&id, describe(&id)).await.unwrap_err();
        }
        assert_eq!(world.script.commits(), commits);
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
        assert_eq!(world.script.commits(), commits + 1);
        assert_eq!(world.script.count(Operation::LoadExecution), 0);
    });
}

/// A chain of many runs under one id: only so many of them stay.
#[test]
fn the_runs_of_one_id_are_bounded_and_the_newest_is_the_right_one() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let mut runs = vec![node.ask("order", start("order")).await.unwrap().run_id];
        for _ in 0..12 {
            let task = world.workflow_task(&node).await;
            assert_eq!(&token_of(&task).run_id, runs.last().unwrap());
            // A question goes with the task of every run, also of the ninth and later ones.
            let mut asked = node.send("order", query("order"));
            settle().await;
            node.decide(&task, vec![continue_as_new()]).await.unwrap();
            settle().await;
            assert!(!asked.is_answered());
            let direct = world.matching.query().await;
            assert_eq!(*direct.request.run.run_id, **runs.last().unwrap());
            direct.reply.send(Ok(Default::default()));
            settle().await;
            assert!(asked.is_answered());
            runs.push(node.current_run("order").await);
        }
        for pair in runs.windows(2) {
            assert_ne!(pair[0], pair[1]);
            let events = kinds(&node.events("order", &pair[0]).await);
            assert_eq!(events.last().unwrap(), "WorkflowExecutionContinuedAsNew");
        }
        // Each of them read again, with a reader waiting for the last one.
        let watched = node.send("order", watch_close("order"));
        for run_id in &runs {
            node.events("order", run_id).await;
        }
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
        assert_eq!(watched.wait().await.unwrap().history.unwrap().events.len(), 1);
    });
}
