//! What a list shows of an execution.

use std::sync::Arc;

use perdure_proto::api::{
    common::{Memo, SearchAttributes},
    enums::WorkflowExecutionStatus,
};

use crate::{ExecutionKey, Timestamp};

/// The search attribute that keeps the executions of the system apart from the workflows of users.
pub const NAMESPACE_DIVISION: &str = "TemporalNamespaceDivision";

/// A row of visibility: one run of one execution, as lists show and filter it. Written in the commit that
/// changes what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibilityRecord {
    /// Which run.
    pub key: ExecutionKey,
    /// Name of its type; empty for a standalone activity, whose type is a search attribute.
    pub type_name: String,
    /// Its status.
    pub status: WorkflowExecutionStatus,
    /// When it was started.
    pub start_time: Timestamp,
    /// Start time plus the backoff of the first task.
    pub execution_time: Timestamp,
    /// Its task queue.
    pub task_queue: String,
    /// What is known of it once it has closed.
    pub closed: Option<ClosedRecord>,
    /// Workflow and run id of its parent.
    pub parent: Option<(String, String)>,
    /// Workflow and run id of the root of its tree; `None` when it is the root; both
    /// are empty for what has no tree, as standalone activities.
    pub root: Option<(String, String)>,
    /// Its memo: shown, not searched.
    pub memo: Arc<Memo>,
    /// Its search attributes by name. Each payload says its type in its metadata.
    pub search_attributes: Arc<SearchAttributes>,
}

/// The part of a [`VisibilityRecord`] that only closed executions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedRecord {
    /// When it closed: never before its start, whatever clocks said, and never [`Timestamp::MAX`]. Lists
    /// since a start time rest on that.
    pub close_time: Timestamp,
    /// Events in its history.
    pub history_length: i64,
    /// Bytes of its history.
    pub history_size_bytes: i64,
    /// Nanoseconds from its execution time to its close: negative for what was ended before it was to execute.
    pub execution_duration: i64,
    /// Transitions it went through.
    pub state_transition_count: i64,
}

impl VisibilityRecord {
    /// Workflow id of the root of its tree.
    pub fn root_workflow_id(&self) -> &str {
        self.root.as_ref().map_or(&*self.key.business.business_id, |(workflow_id, _)| workflow_id)
    }

    /// Run id of the root of its tree.
    pub fn root_run_id(&self) -> &str {
        self.root.as_ref().map_or(&*self.key.run_id, |(_, run_id)| run_id)
    }

    /// When it closed.
    pub fn close_time(&self) -> Option<Timestamp> {
        self.closed.map(|closed| closed.close_time)
    }
}
