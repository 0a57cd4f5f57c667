//! What an actor is.

use crate::Ctx;

/// A value that is owned by one thread and changed only by its own handlers.
///
/// Handlers are synchronous and short: they never block and never wait. Whatever waits is handed to
/// [`Ctx::spawn_io`]. The actor itself need not be `Send`: its factory builds it on the thread it lives on.
pub trait Actor: Sized + 'static {
    /// What it can be told. Usually an enum; a request carries its [`crate::Reply`].
    type Msg: Send + 'static;

    /// The kind of actor in metrics and logs, for example `"shard"`.
    const KIND: &'static str;

    /// Called before the first message, after every start and restart. The place to begin loading state.
    fn started(&mut self, _ctx: &mut Ctx<Self>) {}

    /// Handles one message.
    fn handle(&mut self, msg: Self::Msg, ctx: &mut Ctx<Self>);

    /// The actor's one timer fired; it is disarmed now. See [`Ctx::set_timer`].
    fn timer(&mut self, _ctx: &mut Ctx<Self>) {}

    /// The actor is asked to stop, once. It either lets go at once, or goes on handling messages and calls
    /// [`Ctx::stop`] when its last IO is back.
    fn drain(&mut self, _ctx: &mut Ctx<Self>) -> Drained {
        Drained::Now
    }
}

/// What an actor answers when it is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is in flight: the actor ends after the messages it has already accepted.
    Now,
    /// The actor calls [`Ctx::stop`] itself. Until then it accepts messages as before.
    Later,
}
