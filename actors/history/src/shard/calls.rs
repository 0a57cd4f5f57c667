//! What is asked of a run, and how its machine's decision becomes a commit and an answer.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::{
        Decision, Durability, WorkflowState,
        calls::{self, activity_outcome},
        describe::describe,
        limits,
    },
};
use perdure_kernel::{Archetype, BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult};
use perdure_proto::api::{enums::EventType, workflowservice as ws};
use perdure_rpc::{
    Ask, HistoryCall,
    history::{ActivityOutcome, ActivityTaskStart, WithToken},
};
use perdure_runtime::{Ctx, Permit, Reply};

use super::{
    Shard,
    commit::AfterCommit,
    family,
    holder::Holder,
    links,
    poll_response::{Needs, TaskAnswer, activity_answer},
    reads::not_found,
    run::Run,
    work::Found,
};

/// The place of a run that a request is about.
pub(super) struct Target<'h> {
    pub(super) key: &'h BusinessKey,
    pub(super) holder: &'h mut Holder,
    pub(super) index: usize,
}

impl Shard {
    pub(super) fn handle_call(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Found,
        call: HistoryCall,
        ctx: &mut Ctx<Self>,
    ) {
        let call = match call {
            HistoryCall::RemoveRun(ask) => return self.remove_run(key, holder, found.ok(), ask, ctx),
            HistoryCall::MendRun(ask) => return self.mend_run(key, holder, found.ok(), ask),
            HistoryCall::DescribeShard(ask) => return ask.reply.send(Ok(self.describe(ctx.now()))),
            other => other,
        };
        if key.archetype == Archetype::ACTIVITY {
            return self.ask_activity(key, holder, found.ok(), call, ctx);
        }
        // Calls that find a run or make one.
        let call = match call {
            HistoryCall::Act(ask) => return self.act(key, holder, found.ok(), ask, None, ctx),
            HistoryCall::StartWorkflow(ask) => return self.start_workflow(key, holder, found.ok(), ask, ctx),
            HistoryCall::SignalWithStart(ask) => return self.signal_with_start(key, holder, found.ok(), ask, ctx),
            HistoryCall::ReadHistory(ask) => return self.read_history(key, holder, found, ask, ctx),
            HistoryCall::ReadHistoryReverse(ask) => return self.read_history_reverse(key, holder, found, ask, ctx),
            HistoryCall::Reset(ask) => return self.reset(key, holder, found, ask, None, ctx),
            HistoryCall::Query(ask) => return self.query(key, holder, found, ask, ctx),
            HistoryCall::StartChild(ask) => return self.start_child_run(key, holder, found.ok(), ask, ctx),
            HistoryCall::UpdateWithStart(ask) => return self.update_with_start(key, holder, found.ok(), ask, ctx),
            other => other,
        };
        let index = match found {
            Ok(index) => index,
            Err(selector) => return call.refuse(not_found(key, &selector)),
        };
        let target = Target { key, holder, index };
        match call {
            HistoryCall::Signal(ask) => {
                let state = &target.holder.runs[target.index].state;
                let (namespace, request_id) = (&ask.caller.namespace.name, &ask.request.request_id);
                let (id, run_id) = (state.workflow_id(), state.run_id());
                let signaled = EventType::WorkflowExecutionSignaled;
                let link = Some(links::to_request(namespace, id, run_id, request_id, signaled));
                self.change(
                    target,
                    ask,
                    |state, request, env| {
                        calls::signal::decide(state, calls::signal::from_request(*request), false, env)
                    },
                    |()| ws::SignalWorkflowExecutionResponse { link },
                    ctx,
                );
            }
            HistoryCall::RequestCancel(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::cancel::decide(state, *request, env),
                |()| ws::RequestCancelWorkflowExecutionResponse::default(),
                ctx,
            ),
            HistoryCall::Terminate(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::terminate::decide(state, *request, env),
                |()| ws::TerminateWorkflowExecutionResponse::default(),
                ctx,
            ),
            HistoryCall::Delete(ask) => self.change(
                target,
                ask,
                |state, _, env| Ok(calls::delete::decide(state, env)),
                |()| ws::DeleteWorkflowExecutionResponse::default(),
                ctx,
            ),
            HistoryCall::UpdateOptions(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::update_options::decide(state, *request, env),
                |answer| answer,
                ctx,
            ),
            HistoryCall::Pause(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::pause::decide(state, *request, env),
                |()| ws::PauseWorkflowExecutionResponse::default(),
                ctx,
            ),
            HistoryCall::Unpause(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::pause::undo(state, *request, env),
                |()| ws::UnpauseWorkflowExecutionResponse::default(),
                ctx,
            ),
            HistoryCall::ResetSticky(ask) => self.change(
                target,
                ask,
                |state, _, env| calls::reset_sticky::decide(state, env),
                |()| ws::ResetStickyTaskQueueResponse::default(),
                ctx,
            ),
            HistoryCall::WorkflowTaskFailed(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::task_failed::decide(state, &request.token, request.request, env),
                |()| ws::RespondWorkflowTaskFailedResponse::default(),
                ctx,
            ),
            HistoryCall::ActivityHeartbeat(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::heartbeat::decide(state, &request.token, request.request.details, env),
                |answer| answer,
                ctx,
            ),
            HistoryCall::PauseActivity(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::pause_activity::decide(state, *request, env),
                |()| ws::PauseActivityResponse::default(),
                ctx,
            ),
            HistoryCall::UnpauseActivity(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::unpause_activity::decide(state, &request, env),
                |()| ws::UnpauseActivityResponse::default(),
                ctx,
            ),
            HistoryCall::ResetActivity(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::reset_activity::decide(state, &request, env),
                |()| ws::ResetActivityResponse::default(),
                ctx,
            ),
            HistoryCall::UpdateActivityOptions(ask) => self.change(
                target,
                ask,
                |state, request, env| calls::update_activity_options::decide(state, &request, env),
                |answer| answer,
                ctx,
            ),
            HistoryCall::ActivityOutcome(ask) => self.change(target, ask, decide_outcome, |()| (), ctx),
            HistoryCall::UpdateWorkflow(ask) => self.update_workflow(key, target.holder, index, ask, ctx),
            HistoryCall::PollUpdate(ask) => self.poll_update(target.holder, index, ask, ctx),
            HistoryCall::DescribeWorkflow(ask) => {
                let run = &target.holder.runs[target.index];
                let mut description = describe(&run.state, &ask.caller.namespace);
                self.mark_blocked(key, &mut description);
                ask.reply.send(Ok(description));
            }
            HistoryCall::WorkflowTaskCompleted(ask) => self.complete_task(target, ask, ctx),
            HistoryCall::StartWorkflowTask(ask) => self.start_task(target, ask, ctx),
            HistoryCall::StartActivityTask(ask) => self.start_activity(target, ask, ctx),
            HistoryCall::StartQueryTask(ask) => {
                let needs = if ask.request.sticky { Needs::News } else { Needs::Everything };
                let run = &target.holder.runs[target.index];
                let answer = TaskAnswer::of_query(run, needs, ask.caller.namespace.limits.history_page_size_max);
                let reply = ask.reply;
                answer.send(self, &run.state.key, ctx, move |answer| reply.send(answer));
            }
            HistoryCall::FirstTask(ask) => {
                self.change(target, ask, |state, _, env| calls::first_task::decide(state, env), |()| (), ctx);
            }
            HistoryCall::SignalExternal(ask) => self.change(target, ask, family::decide_signal, |()| (), ctx),
            HistoryCall::CancelExternal(ask) => self.change(target, ask, family::decide_cancel, |()| (), ctx),
            HistoryCall::ChildClosed(ask) => match family::took_over(target.holder, target.index) {
                Some(run_id) => family::forward_child_closed(target.holder, run_id, ask),
                None => self.change(target, ask, family::decide_child_closed, |()| (), ctx),
            },
            HistoryCall::ParentClosed(ask) => self.change(target, ask, family::decide_parent_closed, |()| (), ctx),
            HistoryCall::RemoveRun(_)
            | HistoryCall::MendRun(_)
            | HistoryCall::DescribeShard(_)
            | HistoryCall::Act(_)
            | HistoryCall::StartChild(_)
            | HistoryCall::StartWorkflow(_)
            | HistoryCall::SignalWithStart(_)
            | HistoryCall::ReadHistory(_)
            | HistoryCall::ReadHistoryReverse(_)
            | HistoryCall::Reset(_)
            | HistoryCall::Query(_)
            | HistoryCall::UpdateWithStart(_) => {}
        }
    }

