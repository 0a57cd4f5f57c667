//! What a message costs: `cargo run --profile quick -p perdure-runtime --example tell_rate`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{sync::Arc, time::Instant};

use perdure_runtime::{Actor, ActorRef, ActorSystem, Ctx, Placement, Reply, Supervision, SystemClock};

const MESSAGES: u64 = 2_000_000;

enum Msg {
    /// Tell yourself `burst` messages at a time until `left` is used up.
    Pump {
        left: u64,
        burst: u64,
        done: Reply<()>,
    },
    Nothing,
    /// Back and forth with the other.
    Ball {
        left: u64,
        to: ActorRef<Msg>,
        done: Reply<()>,
    },
    Ask(Reply<u64>),
}

struct Player(u64);

impl Actor for Player {
    type Msg = Msg;
    const KIND: &'static str = "player";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        self.0 += 1;
        match msg {
            Msg::Nothing => {}
            Msg::Pump { left: 0, done, .. } | Msg::Ball { left: 0, done, .. } => done.send(()),
            Msg::Pump { left, burst, done } => {
                let myself = ctx.myself();
                for _ in 0..burst {
                    let _ = myself.tell(Msg::Nothing);
                }
                let _ = myself.tell(Msg::Pump { left: left.saturating_sub(burst), burst, done });
            }
            Msg::Ball { left, to, done } => {
                let _ = to.tell(Msg::Ball { left: left - 1, to: ctx.myself(), done });
            }
            Msg::Ask(reply) => reply.send(self.0),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let system = ActorSystem::threads(2, Arc::new(SystemClock::new())).unwrap();
    let player = |thread| system.spawn(Placement::Thread(thread), Supervision::new("player", 0), || Player(0));
    let (here, there, far) = (player(0), player(0), player(1));

    for burst in [1, 100, 1000] {
        measure(&format!("tell + handle, bursts of {burst}"), MESSAGES, |done| {
            here.tell(Msg::Pump { left: MESSAGES, burst, done }).unwrap();
        })
        .await;
    }
    measure("ping-pong, one thread", MESSAGES, |done| {
        here.tell(Msg::Ball { left: MESSAGES, to: there.clone(), done }).unwrap();
    })
    .await;
    measure("ping-pong, two threads", MESSAGES / 20, |done| {
        here.tell(Msg::Ball { left: MESSAGES / 20, to: far.clone(), done }).unwrap();
    })
    .await;
    let asks = MESSAGES / 20;
    let asker = here.clone();
    measure("ask and await, same thread", asks, |done| {
        system.spawn_task(Placement::Thread(0), "asker", move || async move {
            for _ in 0..asks {
                let (reply, answer) = Reply::channel();
                asker.tell(Msg::Ask(reply)).unwrap();
                answer.await.unwrap();
            }
            done.send(());
        });
    })
    .await;
    system.shutdown(std::time::Duration::from_secs(1)).await;
}

async fn measure(what: &str, messages: u64, start: impl FnOnce(Reply<()>)) {
    let (done, finished) = Reply::channel();
    let since = Instant::now();
    start(done);
    finished.await.unwrap();
    println!("{what}: {:.3} µs a message", since.elapsed().as_secs_f64() * 1e6 / messages as f64);
}
