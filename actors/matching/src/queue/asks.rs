//! Requests as they come in.

use std::{sync::Arc, time::Duration};

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{enums::QueryResultType, workflowservice as ws},
    records::QueuedTask,
};
use perdure_rpc::{
    Ask, Caller, QueueKind,
    matching::{AnswerQuery, DescribeQueue, DirectQuery, Poll},
};
use perdure_runtime::{Ctx, Reply};
use perdure_task_queue::{AskId, Input, PollId, PollerNote, QueryId};

use super::{Msg, TaskQueue};

/// A poll is answered this long before its client would give up.
const POLL_MARGIN: Duration = Duration::from_secs(1);

/// How long a query waits whose caller named no deadline.
const QUERY_WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// A poll of either kind.
pub(super) enum PollAsk {
    Workflow(Ask<Poll<ws::PollWorkflowTaskQueueRequest>, Box<ws::PollWorkflowTaskQueueResponse>>),
    Activity(Ask<Poll<ws::PollActivityTaskQueueRequest>, Box<ws::PollActivityTaskQueueResponse>>),
}

/// A poll under way.
pub(super) struct Waiting {
    pub(super) ask: PollAsk,
    /// When it came.
    pub(super) since: Timestamp,
}

impl PollAsk {
    pub(super) fn caller(&self) -> &Caller {
        match self {
            Self::Workflow(ask) => &ask.caller,
            Self::Activity(ask) => &ask.caller,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Workflow(ask) => ask.reply.is_closed(),
            Self::Activity(ask) => ask.reply.is_closed(),
        }
    }

    pub(super) fn answer_empty(self) {
        match self {
            Self::Workflow(ask) => ask.reply.send(Ok(Box::default())),
            Self::Activity(ask) => ask.reply.send(Ok(Box::default())),
        }
    }

    pub(super) fn refuse(self, error: ServiceError) {
        match self {
            Self::Workflow(ask) => ask.refuse(error),
            Self::Activity(ask) => ask.refuse(error),
        }
    }

    /// The key that tells this worker from others.
    pub(super) fn worker_instance_key(&self) -> &str {
        match self {
            Self::Workflow(ask) => &ask.request.request.worker_instance_key,
            Self::Activity(ask) => &ask.request.request.worker_instance_key,
        }
    }

    // The old version capabilities are deprecated in the API, but what older workers send.
    #[allow(deprecated)]
    fn note(&self) -> PollerNote<'_> {
        match self {
            Self::Workflow(ask) => {
                let request = &ask.request.request;
                PollerNote {
                    identity: &request.identity,
                    rate: None,
                    capabilities: request.worker_version_capabilities.as_ref(),
                    deployment: request.deployment_options.as_ref(),
                }
            }
            Self::Activity(ask) => {
                let request = &ask.request.request;
                PollerNote {
                    identity: &request.identity,
                    rate: request.task_queue_metadata.as_ref().and_then(|metadata| metadata.max_tasks_per_second),
                    capabilities: request.worker_version_capabilities.as_ref(),
                    deployment: request.deployment_options.as_ref(),
                }
            }
        }
    }
}

impl TaskQueue {
    pub(super) fn poll(&mut self, ask: PollAsk, now: Timestamp, ctx: &mut Ctx<Self>) {
        if self.shut_down.contains(ask.worker_instance_key(), now) {
            return ask.answer_empty();
        }
        let poll = PollId(self.number());
        let held = now + self.settings.long_poll;
        let deadline = ask.caller().deadline.map_or(held, |deadline| held.min(deadline - POLL_MARGIN));
        let note = ask.note();
        let rate = note.rate;
        self.machine.note_poller(now, note);
        // The last poll decides, also when it names none.
        if rate != self.limits.worker {
            self.limits.worker = rate;
            self.share_rate();
        }
        self.polls.insert(poll, Waiting { ask, since: now });
        self.feed(Input::PollArrived { poll, deadline }, ctx);
        self.watch_poll(poll, ctx);
        self.load_children();
    }

