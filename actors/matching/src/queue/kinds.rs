//! What polls for workflow tasks and for activity tasks have in common.

use std::sync::Arc;

use perdure_kernel::ServiceResult;
use perdure_proto::{
    api::{taskqueue::PollerScalingDecision, workflowservice as ws},
    records::QueuedTask,
};
use perdure_rpc::{
    Ask, HistoryCall, MatchingCall, QueueName,
    history::{ActivityTaskStart, WorkflowTaskStart},
    matching::Poll,
};
use perdure_task_queue::{PollId, StartId};

use super::{Msg, asks::PollAsk};

/// A poll's request, and where its answer goes.
pub(super) type AskOf<K> = Ask<Poll<<K as PollKind>::Request>, Box<<K as PollKind>::Response>>;

/// What history answers to a start, or the parent to a forwarded poll.
pub(super) type AnswerOf<K> = ServiceResult<Box<<K as PollKind>::Response>>;

/// A kind of poll.
pub(super) trait PollKind: Sized + 'static
where
    MatchingCall: From<AskOf<Self>>,
    HistoryCall: From<Ask<Box<Self::Start>, Box<Self::Response>>>,
{
    type Request: Send + Sync + 'static;
    type Response: Send + 'static;
    /// What history is asked to record.
    type Start: Send + 'static;

    /// The ask, when it is of this kind.
    fn ask(poll: PollAsk) -> Result<AskOf<Self>, PollAsk>;

    /// Whether the answer brings nothing.
    fn is_empty(response: &Self::Response) -> bool;

    /// Adds what the queue knows to history's answer.
    fn complete(response: &mut Self::Response, backlog: i64, advice: Option<PollerScalingDecision>);

    fn start(poll: Arc<Self::Request>, task: QueuedTask, request_id: String, queue: QueueName) -> Self::Start;

    /// The message that brings history's answer.
    fn started(start: StartId, answer: AnswerOf<Self>) -> Msg;

    /// The message that brings the parent's answer; `None` when the poll was called back.
    fn forwarded(poll: PollId, answer: Option<AnswerOf<Self>>) -> Msg;
}

/// Polls for workflow tasks and queries.
pub(super) enum WorkflowPoll {}

/// Polls for activity tasks.
pub(super) enum ActivityPoll {}

macro_rules! poll_kind {
    ($kind:ident, $variant:ident, $request:ty, $response:ty, $start:ident, $started:ident, $forwarded:ident, $hint:expr) => {
        impl PollKind for $kind {
            type Request = $request;
            type Response = $response;
            type Start = $start;

            fn ask(poll: PollAsk) -> Result<AskOf<Self>, PollAsk> {
                if let PollAsk::$variant(ask) = poll { Ok(ask) } else { Err(poll) }
            }

            fn is_empty(response: &Self::Response) -> bool {
                response.task_token.is_empty()
            }

            fn complete(response: &mut Self::Response, backlog: i64, advice: Option<PollerScalingDecision>) {
                response.poller_scaling_decision = advice;
                let hint: fn(&mut Self::Response, i64) = $hint;
                hint(response, backlog);
            }

            fn start(poll: Arc<Self::Request>, task: QueuedTask, request_id: String, queue: QueueName) -> Self::Start {
                $start { task, request_id, queue, poll }
            }

            fn started(start: StartId, answer: AnswerOf<Self>) -> Msg {
                Msg::$started(start, answer)
            }

            fn forwarded(poll: PollId, answer: Option<AnswerOf<Self>>) -> Msg {
                Msg::$forwarded(poll, answer)
            }
        }
    };
}

poll_kind!(
    WorkflowPoll,
    Workflow,
    ws::PollWorkflowTaskQueueRequest,
    ws::PollWorkflowTaskQueueResponse,
    WorkflowTaskStart,
    WorkflowTaskStarted,
    WorkflowPollForwarded,
    |response, backlog| response.backlog_count_hint = backlog
);
poll_kind!(
    ActivityPoll,
    Activity,
    ws::PollActivityTaskQueueRequest,
    ws::PollActivityTaskQueueResponse,
    ActivityTaskStart,
    ActivityTaskStarted,
    ActivityPollForwarded,
    |_response, _backlog| {}
);
