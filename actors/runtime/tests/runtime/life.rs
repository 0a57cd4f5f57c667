//! Messages, IO, replies and the end of an actor that nothing goes wrong with.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use perdure_runtime::{Actor, ActorRef, ActorSystem, Ctx, Gone, Placement, Reply, Status, Supervision};

use crate::{local, place, threaded};

enum Msg {
    Add(u64),
    Get(Reply<u64>),
    /// Adds a number after a while.
    AddLater(u64, Duration),
    /// Holds something in IO that never ends.
    Hold(Arc<AtomicBool>),
    /// Asks another for its sum and adds it.
    AddFrom(ActorRef<Msg>),
    Asked(Option<u64>),
    StopAfter(Vec<u64>, Reply<Result<(), ()>>),
    Passivate(Reply<bool>),
    /// Answered when the sum is this.
    When(u64, Reply<()>),
}

/// A message type of its own that the counter takes too.
struct Bonus(u64);

impl From<Bonus> for Msg {
    fn from(bonus: Bonus) -> Self {
        Self::Add(bonus.0)
    }
}

#[derive(Default)]
struct Counter {
    // Not `Send`: actors need not be.
    sum: Rc<Cell<u64>>,
    waiting: Vec<(u64, Reply<()>)>,
}

impl Counter {
    fn add(&mut self, number: u64) {
        self.sum.set(self.sum.get() + number);
        let sum = self.sum.get();
        self.waiting.extract_if(.., |(wanted, _)| *wanted == sum).for_each(|(_, reply)| reply.send(()));
    }
}

impl Actor for Counter {
    type Msg = Msg;
    const KIND: &'static str = "counter";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Add(number) => self.add(number),
            Msg::Get(reply) => reply.send(self.sum.get()),
            Msg::AddLater(number, after) => ctx.spawn_io(tokio::time::sleep(after), move |()| Msg::Add(number)),
            Msg::Hold(dropped) => {
                let guard = OnDrop(dropped);
                ctx.spawn_io(std::future::pending::<()>(), move |()| {
                    drop(guard);
                    Msg::Add(0)
                });
            }
            Msg::AddFrom(other) => drop(other.tell(Msg::Get(ctx.reply(Msg::Asked)))),
            Msg::Asked(answer) => self.add(answer.unwrap_or(1000)),
            Msg::StopAfter(numbers, reply) => {
                let myself = ctx.myself();
                numbers.into_iter().for_each(|number| myself.tell(Msg::Add(number)).unwrap());
                myself.tell(Msg::Get(Reply::callback(|sum| assert_eq!(sum, Some(6))))).unwrap();
                ctx.stop();
                let refused = myself.tell(Msg::Add(7));
                reply.send(if matches!(refused, Err(Gone(Msg::Add(7)))) { Ok(()) } else { Err(()) });
            }
            Msg::Passivate(reply) => reply.send(ctx.try_passivate()),
            Msg::When(sum, reply) => {
                self.waiting.push((sum, reply));
                self.add(0);
            }
        }
    }
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn counter(system: &ActorSystem, number: usize) -> ActorRef<Msg> {
    system.spawn(place(number), Supervision::new(format!("counter-{number}"), 1), Counter::default)
}

async fn ask<T>(actor: &ActorRef<Msg>, question: impl FnOnce(Reply<T>) -> Msg) -> T {
    let (reply, answer) = Reply::channel();
    actor.tell(question(reply)).unwrap();
    answer.await.unwrap()
}

async fn talks(system: ActorSystem) {
    let (one, two) = (counter(&system, 0), counter(&system, 1));
    // Told before they could start.
    for number in 0..1000 {
        one.tell(Msg::Add(number)).unwrap();
    }
    one.recipient::<Bonus>().tell(Bonus(500)).unwrap();
    assert_eq!(ask(&one, Msg::Get).await, 500_000);
    // The answer leaves inside the handler; the message is counted until the handler is through.
    while one.depth() > 0 {
        tokio::task::yield_now().await;
    }

    two.tell(Msg::AddFrom(one.clone())).unwrap();
    for number in 0..10 {
        two.tell(Msg::AddLater(number, Duration::from_millis(number))).unwrap();
    }
    ask(&two, |reply| Msg::When(500_045, reply)).await;
    assert_eq!(system.actor_count(), 2);
}

