//! More timers than fit into memory.

use perdure_kernel::Timestamp;
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};

use crate::kit::*;

/// Starts `count` workflows whose first tasks are due one second apart, in an order that is not theirs,
/// from `first` seconds on.
async fn start_spread(node: &Node, count: u64, first: u64) {
    // Coprime with every count used here, so that each position is met once.
    const STRIDE: u64 = 7919;
    let mut pending = Vec::new();
    for index in 0..count {
        let position = index * STRIDE % count;
        let id = format!("order-{position:05}");
        let delay = secs(first + position);
        pending.push(node.send(&id, start_later(&id, delay)));
        if pending.len() == 500 {
            for pending in pending.drain(..) {
                pending.wait().await.unwrap();
            }
        }
    }
    for pending in pending {
        pending.wait().await.unwrap();
    }
}

/// Lets the time of all of them come; gives their ids in the order of their tasks.
async fn offered(world: &World, seconds: u64) -> Vec<String> {
    let mut ids = Vec::new();
    let until = world.now() + secs(seconds);
    while world.now() < until {
        tokio::time::sleep(secs(50)).await;
        ids.extend(world.matching.take_all().iter().map(|task| run_of(task).business_id));
    }
    settle().await;
    ids.extend(world.matching.take_all().iter().map(|task| run_of(task).business_id));
    ids
}

fn in_order(count: u64) -> Vec<String> {
    (0..count).map(|position| format!("order-{position:05}")).collect()
}

#[test]
fn more_timers_than_fit_are_left_to_the_store_and_fire_in_order() {
    run(async {
        const COUNT: u64 = 6_500;
        let mut world = World::new();
        let node = world.boot().await;
        start_spread(&node, COUNT, 100_000).await;
        let begun = world.script.count(Operation::ReadTimers);
        // Timers that are set now come before those that were left to the store, or after them.
        for (id, delay) in [("early", 50_000), ("late", 200_000)] {
            node.ask(id, start_later(id, secs(delay))).await.unwrap();
        }
        pass(secs(50_001)).await;
        assert_eq!(run_of(&world.matching.task().await).business_id, "early");
        pass(secs(49_899)).await;
        let ids = offered(&world, COUNT + 300).await;
        assert_eq!(ids.len() as u64, COUNT);
        assert_eq!(ids, in_order(COUNT));
        assert!(world.script.count(Operation::ReadTimers) > begun, "the last ones come from the store");
        pass(secs(100_000)).await;
        assert_eq!(run_of(&world.matching.task().await).business_id, "late");
    });
}

#[test]
fn more_timers_than_a_page_are_read_as_they_come_due() {
    run(async {
        const COUNT: u64 = 6_500;
        let mut world = World::new();
        let node = world.boot().await;
        start_spread(&node, COUNT, 20_000).await;
        let node = world.crash(node).await;
        settle().await;
        // A page cannot be read at first, and while one is read another timer is set.
        world.script.fail(Operation::ReadTimers, 0, Fault::Before(StoreErrorKind::Unavailable));
        world.script.fail(Operation::ReadTimers, 0, Fault::Before(StoreErrorKind::Unavailable));
        pass(secs(19_900)).await;
        let ids = offered(&world, COUNT + 300).await;
        assert_eq!(ids.len() as u64, COUNT);
        assert_eq!(ids, in_order(COUNT));
        // One for each lease, two that failed, a few for the rest.
        let reads = world.script.count(Operation::ReadTimers);
        assert!((5..10).contains(&reads), "{reads}");
        node.crash().await;
    });
}

/// All timers in memory end at once, so the page must be asked for again without a timer that says so.
#[test]
fn a_page_that_could_not_be_read_is_asked_for_again() {
    run(async {
        const COUNT: u64 = 5_200;
        let mut world = World::new();
        let node = world.boot().await;
        let mut pending = Vec::new();
        for index in 0..COUNT {
            let id = format!("order-{index}");
            pending.push(node.send(&id, start_later(&id, secs(20_000))));
        }
        for pending in pending {
            pending.wait().await.unwrap();
        }
        let node = world.crash(node).await;
        settle().await;
        for _ in 0..3 {
            world.script.fail(Operation::ReadTimers, 0, Fault::Before(StoreErrorKind::Unavailable));
        }
        pass(secs(20_100)).await;
        assert_eq!(world.matching.take_all().len() as u64, COUNT);
        node.crash().await;
    });
}

#[test]
fn rows_of_fired_timers_and_of_finished_tasks_are_deleted_by_range() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        for index in 0..300 {
            let id = format!("order-{index}");
            node.ask(&id, start_later(&id, secs(5))).await.unwrap();
        }
        pass(secs(10)).await;
        let timers = || world.memory.read_timers(SHARD, (Timestamp::EPOCH, 0), Timestamp::MAX, 1000);
        let tasks = || world.memory.read_immediate(SHARD, 0, 1000);
        assert!(timers().await.unwrap().len() >= 44);
        assert_eq!(tasks_in(&tasks().await.unwrap()), 300);
        // Tasks that matching has not answered for stay.
        let open = world.matching.try_offer().unwrap();
        let taken = world.matching.take_all();
        assert_eq!(taken.len(), 299);
        settle().await;
        node.ask("a", start("a")).await.unwrap();
        assert!(timers().await.unwrap().len() < 44 + 1, "{}", timers().await.unwrap().len());
        assert!(tasks_in(&tasks().await.unwrap()) >= 301, "the first of them is still open");
        answer(open, Ok(()));
        world.matching.take_all();
        // One more range is worth it only when as many have finished again.
        for index in 0..300 {
            let id = format!("more-{index}");
            node.ask(&id, start(&id)).await.unwrap();
            world.matching.take_all();
        }
        settle().await;
        assert!(tasks_in(&tasks().await.unwrap()) < 300);
        let node = world.crash(node).await;
        settle().await;
        assert!(world.matching.take_all().len() < 300);
        node.crash().await;
    });
}
