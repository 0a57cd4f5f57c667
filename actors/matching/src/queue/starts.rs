//! Pairs: asking history to record a start, and what its answer means.

use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{taskqueue::PollerScalingDecision, workflowservice as ws},
    records::QueuedTask,
    tokens,
};
use perdure_rpc::{Ask, Caller, HistoryCall, MatchingCall, QueueKind, history::QueryTaskStart};
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, PollId, QueryId, StartId, StartOutcome, TaskSource, Work};
use prost::Message;
use std::time::Duration;

use super::{
    Msg, TaskQueue,
    asks::{PollAsk, Waiting},
    kinds::{ActivityPoll, AnswerOf, AskOf, PollKind, WorkflowPoll},
};

/// A pair that waits for history.
pub(super) struct Started {
    poll: PollId,
    waiting: Waiting,
    task: Option<(TaskSource, Duration)>,
    query: Option<QueryId>,
}

impl TaskQueue {
    pub(super) fn start(&mut self, start: StartId, poll: PollId, work: Work, ctx: &Ctx<Self>) {
        let Some(waiting) = self.polls.remove(&poll).filter(|waiting| !waiting.ask.is_closed()) else {
            return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::PollerGone });
        };
        match work {
            Work::Task { task, request, source, waited } => {
                let Some(key) = self.key_of(&task) else {
                    // A stored task without an execution can never be started.
                    tracing::error!(queue = %self.name, "dropping a task that names no execution");
                    self.polls.insert(poll, waiting);
                    return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::Dropped });
                };
                let (task, queue) = (QueuedTask::clone(&task), self.name.clone());
                let request_id = format!("{}:{request}", self.incarnation);
                let caller = waiting.ask.caller().clone();
                match &waiting.ask {
                    PollAsk::Workflow(ask) => {
                        let request = WorkflowPoll::start(ask.request.request.clone(), task, request_id, queue);
                        self.ask_history::<WorkflowPoll>(start, &key, request, caller, ctx);
                    }
                    PollAsk::Activity(ask) => {
                        let request = ActivityPoll::start(ask.request.request.clone(), task, request_id, queue);
                        self.ask_history::<ActivityPoll>(start, &key, request, caller, ctx);
                    }
                }
                self.starts.insert(start, Started { poll, waiting, task: Some((source, waited)), query: None });
            }
            Work::Query { query } => {
                let Some(run) = self.queries.get(&query).map(|ask| ask.request.run.clone()) else {
                    self.polls.insert(poll, waiting);
                    return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::Dropped });
                };
                let key = run.business.clone();
                let myself = ctx.myself();
                let request = QueryTaskStart { run, sticky: self.name.kind == QueueKind::Sticky };
                let call = Ask::with_callback(waiting.ask.caller().clone(), request, move |result| {
                    let _ = myself.tell(Msg::QueryTaskStarted(start, result));
                });
                self.starts.insert(start, Started { poll, waiting, task: None, query: Some(query) });
                self.shared.history.send(&key, call.into());
            }
        }
    }

    fn key_of(&self, task: &QueuedTask) -> Option<BusinessKey> {
        let execution = task.execution.as_ref()?;
        let archetype = perdure_kernel::Archetype(u16::try_from(execution.archetype).ok()?);
        let business_id = execution.business_id.as_str().into();
        Some(BusinessKey { namespace_id: self.name.namespace_id.clone(), archetype, business_id })
    }

    fn ask_history<K: PollKind>(
        &self,
        start: StartId,
        key: &BusinessKey,
        request: K::Start,
        caller: Caller,
        ctx: &Ctx<Self>,
    ) where
        MatchingCall: From<AskOf<K>>,
        HistoryCall: From<Ask<Box<K::Start>, Box<K::Response>>>,
    {
        let myself = ctx.myself();
        let call = Ask::with_callback(caller, Box::new(request), move |answer| {
            let _ = myself.tell(K::started(start, answer));
        });
        self.shared.history.send(key, call.into());
    }

    pub(super) fn task_started<K: PollKind>(&mut self, start: StartId, answer: AnswerOf<K>, ctx: &mut Ctx<Self>)
    where
        MatchingCall: From<AskOf<K>>,
        HistoryCall: From<Ask<Box<K::Start>, Box<K::Response>>>,
    {
        let Some(started) = self.starts.remove(&start) else { return };
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => {
                let outcome = self.outcome_of(&error);
                return self.not_started(start, started, outcome, ctx);
            }
        };
        let Started { poll, waiting: Waiting { ask, since }, task, query } = started;
        match K::ask(ask) {
            Ok(ask) => {
                let source = task.map_or(TaskSource::Memory, |(source, _)| source);
                K::complete(&mut response, self.machine.backlog_count(), self.advice(since, source, ctx));
                self.count_success(task);
                // A client that left meanwhile lost the task: its timeout brings it back.
                ask.reply.send(Ok(response));
                self.feed(Input::Started { start, outcome: StartOutcome::Delivered }, ctx);
            }
            Err(ask) => {
                let started = Started { poll, waiting: Waiting { ask, since }, task, query };
                self.not_started(start, started, StartOutcome::Dropped, ctx);
            }
        }
    }

    /// Whether the worker should keep more polls waiting, or fewer.
    fn advice(&mut self, since: Timestamp, source: TaskSource, ctx: &Ctx<Self>) -> Option<PollerScalingDecision> {
        let delta = self.machine.scaling(ctx.now(), since, source)?;
        Some(PollerScalingDecision { poll_request_delta_suggestion: delta })
    }

    pub(super) fn query_task_started(
        &mut self,
        start: StartId,
        result: ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let Some(started) = self.starts.remove(&start) else { return };
        let asked = started.query.filter(|query| self.queries.contains_key(query));
        match (result, asked, started) {
            (
                Ok(mut response),
                Some(query),
                Started { waiting: Waiting { ask: PollAsk::Workflow(ask), since }, .. },
            ) => {
                response.poller_scaling_decision = self.advice(since, TaskSource::Memory, ctx);
                let token = tokens::QueryTask {
                    namespace_id: self.name.namespace_id.to_string(),
                    task_queue: self.key.name.clone(),
                    query_id: self.query_id(query),
                    sticky: self.name.kind == QueueKind::Sticky,
                };
                response.task_token = token.encode_to_vec().into();
                response.query = self.queries.get(&query).map(|ask| ask.request.query.clone());
                self.count(|metrics| &metrics.poll_success);
                let left = ask.reply.offer(Ok(response)).is_err();
                // Unlike a task, a query can still go to another worker.
                let outcome = if left { StartOutcome::PollerGone } else { StartOutcome::Delivered };
                self.feed(Input::Started { start, outcome }, ctx);
            }
            (Err(error), Some(query), started) => {
                if let Some(ask) = self.queries.remove(&query) {
                    ask.refuse(error);
                }
                self.not_started(start, started, StartOutcome::Dropped, ctx);
            }
            (Ok(_) | Err(_), _, started) => self.not_started(start, started, StartOutcome::Dropped, ctx),
        }
    }

    /// The poll waits on.
    fn not_started(&mut self, start: StartId, started: Started, outcome: StartOutcome, ctx: &mut Ctx<Self>) {
        let Started { poll, waiting, .. } = started;
        self.polls.insert(poll, waiting);
        self.feed(Input::Started { start, outcome }, ctx);
        self.watch_poll(poll, ctx);
    }

    fn count_success(&self, task: Option<(TaskSource, Duration)>) {
        let (Some(metrics), Some((source, waited))) = (&self.metrics, task) else { return };
        metrics.poll_success.increment(1);
        match source {
            TaskSource::Memory => {
                metrics.poll_success_sync.increment(1);
                metrics.sync_match.record(waited);
            }
            TaskSource::Backlog => metrics.async_match.record(waited),
        }
    }

    /// What becomes of a task whose start history refused.
    fn outcome_of(&self, error: &ServiceError) -> StartOutcome {
        match error.kind {
            // The ordinary ends of a task that is no longer wanted.
            ErrorKind::StaleTask | ErrorKind::NotFound | ErrorKind::NamespaceNotFound { .. } => StartOutcome::Dropped,
            ErrorKind::Unavailable
            | ErrorKind::ResourceExhausted { .. }
            | ErrorKind::DeadlineExceeded
            | ErrorKind::Canceled
            | ErrorKind::StickyWorkerUnavailable => {
                self.count(|metrics| &metrics.tasks_retried);
                StartOutcome::Later
            }
            // Trying again would fail for ever, and the run's own timers see to it.
            ErrorKind::InvalidArgument
            | ErrorKind::NamespaceAlreadyExists
            | ErrorKind::NamespaceInvalidState { .. }
            | ErrorKind::WorkflowExecutionAlreadyStarted { .. }
            | ErrorKind::ActivityExecutionAlreadyStarted { .. }
            | ErrorKind::FailedPrecondition
            | ErrorKind::WorkflowNotReady
            | ErrorKind::QueryFailed { .. }
            | ErrorKind::Aborted
            | ErrorKind::MultiOperation { .. }
            | ErrorKind::MultiOperationAborted
            | ErrorKind::PermissionDenied
            | ErrorKind::Unimplemented
            | ErrorKind::DataLoss
            | ErrorKind::Internal => {
                tracing::error!(queue = %self.name, %error, "dropping a task that cannot be started");
                self.count(|metrics| &metrics.tasks_not_retryable);
                StartOutcome::Dropped
            }
        }
    }
}
