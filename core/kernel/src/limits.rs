//! Bounds that a client can meet, with Temporal's defaults (dynamic config keys in the field docs).

use std::time::Duration;

use crate::AllowedAddresses;

/// Limits in force for a namespace, as plain values. Sizes are bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// `frontend.WorkerHeartbeatsEnabled`
    pub worker_heartbeats: bool,
    /// Fairness weights that may be set for a task queue (default of `matching.maxFairnessKeyWeightOverrides`)
    pub fairness_weight_overrides_max: usize,
    /// `frontend.enableCancelWorkerPollsOnShutdown`
    pub cancel_polls_on_shutdown: bool,
    /// `limit.maxIDLength`
    pub id_length_max: usize,
    /// `limit.blobSize.error`
    pub blob_size_max: usize,
    /// `limit.blobSize.warn`
    pub blob_size_warn: usize,
    /// `limit.memoSize.error`
    pub memo_size_max: usize,
    /// `frontend.searchAttributesNumberOfKeysLimit`
    pub search_attribute_keys_max: usize,
    /// `frontend.searchAttributesSizeOfValueLimit`
    pub search_attribute_value_size_max: usize,
    /// `frontend.searchAttributesTotalSizeLimit`
    pub search_attribute_total_size_max: usize,
    /// `limit.userMetadataSummarySize`
    pub user_metadata_summary_size_max: usize,
    /// `limit.userMetadataDetailsSize`
    pub user_metadata_details_size_max: usize,
    /// `frontend.maxlinksPerRequest`
    pub links_per_request_max: usize,
    /// `frontend.linkMaxSize`
    pub link_size_max: usize,
    /// `callback.maxPerExecution`
    pub callbacks_per_execution_max: usize,
    /// `frontend.callbackURLMaxLength`
    pub callback_url_length_max: usize,
    /// `frontend.callbackHeaderMaxLength`
    pub callback_header_size_max: usize,
    /// `callback.allowedAddresses`
    pub callback_addresses: AllowedAddresses,
    /// `callback.retryPolicy.initialInterval`
    pub callback_retry_interval_initial: Duration,
    /// `callback.retryPolicy.maxInterval`
    pub callback_retry_interval_max: Duration,
    /// `limit.mutableStateActivityFailureSize.error`
    pub activity_failure_size_max: usize,
    /// `limit.historySize.suggestContinueAsNew`
    pub history_size_suggest: usize,
    /// `limit.historySize.error`
    pub history_size_max: usize,
    /// `limit.historyCount.suggestContinueAsNew`
    pub history_count_suggest: usize,
    /// `limit.historyCount.error`
    pub history_count_max: usize,
    /// `limit.mutableStateSize.error`
    pub mutable_state_size_max: usize,
    /// `limit.numPendingActivities.error`
    pub pending_activities_max: usize,
    /// `limit.numPendingChildExecutions.error`; 0 is no limit
    pub pending_children_max: usize,
    /// `limit.numPendingSignals.error`; 0 is no limit
    pub pending_external_signals_max: usize,
    /// `limit.numPendingCancelRequests.error`; 0 is no limit
    pub pending_external_cancels_max: usize,
    /// `history.maximumSignalsPerExecution`; 0 is no limit
    pub signals_per_execution_max: usize,
    /// `history.maximumBufferedEventsBatch`
    pub buffered_events_max: usize,
    /// `history.maximumBufferedEventsSizeInBytes`
    pub buffered_events_size_max: usize,
    /// `history.MaxBufferedQueryCount`
    pub buffered_queries_max: usize,
    /// `history.maxInFlightUpdates`; 0 is no limit
    pub updates_in_flight_max: usize,
    /// `history.maxInFlightUpdatePayloads`; 0 is no limit
    pub updates_in_flight_size_max: usize,
    /// `history.maxTotalUpdates`; 0 is no limit
    pub updates_total_max: usize,
    /// Updates of a run from which on workers are told to continue as new: `history.maxTotalUpdates` times
    /// `history.maxTotalUpdates.suggestContinueAsNewThreshold`, rounded up; 0 is never
    pub updates_total_suggest: usize,
    /// `history.discardSpeculativeWorkflowTaskMaximumEventsCount`
    pub speculative_task_events_max: usize,
    /// `history.historyMaxAutoResetPoints`
    pub auto_reset_points_max: usize,
    /// Events of one page of history (hard bound of `frontend.historyMaxPageSize`)
    pub history_page_size_max: usize,
    /// `frontend.visibilityMaxPageSize`
    pub visibility_page_size_max: usize,
    /// `history.defaultWorkflowTaskTimeout`
    pub workflow_task_timeout_default: Duration,
    /// Longest workflow task timeout that a client may ask for
    pub workflow_task_timeout_max: Duration,
    /// `history.workflowTaskHeartbeatTimeout`
    pub workflow_task_heartbeat_max: Duration,
    /// `history.workflowTaskRetryMaxInterval`
    pub workflow_task_retry_interval_max: Duration,
    /// `history.workflowIdReuseMinimalInterval`
    pub id_reuse_interval_min: Duration,
    /// `history.longPollExpirationInterval`
    pub history_long_poll: Duration,
    /// `matching.longPollExpirationInterval`
    pub task_long_poll: Duration,
    /// `history.retentionTimerJitterDuration`
    pub retention_jitter_max: Duration,
    /// `system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute`; 0 is never
    pub workflow_task_problems_to_report: i32,
    /// `frontend.workflowRulesAPIsEnabled`
    pub workflow_rules: bool,
    /// `frontend.maxWorkflowRulesPerNamespace`
    pub workflow_rules_max: usize,
    /// `system.enableEagerWorkflowStart`
    pub eager_workflow_start: bool,
    /// `system.enableActivityEagerExecution`
    pub eager_activities: bool,
    /// `frontend.WorkflowPauseEnabled`
    pub workflow_pause: bool,
    /// `system.enableCrossNamespaceCommands`
    pub cross_namespace_commands: bool,
    /// `history.parentClosePolicyThreshold`: a parent with so many children closes them under another identity
    pub parent_close_policy_threshold: usize,
    /// `activity.enableStandalone`
    pub standalone_activities: bool,
    /// `activity.startDelayEnabled`
    pub activity_start_delay: bool,
    /// `history.enableStandaloneActivityOperatorCommands`
    pub activity_operator_commands: bool,
    /// `activity.longPollTimeout`
    pub activity_long_poll: Duration,
    /// `chasm.maxLinksPerComponent`
    pub links_per_activity_max: usize,
    /// Longest duration kept as given; longer ones are cut to it without an error
    pub duration_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * 1024;
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            worker_heartbeats: true,
            fairness_weight_overrides_max: 1000,
            cancel_polls_on_shutdown: false,
            id_length_max: 1000,
            blob_size_max: 2 * MIB,
            blob_size_warn: 512 * KIB,
            memo_size_max: 2 * MIB,
            search_attribute_keys_max: 100,
            search_attribute_value_size_max: 2 * KIB,
            search_attribute_total_size_max: 40 * KIB,
            user_metadata_summary_size_max: 400,
            user_metadata_details_size_max: 20_000,
            links_per_request_max: 10,
            link_size_max: 4000,
            callbacks_per_execution_max: 2000,
            callback_url_length_max: 1000,
            callback_header_size_max: 8192,
            callback_addresses: AllowedAddresses::default(),
            callback_retry_interval_initial: Duration::from_secs(1),
            callback_retry_interval_max: Duration::from_secs(3600),
            activity_failure_size_max: 4 * KIB,
            history_size_suggest: 4 * MIB,
            history_size_max: 50 * MIB,
            history_count_suggest: 4096,
            history_count_max: 51_200,
            mutable_state_size_max: 8 * MIB,
            pending_activities_max: 2000,
            pending_children_max: 2000,
            pending_external_signals_max: 2000,
            pending_external_cancels_max: 2000,
            signals_per_execution_max: 10_000,
            buffered_events_max: 100,
            buffered_events_size_max: 2 * MIB,
            buffered_queries_max: 1,
            updates_in_flight_max: 10,
            updates_in_flight_size_max: 20 * MIB,
            updates_total_max: 2000,
            updates_total_suggest: 1800,
            speculative_task_events_max: 10,
            auto_reset_points_max: 20,
            history_page_size_max: 256,
            visibility_page_size_max: 1000,
            workflow_task_timeout_default: Duration::from_secs(10),
            workflow_task_timeout_max: Duration::from_secs(120),
            workflow_task_heartbeat_max: Duration::from_secs(30 * 60),
            workflow_task_retry_interval_max: Duration::from_secs(10 * 60),
            id_reuse_interval_min: Duration::from_secs(1),
            history_long_poll: Duration::from_secs(20),
            task_long_poll: Duration::from_secs(60),
            retention_jitter_max: Duration::from_secs(30 * 60),
            workflow_task_problems_to_report: 5,
            workflow_rules: false,
            workflow_rules_max: 10,
            eager_workflow_start: true,
            eager_activities: true,
            workflow_pause: false,
            cross_namespace_commands: false,
            parent_close_policy_threshold: 10,
            standalone_activities: true,
            activity_start_delay: true,
            activity_operator_commands: false,
            activity_long_poll: Duration::from_secs(60),
            links_per_activity_max: 2000,
            duration_max: 100 * 365 * DAY,
        }
    }
}
