//! The place an [`crate::ActorRef`] points at: it stays while incarnations of the actor come and go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use actix::{Addr, dev::channel, prelude::SendError};
use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use crate::{
    Actor, Gone, Status,
    actor_ref::Mail,
    gate::Gate,
    host::{Envelope, Host},
    latch::Latch,
};

/// One incarnation's mailbox, as its senders see it.
pub(crate) struct Life<A: Actor> {
    pub(crate) gate: Gate,
    addr: Addr<Host<A>>,
}

/// One incarnation's mailbox, as its context sees it.
pub(crate) type Messages<A> = channel::AddressReceiver<Host<A>>;

impl<A: Actor> Life<A> {
    pub(crate) fn new() -> (Arc<Self>, Messages<A>) {
        // Capacity 0 is actix's "unbounded". Any other makes each clone of the address one message larger
        // and refuses in between; load is bounded by permits instead.
        let (sender, messages) = channel::channel(0);
        (Arc::new(Self { gate: Gate::default(), addr: Addr::new(sender) }), messages)
    }

    /// Delivers a message that the gate has counted.
    fn deliver(&self, msg: A::Msg) -> Result<(), Gone<A::Msg>> {
        match self.addr.try_send(Envelope::Message(msg)) {
            Ok(()) => Ok(()),
            Err(SendError::Closed(envelope) | SendError::Full(envelope)) => {
                self.gate.leave();
                match envelope {
                    Envelope::Message(msg) => Err(Gone(msg)),
                    Envelope::Timer | Envelope::Drain | Envelope::Kill | Envelope::IoPanicked(_) => Ok(()),
                }
            }
        }
    }

    /// Output of the actor's own IO: comes in even after the gate is closed. Lost when the actor is gone.
    pub(crate) fn deliver_from_inside(&self, msg: A::Msg) {
        self.gate.enter_from_inside();
        let _ = self.deliver(msg);
    }

    /// An order of the runtime; not counted. Lost when the actor is gone.
    pub(crate) fn order(&self, envelope: Envelope<A::Msg>) {
        let _ = self.addr.try_send(envelope);
    }
}

pub(crate) struct Slot<A: Actor> {
    name: String,
    /// The incarnation that is running; none during a backoff and after the end.
    life: ArcSwapOption<Life<A>>,
    /// How it ended; meaningful once `ended` is set.
    end: AtomicU8,
    ended: Arc<Latch>,
    draining: AtomicBool,
    killed: AtomicBool,
    /// Wakes the supervisor out of a backoff.
    pub(crate) hurry: Notify,
}

const STOPPED: u8 = 0;
const ESCALATED: u8 = 1;

impl<A: Actor> Slot<A> {
    pub(crate) fn new(name: String, life: Arc<Life<A>>) -> Self {
        Self {
            name,
            life: ArcSwapOption::new(Some(life)),
            end: AtomicU8::new(STOPPED),
            ended: Arc::default(),
            draining: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            hurry: Notify::new(),
        }
    }

    /// Opens the slot for a new incarnation.
    pub(crate) fn open(&self, life: &Arc<Life<A>>) {
        self.life.store(Some(Arc::clone(life)));
        // A drain that came during the backoff found nobody to ask.
        if self.is_draining() {
            life.order(Envelope::Drain);
        }
    }

    /// Refuses messages until the next [`Slot::open`].
    pub(crate) fn shut(&self) {
        if let Some(life) = self.life.swap(None) {
            life.gate.close();
        }
    }

    pub(crate) fn set_escalated(&self) {
        self.end.store(ESCALATED, Ordering::SeqCst);
    }

    pub(crate) fn set_ended(&self) {
        self.shut();
        self.ended.set();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }
}

impl<A: Actor> Mail<A::Msg> for Slot<A> {
    fn tell(&self, msg: A::Msg) -> Result<(), Gone<A::Msg>> {
        let life = self.life.load();
        match life.as_ref() {
            Some(life) if life.gate.enter() => life.deliver(msg),
            Some(_) | None => Err(Gone(msg)),
        }
    }

    fn tell_with(&self, make: &mut dyn FnMut() -> Option<A::Msg>) -> bool {
        let life = self.life.load();
        let Some(life) = life.as_ref().filter(|life| life.gate.enter()) else { return false };
        match make() {
            Some(msg) => life.deliver(msg).is_ok(),
            None => {
                life.gate.leave();
                false
            }
        }
    }

    fn depth(&self) -> usize {
        self.life.load().as_ref().map_or(0, |life| life.gate.depth())
    }

    fn status(&self) -> Status {
        if self.life.load().as_ref().is_some_and(|life| life.gate.is_open()) {
            Status::Running
        } else if !self.ended.is_set() {
            Status::Interrupted
        } else if self.end.load(Ordering::SeqCst) == ESCALATED {
            Status::Escalated
        } else {
            Status::Stopped
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        match self.life.load().as_ref() {
            Some(life) => life.order(Envelope::Drain),
            None => self.hurry.notify_one(),
        }
    }

    fn ended(&self) -> Arc<Latch> {
        Arc::clone(&self.ended)
    }
}

/// An actor as shutdown sees it.
pub(crate) trait Stop: Send + Sync {
    fn name(&self) -> &str;
    fn drain(&self);
    /// Ends the actor before its next message, whatever it waits for.
    fn kill(&self);
}

impl<A: Actor> Stop for Slot<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn drain(&self) {
        Mail::drain(self);
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        self.draining.store(true, Ordering::SeqCst);
        if let Some(life) = self.life.load().as_ref() {
            life.gate.close();
            life.order(Envelope::Kill);
        }
        self.hurry.notify_one();
    }
}
