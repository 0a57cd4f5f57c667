//! What a start does about the run that holds its workflow id.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::api::enums::{
    ResourceExhaustedCause, ResourceExhaustedScope, WorkflowExecutionStatus, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
};

use super::state::WorkflowState;
use crate::Env;

/// What a start does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Start a run.
    Start,
    /// End the open run and start one, in one commit.
    TerminateAndStart,
    /// The open run is the answer; nothing is started.
    UseExisting,
    /// The same request started this run before.
    Repeat,
    /// The same request was attached to this run before.
    RepeatAttached,
}

/// The two policies of a start, as the request gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdPolicies {
    /// About a closed run.
    pub reuse: WorkflowIdReusePolicy,
    /// About an open run.
    pub conflict: WorkflowIdConflictPolicy,
}

impl IdPolicies {
    /// Fills unset policies and turns the deprecated terminate-if-running into what it stands for.
    pub fn normalised(reuse: i32, conflict: i32, default_conflict: WorkflowIdConflictPolicy) -> Self {
        let reuse = WorkflowIdReusePolicy::try_from(reuse).unwrap_or_default();
        let conflict = WorkflowIdConflictPolicy::try_from(conflict).unwrap_or_default();
        match (reuse, conflict) {
            (WorkflowIdReusePolicy::TerminateIfRunning, _) => Self {
                reuse: WorkflowIdReusePolicy::AllowDuplicate,
                conflict: WorkflowIdConflictPolicy::TerminateExisting,
            },
            (WorkflowIdReusePolicy::Unspecified, WorkflowIdConflictPolicy::Unspecified) => {
                Self { reuse: WorkflowIdReusePolicy::AllowDuplicate, conflict: default_conflict }
            }
            (WorkflowIdReusePolicy::Unspecified, conflict) => {
                Self { reuse: WorkflowIdReusePolicy::AllowDuplicate, conflict }
            }
            (reuse, WorkflowIdConflictPolicy::Unspecified) => Self { reuse, conflict: default_conflict },
            (reuse, conflict) => Self { reuse, conflict },
        }
    }
}

/// Decides about the run that holds the id now.
pub fn resolve(
    current: &WorkflowState,
    policies: IdPolicies,
    request_id: &str,
    env: &Env<'_>,
) -> ServiceResult<Resolution> {
    if !request_id.is_empty() && current.volatile.run.create_request_id == request_id {
        return Ok(Resolution::Repeat);
    }
    if current.attached_requests.contains_key(request_id) {
        return Ok(Resolution::RepeatAttached);
    }
    if current.is_open() {
        return match policies.conflict {
            WorkflowIdConflictPolicy::UseExisting => Ok(Resolution::UseExisting),
            WorkflowIdConflictPolicy::TerminateExisting => {
                spaced(current, env, "restarts")?;
                Ok(Resolution::TerminateAndStart)
            }
            WorkflowIdConflictPolicy::Fail | WorkflowIdConflictPolicy::Unspecified => {
                Err(already_started(current, "is already running", ""))
            }
        };
    }
    match policies.reuse {
        WorkflowIdReusePolicy::RejectDuplicate => Err(already_started(
            current,
            "already finished",
            " Workflow Id reuse policy: reject duplicate workflow Id.",
        )),
        WorkflowIdReusePolicy::AllowDuplicateFailedOnly if !ended_badly(current.status()) => Err(already_started(
            current,
            "already finished successfully",
            " Workflow Id reuse policy: allow duplicate workflow Id if last run failed.",
        )),
        WorkflowIdReusePolicy::AllowDuplicateFailedOnly
        | WorkflowIdReusePolicy::AllowDuplicate
        | WorkflowIdReusePolicy::TerminateIfRunning
        | WorkflowIdReusePolicy::Unspecified => {
            spaced(current, env, "starts")?;
            Ok(Resolution::Start)
        }
    }
}

fn ended_badly(status: WorkflowExecutionStatus) -> bool {
    use WorkflowExecutionStatus::{Canceled, Failed, Terminated, TimedOut};
    matches!(status, Failed | Canceled | Terminated | TimedOut)
}

fn already_started(current: &WorkflowState, what: &str, rule: &str) -> ServiceError {
    let kind = ErrorKind::WorkflowExecutionAlreadyStarted {
        start_request_id: current.volatile.run.create_request_id.clone(),
        run_id: current.run_id().to_owned(),
        first_execution_run_id: current.first_run_id().to_owned(),
    };
    let (workflow_id, run_id) = (current.workflow_id(), current.run_id());
    ServiceError::new(kind, format!("Workflow execution {what}. WorkflowId: {workflow_id}, RunId: {run_id}.{rule}"))
}

/// Runs of one id must not follow each other in a tight loop.
fn spaced(current: &WorkflowState, env: &Env<'_>, what: &str) -> ServiceResult<()> {
    let since_start = env.now.since(Timestamp::from_nanos(current.record.start_time));
    let spacing = env.limits().id_reuse_interval_min;
    if spacing.is_zero() || since_start > spacing {
        return Ok(());
    }
    let message = format!(
        "Too many {what} for workflow {}. Time since last start: {} ms",
        current.workflow_id(),
        since_start.as_millis()
    );
    Err(ServiceError::exhausted(ResourceExhaustedCause::BusyWorkflow, ResourceExhaustedScope::Namespace, message))
}
