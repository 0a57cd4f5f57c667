//! The calls of a store, as data: their names in errors, metrics and fault injection.

/// One call of one store trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    /// [`crate::ShardStore::acquire_shard`].
    AcquireShard,
    /// [`crate::ShardStore::commit`].
    Commit,
    /// [`crate::ShardStore::load_execution`].
    LoadExecution,
    /// [`crate::ShardStore::current_run`].
    CurrentRun,
    /// [`crate::ShardStore::read_history`].
    ReadHistory,
    /// [`crate::ShardStore::read_immediate`].
    ReadImmediate,
    /// [`crate::ShardStore::read_timers`].
    ReadTimers,
    /// [`crate::ShardStore::list_executions`].
    ListExecutions,
    /// [`crate::TaskQueueStore::acquire_queue`].
    AcquireQueue,
    /// [`crate::TaskQueueStore::append_tasks`].
    AppendTasks,
    /// [`crate::TaskQueueStore::read_tasks`].
    ReadTasks,
    /// [`crate::TaskQueueStore::summarize_backlog`].
    SummarizeBacklog,
    /// [`crate::TaskQueueStore::ack_tasks`].
    AckTasks,
    /// [`crate::TaskQueueStore::put_queue_record`].
    PutQueueRecord,
    /// [`crate::TaskQueueStore::list_queues`].
    ListQueues,
    /// [`crate::TaskQueueStore::delete_queue`].
    DeleteQueue,
    /// [`crate::NamespaceStore::create_namespace`].
    CreateNamespace,
    /// [`crate::NamespaceStore::namespace_by_id`].
    NamespaceById,
    /// [`crate::NamespaceStore::namespace_by_name`].
    NamespaceByName,
    /// [`crate::NamespaceStore::update_namespace`].
    UpdateNamespace,
    /// [`crate::NamespaceStore::list_namespaces`].
    ListNamespaces,
    /// [`crate::NamespaceStore::delete_namespace`].
    DeleteNamespace,
    /// [`crate::ClusterStore::cluster_record`].
    ClusterRecord,
    /// [`crate::ClusterStore::put_cluster_record`].
    PutClusterRecord,
    /// [`crate::VisibilityStore::list_visibility`].
    ListVisibility,
    /// [`crate::VisibilityStore::count_visibility`].
    CountVisibility,
    /// [`crate::VisibilityStore::count_visibility_groups`].
    CountVisibilityGroups,
    /// [`crate::MaintenanceStore::verify`].
    Verify,
    /// [`crate::MaintenanceStore::scan_visibility`].
    ScanVisibility,
    /// [`crate::MaintenanceStore::load_visibility`].
    LoadVisibility,
    /// [`crate::MaintenanceStore::remove_visibility`].
    RemoveVisibility,
    /// [`crate::VisibilityWriter::write_visibility`].
    WriteVisibility,
}

/// (operation, its name here, Temporal's data store, its method there, its `operation` label in metrics).
type Names = (Operation, &'static str, &'static str, &'static str, &'static str);

