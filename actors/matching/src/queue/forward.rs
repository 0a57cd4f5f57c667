//! What a child partition hands to its parent, and gets back.

use std::sync::Arc;

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::records::QueuedTask;
use perdure_rpc::{
    Ask, Caller, HistoryCall, MatchingCall, QueueName,
    matching::{OfferTask, Poll},
};
use perdure_runtime::Ctx;
use perdure_task_queue::{ForwardId, Forwarded, Input, PollId, QueryId};
use tokio::sync::oneshot;

use super::{
    Msg, TaskQueue,
    asks::PollAsk,
    kinds::{ActivityPoll, AnswerOf, AskOf, PollKind, WorkflowPoll},
};

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
        match self.polls.get(&poll).map(|waiting| &waiting.ask) {
            Some(PollAsk::Workflow(ask)) => {
                let (caller, request) = (ask.caller.clone(), ask.request.request.clone());
                self.hand_on::<WorkflowPoll>(poll, parent, caller, request, ctx);
            }
            Some(PollAsk::Activity(ask)) => {
                let (caller, request) = (ask.caller.clone(), ask.request.request.clone());
                self.hand_on::<ActivityPoll>(poll, parent, caller, request, ctx);
            }
            None => self.inputs.push_back(Input::PollGone { poll }),
        }
    }

    fn hand_on<K: PollKind>(
        &mut self,
        poll: PollId,
        parent: QueueName,
        caller: Caller,
        request: Arc<K::Request>,
        ctx: &mut Ctx<Self>,
    ) where
        MatchingCall: From<AskOf<K>>,
        HistoryCall: From<Ask<Box<K::Start>, Box<K::Response>>>,
    {
        let (keep, called_back) = oneshot::channel();
        let (ask, answer) = Ask::new(caller, Poll { queue: parent.clone(), request }, None);
        self.shared.matching.send_to_partition(&parent, ask.into());
        ctx.spawn_io(until_called_back(answer, called_back), move |answer| K::forwarded(poll, answer));
        self.forwarded.insert(poll, keep);
    }

    pub(super) fn poll_forwarded<K: PollKind>(&mut self, poll: PollId, answer: Option<AnswerOf<K>>, ctx: &mut Ctx<Self>)
    where
        MatchingCall: From<AskOf<K>>,
        HistoryCall: From<Ask<Box<K::Start>, Box<K::Response>>>,
    {
        self.forwarded.remove(&poll);
        let outcome = match answer {
            None => return,
            Some(Err(_)) => Forwarded::Failed,
            Some(Ok(response)) if K::is_empty(&response) => Forwarded::Empty,
            Some(Ok(response)) => {
                let ask = self.polls.remove(&poll).and_then(|waiting| K::ask(waiting.ask).ok());
                if let Some(ask) = ask {
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
