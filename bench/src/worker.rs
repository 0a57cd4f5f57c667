//! The worker's side: polls that are kept open, and the answers to what they bring.

use std::{borrow::Cow, time::Duration};

use perdure_proto::api::{
    enums::QueryResultType,
    history::HistoryEvent,
    query::WorkflowQueryResult,
    taskqueue::{StickyExecutionAttributes, TaskQueue},
    workflowservice::{
        GetWorkflowExecutionHistoryRequest, PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest,
        PollWorkflowTaskQueueResponse, RespondActivityTaskCompletedRequest, RespondQueryTaskCompletedRequest,
        RespondWorkflowTaskCompletedRequest,
    },
};
use tonic::Status;

use crate::{
    client::{POLL, RETRY_PAUSE, Rpc, SHORT_CALL, with_deadline},
    messages,
    run::ThreadContext,
    updates,
};

/// What the worker answers to every query.
pub const QUERY_ANSWER: &str = "answer";
/// How long a task may wait on a sticky queue: what SDKs give.
const STICKY_TIMEOUT: Duration = Duration::from_secs(10);
/// Who the worker says it is.
const IDENTITY: &str = "load-worker";

/// Polls `queue` for workflow tasks and answers them, one after the other, until dropped.
pub async fn poll_workflow_tasks(context: ThreadContext, rpc: Rpc, queue: TaskQueue) {
    let request = PollWorkflowTaskQueueRequest {
        namespace: context.options.namespace.clone(),
        task_queue: Some(queue),
        identity: IDENTITY.to_owned(),
        ..Default::default()
    };
    let mut rpc = rpc;
    loop {
        match rpc.poll_workflow_task_queue(with_deadline(request.clone(), POLL)).await {
            Ok(response) => {
                let task = response.into_inner();
                if !task.task_token.is_empty() {
                    answer_workflow_task(&context, &mut rpc, task).await;
                }
            }
            Err(status) => pause_after(&context, "PollWorkflowTaskQueue", &status).await,
        }
    }
}

async fn answer_workflow_task(context: &ThreadContext, rpc: &mut Rpc, task: PollWorkflowTaskQueueResponse) {
    let outcome = if task.query.is_some() {
        let request = RespondQueryTaskCompletedRequest {
            namespace: context.options.namespace.clone(),
            task_token: task.task_token,
            completed_type: QueryResultType::Answered.into(),
            query_result: Some(messages::payloads(QUERY_ANSWER)),
            ..Default::default()
        };
        let answered = rpc.respond_query_task_completed(with_deadline(request, SHORT_CALL)).await;
        answered.map(drop).map_err(|status| ("RespondQueryTaskCompleted", status))
    } else {
        complete_workflow_task(context, rpc, task).await
    };
    if let Err((name, status)) = outcome {
        context.tally.lock().error(name, &status);
    }
}

async fn complete_workflow_task(
    context: &ThreadContext,
    rpc: &mut Rpc,
    task: PollWorkflowTaskQueueResponse,
) -> Result<(), (&'static str, Status)> {
    let scenario = context.options.scenario;
    let events = all_events(context, rpc, &task).await.map_err(|status| ("GetWorkflowExecutionHistory", status))?;
    scenario.observe(context, &events);
    let (mut commands, messages) = updates::accept_and_complete(&task.messages, messages::payloads);
    commands.extend(scenario.decide(&task, &events, &context.task_queue, &context.options));
    drop(events);
    let answer = WorkflowQueryResult {
        result_type: QueryResultType::Answered.into(),
        answer: Some(messages::payloads(QUERY_ANSWER)),
        ..Default::default()
    };
    let request = RespondWorkflowTaskCompletedRequest {
        namespace: context.options.namespace.clone(),
        identity: IDENTITY.to_owned(),
        task_token: task.task_token,
        commands,
        messages,
        sticky_attributes: context.sticky_queue.as_ref().map(|queue| StickyExecutionAttributes {
            worker_task_queue: Some(queue.clone()),
            schedule_to_start_timeout: Some(messages::duration(STICKY_TIMEOUT)),
        }),
        query_results: task.queries.into_keys().map(|id| (id, answer.clone())).collect(),
        ..Default::default()
    };
    let completed = rpc.respond_workflow_task_completed(with_deadline(request, SHORT_CALL)).await;
    completed.map(drop).map_err(|status| ("RespondWorkflowTaskCompleted", status))
}

/// The events of a task, with those that did not fit into its first page.
async fn all_events<'a>(
    context: &ThreadContext,
    rpc: &mut Rpc,
    task: &'a PollWorkflowTaskQueueResponse,
) -> Result<Cow<'a, [HistoryEvent]>, Status> {
    let first = task.history.as_ref().map(|history| history.events.as_slice()).unwrap_or_default();
    if task.next_page_token.is_empty() {
        return Ok(Cow::Borrowed(first));
    }
    let mut events = first.to_vec();
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: context.options.namespace.clone(),
        execution: task.workflow_execution.clone(),
        next_page_token: task.next_page_token.clone(),
        ..Default::default()
    };
    while !request.next_page_token.is_empty() {
        let page = rpc.get_workflow_execution_history(with_deadline(request.clone(), SHORT_CALL)).await?.into_inner();
        events.extend(page.history.map(|history| history.events).unwrap_or_default());
        request.next_page_token = page.next_page_token;
    }
    Ok(Cow::Owned(events))
}

/// Polls `queue` for activity tasks and completes them, one after the other, until dropped.
pub async fn poll_activity_tasks(context: ThreadContext, rpc: Rpc, queue: TaskQueue) {
    let request = PollActivityTaskQueueRequest {
        namespace: context.options.namespace.clone(),
        task_queue: Some(queue),
        identity: IDENTITY.to_owned(),
        ..Default::default()
    };
    let mut rpc = rpc;
    loop {
        let task = match rpc.poll_activity_task_queue(with_deadline(request.clone(), POLL)).await {
            Ok(response) => response.into_inner(),
            Err(status) => {
                pause_after(&context, "PollActivityTaskQueue", &status).await;
                continue;
            }
        };
        if task.task_token.is_empty() {
            continue;
        }
        let answer = RespondActivityTaskCompletedRequest {
            namespace: context.options.namespace.clone(),
            task_token: task.task_token,
            identity: IDENTITY.to_owned(),
            result: Some(messages::payloads("done")),
            ..Default::default()
        };
        if let Err(status) = rpc.respond_activity_task_completed(with_deadline(answer, SHORT_CALL)).await {
            context.tally.lock().error("RespondActivityTaskCompleted", &status);
        }
    }
}

async fn pause_after(context: &ThreadContext, rpc: &str, status: &Status) {
    context.tally.lock().error(rpc, status);
    tokio::time::sleep(RETRY_PAUSE).await;
}
