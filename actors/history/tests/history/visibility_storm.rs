//! Lists beside the store through any storm: in the end they are what the runs say. A seed is the whole test.

use perdure_execution::activity::Input;
use perdure_kernel::{Random, random::SplitMix};
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::workflowservice as ws;

use super::{
    deletions::delete,
    queries::replace,
    visibility_queue::{agreed, ask_activity, start_activity},
};
use crate::kit::*;

const SEEDS: u64 = 25;
const STEPS: u64 = 120;

/// Ids of workflows, and as many of activities.
const IDS: u64 = 6;

#[test]
fn lists_are_what_the_runs_say_after_any_storm() {
    run(async {
        let mut rows = 0;
        for seed in 0..SEEDS {
            rows += ride(seed).await;
        }
        assert!(rows > SEEDS as usize * 4, "the storms leave {rows} rows");
    });
}

async fn ride(seed: u64) -> usize {
    use StoreErrorKind::Unavailable;
    let (mut world, lists, writes) = World::with_lists();
    let mut random = SplitMix::new(seed);
    world.shards = 1 + random.below(3) as u32;
    world.settings.cache_bytes = [0, 30_000, 10_000_000][random.below(3) as usize];
    world.settings.visibility_tasks_max = [1, 5, 10_000][random.below(3) as usize];
    let mut node = world.boot().await;
    for step in 0..STEPS {
        let fault = COMMIT_FAULTS[random.below(5) as usize];
        match random.below(24) {
            0 => world.script.fail(Operation::Commit, random.below(3) as usize, fault),
            1 => world.script.fail(Operation::LoadExecution, 0, Fault::Before(Unavailable)),
            2 => world.script.fail(Operation::ReadImmediate, 0, Fault::Before(Unavailable)),
            3..=6 => writes.fail(Operation::WriteVisibility, random.below(2) as usize, fault),
            7 => writes.hold(),
            8 => writes.hold_after(),
            9 | 10 => writes.release(),
            11 => writes.release_one(),
            12 => node = world.crash(node).await,
            13 => lists.refuse(Some(&format!("id-{}", random.below(IDS)))),
            14 => lists.refuse(None),
            15 | 16 => pass(millis(random.below(700))).await,
            17 => pass(secs(random.below(40))).await,
            _ => {}
        }
        change(&node, &format!("id-{}", random.below(IDS)), step, &mut random).await;
        world.matching.take_all();
    }
    lists.refuse(None);
    writes.release();
    // Faults that nothing has met yet still come.
    pass(secs(120)).await;
    for id in 0..IDS {
        let id = format!("last-{id}");
        while node.ask(&id, start(&id)).await.is_err() {
            pass(secs(1)).await;
        }
    }
    pass(secs(120)).await;
    agreed(&world, &node, &lists).await.len()
}

/// Something that lists show, or shall not show any more. It may fail: then it happened or not.
async fn change(node: &Node, id: &str, step: u64, random: &mut SplitMix) {
    match random.below(9) {
        0..=2 => {
            let request = ws::StartWorkflowExecutionRequest { request_id: format!("{step}"), ..*replace(id) };
            let _ = node.ask(id, Box::new(request)).await;
        }
        3 => drop(node.ask(id, terminate(id)).await),
        4 => drop(node.ask(id, delete(id, "")).await),
        5 => drop(node.ask(id, signal(id, "hello")).await),
        6 => drop(ask_activity(node, id, start_activity(id)).wait().await),
        7 => drop(ask_activity(node, id, Input::Terminate(Default::default())).wait().await),
        _ => drop(ask_activity(node, id, Input::Delete).wait().await),
    }
}
