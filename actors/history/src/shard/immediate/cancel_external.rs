//! A workflow asks another to cancel.

use perdure_execution::workflow::calls::external_cancel;
use perdure_kernel::{BusinessKey, ErrorKind, NamespaceId, ServiceResult};
use perdure_proto::api::{
    enums::CancelExternalWorkflowExecutionFailedCause as Cause, workflowservice::RequestCancelWorkflowExecutionRequest,
};
use perdure_rpc::family::ExternalCancel;
use perdure_runtime::Ctx;

use super::{super::Shard, AtWork, Heard, SERVER_IDENTITY};

impl Shard {
    pub(super) fn cancel_external(&mut self, at: AtWork<'_>, event_id: i64, heard: Option<Heard>, ctx: &Ctx<Self>) {
        let state = at.state();
        let pending = state.external_cancels.get(&event_id).filter(|_| state.is_open()).cloned();
        let Some(initiated) = pending.as_ref().and_then(|pending| pending.initiated.as_ref()) else {
            return self.immediate.finish(at.id);
        };
        let target = NamespaceId::from(initiated.namespace_id.as_str());
        let execution = initiated.workflow_execution.as_ref().map_or("", |execution| &execution.workflow_id);
        let target = BusinessKey::workflow(&target, execution);
        let Some(caller) = self.internal_caller(&target.namespace_id) else {
            let (name, outcome) = (initiated.namespace.clone(), Err(Cause::NamespaceNotFound));
            return self.record_cancel(at, event_id, name, outcome, ctx);
        };
        let namespace = caller.namespace.clone();
        let outcome = match heard {
            // A workflow does not cancel itself, whichever run is meant.
            None if target == *at.key => Err(Cause::ExternalWorkflowExecutionNotFound),
            None => {
                let call = ExternalCancel {
                    request: RequestCancelWorkflowExecutionRequest {
                        namespace: namespace.name.clone(),
                        workflow_execution: initiated.workflow_execution.clone(),
                        identity: SERVER_IDENTITY.to_owned(),
                        request_id: state.family_request_id(event_id),
                        reason: initiated.reason.clone(),
                        ..Default::default()
                    },
                    from: state.execution(),
                    initiated_event_id: event_id,
                    child_only: initiated.child_workflow_only,
                };
                let told = |result: ServiceResult<()>| Heard::Told(result);
                return self.call(at.id, caller, &target, Box::new(call), told, ctx);
            }
            Some(Heard::Told(Err(error))) => match failure(&error.kind) {
                Some(cause) => Err(cause),
                None => return self.retry_task(at.id, ctx),
            },
            Some(Heard::Told(Ok(())) | Heard::Started(_) | Heard::Delivered(_)) => Ok(()),
        };
        self.record_cancel(at, event_id, namespace.name.clone(), outcome, ctx);
    }

    fn record_cancel(
        &mut self,
        at: AtWork<'_>,
        event_id: i64,
        namespace: String,
        outcome: Result<(), Cause>,
        ctx: &Ctx<Self>,
    ) {
        let done = |shard: &mut Self, id, _: &mut Ctx<Self>| shard.immediate.finish(id);
        self.record_heard(
            at,
            |state, env| external_cancel::decide(state, event_id, namespace, outcome, env),
            done,
            ctx,
        );
    }
}

/// What the workflow is told of a refusal; nothing of one that may be lifted.
fn failure(kind: &ErrorKind) -> Option<Cause> {
    Some(match kind {
        ErrorKind::NotFound => Cause::ExternalWorkflowExecutionNotFound,
        ErrorKind::NamespaceNotFound { .. } => Cause::NamespaceNotFound,
        ErrorKind::InvalidArgument
        | ErrorKind::WorkflowExecutionAlreadyStarted { .. }
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
        | ErrorKind::StickyWorkerUnavailable => return None,
    })
}
