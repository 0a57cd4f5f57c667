//! A commit's cost does not grow with what is pending.

use perdure_execution::workflow::{calls::task_completed, commands::Neighbours};
use perdure_proto::api::workflowservice::RespondWorkflowTaskCompletedRequest;

use crate::{
    activities::completed,
    kit::{Kit, make::*},
};

/// A run with so many open activities, timers and signal ids, and a workflow task that a worker has.
fn with_pending(count: usize) -> Kit {
    let mut kit = Kit::new();
    let activities = (0..count).map(|n| schedule(&format!("activity {n}")));
    let timers = (0..count).map(|n| start_timer(&format!("timer {n}"), 3600));
    kit.turn(activities.chain(timers).collect());
    kit.start_activity("activity 0");
    kit.signal_with(signal("go", "id-1"), false).unwrap();
    kit.start_task();
    kit
}

#[test]
fn what_a_decision_touches_does_not_grow_with_what_is_pending() {
    let touched = [2, 2_000].map(|count| {
        let kit = with_pending(count);
        let mut random = perdure_kernel::random::SplitMix::new(1);
        let mut env = perdure_execution::Env { now: kit.now, namespace: &kit.namespace, random: &mut random };
        let request = RespondWorkflowTaskCompletedRequest {
            commands: vec![start_timer("another", 5), cancel_timer("timer 1"), marker("m")],
            ..Default::default()
        };
        let decision =
            task_completed::decide(&kit.state, &kit.token(), request, &Neighbours::default(), &mut env).unwrap();
        let transition = decision.transition.unwrap();
        // What was pending is shared with the state before, not copied.
        let shared = |id: i64| {
            let (before, after) = (&kit.state.activities[&id], &transition.state.activities[&id]);
            std::sync::Arc::ptr_eq(before, after)
        };
        assert!(kit.state.activities.keys().copied().all(shared));
        (transition.changes.len(), transition.touched_items().len(), transition.tasks.len())
    });
    assert_eq!(touched[0], touched[1]);
    assert_eq!(touched[0].1, 2, "the two timers");
}

#[test]
fn outcomes_and_heartbeats_touch_one_activity() {
    for count in [2, 2_000] {
        let mut kit = with_pending(count);
        kit.complete(vec![]).unwrap();
        let token = kit.activity_token(kit.activity("activity 0"));
        let before = kit.stored.clone();
        kit.heartbeat(&token, payloads("half")).unwrap();
        let changed = |kit: &Kit| kit.stored.iter().filter(|(key, bytes)| before.get(*key) != Some(*bytes)).count();
        assert_eq!(changed(&kit), 1);
        kit.finish(&token, completed()).unwrap();
        assert_eq!(before.len() - kit.stored.len(), 2, "its schedule and its attempt are gone");
    }
}