    /// Lets the machine decide about a request and carries the decision out.
    fn change<Q, R, A>(
        &mut self,
        target: Target<'_>,
        ask: Ask<Q, R>,
        decide: impl FnOnce(&WorkflowState, Q, &mut Env<'_>) -> ServiceResult<Decision<A>>,
        answer: impl FnOnce(A) -> R + 'static,
        ctx: &Ctx<Self>,
    ) where
        R: Send + 'static,
        A: 'static,
    {
        let Ask { caller, request, reply, permit } = ask;
        let Target { key, holder, index } = target;
        let namespace = Arc::clone(&caller.namespace);
        if let Some(reason) = limits::exceeded(&holder.runs[index].state, &namespace.limits) {
            return self.force_end(Target { key, holder, index }, reason, &namespace, reply, ctx);
        }
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let decision = decide(&holder.runs[index].state, request, &mut env);
        self.conclude(key, holder, index, decision, reply, permit, answer, ctx);
    }

    /// Commits a decision, if there is anything to commit, and answers.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request; a struct would be taken apart at once")]
    pub(super) fn conclude<R, A>(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        decision: ServiceResult<Decision<A>>,
        reply: Reply<ServiceResult<R>>,
        permit: Option<Permit>,
        answer: impl FnOnce(A) -> R + 'static,
        ctx: &Ctx<Self>,
    ) where
        R: Send + 'static,
        A: 'static,
    {
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => return reply.send(Err(error)),
        };
        match decision.transition {
            None => reply.send(Ok(answer(decision.answer))),
            Some(transition) if transition.durability == Durability::InMemory => {
                self.change_in_memory(&mut holder.runs[index], transition, ctx);
                reply.send(Ok(answer(decision.answer)));
            }
            Some(transition) if transition.durability == Durability::WithNext => {
                holder.runs[index].take(transition, ctx.now());
                self.cache.remember_lazy(ctx.now(), key);
                reply.send(Ok(answer(decision.answer)));
            }
            Some(transition) => {
                let given = decision.answer;
                let after: AfterCommit = Box::new(move |_, result, _| {
                    let _permit = permit;
                    reply.send(result.map(|()| answer(given)));
                });
                self.commit(key, holder, index, transition, after, ctx);
            }
        }
    }

