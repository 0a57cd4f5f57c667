//! Options of a child: checked, and filled in where the worker left them out.

use perdure_kernel::{Limits, Namespace, ServiceError, Timestamp, cron::CronSchedule, retry_policy};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        command::StartChildWorkflowExecutionCommandAttributes,
        enums::{TaskQueueKind, WorkflowTaskFailedCause},
        taskqueue::TaskQueue,
    },
};

use super::{CommandFailure, Outcome, child::CAUSE, duration};
use crate::workflow::{apply::event_span, priority, start::run_timeout};

/// Prefix of queue names that users may not use.
const SYSTEM_QUEUE_PREFIX: &str = "/_sys/";

/// Begins the names of queues that the server's own per-namespace workers poll.
const PER_NAMESPACE_PREFIX: &str = "temporal-sys-per-ns-";

/// Checks the command in the order in which Temporal does, and completes it. `target` is the child's
/// namespace, `limits` are the parent's.
pub(super) fn fill_and_validate(
    command: &mut StartChildWorkflowExecutionCommandAttributes,
    target: &Namespace,
    parent_queue: &str,
    limits: &Limits,
    now: Timestamp,
) -> Outcome {
    let what = "StartChildWorkflowExecutionCommand";
    let id = command.workflow_id.clone();
    let kind = command.workflow_type.as_ref().map_or("", |kind| &kind.name).to_owned();
    let namespace = command.namespace.clone();
    let refused = |text: String| CommandFailure::fail(CAUSE, text);
    if id.is_empty() {
        return Err(refused(format!(
            "Required field WorkflowId is not set on {what}. WorkflowType={kind} Namespace={namespace}"
        )));
    }
    if kind.is_empty() {
        return Err(refused(format!(
            "Required field WorkflowType is not set on {what}. WorkflowId={id} Namespace={namespace}"
        )));
    }
    let max = limits.id_length_max;
    if namespace.len() > max {
        return Err(refused(format!(
            "Namespace on {what} exceeds length limit. WorkflowId={id} WorkflowType={kind} Namespace={namespace} Length={} Limit={max}",
            namespace.len()
        )));
    }
    if id.len() > max {
        return Err(refused(format!(
            "WorkflowId on {what} exceeds length limit. WorkflowId={id} Length={} Limit={max} WorkflowType={kind} Namespace={namespace}",
            id.len()
        )));
    }
    if kind.len() > max {
        return Err(refused(format!(
            "WorkflowType on {what} exceeds length limit. WorkflowId={id} WorkflowType={kind} Length={} Limit={max} Namespace={namespace}",
            kind.len()
        )));
    }
    let names = format!("WorkflowId={id} WorkflowType={kind} Namespace={namespace}");
    let bounded = |field: &str, value: Option<&ProtoDuration>| {
        duration(value, limits.duration_max)
            .map_err(|why| refused(format!("Invalid {field} on {what}: {why}. {names}")))
    };
    let execution = bounded("WorkflowExecutionTimeout", command.workflow_execution_timeout.as_ref())?;
    let run = bounded("WorkflowRunTimeout", command.workflow_run_timeout.as_ref())?;
    let mut task = bounded("WorkflowTaskTimeout", command.workflow_task_timeout.as_ref())?;
    if let Some(policy) = &mut command.retry_policy {
        retry_policy::fill_defaults(policy, &retry_policy::RetryDefaults::default());
        retry_policy::validate_and_cap(policy, limits.duration_max)
            .map_err(|error| refused(format!("invalid WorkflowRetryPolicy on {what}: {error}. {names}")))?;
    }
    CronSchedule::for_workflow(&command.cron_schedule, now)
        .map_err(|error| refused(format!("invalid CronSchedule on {what}: {}. {names}", ServiceError::from(error))))?;
    perdure_kernel::search_attributes::check_values(command.search_attributes.as_ref(), target).map_err(|error| {
        let text = format!("invalid SearchAttributes on StartChildWorkflowCommand: {error}. {names}");
        CommandFailure::fail(WorkflowTaskFailedCause::BadSearchAttributes, text)
    })?;
    if let Some(flaw) = priority::flaw(command.priority.as_ref()) {
        return Err(refused(flaw.to_owned()));
    }
    fill_queue(command, parent_queue, max)
        .map_err(|(why, queue)| refused(format!("invalid TaskQueue on {what}: {why}. {names} TaskQueue={queue}")))?;
    let run = run_timeout(run, execution);
    if task.is_zero() {
        task = target.limits.workflow_task_timeout_default;
    }
    task = task.min(limits.workflow_task_timeout_max);
    if !run.is_zero() {
        task = task.min(run);
    }
    if command.workflow_execution_timeout.is_some() {
        command.workflow_execution_timeout = event_span(execution);
    }
    command.workflow_run_timeout = event_span(run);
    command.workflow_task_timeout = event_span(task);
    Ok(())
}

/// The child's queue: the parent's where none is given. What is wrong with it comes with the queue as shown.
fn fill_queue(
    command: &mut StartChildWorkflowExecutionCommandAttributes,
    parent_queue: &str,
    length_max: usize,
) -> Result<(), (String, String)> {
    let given = command.task_queue.take().unwrap_or_default();
    let name = if given.name.is_empty() { parent_queue.to_owned() } else { given.name };
    let shown = format!("name:{name:?} kind:TASK_QUEUE_KIND_NORMAL");
    let internal = |name: &str| name.starts_with(PER_NAMESPACE_PREFIX);
    let why = if name.len() > length_max {
        Some("taskQueue length exceeds limit".to_owned())
    } else if name.starts_with(SYSTEM_QUEUE_PREFIX) {
        Some(format!("task queue name cannot start with reserved prefix {SYSTEM_QUEUE_PREFIX}"))
    } else if internal(&name) && !internal(parent_queue) {
        Some(format!(
            "cannot use internal per-namespace task queue:{name} (in parent component task queue: {parent_queue})"
        ))
    } else {
        None
    };
    if let Some(why) = why {
        return Err((why, shown));
    }
    let kind = if given.kind == 0 { TaskQueueKind::Normal.into() } else { given.kind };
    command.task_queue = Some(TaskQueue { name, kind, normal_name: given.normal_name });
    Ok(())
}
