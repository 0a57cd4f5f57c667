//! Holds the histories against the ledger.

mod standalone;

use std::collections::{BTreeMap, BTreeSet};

use perdure_proto::api::{
    enums::{EventType, WorkflowExecutionStatus},
    history::{HistoryEvent, history_event::Attributes},
    workflowservice::{DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest},
};
use tonic::Status;

use super::{
    ledger::{Completions, Entry, Ledger},
    starter::signal_id,
    worker::TIMER,
};
use crate::{
    client::{Connections, Rpc, SHORT_CALL, with_deadline},
    messages::{is, micros, text},
    updates,
};

/// Events that every finished workflow has exactly once.
const ONCE: &[EventType] = &[
    EventType::WorkflowExecutionStarted,
    EventType::ActivityTaskScheduled,
    EventType::ActivityTaskStarted,
    EventType::ActivityTaskCompleted,
    EventType::TimerStarted,
    EventType::TimerFired,
    EventType::StartChildWorkflowExecutionInitiated,
    EventType::ChildWorkflowExecutionStarted,
    EventType::ChildWorkflowExecutionCompleted,
    EventType::WorkflowExecutionSignaled,
    EventType::WorkflowExecutionUpdateAccepted,
    EventType::WorkflowExecutionUpdateCompleted,
    EventType::WorkflowExecutionCompleted,
];
/// Events of one page: small, so that paging is tested too.
const PAGE_SIZE: i32 = 7;

/// What the server says of a workflow at the end.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Run id that the workflow id alone leads to.
    pub current_run_id: String,
    /// Status of that run.
    pub status: i32,
    /// Number of events, as the description gives it.
    pub history_length: i64,
    /// All events of the run.
    pub events: Vec<HistoryEvent>,
}

/// Reads every workflow of the ledger and judges it. Broken promises, in words.
pub async fn audit(connections: &Connections, namespace: &str, ledger: &Ledger) -> Vec<String> {
    let mut violations = Vec::new();
    let rpc = connections.pick(0);
    for (workflow_id, entry) in &ledger.workflows {
        let Some(run_id) = &entry.run_id else {
            violations.push(format!("{workflow_id}: its start was never acknowledged {:?}", entry.refusals));
            continue;
        };
        match find(rpc.clone(), namespace, workflow_id, run_id).await {
            Ok(found) => {
                let judged = judge(workflow_id, run_id, entry, &found);
                violations.extend(judged.into_iter().map(|text| format!("{workflow_id}: {text}")));
            }
            Err(status) => violations.push(format!("{workflow_id}: lost ({:?} {})", status.code(), status.message())),
        }
    }
    for (activity_id, entry) in &ledger.activities {
        let judged = standalone::audit(rpc.clone(), namespace, activity_id, entry).await;
        violations.extend(judged.into_iter().map(|text| format!("{activity_id}: {text}")));
    }
    violations
}

async fn find(mut rpc: Rpc, namespace: &str, workflow_id: &str, run_id: &str) -> Result<Found, Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        execution: Some(crate::messages::execution(workflow_id, "")),
    };
    let described = rpc.describe_workflow_execution(with_deadline(request, SHORT_CALL)).await?.into_inner();
    let info = described.workflow_execution_info.unwrap_or_default();
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: namespace.to_owned(),
        execution: Some(crate::messages::execution(workflow_id, run_id)),
        maximum_page_size: PAGE_SIZE,
        ..Default::default()
    };
    let mut events = Vec::new();
    loop {
        let page = rpc.get_workflow_execution_history(with_deadline(request.clone(), SHORT_CALL)).await?.into_inner();
        events.extend(page.history.map(|history| history.events).unwrap_or_default());
        if page.next_page_token.is_empty() {
            break;
        }
        request.next_page_token = page.next_page_token;
    }
    Ok(Found {
        current_run_id: info.execution.unwrap_or_default().run_id,
        status: info.status,
        history_length: info.history_length,
        events,
    })
}

