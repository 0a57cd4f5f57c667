//! Panics, restarts, escalation.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use perdure_kernel::Timestamp;
use perdure_runtime::{
    Actor, ActorRef, ActorSystem, Ctx, Drained, Escalation, Gone, Reply, ReplyDropped, RestartPolicy, Status,
    Supervision,
};

use crate::{START, local, place, threaded};

enum Msg {
    Add,
    Get(Reply<u64>),
    Keep(Reply<u64>),
    Panic,
    PanicInIo,
    PanicInTimer,
}

#[derive(Default)]
struct Fragile {
    sum: u64,
    kept: Vec<Reply<u64>>,
}

impl Actor for Fragile {
    type Msg = Msg;
    const KIND: &'static str = "fragile";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Add => self.sum += 1,
            Msg::Get(reply) => reply.send(self.sum),
            Msg::Keep(reply) => self.kept.push(reply),
            Msg::Panic => {
                self.sum = 1_000_000;
                panic!("told to");
            }
            Msg::PanicInIo => ctx.spawn_io(async { panic!("told to, in IO") }, |()| Msg::Add),
            Msg::PanicInTimer => ctx.set_timer(ctx.now()),
        }
    }

    fn timer(&mut self, _ctx: &mut Ctx<Self>) {
        panic!("told to, in the timer");
    }
}

fn quick() -> RestartPolicy {
    RestartPolicy {
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(1),
        max_restarts: 1000,
        window: Duration::from_secs(60),
    }
}

fn fragile(system: &ActorSystem, number: usize) -> ActorRef<Msg> {
    let supervision = Supervision::new(format!("fragile-{number}"), 1).restart(quick());
    system.spawn(place(number), supervision, Fragile::default)
}

/// Tells until it is accepted: for an actor that is being restarted.
async fn insist(actor: &ActorRef<Msg>, mut msg: Msg) {
    while let Err(Gone(back)) = actor.tell(msg) {
        assert!(!actor.has_ended());
        msg = back;
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

async fn isolated(system: ActorSystem) {
    let others: Vec<_> = (0..100).map(|number| fragile(&system, number)).collect();
    let bomb = fragile(&system, 0);
    for panic in [Msg::Panic, Msg::PanicInIo, Msg::PanicInTimer] {
        insist(&bomb, Msg::Add).await;
        let (reply, kept) = Reply::channel();
        insist(&bomb, Msg::Keep(reply)).await;
        insist(&bomb, panic).await;
        others.iter().for_each(|other| other.tell(Msg::Add).unwrap());
        assert_eq!(kept.await, Err(ReplyDropped));
    }
    // Nothing of what it was comes back.
    while !bomb.is_alive() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (reply, sum) = Reply::channel();
    insist(&bomb, Msg::Get(reply)).await;
    assert_eq!(sum.await, Ok(0));
    for other in &others {
        let (reply, sum) = Reply::channel();
        other.tell(Msg::Get(reply)).unwrap();
        assert_eq!(sum.await, Ok(3));
    }
}

#[test]
fn a_panic_stays_in_its_actor() {
    local(isolated);
    threaded(isolated);
}

/// Panics as it starts, until it was built often enough.
struct Stillborn {
    birth: usize,
    well_from: usize,
    births: Arc<Mutex<Vec<Timestamp>>>,
}

impl Actor for Stillborn {
    type Msg = Reply<usize>;
    const KIND: &'static str = "stillborn";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.births.lock().unwrap().push(ctx.now());
        assert!(self.birth >= self.well_from, "born too early");
    }

    fn handle(&mut self, reply: Reply<usize>, _ctx: &mut Ctx<Self>) {
        reply.send(self.birth);
    }

    fn drain(&mut self, _ctx: &mut Ctx<Self>) -> Drained {
        Drained::Now
    }
}

struct Ward {
    actor: ActorRef<Reply<usize>>,
    births: Arc<Mutex<Vec<Timestamp>>>,
    escalations: Arc<Mutex<Vec<Escalation>>>,
}

fn ward(system: &ActorSystem, well_from: usize) -> Ward {
    let policy = RestartPolicy {
        initial_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_millis(300),
        max_restarts: 4,
        window: Duration::from_secs(60),
    };
    let (births, escalations) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
    let supervision = Supervision::new("ward", 1).restart(policy).on_escalate({
        let escalations = Arc::clone(&escalations);
        move |escalation| escalations.lock().unwrap().push(escalation)
    });
    let actor = system.spawn(place(0), supervision, {
        let (births, count) = (Arc::clone(&births), AtomicUsize::new(0));
        move || Stillborn { birth: count.fetch_add(1, Ordering::SeqCst), well_from, births: Arc::clone(&births) }
    });
    Ward { actor, births, escalations }
}

fn after(millis: &[u64]) -> Vec<Timestamp> {
    millis.iter().map(|millis| START + Duration::from_millis(*millis)).collect()
}

#[test]
fn backs_off_and_comes_back() {
    local(async |system| {
        let ward = ward(&system, 3);
        let (reply, first) = Reply::channel();
        ward.actor.tell(reply).unwrap();
        assert_eq!(first.await, Err(ReplyDropped));
        assert_eq!(ward.actor.status(), Status::Interrupted);
        assert!(ward.actor.tell(Reply::ignored()).is_err());
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (reply, birth) = Reply::channel();
        ward.actor.tell(reply).unwrap();
        assert_eq!(birth.await, Ok(3));
        assert_eq!(*ward.births.lock().unwrap(), after(&[0, 100, 300, 600]));
        assert!(ward.escalations.lock().unwrap().is_empty());
    });
}

#[test]
fn escalates_and_stays_down() {
    local(async |system| {
        let ward = ward(&system, usize::MAX);
        ward.actor.ended().await;
        assert_eq!(*ward.births.lock().unwrap(), after(&[0, 100, 300, 600, 900]));
        let expected =
            Escalation { kind: "stillborn", name: "ward".to_owned(), reason: "born too early".to_owned(), restarts: 4 };
        assert_eq!(*ward.escalations.lock().unwrap(), [expected]);
        assert_eq!(ward.actor.status(), Status::Escalated);
        assert!(ward.actor.tell(Reply::ignored()).is_err());
        assert_eq!(system.actor_count(), 0);
    });
}

#[test]
fn drains_out_of_a_backoff() {
    local(async |system| {
        let ward = ward(&system, usize::MAX);
        tokio::time::sleep(Duration::from_millis(150)).await;
        ward.actor.drain();
        ward.actor.ended().await;
        assert_eq!(ward.actor.status(), Status::Stopped);
        assert_eq!(*ward.births.lock().unwrap(), after(&[0, 100]));
    });
}

#[test]
fn survives_a_factory_that_panics() {
    local(async |system| {
        let built = AtomicUsize::new(0);
        let actor = system.spawn(place(0), Supervision::new("late", 1).restart(quick()), move || {
            assert!(built.fetch_add(1, Ordering::SeqCst) >= 2, "cannot be built yet");
            Fragile::default()
        });
        // Let it fail first.
        let (reply, answer) = Reply::channel();
        actor.tell(Msg::Get(reply)).unwrap();
        assert_eq!(answer.await, Err(ReplyDropped));
        let (reply, answer) = Reply::channel();
        insist(&actor, Msg::Get(reply)).await;
        assert_eq!(answer.await, Ok(0));
    });
}
