//! One timer per actor.

use std::time::Duration;

use perdure_kernel::Timestamp;
use perdure_runtime::{Actor, ActorRef, ActorSystem, Ctx, Reply, Supervision};

use crate::{START, local, place, threaded};

enum Msg {
    /// After so many milliseconds.
    Set(u64),
    Clear,
    /// Sets a due timer and clears it before it can be handled.
    SetDueThenClear,
    /// From now on the timer sets itself again.
    Every(Duration),
    Fired(Reply<Vec<Timestamp>>),
    WhenFired(Reply<Timestamp>),
}

#[derive(Default)]
struct Sleeper {
    fired: Vec<Timestamp>,
    every: Option<Duration>,
    waiting: Option<Reply<Timestamp>>,
}

impl Actor for Sleeper {
    type Msg = Msg;
    const KIND: &'static str = "sleeper";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Set(millis) => ctx.set_timer(ctx.now() + Duration::from_millis(millis)),
            Msg::Clear => ctx.clear_timer(),
            Msg::SetDueThenClear => {
                ctx.set_timer(ctx.now());
                // Two turns later: the timer's task has run and its message waits behind this one.
                let myself = ctx.myself();
                ctx.spawn_io(
                    async move {
                        tokio::task::yield_now().await;
                        drop(myself);
                    },
                    |()| Msg::Clear,
                );
            }
            Msg::Every(span) => {
                self.every = Some(span);
                ctx.set_timer(ctx.now() + span);
            }
            Msg::Fired(reply) => reply.send(self.fired.clone()),
            Msg::WhenFired(reply) => self.waiting = Some(reply),
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        assert_eq!(ctx.timer_due(), None);
        self.fired.push(ctx.now());
        if let Some(reply) = self.waiting.take() {
            reply.send(ctx.now());
        }
        if let Some(span) = self.every {
            ctx.set_timer(ctx.now() + span);
        }
    }
}

fn sleeper(system: &ActorSystem) -> ActorRef<Msg> {
    system.spawn(place(0), Supervision::new("sleeper", 1), Sleeper::default)
}

/// The milliseconds after the start at which the timer has fired, once all has come to rest.
async fn fired(actor: &ActorRef<Msg>) -> Vec<u128> {
    let (reply, answer) = Reply::channel();
    actor.tell(Msg::Fired(reply)).unwrap();
    answer.await.unwrap().into_iter().map(|at| at.since(START).as_millis()).collect()
}

fn tell(actor: &ActorRef<Msg>, msgs: impl IntoIterator<Item = Msg>) {
    msgs.into_iter().for_each(|msg| actor.tell(msg).unwrap());
}

async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[test]
fn the_earliest_wins() {
    local(async |system| {
        let actor = sleeper(&system);
        tell(&actor, [Msg::Set(50), Msg::Set(20), Msg::Set(90)]);
        sleep(10).await;
        // Earlier than the one it sleeps towards.
        tell(&actor, [Msg::Set(5)]);
        sleep(1000).await;
        // The others were the same timer.
        assert_eq!(fired(&actor).await, [15]);
    });
}

#[test]
fn is_set_again_and_cleared() {
    local(async |system| {
        let actor = sleeper(&system);
        tell(&actor, [Msg::Set(50), Msg::Clear, Msg::Set(70)]);
        sleep(100).await;
        assert_eq!(fired(&actor).await, [70]);
        tell(&actor, [Msg::Set(10), Msg::Clear]);
        sleep(100).await;
        assert_eq!(fired(&actor).await, [70]);
        tell(&actor, [Msg::Every(Duration::from_millis(100))]);
        sleep(350).await;
        tell(&actor, [Msg::Clear]);
        sleep(500).await;
        assert_eq!(fired(&actor).await, [70, 300, 400, 500]);
        tell(&actor, [Msg::Set(0)]);
        sleep(1).await;
        assert_eq!(fired(&actor).await.len(), 5);
    });
}

#[test]
fn a_cleared_timer_does_not_fire_late() {
    local(async |system| {
        let actor = sleeper(&system);
        for _ in 0..10 {
            tell(&actor, [Msg::SetDueThenClear]);
            sleep(10).await;
        }
        let before = fired(&actor).await.len();
        sleep(1000).await;
        assert_eq!(fired(&actor).await.len(), before);
    });
}

#[test]
fn sleeps_for_years() {
    local(async |system| {
        let actor = sleeper(&system);
        let day = Duration::from_secs(86_400);
        tell(&actor, [Msg::Every(day)]);
        tokio::time::sleep(day * 30 + day / 2).await;
        assert_eq!(fired(&actor).await.len(), 30);
    });
}

#[test]
fn fires_in_real_time() {
    threaded(async |system| {
        let actor = sleeper(&system);
        let (reply, answer) = Reply::channel();
        let before = system.clock().now();
        tell(&actor, [Msg::WhenFired(reply), Msg::Set(3)]);
        assert!(answer.await.unwrap() >= before + Duration::from_millis(3));
    });
}
