//! One run of another archetype in memory.

use std::sync::Arc;

use perdure_execution::archetype::AnyState;
use perdure_kernel::{ExecutionKey, Timestamp};

use super::waits::Waiting;

/// Bytes a run is taken to need beside its state.
const RUN_BYTES: usize = 256;

/// A run in memory: its state, and who waits for it to change.
pub(in crate::shard) struct ActorRun {
    pub(in crate::shard) run_id: Arc<str>,
    pub(super) key: ExecutionKey,
    pub(super) state: AnyState,
    /// Record version in the store; 0 when the run is not stored yet.
    pub(super) version: i64,
    /// Time and id of the wake-up row in the store; unset without one.
    pub(super) wake: (Timestamp, i64),
    /// Bytes of the state, as the machine last said.
    pub(super) state_bytes: usize,
    pub(super) waiting: Vec<Waiting>,
}

impl ActorRun {
    pub(super) fn new(key: ExecutionKey, state: AnyState) -> Self {
        Self {
            run_id: Arc::clone(&key.run_id),
            key,
            state,
            version: 0,
            wake: (Timestamp::EPOCH, 0),
            state_bytes: 0,
            waiting: Vec::new(),
        }
    }

    /// Whether nobody waits for this run. The store always has all of it.
    pub(in crate::shard) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Approximate memory.
    pub(in crate::shard) fn bytes(&self) -> usize {
        RUN_BYTES + self.state_bytes
    }
}
