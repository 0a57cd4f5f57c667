//! Every RPC that is served has a test here.

use perdure_frontend::{OPERATOR_SERVED, WORKFLOW_SERVED};

use crate::{
    activities, activities_by_id, activity_operations, cluster, deletes, describes, ends, histories, lists,
    namespace_deletion, namespaces, options, pauses, queries, resets, signals, standalone_activities, starts, sticky,
    task_queues, update_with_start, updates, workers, workflow_rules, workflow_tasks,
};

/// A test by its function.
type Test = fn();

/// Each served RPC of WorkflowService and the test that begins with it.
const WORKFLOW: [(&str, Test); 76] = [
    ("RegisterNamespace", namespaces::a_namespace_is_registered_and_described),
    ("DescribeNamespace", namespaces::a_namespace_is_registered_and_described),
    ("ListNamespaces", namespaces::namespaces_are_listed_in_pages),
    ("UpdateNamespace", namespaces::a_namespace_is_updated_where_the_request_says_so),
    ("DeprecateNamespace", namespaces::a_deprecated_namespace_starts_nothing_new),
    ("StartWorkflowExecution", starts::starts_a_run),
    ("GetWorkflowExecutionHistory", histories::a_history_is_read_in_pages),
    ("GetWorkflowExecutionHistoryReverse", histories::a_history_is_read_backwards),
    ("PollWorkflowTaskQueue", workflow_tasks::a_worker_takes_a_task_and_decides),
    ("RespondWorkflowTaskCompleted", workflow_tasks::a_worker_takes_a_task_and_decides),
    ("RespondWorkflowTaskFailed", workflow_tasks::a_worker_that_cannot_decide_says_so),
    ("PollActivityTaskQueue", activities::an_activity_completes),
    ("RecordActivityTaskHeartbeat", activities::heartbeats_keep_progress_and_tell_of_cancellation),
    ("RecordActivityTaskHeartbeatById", activities_by_id::an_activity_is_kept_alive_and_cancelled_by_its_id),
    ("RespondActivityTaskCompleted", activities::an_activity_completes),
    ("RespondActivityTaskCompletedById", activities_by_id::an_activity_is_completed_by_its_id),
    ("RespondActivityTaskFailed", activities::a_failed_attempt_is_followed_by_another),
    ("RespondActivityTaskFailedById", activities_by_id::an_activity_is_failed_by_its_id),
    ("RespondActivityTaskCanceled", activities::heartbeats_keep_progress_and_tell_of_cancellation),
    ("RespondActivityTaskCanceledById", activities_by_id::an_activity_is_kept_alive_and_cancelled_by_its_id),
    ("RequestCancelWorkflowExecution", ends::a_cancel_request_wakes_the_workflow_once),
    ("SignalWorkflowExecution", signals::signals_reach_the_worker_in_order),
    ("SignalWithStartWorkflowExecution", signals::a_signal_starts_what_is_not_there),
    ("DeleteWorkflowExecution", deletes::runs_open_and_closed_go),
    ("ResetWorkflowExecution", resets::an_open_run_gives_way_to_one_from_its_past),
    ("PauseWorkflowExecution", pauses::a_paused_workflow_takes_in_signals_and_hands_out_nothing),
    ("UnpauseWorkflowExecution", pauses::a_paused_workflow_takes_in_signals_and_hands_out_nothing),
    ("UpdateWorkflowExecutionOptions", options::options_change_and_are_told),
    ("TerminateWorkflowExecution", ends::a_termination_ends_the_run_under_its_worker),
    ("ListWorkflowExecutions", lists::a_run_is_listed_through_its_life),
    ("ScanWorkflowExecutions", lists::pages_cover_a_list_in_order),
    ("CountWorkflowExecutions", lists::counts_and_groups),
    ("ListOpenWorkflowExecutions", lists::open_and_closed_lists),
    ("ListClosedWorkflowExecutions", lists::open_and_closed_lists),
    ("ListArchivedWorkflowExecutions", lists::bad_queries_are_refused),
    ("ListActivityExecutions", standalone_activities::they_are_listed_and_counted),
    ("CountActivityExecutions", standalone_activities::they_are_listed_and_counted),
    ("GetSearchAttributes", cluster::search_attributes_are_listed),
    ("RespondQueryTaskCompleted", queries::a_worker_refuses_to_answer),
    ("ResetStickyTaskQueue", sticky::a_reset_sends_the_next_task_to_everyone),
    ("ShutdownWorker", sticky::a_worker_says_goodbye),
    ("QueryWorkflow", queries::a_quiet_workflow_is_asked_directly),
    ("DescribeWorkflowExecution", describes::a_run_is_described_through_its_life),
    ("UpdateWorkflowExecution", updates::an_update_is_accepted_and_answered_in_one_task),
    ("PollWorkflowExecutionUpdate", updates::callers_wait_for_the_stage_they_want),
    ("ExecuteMultiOperation", update_with_start::the_workflow_starts_with_its_update),
    ("DescribeTaskQueue", task_queues::pollers_are_shown),
    ("RecordWorkerHeartbeat", workers::workers_are_known_until_they_shut_down),
    ("ListWorkers", workers::workers_are_known_until_they_shut_down),
    ("CountWorkers", workers::workers_are_known_until_they_shut_down),
    ("DescribeWorker", workers::workers_are_known_until_they_shut_down),
    ("FetchWorkerConfig", workers::workers_are_not_configured_from_here),
    ("UpdateWorkerConfig", workers::workers_are_not_configured_from_here),
    ("ListTaskQueuePartitions", task_queues::partitions_are_listed),
    ("UpdateTaskQueueConfig", task_queues::a_queue_is_configured),
    ("StartActivityExecution", standalone_activities::an_activity_runs_and_its_outcome_is_kept),
    ("DescribeActivityExecution", standalone_activities::an_activity_runs_and_its_outcome_is_kept),
    ("PollActivityExecution", standalone_activities::waits_end_with_the_change_or_in_time_with_nothing),
    (
        "RequestCancelActivityExecution",
        standalone_activities::cancellation_is_asked_for_once_and_confirmed_by_the_worker,
    ),
    ("TerminateActivityExecution", standalone_activities::termination_and_deletion),
    ("DeleteActivityExecution", standalone_activities::termination_and_deletion),
    ("GetClusterInfo", cluster::the_cluster_tells_about_itself),
    ("GetSystemInfo", cluster::the_system_says_what_it_can_do),
    ("UpdateActivityOptions", activity_operations::an_activity_moves_to_another_queue),
    ("PauseActivity", activity_operations::an_activity_is_paused_and_goes_on),
    ("UnpauseActivity", activity_operations::an_activity_is_paused_and_goes_on),
    ("ResetActivity", activity_operations::an_activity_is_reset),
    ("PauseActivityExecution", activity_operations::the_newer_calls_do_the_same),
    ("UnpauseActivityExecution", activity_operations::the_newer_calls_do_the_same),
    ("ResetActivityExecution", activity_operations::the_newer_calls_do_the_same),
    ("UpdateActivityExecutionOptions", activity_operations::the_newer_calls_do_the_same),
    ("CreateWorkflowRule", workflow_rules::rules_are_made_read_and_deleted),
    ("DescribeWorkflowRule", workflow_rules::rules_are_made_read_and_deleted),
    ("DeleteWorkflowRule", workflow_rules::rules_are_made_read_and_deleted),
    ("ListWorkflowRules", workflow_rules::rules_are_made_read_and_deleted),
    ("TriggerWorkflowRule", workflow_rules::rules_are_not_supported_unless_allowed),
];

/// The same of OperatorService.
const OPERATOR: [(&str, Test); 5] = [
    ("AddSearchAttributes", lists::search_attributes_are_added_and_removed),
    ("RemoveSearchAttributes", lists::search_attributes_are_added_and_removed),
    ("ListSearchAttributes", cluster::search_attributes_are_listed),
    ("DeleteNamespace", namespace_deletion::a_namespace_goes_and_its_name_is_free),
    ("ListClusters", cluster::the_cluster_tells_about_itself),
];

#[test]
fn every_served_rpc_is_tested() {
    for (served, tested) in [(WORKFLOW_SERVED, WORKFLOW.as_slice()), (OPERATOR_SERVED, OPERATOR.as_slice())] {
        let mut served: Vec<&str> = served.to_vec();
        let mut tested: Vec<&str> = tested.iter().map(|(rpc, _)| *rpc).collect();
        served.sort_unstable();
        tested.sort_unstable();
        assert_eq!(tested, served);
    }
}