/// One line per operation, in the order of their numbers. Where Temporal makes several calls for one
/// of ours, the line names the one that stands for it on dashboards.
const NAMES: [Names; 32] = {
    use Operation as O;
    [
        (O::AcquireShard, "acquire_shard", "ShardStore", "UpdateShard", "UpdateShard"),
        (O::Commit, "commit", "ExecutionStore", "UpdateWorkflowExecution", "UpdateWorkflowExecution"),
        (O::LoadExecution, "load_execution", "ExecutionStore", "GetWorkflowExecution", "GetWorkflowExecution"),
        (O::CurrentRun, "current_run", "ExecutionStore", "GetCurrentExecution", "GetCurrentExecution"),
        (O::ReadHistory, "read_history", "ExecutionStore", "ReadHistoryBranch", "ReadHistoryBranch"),
        (O::ReadImmediate, "read_immediate", "ExecutionStore", "GetHistoryTasks", "GetTransferTasks"),
        (O::ReadTimers, "read_timers", "ExecutionStore", "GetHistoryTasks", "GetTimerTasks"),
        (O::ListExecutions, "list_executions", "ExecutionStore", "ListConcreteExecutions", "ListConcreteExecutions"),
        (O::AcquireQueue, "acquire_queue", "TaskStore", "CreateTaskQueue", "CreateTaskQueue"),
        (O::AppendTasks, "append_tasks", "TaskStore", "CreateTasks", "CreateTasks"),
        (O::ReadTasks, "read_tasks", "TaskStore", "GetTasks", "GetTasks"),
        (O::SummarizeBacklog, "summarize_backlog", "TaskStore", "CountTasks", "GetTasks"),
        (O::AckTasks, "ack_tasks", "TaskStore", "CompleteTasksLessThan", "CompleteTasksLessThan"),
        (O::PutQueueRecord, "put_queue_record", "TaskStore", "UpdateTaskQueue", "UpdateTaskQueue"),
        (O::ListQueues, "list_queues", "TaskStore", "ListTaskQueue", "ListTaskQueue"),
        (O::DeleteQueue, "delete_queue", "TaskStore", "DeleteTaskQueue", "DeleteTaskQueue"),
        (O::CreateNamespace, "create_namespace", "MetadataStore", "CreateNamespace", "CreateNamespace"),
        (O::NamespaceById, "namespace_by_id", "MetadataStore", "GetNamespace", "GetNamespace"),
        (O::NamespaceByName, "namespace_by_name", "MetadataStore", "GetNamespace", "GetNamespace"),
        (O::UpdateNamespace, "update_namespace", "MetadataStore", "UpdateNamespace", "UpdateNamespace"),
        (O::ListNamespaces, "list_namespaces", "MetadataStore", "ListNamespaces", "ListNamespaces"),
        (O::DeleteNamespace, "delete_namespace", "MetadataStore", "DeleteNamespace", "DeleteNamespace"),
        (O::ClusterRecord, "cluster_record", "ClusterMDStore", "GetClusterMetadata", "GetClusterMetadata"),
        (O::PutClusterRecord, "put_cluster_record", "ClusterMDStore", "SaveClusterMetadata", "SaveClusterMetadata"),
        (O::ListVisibility, "list_visibility", "VisibilityStore", "ListWorkflowExecutions", "ListWorkflowExecutions"),
        (
            O::CountVisibility,
            "count_visibility",
            "VisibilityStore",
            "CountWorkflowExecutions",
            "CountWorkflowExecutions",
        ),
        (
            O::CountVisibilityGroups,
            "count_visibility_groups",
            "VisibilityStore",
            "CountWorkflowExecutions",
            "CountWorkflowExecutions",
        ),
        (O::Verify, "verify", "ExecutionStore", "ListConcreteExecutions", "ListConcreteExecutions"),
        (O::ScanVisibility, "scan_visibility", "VisibilityStore", "ScanWorkflowExecutions", "ScanWorkflowExecutions"),
        (
            O::LoadVisibility,
            "load_visibility",
            "VisibilityStore",
            "GetWorkflowExecution",
            "VisibilityGetWorkflowExecution",
        ),
        (
            O::RemoveVisibility,
            "remove_visibility",
            "VisibilityStore",
            "DeleteWorkflowExecution",
            "VisibilityDeleteWorkflowExecution",
        ),
        (
            O::WriteVisibility,
            "write_visibility",
            "VisibilityStore",
            "UpsertWorkflowExecution",
            "UpsertWorkflowExecution",
        ),
    ]
};

impl Operation {
    /// How many operations there are.
    pub const COUNT: usize = NAMES.len();

    /// Every operation, in the order of [`Operation::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|names| names.0)
    }

    /// Position in tables that hold something per operation: `0..COUNT`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name in errors and logs: `commit`.
    pub const fn name(self) -> &'static str {
        NAMES[self.index()].1
    }

    /// Temporal's name for the data store: `ExecutionStore`.
    pub const fn data_store(self) -> &'static str {
        NAMES[self.index()].2
    }

    /// Temporal's name for the method of [`Operation::data_store`], as `faultInjection` uses it.
    pub const fn method(self) -> &'static str {
        NAMES[self.index()].3
    }

    /// The `operation` label of Temporal's persistence metrics.
    pub const fn metric_label(self) -> &'static str {
        NAMES[self.index()].4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        for (position, operation) in Operation::all().enumerate() {
            assert_eq!(operation.index(), position, "{operation:?}");
        }
        assert_eq!(Operation::WriteVisibility.index() + 1, Operation::COUNT);
    }
}
