//! What the machine wants done.

use std::sync::Arc;

use perdure_kernel::{ErrorKind, ExecutionKey, Namespace, NamespaceId, ServiceError, Timestamp};
use perdure_proto::{
    api::enums::{ResourceExhaustedCause, ResourceExhaustedScope},
    records::QueuedTask,
};
use perdure_rpc::{
    Ask, Caller, HistoryCall,
    history::{ActivityTaskStart, QueryTaskStart, WorkflowTaskStart},
};
use perdure_runtime::Ctx;
use perdure_task_queue::{
    AddRefusal, AskId, Forwarded, Input, Output, PollId, QueryId, QueryRefusal, StartId, StartOutcome, Work,
};

use super::{PendingStart, QueueMsg, TaskQueue, WaitingPoll, task_of};

impl TaskQueue {
    /// Does what the machine wants. What it must be told at once is returned.
    pub(super) fn carry_out(&mut self, output: Output, ctx: &mut Ctx<Self>) -> Option<Input> {
        match output {
            Output::Start { start, poll, work } => return self.start(start, poll, &work, ctx),
            Output::AnswerPollEmpty { poll } => self.answer_empty(poll),
            Output::RefusePoll { poll } => self.refuse_poll(poll),
            Output::AckAdd { ask } => {
                if let Some(ask) = self.asks.remove(&ask) {
                    ask.reply.send(Ok(()));
                }
            }
            Output::RefuseAdd { ask, refusal } => self.refuse_add(ask, refusal),
            Output::FailQuery { query, refusal } => self.fail_query(query, refusal),
            Output::AcquireLease => self.acquire_lease(ctx),
            Output::Append { range_id, tasks } => self.append(range_id, &tasks, ctx),
            Output::Read { after_id, limit } => self.read(after_id, limit, ctx),
            Output::Ack { range_id, ack_id } => self.ack(range_id, ack_id, ctx),
            // Roots and sticky queues have no parent to forward to.
            Output::ForwardPoll { poll } => return Some(Input::PollForwarded { poll, outcome: Forwarded::Failed }),
            Output::ForwardTask { forward, .. } => {
                return Some(Input::TaskForwarded { forward, outcome: Forwarded::Failed });
            }
            Output::ForwardQuery { .. } => {}
            Output::TaskExpired => {}
            Output::GoIdle => {
                if ctx.io_in_flight() == 0 {
                    ctx.try_passivate();
                }
            }
        }
        None
    }

    /// Asks history to record that a poller takes a piece of work.
    fn start(&mut self, start: StartId, poll: PollId, work: &Work, ctx: &mut Ctx<Self>) -> Option<Input> {
        let gone = Some(Input::Started { start, outcome: StartOutcome::PollerGone });
        let Some(waiting) = self.polls.get(&poll).filter(|waiting| !waiting.is_closed()) else {
            self.polls.remove(&poll);
            return gone;
        };
        let (Some(caller), request_id) = (self.caller.clone(), perdure_kernel::Random::uuid(&mut self.random)) else {
            return gone;
        };
        let myself = ctx.myself();
        match (waiting, task_of(work)) {
            (WaitingPoll::Workflow(ask), Some(task)) => {
                let request = Box::new(WorkflowTaskStart {
                    task: (*task).clone(),
                    request_id,
                    queue: self.name.clone(),
                    poll: Arc::clone(&ask.request.request),
                });
                let target = target(&caller.namespace, &task);
                let call = Ask::with_callback(caller, request, move |result| {
                    let _ = myself.tell(QueueMsg::WorkflowStarted { start, result });
                });
                self.starts.insert(start, PendingStart { poll, query: None });
                self.history.send(&target.business, HistoryCall::StartWorkflowTask(call));
            }
            (WaitingPoll::Activity(ask), Some(task)) => {
                let request = Box::new(ActivityTaskStart {
                    task: (*task).clone(),
                    request_id,
                    queue: self.name.clone(),
                    poll: Arc::clone(&ask.request.request),
                });
                let target = target(&caller.namespace, &task);
                let call = Ask::with_callback(caller, request, move |result| {
                    let _ = myself.tell(QueueMsg::ActivityStarted { start, result });
                });
                self.starts.insert(start, PendingStart { poll, query: None });
                self.history.send(&target.business, HistoryCall::StartActivityTask(call));
            }
            (_, None) => {
                let Work::Query { query } = work else { return gone };
                let Some(waiting) = self.queries.get(query) else {
                    return Some(Input::Started { start, outcome: StartOutcome::Dropped });
                };
                let run: ExecutionKey = waiting.ask.request.run.clone();
                let request = QueryTaskStart { run: run.clone(), sticky: self.is_sticky() };
                let caller = Caller { deadline: waiting.ask.caller.deadline, ..caller };
                let call = Ask::with_callback(caller, request, move |result| {
                    let _ = myself.tell(QueueMsg::WorkflowStarted { start, result });
                });
                self.starts.insert(start, PendingStart { poll, query: Some(*query) });
                self.history.send(&run.business, HistoryCall::StartQueryTask(call));
            }
        }
        None
    }

