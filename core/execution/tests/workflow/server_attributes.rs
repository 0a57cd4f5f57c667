//! Search attributes that the server sets.

use perdure_execution::workflow::search_attributes;
use perdure_proto::api::{common::WorkerVersionStamp, enums::WorkflowTaskFailedCause};

use crate::kit::{Kit, make::*};

fn value(kit: &Kit, name: &str) -> Option<String> {
    let payload = search_attributes(&kit.state).indexed_fields.get(name)?.clone();
    assert_eq!(payload.metadata["type"], "KeywordList");
    Some(String::from_utf8(payload.data.to_vec()).unwrap())
}

const PROBLEMS: &str = "TemporalReportedProblems";

#[test]
fn failing_workflow_tasks_are_reported_until_one_succeeds() {
    let mut kit = Kit::new();
    for count in 1..=5 {
        assert_eq!(value(&kit, PROBLEMS), None, "after {count} failures");
        kit.start_task();
        kit.fail_task(WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure).unwrap();
        if count == 2 {
            // Later attempts write no events and do not change what is told.
            kit.start_task();
            kit.pass(2 * MINUTE);
            break;
        }
    }
    kit.start_task();
    kit.fail_task(WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure).unwrap();
    assert_eq!(value(&kit, PROBLEMS), None);
    kit.start_task();
    kit.fail_task(WorkflowTaskFailedCause::BadScheduleActivityAttributes).unwrap();
    assert_eq!(
        value(&kit, PROBLEMS).as_deref(),
        Some(r#"["category=WorkflowTaskFailed","cause=WorkflowTaskFailedCauseWorkflowWorkerUnhandledFailure"]"#)
    );
    kit.turn(vec![start_timer("t", 1)]);
    assert_eq!(value(&kit, PROBLEMS), None);

    kit.pass(SECOND);
    for _ in 0..5 {
        kit.start_task();
        kit.pass(5 * MINUTE);
    }
    assert_eq!(
        value(&kit, PROBLEMS).as_deref(),
        Some(r#"["category=WorkflowTaskTimedOut","cause=WorkflowTaskTimedOutCauseStartToClose"]"#)
    );
}

#[test]
fn builds_that_complete_tasks_are_remembered() {
    let mut kit = Kit::new();
    assert_eq!(value(&kit, "BuildIds"), None);
    let mut turn = |build: Option<&str>| {
        kit.start_task();
        let stamp = build.map(|build| WorkerVersionStamp { build_id: build.to_owned(), use_versioning: false });
        kit.complete_with(vec![], |request| {
            request.worker_version_stamp.clone_from(&stamp);
            request.force_create_new_workflow_task = true;
        })
        .unwrap();
        value(&kit, "BuildIds").unwrap()
    };
    assert_eq!(turn(None), r#"["unversioned"]"#);
    assert_eq!(turn(Some("one")), r#"["unversioned","unversioned:one"]"#);
    assert_eq!(turn(Some("one")), r#"["unversioned","unversioned:one"]"#);
    let long = "x".repeat(1500);
    assert_eq!(turn(Some(&long)), format!(r#"["unversioned","unversioned:one","unversioned:{long}"]"#));
    assert_eq!(turn(Some(&"y".repeat(1500))), format!(r#"["unversioned","unversioned:{}"]"#, "y".repeat(1500)));
}
