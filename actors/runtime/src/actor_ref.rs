//! Names of actors, and what can be done with a name.

use std::{fmt, future::Future, sync::Arc};

use tokio::sync::mpsc;

use crate::latch::Latch;

/// The message of a refused [`ActorRef::tell`], handed back.
///
/// The actor is being restarted, or has ended ([`ActorRef::status`] says which). No part of the message was
/// acted upon, so it may be sent again anywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Gone<M>(pub M);

impl<M> fmt::Debug for Gone<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gone")
    }
}

impl<M> fmt::Display for Gone<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the actor is not running")
    }
}

impl<M> std::error::Error for Gone<M> {}

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It accepts messages.
    Running,
    /// It panicked and waits for its restart, or it is handling its last messages. Messages are refused.
    Interrupted,
    /// It stopped, or could not be started, and never comes back.
    Stopped,
    /// It panicked too often and never comes back.
    Escalated,
}

/// What stands behind an [`ActorRef`].
pub(crate) trait Mail<M>: Send + Sync {
    fn tell(&self, msg: M) -> Result<(), Gone<M>>;
    /// Accepts first and makes the message then, so that a refusal does not consume what it is made of.
    fn tell_with(&self, make: &mut dyn FnMut() -> Option<M>) -> bool;
    fn depth(&self) -> usize;
    fn status(&self) -> Status;
    fn name(&self) -> &str;
    fn drain(&self);
    fn ended(&self) -> Arc<Latch>;
}

/// The name of an actor that takes messages `M`. Cheap to clone; valid across restarts.
pub struct ActorRef<M> {
    mail: Arc<dyn Mail<M>>,
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> Self {
        Self { mail: Arc::clone(&self.mail) }
    }
}

impl<M> fmt::Debug for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.mail.name())
    }
}

impl<M: Send + 'static> ActorRef<M> {
    pub(crate) fn new(mail: Arc<dyn Mail<M>>) -> Self {
        Self { mail }
    }

    /// Puts a message into the actor's mailbox. Never blocks. The mailbox has no bound of its own: whoever
    /// lets work in holds a [`crate::Permit`] for it.
    ///
    /// # Errors
    ///
    /// [`Gone`] with the message when the actor is not [`Status::Running`].
    pub fn tell(&self, msg: M) -> Result<(), Gone<M>> {
        self.mail.tell(msg)
    }

    /// Whether a message would be accepted at this moment.
    pub fn is_alive(&self) -> bool {
        self.status() == Status::Running
    }

    /// Whether the actor will never accept a message again.
    pub fn has_ended(&self) -> bool {
        match self.status() {
            Status::Running | Status::Interrupted => false,
            Status::Stopped | Status::Escalated => true,
        }
    }

    /// Where the actor is in its life.
    pub fn status(&self) -> Status {
        self.mail.status()
    }

    /// Messages accepted and not yet handled.
    pub fn depth(&self) -> usize {
        self.mail.depth()
    }

    /// The name given in its [`crate::Supervision`].
    pub fn name(&self) -> &str {
        self.mail.name()
    }

    /// Asks the actor to stop, behind the messages it has already accepted: see [`crate::Actor::drain`].
    /// An actor that is waiting for its restart ends at once.
    pub fn drain(&self) {
        self.mail.drain();
    }

    /// Resolves when the actor has ended for good.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        self.mail.ended().wait()
    }

    /// A name for the part of this actor's messages that can be made from `N`.
    pub fn recipient<N>(&self) -> Recipient<N>
    where
        N: Send + 'static,
        M: From<N>,
    {
        Recipient { tell: Arc::new(self.clone()) }
    }

    /// A name with no actor behind it: what it is told comes out of the [`Inbox`]. For tests of the actors
    /// that talk to it, and for callers that are tasks rather than actors.
    pub fn inbox(name: impl Into<String>) -> (Self, Inbox<M>) {
        let (sender, messages) = mpsc::unbounded_channel();
        let ended = Arc::new(Latch::default());
        let mail = InboxMail { name: name.into(), sender, ended: Arc::clone(&ended) };
        (Self::new(Arc::new(mail)), Inbox { messages, ended })
    }
}

/// Takes messages of one kind for an actor that may take others too. Cheap to clone.
pub struct Recipient<N> {
    tell: Arc<dyn Tell<N>>,
}

impl<N> Clone for Recipient<N> {
    fn clone(&self) -> Self {
        Self { tell: Arc::clone(&self.tell) }
    }
}

impl<N> fmt::Debug for Recipient<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient")
    }
}

impl<N: Send + 'static> Recipient<N> {
    /// As [`ActorRef::tell`].
    ///
    /// # Errors
    ///
    /// [`Gone`] with the message when the actor is not running.
    pub fn tell(&self, msg: N) -> Result<(), Gone<N>> {
        self.tell.tell(msg)
    }
}

trait Tell<N>: Send + Sync {
    fn tell(&self, msg: N) -> Result<(), Gone<N>>;
}

impl<N, M> Tell<N> for ActorRef<M>
where
    N: Send + 'static,
    M: From<N> + Send + 'static,
{
    fn tell(&self, msg: N) -> Result<(), Gone<N>> {
        let mut msg = Some(msg);
        self.mail.tell_with(&mut || msg.take().map(M::from));
        // A message that was accepted and then met an actor that panicked is lost with that actor.
        msg.map_or(Ok(()), |msg| Err(Gone(msg)))
    }
}

/// The receiving end of [`ActorRef::inbox`]. When it is dropped its name has [`Status::Stopped`].
#[derive(Debug)]
pub struct Inbox<M> {
    messages: mpsc::UnboundedReceiver<M>,
    ended: Arc<Latch>,
}

impl<M> Inbox<M> {
    /// The next message; `None` when every name for this inbox is dropped.
    pub async fn next(&mut self) -> Option<M> {
        self.messages.recv().await
    }

    /// The next message, if it is already here.
    pub fn try_next(&mut self) -> Option<M> {
        self.messages.try_recv().ok()
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        self.messages.close();
        self.ended.set();
    }
}

struct InboxMail<M> {
    name: String,
    sender: mpsc::UnboundedSender<M>,
    ended: Arc<Latch>,
}

impl<M: Send> Mail<M> for InboxMail<M> {
    fn tell(&self, msg: M) -> Result<(), Gone<M>> {
        self.sender.send(msg).map_err(|error| Gone(error.0))
    }

    fn tell_with(&self, make: &mut dyn FnMut() -> Option<M>) -> bool {
        !self.sender.is_closed() && make().is_some_and(|msg| self.sender.send(msg).is_ok())
    }

    fn depth(&self) -> usize {
        0
    }

    fn status(&self) -> Status {
        if self.sender.is_closed() { Status::Stopped } else { Status::Running }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn drain(&self) {}

    fn ended(&self) -> Arc<Latch> {
        Arc::clone(&self.ended)
    }
}