/// Everything that is wrong with one workflow.
pub fn judge(workflow_id: &str, run_id: &str, entry: &Entry, found: &Found) -> Vec<String> {
    let mut wrong: Vec<String> = entry.refusals.iter().map(|text| format!("refused {text}")).collect();
    if found.current_run_id != run_id {
        wrong.push(format!("run {run_id} was acknowledged, the current one is {}", found.current_run_id));
    }
    wrong.extend(ghosts(&entry.runs_seen, run_id).map(|seen| format!("ghost run {seen}")));
    let completed = found.status == i32::from(WorkflowExecutionStatus::Completed);
    if !completed {
        let last = found.events.last().map(|event| event.event_type().as_str_name());
        wrong.push(format!("its status is {}, not COMPLETED; its last event is {last:?}", found.status));
    }
    let events = &found.events;
    let ids: Vec<i64> = events.iter().map(|event| event.event_id).collect();
    if !ids.iter().copied().eq(1..=ids.len() as i64) {
        wrong.push(format!("event ids are not contiguous: {ids:?}"));
    }
    if found.history_length != events.len() as i64 {
        wrong.push(format!("described with {} events, has {}", found.history_length, events.len()));
    }
    let acknowledged = [
        (EventType::WorkflowExecutionSignaled, entry.signal_acknowledged),
        (EventType::ActivityTaskCompleted, !entry.activity.acknowledged.is_empty()),
        (EventType::WorkflowExecutionUpdateCompleted, !entry.update.acknowledged.is_empty()),
        (EventType::WorkflowExecutionUpdateCompleted, entry.update_outcome.is_some()),
        (EventType::WorkflowExecutionCompleted, !entry.workflow.acknowledged.is_empty()),
    ];
    for (kind, acknowledged) in acknowledged {
        if acknowledged && !events.iter().any(|event| is(event, kind)) {
            wrong.push(format!("{} was acknowledged and is lost", kind.as_str_name()));
        }
    }
    for &kind in ONCE {
        let count = events.iter().filter(|event| is(event, kind)).count();
        // What a workflow that has not finished lacks is no loss of its own.
        if count > 1 || (completed && count == 0) {
            wrong.push(format!("{} happened {count} times", kind.as_str_name()));
        }
    }
    if completed && !events.last().is_some_and(|event| is(event, EventType::WorkflowExecutionCompleted)) {
        wrong.push("its last event is not its completion".to_owned());
    }
    judge_contents(workflow_id, entry, events, &mut wrong);
    judge_workflow_tasks(entry, events, &mut wrong);
    wrong
}

/// Runs that had tasks though another one was acknowledged.
fn ghosts<'a>(seen: &'a BTreeSet<String>, run_id: &'a str) -> impl Iterator<Item = &'a String> {
    seen.iter().filter(move |seen| *seen != run_id)
}

fn judge_contents(workflow_id: &str, entry: &Entry, events: &[HistoryEvent], wrong: &mut Vec<String>) {
    let mut due = None;
    for event in events {
        let at = micros(event.event_time.as_ref());
        match &event.attributes {
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => {
                let input = text(signal.input.as_ref());
                if input != signal_id(workflow_id) {
                    wrong.push(format!("the signal {input:?} was never sent to it"));
                }
            }
            Some(Attributes::ActivityTaskCompletedEventAttributes(completed)) => {
                judge_result("activity", &entry.activity, &text(completed.result.as_ref()), wrong);
            }
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
                judge_result("workflow", &entry.workflow, &text(completed.result.as_ref()), wrong);
            }
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                let result = text(updates::success(completed.outcome.as_ref()));
                judge_result("update", &entry.update, &result, wrong);
                if let Some(told) = entry.update_outcome.as_ref().filter(|told| **told != result) {
                    wrong.push(format!("its update's client was told {told:?}, the history has {result:?}"));
                }
            }
            Some(Attributes::ChildWorkflowExecutionStartedEventAttributes(started)) => {
                let run_id = started.workflow_execution.as_ref().map_or("", |execution| &execution.run_id);
                wrong.extend(
                    ghosts(&entry.child.runs_seen, run_id).map(|seen| format!("ghost run {seen} of its child")),
                );
            }
            Some(Attributes::ChildWorkflowExecutionCompletedEventAttributes(completed)) => {
                judge_result("child", &entry.child.workflow, &text(completed.result.as_ref()), wrong);
            }
            Some(Attributes::TimerStartedEventAttributes(_)) => due = Some(at + TIMER.as_micros() as i64),
            Some(Attributes::TimerFiredEventAttributes(_)) => {
                if let Some(early) = due.map(|due| due - at).filter(|early| *early > 0) {
                    wrong.push(format!("its timer fired {early} µs early"));
                }
            }
            _ => {}
        }
    }
}

/// The result in the history must have been sent; and when one was acknowledged, be that one.
fn judge_result(what: &str, completions: &Completions, result: &str, wrong: &mut Vec<String>) {
    if !completions.sent.iter().any(|sent| sent == result) {
        wrong.push(format!("{what} result {result:?} was never sent"));
    }
    let others: Vec<&String> = completions.acknowledged.iter().filter(|acked| *acked != result).collect();
    if !others.is_empty() {
        wrong.push(format!("{what} results {others:?} were acknowledged, the history has {result:?}"));
    }
    if completions.acknowledged.len() > 1 {
        wrong.push(format!("{what} completions were acknowledged {} times", completions.acknowledged.len()));
    }
}

fn judge_workflow_tasks(entry: &Entry, events: &[HistoryEvent], wrong: &mut Vec<String>) {
    let mut completed: BTreeMap<i64, usize> = BTreeMap::new();
    for event in events {
        if let Some(Attributes::WorkflowTaskCompletedEventAttributes(attributes)) = &event.attributes {
            *completed.entry(attributes.started_event_id).or_default() += 1;
        }
    }
    for started in &entry.workflow_tasks {
        let count = completed.get(started).copied().unwrap_or(0);
        if count != 1 {
            wrong.push(format!("the acknowledged workflow task started at {started} was completed {count} times"));
        }
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
