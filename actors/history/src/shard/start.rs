//! Starting runs.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::{
        NewRun, Signal, WorkflowState,
        calls::{
            attach::{self, Attachment},
            signal, terminate,
        },
        id_policy::{IdPolicies, Resolution, resolve},
    },
};
use perdure_kernel::{BusinessKey, ExecutionKey, Namespace, ServiceResult};
use perdure_proto::api::{
    enums::{EventType, WorkflowExecutionStatus, WorkflowIdConflictPolicy},
    history::WorkflowExecutionSignaledEventAttributes,
    workflow::OnConflictOptions,
    workflowservice as ws,
};
use perdure_rpc::Ask;
use perdure_runtime::Ctx;

use super::{
    Shard,
    holder::Holder,
    links,
    poll_response::{Needs, TaskAnswer},
};

type StartAsk = Ask<Box<ws::StartWorkflowExecutionRequest>, ws::StartWorkflowExecutionResponse>;
type SignalWithStartAsk =
    Ask<Box<ws::SignalWithStartWorkflowExecutionRequest>, ws::SignalWithStartWorkflowExecutionResponse>;

impl Shard {
    pub(super) fn start_workflow(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: StartAsk,
        ctx: &Ctx<Self>,
    ) {
        let Ask { caller, request, reply, permit } = ask;
        let namespace = Arc::clone(&caller.namespace);
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let policies = IdPolicies::normalised(
            request.workflow_id_reuse_policy,
            request.workflow_id_conflict_policy,
            WorkflowIdConflictPolicy::Fail,
        );
        let resolution = match found {
            None => Ok(Resolution::Start),
            Some(index) => resolve(&holder.runs[index].state, policies, &request.request_id, &env),
        };
        let existing = |started: bool| {
            let state = &holder.runs[found.unwrap_or_default()].state;
            ws::StartWorkflowExecutionResponse {
                run_id: state.run_id().to_owned(),
                first_execution_run_id: state.first_run_id().to_owned(),
                started,
                status: state.status().into(),
                link: Some(links::to_start(&namespace.name, state.workflow_id(), state.run_id())),
                ..Default::default()
            }
        };
        let attached = || {
            let state = &holder.runs[found.unwrap_or_default()].state;
            let event_type = EventType::WorkflowExecutionOptionsUpdated;
            let (id, run_id) = (state.workflow_id(), state.run_id());
            let link = links::to_request(&namespace.name, id, run_id, &request.request_id, event_type);
            ws::StartWorkflowExecutionResponse { link: Some(link), ..existing(false) }
        };
        let replaces = match resolution {
            Err(error) => return reply.send(Err(error)),
            Ok(Resolution::Repeat) => return reply.send(Ok(existing(true))),
            Ok(Resolution::RepeatAttached) => return reply.send(Ok(attached())),
            Ok(Resolution::UseExisting) => {
                let index = found.unwrap_or_default();
                let Some(options) = request.on_conflict_options else { return reply.send(Ok(existing(false))) };
                let answer = if options.attach_request_id { attached() } else { existing(false) };
                let attachment = attachment(*request, options);
                let decision = attach::decide(&holder.runs[index].state, attachment, &mut env);
                return self.conclude(key, holder, index, decision, reply, permit, move |()| answer, ctx);
            }
            Ok(Resolution::Start) => None,
            Ok(Resolution::TerminateAndStart) => found,
        };
        let run_key = ExecutionKey { business: key.clone(), run_id: env.random.uuid().into() };
        let new_run = NewRun::from_request(run_key.clone(), *request, &env);
        let response = ws::StartWorkflowExecutionResponse {
            run_id: run_key.run_id.to_string(),
            first_execution_run_id: run_key.run_id.to_string(),
            started: true,
            status: WorkflowExecutionStatus::Running.into(),
            link: Some(links::to_start(&namespace.name, &key.business_id, &run_key.run_id)),
            ..Default::default()
        };
        let eager = new_run.eager_identity.is_some();
        self.begin(key, holder, replaces, new_run, &namespace, ctx);
        let page_max = namespace.limits.history_page_size_max;
        let task = if eager { holder.current_position().map(|index| &mut holder.runs[index]) } else { None };
        let task = task
            .and_then(|run| TaskAnswer::of_task(run, Needs::Everything, Vec::new(), page_max, namespace.id.as_str()));
        self.after_last_staged(Box::new(move |shard, result: ServiceResult<()>, ctx| {
            let _permit = permit;
            if let Err(error) = result {
                return reply.send(Err(error));
            }
            let Some(task) = task else { return reply.send(Ok(response)) };
            task.send(shard, &run_key, ctx, move |task| {
                let eager_workflow_task = task.ok().map(|task| *task);
                reply.send(Ok(ws::StartWorkflowExecutionResponse { eager_workflow_task, ..response }));
            });
        }));
    }

