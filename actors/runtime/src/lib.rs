//! Supervised actors: the only crate that names actix.
//!
//! An [`Actor`] is a value with a message type and short, synchronous handlers. It is spawned through an
//! [`ActorSystem`], the one spawn seam: production runs actors on a fixed set of threads
//! ([`ActorSystem::threads`]), tests and simulations run the same actors on the current `LocalSet` under
//! paused time ([`ActorSystem::local`]).
//!
//! What the crate guarantees:
//!
//! - **One at a time.** An actor's handlers never overlap. IO runs in tasks beside the actor and comes back
//!   as a message ([`Ctx::spawn_io`]).
//! - **A panic stays in its actor.** The state is dropped, never reused; replies it held answer "dropped";
//!   the supervisor builds a new actor from the factory after a backoff, and escalates when restarts come
//!   too often ([`Supervision`]).
//! - **An [`ActorRef`] outlives restarts.** It names a slot, not an incarnation. While the actor is being
//!   restarted its messages are refused with [`Gone`], which hands the message back: a caller answers
//!   `UNAVAILABLE` and the client retries. Nothing queues without bound behind a failing actor.
//! - **An accepted message is handled, or its actor panicked.** After [`Ctx::stop`] new messages are
//!   refused, those accepted before are still handled, then the actor ends.
//! - **Mailboxes do not bound load.** [`Permits`] do: take one before you tell.
//!
//! Metrics: `actor_mailbox_depth` (gauge, messages), `actor_handling_seconds` (histogram, one message in
//! 64), `actor_restarts_total`, `actor_count` (gauge), each with the label `kind`; and
//! `permits_refused_total` with the label `name`.

mod actor;
mod actor_ref;
mod clock;
mod context;
mod gate;
mod host;
mod io;
mod latch;
mod permits;
mod registry;
mod reply;
mod roll;
mod slot;
mod supervision;
mod system;
mod task;
mod threads;
mod timer;

pub use actor::{Actor, Drained};
pub use actor_ref::{ActorRef, Gone, Inbox, Recipient, Status};
pub use clock::{SystemClock, TokioClock};
pub use context::Ctx;
pub use permits::{Permit, Permits};
pub use registry::{NotTold, Registry, RegistryFull};
pub use reply::{Answer, Reply, ReplyDropped};
pub use supervision::{Escalation, RestartPolicy, Supervision};
pub use system::{ActorSystem, Placement, ShutdownReport};
pub use task::Task;

/// A lock that outlives a panic of its holder, for sections that leave whole values behind wherever they stop.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a panic said, for logs and escalations.
fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}
