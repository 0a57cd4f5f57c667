//! What a history shard can be asked.

use std::{any::Any, sync::Arc};

use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult, ShardId, ShardMap};
use perdure_proto::{
    api::{query::WorkflowQueryResult, workflowservice as ws},
    records::QueuedTask,
    tokens,
};
use perdure_runtime::{Permit, Recipient};

use crate::{
    Ask, Caller, QueueName,
    ask::calls,
    care::{DescribeShard, MendRun, RemoveRun, ShardDescription},
    family::{ChildClosed, ChildStart, ExternalCancel, ExternalSignal, FirstTask, ParentClosed},
};

/// A request with the token that names the task it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct WithToken<T, Q> {
    /// Decoded token.
    pub token: T,
    /// The request as the client sent it.
    pub request: Q,
}

/// The outcome that a worker reports for an activity, by token or by id (then `scheduled_event_id` of
/// the token is 0 and `activity_id` is set).
#[derive(Clone, Debug, PartialEq)]
pub enum ActivityOutcome {
    /// It succeeded.
    Completed(ws::RespondActivityTaskCompletedRequest),
    /// The attempt failed.
    Failed(Box<ws::RespondActivityTaskFailedRequest>),
    /// It confirmed its cancellation.
    Canceled(ws::RespondActivityTaskCanceledRequest),
}

/// A poller took a workflow task: record the start and say what the worker needs.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowTaskStart {
    /// The task as matching held it.
    pub task: QueuedTask,
    /// Fresh for every match; the same id again gets the same answer.
    pub request_id: String,
    /// Queue the poller polled.
    pub queue: QueueName,
    /// The poll.
    pub poll: Arc<ws::PollWorkflowTaskQueueRequest>,
}

/// A poller took an activity task: record the start and say what the worker needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityTaskStart {
    /// The task as matching held it.
    pub task: QueuedTask,
    /// Fresh for every match; the same id again gets the same answer.
    pub request_id: String,
    /// Queue the poller polled.
    pub queue: QueueName,
    /// The poll.
    pub poll: Arc<ws::PollActivityTaskQueueRequest>,
}

/// A direct query reached a worker: give it the history it needs. Nothing is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryTaskStart {
    /// The run that is queried.
    pub run: ExecutionKey,
    /// Whether the poller polled the run's sticky queue.
    pub sticky: bool,
}

/// Something asked of an execution of another archetype than workflow.
pub struct Act {
    /// Whose run.
    pub key: BusinessKey,
    /// Which run; empty for the one that the id points to.
    pub run_id: String,
    /// An input of the archetype's machine. Its answer is one of that machine's replies.
    pub input: Box<dyn Any + Send>,
}

/// An update of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateWorkflow {
    /// The request, validated, with an update id.
    pub request: ws::UpdateWorkflowExecutionRequest,
    /// How often a shard has made it anew, because what it had in memory was lost.
    pub renewals: u32,
}

/// An update of a workflow that is started for it if need be.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateWithStart {
    /// The start, validated, with a request id.
    pub start: ws::StartWorkflowExecutionRequest,
    /// The update, validated, with an update id.
    pub update: ws::UpdateWorkflowExecutionRequest,
    /// As in [`UpdateWorkflow::renewals`].
    pub renewals: u32,
    /// A run closed over the update once: the next time its caller must try again.
    pub aborted_once: bool,
}

