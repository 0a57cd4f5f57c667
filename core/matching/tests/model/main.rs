//! The machine against a model of everything around it, under random interleavings.

#![allow(clippy::unwrap_used)]

mod fairness;
mod world;

use perdure_task_queue::Role;
use proptest::prelude::*;
use world::{Faults, Step, World};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=5_i32, 0..4_u8).prop_map(|(priority, key)| Step::Add(priority, key)),
        2 => (1..=5_i32, 1..400_u64).prop_map(|(key, millis)| Step::AddExpiring(key, millis)),
        6 => Just(Step::Poll),
        1 => any::<prop::sample::Index>().prop_map(Step::PollGone),
        2 => (10..3000_u64).prop_map(Step::Query),
        2 => any::<prop::sample::Index>().prop_map(Step::AnswerQuery),
        8 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(index, luck)| Step::Io(index, luck)),
        5 => (1..300_u64).prop_map(Step::Wait),
        1 => (0..3_u8).prop_map(Step::Rate),
        1 => Just(Step::Restart),
    ]
}

fn run(role: Role, faults: Faults, steps: Vec<Step>) -> World {
    let mut world = World::new(role, faults);
    for step in steps {
        world.step(step);
    }
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5000, ..ProptestConfig::default() })]

    /// Without faults: every task exactly once, in order within its priority.
    #[test]
    fn calm(steps in prop::collection::vec(step(), 1..250)) {
        run(Role::Root, Faults::NONE, steps).check_all_delivered();
    }

    /// With failing starts, leaving pollers, failing stores and restarts: nothing acknowledged is lost,
    /// nothing is started twice.
    #[test]
    fn stormy(steps in prop::collection::vec(step(), 1..250)) {
        run(Role::Root, Faults::ALL, steps).check_all_delivered();
    }

    /// A child partition hands polls and tasks on and gets them back.
    #[test]
    fn child(steps in prop::collection::vec(step(), 1..250), faulty in any::<bool>()) {
        let faults = if faulty { Faults::ALL } else { Faults { parent: true, ..Faults::NONE } };
        run(Role::Child, faults, steps).check_all_delivered();
    }

    /// A sticky queue never touches the store.
    #[test]
    fn sticky(steps in prop::collection::vec(step(), 1..150)) {
        let world = run(Role::Sticky, Faults { starts: true, pollers: true, ..Faults::NONE }, steps);
        prop_assert!(world.stored().is_empty());
    }
}

/// A write before loaded tasks, of which the store does not say what became of it, leaves those tasks where they
/// are: they are served, and what was written is deleted.
#[test]
fn a_write_of_unknown_outcome_holds_nothing_up() {
    let (done, unsure) = (40, 0);
    let mut world = World::new(Role::Root, Faults::ALL);
    let lease_then_survey = [0, 0];
    for position in lease_then_survey {
        world.complete_nth(position, done);
    }
    // Three tasks of one key, loaded; the first is served.
    for _ in 0..3 {
        world.step(Step::Add(4, 0));
    }
    world.step(Step::Wait(200));
    world.complete_nth(0, done);
    world.step(Step::Poll);
    world.complete_nth(0, done);
    // One of another key, with an earlier pass than those that are left.
    world.step(Step::Add(4, 1));
    world.step(Step::Wait(200));
    world.complete_nth(0, unsure);
    world.settle();
    world.check_all_delivered();
}
