//! Queries: straight to a worker, or with the workflow task that is on its way.

use std::collections::BTreeMap;

use perdure_execution::workflow::query::{QueryPath, path};
use perdure_kernel::{BusinessKey, ErrorKind, Random, ServiceError};
use perdure_proto::api::{
    enums::{QueryResultType, ResourceExhaustedCause, ResourceExhaustedScope},
    query::WorkflowQueryResult,
    workflowservice as ws,
};
use perdure_rpc::{
    Ask, Caller, HistoryCall, QueueName, TaskType,
    matching::{DirectQuery, MatchingCall},
};
use perdure_runtime::Ctx;

use super::{
    Shard,
    holder::Holder,
    message::{QueryReturned, ShardMsg},
    reads::not_found,
    run::Run,
    work::{Found, Job},
};

/// A question to a workflow.
pub(super) type QueryAsk = Ask<Box<ws::QueryWorkflowRequest>, ws::QueryWorkflowResponse>;

/// A query that goes out with a workflow task.
pub(super) struct BufferedQuery {
    pub(super) id: String,
    pub(super) ask: QueryAsk,
    /// A worker has it with its task.
    pub(super) sent: bool,
}

impl Shard {
    pub(super) fn query(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Found,
        ask: QueryAsk,
        ctx: &Ctx<Self>,
    ) {
        let index = match found {
            Ok(index) => index,
            Err(selector) => return ask.refuse(not_found(key, &selector)),
        };
        let run = &mut holder.runs[index];
        run.queries.retain(|query| !query.ask.reply.is_closed());
        match path(&run.state, ask.request.query_reject_condition(), ask.caller.deadline) {
            Err(error) => ask.refuse(error),
            Ok(QueryPath::Rejected(rejected)) => {
                let response = ws::QueryWorkflowResponse { query_rejected: Some(rejected), ..Default::default() };
                ask.reply.send(Ok(response));
            }
            Ok(QueryPath::Direct) => self.query_directly(run, ask, ctx),
            Ok(QueryPath::WithTask) if run.queries.len() >= ask.caller.namespace.limits.buffered_queries_max => {
                ask.refuse(ServiceError::exhausted(
                    ResourceExhaustedCause::BusyWorkflow,
                    ResourceExhaustedScope::Namespace,
                    "consistent query buffer is full, this may be caused by too many queries and workflow not able to process query fast enough",
                ));
            }
            Ok(QueryPath::WithTask) => {
                let id = self.random.uuid();
                run.queries.push(BufferedQuery { id, ask, sent: false });
            }
        }
    }

    /// Offers a query to workers: to the one that has the workflow in its cache first.
    fn query_directly(&self, run: &Run, ask: QueryAsk, ctx: &Ctx<Self>) {
        let volatile = &run.state.volatile.run;
        let was_sticky = !volatile.sticky_queue.is_empty() && run.state.is_open();
        let namespace = &ask.caller.namespace.id;
        let (queue, deadline) = if was_sticky {
            let to_start = u64::try_from(volatile.sticky_schedule_to_start).unwrap_or(0);
            let until = ctx.now() + std::time::Duration::from_nanos(to_start);
            let deadline = ask.caller.deadline.map_or(until, |deadline| deadline.min(until));
            (QueueName::sticky(namespace, &volatile.sticky_queue), Some(deadline))
        } else {
            (QueueName::normal(namespace, run.state.task_queue(), TaskType::Workflow), ask.caller.deadline)
        };
        let request = Box::new(DirectQuery {
            queue: queue.clone(),
            run: run.state.key.clone(),
            query: ask.request.query.clone().unwrap_or_default(),
        });
        let caller = Caller { deadline, ..ask.caller.clone() };
        let myself = ctx.myself();
        let direct = Ask::with_callback(caller, request, move |result| {
            let returned = QueryReturned { ask, was_sticky, result };
            // A shard that is gone drops the question, which tells its asker to try again.
            let _ = myself.tell(ShardMsg::QueryReturned(Box::new(returned)));
        });
        self.matching.send(&queue, MatchingCall::Query(direct));
    }

    /// A worker answered, or none did.
    pub(super) fn query_returned(&mut self, returned: QueryReturned, ctx: &mut Ctx<Self>) {
        let QueryReturned { ask, was_sticky, result } = returned;
        let Err(error) = result else { return ask.reply.send(result) };
        let time_left = ask.caller.deadline.is_none_or(|deadline| deadline > ctx.now());
        let gave_up = matches!(error.kind, ErrorKind::StickyWorkerUnavailable | ErrorKind::DeadlineExceeded);
        if !(was_sticky && gave_up && time_left) {
            return ask.reply.send(Err(error));
        }
        // The worker that had the workflow in its cache is gone: forget it and ask any.
        let call = HistoryCall::Query(ask);
        let job = Job::Call(call);
        self.forget_sticky(&job);
        self.submit(job, ctx);
    }

    fn forget_sticky(&mut self, job: &Job) {
        let (key, _) = job.target();
        let Some(holder) = self.holders.get_mut(&key) else { return };
        // A workflow task that is on its way to the sticky queue is timed out by the run itself.
        for run in holder.runs.iter_mut().filter(|run| run.state.task().is_none()) {
            run.state.volatile.run.sticky_queue.clear();
        }
    }

    /// No workflow task is on its way that queries could go with: they go on their own. Only what is durable
    /// counts, so this comes after the commit.
    pub(super) fn release_queries(&self, run: &mut Run, ctx: &Ctx<Self>) {
        if run.queries.is_empty() || (run.state.is_open() && run.state.task().is_some()) {
            return;
        }
        for query in std::mem::take(&mut run.queries) {
            let ask = query.ask;
            match path(&run.state, ask.request.query_reject_condition(), ask.caller.deadline) {
                Ok(QueryPath::Direct) => self.query_directly(run, ask, ctx),
                Ok(QueryPath::WithTask) => run.queries.push(BufferedQuery { id: query.id, ask, sent: false }),
                Ok(QueryPath::Rejected(rejected)) => {
                    let response = ws::QueryWorkflowResponse { query_rejected: Some(rejected), ..Default::default() };
                    ask.reply.send(Ok(response));
                }
                Err(error) => ask.refuse(error),
            }
        }
    }
}

impl Run {
    /// The worker's answers to the queries that went with its task.
    pub(super) fn answer_queries(&mut self, mut results: BTreeMap<String, WorkflowQueryResult>) {
        for query in std::mem::take(&mut self.queries) {
            match results.remove(&query.id) {
                Some(result) => query.ask.reply.send(answer(result)),
                None => self.queries.push(query),
            }
        }
    }
}

fn answer(result: WorkflowQueryResult) -> perdure_kernel::ServiceResult<ws::QueryWorkflowResponse> {
    match result.result_type() {
        QueryResultType::Answered => {
            Ok(ws::QueryWorkflowResponse { query_result: result.answer, ..Default::default() })
        }
        QueryResultType::Failed | QueryResultType::Unspecified => {
            let failure = result.failure.map(Box::new);
            Err(ServiceError::new(ErrorKind::QueryFailed { failure }, result.error_message))
        }
    }
}
