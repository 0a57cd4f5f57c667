use perdure_proto::{
    Timestamp,
    api::history::{
        ActivityTaskCompletedEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
        ChildWorkflowExecutionStartedEventAttributes, TimerFiredEventAttributes, TimerStartedEventAttributes,
        WorkflowExecutionCompletedEventAttributes, WorkflowExecutionSignaledEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes, WorkflowTaskCompletedEventAttributes,
    },
    api::update::{Outcome, outcome::Value},
};

use super::*;
use crate::{
    crash::ledger::Child,
    messages::{execution, payloads},
};

const ID: &str = "w";
const RUN: &str = "r";

/// A workflow that kept every promise.
fn good() -> (Entry, Found) {
    let attributes = [
        (EventType::WorkflowExecutionStarted, None),
        (EventType::WorkflowTaskScheduled, None),
        (EventType::WorkflowTaskStarted, None),
        (
            EventType::WorkflowTaskCompleted,
            Some(Attributes::WorkflowTaskCompletedEventAttributes(WorkflowTaskCompletedEventAttributes {
                started_event_id: 3,
                ..Default::default()
            })),
        ),
        (EventType::ActivityTaskScheduled, None),
        (
            EventType::TimerStarted,
            Some(Attributes::TimerStartedEventAttributes(TimerStartedEventAttributes::default())),
        ),
        (
            EventType::WorkflowExecutionSignaled,
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(WorkflowExecutionSignaledEventAttributes {
                input: Some(payloads("w-signal")),
                ..Default::default()
            })),
        ),
        (EventType::ActivityTaskStarted, None),
        (
            EventType::ActivityTaskCompleted,
            Some(Attributes::ActivityTaskCompletedEventAttributes(ActivityTaskCompletedEventAttributes {
                result: Some(payloads("activity")),
                ..Default::default()
            })),
        ),
        (EventType::StartChildWorkflowExecutionInitiated, None),
        (
            EventType::ChildWorkflowExecutionStarted,
            Some(Attributes::ChildWorkflowExecutionStartedEventAttributes(
                ChildWorkflowExecutionStartedEventAttributes {
                    workflow_execution: Some(execution("w-child", "child-run")),
                    ..Default::default()
                },
            )),
        ),
        (
            EventType::ChildWorkflowExecutionCompleted,
            Some(Attributes::ChildWorkflowExecutionCompletedEventAttributes(
                ChildWorkflowExecutionCompletedEventAttributes {
                    result: Some(payloads("child")),
                    ..Default::default()
                },
            )),
        ),
        (EventType::WorkflowExecutionUpdateAccepted, None),
        (
            EventType::WorkflowExecutionUpdateCompleted,
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(
                WorkflowExecutionUpdateCompletedEventAttributes {
                    outcome: Some(Outcome { value: Some(Value::Success(payloads("update"))) }),
                    ..Default::default()
                },
            )),
        ),
        (EventType::TimerFired, Some(Attributes::TimerFiredEventAttributes(TimerFiredEventAttributes::default()))),
        (
            EventType::WorkflowExecutionCompleted,
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(WorkflowExecutionCompletedEventAttributes {
                result: Some(payloads("workflow")),
                ..Default::default()
            })),
        ),
    ];
    let events: Vec<HistoryEvent> = attributes
        .into_iter()
        .zip(1..)
        .map(|((kind, attributes), event_id)| HistoryEvent {
            event_id,
            event_type: kind.into(),
            event_time: Some(Timestamp { seconds: event_id, nanos: 0 }),
            attributes,
            ..Default::default()
        })
        .collect();
    let entry = Entry {
        run_id: Some(RUN.to_owned()),
        runs_seen: [RUN.to_owned()].into(),
        signal_acknowledged: true,
        workflow_tasks: vec![3],
        activity: completions("activity"),
        workflow: completions("workflow"),
        update: completions("update"),
        update_outcome: Some("update".to_owned()),
        child: Child { runs_seen: ["child-run".to_owned()].into(), workflow: completions("child") },
        refusals: Vec::new(),
    };
    let found = Found {
        current_run_id: RUN.to_owned(),
        status: WorkflowExecutionStatus::Completed.into(),
        history_length: events.len() as i64,
        events,
    };
    (entry, found)
}

fn completions(result: &str) -> Completions {
    Completions { sent: vec![result.to_owned()], acknowledged: vec![result.to_owned()] }
}

#[test]
fn a_kept_promise_is_no_violation() {
    let (entry, found) = good();
    assert_eq!(judge(ID, RUN, &entry, &found), Vec::<String>::new());
}

#[test]
fn every_broken_promise_is_told() {
    type Break = fn(&mut Entry, &mut Found);
    let cases: &[(&str, Break)] = &[
        ("ghost run", |entry, _| entry.runs_seen.extend(["other".to_owned()])),
        ("the current one is", |_, found| found.current_run_id = "other".to_owned()),
        ("not COMPLETED", |_, found| found.status = WorkflowExecutionStatus::Running.into()),
        ("not contiguous", |_, found| found.events[4].event_id = 4),
        ("described with", |_, found| found.history_length += 1),
        ("ACTIVITY_TASK_SCHEDULED happened 0 times", |_, found| drop(found.events.remove(4))),
        ("WORKFLOW_EXECUTION_SIGNALED happened 2 times", |_, found| found.events.insert(6, found.events[6].clone())),
        ("WORKFLOW_EXECUTION_SIGNALED was acknowledged and is lost", |_, found| {
            found.status = WorkflowExecutionStatus::Running.into();
            found.events.truncate(6);
        }),
        ("last event", |_, found| found.events.push(found.events[1].clone())),
        ("fired 1 µs early", |_, found| {
            found.events[14].event_time = Some(Timestamp { seconds: 6, nanos: 199_999_000 });
        }),
        ("its update's client was told", |entry, _| entry.update_outcome = Some("other".to_owned())),
        ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED happened 0 times", |_, found| drop(found.events.remove(12))),
        ("UPDATE_COMPLETED was acknowledged and is lost", |_, found| {
            found.status = WorkflowExecutionStatus::Running.into();
            found.events.truncate(12);
        }),
        ("of its child", |entry, _| entry.child.runs_seen.extend(["other".to_owned()])),
        ("child result \"child\" was never sent", |entry, _| entry.child.workflow.sent.clear()),
        ("activity results [\"lost\"]", |entry, _| entry.activity.acknowledged = vec!["lost".to_owned()]),
        ("acknowledged 2 times", |entry, _| entry.workflow.acknowledged.push("workflow".to_owned())),
        ("was never sent", |entry, _| entry.workflow.sent.clear()),
        ("started at 8 was completed 0 times", |entry, _| entry.workflow_tasks.push(8)),
        ("refused signal", |entry, _| entry.refusals.push("signal".to_owned())),
    ];
    for (expected, broken) in cases {
        let (mut entry, mut found) = good();
        broken(&mut entry, &mut found);
        let wrong = judge(ID, RUN, &entry, &found);
        assert!(wrong.iter().any(|text| text.contains(expected)), "{expected:?} is not in {wrong:?}");
    }
}