    /// A run that outgrew its bounds is ended; the request that found it so is refused.
    pub(super) fn force_end<R: Send + 'static>(
        &mut self,
        target: Target<'_>,
        reason: &'static str,
        namespace: &perdure_kernel::Namespace,
        reply: Reply<ServiceResult<R>>,
        ctx: &Ctx<Self>,
    ) {
        let Target { key, holder, index } = target;
        let mut env = Env { now: ctx.now(), namespace, random: &mut self.random };
        let transition = calls::terminate::by_server(&holder.runs[index].state, reason, &mut env);
        let refused = ServiceError::invalid_argument(reason);
        let after: AfterCommit = Box::new(move |_, result, _| reply.send(result.and(Err(refused))));
        self.commit(key, holder, index, transition, after, ctx);
    }

    /// A run in memory.
    pub(super) fn run_mut(&mut self, key: &ExecutionKey) -> Option<&mut Run> {
        let holder = self.holders.get_mut(&key.business)?;
        let index = holder.position(&key.run_id)?;
        holder.runs.get_mut(index)
    }

    /// A poller took an activity task.
    fn start_activity(
        &mut self,
        target: Target<'_>,
        ask: Ask<Box<ActivityTaskStart>, Box<ws::PollActivityTaskQueueResponse>>,
        ctx: &Ctx<Self>,
    ) {
        let Ask { caller, request, reply, .. } = ask;
        let Target { key, holder, index } = target;
        let namespace = Arc::clone(&caller.namespace);
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let ActivityTaskStart { task, request_id, poll, .. } = *request;
        let decision = calls::start_activity::decide(&holder.runs[index].state, &task, &request_id, &poll, &mut env);
        let (transition, outcome) = match decision {
            Ok(decision) => (decision.transition, decision.answer),
            Err(error) => return reply.send(Err(error)),
        };
        let ended = || ServiceError::new(ErrorKind::StaleTask, "the activity has ended");
        let Some(transition) = transition else {
            let answer = activity_answer(&holder.runs[index].state, task.scheduled_event_id, &namespace);
            return reply.send(answer.map(Box::new).ok_or_else(ended));
        };
        let answer = match outcome {
            calls::start_activity::Answer::Started => {
                activity_answer(&transition.state, task.scheduled_event_id, &namespace)
            }
            calls::start_activity::Answer::Paused => None,
        };
        let after: AfterCommit = Box::new(move |_, result, _| {
            reply.send(result.and_then(|()| answer.map(Box::new).ok_or_else(ended)));
        });
        self.commit(key, holder, index, transition, after, ctx);
    }
}

/// An activity's outcome as the machine takes it.
fn decide_outcome(
    state: &WorkflowState,
    request: Box<WithToken<perdure_proto::tokens::ActivityTask, ActivityOutcome>>,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    let WithToken { token, request } = *request;
    let (outcome, reporter) = outcome_of(request);
    activity_outcome::decide(state, &token, outcome, reporter, env)
}

/// An outcome as machines know it, and who reports it.
pub(super) fn outcome_of(request: ActivityOutcome) -> (activity_outcome::Outcome, activity_outcome::Reporter) {
    let reporter = |identity, worker_version| activity_outcome::Reporter { identity, worker_version };
    match request {
        ActivityOutcome::Completed(done) => {
            (activity_outcome::Outcome::Completed { result: done.result }, reporter(done.identity, done.worker_version))
        }
        ActivityOutcome::Failed(failed) => (
            activity_outcome::Outcome::Failed {
                failure: failed.failure.map(Box::new),
                last_heartbeat_details: failed.last_heartbeat_details,
            },
            reporter(failed.identity, failed.worker_version),
        ),
        ActivityOutcome::Canceled(canceled) => (
            activity_outcome::Outcome::Canceled { details: canceled.details },
            reporter(canceled.identity, canceled.worker_version),
        ),
    }
}
