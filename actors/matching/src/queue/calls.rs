//! Requests to the queue.

use std::{sync::Arc, time::Duration};

use perdure_kernel::{ErrorKind, ServiceError, Timestamp};
use perdure_proto::api::{
    enums::QueryResultType,
    taskqueue::{TaskQueueMetadata, TaskQueueStats, TaskQueueStatus},
    workflowservice as ws,
};
use perdure_rpc::{
    Ask, Caller, MatchingCall, QueueKind, TaskType,
    matching::{AnswerQuery, DescribeQueue},
};
use perdure_runtime::{Ctx, Reply};
use perdure_task_queue::{AskId, Input, PollId, PollerNote, QueryId};

use super::{QueueMsg, TaskQueue, WaitingPoll, WaitingQuery};

/// Time before the caller's deadline at which a poll is answered, so that the answer still arrives.
const LONG_POLL_TAIL: Duration = Duration::from_secs(1);

impl TaskQueue {
    pub(super) fn call(&mut self, call: MatchingCall, ctx: &mut Ctx<Self>) {
        let now = ctx.now();
        let caller = call.caller().clone();
        self.follow_settings(&caller, now, ctx);
        match call {
            MatchingCall::AddTask(mut ask) => {
                let task = Arc::new(std::mem::take(&mut ask.request.task));
                let id = AskId(self.number());
                self.asks.insert(id, ask);
                self.tell(Input::TaskAdded { ask: id, task, until: None }, ctx);
            }
            MatchingCall::OfferTask(ask) => {
                // Partitions are equals: nobody forwards.
                ask.refuse(ServiceError::new(ErrorKind::DeadlineExceeded, "this partition takes no forwarded tasks"));
            }
            MatchingCall::Query(ask) => {
                let id = QueryId(self.number());
                let deadline = ask.caller.deadline.unwrap_or(Timestamp::MAX);
                self.queries.insert(id, WaitingQuery { ask });
                self.tell(Input::QueryAdded { query: id, deadline }, ctx);
            }
            MatchingCall::PollWorkflowTask(ask) => {
                let request = Arc::clone(&ask.request.request);
                self.machine.note_poller(
                    now,
                    PollerNote {
                        identity: &request.identity,
                        rate: None,
                        capabilities: request.worker_version_capabilities.as_ref(),
                        deployment: request.deployment_options.as_ref(),
                    },
                );
                let deadline = self.poll_deadline(&ask.caller, now);
                let id = self.watch(&ask.reply, ctx);
                self.polls.insert(id, WaitingPoll::Workflow(ask));
                self.tell(Input::PollArrived { poll: id, deadline }, ctx);
            }
            MatchingCall::PollActivityTask(ask) => {
                let request = Arc::clone(&ask.request.request);
                let rate = rate_of(request.task_queue_metadata.as_ref());
                self.machine.note_poller(
                    now,
                    PollerNote {
                        identity: &request.identity,
                        rate,
                        capabilities: request.worker_version_capabilities.as_ref(),
                        deployment: request.deployment_options.as_ref(),
                    },
                );
                if let Some(rate) = rate {
                    let share = rate / f64::from(self.settings.read_partitions.max(1));
                    self.tell(Input::RateSet(Some(share)), ctx);
                }
                let deadline = self.poll_deadline(&ask.caller, now);
                let id = self.watch(&ask.reply, ctx);
                self.polls.insert(id, WaitingPoll::Activity(ask));
                self.tell(Input::PollArrived { poll: id, deadline }, ctx);
            }
            MatchingCall::AnswerQuery(ask) => self.answer_query(ask, ctx),
            MatchingCall::Describe(ask) => self.describe(ask, now),
        }
    }

    /// A number for a poll, and word when its client leaves.
    fn watch<T: Send + 'static>(&mut self, reply: &Reply<T>, ctx: &mut Ctx<Self>) -> PollId {
        let id = PollId(self.number());
        let myself = ctx.myself();
        reply.on_closed(move || {
            // A queue that is gone holds no polls.
            let _ = myself.tell(QueueMsg::PollGone(id));
        });
        id
    }

    fn poll_deadline(&self, caller: &Caller, now: Timestamp) -> Timestamp {
        let longest = now + self.settings.long_poll;
        caller.deadline.map_or(longest, |deadline| (deadline - LONG_POLL_TAIL).min(longest))
    }

    fn answer_query(
        &mut self,
        ask: Ask<Box<AnswerQuery>, ws::RespondQueryTaskCompletedResponse>,
        ctx: &mut Ctx<Self>,
    ) {
        let id = ask.request.query_id.parse().ok().map(QueryId);
        let Some((id, query)) = id.and_then(|id| Some((id, self.queries.remove(&id)?))) else {
            return ask.refuse(ServiceError::not_found("query task not found, or already expired"));
        };
        let answer = ask.request.request;
        let completed = QueryResultType::try_from(answer.completed_type).unwrap_or_default();
        let result = match completed {
            QueryResultType::Answered => {
                Ok(ws::QueryWorkflowResponse { query_result: answer.query_result, ..Default::default() })
            }
            QueryResultType::Failed | QueryResultType::Unspecified => {
                let kind = ErrorKind::QueryFailed { failure: answer.failure.map(Box::new) };
                Err(ServiceError::new(kind, answer.error_message))
            }
        };
        query.ask.reply.send(result);
        self.tell(Input::QueryAnswered { query: id }, ctx);
        ask.reply.send(Ok(ws::RespondQueryTaskCompletedResponse::default()));
    }

    fn describe(&mut self, ask: Ask<DescribeQueue, Box<ws::DescribeTaskQueueResponse>>, now: Timestamp) {
        let told = self.machine.describe(now);
        let request = &ask.request.request;
        let mut response = ws::DescribeTaskQueueResponse { pollers: told.pollers, ..Default::default() };
        if request.include_task_queue_status {
            response.task_queue_status = Some(TaskQueueStatus { ..told.status });
        }
        if request.report_stats {
            response.stats = Some(total(&told.stats));
        }
        ask.reply.send(Ok(Box::new(response)));
    }

    /// Whether this queue belongs to one worker.
    pub(super) fn is_sticky(&self) -> bool {
        self.name.kind == QueueKind::Sticky
    }

    /// Whether this queue holds workflow tasks.
    pub(super) fn holds_workflow_tasks(&self) -> bool {
        self.name.task_type == TaskType::Workflow
    }
}

/// Stats of all levels together.
fn total(levels: &[TaskQueueStats]) -> TaskQueueStats {
    let age = |stats: &TaskQueueStats| perdure_kernel::time::span(stats.approximate_backlog_age.as_ref());
    TaskQueueStats {
        approximate_backlog_count: levels.iter().map(|level| level.approximate_backlog_count).sum(),
        approximate_backlog_age: levels.iter().map(age).max().map(perdure_kernel::time::span_to_proto),
        tasks_add_rate: levels.iter().map(|level| level.tasks_add_rate).sum(),
        tasks_dispatch_rate: levels.iter().map(|level| level.tasks_dispatch_rate).sum(),
        rate_limiting_active: levels.iter().any(|level| level.rate_limiting_active),
    }
}

fn rate_of(metadata: Option<&TaskQueueMetadata>) -> Option<f64> {
    metadata.and_then(|metadata| metadata.max_tasks_per_second)
}
