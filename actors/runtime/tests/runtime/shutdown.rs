//! The ordered end of a system.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use perdure_runtime::{Actor, ActorRef, ActorSystem, Ctx, Drained, Reply, ShutdownReport, Status, Supervision};
use tokio::time::Instant;

use crate::{local, place, threaded};

type Log = Arc<Mutex<Vec<String>>>;

enum Msg {
    /// Something that takes a while, then is stored below and answered.
    Work(Duration, Reply<()>),
    Written(Reply<()>),
    Below(Option<()>, Reply<()>),
}

/// Finishes what is in flight before it stops; needs the actor below it for that.
struct Node {
    name: &'static str,
    log: Log,
    below: Option<ActorRef<Msg>>,
    in_flight: usize,
    draining: bool,
}

impl Node {
    fn finish(&mut self, reply: Reply<()>, ctx: &mut Ctx<Self>) {
        reply.send(());
        self.in_flight -= 1;
        if self.draining && self.in_flight == 0 {
            ctx.stop();
        }
    }
}

impl Actor for Node {
    type Msg = Msg;
    const KIND: &'static str = "node";

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Work(span, reply) => {
                self.in_flight += 1;
                ctx.spawn_io(tokio::time::sleep(span), |()| Msg::Written(reply));
            }
            Msg::Written(reply) => match self.below.clone() {
                Some(below) => {
                    let answer = ctx.reply(|answer| Msg::Below(answer, reply));
                    below.tell(Msg::Work(Duration::from_millis(1), answer)).unwrap();
                }
                None => self.finish(reply, ctx),
            },
            Msg::Below(answer, reply) => {
                assert_eq!(answer, Some(()), "the actor below was stopped first");
                self.finish(reply, ctx);
            }
        }
    }

    fn drain(&mut self, _ctx: &mut Ctx<Self>) -> Drained {
        self.log.lock().unwrap().push(format!("{} drains {}", self.name, self.in_flight));
        self.draining = true;
        if self.in_flight == 0 { Drained::Now } else { Drained::Later }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(format!("{} ends", self.name));
    }
}

fn node(
    system: &ActorSystem,
    log: &Log,
    name: &'static str,
    stage: u32,
    below: Option<&ActorRef<Msg>>,
) -> ActorRef<Msg> {
    let (log, below) = (Arc::clone(log), below.cloned());
    system.spawn(place(stage as usize), Supervision::new(name, stage), move || Node {
        name,
        log: Arc::clone(&log),
        below: below.clone(),
        in_flight: 0,
        draining: false,
    })
}

async fn drains(system: ActorSystem) {
    let log = Log::default();
    let store = node(&system, &log, "store", 1, None);
    let history = node(&system, &log, "history", 2, Some(&store));
    let frontend = node(&system, &log, "frontend", 3, Some(&history));
    let shell = system.spawn_task(place(0), "listener", {
        let (stopping, log) = (system.stopping(), Arc::clone(&log));
        move || async move {
            stopping.await;
            log.lock().unwrap().push("listener closes".to_owned());
        }
    });

    let (reply, mut answer) = Reply::channel();
    frontend.tell(Msg::Work(Duration::from_millis(20), reply)).unwrap();
    let report = system.shutdown(Duration::from_secs(10)).await;
    assert_eq!(report, ShutdownReport { abandoned: vec![], complete: true });
    assert_eq!(answer.try_take(), Some(Ok(())));
    shell.finished().await;

    let log: Vec<_> = log.lock().unwrap().iter().filter(|line| !line.starts_with("listener")).cloned().collect();
    assert_eq!(
        log,
        ["frontend drains 1", "frontend ends", "history drains 0", "history ends", "store drains 0", "store ends"]
    );
    // What is stopped stays so.
    assert_eq!(store.status(), Status::Stopped);
    let late = node(&system, &Log::default(), "late", 1, None);
    assert!(late.has_ended());
    late.ended().await;
    let late = system.spawn_task(place(0), "late", || async {});
    late.finished().await;
    assert_eq!(system.shutdown(Duration::from_secs(1)).await.abandoned, Vec::<String>::new());
}

#[test]
fn drains_in_order_with_io_in_flight() {
    local(drains);
    threaded(drains);
}

#[test]
fn tasks_may_end_by_themselves_after_the_actors() {
    local(async |system| {
        let log = Log::default();
        let store = node(&system, &log, "store", 1, None);
        let (finished, ended) = (Arc::new(Mutex::new(false)), store.clone());
        let task = system.spawn_task(place(0), "connections", {
            let finished = Arc::clone(&finished);
            move || async move {
                ended.ended().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                *finished.lock().unwrap() = true;
            }
        });
        let stubborn = system.spawn_task(place(0), "stubborn", std::future::pending);
        let since = Instant::now();
        assert!(system.shutdown(Duration::from_secs(60)).await.complete);
        assert_eq!(since.elapsed().as_secs(), 1);
        task.finished().await;
        stubborn.finished().await;
        assert!(*finished.lock().unwrap());
    });
}

#[test]
fn abandons_what_is_late() {
    local(async |system| {
        let log = Log::default();
        let store = node(&system, &log, "store", 1, None);
        let history = node(&system, &log, "history", 2, Some(&store));
        let (reply, answer) = Reply::channel();
        history.tell(Msg::Work(Duration::from_secs(3600), reply)).unwrap();
        let shell = system.spawn_task(place(0), "listener", std::future::pending);

        let since = Instant::now();
        let report = system.shutdown(Duration::from_secs(5)).await;
        assert_eq!(since.elapsed().as_secs(), 5);
        assert!(report.complete);
        assert_eq!(report.abandoned[0], "history");
        assert!(answer.await.is_err());
        assert!(store.has_ended() && history.has_ended());
        shell.finished().await;
    });
}

#[test]
fn a_lower_stage_still_spawns_while_a_higher_one_drains() {
    local(async |system| {
        let log = Log::default();
        let store = node(&system, &log, "store", 1, None);
        let history = node(&system, &log, "history", 2, Some(&store));
        history.tell(Msg::Work(Duration::from_millis(50), Reply::ignored())).unwrap();
        let stopping = tokio::task::spawn_local({
            let system = system.clone();
            async move { system.shutdown(Duration::from_secs(5)).await }
        });
        system.stopping().await;
        let high = node(&system, &log, "another history", 2, Some(&store));
        let low = node(&system, &log, "another store", 1, None);
        assert_eq!((high.has_ended(), low.is_alive()), (true, true));
        assert!(stopping.await.unwrap().complete);
        assert!(low.has_ended());
    });
}
