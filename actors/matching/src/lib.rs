//! Matching: the task-queue actors.
//!
//! [`Matching`] finds or starts the actor of a task queue partition; `queue` is that actor, a thin shell
//! around [`perdure_task_queue::QueueMachine`]: it turns requests into inputs and outputs into store calls,
//! questions to history, and answers. `workers` is the actor that knows which workers there are.

pub mod settings;

mod directory;
mod metrics;
mod queue;
mod workers;

pub use directory::{Matching, MatchingParts};
pub use settings::{FixedSettings, QueueSettings, SettingsSource};
