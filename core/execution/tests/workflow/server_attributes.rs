//! Search attributes that the server sets.

use perdure_execution::workflow::search_attributes;
use perdure_proto::api::{
    command::{UpsertWorkflowSearchAttributesCommandAttributes, command::Attributes},
    common::{Payload, SearchAttributes, WorkerVersionStamp},
    enums::{CommandType, WorkflowTaskFailedCause},
};

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

#[test]
fn checksums_of_older_workers_are_remembered() {
    let mut kit = Kit::new();
    let mut turn = |checksum: &str| {
        kit.start_task();
        kit.complete_with(vec![], |request| {
            request.binary_checksum = checksum.to_owned();
            request.force_create_new_workflow_task = true;
        })
        .unwrap();
        value(&kit, "BinaryChecksums")
    };
    assert_eq!(turn(""), None);
    assert_eq!(turn("one").as_deref(), Some(r#"["one"]"#));
    assert_eq!(turn("two").as_deref(), Some(r#"["one","two"]"#));
    assert_eq!(turn("one").as_deref(), Some(r#"["one","two"]"#));
}

#[test]
fn builds_join_those_that_a_client_set() {
    let set = |values: &str| SearchAttributes {
        indexed_fields: [(
            "BuildIds".to_owned(),
            Payload {
                metadata: [("encoding".to_owned(), "json/plain".into()), ("type".to_owned(), "KeywordList".into())]
                    .into(),
                data: values.to_owned().into(),
                ..Default::default()
            },
        )]
        .into(),
    };
    let given = r#"["mine","unversioned","assigned:zz","pinned:d:b","b2"]"#;
    let mut kit = Kit::start(|request| request.search_attributes = Some(set(given)));
    assert_eq!(value(&kit, "BuildIds").as_deref(), Some(given), "as it was given until a task is completed");
    let turn = |kit: &mut Kit, build: &str, use_versioning, commands| {
        kit.start_task();
        kit.complete_with(commands, |request| {
            request.worker_version_stamp = Some(WorkerVersionStamp { build_id: build.to_owned(), use_versioning });
            request.force_create_new_workflow_task = true;
        })
        .unwrap();
        value(kit, "BuildIds")
    };
    assert_eq!(turn(&mut kit, "b1", false, vec![]).as_deref(), Some(r#"["unversioned","mine","b2","unversioned:b1"]"#));
    // With a version, the sign for workers without goes.
    assert_eq!(turn(&mut kit, "v", true, vec![]).as_deref(), Some(r#"["mine","b2","unversioned:b1","versioned:v"]"#));
    // The workflow's own word comes after its task.
    let attributes = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes: Some(set(r#"["up"]"#)) };
    let attributes = Attributes::UpsertWorkflowSearchAttributesCommandAttributes(attributes);
    let upsert = command(CommandType::UpsertWorkflowSearchAttributes, attributes);
    assert_eq!(turn(&mut kit, "b1", false, vec![upsert]).as_deref(), Some(r#"["up"]"#));
    assert_eq!(turn(&mut kit, "b1", false, vec![]).as_deref(), Some(r#"["unversioned","up","unversioned:b1"]"#));
}
