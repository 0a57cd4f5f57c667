//! The one spawn seam.

use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_rt::ArbiterHandle;
use perdure_kernel::Clock;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Actor, ActorRef, Supervision, Task,
    latch::Latch,
    lock,
    roll::Roll,
    slot::{Life, Slot},
    supervision::{Charge, supervise},
    task,
    threads::Threads,
};

/// How long a shutdown waits, beyond its deadline, for what it has told to end at once.
const GRACE: Duration = Duration::from_secs(1);

/// How long a shutdown waits, once all actors have ended, for tasks to end by themselves: the last answers
/// are still on their way through them.
const TASKS_GRACE: Duration = Duration::from_secs(1);

/// Something to do on an actor thread. Only spawns.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Which thread an actor lives on. It stays there for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Spread by a hash of the actor's key.
    Hash(u64),
    /// A thread by its number, modulo their count.
    Thread(usize),
}

/// Where actors live. Cheap to clone; clones name the same system. Holds no globals: a process may have many.
///
/// A system of threads runs until [`ActorSystem::shutdown`], because its actors hold it.
#[derive(Clone)]
pub struct ActorSystem(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    workers: Vec<Worker>,
    roll: Arc<Roll>,
    stopping: Arc<Latch>,
    threads: Mutex<Option<Threads>>,
}

enum Worker {
    Arbiter(ArbiterHandle),
    Local(mpsc::UnboundedSender<Job>),
}

impl Worker {
    /// A job that cannot be done is dropped, which ends what it was to spawn.
    fn run(&self, job: Job) {
        match self {
            Self::Arbiter(arbiter) => {
                arbiter.spawn_fn(job);
            }
            Self::Local(jobs) => {
                let _ = jobs.send(job);
            }
        }
    }
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Names of the actors that had not ended at the deadline and were ended in the middle of their work.
    pub abandoned: Vec<String>,
    /// Whether every actor and thread has ended; false when a handler or task does not return.
    pub complete: bool,
}

impl ActorSystem {
    /// For production: `count` OS threads (at least one), each with a current-thread tokio runtime, all of
    /// its drivers enabled, and a `LocalSet`.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread or a runtime.
    pub fn threads(count: usize, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (threads, arbiters) = Threads::start(count.max(1))?;
        Ok(Self::new(clock, arbiters.into_iter().map(Worker::Arbiter).collect(), Some(threads)))
    }

    /// For tests and simulations: everything on the current `LocalSet`, on which this must be called, in
    /// the runtime's time, which may be paused. `clock` must move with that time: see
    /// [`crate::TokioClock`].
    pub fn local(clock: Arc<dyn Clock>) -> Self {
        let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
        tokio::task::spawn_local(async move {
            while let Some(job) = jobs.recv().await {
                job();
            }
        });
        Self::new(clock, vec![Worker::Local(sender)], None)
    }

    fn new(clock: Arc<dyn Clock>, workers: Vec<Worker>, threads: Option<Threads>) -> Self {
        let threads = Mutex::new(threads);
        Self(Arc::new(Inner { clock, workers, roll: Arc::default(), stopping: Arc::default(), threads }))
    }

    /// The clock given at the start.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Number of threads; one for a local system.
    pub fn thread_count(&self) -> usize {
        self.0.workers.len()
    }

    /// Actors that have not ended.
    pub fn actor_count(&self) -> usize {
        self.0.roll.len()
    }

    fn place(&self, placement: Placement) -> usize {
        let count = self.thread_count();
        match placement {
            Placement::Thread(thread) => thread % count,
            // Multiplied by 2^64 / phi so that hashes that share their low bits still spread.
            Placement::Hash(hash) => {
                let mixed = u128::from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                usize::try_from((mixed * count as u128) >> 64).unwrap_or(0)
            }
        }
    }

