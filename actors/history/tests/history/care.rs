//! What the server's own jobs ask of a shard: removals, repairs, descriptions.

use perdure_execution::audit::{self, Found, Problem};
use perdure_kernel::{ExecutionKey, Timestamp};
use perdure_persistence::{MaintenanceStore, Operation, ShardStore, StoreErrorKind, shard::Direction};
use perdure_rpc::care::{MendRun, RemoveRun};

use crate::kit::*;

async fn runs(world: &World) -> Vec<ExecutionKey> {
    world.memory.list_executions(SHARD, None, 1000).await.unwrap().keys
}

/// What does not hold of any run in the store of a world with one shard.
pub(super) async fn problems(world: &World) -> Vec<(String, Problem)> {
    let store = &world.memory;
    let mut all = Vec::new();
    for key in runs(world).await {
        let stored = store.load_execution(SHARD, &key).await.unwrap().unwrap();
        let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes)).collect();
        let expected = audit::expect(&world.archetypes, &key, &stored.record, items).unwrap();
        let history = store.read_history(SHARD, &key, 1, i64::MAX, Direction::Forward, 10_000).await.unwrap();
        let wake_is_there = match expected.wake {
            None => false,
            Some((at, id)) => {
                let until = Timestamp::from_nanos(at.as_nanos() + 1);
                let rows = store.read_timers(SHARD, (at, id - 1), until, 1).await.unwrap();
                rows.first().is_some_and(|row| row.id == id)
            }
        };
        let found = Found {
            current: store.current_run(SHARD, &key.business).await.unwrap(),
            history: expected
                .last_event_id
                .map(|_| history.iter().map(|batch| (batch.first_event_id, batch.last_event_id)).collect()),
            shown: store.load_visibility(std::slice::from_ref(&key)).await.unwrap().pop().unwrap(),
            wake_is_there,
        };
        let id = key.business.business_id.to_string();
        all.extend(expected.compare(&found, &key.run_id, world.now()).into_iter().map(|problem| (id.clone(), problem)));
    }
    all
}

#[test]
fn runs_open_and_closed_are_removed() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.begin(&node, "closed", vec![complete_workflow()]).await;
        node.ask("open", start("open")).await.unwrap();
        settle().await;
        assert_eq!(problems(&world).await, []);
        for key in runs(&world).await {
            let id = key.business.business_id.to_string();
            assert_eq!(node.ask(&id, RemoveRun { run: key.clone() }).await, Ok(true));
            settle().await;
            assert_eq!(node.ask(&id, RemoveRun { run: key }).await, Ok(false), "once is enough");
        }
        assert_eq!(runs(&world).await, []);
    });
}

#[test]
fn what_is_derived_from_a_record_is_written_anew() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.begin(&node, "order", vec![start_timer("nap", secs(60))]).await;
        settle().await;
        let key = runs(&world).await.remove(0);
        world.memory.remove_visibility(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(problems(&world).await, [("order".to_owned(), Problem::NotShown)]);

        // A failure says so and changes nothing.
        world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::Unavailable));
        node.ask("order", MendRun { run: key.clone() }).await.unwrap_err();
        settle().await;
        assert_eq!(problems(&world).await, [("order".to_owned(), Problem::NotShown)]);

        node.ask("order", MendRun { run: key.clone() }).await.unwrap();
        assert_eq!(problems(&world).await, []);
        // It still wakes, once.
        pass(secs(61)).await;
        let task = world.workflow_task(&node).await;
        let fired = kinds(events_of(&task)).iter().filter(|kind| *kind == "TimerFired").count();
        assert_eq!(fired, 1);
    });
}

#[test]
fn a_shard_describes_itself() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let describe = async || node.history.describe_shard(SHARD, node.caller()).await.unwrap();
        let empty = describe().await;
        assert_eq!((empty.executions, empty.timers, empty.renewals), (0, 0, 0));
        world.begin(&node, "order", vec![start_timer("nap", secs(60))]).await;
        let mut watching = node.send("order", watch_close("order"));
        settle().await;
        assert!(!watching.is_answered());
        let shown = describe().await;
        assert_eq!((shown.shard, shown.range_id, shown.executions, shown.long_polls), (SHARD, Some(1), 1, 1));
        assert!(shown.timers >= 1 && shown.next_timer.is_some() && shown.commit_age.is_none());
        assert!(shown.cache_bytes > 0 && shown.cache_bytes < shown.cache_bytes_max);

        // Also while the store does not answer.
        world.script.hold();
        let _signal = node.send("order", signal("order", "hello"));
        settle().await;
        pass(secs(2)).await;
        assert_eq!(describe().await.commit_age, Some(secs(2)));
        world.script.release();
    });
}
