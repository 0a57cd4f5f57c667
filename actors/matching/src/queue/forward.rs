//! What a child partition hands to its parent, and gets back.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{api::workflowservice as ws, records::QueuedTask};
use perdure_rpc::{
    Ask, Caller,
    matching::{OfferTask, Poll},
};
use perdure_runtime::Ctx;
use perdure_task_queue::{ForwardId, Forwarded, Input, PollId, QueryId};
use tokio::sync::oneshot;

use super::{Msg, TaskQueue, asks::PollAsk};

/// Waits for an answer until the other end of `called_back` is dropped; dropping the answer tells the
/// parent that its poller left.
async fn until_called_back<R>(
    answer: impl Future<Output = ServiceResult<R>>,
    called_back: oneshot::Receiver<()>,
) -> Option<ServiceResult<R>> {
    tokio::select! {
        biased;
        result = answer => Some(result),
        _ = called_back => None,
    }
}

impl TaskQueue {
    pub(super) fn forward_poll(&mut self, poll: PollId, ctx: &mut Ctx<Self>) {
        let Some(parent) = self.name.parent() else { return };
        self.count(|metrics| &metrics.forwarded);
        let (keep, called_back) = oneshot::channel();
        match self.polls.get(&poll) {
            Some(PollAsk::Workflow(ask)) => {
                let request = Poll { queue: parent.clone(), request: ask.request.request.clone() };
                let (ask, answer) = Ask::new(ask.caller.clone(), request, None);
                self.shared.matching.send_to_partition(&parent, ask.into());
                ctx.spawn_io(until_called_back(answer, called_back), move |result| {
                    Msg::WorkflowPollForwarded(poll, result)
                });
            }
            Some(PollAsk::Activity(ask)) => {
                let request = Poll { queue: parent.clone(), request: ask.request.request.clone() };
                let (ask, answer) = Ask::new(ask.caller.clone(), request, None);
                self.shared.matching.send_to_partition(&parent, ask.into());
                ctx.spawn_io(until_called_back(answer, called_back), move |result| {
                    Msg::ActivityPollForwarded(poll, result)
                });
            }
            None => return self.inputs.push_back(Input::PollGone { poll }),
        }
        self.forwarded.insert(poll, keep);
    }

    pub(super) fn workflow_poll_forwarded(
        &mut self,
        poll: PollId,
        result: Option<ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>>,
        ctx: &mut Ctx<Self>,
    ) {
        self.forwarded.remove(&poll);
        let outcome = match result {
            None => return,
            Some(Err(_)) => Forwarded::Failed,
            Some(Ok(response)) if response.task_token.is_empty() => Forwarded::Empty,
            Some(Ok(response)) => {
                if let Some(PollAsk::Workflow(ask)) = self.polls.remove(&poll) {
                    ask.reply.send(Ok(response));
                }
                Forwarded::Done
            }
        };
        self.feed(Input::PollForwarded { poll, outcome }, ctx);
    }

    pub(super) fn activity_poll_forwarded(
        &mut self,
        poll: PollId,
        result: Option<ServiceResult<Box<ws::PollActivityTaskQueueResponse>>>,
        ctx: &mut Ctx<Self>,
    ) {
        self.forwarded.remove(&poll);
        let outcome = match result {
            None => return,
            Some(Err(_)) => Forwarded::Failed,
            Some(Ok(response)) if response.task_token.is_empty() => Forwarded::Empty,
            Some(Ok(response)) => {
                if let Some(PollAsk::Activity(ask)) = self.polls.remove(&poll) {
                    ask.reply.send(Ok(response));
                }
                Forwarded::Done
            }
        };
        self.feed(Input::PollForwarded { poll, outcome }, ctx);
    }

    pub(super) fn forward_task(&mut self, forward: ForwardId, task: &QueuedTask, until: Timestamp, ctx: &Ctx<Self>) {
        let (Some(parent), Some(caller)) = (self.name.parent(), &self.caller) else {
            // Nobody has called yet: whoever does brings the namespace along.
            return self.inputs.push_back(Input::TaskForwarded { forward, outcome: Forwarded::Failed });
        };
        self.count(|metrics| &metrics.forwarded);
        let request = OfferTask { queue: parent.clone(), task: task.clone(), until };
        let caller = Caller { deadline: Some(until), ..caller.clone() };
        let myself = ctx.myself();
        let ask = Ask::with_callback(caller, request, move |result| {
            let _ = myself.tell(Msg::TaskForwarded(forward, result));
        });
        self.shared.matching.send_to_partition(&parent, ask.into());
    }

    pub(super) fn task_forwarded(&mut self, forward: ForwardId, result: &ServiceResult<()>, ctx: &mut Ctx<Self>) {
        let outcome = match result {
            Ok(()) => Forwarded::Done,
            Err(ServiceError { kind: ErrorKind::DeadlineExceeded, .. }) => Forwarded::Empty,
            Err(_) => {
                self.count(|metrics| &metrics.forward_errors);
                Forwarded::Failed
            }
        };
        self.feed(Input::TaskForwarded { forward, outcome }, ctx);
    }

    pub(super) fn forward_query(&mut self, query: QueryId, ctx: &Ctx<Self>) {
        let (Some(parent), Some(ask)) = (self.name.parent(), self.queries.remove(&query)) else {
            return self.inputs.push_back(Input::QueryAnswered { query });
        };
        self.count(|metrics| &metrics.forwarded);
        let myself = ctx.myself();
        let mut request = ask.request;
        request.queue = parent.clone();
        let (reply, permit) = (ask.reply, ask.permit);
        let forwarded = Ask::with_callback(ask.caller, request, move |result| {
            reply.send(result);
            drop(permit);
            let _ = myself.tell(Msg::QueryForwarded(query));
        });
        self.shared.matching.send_to_partition(&parent, forwarded.into());
    }
}
