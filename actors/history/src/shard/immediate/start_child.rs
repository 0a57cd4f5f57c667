//! A parent starts a child, in steps that can each be repeated: the child is started without its first workflow
//! task, the parent records that, the child may begin.

use perdure_execution::workflow::calls::child_start::{self, Outcome};
use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, NamespaceId, ServiceResult, error::Retry};
use perdure_proto::{
    api::{
        enums::{ParentClosePolicy, StartChildWorkflowExecutionFailedCause as Cause, WorkflowIdConflictPolicy},
        workflowservice::StartWorkflowExecutionRequest,
    },
    records,
};
use perdure_rpc::{
    Caller,
    family::{ChildStart, FirstTask, ParentClosed},
};
use perdure_runtime::Ctx;

use super::{super::Shard, AtWork, Heard, SERVER_IDENTITY};

impl Shard {
    pub(super) fn start_child(&mut self, at: AtWork<'_>, event_id: i64, heard: Option<Heard>, ctx: &Ctx<Self>) {
        let state = at.state();
        let (open, child) = (state.is_open(), state.children.get(&event_id).cloned());
        let Some(child) = child else { return self.immediate.finish(at.id) };
        let started = !child.started_run_id.is_empty();
        match heard {
            Some(Heard::Started(Ok(run_id))) if open && !started => {
                let outcome = Outcome::Started(run_id);
                // Once more, to let the child begin.
                let again = |shard: &mut Self, id, ctx: &mut Ctx<Self>| shard.begin_task(id, ctx);
                return self.record_heard(
                    at,
                    |state, env| child_start::decide(state, event_id, outcome, env),
                    again,
                    ctx,
                );
            }
            Some(Heard::Started(Err(error))) => {
                return match failure(&error.kind) {
                    Some(cause) => self.record_failure(at, event_id, cause, ctx),
                    None => self.retry_task(at.id, ctx),
                };
            }
            Some(Heard::Told(Err(error))) if error.kind.retry() == Retry::Yes => return self.retry_task(at.id, ctx),
            Some(Heard::Told(_) | Heard::Delivered(_)) => return self.immediate.finish(at.id),
            Some(Heard::Started(Ok(_))) | None => {}
        }
        let namespace = NamespaceId::from(child.namespace_id.as_str());
        let target = BusinessKey::workflow(&namespace, &child.workflow_id);
        let Some(caller) = self.internal_caller(&namespace) else {
            return self.record_failure(at, event_id, Cause::NamespaceNotFound, ctx);
        };
        let told = |result: ServiceResult<()>| Heard::Told(result);
        match (open, started, child.parent_close_policy()) {
            (true, false, _) => self.ask_start(&at, &child, caller, &target, ctx),
            (true, true, _) | (false, true, ParentClosePolicy::Abandon) => {
                let run = ExecutionKey { business: target.clone(), run_id: child.started_run_id.as_str().into() };
                self.call(at.id, caller, &target, FirstTask { run }, told, ctx);
            }
            // The parent's policy is applied by a task of its own.
            (false, true, _) => self.immediate.finish(at.id),
            // The parent closed first. Should the child have been started meanwhile, it is ended: it never began.
            (false, false, _) => {
                let call = ParentClosed {
                    workflow_id: child.workflow_id.clone(),
                    first_run_id: String::new(),
                    parent: at.state().execution(),
                    initiated_event_id: event_id,
                    policy: ParentClosePolicy::Terminate,
                    identity: SERVER_IDENTITY.to_owned(),
                };
                self.call(at.id, caller, &target, call, told, ctx);
            }
        }
    }

    fn ask_start(
        &mut self,
        at: &AtWork<'_>,
        child: &records::PendingChild,
        caller: Caller,
        target: &BusinessKey,
        ctx: &Ctx<Self>,
    ) {
        let state = at.state();
        let Some(initiated) = &child.initiated else { return self.immediate.finish(at.id) };
        let parent_namespace_id = at.key.namespace_id.to_string();
        let parent_namespace = self.namespaces.by_id(&at.key.namespace_id);
        let request = StartWorkflowExecutionRequest {
            namespace: caller.namespace.name.clone(),
            workflow_id: initiated.workflow_id.clone(),
            workflow_type: initiated.workflow_type.clone(),
            task_queue: initiated.task_queue.clone(),
            input: initiated.input.clone(),
            header: initiated.header.clone(),
            workflow_execution_timeout: initiated.workflow_execution_timeout,
            workflow_run_timeout: initiated.workflow_run_timeout,
            workflow_task_timeout: initiated.workflow_task_timeout,
            request_id: state.family_request_id(child.initiated_event_id),
            workflow_id_reuse_policy: initiated.workflow_id_reuse_policy,
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            retry_policy: initiated.retry_policy.clone(),
            cron_schedule: initiated.cron_schedule.clone(),
            memo: initiated.memo.clone(),
            search_attributes: initiated.search_attributes.clone(),
            user_metadata: child.user_metadata.clone(),
            versioning_override: initiated.versioning_override.clone(),
            priority: state.child_priority(initiated),
            ..Default::default()
        };
        let start = ChildStart {
            request,
            parent_namespace: parent_namespace.map_or_else(|| parent_namespace_id.clone(), |known| known.name.clone()),
            parent_namespace_id,
            parent: state.execution(),
            initiated_event_id: child.initiated_event_id,
            root: state.root(),
        };
        self.call(at.id, caller, target, Box::new(start), Heard::Started, ctx);
    }

    fn record_failure(&mut self, at: AtWork<'_>, event_id: i64, cause: Cause, ctx: &Ctx<Self>) {
        let outcome = Outcome::Failed(cause);
        let done = |shard: &mut Self, id, _: &mut Ctx<Self>| shard.immediate.finish(id);
        self.record_heard(at, |state, env| child_start::decide(state, event_id, outcome, env), done, ctx);
    }
}

/// What the parent is told of a refusal; nothing of one that may be lifted.
fn failure(kind: &ErrorKind) -> Option<Cause> {
    match kind {
        ErrorKind::WorkflowExecutionAlreadyStarted { .. } => Some(Cause::WorkflowAlreadyExists),
        ErrorKind::NamespaceNotFound { .. } => Some(Cause::NamespaceNotFound),
        ErrorKind::InvalidArgument
        | ErrorKind::NotFound
        | ErrorKind::ActivityExecutionAlreadyStarted { .. }
        | ErrorKind::NamespaceAlreadyExists
        | ErrorKind::NamespaceInvalidState { .. }
        | ErrorKind::FailedPrecondition
        | ErrorKind::WorkflowNotReady
        | ErrorKind::QueryFailed { .. }
        | ErrorKind::Aborted
        | ErrorKind::MultiOperation { .. }
        | ErrorKind::MultiOperationAborted
        | ErrorKind::ResourceExhausted { .. }
        | ErrorKind::PermissionDenied
        | ErrorKind::DeadlineExceeded
        | ErrorKind::Canceled
        | ErrorKind::Unavailable
        | ErrorKind::Unimplemented
        | ErrorKind::DataLoss
        | ErrorKind::Internal
        | ErrorKind::StaleTask
        | ErrorKind::StickyWorkerUnavailable => None,
    }
}
