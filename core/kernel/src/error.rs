//! What a caller is told when a request is refused.
//!
//! One small closed set, mapped to gRPC status and details in one place (the frontend). Every kind
//! answers the two questions a caller has: may I try again, and did anything change?

use std::{borrow::Cow, fmt};

use perdure_proto::api::enums::{NamespaceState, ResourceExhaustedCause, ResourceExhaustedScope};
use perdure_proto::api::failure::Failure;

/// A result whose failure can be shown to a client.
pub type ServiceResult<T> = Result<T, ServiceError>;

/// A refusal: its kind decides status and details, its message is for the person who reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceError {
    /// What happened.
    pub kind: ErrorKind,
    /// What happened, and what to do about it, in words.
    pub message: Cow<'static, str>,
}

/// The kinds of refusal. Each maps to exactly one status and detail of Temporal's API
/// (temporalio/api `errordetails/v1`).
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorKind {
    /// The request is malformed or breaks a limit. Nothing changed; trying again will not help.
    InvalidArgument,
    /// The named thing does not exist (any more). Nothing changed.
    NotFound,
    /// The namespace does not exist.
    NamespaceNotFound {
        /// As the caller wrote it.
        namespace: String,
    },
    /// The namespace name is taken.
    NamespaceAlreadyExists,
    /// The namespace is in a state that does not allow the call.
    NamespaceInvalidState {
        /// The namespace's name.
        namespace: String,
        /// Its state.
        state: NamespaceState,
        /// States in which the call is allowed.
        allowed: Vec<NamespaceState>,
    },
    /// The id is in use, or was used and its policy forbids reuse.
    WorkflowExecutionAlreadyStarted {
        /// Request id that started the run in the way.
        start_request_id: String,
        /// The run in the way.
        run_id: String,
        /// First run of its chain.
        first_execution_run_id: String,
    },
    /// A standalone activity's id is in use, or was used and its policy forbids reuse.
    ActivityExecutionAlreadyStarted {
        /// Request id that started the run in the way.
        start_request_id: String,
        /// The run in the way.
        run_id: String,
    },
    /// State forbids the call now.
    FailedPrecondition,
    /// The workflow cannot answer a query or take an update in its present state.
    WorkflowNotReady,
    /// The worker answered the query with a failure.
    QueryFailed {
        /// As the worker gave it.
        failure: Option<Box<Failure>>,
    },
    /// A bound was reached; try later.
    ResourceExhausted {
        /// Which bound.
        cause: ResourceExhaustedCause,
        /// Whose bound.
        scope: ResourceExhaustedScope,
    },
    /// Something else came in between; the whole of it may be tried again.
    Aborted,
    /// Operations that were to be done together were not, or not all: what each came to, in their order; `None`
    /// for one that was done.
    MultiOperation {
        /// By operation.
        operations: Vec<Option<ServiceError>>,
    },
    /// Among such operations: one that was given up because of another.
    MultiOperationAborted,
    /// The caller may not do this.
    PermissionDenied,
    /// The deadline passed. What the request asked for may or may not have happened.
    DeadlineExceeded,
    /// The caller went away.
    Canceled,
    /// The server cannot answer now (a shard is moving, the store is away); try again.
    Unavailable,
    /// This server does not serve the call.
    Unimplemented,
    /// Stored data is damaged.
    DataLoss,
    /// A defect of the server.
    Internal,
    /// Inside the cluster only: the task was started by another poller, or is no longer wanted; the
    /// task queue drops it.
    StaleTask,
    /// Inside the cluster only: no worker polls the sticky queue; use the normal one.
    StickyWorkerUnavailable,
}

/// Whether trying the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will be refused again.
    No,
    /// The same request may succeed later.
    Yes,
}

/// Whether a refused request may have changed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Nothing changed.
    None,
    /// The outcome is not known: make the retry idempotent (request ids).
    Unknown,
}

impl ErrorKind {
    /// May the caller try again?
    pub fn retry(&self) -> Retry {
        match self {
            Self::ResourceExhausted { .. } | Self::DeadlineExceeded | Self::Unavailable | Self::Aborted => Retry::Yes,
            Self::StickyWorkerUnavailable => Retry::Yes,
            Self::InvalidArgument
            | Self::NotFound
            | Self::NamespaceNotFound { .. }
            | Self::NamespaceAlreadyExists
            | Self::NamespaceInvalidState { .. }
            | Self::WorkflowExecutionAlreadyStarted { .. }
            | Self::ActivityExecutionAlreadyStarted { .. }
            | Self::FailedPrecondition
            | Self::WorkflowNotReady
            | Self::QueryFailed { .. }
            | Self::MultiOperation { .. }
            | Self::MultiOperationAborted
            | Self::PermissionDenied
            | Self::Canceled
            | Self::Unimplemented
            | Self::DataLoss
            | Self::Internal
            | Self::StaleTask => Retry::No,
        }
    }

    /// Did state change?
    pub fn state_change(&self) -> StateChange {
        match self {
            Self::DeadlineExceeded
            | Self::Unavailable
            | Self::Internal
            | Self::Canceled
            | Self::MultiOperation { .. } => StateChange::Unknown,
            Self::InvalidArgument
            | Self::NotFound
            | Self::NamespaceNotFound { .. }
            | Self::NamespaceAlreadyExists
            | Self::NamespaceInvalidState { .. }
            | Self::WorkflowExecutionAlreadyStarted { .. }
            | Self::ActivityExecutionAlreadyStarted { .. }
            | Self::FailedPrecondition
            | Self::WorkflowNotReady
            | Self::QueryFailed { .. }
            | Self::ResourceExhausted { .. }
            | Self::Aborted
            | Self::MultiOperationAborted
            | Self::PermissionDenied
            | Self::Unimplemented
            | Self::DataLoss
            | Self::StaleTask
            | Self::StickyWorkerUnavailable => StateChange::None,
        }
    }
}

impl ServiceError {
    /// A refusal of `kind` with `message`.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }

    /// [`ErrorKind::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::FailedPrecondition`].
    pub fn failed_precondition(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, message)
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// [`ErrorKind::Unimplemented`], naming the RPC.
    pub fn unimplemented(rpc: &str) -> Self {
        Self::new(
            ErrorKind::Unimplemented,
            format!("{rpc} is not served by this server yet; see docs/compatibility.md"),
        )
    }

    /// [`ErrorKind::ResourceExhausted`].
    pub fn exhausted(
        cause: ResourceExhaustedCause,
        scope: ResourceExhaustedScope,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::ResourceExhausted { cause, scope }, message)
    }

    /// [`ErrorKind::MultiOperation`].
    pub fn multi_operation(operations: Vec<Option<Self>>) -> Self {
        Self::new(ErrorKind::MultiOperation { operations }, "Update-with-Start could not be executed.")
    }

    /// [`ErrorKind::MultiOperationAborted`].
    pub fn operation_aborted() -> Self {
        Self::new(ErrorKind::MultiOperationAborted, "Operation was aborted.")
    }

    /// A workflow that is not ready: [`ErrorKind::WorkflowNotReady`].
    pub fn not_ready(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::WorkflowNotReady, message)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServiceError {}
