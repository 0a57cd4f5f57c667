//! Requests that start workflows.

use perdure_kernel::{Limits, Namespace, ServiceResult, Timestamp, cron::CronSchedule, retry_policy};
use perdure_proto::{
    Duration,
    api::{
        common::RetryPolicy,
        enums::{WorkflowIdConflictPolicy as Conflict, WorkflowIdReusePolicy as Reuse},
        workflowservice as ws,
    },
};

use super::{blobs, callbacks, durations, ids, invalid, links, priorities, task_queues, time_skipping};

/// What the checks look at beside the request.
pub(crate) struct Rules<'a> {
    /// The namespace the workflow starts in.
    pub(crate) namespace: &'a Namespace,
    /// The present instant.
    pub(crate) now: Timestamp,
    /// Makes the request id of a request that has none.
    pub(crate) fresh_id: &'a dyn Fn() -> String,
}

/// Checks a start and fills in its defaults.
pub(crate) fn start(request: &mut ws::StartWorkflowExecutionRequest, rules: &Rules<'_>) -> ServiceResult<()> {
    let limits = &rules.namespace.limits;
    fill_policies(&mut request.workflow_id_reuse_policy, &mut request.workflow_id_conflict_policy, Conflict::Fail);
    ids::new_workflow_id(&request.workflow_id, limits)?;
    retry_policy_of(request.retry_policy.as_mut(), limits)?;
    start_delay(&request.cron_schedule, request.workflow_start_delay.as_mut(), limits)?;
    cron(&request.cron_schedule, rules)?;
    let type_name = request.workflow_type.as_ref().map_or("", |workflow_type| &workflow_type.name);
    if type_name.is_empty() {
        return Err(invalid("WorkflowType is not set on request."));
    }
    if type_name.len() > limits.id_length_max {
        return Err(invalid("WorkflowType length exceeds limit."));
    }
    task_queues::normalize_user_defined(request.task_queue.as_mut(), limits)?;
    timeouts(
        [
            ("Execution", request.workflow_execution_timeout.as_mut()),
            ("Run", request.workflow_run_timeout.as_mut()),
            ("Task", request.workflow_task_timeout.as_mut()),
        ],
        limits,
    )?;
    if request.request_id.is_empty() {
        request.request_id = (rules.fresh_id)();
    }
    ids::request_id(&request.request_id, limits)?;
    check_policies(request.workflow_id_reuse_policy, request.workflow_id_conflict_policy)?;
    if request.on_conflict_options.is_some_and(|on| on.attach_completion_callbacks && !on.attach_request_id) {
        return Err(invalid("attaching request ID is required for attaching completion callbacks"));
    }
    perdure_kernel::search_attributes::check(request.search_attributes.as_ref(), rules.namespace)?;
    priorities::check(request.priority.as_ref())?;
    callbacks::check(&mut request.completion_callbacks, limits)?;
    callbacks::check_links(&mut request.links, &request.completion_callbacks, limits)?;
    time_skipping::check(request.time_skipping_config.as_ref())?;
    blobs::check(request.input.as_ref(), limits)?;
    blobs::check_memo(request.memo.as_ref(), limits)
}

