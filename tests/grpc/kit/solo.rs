//! An activity that a client starts without a workflow.

use perdure_proto::api::{
    activity::{ActivityExecutionInfo, activity_execution_outcome::Value},
    common::ActivityType,
    enums::RetryState,
    workflowservice as ws,
};

use super::{NAMESPACE, PATIENCE, Rpc, Server, WORKER, failure, normal, payloads, seconds, unique, within};

/// An activity task as a worker has it.
pub(crate) type ActivityTask = ws::PollActivityTaskQueueResponse;

/// An activity id on a queue of its own.
pub(crate) struct Solo {
    pub(crate) rpc: Rpc,
    pub(crate) id: String,
    pub(crate) queue: String,
}

impl Solo {
    pub(crate) fn new(server: &Server) -> Self {
        Self { rpc: server.rpc(), id: unique("activity"), queue: unique("queue") }
    }

    pub(crate) fn request(&self) -> ws::StartActivityExecutionRequest {
        ws::StartActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            identity: "client".to_owned(),
            request_id: unique("request"),
            activity_id: self.id.clone(),
            activity_type: Some(ActivityType { name: "charge".to_owned() }),
            task_queue: normal(&self.queue),
            start_to_close_timeout: seconds(10),
            input: payloads("input"),
            ..Default::default()
        }
    }

    pub(crate) async fn start(
        &self,
        request: ws::StartActivityExecutionRequest,
    ) -> Result<ws::StartActivityExecutionResponse, tonic::Status> {
        Ok(self.rpc.clone().start_activity_execution(request).await?.into_inner())
    }

    pub(crate) async fn begin(&self) -> String {
        self.start(self.request()).await.unwrap().run_id
    }

    pub(crate) async fn task(&self) -> ActivityTask {
        let request = ws::PollActivityTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: normal(&self.queue),
            identity: WORKER.to_owned(),
            ..Default::default()
        };
        let task = self.rpc.clone().poll_activity_task_queue(within(PATIENCE, request)).await.unwrap().into_inner();
        assert!(!task.task_token.is_empty(), "no task came");
        task
    }

    pub(crate) async fn complete(&self, task: &ActivityTask) -> Result<(), tonic::Status> {
        let request = ws::RespondActivityTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token.clone(),
            result: payloads("result"),
            identity: WORKER.to_owned(),
            ..Default::default()
        };
        self.rpc.clone().respond_activity_task_completed(request).await.map(drop)
    }

    pub(crate) async fn fail(&self, task: &ActivityTask, non_retryable: bool) {
        let request = ws::RespondActivityTaskFailedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token.clone(),
            failure: failure("broken", non_retryable),
            identity: WORKER.to_owned(),
            ..Default::default()
        };
        self.rpc.clone().respond_activity_task_failed(request).await.unwrap();
    }

    pub(crate) fn describe_request(&self) -> ws::DescribeActivityExecutionRequest {
        ws::DescribeActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            activity_id: self.id.clone(),
            ..Default::default()
        }
    }

    pub(crate) async fn describe(
        &self,
        request: ws::DescribeActivityExecutionRequest,
    ) -> Result<ws::DescribeActivityExecutionResponse, tonic::Status> {
        Ok(self.rpc.clone().describe_activity_execution(within(PATIENCE, request)).await?.into_inner())
    }

    pub(crate) async fn info(&self) -> ActivityExecutionInfo {
        self.describe(self.describe_request()).await.unwrap().info.unwrap()
    }

    pub(crate) fn poll_request(&self) -> ws::PollActivityExecutionRequest {
        ws::PollActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            activity_id: self.id.clone(),
            ..Default::default()
        }
    }

    /// How it ended, once it has: the failure's message or the result's text, and the retry state.
    pub(crate) async fn outcome(&self) -> (Value, RetryState) {
        let answer = self.rpc.clone().poll_activity_execution(within(PATIENCE, self.poll_request())).await.unwrap();
        let outcome = answer.into_inner().outcome.unwrap();
        let retry_state = outcome.retry_state();
        (outcome.value.unwrap(), retry_state)
    }

    pub(crate) async fn failure(&self) -> (String, RetryState) {
        match self.outcome().await {
            (Value::Failure(failure), retry_state) => (failure.message, retry_state),
            (Value::Result(result), _) => panic!("{result:?}"),
        }
    }

    pub(crate) fn cancel_request(&self, request_id: &str) -> ws::RequestCancelActivityExecutionRequest {
        ws::RequestCancelActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            activity_id: self.id.clone(),
            request_id: request_id.to_owned(),
            identity: "client".to_owned(),
            reason: "enough".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn cancel(&self, request_id: &str) -> Result<(), tonic::Status> {
        self.rpc.clone().request_cancel_activity_execution(self.cancel_request(request_id)).await.map(drop)
    }

    pub(crate) async fn terminate(&self, request_id: &str) -> Result<(), tonic::Status> {
        let request = ws::TerminateActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            activity_id: self.id.clone(),
            request_id: request_id.to_owned(),
            identity: "client".to_owned(),
            reason: "enough".to_owned(),
            ..Default::default()
        };
        self.rpc.clone().terminate_activity_execution(request).await.map(drop)
    }

    pub(crate) fn not_there(&self) -> String {
        format!("activity not found for ID: {}", self.id)
    }
}
