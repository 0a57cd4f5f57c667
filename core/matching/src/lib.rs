//! The task-queue machine: pairs pollers with tasks.
//!
//! [`QueueMachine`] holds one partition of one task queue. It takes [`Input`]s with the present time and
//! answers with [`Output`]s; it reads no clock and does no IO. The rules it keeps:
//!
//! - A task goes to the poller that has waited longest. Better priority first; a fair share for
//!   each fairness key within a priority (see [`fairness`]); first in, first out within a key, across memory and
//!   backlog. Tasks that are stored and not in memory are waited for, unless the store fails.
//! - A task is acknowledged once a poller has it or the backlog holds it. Whoever added it answers for it
//!   until then, so a crash loses nothing.
//! - A poll is answered once, and never after its client left.
//! - Everything in memory is bounded: see [`settings`].

pub mod fairness;
pub mod input;
pub mod settings;
pub mod workers;

mod ages;
mod backlog;
mod describe;
mod dispatch;
mod forward;
mod line;
mod machine;
mod queries;
mod rate;
mod scaling;
mod seen;
mod tasks;

pub use describe::Description;
pub use input::{
    AddRefusal, AskId, BacklogSurvey, ForwardId, Forwarded, Input, LevelSurvey, Output, PollId, Position, QueryId,
    QueryRefusal, QueueConfig, StartId, StartOutcome, StoredTask, TaskSource, Work,
};
pub use machine::{QueueMachine, Role};
pub use seen::PollerNote;
pub use settings::Settings;
