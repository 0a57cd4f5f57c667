//! The task-queue machine: pairs pollers with tasks.
//!
//! [`QueueMachine`] holds one partition of one task queue. It takes [`Input`]s with the present time and
//! answers with [`Output`]s; it reads no clock and does no IO. The rules it keeps:
//!
//! - A task goes to the poller that has waited longest. Better priority first; first in, first out
//!   within a priority, across memory and backlog.
//! - A task is acknowledged once a poller has it or the backlog holds it. Whoever added it answers for it
//!   until then, so a crash loses nothing.
//! - A poll is answered once, and never after its client left.
//! - Everything in memory is bounded: see [`settings`].

pub mod input;
pub mod settings;
pub mod workers;

mod backlog;
mod describe;
mod dispatch;
mod forward;
mod line;
mod machine;
mod queries;
mod rate;
mod seen;
mod tasks;

pub use describe::Description;
pub use input::{
    AddRefusal, AskId, ForwardId, Forwarded, Input, Output, PollId, QueryId, QueryRefusal, StartId, StartOutcome,
    StoredTask, TaskSource, Work,
};
pub use machine::{QueueMachine, Role};
pub use seen::PollerNote;
pub use settings::Settings;