    /// Has the machine told when the client of a waiting poll leaves.
    pub(super) fn watch_poll(&self, poll: PollId, ctx: &Ctx<Self>) {
        let myself = ctx.myself();
        let told = move || {
            // An actor that is gone has dropped the poll.
            let _ = myself.tell(Msg::PollGone(poll));
        };
        match self.polls.get(&poll).map(|waiting| &waiting.ask) {
            Some(PollAsk::Workflow(ask)) => ask.reply.on_closed(told),
            Some(PollAsk::Activity(ask)) => ask.reply.on_closed(told),
            None => {}
        }
    }

    pub(super) fn poll_gone(&mut self, poll: PollId, ctx: &mut Ctx<Self>) {
        self.forwarded.remove(&poll);
        if self.polls.remove(&poll).is_some() {
            self.feed(Input::PollGone { poll }, ctx);
        }
    }

    /// The root's first poll brings the children to memory: what an earlier owner left in their backlogs
    /// would otherwise wait for a poll that happens to go there.
    fn load_children(&mut self) {
        if self.children_loaded || self.name.partition != 0 || self.name.kind == QueueKind::Sticky {
            return;
        }
        self.children_loaded = true;
        let Some(caller) = &self.caller else { return };
        for partition in 1..self.settings.partitions() {
            let queue = self.name.with_partition(partition);
            let request = DescribeQueue { queue: queue.clone(), request: ws::DescribeTaskQueueRequest::default() };
            let ask = Ask::with_callback(caller.clone(), request, |_| {});
            self.shared.matching.send_to_partition(&queue, ask.into());
        }
    }

    pub(super) fn add(
        &mut self,
        task: QueuedTask,
        until: Option<Timestamp>,
        reply: Reply<ServiceResult<()>>,
        ctx: &mut Ctx<Self>,
    ) {
        if until.is_none() {
            self.count(|metrics| &metrics.tasks_added);
        }
        let ask = AskId(self.number());
        self.adds.insert(ask, reply);
        self.feed(Input::TaskAdded { ask, task: Arc::new(task), until }, ctx);
    }

    pub(super) fn query(
        &mut self,
        ask: Ask<Box<DirectQuery>, ws::QueryWorkflowResponse>,
        now: Timestamp,
        ctx: &mut Ctx<Self>,
    ) {
        let query = QueryId(self.number());
        let deadline = ask.caller.deadline.unwrap_or(now + QUERY_WAIT_DEFAULT);
        self.queries.insert(query, ask);
        self.feed(Input::QueryAdded { query, deadline }, ctx);
    }

    /// The id under which a worker answers a query.
    pub(super) fn query_id(&self, query: QueryId) -> String {
        format!("{}:{}", self.incarnation, query.0)
    }

    fn parse_query_id(&self, text: &str) -> Option<QueryId> {
        let number = text.strip_prefix(self.incarnation.as_str())?.strip_prefix(':')?;
        number.parse().ok().map(QueryId)
    }

    pub(super) fn answer_query(
        &mut self,
        answer: AnswerQuery,
        reply: Reply<ServiceResult<ws::RespondQueryTaskCompletedResponse>>,
        ctx: &mut Ctx<Self>,
    ) {
        let query = self.parse_query_id(&answer.query_id);
        let Some((query, ask)) = query.and_then(|query| Some((query, self.queries.remove(&query)?))) else {
            return reply.send(Err(ServiceError::not_found("query task not found, or already expired")));
        };
        ask.reply.send(query_result(answer.request));
        reply.send(Ok(ws::RespondQueryTaskCompletedResponse {}));
        self.feed(Input::QueryAnswered { query }, ctx);
    }
}

/// What the query's caller hears.
fn query_result(request: ws::RespondQueryTaskCompletedRequest) -> ServiceResult<ws::QueryWorkflowResponse> {
    match QueryResultType::try_from(request.completed_type) {
        Ok(QueryResultType::Answered) => {
            Ok(ws::QueryWorkflowResponse { query_result: request.query_result, ..ws::QueryWorkflowResponse::default() })
        }
        Ok(QueryResultType::Failed) => Err(ServiceError::new(
            ErrorKind::QueryFailed { failure: request.failure.map(Box::new) },
            request.error_message,
        )),
        Ok(QueryResultType::Unspecified) | Err(_) => Err(ServiceError::internal("unknown query completed type")),
    }
}
