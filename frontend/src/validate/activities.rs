//! Requests about standalone activities.

use perdure_execution::activity;
use perdure_kernel::{Limits, Namespace, ServiceResult, retry_policy};
use perdure_proto::api::workflowservice as ws;
use prost::Message;

use super::{blobs, durations, ids::is_uuid, invalid, links, priorities, task_queues};

/// Checks a start and fills in its defaults. It has a request id.
pub(crate) fn start(request: &mut ws::StartActivityExecutionRequest, namespace: &Namespace) -> ServiceResult<()> {
    let limits = &namespace.limits;
    duration("StartDelay", request.start_delay.as_mut(), limits)?;
    let delayed = request.start_delay.is_some_and(|delay| delay.seconds > 0 || delay.nanos > 0);
    if delayed && !limits.activity_start_delay {
        return Err(invalid("start_delay is not enabled for this namespace"));
    }
    task_queues::normalize_user_defined(request.task_queue.as_mut(), limits)?;
    let kind = request.activity_type.as_ref().map_or("", |kind| &kind.name);
    if request.activity_id.is_empty() {
        return Err(invalid("activityId is not set"));
    }
    if kind.is_empty() {
        return Err(invalid("activityType is not set"));
    }
    let policy = request.retry_policy.get_or_insert_default();
    retry_policy::fill_defaults(policy, &retry_policy::RetryDefaults::default());
    retry_policy::validate_and_cap(policy, limits.duration_max)?;
    length("activityId", &request.activity_id, limits)?;
    length("activityType", kind, limits)?;
    priorities::check(request.priority.as_ref()).map_err(|why| invalid(format!("invalid priorities: {why}")))?;
    duration("ScheduleToCloseTimeout", request.schedule_to_close_timeout.as_mut(), limits)?;
    duration("ScheduleToStartTimeout", request.schedule_to_start_timeout.as_mut(), limits)?;
    duration("StartToCloseTimeout", request.start_to_close_timeout.as_mut(), limits)?;
    duration("HeartbeatTimeout", request.heartbeat_timeout.as_mut(), limits)?;
    activity::fill_timeouts(request)?;
    length("request ID", &request.request_id, limits)?;
    length("identity", &request.identity, limits)?;
    if blobs::too_large(request.input.as_ref(), limits) {
        return Err(invalid("input exceeds length limit"));
    }
    if let Some(metadata) = &request.user_metadata {
        let size = |payload: Option<&perdure_proto::api::common::Payload>| payload.map_or(0, Message::encoded_len);
        let bounded = |field: &str, size: usize, max: usize| {
            if size <= max {
                return Ok(());
            }
            Err(invalid(format!("user_metadata.{field} exceeds size limit. Length={size} Limit={max}")))
        };
        bounded("summary", size(metadata.summary.as_ref()), limits.user_metadata_summary_size_max)?;
        bounded("details", size(metadata.details.as_ref()), limits.user_metadata_details_size_max)?;
    }
    perdure_kernel::search_attributes::check(request.search_attributes.as_ref(), namespace)?;
    if !request.completion_callbacks.is_empty() {
        return Err(invalid("completion callbacks are not enabled for this namespace"));
    }
    links::check(&request.links, limits)?;
    on_conflict(request)?;
    activity::check_policies(request)
}

fn on_conflict(request: &ws::StartActivityExecutionRequest) -> ServiceResult<()> {
    let Some(options) = &request.on_conflict_options else { return Ok(()) };
    if options.attach_completion_callbacks && !options.attach_request_id {
        let text = "on_conflict_options: attach_completion_callbacks requires attach_request_id to be set";
        return Err(invalid(text));
    }
    if options.attach_request_id && request.completion_callbacks.is_empty() && request.links.is_empty() {
        let text = "on_conflict_options: attach_request_id requires at least one completion callback or link";
        return Err(invalid(text));
    }
    Ok(())
}

/// The id of an activity that is there.
pub(crate) fn activity_id(id: &str, limits: &Limits) -> ServiceResult<()> {
    if id.is_empty() {
        return Err(invalid("activity ID is required"));
    }
    length("activity ID", id, limits)
}

/// A run id, which may be empty.
pub(crate) fn run_id(id: &str) -> ServiceResult<()> {
    if id.is_empty() || is_uuid(id) { Ok(()) } else { Err(invalid("invalid run id: must be a valid UUID")) }
}

/// What commands have in common, beside the activity's id.
pub(crate) fn command(request_id: &str, identity: &str, run: &str, reason: &str, limits: &Limits) -> ServiceResult<()> {
    length("request ID", request_id, limits)?;
    length("identity", identity, limits)?;
    run_id(run)?;
    if reason.len() > limits.blob_size_max {
        return Err(invalid("reason exceeds length limit"));
    }
    Ok(())
}

fn length(field: &str, value: &str, limits: &Limits) -> ServiceResult<()> {
    let (length, max) = (value.len(), limits.id_length_max);
    if length > max {
        return Err(invalid(format!("{field} exceeds length limit. Length={length} Limit={max}")));
    }
    Ok(())
}

fn duration(field: &str, value: Option<&mut perdure_proto::Duration>, limits: &Limits) -> ServiceResult<()> {
    durations::check_and_cap(value, limits).map_err(|why| invalid(format!("invalid {field}: {why}")))
}
