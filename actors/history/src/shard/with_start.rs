//! Update-with-start: an update for the run that holds the id, or for one that is started with it.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::{
        NewRun, Standing,
        calls::update,
        id_policy::{IdPolicies, Resolution, resolve},
    },
};
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceError, ServiceResult};
use perdure_proto::api::{
    enums::{WorkflowExecutionStatus, WorkflowIdConflictPolicy},
    workflowservice as ws,
};
use perdure_runtime::Ctx;

use super::{
    Shard,
    asked::{Asked, WithStartAsk},
    holder::Holder,
    links,
};

impl Shard {
    pub(super) fn update_with_start(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: WithStartAsk,
        ctx: &mut Ctx<Self>,
    ) {
        let namespace = Arc::clone(&ask.caller.namespace);
        let request = &ask.request;
        let policies = IdPolicies::normalised(
            request.start.workflow_id_reuse_policy,
            request.start.workflow_id_conflict_policy,
            WorkflowIdConflictPolicy::Fail,
        );
        if let Some(index) = found {
            let state = &holder.runs[index].state;
            let standing = state.find_update(update::id_of(&request.update));
            let answered = matches!(standing, Standing::Completed { .. });
            let joins = state.is_open()
                && (standing != Standing::Unknown
                    || request.start.request_id == state.volatile.run.create_request_id
                    || policies.conflict == WorkflowIdConflictPolicy::UseExisting);
            if answered || joins {
                let start = Box::new(ws::StartWorkflowExecutionResponse {
                    run_id: state.run_id().to_owned(),
                    status: state.status().into(),
                    link: (!answered).then(|| links::to_start(&namespace.name, state.workflow_id(), state.run_id())),
                    ..Default::default()
                });
                return self.update_existing(key, holder, index, Asked::WithStart { ask, start }, ctx);
            }
        }
        let start_failed = |ask: WithStartAsk, error: ServiceError| {
            ask.refuse(ServiceError::multi_operation(vec![Some(error), Some(ServiceError::operation_aborted())]));
        };
        let env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let resolution = match found {
            None => Ok(Resolution::Start),
            Some(index) => resolve(&holder.runs[index].state, policies, &request.start.request_id, &env),
        };
        let replaces = match resolution {
            Err(error) => return start_failed(ask, error),
            Ok(Resolution::Start) => None,
            Ok(Resolution::TerminateAndStart) => found,
            Ok(Resolution::Repeat | Resolution::RepeatAttached | Resolution::UseExisting) => {
                return start_failed(ask, ServiceError::unavailable("Workflow was not started: StartDeduped"));
            }
        };
        let run_key = ExecutionKey { business: key.clone(), run_id: env.random.uuid().into() };
        let mut new_run = NewRun::from_request(run_key.clone(), request.start.clone(), &env);
        new_run.update.clone_from(&request.update.request);
        let start = Box::new(ws::StartWorkflowExecutionResponse {
            run_id: run_key.run_id.to_string(),
            first_execution_run_id: run_key.run_id.to_string(),
            started: true,
            status: WorkflowExecutionStatus::Running.into(),
            link: Some(links::to_start(&namespace.name, &key.business_id, &run_key.run_id)),
            ..Default::default()
        });
        self.begin(key, holder, replaces, new_run, &namespace, ctx);
        if let Some(index) = holder.current_position() {
            self.await_update(holder, index, Asked::WithStart { ask, start }, ctx);
        }
    }

    fn update_existing(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        asked: Asked,
        ctx: &mut Ctx<Self>,
    ) {
        if let Asked::WithStart { ask, .. } = &asked
            && holder.runs[index].state.is_open()
        {
            let namespace = Arc::clone(&ask.caller.namespace);
            let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
            let decision: ServiceResult<_> = update::decide(&holder.runs[index].state, &ask.request.update, &mut env);
            match decision {
                Ok(decision) => self.admit(key, holder, index, decision.transition, ctx),
                Err(error) => return asked.refuse(error),
            }
        }
        self.await_update(holder, index, asked, ctx);
    }
}
