//! The worker's side: an activity, a timer and a child first, completion when all three are done, the signal
//! has come and the update is over. It keeps nothing between tasks and repeats an answer until it is acknowledged.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
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

use super::{
    Workload,
    ledger::{Completions, Ledger},
};
use crate::{
    client::{POLL, RETRY_PAUSE, Rpc, SHORT_CALL, repeat, with_deadline},
    messages::{self, is},
    updates,
};

/// The timer of every workflow.
pub(super) const TIMER: Duration = Duration::from_millis(200);
/// What a child's workflow id has after its parent's.
pub(super) const CHILD_SUFFIX: &str = "-child";
/// Who the worker says it is.
const IDENTITY: &str = "crash-worker";
/// A start of the activity that no worker heard of is tried again after this.
pub(super) const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(1);
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
        identity: IDENTITY.to_owned(),
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
    let parent_id = execution.workflow_id.strip_suffix(CHILD_SUFFIX).map(str::to_owned);
    let mut update = None;
    let (mut commands, messages) = updates::accept_and_complete(&task.messages, |_| {
        let result = unique_result();
        update = Some(result.clone());
        messages::payloads(&result)
    });
    // No task follows an update by itself: what it was the last to wait for is done in the same task.
    let updated = update.is_some() || has(&events, EventType::WorkflowExecutionUpdateCompleted);
    let completion = (parent_id.is_some() || (updated && is_done(&events))).then(unique_result);
    commands.extend(decide(&execution.workflow_id, &events, &workload.task_queue, completion.as_deref()));
    {
        let mut ledger = workload.ledger.lock();
        match &parent_id {
            Some(parent_id) => {
                let child = &mut ledger.entry(parent_id).child;
                child.runs_seen.insert(execution.run_id);
                child.workflow.sent.extend(completion.clone());
            }
            None => {
                let entry = ledger.entry(&execution.workflow_id);
                entry.runs_seen.insert(execution.run_id);
                entry.workflow.sent.extend(completion.clone());
                entry.update.sent.extend(update.clone());
            }
        }
    }
    let request = RespondWorkflowTaskCompletedRequest {
        namespace: workload.namespace.to_string(),
        identity: IDENTITY.to_owned(),
        task_token: task.task_token,
        commands,
        messages,
        ..Default::default()
    };
    let answer = repeat(rpc, ANSWER_WITHIN, SHORT_CALL, &request, |mut rpc, request| async move {
        rpc.respond_workflow_task_completed(request).await
    })
    .await;
    if answer.result.is_ok() {
        let mut ledger = workload.ledger.lock();
        match &parent_id {
            Some(parent_id) => ledger.entry(parent_id).child.workflow.acknowledged.extend(completion),
            None => {
                let entry = ledger.entry(&execution.workflow_id);
                entry.workflow_tasks.push(task.started_event_id);
                entry.workflow.acknowledged.extend(completion);
                entry.update.acknowledged.extend(update);
            }
        }
    }
}

fn has(events: &[HistoryEvent], wanted: EventType) -> bool {
    events.iter().any(|event| is(event, wanted))
}

/// Whether all has happened but the update.
fn is_done(events: &[HistoryEvent]) -> bool {
    [
        EventType::ActivityTaskCompleted,
        EventType::TimerFired,
        EventType::ChildWorkflowExecutionCompleted,
        EventType::WorkflowExecutionSignaled,
    ]
    .into_iter()
    .all(|wanted| has(events, wanted))
}

fn decide(workflow_id: &str, events: &[HistoryEvent], task_queue: &str, completion: Option<&str>) -> Vec<Command> {
    if let Some(result) = completion {
        return vec![messages::complete_workflow(result)];
    }
    if has(events, EventType::ActivityTaskScheduled) {
        return Vec::new();
    }
    vec![
        messages::schedule_activity(task_queue, ACTIVITY_TIMEOUT, Some(activity_retry())),
        messages::start_timer(TIMER),
        messages::start_child(&format!("{workflow_id}{CHILD_SUFFIX}"), task_queue),
    ]
}

/// How activities are tried again.
pub(super) fn activity_retry() -> RetryPolicy {
    RetryPolicy {
        initial_interval: Some(messages::duration(ACTIVITY_RETRY)),
        backoff_coefficient: 1.0,
        ..Default::default()
    }
}

async fn activity_tasks(workload: Workload, mut rpc: Rpc) {
    let request = PollActivityTaskQueueRequest {
        namespace: workload.namespace.to_string(),
        task_queue: Some(messages::normal_queue(&workload.task_queue)),
        identity: IDENTITY.to_owned(),
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
    let workflow_id = execution.workflow_id;
    let result = unique_result();
    let completions = |ledger: &mut Ledger, write: &dyn Fn(&mut Completions)| match workflow_id.as_str() {
        "" => write(&mut ledger.standalone(&task.activity_id).activity),
        workflow_id => write(&mut ledger.entry(workflow_id).activity),
    };
    {
        let mut ledger = workload.ledger.lock();
        completions(&mut ledger, &|completions| completions.sent.push(result.clone()));
        if workflow_id.is_empty() {
            ledger.standalone(&task.activity_id).runs_seen.insert(task.activity_run_id);
        } else {
            ledger.entry(&workflow_id).runs_seen.insert(execution.run_id);
        }
    }
    let request = RespondActivityTaskCompletedRequest {
        namespace: workload.namespace.to_string(),
        identity: IDENTITY.to_owned(),
        task_token: task.task_token,
        result: Some(messages::payloads(&result)),
        ..Default::default()
    };
    let answer = repeat(rpc, ANSWER_WITHIN, SHORT_CALL, &request, |mut rpc, request| async move {
        rpc.respond_activity_task_completed(request).await
    })
    .await;
    if answer.result.is_ok() {
        completions(&mut workload.ledger.lock(), &|completions| completions.acknowledged.push(result.clone()));
    }
}
