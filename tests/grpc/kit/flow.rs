//! One workflow on a queue of its own, and the worker that serves it.

use perdure_proto::api::{
    command::Command,
    common::{WorkflowExecution, WorkflowType},
    enums::{EventType, HistoryEventFilterType, WorkflowExecutionStatus},
    history::HistoryEvent,
    query::WorkflowQuery,
    workflowservice as ws,
};
use tonic::Status;

use super::{NAMESPACE, PATIENCE, Rpc, Server, execution, kinds, normal, payloads, unique, within};

/// Who the worker says it is.
pub(crate) const WORKER: &str = "worker";

/// A workflow task as a worker has it.
pub(crate) type Task = ws::PollWorkflowTaskQueueResponse;

/// A workflow on a queue of its own.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) rpc: Rpc,
    pub(crate) id: String,
    pub(crate) queue: String,
}

impl Flow {
    pub(crate) fn new(server: &Server) -> Self {
        Self { rpc: server.rpc(), id: unique("flow"), queue: unique("queue") }
    }

    pub(crate) fn start_request(&self) -> ws::StartWorkflowExecutionRequest {
        ws::StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: self.id.clone(),
            workflow_type: Some(WorkflowType { name: "order".to_owned() }),
            task_queue: normal(&self.queue),
            input: payloads("input"),
            identity: "client".to_owned(),
            request_id: unique("request"),
            ..Default::default()
        }
    }

    /// Starts the workflow. Gives the run's id.
    pub(crate) async fn start(&self) -> String {
        self.rpc.clone().start_workflow_execution(self.start_request()).await.unwrap().into_inner().run_id
    }

    /// Starts the workflow and has its first task completed with `commands`. Gives the run's id.
    pub(crate) async fn begin(&self, commands: Vec<Command>) -> String {
        let run_id = self.start().await;
        let task = self.task().await;
        self.complete(&task, commands).await.unwrap();
        run_id
    }

    pub(crate) fn signal_request(&self, name: &str) -> ws::SignalWorkflowExecutionRequest {
        ws::SignalWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: self.execution(),
            signal_name: name.to_owned(),
            input: payloads(name),
            identity: "client".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn signal(&self, name: &str) -> Result<(), Status> {
        self.rpc.clone().signal_workflow_execution(self.signal_request(name)).await.map(drop)
    }

    pub(crate) fn terminate_request(&self) -> ws::TerminateWorkflowExecutionRequest {
        ws::TerminateWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: self.execution(),
            reason: "enough".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn terminate(&self) {
        self.rpc.clone().terminate_workflow_execution(self.terminate_request()).await.unwrap();
    }

    /// The workflow's current run.
    pub(crate) fn execution(&self) -> Option<WorkflowExecution> {
        execution(&self.id, "")
    }

    pub(crate) fn poll_request(&self) -> ws::PollWorkflowTaskQueueRequest {
        ws::PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: normal(&self.queue),
            identity: WORKER.to_owned(),
            ..Default::default()
        }
    }

    /// The next workflow task.
    pub(crate) async fn task(&self) -> Task {
        self.task_by(self.poll_request()).await
    }

    pub(crate) async fn task_by(&self, request: ws::PollWorkflowTaskQueueRequest) -> Task {
        let task = self.rpc.clone().poll_workflow_task_queue(within(PATIENCE, request)).await.unwrap().into_inner();
        assert!(!task.task_token.is_empty(), "no workflow task came");
        task
    }

    pub(crate) fn completion(&self, task: &Task, commands: Vec<Command>) -> ws::RespondWorkflowTaskCompletedRequest {
        ws::RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token.clone(),
            identity: WORKER.to_owned(),
            commands,
            ..Default::default()
        }
    }

    pub(crate) async fn complete(
        &self,
        task: &Task,
        commands: Vec<Command>,
    ) -> Result<ws::RespondWorkflowTaskCompletedResponse, Status> {
        self.respond(self.completion(task, commands)).await
    }

    pub(crate) async fn respond(
        &self,
        request: ws::RespondWorkflowTaskCompletedRequest,
    ) -> Result<ws::RespondWorkflowTaskCompletedResponse, Status> {
        let answer = self.rpc.clone().respond_workflow_task_completed(request).await?;
        Ok(answer.into_inner())
    }

    pub(crate) fn activity_poll_request(&self) -> ws::PollActivityTaskQueueRequest {
        ws::PollActivityTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: normal(&self.queue),
            identity: WORKER.to_owned(),
            ..Default::default()
        }
    }

    /// The next activity task.
    pub(crate) async fn activity(&self) -> ws::PollActivityTaskQueueResponse {
        let request = within(PATIENCE, self.activity_poll_request());
        let task = self.rpc.clone().poll_activity_task_queue(request).await.unwrap().into_inner();
        assert!(!task.task_token.is_empty(), "no activity task came");
        task
    }

    pub(crate) fn query_request(&self, query_type: &str) -> ws::QueryWorkflowRequest {
        ws::QueryWorkflowRequest {
            namespace: NAMESPACE.to_owned(),
            execution: self.execution(),
            query: Some(WorkflowQuery { query_type: query_type.to_owned(), ..Default::default() }),
            ..Default::default()
        }
    }

    pub(crate) async fn query(&self, query_type: &str) -> Result<ws::QueryWorkflowResponse, Status> {
        let request = within(PATIENCE, self.query_request(query_type));
        Ok(self.rpc.clone().query_workflow(request).await?.into_inner())
    }

    pub(crate) async fn describe(&self) -> ws::DescribeWorkflowExecutionResponse {
        self.describe_run("").await.unwrap()
    }

    pub(crate) async fn describe_run(&self, run_id: &str) -> Result<ws::DescribeWorkflowExecutionResponse, Status> {
        let request = ws::DescribeWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            execution: execution(&self.id, run_id),
        };
        Ok(self.rpc.clone().describe_workflow_execution(request).await?.into_inner())
    }

    pub(crate) async fn status(&self, run_id: &str) -> WorkflowExecutionStatus {
        self.describe_run(run_id).await.unwrap().workflow_execution_info.unwrap().status()
    }

    pub(crate) fn history_request(&self) -> ws::GetWorkflowExecutionHistoryRequest {
        ws::GetWorkflowExecutionHistoryRequest {
            namespace: NAMESPACE.to_owned(),
            execution: self.execution(),
            ..Default::default()
        }
    }

    /// One page of history: its events and the token of the next.
    pub(crate) async fn page(
        &self,
        request: ws::GetWorkflowExecutionHistoryRequest,
    ) -> Result<(Vec<HistoryEvent>, prost::bytes::Bytes), Status> {
        let page = self.rpc.clone().get_workflow_execution_history(request).await?.into_inner();
        Ok((page.history.unwrap().events, page.next_page_token))
    }

    /// All events of the current run.
    pub(crate) async fn events(&self) -> Vec<HistoryEvent> {
        let (events, token) = self.page(self.history_request()).await.unwrap();
        assert!(token.is_empty());
        events
    }

    pub(crate) async fn kinds(&self) -> Vec<EventType> {
        kinds(&self.events().await)
    }

    /// Waits for the current run's end. Gives its last event.
    pub(crate) async fn closed(&self) -> HistoryEvent {
        let mut request = self.history_request();
        request.wait_new_event = true;
        request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
        loop {
            let (mut events, token) = self.page(request.clone()).await.unwrap();
            if token.is_empty() {
                assert_eq!(events.len(), 1);
                return events.remove(0);
            }
            request.next_page_token = token;
        }
    }
}
