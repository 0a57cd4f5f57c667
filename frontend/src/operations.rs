//! The served RPCs as data: how each is labelled and admitted.

use perdure_proto::api::enums::NamespaceState;

macro_rules! operations {
    ($($name:ident = $label:literal $(($trait:ident))?,)*) => {
        /// An RPC that is served.
        #[expect(clippy::enum_variant_names, reason = "RPCs have the names that they have")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($name,)*
        }

        impl Operation {
            const ALL: &[Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub(crate) const COUNT: usize = Self::ALL.len();

            /// The metric label `operation`.
            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            fn class(self) -> Class {
                match self { $(Self::$name => class!($($trait)?),)* }
            }
        }
    };
}

macro_rules! class {
    () => {
        Class::Short
    };
    ($class:ident) => {
        Class::$class
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Answered at once.
    Short,
    /// Makes new executions: not in deprecated namespaces.
    Starts,
    /// Waits for a worker or an event: its number in flight is bounded per namespace.
    Waits,
}

operations! {
    RegisterNamespace = "RegisterNamespace",
    DescribeNamespace = "DescribeNamespace",
    ListNamespaces = "ListNamespaces",
    UpdateNamespace = "UpdateNamespace",
    DeprecateNamespace = "DeprecateNamespace",
    StartWorkflowExecution = "StartWorkflowExecution" (Starts),
    SignalWithStartWorkflowExecution = "SignalWithStartWorkflowExecution" (Starts),
    SignalWorkflowExecution = "SignalWorkflowExecution",
    RequestCancelWorkflowExecution = "RequestCancelWorkflowExecution",
    TerminateWorkflowExecution = "TerminateWorkflowExecution",
    ResetWorkflowExecution = "ResetWorkflowExecution",
    DeleteWorkflowExecution = "DeleteWorkflowExecution",
    UpdateWorkflowExecutionOptions = "UpdateWorkflowExecutionOptions",
    PauseWorkflowExecution = "PauseWorkflowExecution",
    UnpauseWorkflowExecution = "UnpauseWorkflowExecution",
    DescribeWorkflowExecution = "DescribeWorkflowExecution",
    GetWorkflowExecutionHistory = "GetWorkflowExecutionHistory",
    PollWorkflowExecutionHistory = "PollWorkflowExecutionHistory" (Waits),
    GetWorkflowExecutionHistoryReverse = "GetWorkflowExecutionHistoryReverse",
    PollWorkflowTaskQueue = "PollWorkflowTaskQueue" (Waits),
    PollActivityTaskQueue = "PollActivityTaskQueue" (Waits),
    RespondWorkflowTaskCompleted = "RespondWorkflowTaskCompleted",
    RespondWorkflowTaskFailed = "RespondWorkflowTaskFailed",
    RespondActivityTaskCompleted = "RespondActivityTaskCompleted",
    RespondActivityTaskCompletedById = "RespondActivityTaskCompletedById",
    RespondActivityTaskFailed = "RespondActivityTaskFailed",
    RespondActivityTaskFailedById = "RespondActivityTaskFailedById",
    RespondActivityTaskCanceled = "RespondActivityTaskCanceled",
    RespondActivityTaskCanceledById = "RespondActivityTaskCanceledById",
    RecordActivityTaskHeartbeat = "RecordActivityTaskHeartbeat",
    RecordActivityTaskHeartbeatById = "RecordActivityTaskHeartbeatById",
    UpdateWorkflowExecution = "UpdateWorkflowExecution" (Waits),
    PollWorkflowExecutionUpdate = "PollWorkflowExecutionUpdate" (Waits),
    ExecuteMultiOperation = "ExecuteMultiOperation" (Waits),
    StartActivityExecution = "StartActivityExecution" (Starts),
    DescribeActivityExecution = "DescribeActivityExecution",
    PollActivityExecution = "PollActivityExecution" (Waits),
    RequestCancelActivityExecution = "RequestCancelActivityExecution",
    TerminateActivityExecution = "TerminateActivityExecution",
    DeleteActivityExecution = "DeleteActivityExecution",
    LongPollActivityExecution = "DescribeActivityExecution" (Waits),
    UpdateActivityOptions = "UpdateActivityOptions",
    PauseActivity = "PauseActivity",
    UnpauseActivity = "UnpauseActivity",
    ResetActivity = "ResetActivity",
    PauseActivityExecution = "PauseActivityExecution",
    UnpauseActivityExecution = "UnpauseActivityExecution",
    ResetActivityExecution = "ResetActivityExecution",
    UpdateActivityExecutionOptions = "UpdateActivityExecutionOptions",
    CreateWorkflowRule = "CreateWorkflowRule",
    DescribeWorkflowRule = "DescribeWorkflowRule",
    DeleteWorkflowRule = "DeleteWorkflowRule",
    ListWorkflowRules = "ListWorkflowRules",
    TriggerWorkflowRule = "TriggerWorkflowRule",
    QueryWorkflow = "QueryWorkflow" (Waits),
    ListOpenWorkflowExecutions = "ListOpenWorkflowExecutions",
    ListClosedWorkflowExecutions = "ListClosedWorkflowExecutions",
    ListWorkflowExecutions = "ListWorkflowExecutions",
    ListArchivedWorkflowExecutions = "ListArchivedWorkflowExecutions",
    ScanWorkflowExecutions = "ScanWorkflowExecutions",
    CountWorkflowExecutions = "CountWorkflowExecutions",
    ListActivityExecutions = "ListActivityExecutions",
    CountActivityExecutions = "CountActivityExecutions",
    AddSearchAttributes = "AddSearchAttributes",
    RemoveSearchAttributes = "RemoveSearchAttributes",
    RespondQueryTaskCompleted = "RespondQueryTaskCompleted",
    ResetStickyTaskQueue = "ResetStickyTaskQueue",
    ShutdownWorker = "ShutdownWorker",
    DescribeTaskQueue = "DescribeTaskQueue",
    UpdateTaskQueueConfig = "UpdateTaskQueueConfig",
    RecordWorkerHeartbeat = "RecordWorkerHeartbeat",
    ListWorkers = "ListWorkers",
    CountWorkers = "CountWorkers",
    DescribeWorker = "DescribeWorker",
    FetchWorkerConfig = "FetchWorkerConfig",
    UpdateWorkerConfig = "UpdateWorkerConfig",
    ListTaskQueuePartitions = "ListTaskQueuePartitions",
    GetSearchAttributes = "GetSearchAttributes",
    GetClusterInfo = "GetClusterInfo",
    GetSystemInfo = "GetSystemInfo",
    ListSearchAttributes = "OperatorListSearchAttributes",
    DeleteNamespace = "OperatorDeleteNamespace",
    ListClusters = "OperatorListClusters",
}

impl Operation {
    /// Position in [`Operation::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Whether the number in flight is bounded per namespace.
    pub(crate) fn waits(self) -> bool {
        self.class() == Class::Waits
    }

    /// States of a namespace in which the RPC is allowed.
    pub(crate) fn namespace_states(self) -> &'static [NamespaceState] {
        match self.class() {
            Class::Starts => &[NamespaceState::Registered],
            Class::Short | Class::Waits => &[NamespaceState::Registered, NamespaceState::Deprecated],
        }
    }
}
