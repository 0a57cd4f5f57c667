//! Load beyond the limit is refused, not stored.

use std::time::Duration;

use perdure_runtime::{Actor, ActorSystem, Ctx, Permit, Permits, Reply, Supervision};

use crate::{local, place, threaded};

const FLOOD: usize = 100_000;
const LIMIT: usize = 1_000;

enum Msg {
    Work(Permit),
    Done(Permit),
    Handled(Reply<usize>),
}

/// Each piece of work waits for IO.
struct Worker {
    handled: usize,
    permits: Permits,
}

impl Actor for Worker {
    type Msg = Msg;
    const KIND: &'static str = "worker";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        assert!(ctx.depth() <= LIMIT + 1, "more in the mailbox than permits");
        assert!(self.permits.in_use() <= LIMIT);
        match msg {
            Msg::Work(permit) => {
                ctx.spawn_io(tokio::time::sleep(Duration::from_millis(1)), move |()| Msg::Done(permit));
            }
            Msg::Done(permit) => {
                self.handled += 1;
                drop(permit);
            }
            Msg::Handled(reply) => reply.send(self.handled),
        }
    }
}

async fn flood(system: ActorSystem) {
    let permits = Permits::new("flood", LIMIT);
    let worker = system.spawn(place(0), Supervision::new("worker", 1), {
        let permits = permits.clone();
        move || Worker { handled: 0, permits: permits.clone() }
    });
    let (mut admitted, mut refused) = (0, 0);
    for number in 0..FLOOD {
        match permits.try_acquire() {
            Some(permit) => {
                worker.tell(Msg::Work(permit)).unwrap();
                admitted += 1;
            }
            None => refused += 1,
        }
        if number % 10_000 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(refused > 0 && admitted >= LIMIT);
    // Afterwards all is as before.
    while permits.in_use() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (reply, handled) = Reply::channel();
    worker.tell(Msg::Handled(reply)).unwrap();
    assert_eq!(handled.await, Ok(admitted));
    let all: Vec<_> = std::iter::from_fn(|| permits.try_acquire()).collect();
    assert_eq!(all.len(), LIMIT);
}

#[test]
fn a_flood_is_refused_and_forgotten() {
    local(flood);
    threaded(flood);
}
