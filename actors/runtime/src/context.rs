//! What an actor's handlers can do besides changing their state.

use std::{future::Future, panic::AssertUnwindSafe, rc::Rc, sync::Arc};

use futures::FutureExt;
use perdure_kernel::Timestamp;
use tokio::time::Instant;

use crate::{
    Actor, ActorRef, ActorSystem, Placement, Reply,
    host::Envelope,
    io::IoScope,
    panic_text,
    slot::{Life, Slot},
    timer::Timer,
};

/// The world of one incarnation of an actor, as its handlers see it.
pub struct Ctx<A: Actor> {
    pub(crate) slot: Arc<Slot<A>>,
    pub(crate) life: Arc<Life<A>>,
    /// Messages counted by the gate that are being handled now: one inside `handle`, none elsewhere.
    pub(crate) handling: usize,
    system: ActorSystem,
    thread: usize,
    timer: Option<Timer>,
    io: Rc<IoScope>,
}

impl<A: Actor> std::fmt::Debug for Ctx<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ctx({})", A::KIND)
    }
}

impl<A: Actor> Ctx<A> {
    pub(crate) fn new(slot: Arc<Slot<A>>, life: Arc<Life<A>>, system: ActorSystem, thread: usize) -> Self {
        Self { slot, life, handling: 0, system, thread, timer: None, io: Rc::default() }
    }

    /// This actor's own name; stays valid across restarts.
    pub fn myself(&self) -> ActorRef<A::Msg> {
        ActorRef::new(Arc::clone(&self.slot) as _)
    }

    /// The present instant by the system's clock.
    pub fn now(&self) -> Timestamp {
        self.system.clock().now()
    }

    /// The present instant of tokio's clock, for measuring spans.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The system this actor lives in, to spawn others.
    pub fn system(&self) -> &ActorSystem {
        &self.system
    }

    /// Where this actor lives: children spawned with it share the thread.
    pub fn placement(&self) -> Placement {
        Placement::Thread(self.thread)
    }

    /// Messages accepted and not yet handled, the present one included.
    pub fn depth(&self) -> usize {
        self.life.gate.depth()
    }

    /// Makes [`Actor::timer`] be called at `at` or as soon as possible after it (resolution one millisecond).
    ///
    /// There is one timer. Set several times it keeps the earliest instant, so that a handler may set it
    /// without knowing what others wait for; `timer` then sets the next one. To move it to a later instant,
    /// clear it first.
    pub fn set_timer(&mut self, at: Timestamp) {
        let (life, clock) = (&self.life, self.system.clock());
        self.timer
            .get_or_insert_with(|| {
                let life = Arc::clone(life);
                Timer::new(Arc::clone(clock), move || life.order(Envelope::Timer))
            })
            .set(at);
    }

    /// Disarms the timer; a timer that is due but was not yet handled does not fire either.
    pub fn clear_timer(&mut self) {
        if let Some(timer) = &self.timer {
            timer.clear();
        }
    }

    /// When the timer fires, if it is armed.
    pub fn timer_due(&self) -> Option<Timestamp> {
        self.timer.as_ref().and_then(Timer::due)
    }

    /// Runs a future beside the actor, on the same thread; what it gives comes back as a message. The
    /// message is delivered even after [`Ctx::stop`], as long as the actor has others to handle.
    ///
    /// The future is dropped when this incarnation ends. When it panics the actor fails as if its own
    /// handler had panicked.
    pub fn spawn_io<F>(&mut self, future: F, message: impl FnOnce(F::Output) -> A::Msg + 'static)
    where
        F: Future + 'static,
    {
        let (life, io) = (Arc::clone(&self.life), Rc::clone(&self.io));
        let key = io.reserve();
        let task = tokio::task::spawn_local(async move {
            let output = AssertUnwindSafe(future.map(message)).catch_unwind().await;
            io.done(key);
            match output {
                Ok(msg) => life.deliver_from_inside(msg),
                Err(panic) => life.order(Envelope::IoPanicked(panic_text(panic.as_ref()))),
            }
        });
        self.io.hold(key, task);
    }

    /// Futures of [`Ctx::spawn_io`] that have not finished.
    pub fn io_in_flight(&self) -> usize {
        self.io.in_flight()
    }

    /// A reply for a question to another actor: the answer comes to this actor as a message, `None` when the
    /// other dropped the question.
    pub fn reply<T: Send + 'static>(&self, message: impl FnOnce(Option<T>) -> A::Msg + Send + 'static) -> Reply<T> {
        let myself = self.myself();
        Reply::callback(move |answer| {
            // An actor that is gone no longer wants the answer.
            let _ = myself.tell(message(answer));
        })
    }

    /// Ends the actor for good: no message is accepted from now on, those accepted before are still handled,
    /// then the state is dropped and IO in flight with it. It is not restarted.
    pub fn stop(&mut self) {
        self.life.gate.close();
    }

    /// Ends the actor only if no message is waiting; false, and nothing changed, if one is. After `true`
    /// there is no other message to come. For actors that leave when they are idle.
    pub fn try_passivate(&mut self) -> bool {
        self.life.gate.close_at(self.handling)
    }

    pub(crate) fn take_fired(&self) -> bool {
        self.timer.as_ref().is_some_and(Timer::take_fired)
    }

    /// Ends what the incarnation has running.
    pub(crate) fn close(&mut self) {
        self.life.gate.close();
        self.timer = None;
        self.io.abort_all();
    }
}
