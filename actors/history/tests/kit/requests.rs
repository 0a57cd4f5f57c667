//! Requests as the frontend and the task queues make them.

use std::{sync::Arc, time::Duration};

use perdure_kernel::{ServiceResult, time::span_to_proto};
use perdure_proto::{
    api::{
        common::{ActivityType, WorkflowExecution, WorkflowType},
        enums::{HistoryEventFilterType, TaskQueueKind, WorkflowExecutionStatus},
        history::HistoryEvent,
        query::WorkflowQuery,
        taskqueue::{StickyExecutionAttributes, TaskQueue},
        workflowservice as ws,
    },
    records, tokens,
};
use perdure_rpc::{
    history::{ActivityOutcome, ActivityTaskStart, WithToken, WorkflowTaskStart},
    matching::AddTask,
};
use prost::Message;

use super::Node;

/// Name of the workflows' task queue.
pub(crate) const QUEUE: &str = "orders";

pub(crate) fn queue(name: &str) -> TaskQueue {
    TaskQueue { name: name.into(), kind: TaskQueueKind::Normal.into(), normal_name: String::new() }
}

pub(crate) fn execution(workflow_id: &str, run_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: workflow_id.into(), run_id: run_id.into() })
}

/// A start, with a request id made of the workflow id.
pub(crate) fn start(workflow_id: &str) -> Box<ws::StartWorkflowExecutionRequest> {
    Box::new(ws::StartWorkflowExecutionRequest {
        workflow_id: workflow_id.into(),
        workflow_type: Some(WorkflowType { name: "order".into() }),
        task_queue: Some(queue(QUEUE)),
        request_id: format!("start-{workflow_id}"),
        ..Default::default()
    })
}

/// Another start of the same workflow.
pub(crate) fn start_as(workflow_id: &str, request_id: &str) -> Box<ws::StartWorkflowExecutionRequest> {
    Box::new(ws::StartWorkflowExecutionRequest { request_id: request_id.into(), ..*start(workflow_id) })
}

/// A start whose first task waits.
pub(crate) fn start_later(workflow_id: &str, delay: Duration) -> Box<ws::StartWorkflowExecutionRequest> {
    let workflow_start_delay = Some(span_to_proto(delay));
    Box::new(ws::StartWorkflowExecutionRequest { workflow_start_delay, ..*start(workflow_id) })
}

/// A signal, with its name as its request id.
pub(crate) fn signal(workflow_id: &str, name: &str) -> Box<ws::SignalWorkflowExecutionRequest> {
    Box::new(ws::SignalWorkflowExecutionRequest {
        workflow_execution: execution(workflow_id, ""),
        signal_name: name.into(),
        request_id: format!("signal-{name}"),
        ..Default::default()
    })
}

pub(crate) fn terminate(workflow_id: &str) -> Box<ws::TerminateWorkflowExecutionRequest> {
    let workflow_execution = execution(workflow_id, "");
    Box::new(ws::TerminateWorkflowExecutionRequest { workflow_execution, ..Default::default() })
}

pub(crate) fn describe(workflow_id: &str) -> ws::DescribeWorkflowExecutionRequest {
    ws::DescribeWorkflowExecutionRequest { execution: execution(workflow_id, ""), ..Default::default() }
}

pub(crate) fn query(workflow_id: &str) -> Box<ws::QueryWorkflowRequest> {
    Box::new(ws::QueryWorkflowRequest {
        execution: execution(workflow_id, ""),
        query: Some(WorkflowQuery { query_type: "state".into(), ..Default::default() }),
        ..Default::default()
    })
}

pub(crate) type ReadHistory = WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryRequest>;
pub(crate) type ReadReverse = WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryReverseRequest>;

/// A read of a history from its beginning.
pub(crate) fn read(workflow_id: &str) -> ReadHistory {
    let request =
        ws::GetWorkflowExecutionHistoryRequest { execution: execution(workflow_id, ""), ..Default::default() };
    WithToken { token: None, request }
}

/// A read that waits for events from `next_event_id` on.
pub(crate) fn watch(workflow_id: &str, run_id: &str, next_event_id: i64) -> ReadHistory {
    let mut read = read(workflow_id);
    read.request.wait_new_event = true;
    read.token = Some(tokens::HistoryPage { run_id: run_id.into(), next_event_id, open: true, ..Default::default() });
    read
}

/// A read that waits for the run's end.
pub(crate) fn watch_close(workflow_id: &str) -> ReadHistory {
    let mut read = read(workflow_id);
    read.request.wait_new_event = true;
    read.request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
    read
}