calls! {
    /// A request to the shard that holds its execution.
    HistoryCall {
        /// An input for an execution of another archetype than workflow.
        Act(Box<Act>) -> Box<dyn Any + Send>;
        /// Starts a run, or resolves the id by its policies.
        StartWorkflow(Box<ws::StartWorkflowExecutionRequest>) -> ws::StartWorkflowExecutionResponse;
        /// Signals the open run, or starts one with the signal.
        SignalWithStart(Box<ws::SignalWithStartWorkflowExecutionRequest>) -> ws::SignalWithStartWorkflowExecutionResponse;
        /// Adds a signal.
        Signal(Box<ws::SignalWorkflowExecutionRequest>) -> ws::SignalWorkflowExecutionResponse;
        /// Asks the workflow to cancel.
        RequestCancel(Box<ws::RequestCancelWorkflowExecutionRequest>) -> ws::RequestCancelWorkflowExecutionResponse;
        /// Asks the workflow for an update and waits for it.
        UpdateWorkflow(Box<UpdateWorkflow>) -> ws::UpdateWorkflowExecutionResponse;
        /// Waits for an update that was asked for.
        PollUpdate(Box<ws::PollWorkflowExecutionUpdateRequest>) -> ws::PollWorkflowExecutionUpdateResponse;
        /// Starts a run, or resolves the id by its policies, and asks it for an update.
        UpdateWithStart(Box<UpdateWithStart>) -> ws::ExecuteMultiOperationResponse;
        /// Ends the run.
        Terminate(Box<ws::TerminateWorkflowExecutionRequest>) -> ws::TerminateWorkflowExecutionResponse;
        /// Ends the run, if it is open, and removes it.
        Delete(Box<ws::DeleteWorkflowExecutionRequest>) -> ws::DeleteWorkflowExecutionResponse;
        /// Makes a new run that goes on from an earlier point of the run.
        Reset(Box<ws::ResetWorkflowExecutionRequest>) -> ws::ResetWorkflowExecutionResponse;
        /// Changes the run's options.
        UpdateOptions(Box<ws::UpdateWorkflowExecutionOptionsRequest>) -> ws::UpdateWorkflowExecutionOptionsResponse;
        /// Pauses the run.
        Pause(Box<ws::PauseWorkflowExecutionRequest>) -> ws::PauseWorkflowExecutionResponse;
        /// Ends the run's pause.
        Unpause(Box<ws::UnpauseWorkflowExecutionRequest>) -> ws::UnpauseWorkflowExecutionResponse;
        /// Tells about a run.
        DescribeWorkflow(ws::DescribeWorkflowExecutionRequest) -> ws::DescribeWorkflowExecutionResponse;
        /// A page of events, or the wait for one. The token of the request is already checked and decoded.
        ReadHistory(WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryRequest>) -> ws::GetWorkflowExecutionHistoryResponse;
        /// A page of events, newest first.
        ReadHistoryReverse(WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryReverseRequest>) -> ws::GetWorkflowExecutionHistoryReverseResponse;
        /// Queries a workflow.
        Query(Box<ws::QueryWorkflowRequest>) -> ws::QueryWorkflowResponse;
        /// A worker's decisions.
        WorkflowTaskCompleted(Box<WithToken<tokens::WorkflowTask, ws::RespondWorkflowTaskCompletedRequest>>) -> ws::RespondWorkflowTaskCompletedResponse;
        /// A worker could not make its decisions.
        WorkflowTaskFailed(Box<WithToken<tokens::WorkflowTask, ws::RespondWorkflowTaskFailedRequest>>) -> ws::RespondWorkflowTaskFailedResponse;
        /// An activity's outcome.
        ActivityOutcome(Box<WithToken<tokens::ActivityTask, ActivityOutcome>>) -> ();
        /// An activity's sign of life.
        ActivityHeartbeat(Box<WithToken<tokens::ActivityTask, ws::RecordActivityTaskHeartbeatRequest>>) -> ws::RecordActivityTaskHeartbeatResponse;
        /// Pauses activities of a workflow.
        PauseActivity(Box<ws::PauseActivityRequest>) -> ws::PauseActivityResponse;
        /// Lets paused activities go on.
        UnpauseActivity(Box<ws::UnpauseActivityRequest>) -> ws::UnpauseActivityResponse;
        /// Sets activities back to their first attempt.
        ResetActivity(Box<ws::ResetActivityRequest>) -> ws::ResetActivityResponse;
        /// Changes options of activities.
        UpdateActivityOptions(Box<ws::UpdateActivityOptionsRequest>) -> ws::UpdateActivityOptionsResponse;
        /// Forgets the sticky queue.
        ResetSticky(ws::ResetStickyTaskQueueRequest) -> ws::ResetStickyTaskQueueResponse;
        /// From matching: a poller took a workflow task.
        StartWorkflowTask(Box<WorkflowTaskStart>) -> Box<ws::PollWorkflowTaskQueueResponse>;
        /// From matching: a poller took an activity task.
        StartActivityTask(Box<ActivityTaskStart>) -> Box<ws::PollActivityTaskQueueResponse>;
        /// From matching: a poller took a direct query.
        StartQueryTask(QueryTaskStart) -> Box<ws::PollWorkflowTaskQueueResponse>;
        /// From a parent: starts a child without its first workflow task. Answers with its run id.
        StartChild(Box<ChildStart>) -> String;
        /// From a parent: lets a started child begin. A child that has begun is left alone.
        FirstTask(FirstTask) -> ();
        /// From another workflow: adds a signal.
        SignalExternal(Box<ExternalSignal>) -> ();
        /// From another workflow: asks the workflow to cancel.
        CancelExternal(Box<ExternalCancel>) -> ();
        /// From a child: it has closed for good.
        ChildClosed(Box<ChildClosed>) -> ();
        /// From a parent that has closed: its policy is applied.
        ParentClosed(ParentClosed) -> ();
        /// From the server itself: removes a run. Answers whether it was there; it is gone soon after.
        RemoveRun(RemoveRun) -> bool;
        /// From the server itself: writes anew what is derived from the run's record.
        MendRun(MendRun) -> ();
        /// About the shard as a whole; answered at once, whatever else it does.
        DescribeShard(DescribeShard) -> ShardDescription;
    }
}