    /// Spawns a supervised actor. May be called from any thread. The name returned accepts messages at
    /// once. `factory` builds the actor, on its own thread, now and after every panic: it must not rely on
    /// what an earlier incarnation had in memory.
    ///
    /// When the actor's stage is being stopped, or its thread is gone, the name has ended already.
    pub fn spawn<A, F>(&self, placement: Placement, supervision: Supervision, factory: F) -> ActorRef<A::Msg>
    where
        A: Actor,
        F: FnMut() -> A + Send + 'static,
    {
        let Supervision { name, stage, restart, on_escalate } = supervision;
        let (life, messages) = Life::new();
        let slot = Arc::new(Slot::<A>::new(name, Arc::clone(&life)));
        let actor = ActorRef::new(Arc::clone(&slot) as _);
        let Some(entry) = self.0.roll.enter(stage, Arc::clone(&slot) as _) else {
            slot.set_ended();
            return actor;
        };
        let thread = self.place(placement);
        metrics::gauge!("actor_count", "kind" => A::KIND).increment(1.0);
        let charge = Charge { slot, factory, restart, on_escalate, system: self.clone(), thread, entry };
        self.0.workers[thread].run(Box::new(move || {
            tokio::task::spawn_local(supervise(charge, life, messages));
        }));
        actor
    }

    /// Spawns a task that is not an actor, such as a listener. Inside it `tokio::spawn` and
    /// `tokio::task::spawn_local` both stay on its thread. A panic ends the task alone and is logged. A
    /// task should end by itself after [`ActorSystem::stopping`]; one that has not is aborted a second after
    /// all actors have stopped.
    pub fn spawn_task<F, Fut>(&self, placement: Placement, name: impl Into<String>, make: F) -> Task
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (task, job) = task::prepare(&self.0.roll, name.into(), make);
        if let Some(job) = job {
            self.0.workers[self.place(placement)].run(job);
        }
        task
    }

    /// Resolves when a shutdown begins.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.0.stopping).wait()
    }

    /// Stops everything in order. The actors of the highest stage are asked to drain
    /// ([`Actor::drain`]); when they have ended, those of the next stage, and so on. Nothing can be spawned
    /// in a stage that has been asked. Actors left at the deadline are ended before their next message.
    /// Then tasks get a moment to end and are aborted, and threads are joined.
    ///
    /// Call it from outside the system's own threads. A second call finds nothing to do.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let inner = &self.0;
        let until = Instant::now() + deadline;
        inner.stopping.set();
        let mut abandoned = Vec::new();
        while let Some((stage, actors)) = inner.roll.close_highest() {
            for actor in actors {
                actor.drain();
            }
            if timeout_at(until, inner.roll.emptied(Some(stage))).await.is_ok() {
                continue;
            }
            for actor in inner.roll.members(stage) {
                abandoned.push(actor.name().to_owned());
                actor.kill();
            }
            if timeout(GRACE, inner.roll.emptied(Some(stage))).await.is_err() {
                // A handler that does not return holds this stage; those below cannot wait for it.
                abandoned = self.give_up();
                return ShutdownReport { abandoned, complete: false };
            }
        }
        let _ = timeout_at(until.min(Instant::now() + TASKS_GRACE), inner.roll.tasks_ended()).await;
        inner.roll.abort_tasks();
        let threads = lock(&inner.threads).take();
        let joined = match threads {
            Some(threads) => {
                timeout(until.saturating_duration_since(Instant::now()).max(GRACE), threads.join()).await.is_ok()
            }
            None => true,
        };
        ShutdownReport { abandoned, complete: joined }
    }

    /// Ends all that still can be ended, without waiting; returns the names of those alive.
    fn give_up(&self) -> Vec<String> {
        let left = self.0.roll.close_all();
        for actor in &left {
            actor.kill();
        }
        self.0.roll.abort_tasks();
        if let Some(threads) = lock(&self.0.threads).take() {
            threads.stop();
        }
        left.iter().map(|actor| actor.name().to_owned()).collect()
    }
}

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorSystem({} threads, {} actors)", self.thread_count(), self.actor_count())
    }
}
