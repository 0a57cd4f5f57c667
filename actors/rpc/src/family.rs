//! What runs say to each other: parents, children, and workflows that signal or cancel others.
//!
//! These calls come from a shard on behalf of a run. They have no deadline, and they may come again after
//! a crash: each names what it is about in a way that the receiver recognises.

use perdure_kernel::ExecutionKey;
use perdure_proto::{
    api::{
        common::WorkflowExecution,
        enums::ParentClosePolicy,
        history::HistoryEvent,
        workflowservice::{
            RequestCancelWorkflowExecutionRequest, SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
        },
    },
    records::ExecutionRef,
};

/// Start a child. Its first workflow task waits for [`FirstTask`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChildStart {
    /// What to start. The request id stays the same when the call is repeated.
    pub request: StartWorkflowExecutionRequest,
    /// Id of the parent's namespace.
    pub parent_namespace_id: String,
    /// Name of the parent's namespace.
    pub parent_namespace: String,
    /// The parent.
    pub parent: WorkflowExecution,
    /// The parent's event that asked for the child.
    pub initiated_event_id: i64,
    /// The workflow at the top of the tree.
    pub root: WorkflowExecution,
}

/// The parent has recorded its child's start: the child may begin.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstTask {
    /// The child.
    pub run: ExecutionKey,
}

/// A workflow signals another.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalSignal {
    /// The signal, with a request id that stays the same when the call is repeated.
    pub request: SignalWorkflowExecutionRequest,
    /// The workflow that signals.
    pub from: WorkflowExecution,
    /// Only a child of that workflow may be signalled.
    pub child_only: bool,
}

/// A workflow asks another to cancel.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalCancel {
    /// The request.
    pub request: RequestCancelWorkflowExecutionRequest,
    /// The workflow that asks.
    pub from: WorkflowExecution,
    /// Its event that asked.
    pub initiated_event_id: i64,
    /// Only a child of that workflow may be cancelled.
    pub child_only: bool,
}

/// A chain of child runs has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildClosed {
    /// The parent that is told.
    pub parent: ExecutionRef,
    /// The parent's event that asked for the child.
    pub initiated_event_id: i64,
    /// The child's last run.
    pub child: WorkflowExecution,
    /// The child's first run.
    pub first_run_id: String,
    /// How the last run ended.
    pub close_event: HistoryEvent,
}

/// A parent has closed: its policy is applied to a child.
#[derive(Clone, Debug, PartialEq)]
pub struct ParentClosed {
    /// The child's workflow id.
    pub workflow_id: String,
    /// The child's first run; empty when the parent never knew it.
    pub first_run_id: String,
    /// The parent.
    pub parent: WorkflowExecution,
    /// The parent's event that asked for the child.
    pub initiated_event_id: i64,
    /// What becomes of the child.
    pub policy: ParentClosePolicy,
    /// Who does it, for the child's history.
    pub identity: String,
}