/// An answer to a direct query, as matching passes it on.
pub type QueryAnswer = WorkflowQueryResult;

/// Finds a shard's actor.
pub trait HistoryDirectory: Send + Sync + 'static {
    /// The actor that owns `shard` now; `None` while nobody does.
    fn shard(&self, shard: ShardId) -> Option<Recipient<HistoryCall>>;

    /// The ranges in force.
    fn shard_map(&self) -> Arc<ShardMap>;
}

/// Delivers calls to history shards.
#[derive(Clone)]
pub struct HistoryClient {
    directory: Arc<dyn HistoryDirectory>,
}

impl HistoryClient {
    /// A client that finds shards through `directory`.
    pub fn new(directory: Arc<dyn HistoryDirectory>) -> Self {
        Self { directory }
    }

    /// Sends a call to the shard that holds `key`. A call that cannot be delivered is answered
    /// `UNAVAILABLE`; nothing happened then.
    pub fn send(&self, key: &BusinessKey, call: HistoryCall) {
        self.send_to_shard(self.directory.shard_map().shard_of(key), call);
    }

    fn send_to_shard(&self, shard: ShardId, call: HistoryCall) {
        let Some(recipient) = self.directory.shard(shard) else {
            return call
                .refuse(ServiceError::unavailable(format!("shard {shard} has no owner at the moment; try again")));
        };
        if let Err(gone) = recipient.tell(call) {
            gone.0.refuse(ServiceError::unavailable(format!("shard {shard} is restarting; try again")));
        }
    }

    /// Asks an execution of another archetype than workflow and waits for its answer.
    ///
    /// # Errors
    ///
    /// The machine's refusal; `Unimplemented` where its archetype is not registered; `Internal` when input or
    /// reply are not of the machine's types.
    pub async fn act<I, R>(
        &self,
        key: BusinessKey,
        run_id: String,
        caller: Caller,
        input: I,
        permit: Option<Permit>,
    ) -> ServiceResult<R>
    where
        I: Send + 'static,
        R: Send + 'static,
    {
        let act = Act { key: key.clone(), run_id, input: Box::new(input) };
        let reply: Box<dyn Any + Send> = self.ask(&key, caller, Box::new(act), permit).await?;
        let foreign = |_| ServiceError::new(ErrorKind::Internal, "an execution of another archetype answered");
        reply.downcast().map(|reply| *reply).map_err(foreign)
    }

    /// The ranges in force.
    pub fn shard_map(&self) -> Arc<ShardMap> {
        self.directory.shard_map()
    }

    /// Asks a shard about itself.
    ///
    /// # Errors
    ///
    /// `Unavailable` when it has no owner or is restarting.
    pub async fn describe_shard(&self, shard: ShardId, caller: Caller) -> ServiceResult<ShardDescription> {
        let (ask, answer) = Ask::new(caller, DescribeShard, None);
        self.send_to_shard(shard, HistoryCall::DescribeShard(ask));
        answer.await
    }

    /// Sends a request and waits for its answer.
    pub async fn ask<Q, R>(
        &self,
        key: &BusinessKey,
        caller: Caller,
        request: Q,
        permit: Option<Permit>,
    ) -> ServiceResult<R>
    where
        R: Send + 'static,
        HistoryCall: From<Ask<Q, R>>,
    {
        let (ask, answer) = Ask::new(caller, request, permit);
        self.send(key, ask.into());
        answer.await
    }
}
