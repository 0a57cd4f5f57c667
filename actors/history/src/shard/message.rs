//! What a shard is told.

use perdure_kernel::{BusinessKey, ServiceError};
use perdure_persistence::{
    StoreError,
    shard::{ImmediateBatch, ShardLease, StoredExecution, TimerRow},
};
use perdure_proto::{api::workflowservice as ws, records};
use perdure_rpc::{Ask, HistoryCall};
use std::sync::Arc;

use super::{
    holder::Current,
    immediate::{CallbackTried, Heard},
    reset::ResetRead,
};

/// A message to a shard.
pub(crate) enum ShardMsg {
    /// A request.
    Call(HistoryCall),
    /// The store gave the lease and what was pending under the one before, or failed to.
    LeaseTaken(Result<Box<TakenLease>, StoreError>),
    /// An execution was read.
    Loaded(Box<Loaded>),
    /// The commit in flight ended.
    Committed {
        /// The incarnation of the shard that sent it.
        epoch: u64,
        /// What the store said.
        result: Result<(), StoreError>,
    },
    /// A try to deliver a completion callback ended.
    CallbackTried(Box<CallbackTried>),
    /// Whom an immediate task called has answered.
    TaskHeard {
        /// The task's id.
        id: i64,
        /// What was said.
        heard: Heard,
    },
    /// Matching refused a task that is in memory only: its sticky worker is gone.
    StickyWorkerGone(Box<records::ImmediateTask>),
    /// A page of timer rows was read.
    TimersRead {
        /// The incarnation of the shard that asked.
        epoch: u64,
        /// The page.
        rows: Result<Vec<TimerRow>, StoreError>,
    },
    /// A write to a separate visibility store ended.
    VisibilityWritten {
        /// The incarnation of the shard that sent it.
        epoch: u64,
        /// What the store said.
        result: Result<(), StoreError>,
    },
    /// Rows with visibility tasks that were left in the store were read.
    VisibilityTasksRead {
        /// The incarnation of the shard that asked.
        epoch: u64,
        /// The page.
        rows: Result<Vec<ImmediateBatch>, StoreError>,
    },
    /// The histories that a reset needs were read.
    ResetRead(Box<ResetRead>),
    /// A direct query came back from a worker.
    QueryReturned(Box<QueryReturned>),
    /// A read that answered its asker itself has ended.
    Answered,
}

impl From<HistoryCall> for ShardMsg {
    fn from(call: HistoryCall) -> Self {
        Self::Call(call)
    }
}

/// A lease with the tasks that its predecessors left.
pub(crate) struct TakenLease {
    pub(crate) lease: ShardLease,
    pub(crate) immediate: Vec<ImmediateBatch>,
    pub(crate) timers: Vec<TimerRow>,
}

/// An execution as the store has it.
pub(crate) struct Loaded {
    pub(crate) key: BusinessKey,
    /// The incarnation of the shard that asked.
    pub(crate) epoch: u64,
    pub(crate) result: Result<LoadedRun, StoreError>,
}

/// What was found.
pub(crate) struct LoadedRun {
    /// The id's current run.
    pub(super) current: Current,
    /// The run asked for, and its stored form; `None` when that is the current one and there is none.
    pub(super) run: Option<(Arc<str>, Option<StoredExecution>)>,
}

/// Outcome of a query that went to a worker through matching.
pub(crate) struct QueryReturned {
    pub(crate) ask: Ask<Box<ws::QueryWorkflowRequest>, ws::QueryWorkflowResponse>,
    /// The worker's sticky queue was tried; the normal one is left.
    pub(crate) was_sticky: bool,
    pub(crate) result: Result<ws::QueryWorkflowResponse, ServiceError>,
}
