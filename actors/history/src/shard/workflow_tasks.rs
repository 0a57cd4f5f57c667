//! Workflow tasks: taken by a poller, answered by its worker.

use std::sync::Arc;

use perdure_execution::{
    Env,
    workflow::{
        Decision, Durability,
        calls::{self, start_task::Match, task_completed},
        commands::Neighbours,
        limits,
    },
};
use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{api::workflowservice as ws, tokens};
use perdure_rpc::{
    Ask, QueueKind,
    history::{WithToken, WorkflowTaskStart},
};
use perdure_runtime::Ctx;

use super::{
    Shard,
    calls::Target,
    poll_response::{Needs, TaskAnswer, activity_answer},
};

type CompletedAsk = Ask<
    Box<WithToken<tokens::WorkflowTask, ws::RespondWorkflowTaskCompletedRequest>>,
    ws::RespondWorkflowTaskCompletedResponse,
>;

impl Shard {
    /// A worker has made its decisions.
    pub(super) fn complete_task(&mut self, target: Target<'_>, ask: CompletedAsk, ctx: &mut Ctx<Self>) {
        let Ask { caller, request, reply, permit } = ask;
        let Target { key, holder, index } = target;
        let namespace = Arc::clone(&caller.namespace);
        if let Some(reason) = limits::exceeded(&holder.runs[index].state, &namespace.limits) {
            return self.force_end(Target { key, holder, index }, reason, &namespace, reply, ctx);
        }
        let WithToken { token, request: mut completed } = *request;
        let query_results = std::mem::take(&mut completed.query_results);
        let run_key = holder.runs[index].state.key.clone();
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let namespaces = Arc::clone(&self.namespaces);
        let find = |name: &str| namespaces.by_name(name);
        let neighbours = Neighbours::of(&completed.commands, &namespace.name, find);
        let decision = task_completed::decide(&holder.runs[index].state, &token, completed, &neighbours, &mut env);
        let (transition, mut answer) = match decision {
            Ok(Decision { transition: Some(transition), answer }) => (transition, answer),
            Ok(Decision { transition: None, .. }) => {
                return reply.send(Ok(ws::RespondWorkflowTaskCompletedResponse::default()));
            }
            Err(error) => return reply.send(Err(error)),
        };
        let in_memory = transition.durability == Durability::InMemory;
        if in_memory {
            self.change_in_memory(&mut holder.runs[index], transition, ctx);
        } else {
            self.commit(key, holder, index, transition, Box::new(|_, _, _| {}), ctx);
        }
        let run = &mut holder.runs[index];
        let eager = answer.eager_activities.iter().filter_map(|id| activity_answer(&run.state, *id, &namespace));
        let response = ws::RespondWorkflowTaskCompletedResponse {
            activity_tasks: eager.collect(),
            reset_history_event_id: answer.reset_history_event_id,
            ..Default::default()
        };
        let page_max = namespace.limits.history_page_size_max;
        // The worker that answers keeps the workflow in its cache exactly when it is the sticky one.
        let sticky = !run.state.volatile.run.sticky_queue.is_empty();
        let needs = if sticky { Needs::News } else { Needs::Everything };
        let messages = std::mem::take(&mut answer.messages);
        let task = if answer.new_task {
            TaskAnswer::of_task(run, needs, messages, page_max, namespace.id.as_str())
        } else {
            None
        };
        let refused = answer.refused;
        let respond = {
            let run_key = run_key.clone();
            move |shard: &mut Self, result: ServiceResult<()>, ctx: &mut Ctx<Self>| {
                let _permit = permit;
                if let Err(error) = result.and(refused.map_or(Ok(()), Err)) {
                    return reply.send(Err(error));
                }
                let Some(task) = task else { return reply.send(Ok(response)) };
                task.send(shard, &run_key, ctx, move |task| {
                    reply.send(task.map(|task| ws::RespondWorkflowTaskCompletedResponse {
                        workflow_task: Some(*task),
                        ..response
                    }));
                });
            }
        };
        if in_memory {
            run.answer_queries(query_results);
            respond(self, Ok(()), ctx);
            self.settle_updates(holder, ctx);
            self.release_queries(&mut holder.runs[index], ctx);
            return;
        }
        self.after_last_staged(Box::new(move |shard, result: ServiceResult<()>, ctx| {
            if result.is_ok()
                && let Some(run) = shard.run_mut(&run_key)
            {
                run.answer_queries(query_results);
            }
            respond(shard, result, ctx);
        }));
    }

    /// A poller took a workflow task.
    pub(super) fn start_task(
        &mut self,
        target: Target<'_>,
        ask: Ask<Box<WorkflowTaskStart>, Box<ws::PollWorkflowTaskQueueResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let Ask { caller, request, reply, .. } = ask;
        let Target { key, holder, index } = target;
        let namespace = Arc::clone(&caller.namespace);
        let sticky_queue = (request.queue.kind == QueueKind::Sticky).then_some(&*request.queue.name);
        let matched = Match {
            scheduled_event_id: request.task.scheduled_event_id,
            attempt: request.task.attempt,
            stamp: request.task.stamp,
            request_id: &request.request_id,
            sticky_queue,
        };
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let decision = match calls::start_task::decide(&holder.runs[index].state, matched, &request.poll, &mut env) {
            Ok(decision) => decision,
            Err(error) => return reply.send(Err(error)),
        };
        let mut durable = true;
        match decision.transition {
            Some(transition) if transition.durability == Durability::InMemory => {
                self.change_in_memory(&mut holder.runs[index], transition, ctx);
            }
            Some(transition) => {
                let run = &mut holder.runs[index];
                run.kept_row = run.task_row.filter(|row| self.immediate.keep(*row));
                durable = run.kept_row.is_some();
                if durable {
                    // Should the start be lost, the task's row is still there: the task is offered again.
                    run.take(transition, ctx.now());
                    self.cache.remember_lazy(ctx.now(), key);
                    self.arm_volatile_wake(run);
                } else {
                    self.commit(key, holder, index, transition, Box::new(|_, _, _| {}), ctx);
                }
            }
            None => {}
        }
        let needs = if sticky_queue.is_some() { Needs::News } else { Needs::Everything };
        let page_max = namespace.limits.history_page_size_max;
        let run = &mut holder.runs[index];
        let run_key = run.state.key.clone();
        let answer = TaskAnswer::of_task(run, needs, decision.answer, page_max, namespace.id.as_str());
        let send = move |shard: &mut Self, result: ServiceResult<()>, ctx: &mut Ctx<Self>| match (result, answer) {
            (Err(error), _) => reply.send(Err(error)),
            (Ok(()), Some(answer)) => answer.send(shard, &run_key, ctx, move |answer| reply.send(answer)),
            (Ok(()), None) => reply.send(Err(ServiceError::new(ErrorKind::StaleTask, "the workflow task has ended"))),
        };
        if durable { send(self, Ok(()), ctx) } else { self.after_last_staged(Box::new(send)) }
    }
}
