//! Pairs: asking history to record a start, and what its answer means.

use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{api::workflowservice as ws, records::QueuedTask, tokens};
use perdure_rpc::{
    Ask, QueueKind,
    history::{ActivityTaskStart, QueryTaskStart, WorkflowTaskStart},
};
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, PollId, QueryId, StartId, StartOutcome, TaskSource, Work};
use prost::Message;
use std::time::Duration;

use super::{Msg, TaskQueue, asks::PollAsk};

/// A pair that waits for history.
pub(super) struct Started {
    poll: PollId,
    ask: PollAsk,
    task: Option<(TaskSource, Duration)>,
    query: Option<QueryId>,
}

impl TaskQueue {
    pub(super) fn start(&mut self, start: StartId, poll: PollId, work: Work, ctx: &Ctx<Self>) {
        let Some(ask) = self.polls.remove(&poll).filter(|ask| !ask.is_closed()) else {
            return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::PollerGone });
        };
        let myself = ctx.myself();
        match work {
            Work::Task { task, request, source, waited } => {
                let Some(key) = self.key_of(&task) else {
                    // A stored task without an execution can never be started.
                    tracing::error!(queue = %self.name, "dropping a task that names no execution");
                    self.polls.insert(poll, ask);
                    return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::Dropped });
                };
                let (task, queue) = (QueuedTask::clone(&task), self.name.clone());
                let request_id = format!("{}:{request}", self.incarnation);
                let caller = ask.caller().clone();
                let call = match &ask {
                    PollAsk::Workflow(ask) => {
                        let poll = ask.request.request.clone();
                        let request = Box::new(WorkflowTaskStart { task, request_id, queue, poll });
                        Ask::with_callback(caller, request, move |result| {
                            let _ = myself.tell(Msg::WorkflowTaskStarted(start, result));
                        })
                        .into()
                    }
                    PollAsk::Activity(ask) => {
                        let poll = ask.request.request.clone();
                        let request = Box::new(ActivityTaskStart { task, request_id, queue, poll });
                        Ask::with_callback(caller, request, move |result| {
                            let _ = myself.tell(Msg::ActivityTaskStarted(start, result));
                        })
                        .into()
                    }
                };
                self.starts.insert(start, Started { poll, ask, task: Some((source, waited)), query: None });
                self.shared.history.send(&key, call);
            }
            Work::Query { query } => {
                let Some(run) = self.queries.get(&query).map(|ask| ask.request.run.clone()) else {
                    self.polls.insert(poll, ask);
                    return self.inputs.push_back(Input::Started { start, outcome: StartOutcome::Dropped });
                };
                let key = run.business.clone();
                let request = QueryTaskStart { run, sticky: self.name.kind == QueueKind::Sticky };
                let call = Ask::with_callback(ask.caller().clone(), request, move |result| {
                    let _ = myself.tell(Msg::QueryTaskStarted(start, result));
                });
                self.starts.insert(start, Started { poll, ask, task: None, query: Some(query) });
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

    pub(super) fn workflow_task_started(
        &mut self,
        start: StartId,
        result: ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let Some(started) = self.starts.remove(&start) else { return };
        match (result, started) {
            (Ok(mut response), Started { ask: PollAsk::Workflow(ask), task, .. }) => {
                response.backlog_count_hint = self.machine.backlog_count();
                self.count_success(task);
                // A client that left meanwhile lost the task: its timeout brings it back.
                ask.reply.send(Ok(response));
                self.feed(Input::Started { start, outcome: StartOutcome::Delivered }, ctx);
            }
            (Ok(_), started) => self.not_started(start, started, StartOutcome::Dropped, ctx),
            (Err(error), started) => {
                let outcome = self.outcome_of(&error);
                self.not_started(start, started, outcome, ctx);
            }
        }
    }

    pub(super) fn activity_task_started(
        &mut self,
        start: StartId,
        result: ServiceResult<Box<ws::PollActivityTaskQueueResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let Some(started) = self.starts.remove(&start) else { return };
        match (result, started) {
            (Ok(response), Started { ask: PollAsk::Activity(ask), task, .. }) => {
                self.count_success(task);
                ask.reply.send(Ok(response));
                self.feed(Input::Started { start, outcome: StartOutcome::Delivered }, ctx);
            }
            (Ok(_), started) => self.not_started(start, started, StartOutcome::Dropped, ctx),
            (Err(error), started) => {
                let outcome = self.outcome_of(&error);
                self.not_started(start, started, outcome, ctx);
            }
        }
    }

    pub(super) fn query_task_started(
        &mut self,
        start: StartId,
        result: ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let Some(started) = self.starts.remove(&start) else { return };
        let waiting = started.query.filter(|query| self.queries.contains_key(query));
        match (result, waiting, started) {
            (Ok(mut response), Some(query), Started { ask: PollAsk::Workflow(ask), .. }) => {
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
        let Started { poll, ask, .. } = started;
        self.polls.insert(poll, ask);
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
