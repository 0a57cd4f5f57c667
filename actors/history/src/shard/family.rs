//! What parents, children and other workflows ask of a run.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::{
        Decision, NewRun, WorkflowState, calls,
        id_policy::{IdPolicies, Resolution, resolve},
    },
};
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceError, ServiceResult};
use perdure_proto::api::{
    enums::{ParentClosePolicy, WorkflowIdConflictPolicy},
    workflowservice::RequestCancelWorkflowExecutionRequest,
};
use perdure_rpc::{
    Ask, HistoryCall,
    family::{ChildClosed, ChildStart, ExternalCancel, ExternalSignal, ParentClosed},
};
use perdure_runtime::Ctx;

use super::{
    Shard,
    holder::Holder,
    work::{Job, Selector},
};

impl Shard {
    /// Starts a child, unless this request has done so before. Its first workflow task waits for the parent.
    pub(super) fn start_child_run(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: Ask<Box<ChildStart>, String>,
        ctx: &Ctx<Self>,
    ) {
        let Ask { caller, request, reply, permit } = ask;
        let namespace = Arc::clone(&caller.namespace);
        let env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let ChildStart { request, parent_namespace_id, parent_namespace, parent, initiated_event_id, root } = *request;
        let policies = IdPolicies::normalised(
            request.workflow_id_reuse_policy,
            request.workflow_id_conflict_policy,
            WorkflowIdConflictPolicy::Fail,
        );
        let resolution = found.map(|index| {
            let state = &holder.runs[index].state;
            (index, resolve(state, policies, &request.request_id, &env))
        });
        let replaces = match resolution {
            None | Some((_, Ok(Resolution::Start))) => None,
            Some((_, Err(error))) => return reply.send(Err(error)),
            Some((index, Ok(Resolution::TerminateAndStart))) => Some(index),
            Some((index, Ok(Resolution::Repeat | Resolution::RepeatAttached | Resolution::UseExisting))) => {
                return reply.send(Ok(holder.runs[index].state.run_id().to_owned()));
            }
        };
        let run_key = ExecutionKey { business: key.clone(), run_id: env.random.uuid().into() };
        // The event of a child carries the timeout also when it is zero.
        let no_run_timeout = request.workflow_run_timeout.filter(|timeout| timeout.seconds == 0 && timeout.nanos == 0);
        let mut new_run = NewRun::from_request(run_key.clone(), request, &env);
        new_run.start.workflow_run_timeout = new_run.start.workflow_run_timeout.or(no_run_timeout);
        new_run.held = true;
        new_run.start.parent_workflow_namespace = parent_namespace;
        new_run.start.parent_workflow_namespace_id = parent_namespace_id;
        new_run.start.parent_workflow_execution = Some(parent);
        new_run.start.parent_initiated_event_id = initiated_event_id;
        new_run.start.root_workflow_execution = Some(root);
        self.begin(key, holder, replaces, new_run, &namespace, ctx);
        self.after_last_staged(Box::new(move |_, result: ServiceResult<()>, _| {
            let _permit = permit;
            reply.send(result.map(|()| run_key.run_id.to_string()));
        }));
    }
}

pub(super) fn decide_signal(
    state: &WorkflowState,
    call: Box<ExternalSignal>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let ExternalSignal { request, from, child_only } = *call;
    calls::signal::from_workflow(state, calls::signal::from_request(request), from, child_only, env)
}

pub(super) fn decide_cancel(
    state: &WorkflowState,
    call: Box<ExternalCancel>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let ExternalCancel { request, from, initiated_event_id, child_only } = *call;
    calls::cancel::from_workflow(state, request, from, initiated_event_id, child_only, env)
}

pub(super) fn decide_child_closed(
    state: &WorkflowState,
    call: Box<ChildClosed>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let ChildClosed { parent: _, initiated_event_id, child, first_run_id, close_event } = *call;
    calls::child_closed::decide(state, initiated_event_id, &child, &first_run_id, &close_event, env)
}

/// The run that a reset made in place of a closed one: it has that one's children.
pub(super) fn took_over(holder: &Holder, index: usize) -> Option<Arc<str>> {
    let state = &holder.runs[index].state;
    let run_id = &state.volatile.run.reset_run_id;
    (!state.is_open() && !run_id.is_empty()).then(|| run_id.as_str().into())
}

/// Hands a child's end on to the run that took the place of its parent.
pub(super) fn forward_child_closed(holder: &mut Holder, run_id: Arc<str>, mut ask: Ask<Box<ChildClosed>, ()>) {
    ask.request.parent.run_id = run_id.to_string();
    holder.waiting.push_front((Selector::Run(run_id), Job::Call(HistoryCall::ChildClosed(ask))));
}

pub(super) fn decide_parent_closed(
    state: &WorkflowState,
    call: ParentClosed,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let ParentClosed { workflow_id: _, first_run_id, parent, initiated_event_id, policy, identity } = call;
    let another = state.start.parent_initiated_event_id != initiated_event_id
        || (!first_run_id.is_empty() && state.first_run_id() != first_run_id);
    if another || !state.is_child_of(&parent) {
        return Err(ServiceError::not_found("workflow parent does not match"));
    }
    match policy {
        ParentClosePolicy::Terminate => calls::terminate::by_parent(state, &identity, env),
        ParentClosePolicy::RequestCancel => {
            let request = RequestCancelWorkflowExecutionRequest { identity, ..Default::default() };
            calls::cancel::from_workflow(state, request, parent, 0, true, env)
        }
        ParentClosePolicy::Abandon | ParentClosePolicy::Unspecified => {
            Err(ServiceError::internal("a policy that leaves children alone"))
        }
    }
}
