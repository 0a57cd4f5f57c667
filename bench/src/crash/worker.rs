//! The worker's side: an activity and a timer first, completion when both are done and the signal
//! has come. It keeps nothing between tasks and repeats an answer until it is acknowledged.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use perdure_proto::api::{
    command::Command,
    common::RetryPolicy,
    enums::EventType,
    history::HistoryEvent,
    workflowservice::{
        PollActivityTaskQueueRequest, PollActivityTaskQueueResponse, PollWorkflowTaskQueueRequest,
        PollWorkflowTaskQueueResponse, RespondActivityTaskCompletedRequest, RespondWorkflowTaskCompletedRequest,
    },
};
use tokio::task::JoinSet;

use super::Workload;
use crate::{
    client::{POLL, RETRY_PAUSE, Rpc, SHORT_CALL, until_acknowledged, with_deadline},
    messages::{self, is},
};

/// The timer of every workflow.
pub(super) const TIMER: Duration = Duration::from_millis(200);
/// A start of the activity that no worker heard of is tried again after this.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause before the activity is tried again.
const ACTIVITY_RETRY: Duration = Duration::from_millis(50);
/// How long an answer is repeated; after that its task has timed out in any case.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Numbers results, so that no two are the same.
static RESULTS: AtomicU64 = AtomicU64::new(0);

fn unique_result() -> String {
    format!("result-{}", RESULTS.fetch_add(1, Ordering::Relaxed))
}

/// Opens the polls; dropping the set ends them.
pub(super) fn spawn(workload: &Workload, pollers: usize) -> JoinSet<()> {
    let mut polls = JoinSet::new();
    for index in 0..pollers {
        polls.spawn(workflow_tasks(workload.clone(), workload.connections.pick(2 * index)));
        polls.spawn(activity_tasks(workload.clone(), workload.connections.pick(2 * index + 1)));
    }
    polls
}

async fn workflow_tasks(workload: Workload, mut rpc: Rpc) {
    let request = PollWorkflowTaskQueueRequest {
        namespace: workload.namespace.to_string(),
        task_queue: Some(messages::normal_queue(&workload.task_queue)),
        identity: "crash-worker".to_owned(),
        ..Default::default()
    };
    loop {
        match rpc.poll_workflow_task_queue(with_deadline(request.clone(), POLL)).await {
            Ok(response) => {
                let task = response.into_inner();
                if !task.task_token.is_empty() {
                    answer_workflow_task(&workload, &rpc, task).await;
                }
            }
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}

async fn answer_workflow_task(workload: &Workload, rpc: &Rpc, task: PollWorkflowTaskQueueResponse) {
    let execution = task.workflow_execution.unwrap_or_default();
    let events = task.history.unwrap_or_default().events;
    let completion = is_done(&events).then(unique_result);
    let commands = decide(&events, &workload.task_queue, completion.as_deref());
    {
        let mut ledger = workload.ledger.lock();
        let entry = ledger.entry(&execution.workflow_id);
        entry.runs_seen.insert(execution.run_id);
        entry.workflow.sent.extend(completion.clone());
    }
    let request = RespondWorkflowTaskCompletedRequest {
        namespace: workload.namespace.to_string(),
        identity: "crash-worker".to_owned(),
        task_token: task.task_token,
        commands,
        ..Default::default()
    };
    let answer = until_acknowledged(
        Instant::now() + ANSWER_WITHIN,
        |_| (),
        || {
            let mut rpc = rpc.clone();
            let request = with_deadline(request.clone(), SHORT_CALL);
            async move { rpc.respond_workflow_task_completed(request).await }
        },
    )
    .await;
    if answer.result.is_ok() {
        let mut ledger = workload.ledger.lock();
        let entry = ledger.entry(&execution.workflow_id);
        entry.workflow_tasks.push(task.started_event_id);
        entry.workflow.acknowledged.extend(completion);
    }
}

fn has(events: &[HistoryEvent], wanted: EventType) -> bool {
    events.iter().any(|event| is(event, wanted))
}

fn is_done(events: &[HistoryEvent]) -> bool {
    [EventType::ActivityTaskCompleted, EventType::TimerFired, EventType::WorkflowExecutionSignaled]
        .into_iter()
        .all(|wanted| has(events, wanted))
}

fn decide(events: &[HistoryEvent], task_queue: &str, completion: Option<&str>) -> Vec<Command> {
    if let Some(result) = completion {
        return vec![messages::complete_workflow(result)];
    }
    if has(events, EventType::ActivityTaskScheduled) {
        return Vec::new();
    }
    let retry = RetryPolicy {
        initial_interval: Some(messages::duration(ACTIVITY_RETRY)),
        backoff_coefficient: 1.0,
        ..Default::default()
    };
    vec![messages::schedule_activity(task_queue, ACTIVITY_TIMEOUT, Some(retry)), messages::start_timer(TIMER)]
}

async fn activity_tasks(workload: Workload, mut rpc: Rpc) {
    let request = PollActivityTaskQueueRequest {
        namespace: workload.namespace.to_string(),
        task_queue: Some(messages::normal_queue(&workload.task_queue)),
        identity: "crash-worker".to_owned(),
        ..Default::default()
    };
    loop {
        match rpc.poll_activity_task_queue(with_deadline(request.clone(), POLL)).await {
            Ok(response) => {
                let task = response.into_inner();
                if !task.task_token.is_empty() {
                    answer_activity_task(&workload, &rpc, task).await;
                }
            }
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}

async fn answer_activity_task(workload: &Workload, rpc: &Rpc, task: PollActivityTaskQueueResponse) {
    let execution = task.workflow_execution.unwrap_or_default();
    let result = unique_result();
    {
        let mut ledger = workload.ledger.lock();
        let entry = ledger.entry(&execution.workflow_id);
        entry.runs_seen.insert(execution.run_id);
        entry.activity.sent.push(result.clone());
    }
    let request = RespondActivityTaskCompletedRequest {
        namespace: workload.namespace.to_string(),
        identity: "crash-worker".to_owned(),
        task_token: task.task_token,
        result: Some(messages::payloads(&result)),
        ..Default::default()
    };
    let answer = until_acknowledged(
        Instant::now() + ANSWER_WITHIN,
        |_| (),
        || {
            let mut rpc = rpc.clone();
            let request = with_deadline(request.clone(), SHORT_CALL);
            async move { rpc.respond_activity_task_completed(request).await }
        },
    )
    .await;
    if answer.result.is_ok() {
        workload.ledger.lock().entry(&execution.workflow_id).activity.acknowledged.push(result);
    }
}
