//! The commit pipeline: nothing is told before it is durable, and what waits goes out together.

use crate::kit::*;

#[test]
fn nothing_is_told_before_its_commit_has_returned() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        for applied in [false, true] {
            let id = format!("order-{applied}");
            if applied {
                world.script.hold_after()
            } else {
                world.script.hold()
            }
            let mut started = node.send(&id, start(&id));
            let mut described = node.send(&id, describe(&id));
            let mut watched = node.send(&id, read(&id));
            pass(secs(3600)).await;
            assert_eq!(world.script.waiting(), 1);
            assert!(!started.is_answered() && !described.is_answered() && !watched.is_answered());
            assert!(world.matching.try_offer().is_none());

            world.script.release();
            settle().await;
            assert!(started.is_answered() && described.is_answered() && watched.is_answered());
            let task = world.matching.task().await;
            assert_eq!((run_of(&task).business_id, run_of(&task).run_id), (id, started.wait().await.unwrap().run_id));
        }
    });
}

#[test]
fn what_is_decided_during_a_commit_goes_out_as_one_commit() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.script.hold();
        let mut first = node.send("a", start("a"));
        settle().await;
        let mut others: Vec<_> = ["b", "c", "d", "e"].map(|id| node.send(id, start(id))).into();
        settle().await;
        assert_eq!((world.script.commits(), world.script.waiting()), (1, 1));

        world.script.release_one();
        settle().await;
        assert!(first.is_answered());
        assert!(others.iter_mut().all(|other| !other.is_answered()));
        assert_eq!((world.script.commits(), world.script.waiting()), (2, 1));
        assert_eq!(world.matching.take_all().len(), 1);

        world.script.release_one();
        settle().await;
        assert!(others.iter_mut().all(Pending::is_answered));
        assert_eq!(world.script.commits(), 2);
        assert_eq!(world.matching.take_all().len(), 4);
    });
}

#[test]
fn one_id_keeps_its_order_and_holds_up_no_other() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        for id in ["a", "b"] {
            node.ask(id, start(id)).await.unwrap();
        }
        world.script.hold();
        let mut signals: Vec<_> = ["one", "two", "three"].map(|name| node.send("a", signal("a", name))).into();
        let mut described = node.send("a", describe("a"));
        let mut other = node.send("b", describe("b"));
        settle().await;
        assert!(other.is_answered());
        assert!(!described.is_answered());

        for answered in 0..3 {
            let state: Vec<_> = signals.iter_mut().map(Pending::is_answered).collect();
            assert_eq!(state, (0..3).map(|index| index < answered).collect::<Vec<_>>());
            world.script.release_one();
            settle().await;
        }
        assert!(described.is_answered());
        assert_eq!(signal_names(&node.events("a", "").await), ["one", "two", "three"]);
    });
}

/// Names of the signals in a history.
pub(crate) fn signal_names(events: &[perdure_proto::api::history::HistoryEvent]) -> Vec<String> {
    use perdure_proto::api::history::history_event::Attributes;
    let name = |event: &perdure_proto::api::history::HistoryEvent| match &event.attributes {
        Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => Some(signal.signal_name.clone()),
        Some(_) | None => None,
    };
    events.iter().filter_map(name).collect()
}
