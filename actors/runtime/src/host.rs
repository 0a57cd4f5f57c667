//! The actix actor that carries one of ours, and its guard against panics.

use std::{
    cell::Cell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context as Waking, Poll},
    time::Instant,
};

use actix::{ActorContext, AsyncContext, WrapFuture};
use metrics::{Gauge, Histogram};

use crate::{Actor, Ctx, Drained, panic_text};

/// After this many messages an actor lets its thread's other actors have a turn. actix itself would go on
/// until the mailbox is empty.
const MESSAGES_PER_TURN: u32 = 128;

/// One message in this many is timed, and the depth gauge is brought up to date with it.
const SAMPLE: u32 = 64;

/// What travels through an actix mailbox.
pub(crate) enum Envelope<M> {
    Message(M),
    Timer,
    Drain,
    Kill,
    /// A task started by `spawn_io` panicked; the text of the panic.
    IoPanicked(String),
}

impl<M> actix::Message for Envelope<M> {
    type Result = ();
}

/// How an incarnation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Failed(String),
}

pub(crate) struct Host<A: Actor> {
    /// Boxed so that the host is `Unpin`, as actix wants, whatever the actor is.
    actor: Option<Box<A>>,
    ctx: Ctx<A>,
    end: Rc<Cell<Option<End>>>,
    drain_asked: bool,
    handled: u32,
    meter: Meter,
}

impl<A: Actor> Host<A> {
    pub(crate) fn new(actor: Box<A>, ctx: Ctx<A>, end: Rc<Cell<Option<End>>>) -> Self {
        Self { actor: Some(actor), ctx, end, drain_asked: false, handled: 0, meter: Meter::new(A::KIND) }
    }

    /// Runs the actor's `started`. False when the incarnation has ended with that.
    ///
    /// Not actix's hook of that name: a context that is dropped before its first turn would call it outside
    /// the runtime.
    pub(crate) fn start(&mut self) -> bool {
        let ran = self.guarded(A::started);
        self.settle(ran).is_none()
    }

    /// Runs a piece of the actor; a panic comes out as its text.
    fn guarded(&mut self, run: impl FnOnce(&mut A, &mut Ctx<A>)) -> Result<(), String> {
        let Some(actor) = self.actor.as_mut() else { return Ok(()) };
        let ctx = &mut self.ctx;
        // The state is dropped, not used, after a panic: nobody sees it half changed.
        catch_unwind(AssertUnwindSafe(|| run(actor, ctx))).map_err(|panic| panic_text(panic.as_ref()))
    }

    fn message(&mut self, msg: A::Msg) -> Result<(), String> {
        self.handled = self.handled.wrapping_add(1);
        let since = self.handled.is_multiple_of(SAMPLE).then(Instant::now);
        self.ctx.handling = 1;
        let ran = self.guarded(|actor, ctx| actor.handle(msg, ctx));
        self.ctx.handling = 0;
        let left = self.ctx.life.gate.leave();
        if let Some(since) = since {
            self.meter.seconds.record(since.elapsed());
            self.meter.report(left);
        } else if left == 0 {
            self.meter.report(0);
        }
        ran
    }

    fn drain(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.drain_asked, true) {
            return Ok(());
        }
        self.guarded(|actor, ctx| match actor.drain(ctx) {
            Drained::Now => ctx.stop(),
            Drained::Later => {}
        })
    }

    /// Ends the incarnation if its time has come.
    fn settle(&mut self, ran: Result<(), String>) -> Option<()> {
        match ran {
            Ok(()) if !self.ctx.life.gate.is_finished() => return None,
            Ok(()) => self.finish(End::Stopped),
            Err(reason) => self.finish(End::Failed(reason)),
        }
        Some(())
    }

    fn finish(&mut self, end: End) {
        self.ctx.close();
        let actor = self.actor.take();
        if catch_unwind(AssertUnwindSafe(|| drop(actor))).is_err() {
            tracing::error!(kind = A::KIND, "an actor's state panicked while it was dropped");
        }
        self.end.set(Some(end));
    }
}

impl<A: Actor> actix::Actor for Host<A> {
    type Context = actix::Context<Self>;
}

impl<A: Actor> actix::Handler<Envelope<A::Msg>> for Host<A> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<A::Msg>, context: &mut actix::Context<Self>) {
        let ended = if self.ctx.slot.is_killed() {
            self.finish(End::Stopped);
            true
        } else {
            let ran = match envelope {
                Envelope::Message(msg) => self.message(msg),
                Envelope::Timer if !self.ctx.take_fired() => Ok(()),
                Envelope::Timer => self.guarded(A::timer),
                Envelope::Drain => self.drain(),
                Envelope::IoPanicked(reason) => Err(reason),
                Envelope::Kill => {
                    self.ctx.stop();
                    Ok(())
                }
            };
            self.settle(ran).is_some()
        };
        if ended {
            context.terminate();
        } else if self.handled.is_multiple_of(MESSAGES_PER_TURN) && self.handled > 0 {
            context.wait(Turn::default().into_actor(self));
        }
    }
}

impl<A: Actor> Drop for Host<A> {
    fn drop(&mut self) {
        // Reached with a live actor only when its thread is torn down.
        self.ctx.close();
        self.meter.report(0);
    }
}

/// Gives the thread away once.
#[derive(Default)]
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Waking<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An incarnation's share in the metrics of its kind.
struct Meter {
    depth: Gauge,
    seconds: Histogram,
    /// What this incarnation has last added to the gauge, which sums over all actors of the kind.
    reported: usize,
}

impl Meter {
    fn new(kind: &'static str) -> Self {
        Self {
            depth: metrics::gauge!("actor_mailbox_depth", "kind" => kind),
            seconds: metrics::histogram!("actor_handling_seconds", "kind" => kind),
            reported: 0,
        }
    }

    fn report(&mut self, depth: usize) {
        if depth == self.reported {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.depth.increment(depth as f64 - self.reported as f64);
        self.reported = depth;
    }
}
