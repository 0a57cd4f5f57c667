//! What a task queue can be asked.

use std::sync::Arc;

use perdure_kernel::{ExecutionKey, NamespaceId, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{query::WorkflowQuery, taskqueue::TaskQueueConfig, workflowservice as ws},
    records::{QueuedTask, TaskQueueSettings},
};
use perdure_runtime::{Permit, Recipient};

use crate::{Ask, Caller, QueueKind, QueueName, WorkersCall, ask::calls};

/// A task for a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct AddTask {
    /// The queue's root or a partition; the queue's owner spreads tasks over partitions.
    pub queue: QueueName,
    /// The task.
    pub task: QueuedTask,
}

/// A task that a child partition offers to its parent and goes on answering for.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferTask {
    /// The parent.
    pub queue: QueueName,
    /// The task.
    pub task: QueuedTask,
    /// How long the parent keeps it.
    pub until: Timestamp,
}

/// A query that goes straight to a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectQuery {
    /// Queue to offer it on.
    pub queue: QueueName,
    /// The run that is queried.
    pub run: ExecutionKey,
    /// The query.
    pub query: WorkflowQuery,
}

/// A poll as a queue sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Poll<Q> {
    /// The queue that is polled.
    pub queue: QueueName,
    /// The request as the worker sent it.
    pub request: Arc<Q>,
}

/// A question about a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeQueue {
    /// The queue.
    pub queue: QueueName,
    /// The request as the client sent it.
    pub request: ws::DescribeTaskQueueRequest,
}

/// Word that the worker behind a sticky queue has gone.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerGone {
    /// The worker's queue.
    pub queue: QueueName,
}

/// A change of what is set for a queue, by an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Configure {
    /// The queue's root.
    pub queue: QueueName,
    /// The request, checked.
    pub request: ws::UpdateTaskQueueConfigRequest,
    /// Weights that may be set.
    pub overrides_max: usize,
}

/// A child partition asks its root what is set for the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchConfig {
    /// The root.
    pub queue: QueueName,
}

/// The root tells a child what is set for the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeConfig {
    /// The child.
    pub queue: QueueName,
    /// What is set.
    pub settings: TaskQueueSettings,
}

/// Word that a worker shuts down.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelPolls {
    /// A partition that the worker may poll.
    pub queue: QueueName,
    /// The key that the worker's polls carry.
    pub worker_instance_key: String,
    /// Its identity, under which the partition remembers it as a poller.
    pub identity: String,
}

/// A worker's answer to a direct query. `query_id` and queue come from its token.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerQuery {
    /// Queue partition that holds the query.
    pub queue: QueueName,
    /// Which query.
    pub query_id: String,
    /// The answer.
    pub request: ws::RespondQueryTaskCompletedRequest,
}

calls! {
    /// A request to a task queue partition.
    MatchingCall {
        /// From history: offer a task. Answered once the task was handed to a poller or is in the backlog:
        /// from then on matching answers for it. `StickyWorkerUnavailable` when the queue is sticky and nobody polls it.
        AddTask(AddTask) -> ();
        /// From a child partition: offer a task. Answered once a poller has it; `DEADLINE_EXCEEDED` when none
        /// came in time. Never stored.
        OfferTask(OfferTask) -> ();
        /// From history: ask a worker. Never stored.
        Query(Box<DirectQuery>) -> ws::QueryWorkflowResponse;
        /// Waits for a workflow task or a query. An empty response (no task token) when there was none in time.
        PollWorkflowTask(Poll<ws::PollWorkflowTaskQueueRequest>) -> Box<ws::PollWorkflowTaskQueueResponse>;
        /// Waits for an activity task. An empty response when there was none in time.
        PollActivityTask(Poll<ws::PollActivityTaskQueueRequest>) -> Box<ws::PollActivityTaskQueueResponse>;
        /// A worker answers a direct query.
        AnswerQuery(Box<AnswerQuery>) -> ws::RespondQueryTaskCompletedResponse;
        /// The worker behind a sticky queue has gone: the queue leaves memory, and what waited there goes elsewhere.
        WorkerGone(WorkerGone) -> ();
        /// Ends the polls of a worker that shuts down, and for a while those it still sends. Answers how many.
        CancelPolls(CancelPolls) -> u32;
        /// Changes what is set for the queue, on all its partitions. Answers what is set now.
        Configure(Box<Configure>) -> Box<TaskQueueConfig>;
        /// Answers what is set for the queue.
        FetchConfig(FetchConfig) -> Box<TaskQueueSettings>;
        /// Takes on what is set for the queue.
        TakeConfig(TakeConfig) -> ();
        /// Tells about the queue.
        Describe(DescribeQueue) -> Box<ws::DescribeTaskQueueResponse>;
    }
}

