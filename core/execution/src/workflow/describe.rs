//! A run as `DescribeWorkflowExecution` tells of it.

use perdure_kernel::{Namespace, Timestamp, time::nanos_to_proto};
use perdure_proto::{
    api::{
        common::WorkflowExecution,
        enums::{CallbackState, EventType, PendingWorkflowTaskState, TaskQueueKind},
        taskqueue::TaskQueue,
        workflow::{
            CallbackInfo, PendingChildExecutionInfo, PendingWorkflowTaskInfo, RequestIdInfo, ResetPoints,
            WorkflowExecutionConfig, WorkflowExecutionExtendedInfo, WorkflowExecutionInfo,
            WorkflowExecutionVersioningInfo,
            callback_info::{self, UpdateWorkflowExecutionCompleted, WorkflowClosed, trigger::Variant as Trigger},
        },
        workflowservice::DescribeWorkflowExecutionResponse,
    },
    records,
};

use super::{
    callbacks::CallbackId, describe_activity::pending_activities, options::with_deprecated_fields,
    server_attributes::search_attributes, state::WorkflowState,
};

/// The whole description of a run of `namespace`.
pub fn describe(state: &WorkflowState, namespace: &Namespace) -> DescribeWorkflowExecutionResponse {
    DescribeWorkflowExecutionResponse {
        execution_config: Some(config(state)),
        workflow_execution_info: Some(info(state)),
        pending_activities: pending_activities(state, namespace),
        pending_children: state.children.values().map(|child| pending_child(child)).collect(),
        pending_workflow_task: state.task().filter(|_| state.is_open()).map(pending_task),
        workflow_extended_info: Some(extended_info(state)),
        callbacks: state.callbacks.iter().map(|(id, callback)| callback_info(state, id, callback)).collect(),
        ..Default::default()
    }
}

/// What Temporal shows for a time that never comes: the first instant of year 1.
const NEVER: perdure_proto::Timestamp = perdure_proto::Timestamp { seconds: -62_135_596_800, nanos: 0 };

fn config(state: &WorkflowState) -> WorkflowExecutionConfig {
    WorkflowExecutionConfig {
        task_queue: Some(TaskQueue {
            name: state.task_queue().to_owned(),
            kind: TaskQueueKind::Normal.into(),
            normal_name: String::new(),
        }),
        workflow_execution_timeout: state.start.workflow_execution_timeout,
        workflow_run_timeout: state.start.workflow_run_timeout,
        default_workflow_task_timeout: state.start.workflow_task_timeout,
        user_metadata: state.record.user_metadata.clone(),
    }
}

fn info(state: &WorkflowState) -> WorkflowExecutionInfo {
    let record = &state.record;
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let execution =
        || WorkflowExecution { workflow_id: state.workflow_id().to_owned(), run_id: state.run_id().to_owned() };
    let closed = !state.is_open();
    let duration = Timestamp::from_nanos(record.close_time).nanos_since(Timestamp::from_nanos(record.execution_time));
    WorkflowExecutionInfo {
        execution: Some(execution()),
        r#type: state.start.workflow_type.clone(),
        start_time: at(record.start_time),
        close_time: at(record.close_time),
        status: record.status,
        history_length: state.next_event_id() - 1,
        parent_namespace_id: state.start.parent_workflow_namespace_id.clone(),
        parent_execution: state.start.parent_workflow_execution.clone(),
        execution_time: at(record.execution_time),
        memo: Some((*state.memo).clone()),
        search_attributes: Some((*search_attributes(state)).clone()),
        auto_reset_points: (!record.auto_reset_points.is_empty())
            .then(|| ResetPoints { points: record.auto_reset_points.clone() }),
        task_queue: state.task_queue().to_owned(),
        state_transition_count: state.volatile.run.state_transitions,
        history_size_bytes: record.history_size,
        most_recent_worker_version_stamp: record.most_recent_worker_version.clone(),
        execution_duration: (closed && duration != 0).then(|| nanos_to_proto(duration)),
        root_execution: Some(state.start.root_workflow_execution.clone().unwrap_or_else(execution)),
        first_run_id: state.first_run_id().to_owned(),
        priority: state.priority().cloned(),
        versioning_info: versioning_info(state),
        ..Default::default()
    }
}