    fn refuse_poll(&mut self, poll: PollId) {
        let Some(waiting) = self.polls.remove(&poll) else { return };
        waiting.refuse(ServiceError::exhausted(
            ResourceExhaustedCause::ConcurrentLimit,
            ResourceExhaustedScope::Namespace,
            "too many polls wait for this task queue; run fewer pollers",
        ));
    }

    fn refuse_add(&mut self, ask: AskId, refusal: AddRefusal) {
        let Some(ask) = self.asks.remove(&ask) else { return };
        ask.refuse(match refusal {
            AddRefusal::StickyWorkerUnavailable => sticky_unavailable(),
            AddRefusal::Overloaded => ServiceError::exhausted(
                ResourceExhaustedCause::SystemOverloaded,
                ResourceExhaustedScope::Namespace,
                "Too many outstanding appends to the task queue",
            ),
            AddRefusal::NotStored => ServiceError::unavailable("the task could not be written to the backlog"),
            AddRefusal::NoPoller => ServiceError::new(ErrorKind::DeadlineExceeded, "no poller came in time"),
            AddRefusal::Stopping => ServiceError::unavailable("the task queue is moving; try again"),
        });
    }

    fn fail_query(&mut self, query: QueryId, refusal: QueryRefusal) {
        let Some(waiting) = self.queries.remove(&query) else { return };
        let queue = self.name.rpc_name();
        waiting.ask.refuse(match refusal {
            QueryRefusal::StickyWorkerUnavailable => sticky_unavailable(),
            QueryRefusal::NoPoller => ServiceError::new(
                ErrorKind::DeadlineExceeded,
                format!("no poller seen for task queue recently, worker may be down. Task queue: {queue}"),
            ),
            QueryRefusal::DeadlineExceeded => {
                ServiceError::new(ErrorKind::DeadlineExceeded, "query timed out before a worker could process it")
            }
            QueryRefusal::Overloaded => ServiceError::exhausted(
                ResourceExhaustedCause::ConcurrentLimit,
                ResourceExhaustedScope::Namespace,
                "too many queries wait for this task queue",
            ),
            QueryRefusal::Stopping => ServiceError::unavailable("the task queue is moving; try again"),
        });
    }
}

fn sticky_unavailable() -> ServiceError {
    ServiceError::new(ErrorKind::StickyWorkerUnavailable, "sticky worker unavailable, please use original task queue.")
}

/// The run that a task belongs to.
fn target(namespace: &Namespace, task: &QueuedTask) -> ExecutionKey {
    let execution = task.execution.clone().unwrap_or_default();
    let namespace_id = if execution.namespace_id.is_empty() {
        namespace.id.clone()
    } else {
        NamespaceId::from(execution.namespace_id.as_str())
    };
    ExecutionKey::workflow(&namespace_id, &execution.business_id, &execution.run_id)
}

/// When a task's time is over, as rows keep it.
pub(super) fn expiry(task: &QueuedTask) -> Timestamp {
    Timestamp::from_nanos(task.expires_at)
}