/// The page token of a response.
pub(crate) fn page(token: &bytes::Bytes) -> Option<tokens::HistoryPage> {
    (!token.is_empty()).then(|| tokens::HistoryPage::decode(token.clone()).unwrap())
}

/// A worker's sticky queue.
pub(crate) fn sticky(name: &str) -> Option<StickyExecutionAttributes> {
    Some(StickyExecutionAttributes {
        worker_task_queue: Some(TaskQueue {
            name: name.into(),
            kind: TaskQueueKind::Sticky.into(),
            normal_name: QUEUE.into(),
        }),
        schedule_to_start_timeout: Some(span_to_proto(Duration::from_secs(5))),
    })
}

pub(crate) fn activity_type(name: &str) -> Option<ActivityType> {
    Some(ActivityType { name: name.into() })
}

/// What a worker gets with a workflow task.
pub(crate) type WorkflowTask = Box<ws::PollWorkflowTaskQueueResponse>;

/// What a worker gets with an activity task.
pub(crate) type ActivityTask = Box<ws::PollActivityTaskQueueResponse>;

/// Whose task it is.
pub(crate) fn run_of(task: &AddTask) -> records::ExecutionRef {
    task.task.execution.clone().unwrap()
}

impl Node {
    /// Runs of an id's history, oldest event first: the current run's when `run_id` is empty.
    pub(crate) async fn events(&self, workflow_id: &str, run_id: &str) -> Vec<HistoryEvent> {
        let mut events = Vec::new();
        let mut token = None;
        loop {
            let mut read = read(workflow_id);
            read.request.execution = execution(workflow_id, run_id);
            read.token = token;
            let response = self.ask(workflow_id, read).await.unwrap();
            events.extend(response.history.unwrap().events);
            token = page(&response.next_page_token);
            if token.is_none() {
                return events;
            }
        }
    }

    pub(crate) async fn status(&self, workflow_id: &str) -> WorkflowExecutionStatus {
        let described = self.ask(workflow_id, describe(workflow_id)).await.unwrap();
        described.workflow_execution_info.unwrap().status()
    }

    /// The run that the id points to.
    pub(crate) async fn current_run(&self, workflow_id: &str) -> String {
        let described = self.ask(workflow_id, describe(workflow_id)).await.unwrap();
        described.workflow_execution_info.unwrap().execution.unwrap().run_id
    }

    /// A poller takes a workflow task: a match of its own.
    pub(crate) async fn take_workflow_task(&self, task: &AddTask) -> ServiceResult<WorkflowTask> {
        self.take_workflow_task_as(task, "match").await
    }

    /// A poller takes a workflow task in the match `request_id`.
    pub(crate) async fn take_workflow_task_as(&self, task: &AddTask, request_id: &str) -> ServiceResult<WorkflowTask> {
        let request = WorkflowTaskStart {
            task: task.task.clone(),
            request_id: request_id.into(),
            queue: task.queue.clone(),
            poll: Arc::new(ws::PollWorkflowTaskQueueRequest { identity: "worker".into(), ..Default::default() }),
        };
        self.ask(&run_of(task).business_id, Box::new(request)).await
    }

    /// A poller takes an activity task.
    pub(crate) async fn take_activity_task(&self, task: &AddTask) -> ServiceResult<ActivityTask> {
        let request = ActivityTaskStart {
            task: task.task.clone(),
            request_id: "match".into(),
            queue: task.queue.clone(),
            poll: Arc::new(ws::PollActivityTaskQueueRequest { identity: "worker".into(), ..Default::default() }),
        };
        self.ask(&run_of(task).business_id, Box::new(request)).await
    }

    /// A worker completes an activity.
    pub(crate) async fn complete_activity(&self, task: &ActivityTask) -> ServiceResult<()> {
        let end = activity_end(task);
        let workflow_id = end.token.workflow_id.clone();
        self.ask(&workflow_id, end).await
    }
}

/// A worker's report that an activity is done.
pub(crate) fn activity_end(task: &ActivityTask) -> Box<WithToken<tokens::ActivityTask, ActivityOutcome>> {
    let token = tokens::ActivityTask::decode(task.task_token.clone()).unwrap();
    let request = ActivityOutcome::Completed(ws::RespondActivityTaskCompletedRequest::default());
    Box::new(WithToken { token, request })
}

/// The token that comes with a workflow task.
pub(crate) fn token_of(task: &WorkflowTask) -> tokens::WorkflowTask {
    tokens::WorkflowTask::decode(task.task_token.clone()).unwrap()
}

/// The events that come with a workflow task.
pub(crate) fn events_of(task: &WorkflowTask) -> &[HistoryEvent] {
    &task.history.as_ref().unwrap().events
}
