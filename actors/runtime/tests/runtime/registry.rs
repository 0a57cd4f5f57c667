//! Actors on demand, which leave whenever they are idle.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use perdure_runtime::{Actor, ActorSystem, Ctx, NotTold, Registry, Supervision};

use crate::{local, place, threaded};

const KEYS: usize = 7;
const MESSAGES: usize = 50_000;

#[derive(Default)]
struct Tally {
    handled: AtomicUsize,
    spawned: AtomicUsize,
    /// Actors of each key that are alive.
    alive: [AtomicUsize; KEYS],
}

struct Child {
    key: usize,
    tally: Arc<Tally>,
}

impl Actor for Child {
    type Msg = u64;
    const KIND: &'static str = "child";

    fn started(&mut self, _ctx: &mut Ctx<Self>) {
        self.tally.spawned.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.tally.alive[self.key].fetch_add(1, Ordering::SeqCst), 0, "two of one key");
    }

    fn handle(&mut self, _msg: u64, ctx: &mut Ctx<Self>) {
        self.tally.handled.fetch_add(1, Ordering::SeqCst);
        ctx.try_passivate();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.tally.alive[self.key].fetch_sub(1, Ordering::SeqCst);
    }
}

async fn race(system: ActorSystem) {
    let tally = Arc::<Tally>::default();
    let mut children = Registry::new(KEYS);
    for number in 0..MESSAGES {
        let key = number % KEYS;
        let mut msg = number as u64;
        let spawn = || {
            let tally = Arc::clone(&tally);
            system.spawn(place(key), Supervision::new("child", 1), move || Child { key, tally: Arc::clone(&tally) })
        };
        while let Err(not_told) = children.tell(&key, msg, spawn) {
            let NotTold::Gone(back) = not_told else { panic!("full") };
            msg = back;
            tokio::task::yield_now().await;
        }
        if number % 13 == 0 {
            tokio::task::yield_now().await;
        }
    }
    // Accepted is handled, though every child left as often as it could.
    while tally.handled.load(Ordering::SeqCst) < MESSAGES || system.actor_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tally.handled.load(Ordering::SeqCst), MESSAGES);
    assert!(tally.spawned.load(Ordering::SeqCst) > KEYS);
    assert_eq!(children.len(), KEYS);
}

#[test]
fn no_message_is_lost_to_passivation() {
    local(race);
    threaded(race);
}
