//! Every RPC of the service, one line each.

use std::sync::Arc;

use perdure_proto::{
    api::workflowservice as ws, temporal::api::workflowservice::v1::workflow_service_server::WorkflowService,
};

use super::{
    activities, activity_operations, cluster, executions, histories, namespaces, polls, queries, standalone_activities,
    starts, task_queues, updates, visibility, workers, workflow_rules, workflow_tasks,
};
use crate::{call::Shared, service::service};

/// The service's server side.
#[derive(Clone)]
pub(crate) struct Workflow(pub(crate) Arc<Shared>);

service! {
    impl WorkflowService for Workflow {
        served {
            RegisterNamespace: register_namespace(ws::RegisterNamespaceRequest) -> ws::RegisterNamespaceResponse = namespaces::register_namespace;
            DescribeNamespace: describe_namespace(ws::DescribeNamespaceRequest) -> ws::DescribeNamespaceResponse = namespaces::describe_namespace;
            ListNamespaces: list_namespaces(ws::ListNamespacesRequest) -> ws::ListNamespacesResponse = namespaces::list_namespaces;
            UpdateNamespace: update_namespace(ws::UpdateNamespaceRequest) -> ws::UpdateNamespaceResponse = namespaces::update_namespace;
            DeprecateNamespace: deprecate_namespace(ws::DeprecateNamespaceRequest) -> ws::DeprecateNamespaceResponse = namespaces::deprecate_namespace;
            StartWorkflowExecution: start_workflow_execution(ws::StartWorkflowExecutionRequest) -> ws::StartWorkflowExecutionResponse = starts::start_workflow_execution;
            GetWorkflowExecutionHistory: get_workflow_execution_history(ws::GetWorkflowExecutionHistoryRequest) -> ws::GetWorkflowExecutionHistoryResponse = histories::get_workflow_execution_history;
            GetWorkflowExecutionHistoryReverse: get_workflow_execution_history_reverse(ws::GetWorkflowExecutionHistoryReverseRequest) -> ws::GetWorkflowExecutionHistoryReverseResponse = histories::get_workflow_execution_history_reverse;
            PollWorkflowTaskQueue: poll_workflow_task_queue(ws::PollWorkflowTaskQueueRequest) -> ws::PollWorkflowTaskQueueResponse = polls::poll_workflow_task_queue;
            RespondWorkflowTaskCompleted: respond_workflow_task_completed(ws::RespondWorkflowTaskCompletedRequest) -> ws::RespondWorkflowTaskCompletedResponse = workflow_tasks::respond_workflow_task_completed;
            RespondWorkflowTaskFailed: respond_workflow_task_failed(ws::RespondWorkflowTaskFailedRequest) -> ws::RespondWorkflowTaskFailedResponse = workflow_tasks::respond_workflow_task_failed;
            PollActivityTaskQueue: poll_activity_task_queue(ws::PollActivityTaskQueueRequest) -> ws::PollActivityTaskQueueResponse = polls::poll_activity_task_queue;
            RecordActivityTaskHeartbeat: record_activity_task_heartbeat(ws::RecordActivityTaskHeartbeatRequest) -> ws::RecordActivityTaskHeartbeatResponse = activities::record_activity_task_heartbeat;
            RecordActivityTaskHeartbeatById: record_activity_task_heartbeat_by_id(ws::RecordActivityTaskHeartbeatByIdRequest) -> ws::RecordActivityTaskHeartbeatByIdResponse = activities::record_activity_task_heartbeat_by_id;
            RespondActivityTaskCompleted: respond_activity_task_completed(ws::RespondActivityTaskCompletedRequest) -> ws::RespondActivityTaskCompletedResponse = activities::respond_activity_task_completed;
            RespondActivityTaskCompletedById: respond_activity_task_completed_by_id(ws::RespondActivityTaskCompletedByIdRequest) -> ws::RespondActivityTaskCompletedByIdResponse = activities::respond_activity_task_completed_by_id;
            RespondActivityTaskFailed: respond_activity_task_failed(ws::RespondActivityTaskFailedRequest) -> ws::RespondActivityTaskFailedResponse = activities::respond_activity_task_failed;
            RespondActivityTaskFailedById: respond_activity_task_failed_by_id(ws::RespondActivityTaskFailedByIdRequest) -> ws::RespondActivityTaskFailedByIdResponse = activities::respond_activity_task_failed_by_id;
            RespondActivityTaskCanceled: respond_activity_task_canceled(ws::RespondActivityTaskCanceledRequest) -> ws::RespondActivityTaskCanceledResponse = activities::respond_activity_task_canceled;
            RespondActivityTaskCanceledById: respond_activity_task_canceled_by_id(ws::RespondActivityTaskCanceledByIdRequest) -> ws::RespondActivityTaskCanceledByIdResponse = activities::respond_activity_task_canceled_by_id;
            RequestCancelWorkflowExecution: request_cancel_workflow_execution(ws::RequestCancelWorkflowExecutionRequest) -> ws::RequestCancelWorkflowExecutionResponse = executions::request_cancel_workflow_execution;
            SignalWorkflowExecution: signal_workflow_execution(ws::SignalWorkflowExecutionRequest) -> ws::SignalWorkflowExecutionResponse = executions::signal_workflow_execution;
            SignalWithStartWorkflowExecution: signal_with_start_workflow_execution(ws::SignalWithStartWorkflowExecutionRequest) -> ws::SignalWithStartWorkflowExecutionResponse = starts::signal_with_start_workflow_execution;
            TerminateWorkflowExecution: terminate_workflow_execution(ws::TerminateWorkflowExecutionRequest) -> ws::TerminateWorkflowExecutionResponse = executions::terminate_workflow_execution;
            ResetWorkflowExecution: reset_workflow_execution(ws::ResetWorkflowExecutionRequest) -> ws::ResetWorkflowExecutionResponse = executions::reset_workflow_execution;
            DeleteWorkflowExecution: delete_workflow_execution(ws::DeleteWorkflowExecutionRequest) -> ws::DeleteWorkflowExecutionResponse = executions::delete_workflow_execution;
            UpdateWorkflowExecutionOptions: update_workflow_execution_options(ws::UpdateWorkflowExecutionOptionsRequest) -> ws::UpdateWorkflowExecutionOptionsResponse = executions::update_workflow_execution_options;
            PauseWorkflowExecution: pause_workflow_execution(ws::PauseWorkflowExecutionRequest) -> ws::PauseWorkflowExecutionResponse = executions::pause_workflow_execution;
            UnpauseWorkflowExecution: unpause_workflow_execution(ws::UnpauseWorkflowExecutionRequest) -> ws::UnpauseWorkflowExecutionResponse = executions::unpause_workflow_execution;
            ListOpenWorkflowExecutions: list_open_workflow_executions(ws::ListOpenWorkflowExecutionsRequest) -> ws::ListOpenWorkflowExecutionsResponse = visibility::list_open_workflow_executions;
            ListClosedWorkflowExecutions: list_closed_workflow_executions(ws::ListClosedWorkflowExecutionsRequest) -> ws::ListClosedWorkflowExecutionsResponse = visibility::list_closed_workflow_executions;
            ListWorkflowExecutions: list_workflow_executions(ws::ListWorkflowExecutionsRequest) -> ws::ListWorkflowExecutionsResponse = visibility::list_workflow_executions;
            ListArchivedWorkflowExecutions: list_archived_workflow_executions(ws::ListArchivedWorkflowExecutionsRequest) -> ws::ListArchivedWorkflowExecutionsResponse = visibility::list_archived_workflow_executions;
            ScanWorkflowExecutions: scan_workflow_executions(ws::ScanWorkflowExecutionsRequest) -> ws::ScanWorkflowExecutionsResponse = visibility::scan_workflow_executions;
            CountWorkflowExecutions: count_workflow_executions(ws::CountWorkflowExecutionsRequest) -> ws::CountWorkflowExecutionsResponse = visibility::count_workflow_executions;
            ListActivityExecutions: list_activity_executions(ws::ListActivityExecutionsRequest) -> ws::ListActivityExecutionsResponse = visibility::list_activity_executions;
            CountActivityExecutions: count_activity_executions(ws::CountActivityExecutionsRequest) -> ws::CountActivityExecutionsResponse = visibility::count_activity_executions;
            GetSearchAttributes: get_search_attributes(ws::GetSearchAttributesRequest) -> ws::GetSearchAttributesResponse = cluster::get_search_attributes;
            RespondQueryTaskCompleted: respond_query_task_completed(ws::RespondQueryTaskCompletedRequest) -> ws::RespondQueryTaskCompletedResponse = queries::respond_query_task_completed;
            ResetStickyTaskQueue: reset_sticky_task_queue(ws::ResetStickyTaskQueueRequest) -> ws::ResetStickyTaskQueueResponse = executions::reset_sticky_task_queue;
            ShutdownWorker: shutdown_worker(ws::ShutdownWorkerRequest) -> ws::ShutdownWorkerResponse = workers::shutdown_worker;
            QueryWorkflow: query_workflow(ws::QueryWorkflowRequest) -> ws::QueryWorkflowResponse = queries::query_workflow;
            DescribeWorkflowExecution: describe_workflow_execution(ws::DescribeWorkflowExecutionRequest) -> ws::DescribeWorkflowExecutionResponse = executions::describe_workflow_execution;
            ExecuteMultiOperation: execute_multi_operation(ws::ExecuteMultiOperationRequest) -> ws::ExecuteMultiOperationResponse = updates::execute_multi_operation;
            UpdateWorkflowExecution: update_workflow_execution(ws::UpdateWorkflowExecutionRequest) -> ws::UpdateWorkflowExecutionResponse = updates::update_workflow_execution;
            PollWorkflowExecutionUpdate: poll_workflow_execution_update(ws::PollWorkflowExecutionUpdateRequest) -> ws::PollWorkflowExecutionUpdateResponse = updates::poll_workflow_execution_update;
            DescribeTaskQueue: describe_task_queue(ws::DescribeTaskQueueRequest) -> ws::DescribeTaskQueueResponse = task_queues::describe_task_queue;
            RecordWorkerHeartbeat: record_worker_heartbeat(ws::RecordWorkerHeartbeatRequest) -> ws::RecordWorkerHeartbeatResponse = workers::record_worker_heartbeat;
            ListWorkers: list_workers(ws::ListWorkersRequest) -> ws::ListWorkersResponse = workers::list_workers;
            CountWorkers: count_workers(ws::CountWorkersRequest) -> ws::CountWorkersResponse = workers::count_workers;
            DescribeWorker: describe_worker(ws::DescribeWorkerRequest) -> ws::DescribeWorkerResponse = workers::describe_worker;
            FetchWorkerConfig: fetch_worker_config(ws::FetchWorkerConfigRequest) -> ws::FetchWorkerConfigResponse = workers::fetch_worker_config;
            UpdateWorkerConfig: update_worker_config(ws::UpdateWorkerConfigRequest) -> ws::UpdateWorkerConfigResponse = workers::update_worker_config;
            ListTaskQueuePartitions: list_task_queue_partitions(ws::ListTaskQueuePartitionsRequest) -> ws::ListTaskQueuePartitionsResponse = task_queues::list_task_queue_partitions;
            UpdateTaskQueueConfig: update_task_queue_config(ws::UpdateTaskQueueConfigRequest) -> ws::UpdateTaskQueueConfigResponse = task_queues::update_task_queue_config;
            GetClusterInfo: get_cluster_info(ws::GetClusterInfoRequest) -> ws::GetClusterInfoResponse = cluster::get_cluster_info;
            GetSystemInfo: get_system_info(ws::GetSystemInfoRequest) -> ws::GetSystemInfoResponse = cluster::get_system_info;
            StartActivityExecution: start_activity_execution(ws::StartActivityExecutionRequest) -> ws::StartActivityExecutionResponse = standalone_activities::start_activity_execution;
            DescribeActivityExecution: describe_activity_execution(ws::DescribeActivityExecutionRequest) -> ws::DescribeActivityExecutionResponse = standalone_activities::describe_activity_execution;
            PollActivityExecution: poll_activity_execution(ws::PollActivityExecutionRequest) -> ws::PollActivityExecutionResponse = standalone_activities::poll_activity_execution;
            RequestCancelActivityExecution: request_cancel_activity_execution(ws::RequestCancelActivityExecutionRequest) -> ws::RequestCancelActivityExecutionResponse = standalone_activities::request_cancel_activity_execution;
            TerminateActivityExecution: terminate_activity_execution(ws::TerminateActivityExecutionRequest) -> ws::TerminateActivityExecutionResponse = standalone_activities::terminate_activity_execution;
            DeleteActivityExecution: delete_activity_execution(ws::DeleteActivityExecutionRequest) -> ws::DeleteActivityExecutionResponse = standalone_activities::delete_activity_execution;
            UpdateActivityOptions: update_activity_options(ws::UpdateActivityOptionsRequest) -> ws::UpdateActivityOptionsResponse = activity_operations::update_activity_options;
            PauseActivity: pause_activity(ws::PauseActivityRequest) -> ws::PauseActivityResponse = activity_operations::pause_activity;
            UnpauseActivity: unpause_activity(ws::UnpauseActivityRequest) -> ws::UnpauseActivityResponse = activity_operations::unpause_activity;
            ResetActivity: reset_activity(ws::ResetActivityRequest) -> ws::ResetActivityResponse = activity_operations::reset_activity;
            PauseActivityExecution: pause_activity_execution(ws::PauseActivityExecutionRequest) -> ws::PauseActivityExecutionResponse = activity_operations::pause_activity_execution;
            UnpauseActivityExecution: unpause_activity_execution(ws::UnpauseActivityExecutionRequest) -> ws::UnpauseActivityExecutionResponse = activity_operations::unpause_activity_execution;
            ResetActivityExecution: reset_activity_execution(ws::ResetActivityExecutionRequest) -> ws::ResetActivityExecutionResponse = activity_operations::reset_activity_execution;
            UpdateActivityExecutionOptions: update_activity_execution_options(ws::UpdateActivityExecutionOptionsRequest) -> ws::UpdateActivityExecutionOptionsResponse = activity_operations::update_activity_execution_options;
            CreateWorkflowRule: create_workflow_rule(ws::CreateWorkflowRuleRequest) -> ws::CreateWorkflowRuleResponse = workflow_rules::create_workflow_rule;
            DescribeWorkflowRule: describe_workflow_rule(ws::DescribeWorkflowRuleRequest) -> ws::DescribeWorkflowRuleResponse = workflow_rules::describe_workflow_rule;
            DeleteWorkflowRule: delete_workflow_rule(ws::DeleteWorkflowRuleRequest) -> ws::DeleteWorkflowRuleResponse = workflow_rules::delete_workflow_rule;
            ListWorkflowRules: list_workflow_rules(ws::ListWorkflowRulesRequest) -> ws::ListWorkflowRulesResponse = workflow_rules::list_workflow_rules;
            TriggerWorkflowRule: trigger_workflow_rule(ws::TriggerWorkflowRuleRequest) -> ws::TriggerWorkflowRuleResponse = workflow_rules::trigger_workflow_rule;
        }
        unserved {
            CreateSchedule: create_schedule(ws::CreateScheduleRequest) -> ws::CreateScheduleResponse;
            DescribeSchedule: describe_schedule(ws::DescribeScheduleRequest) -> ws::DescribeScheduleResponse;
            UpdateSchedule: update_schedule(ws::UpdateScheduleRequest) -> ws::UpdateScheduleResponse;
            PatchSchedule: patch_schedule(ws::PatchScheduleRequest) -> ws::PatchScheduleResponse;
            ListScheduleMatchingTimes: list_schedule_matching_times(ws::ListScheduleMatchingTimesRequest) -> ws::ListScheduleMatchingTimesResponse;
            DeleteSchedule: delete_schedule(ws::DeleteScheduleRequest) -> ws::DeleteScheduleResponse;
            ListSchedules: list_schedules(ws::ListSchedulesRequest) -> ws::ListSchedulesResponse;
            CountSchedules: count_schedules(ws::CountSchedulesRequest) -> ws::CountSchedulesResponse;
            UpdateWorkerBuildIdCompatibility: update_worker_build_id_compatibility(ws::UpdateWorkerBuildIdCompatibilityRequest) -> ws::UpdateWorkerBuildIdCompatibilityResponse;
            GetWorkerBuildIdCompatibility: get_worker_build_id_compatibility(ws::GetWorkerBuildIdCompatibilityRequest) -> ws::GetWorkerBuildIdCompatibilityResponse;
            UpdateWorkerVersioningRules: update_worker_versioning_rules(ws::UpdateWorkerVersioningRulesRequest) -> ws::UpdateWorkerVersioningRulesResponse;
            GetWorkerVersioningRules: get_worker_versioning_rules(ws::GetWorkerVersioningRulesRequest) -> ws::GetWorkerVersioningRulesResponse;
            GetWorkerTaskReachability: get_worker_task_reachability(ws::GetWorkerTaskReachabilityRequest) -> ws::GetWorkerTaskReachabilityResponse;
            DescribeDeployment: describe_deployment(ws::DescribeDeploymentRequest) -> ws::DescribeDeploymentResponse;
            DescribeWorkerDeploymentVersion: describe_worker_deployment_version(ws::DescribeWorkerDeploymentVersionRequest) -> ws::DescribeWorkerDeploymentVersionResponse;
            ListDeployments: list_deployments(ws::ListDeploymentsRequest) -> ws::ListDeploymentsResponse;
            GetDeploymentReachability: get_deployment_reachability(ws::GetDeploymentReachabilityRequest) -> ws::GetDeploymentReachabilityResponse;
            GetCurrentDeployment: get_current_deployment(ws::GetCurrentDeploymentRequest) -> ws::GetCurrentDeploymentResponse;
            SetCurrentDeployment: set_current_deployment(ws::SetCurrentDeploymentRequest) -> ws::SetCurrentDeploymentResponse;
            SetWorkerDeploymentCurrentVersion: set_worker_deployment_current_version(ws::SetWorkerDeploymentCurrentVersionRequest) -> ws::SetWorkerDeploymentCurrentVersionResponse;
            DescribeWorkerDeployment: describe_worker_deployment(ws::DescribeWorkerDeploymentRequest) -> ws::DescribeWorkerDeploymentResponse;
            DeleteWorkerDeployment: delete_worker_deployment(ws::DeleteWorkerDeploymentRequest) -> ws::DeleteWorkerDeploymentResponse;
            DeleteWorkerDeploymentVersion: delete_worker_deployment_version(ws::DeleteWorkerDeploymentVersionRequest) -> ws::DeleteWorkerDeploymentVersionResponse;
            SetWorkerDeploymentRampingVersion: set_worker_deployment_ramping_version(ws::SetWorkerDeploymentRampingVersionRequest) -> ws::SetWorkerDeploymentRampingVersionResponse;
            ListWorkerDeployments: list_worker_deployments(ws::ListWorkerDeploymentsRequest) -> ws::ListWorkerDeploymentsResponse;
            CreateWorkerDeployment: create_worker_deployment(ws::CreateWorkerDeploymentRequest) -> ws::CreateWorkerDeploymentResponse;
            CreateWorkerDeploymentVersion: create_worker_deployment_version(ws::CreateWorkerDeploymentVersionRequest) -> ws::CreateWorkerDeploymentVersionResponse;
            UpdateWorkerDeploymentVersionComputeConfig: update_worker_deployment_version_compute_config(ws::UpdateWorkerDeploymentVersionComputeConfigRequest) -> ws::UpdateWorkerDeploymentVersionComputeConfigResponse;
            ValidateWorkerDeploymentVersionComputeConfig: validate_worker_deployment_version_compute_config(ws::ValidateWorkerDeploymentVersionComputeConfigRequest) -> ws::ValidateWorkerDeploymentVersionComputeConfigResponse;
            UpdateWorkerDeploymentVersionMetadata: update_worker_deployment_version_metadata(ws::UpdateWorkerDeploymentVersionMetadataRequest) -> ws::UpdateWorkerDeploymentVersionMetadataResponse;
            SetWorkerDeploymentManager: set_worker_deployment_manager(ws::SetWorkerDeploymentManagerRequest) -> ws::SetWorkerDeploymentManagerResponse;
            StartBatchOperation: start_batch_operation(ws::StartBatchOperationRequest) -> ws::StartBatchOperationResponse;
            StopBatchOperation: stop_batch_operation(ws::StopBatchOperationRequest) -> ws::StopBatchOperationResponse;
            DescribeBatchOperation: describe_batch_operation(ws::DescribeBatchOperationRequest) -> ws::DescribeBatchOperationResponse;
            ListBatchOperations: list_batch_operations(ws::ListBatchOperationsRequest) -> ws::ListBatchOperationsResponse;
            PollNexusTaskQueue: poll_nexus_task_queue(ws::PollNexusTaskQueueRequest) -> ws::PollNexusTaskQueueResponse;
            RespondNexusTaskCompleted: respond_nexus_task_completed(ws::RespondNexusTaskCompletedRequest) -> ws::RespondNexusTaskCompletedResponse;
            RespondNexusTaskFailed: respond_nexus_task_failed(ws::RespondNexusTaskFailedRequest) -> ws::RespondNexusTaskFailedResponse;
            StartNexusOperationExecution: start_nexus_operation_execution(ws::StartNexusOperationExecutionRequest) -> ws::StartNexusOperationExecutionResponse;
            DescribeNexusOperationExecution: describe_nexus_operation_execution(ws::DescribeNexusOperationExecutionRequest) -> ws::DescribeNexusOperationExecutionResponse;
            PollNexusOperationExecution: poll_nexus_operation_execution(ws::PollNexusOperationExecutionRequest) -> ws::PollNexusOperationExecutionResponse;
            ListNexusOperationExecutions: list_nexus_operation_executions(ws::ListNexusOperationExecutionsRequest) -> ws::ListNexusOperationExecutionsResponse;
            CountNexusOperationExecutions: count_nexus_operation_executions(ws::CountNexusOperationExecutionsRequest) -> ws::CountNexusOperationExecutionsResponse;
            RequestCancelNexusOperationExecution: request_cancel_nexus_operation_execution(ws::RequestCancelNexusOperationExecutionRequest) -> ws::RequestCancelNexusOperationExecutionResponse;
            TerminateNexusOperationExecution: terminate_nexus_operation_execution(ws::TerminateNexusOperationExecutionRequest) -> ws::TerminateNexusOperationExecutionResponse;
            DeleteNexusOperationExecution: delete_nexus_operation_execution(ws::DeleteNexusOperationExecutionRequest) -> ws::DeleteNexusOperationExecutionResponse;
            PollWorkflowExecutionTimeSkipping: poll_workflow_execution_time_skipping(ws::PollWorkflowExecutionTimeSkippingRequest) -> ws::PollWorkflowExecutionTimeSkippingResponse;
        }
    }
}