#[test]
fn talks_on_one_thread() {
    local(talks);
}

#[test]
fn talks_across_threads() {
    threaded(talks);
}

async fn stops(system: ActorSystem) {
    let (actor, dropped) = (counter(&system, 0), Arc::<AtomicBool>::default());
    actor.tell(Msg::Hold(Arc::clone(&dropped))).unwrap();
    assert_eq!(ask(&actor, |reply| Msg::StopAfter(vec![1, 2, 3], reply)).await, Ok(()));
    actor.ended().await;
    assert_eq!((actor.status(), actor.has_ended()), (Status::Stopped, true));
    assert!(matches!(actor.recipient::<Bonus>().tell(Bonus(1)), Err(Gone(Bonus(1)))));
    // What it had in flight ends with it.
    while !dropped.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    while system.actor_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn stops_on_one_thread() {
    local(stops);
}

#[test]
fn stops_across_threads() {
    threaded(stops);
}

#[test]
fn passivates_only_when_nothing_waits() {
    local(async |system| {
        let actor = counter(&system, 0);
        let ((first, refused), (second, granted)) = (Reply::channel(), Reply::channel());
        actor.tell(Msg::Passivate(first)).unwrap();
        actor.tell(Msg::Passivate(second)).unwrap();
        assert!(!refused.await.unwrap());
        assert!(granted.await.unwrap());
        actor.ended().await;
    });
}

#[test]
fn a_question_to_a_dead_actor_is_answered_dropped() {
    local(async |system| {
        let (one, two) = (counter(&system, 0), counter(&system, 1));
        two.drain();
        two.ended().await;
        one.tell(Msg::AddFrom(two)).unwrap();
        // The first waits for the message, the second for the answer that it brought.
        assert_eq!(ask(&one, Msg::Get).await, 0);
        assert_eq!(ask(&one, Msg::Get).await, 1000);
    });
}

/// Tells itself forever.
struct Busy(Arc<AtomicBool>);

impl Actor for Busy {
    type Msg = ();
    const KIND: &'static str = "busy";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.handle((), ctx);
    }

    fn handle(&mut self, (): (), ctx: &mut Ctx<Self>) {
        if self.0.load(Ordering::SeqCst) {
            ctx.stop();
        } else {
            ctx.myself().tell(()).unwrap();
        }
    }
}

async fn shares(system: ActorSystem) {
    let enough = Arc::<AtomicBool>::default();
    let busy = {
        let enough = Arc::clone(&enough);
        system.spawn(Placement::Thread(0), Supervision::new("busy", 1), move || Busy(Arc::clone(&enough)))
    };
    let other = counter(&system, 0);
    for _ in 0..10 {
        other.tell(Msg::Add(1)).unwrap();
        ask(&other, Msg::Get).await;
    }
    enough.store(true, Ordering::SeqCst);
    busy.ended().await;
}

#[test]
fn a_busy_actor_shares_its_thread() {
    local(shares);
    threaded(shares);
}

#[test]
fn a_task_can_use_its_threads_runtime() {
    threaded(async |system| {
        let (reply, answer) = Reply::channel();
        let task = system.spawn_task(place(1), "shell", move || async move {
            let thread = std::thread::current().id();
            // As tonic's server does for its connections.
            let inside = tokio::spawn(async move { std::thread::current().id() == thread }).await.unwrap();
            let local = tokio::task::spawn_local(async move { std::thread::current().id() == thread }).await.unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            reply.send(inside && local && listener.local_addr().is_ok());
        });
        assert!(answer.await.unwrap());
        task.finished().await;
        let panics = system.spawn_task(place(1), "panics", || async { panic!("in a task") });
        panics.finished().await;
        let aborted = system.spawn_task(place(1), "aborted", std::future::pending);
        aborted.abort();
        aborted.finished().await;
        assert!(task.is_finished() && panics.is_finished() && aborted.is_finished());
    });
}
