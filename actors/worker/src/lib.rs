//! The server's own jobs: actors that work through what nobody waits for.
//!
//! - [`deletion`]: namespaces that are being deleted are emptied, then removed. The namespace's record is the
//!   job's memory: a server that stops goes on with it when it starts again.
//! - [`scavenger`]: looks whether executions, histories and lists agree, sets right what can be, and counts.
//!
//! Jobs read stores and ask shards. They never write what a shard owns: only its shard changes a run.

pub mod deletion;
mod pace;
pub mod scavenger;
mod service;
mod walk;

pub use service::{Jobs, JobsParts, SettingsSource, WorkerSettings};
