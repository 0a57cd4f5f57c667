//! Requests of any kind, and what is expected of them.

use std::time::Duration as StdDuration;

use perdure_proto::{
    Duration,
    api::{
        common::{Payload, Payloads},
        taskqueue::TaskQueue,
        workflowservice as ws,
    },
    temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient,
};
use tonic::{Code, Request, Status, transport::Channel};

/// A request of any kind.
pub(crate) enum Rpc {
    Start(Box<ws::StartWorkflowExecutionRequest>),
    SignalWithStart(Box<ws::SignalWithStartWorkflowExecutionRequest>),
    Signal(Box<ws::SignalWorkflowExecutionRequest>),
    Cancel(Box<ws::RequestCancelWorkflowExecutionRequest>),
    Terminate(Box<ws::TerminateWorkflowExecutionRequest>),
    Describe(ws::DescribeWorkflowExecutionRequest),
    History(ws::GetWorkflowExecutionHistoryRequest),
    HistoryReverse(ws::GetWorkflowExecutionHistoryReverseRequest),
    Query(Box<ws::QueryWorkflowRequest>),
    ResetSticky(ws::ResetStickyTaskQueueRequest),
    PollWorkflow(Option<u64>, Box<ws::PollWorkflowTaskQueueRequest>),
    PollActivity(Option<u64>, Box<ws::PollActivityTaskQueueRequest>),
    DescribeQueue(Box<ws::DescribeTaskQueueRequest>),
    CompletedById(Box<ws::RespondActivityTaskCompletedByIdRequest>),
    FailedById(Box<ws::RespondActivityTaskFailedByIdRequest>),
    CanceledById(Box<ws::RespondActivityTaskCanceledByIdRequest>),
    HeartbeatById(Box<ws::RecordActivityTaskHeartbeatByIdRequest>),
}

/// A request and its refusal.
pub(crate) struct Case {
    pub(crate) rpc: Rpc,
    pub(crate) code: Code,
    pub(crate) detail: &'static str,
    pub(crate) text: String,
}

pub(crate) fn case(rpc: Rpc, code: Code, detail: &'static str, text: impl Into<String>) -> Case {
    Case { rpc, code, detail, text: text.into() }
}

/// A case of `InvalidArgument`.
pub(crate) fn invalid(rpc: Rpc, text: impl Into<String>) -> Case {
    case(rpc, Code::InvalidArgument, "", text)
}

/// Sends a request; `None` when it succeeds.
pub(crate) async fn refusal(mut client: WorkflowServiceClient<Channel>, rpc: Rpc) -> Option<Status> {
    fn timed<Q>(seconds: Option<u64>, request: Q) -> Request<Q> {
        let mut request = Request::new(request);
        if let Some(seconds) = seconds {
            request.set_timeout(StdDuration::from_secs(seconds));
        }
        request
    }
    match rpc {
        Rpc::Start(request) => client.start_workflow_execution(*request).await.err(),
        Rpc::SignalWithStart(request) => client.signal_with_start_workflow_execution(*request).await.err(),
        Rpc::Signal(request) => client.signal_workflow_execution(*request).await.err(),
        Rpc::Cancel(request) => client.request_cancel_workflow_execution(*request).await.err(),
        Rpc::Terminate(request) => client.terminate_workflow_execution(*request).await.err(),
        Rpc::Describe(request) => client.describe_workflow_execution(request).await.err(),
        Rpc::History(request) => client.get_workflow_execution_history(request).await.err(),
        Rpc::HistoryReverse(request) => client.get_workflow_execution_history_reverse(request).await.err(),
        Rpc::Query(request) => client.query_workflow(*request).await.err(),
        Rpc::ResetSticky(request) => client.reset_sticky_task_queue(request).await.err(),
        Rpc::PollWorkflow(seconds, request) => client.poll_workflow_task_queue(timed(seconds, *request)).await.err(),
        Rpc::PollActivity(seconds, request) => client.poll_activity_task_queue(timed(seconds, *request)).await.err(),
        Rpc::DescribeQueue(request) => client.describe_task_queue(*request).await.err(),
        Rpc::CompletedById(request) => client.respond_activity_task_completed_by_id(*request).await.err(),
        Rpc::FailedById(request) => client.respond_activity_task_failed_by_id(*request).await.err(),
        Rpc::CanceledById(request) => client.respond_activity_task_canceled_by_id(*request).await.err(),
        Rpc::HeartbeatById(request) => client.record_activity_task_heartbeat_by_id(*request).await.err(),
    }
}

pub(crate) fn long() -> String {
    "x".repeat(1001)
}

pub(crate) fn queue(name: &str) -> Option<TaskQueue> {
    Some(TaskQueue { name: name.into(), ..TaskQueue::default() })
}

pub(crate) fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// A payload limit's worth of bytes.
pub(crate) const BLOB: usize = 2 * 1024 * 1024;

pub(crate) fn payloads(size: usize) -> Option<Payloads> {
    Some(Payloads { payloads: vec![Payload { data: vec![0; size].into(), ..Payload::default() }] })
}