/// What overrides the version of the run's worker; there is nothing else about versions to tell.
fn versioning_info(state: &WorkflowState) -> Option<WorkflowExecutionVersioningInfo> {
    let given = state.versioning_override();
    (given.is_some() || state.record.options.is_some()).then(|| WorkflowExecutionVersioningInfo {
        versioning_override: given.map(with_deprecated_fields),
        ..Default::default()
    })
}

fn extended_info(state: &WorkflowState) -> WorkflowExecutionExtendedInfo {
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let info = |event_type: i32, event_id: i64| RequestIdInfo { event_type, event_id, buffered: event_id == 0 };
    let started = info(EventType::WorkflowExecutionStarted.into(), 1);
    let attached = state.attached_requests.iter();
    let attached = attached.map(|(id, request)| (id.clone(), info(request.event_type, request.event_id)));
    let create = state.volatile.run.create_request_id.clone();
    let reset = state.record.reset.as_ref();
    WorkflowExecutionExtendedInfo {
        execution_expiration_time: at(state.record.execution_expires_at),
        run_expiration_time: Some(at(state.record.run_expires_at).unwrap_or(NEVER)),
        cancel_requested: state.record.cancel_requested || state.volatile.run.cancel_buffered,
        original_start_time: at(reset.map_or(state.record.start_time, |reset| reset.original_start_time)),
        last_reset_time: at(reset.map_or(0, |reset| reset.reset_time)),
        reset_run_id: state.volatile.run.reset_run_id.clone(),
        pause_info: state.pause_info(),
        request_id_infos: attached.chain([(create, started)]).collect(),
        ..Default::default()
    }
}

fn callback_info(state: &WorkflowState, id: &CallbackId, callback: &records::CompletionCallback) -> CallbackInfo {
    let trigger = if callback.update_id.is_empty() {
        Trigger::WorkflowClosed(WorkflowClosed {})
    } else {
        let update_id = callback.update_id.clone();
        Trigger::UpdateWorkflowExecutionCompleted(UpdateWorkflowExecutionCompleted { update_id })
    };
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let standing_by = CallbackInfo {
        callback: callback.callback.clone(),
        trigger: Some(callback_info::Trigger { variant: Some(trigger) }),
        registration_time: at(callback.registered_at),
        state: CallbackState::Standby.into(),
        ..Default::default()
    };
    match state.volatile.callbacks.get(id) {
        None => standing_by,
        Some(progress) => CallbackInfo {
            state: progress.state,
            attempt: progress.attempt,
            last_attempt_complete_time: at(progress.last_attempt_complete_time),
            last_attempt_failure: progress.last_attempt_failure.clone(),
            next_attempt_schedule_time: at(progress.next_attempt_time),
            ..standing_by
        },
    }
}

fn pending_task(task: &records::WorkflowTask) -> PendingWorkflowTaskInfo {
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let state =
        if task.started_time == 0 { PendingWorkflowTaskState::Scheduled } else { PendingWorkflowTaskState::Started };
    PendingWorkflowTaskInfo {
        state: state.into(),
        scheduled_time: at(task.scheduled_time),
        original_scheduled_time: at(task.original_scheduled_time),
        started_time: at(task.started_time),
        attempt: task.attempt,
    }
}

fn pending_child(child: &records::PendingChild) -> PendingChildExecutionInfo {
    PendingChildExecutionInfo {
        workflow_id: child.workflow_id.clone(),
        run_id: child.started_run_id.clone(),
        workflow_type_name: child.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        initiated_id: child.initiated_event_id,
        parent_close_policy: child.parent_close_policy,
    }
}