    /// Stages a new run, in place of the one at `replaces` if there is one.
    pub(super) fn begin(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        replaces: Option<usize>,
        new_run: NewRun,
        namespace: &Namespace,
        ctx: &Ctx<Self>,
    ) {
        let mut env = Env { now: ctx.now(), namespace, random: &mut self.random };
        match replaces {
            Some(index) => {
                let transition = terminate::and_replace(&holder.runs[index].state, new_run, &mut env);
                self.commit(key, holder, index, transition, Box::new(|_, _, _| {}), ctx);
            }
            None => {
                let transition = new_run.begin(&mut env);
                self.create(key, holder, transition, Box::new(|_, _, _| {}), ctx);
            }
        }
    }

    pub(super) fn signal_with_start(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: SignalWithStartAsk,
        ctx: &Ctx<Self>,
    ) {
        let Ask { caller, request, reply, permit } = ask;
        let namespace = Arc::clone(&caller.namespace);
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let policies = IdPolicies::normalised(
            request.workflow_id_reuse_policy,
            request.workflow_id_conflict_policy,
            WorkflowIdConflictPolicy::UseExisting,
        );
        let (start, signal) = split(*request);
        let resolution = match found {
            None => Ok(Resolution::Start),
            // A request id names the signal here: a repeated start is found through it.
            Some(index) if holder.runs[index].state.is_open() => resolve(&holder.runs[index].state, policies, "", &env),
            Some(index) => resolve(&holder.runs[index].state, policies, &start.request_id, &env),
        };
        let request_id = start.request_id.clone();
        let response = |run_id: &str, first_run_id: &str, started| {
            let (id, signaled) = (&key.business_id, EventType::WorkflowExecutionSignaled);
            ws::SignalWithStartWorkflowExecutionResponse {
                run_id: run_id.to_owned(),
                first_execution_run_id: first_run_id.to_owned(),
                started,
                signal_link: Some(links::to_request(&namespace.name, id, run_id, &request_id, signaled)),
            }
        };
        let existing = |state: &WorkflowState, started| response(state.run_id(), state.first_run_id(), started);
        let replaces = match (resolution, found) {
            (Err(error), _) => return reply.send(Err(error)),
            (Ok(Resolution::Repeat | Resolution::RepeatAttached), Some(index)) => {
                return reply.send(Ok(existing(&holder.runs[index].state, true)));
            }
            (Ok(Resolution::UseExisting), Some(index)) => {
                let answer = existing(&holder.runs[index].state, false);
                let decision = signal::decide(&holder.runs[index].state, signal, true, &mut env);
                return self.conclude(key, holder, index, decision, reply, permit, move |()| answer, ctx);
            }
            (Ok(Resolution::TerminateAndStart), Some(index)) => Some(index),
            (
                Ok(
                    Resolution::Start
                    | Resolution::Repeat
                    | Resolution::RepeatAttached
                    | Resolution::UseExisting
                    | Resolution::TerminateAndStart,
                ),
                _,
            ) => None,
        };
        let run_key = ExecutionKey { business: key.clone(), run_id: env.random.uuid().into() };
        let mut new_run = NewRun::from_request(run_key.clone(), start, &env);
        new_run.signal = Some(signal);
        self.begin(key, holder, replaces, new_run, &namespace, ctx);
        let answer = response(&run_key.run_id, &run_key.run_id, true);
        self.after_last_staged(Box::new(move |_, result: ServiceResult<()>, _| {
            let _permit = permit;
            reply.send(result.map(|()| answer));
        }));
    }
}

/// What a start leaves with the run that is used instead of a new one.
fn attachment(request: ws::StartWorkflowExecutionRequest, options: OnConflictOptions) -> Attachment {
    Attachment {
        request_id: if options.attach_request_id { request.request_id } else { String::new() },
        callbacks: if options.attach_completion_callbacks { request.completion_callbacks } else { Vec::new() },
        links: if options.attach_links { request.links } else { Vec::new() },
    }
}

/// Start and signal of a signal-with-start.
fn split(request: ws::SignalWithStartWorkflowExecutionRequest) -> (ws::StartWorkflowExecutionRequest, Signal) {
    let signal = Signal {
        attributes: WorkflowExecutionSignaledEventAttributes {
            signal_name: request.signal_name,
            input: request.signal_input,
            identity: request.identity.clone(),
            header: request.header.clone(),
            request_id: request.request_id.clone(),
            ..Default::default()
        },
        request_id: request.request_id.clone(),
        links: request.links.clone(),
    };
    let start = ws::StartWorkflowExecutionRequest {
        namespace: request.namespace,
        workflow_id: request.workflow_id,
        workflow_type: request.workflow_type,
        task_queue: request.task_queue,
        input: request.input,
        workflow_execution_timeout: request.workflow_execution_timeout,
        workflow_run_timeout: request.workflow_run_timeout,
        workflow_task_timeout: request.workflow_task_timeout,
        identity: request.identity,
        request_id: request.request_id,
        retry_policy: request.retry_policy,
        cron_schedule: request.cron_schedule,
        memo: request.memo,
        search_attributes: request.search_attributes,
        header: request.header,
        workflow_start_delay: request.workflow_start_delay,
        user_metadata: request.user_metadata,
        links: request.links,
        versioning_override: request.versioning_override,
        priority: request.priority,
        ..Default::default()
    };
    (start, signal)
}