/// Finds or starts a task queue's actor.
pub trait MatchingDirectory: Send + Sync + 'static {
    /// The actor of exactly this partition; `None` when no more can be started.
    fn queue(&self, queue: &QueueName) -> Option<Recipient<MatchingCall>>;

    /// The partition that should take `call`, which names the normal queue `queue` as a whole.
    fn partition_for(&self, _queue: &QueueName, _call: &MatchingCall) -> u32 {
        0
    }

    /// Partitions of a normal queue in the namespace of that name: those that polls go to, and those that tasks
    /// go to.
    fn partitions(&self, _namespace: &str, _queue: &QueueName) -> (u32, u32) {
        (1, 1)
    }

    /// The registry that knows a namespace's workers; `None` where there is none.
    fn workers(&self, _namespace_id: &NamespaceId) -> Option<Recipient<WorkersCall>> {
        None
    }
}

/// Delivers calls to task queues.
#[derive(Clone)]
pub struct MatchingClient {
    directory: Arc<dyn MatchingDirectory>,
}

/// Times a call is sent again when the queue's actor went to rest just before it arrived.
const DELIVERY_ATTEMPTS_MAX: usize = 3;

impl MatchingClient {
    /// A client that finds queues through `directory`.
    pub fn new(directory: Arc<dyn MatchingDirectory>) -> Self {
        Self { directory }
    }

    /// Sends a call to `queue`. Tasks, queries and polls for the root of a normal queue go to one of its
    /// partitions. A call that cannot be delivered is answered `UNAVAILABLE`; nothing happened then.
    pub fn send(&self, queue: &QueueName, call: MatchingCall) {
        let spreads = match &call {
            MatchingCall::AddTask(_)
            | MatchingCall::Query(_)
            | MatchingCall::PollWorkflowTask(_)
            | MatchingCall::PollActivityTask(_) => queue.kind == QueueKind::Normal && queue.partition == 0,
            MatchingCall::OfferTask(_)
            | MatchingCall::AnswerQuery(_)
            | MatchingCall::WorkerGone(_)
            | MatchingCall::CancelPolls(_)
            | MatchingCall::Configure(_)
            | MatchingCall::FetchConfig(_)
            | MatchingCall::TakeConfig(_)
            | MatchingCall::Describe(_) => false,
        };
        match if spreads { self.directory.partition_for(queue, &call) } else { 0 } {
            0 => self.send_to_partition(queue, call),
            partition => self.send_to_partition(&queue.with_partition(partition), call),
        }
    }

    /// Sends a call to exactly this partition; otherwise as [`MatchingClient::send`].
    pub fn send_to_partition(&self, queue: &QueueName, mut call: MatchingCall) {
        for _ in 0..DELIVERY_ATTEMPTS_MAX {
            let Some(recipient) = self.directory.queue(queue) else { break };
            match recipient.tell(call) {
                Ok(()) => return,
                Err(gone) => call = gone.0,
            }
        }
        call.refuse(ServiceError::unavailable(format!("task queue {queue} is not ready; try again")));
    }

    /// Sends a request and waits for its answer.
    pub async fn ask<Q, R>(
        &self,
        queue: &QueueName,
        caller: Caller,
        request: Q,
        permit: Option<Permit>,
    ) -> ServiceResult<R>
    where
        R: Send + 'static,
        MatchingCall: From<Ask<Q, R>>,
    {
        let (ask, answer) = Ask::new(caller, request, permit);
        self.send(queue, ask.into());
        answer.await
    }

    /// As [`MatchingClient::ask`], to exactly this partition.
    pub async fn ask_partition<Q, R>(&self, queue: &QueueName, caller: Caller, request: Q) -> ServiceResult<R>
    where
        R: Send + 'static,
        MatchingCall: From<Ask<Q, R>>,
    {
        let (ask, answer) = Ask::new(caller, request, None);
        self.send_to_partition(queue, ask.into());
        answer.await
    }

    /// Partitions of a normal queue: those that polls go to, and those that tasks go to.
    pub fn partitions(&self, namespace: &str, queue: &QueueName) -> (u32, u32) {
        self.directory.partitions(namespace, queue)
    }

    /// Asks the registry that knows a namespace's workers.
    pub async fn ask_workers<Q, R>(
        &self,
        namespace_id: &NamespaceId,
        caller: Caller,
        request: Q,
        permit: Option<Permit>,
    ) -> ServiceResult<R>
    where
        R: Send + 'static,
        WorkersCall: From<Ask<Q, R>>,
    {
        let not_ready = || ServiceError::unavailable("the worker registry is not ready; try again");
        let (ask, answer) = Ask::new(caller, request, permit);
        let registry = self.directory.workers(namespace_id).ok_or_else(not_ready)?;
        registry.tell(ask.into()).map_err(|_gone| not_ready())?;
        answer.await
    }
}
