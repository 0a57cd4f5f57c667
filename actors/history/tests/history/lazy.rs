//! Starts of workflow tasks are kept in memory for a while.

use perdure_persistence::ShardStore;

use crate::kit::*;

#[test]
fn a_start_is_written_once_the_time_to_keep_it_is_over() {
    run(async {
        for kept_for in [millis(500), millis(100), secs(3)] {
            let mut world = World::new();
            world.settings.lazy_flush = kept_for;
            let node = world.boot().await;
            node.ask("order", start("order")).await.unwrap();
            let before = world.script.commits();
            let task = world.workflow_task(&node).await;
            assert_eq!(events_of(&task).len(), 3);
            pass(kept_for - millis(10)).await;
            assert_eq!(world.script.commits(), before);
            assert_eq!(kinds(&node.events("order", "").await).len(), 3, "the worker's reads reach its start");
            pass(millis(20)).await;
            assert_eq!(world.script.commits(), before + 1, "{kept_for:?}");
            assert_eq!(kinds(&node.events("order", "").await).len(), 3);
            // Durable: another node takes the worker's answer.
            let node = world.crash(node).await;
            node.decide(&task, vec![complete_workflow()]).await.unwrap();
        }
    });
}

#[test]
fn a_start_goes_with_the_next_commit() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let before = world.script.commits();
        node.decide(&task, vec![schedule_activity("charge")]).await.unwrap();
        assert_eq!(world.script.commits(), before + 1);
        pass(secs(2)).await;
        assert_eq!(world.script.commits(), before + 1, "nothing is left to write");

        // A workflow of one activity takes five commits.
        let activity = node.take_activity_task(&world.matching.task().await).await.unwrap();
        node.complete_activity(&activity).await.unwrap();
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
        assert_eq!(world.script.commits(), 5);
    });
}

#[test]
fn starts_that_are_due_together_are_written_together() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        for index in 0..20 {
            let id = format!("order-{index}");
            node.ask(&id, start(&id)).await.unwrap();
            world.workflow_task(&node).await;
        }
        let before = world.script.commits();
        pass(secs(1)).await;
        let written = world.script.commits() - before;
        assert!((1..=2).contains(&written), "{written}");
    });
}

#[test]
fn a_drain_writes_what_was_kept() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        assert!(node.stop().await.complete);
        let node = world.boot().await;
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
    });
}

#[test]
fn an_idle_shard_leaves_the_store_alone() {
    run(async {
        let mut world = World::new();
        world.shards = 4;
        let node = world.boot().await;
        for index in 0..20 {
            let id = format!("order-{index}");
            node.ask(&id, start(&id)).await.unwrap();
        }
        for _ in 0..20 {
            let task = world.workflow_task(&node).await;
            node.decide(&task, vec![start_timer("tea", secs(7200))]).await.unwrap();
        }
        pass(secs(60)).await;
        let before = world.script.total();
        pass(secs(3600)).await;
        assert_eq!(world.script.total(), before);
        let node = world.crash(node).await;
        pass(secs(60)).await;
        let before = world.script.total();
        pass(secs(1800)).await;
        assert_eq!(world.script.total(), before);
        assert!(world.matching.take_all().len() <= 20);
        assert!(world.memory.read_immediate(SHARD, 0, 1000).await.unwrap().len() <= 20);
        node.crash().await;
    });
}