/// Checks a signal that may start a workflow, and fills in its defaults.
pub(crate) fn signal_with_start(
    request: &mut ws::SignalWithStartWorkflowExecutionRequest,
    rules: &Rules<'_>,
) -> ServiceResult<()> {
    let limits = &rules.namespace.limits;
    cron(&request.cron_schedule, rules)?;
    ids::new_workflow_id(&request.workflow_id, limits)?;
    if request.signal_name.is_empty() {
        return Err(invalid("signal not set"));
    }
    length("signal name", &request.signal_name, limits)?;
    let type_name = request.workflow_type.as_ref().map_or("", |workflow_type| &workflow_type.name);
    if type_name.is_empty() {
        return Err(invalid("workflow type not set"));
    }
    length("workflow type name", type_name, limits)?;
    task_queues::normalize_user_defined(request.task_queue.as_mut(), limits)?;
    if request.request_id.is_empty() {
        request.request_id = (rules.fresh_id)();
    }
    length("Request ID", &request.request_id, limits)?;
    timeouts(
        [
            ("Execution", request.workflow_execution_timeout.as_mut()),
            ("Run", request.workflow_run_timeout.as_mut()),
            ("Task", request.workflow_task_timeout.as_mut()),
        ],
        limits,
    )?;
    retry_policy_of(request.retry_policy.as_mut(), limits)?;
    start_delay(&request.cron_schedule, request.workflow_start_delay.as_mut(), limits)?;
    check_policies(request.workflow_id_reuse_policy, request.workflow_id_conflict_policy)?;
    if request.workflow_id_conflict_policy == i32::from(Conflict::Fail) {
        return Err(invalid(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this operation.",
        ));
    }
    fill_policies(
        &mut request.workflow_id_reuse_policy,
        &mut request.workflow_id_conflict_policy,
        Conflict::UseExisting,
    );
    perdure_kernel::search_attributes::check(request.search_attributes.as_ref(), rules.namespace)?;
    priorities::check(request.priority.as_ref())?;
    links::check(&request.links, limits)?;
    time_skipping::check(request.time_skipping_config.as_ref())?;
    blobs::check(request.input.as_ref(), limits)?;
    blobs::check_memo(request.memo.as_ref(), limits)?;
    blobs::check(request.signal_input.as_ref(), limits)
}

/// Unset policies become their defaults; the old way to say "terminate the running one" becomes the new.
fn fill_policies(reuse: &mut i32, conflict: &mut i32, conflict_default: Conflict) {
    if *conflict == i32::from(Conflict::Unspecified) {
        #[expect(deprecated, reason = "clients may still send it")]
        let terminate_if_running = i32::from(Reuse::TerminateIfRunning);
        if *reuse == terminate_if_running {
            *conflict = Conflict::TerminateExisting.into();
            *reuse = Reuse::AllowDuplicate.into();
        } else {
            *conflict = conflict_default.into();
        }
    }
    if *reuse == i32::from(Reuse::Unspecified) {
        *reuse = Reuse::AllowDuplicate.into();
    }
}

fn check_policies(reuse: i32, conflict: i32) -> ServiceResult<()> {
    #[expect(deprecated, reason = "clients may still send it")]
    let terminate_if_running = i32::from(Reuse::TerminateIfRunning);
    if conflict != i32::from(Conflict::Unspecified) && reuse == terminate_if_running {
        return Err(invalid(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with a \
             WorkflowIDConflictPolicy",
        ));
    }
    if conflict == i32::from(Conflict::TerminateExisting) && reuse == i32::from(Reuse::RejectDuplicate) {
        return Err(invalid(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with \
             WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
        ));
    }
    Ok(())
}

fn retry_policy_of(policy: Option<&mut RetryPolicy>, limits: &Limits) -> ServiceResult<()> {
    let Some(policy) = policy else { return Ok(()) };
    retry_policy::fill_defaults(policy, &retry_policy::RetryDefaults::default());
    retry_policy::validate_and_cap(policy, limits.duration_max)
}

fn start_delay(cron: &str, delay: Option<&mut Duration>, limits: &Limits) -> ServiceResult<()> {
    if !cron.is_empty() && delay.is_some() {
        return Err(invalid("CronSchedule and WorkflowStartDelay may not be used together."));
    }
    durations::check_and_cap(delay, limits)
        .map_err(|cause| invalid(format!("An invalid WorkflowStartDelaySeconds is set on request. cause: {cause}")))
}

fn cron(schedule: &str, rules: &Rules<'_>) -> ServiceResult<()> {
    CronSchedule::for_workflow(schedule, rules.now)?;
    Ok(())
}

fn timeouts(timeouts: [(&str, Option<&mut Duration>); 3], limits: &Limits) -> ServiceResult<()> {
    for (kind, timeout) in timeouts {
        durations::check_and_cap(timeout, limits).map_err(|cause| {
            invalid(format!("An invalid Workflow{kind}TimeoutSeconds is set on request. cause: {cause}"))
        })?;
    }
    Ok(())
}

fn length(field: &str, value: &str, limits: &Limits) -> ServiceResult<()> {
    let (length, max) = (value.len(), limits.id_length_max);
    if length > max {
        return Err(invalid(format!("{field} exceeds maximum allowed length ({length}/{max})")));
    }
    Ok(())
}
