//! Executions of another archetype: asked, woken, committed, cached and recovered like workflows.

use perdure_kernel::ErrorKind;
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};

use crate::kit::{tally::Input::*, *};

async fn world() -> (World, Node) {
    let mut world = World::new();
    world.archetypes = tally::registry().into();
    let node = world.boot().await;
    (world, node)
}

#[test]
fn what_was_answered_survives_a_crash_and_an_orderly_stop() {
    run(async {
        let (mut world, mut node) = world().await;
        for (name, number) in [("a", 1), ("b", 10), ("c", 100)] {
            node.tally("t", Put(name, number)).wait().await.unwrap();
        }
        node.tally("t", Drop("b")).wait().await.unwrap();
        for orderly in [false, true, false] {
            if orderly {
                assert!(node.stop().await.complete);
                node = world.boot().await;
            } else {
                node = world.crash(node).await;
            }
            assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(101));
        }
        assert_eq!(node.tally("other", Read).wait().await.unwrap(), Some(0));
    });
}

#[test]
fn a_failed_write_is_told_and_what_is_true_is_read_again() {
    run(async {
        for fault in [
            Fault::Before(StoreErrorKind::LeaseLost),
            Fault::Before(StoreErrorKind::Conflict),
            Fault::Before(StoreErrorKind::OutcomeUnknown),
            Fault::After(StoreErrorKind::OutcomeUnknown),
        ] {
            let (world, node) = world().await;
            node.tally("t", Put("a", 1)).wait().await.unwrap();
            world.script.fail(Operation::Commit, 0, fault);
            let error = node.tally("t", Put("a", 2)).wait().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{fault:?}");
            let there = if fault == Fault::After(StoreErrorKind::OutcomeUnknown) { 2 } else { 1 };
            assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(there), "{fault:?}");
            assert_eq!(node.tally("t", Put("a", 3)).wait().await.unwrap(), Some(3), "{fault:?}");
        }
    });
}

#[test]
fn a_run_is_woken_when_it_wants_also_after_a_restart() {
    run(async {
        let (mut world, node) = world().await;
        node.tally("t", Tick(secs(3600))).wait().await.unwrap();
        let node = world.crash(node).await;
        pass(secs(3599)).await;
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(0));
        pass(secs(1)).await;
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(1));
        // Due while no node was there.
        let node = world.crash(node).await;
        pass(secs(10)).await;
        let ticks = node.tally("t", Read).wait().await.unwrap().unwrap();
        assert!((10..=12).contains(&ticks), "{ticks}");
        // An earlier wish replaces a later one.
        node.tally("t", Tick(secs(1000))).wait().await.unwrap();
        pass(secs(999)).await;
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(ticks));
        assert_eq!(node.stop().await.abandoned, Vec::<String>::new());
    });
}

#[test]
fn who_waits_is_answered_by_the_change_or_in_time_without_one() {
    run(async {
        let (_world, node) = world().await;
        node.tally("t", Put("a", 1)).wait().await.unwrap();
        let mut three = node.tally("t", Await(3));
        let mut nine = node.tally("t", Await(9));
        settle().await;
        node.tally("t", Put("b", 1)).wait().await.unwrap();
        settle().await;
        assert!(!three.is_answered() && !nine.is_answered());
        pass(tally::PATIENCE / 2).await;
        node.tally("t", Put("b", 2)).wait().await.unwrap();
        assert_eq!(three.wait().await.unwrap(), Some(3));
        // Changes do not make the wait longer.
        pass(tally::PATIENCE / 2).await;
        assert_eq!(nine.wait().await.unwrap(), None);
        // Nobody is left behind by a stop.
        let last = node.tally("t", Await(9));
        settle().await;
        assert!(node.stop().await.complete);
        assert_eq!(last.wait().await.unwrap(), None);
    });
}

#[test]
fn an_id_has_one_current_run_and_a_removed_one_is_gone() {
    run(async {
        let (mut world, node) = world().await;
        node.tally("t", Put("a", 5)).wait().await.unwrap();
        let waiting = node.tally("t", Await(9));
        settle().await;
        assert_eq!(node.tally("t", Restart).wait().await.unwrap(), Some(0));
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(0));
        assert_eq!(world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len(), 2);
        let node = world.crash(node).await;
        assert_eq!(waiting.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(0), "the new run");
        node.tally("t", Remove).wait().await.unwrap();
        assert_eq!(world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len(), 1);
        let node = world.crash(node).await;
        assert_eq!(node.tally("t", Put("b", 7)).wait().await.unwrap(), Some(7));
    });
}

#[test]
fn a_refusal_changes_nothing_and_an_unknown_archetype_is_refused() {
    run(async {
        let (mut world, node) = world().await;
        node.tally("t", Put("a", 5)).wait().await.unwrap();
        assert_eq!(node.tally("t", Put("a", -1)).wait().await.unwrap_err().kind, ErrorKind::InvalidArgument);
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(5));
        world.archetypes = Default::default();
        let node = world.crash(node).await;
        assert!(node.tally("t", Read).wait().await.is_err());
        assert_eq!(node.tally("new", Put("a", 1)).wait().await.unwrap_err().kind, ErrorKind::Unimplemented);
        world.archetypes = tally::registry().into();
        let node = world.crash(node).await;
        assert_eq!(node.tally("t", Read).wait().await.unwrap(), Some(5), "nothing was lost");
    });
}

#[test]
fn runs_leave_memory_when_it_is_short_and_come_back() {
    run(async {
        let mut world = World::new();
        world.archetypes = tally::registry().into();
        world.settings.cache_bytes = 4096;
        let node = world.boot().await;
        for index in 0..50 {
            node.tally(&format!("t-{index}"), Put("a", index)).wait().await.unwrap();
        }
        let before = world.script.count(Operation::LoadExecution);
        for index in 0..50 {
            assert_eq!(node.tally(&format!("t-{index}"), Read).wait().await.unwrap(), Some(index));
        }
        assert!(world.script.count(Operation::LoadExecution) - before >= 40);
    });
}
