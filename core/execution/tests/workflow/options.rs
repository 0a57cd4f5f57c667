//! UpdateWorkflowExecutionOptions.

use perdure_execution::workflow::{NewTask, describe::describe};
use perdure_kernel::{ErrorKind, ServiceResult};
use perdure_proto::{
    FieldMask,
    api::{
        common::Priority,
        deployment::{Deployment, WorkerDeploymentVersion},
        enums::EventType as E,
        workflow::{
            VersioningOverride, WorkflowExecutionOptions,
            versioning_override::{OneTimeOverride, Override, PinnedOverride},
        },
        workflowservice::{UpdateWorkflowExecutionOptionsRequest, UpdateWorkflowExecutionOptionsResponse},
    },
};

use crate::kit::{Kit, Worker, last, make::*};

fn ask(
    kit: &mut Kit,
    paths: &[&str],
    options: WorkflowExecutionOptions,
) -> ServiceResult<UpdateWorkflowExecutionOptionsResponse> {
    kit.update_options(&UpdateWorkflowExecutionOptionsRequest {
        workflow_execution_options: Some(options),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        identity: "operator".to_owned(),
        ..Default::default()
    })
}

fn priority(key: i32) -> Priority {
    Priority { priority_key: key, ..Default::default() }
}

fn prioritised(priority: Priority) -> WorkflowExecutionOptions {
    WorkflowExecutionOptions { priority: Some(priority), ..Default::default() }
}

fn overridden(given: VersioningOverride) -> WorkflowExecutionOptions {
    WorkflowExecutionOptions { versioning_override: Some(given), ..Default::default() }
}

fn by(given: Override) -> VersioningOverride {
    VersioningOverride { r#override: Some(given), ..Default::default() }
}

#[test]
fn a_mask_says_what_changes() {
    let mut kit = Kit::new();
    kit.skip_news();
    let merged = |kit: &mut Kit, paths: &[&str], given| {
        ask(kit, paths, prioritised(given)).unwrap().workflow_execution_options.unwrap().priority
    };
    assert_eq!(merged(&mut kit, &[], priority(1)), None);
    assert_eq!(kit.news(), []);
    assert_eq!(merged(&mut kit, &["priority"], priority(1)), Some(priority(1)));
    assert_eq!(kit.news(), [E::WorkflowExecutionOptionsUpdated]);
    assert!(kit.events.last().unwrap().worker_may_ignore);
    assert_eq!(merged(&mut kit, &["priority"], priority(1)), Some(priority(1)));
    assert_eq!(kit.news(), [], "nothing changes");
    let key = Priority { fairness_key: "tenant".to_owned(), ..priority(5) };
    let both = Priority { fairness_key: "tenant".to_owned(), ..priority(1) };
    assert_eq!(merged(&mut kit, &["priority.fairness_key"], key), Some(both.clone()));
    let event = last!(kit, WorkflowExecutionOptionsUpdatedEventAttributes);
    assert_eq!(
        (event.priority, event.unset_versioning_override, event.identity.as_str()),
        (Some(both), true, "operator")
    );
    let weighty = Priority { fairness_weight: 2.5, ..priority(3) };
    let all = Priority { fairness_key: "tenant".to_owned(), ..weighty };
    let paths = ["priority.priority_key", "priority.fairness_weight"];
    assert_eq!(merged(&mut kit, &paths, weighty), Some(all.clone()));
    assert_eq!(describe(&kit.state, &kit.namespace).workflow_execution_info.unwrap().priority, Some(all.clone()));
    // An event cannot say that there is no priority: it stays.
    let none = ask(&mut kit, &["priority"], WorkflowExecutionOptions::default()).unwrap();
    assert_eq!(none.workflow_execution_options.unwrap().priority, None);
    assert_eq!(kit.state.priority(), Some(&all));
    kit.turn(vec![continue_with(|_| {})]);
    assert_eq!(kit.next().state.priority(), Some(&all));
}

#[test]
fn what_waits_for_a_worker_is_sent_again() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a"), schedule_with("b", |b| b.priority = Some(priority(5))), schedule("runs")]);
    kit.start_activity("runs");
    kit.signal("s").unwrap();
    let before = kit.state.task().unwrap().clone();
    kit.new_tasks();
    ask(&mut kit, &["priority"], prioritised(priority(2))).unwrap();
    let keys: Vec<_> = kit
        .new_tasks()
        .iter()
        .map(|task| match task {
            NewTask::Workflow(task) => (task.scheduled_event_id, task.priority.as_ref().unwrap().priority_key),
            NewTask::Activity(task) => (task.scheduled_event_id, task.priority.as_ref().unwrap().priority_key),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, [(kit.activity("a"), 2), (kit.activity("b"), 5), (before.scheduled_event_id, 2)]);
    // The old tasks are void, the new ones are not.
    let old = kit.dispatched(kit.activity("a")).map(|task| perdure_proto::records::QueuedTask { stamp: 0, ..task });
    assert!(kit.start_queued(&old.unwrap(), "poll-1").is_err());
    kit.start_activity("a");
    kit.start_task_as(Worker::default()).unwrap();
}

#[test]
fn options_change_while_a_worker_decides() {
    let mut kit = Kit::new();
    kit.start_task();
    ask(&mut kit, &["priority"], prioritised(priority(2))).unwrap();
    assert_eq!(kit.state.priority(), Some(&priority(2)), "at once");
    kit.skip_news();
    kit.complete(vec![schedule("a")]).unwrap();
    let scheduled = [E::WorkflowTaskCompleted, E::ActivityTaskScheduled];
    assert_eq!(kit.news(), [&scheduled[..], &[E::WorkflowExecutionOptionsUpdated, E::WorkflowTaskScheduled]].concat());
    let NewTask::Activity(task) = &kit.new_tasks()[0] else { panic!() };
    assert_eq!(task.priority, Some(priority(2)));
}

#[test]
#[expect(deprecated, reason = "clients may still send the old fields")]
fn overrides() {
    let mut kit = Kit::new();
    let auto = by(Override::AutoUpgrade(true));
    let old_auto = VersioningOverride { behavior: 2, ..Default::default() };
    for given in [auto.clone(), old_auto.clone()] {
        let merged = ask(&mut kit, &["versioning_override"], overridden(given.clone())).unwrap();
        assert_eq!(merged.workflow_execution_options.unwrap().versioning_override, Some(given));
        assert_eq!(kit.state.versioning_override(), Some(auto.clone()));
    }
    let pair = ["versioning_override.behavior", "versioning_override.deployment"];
    ask(&mut kit, &pair, overridden(old_auto)).unwrap();
    let shown = describe(&kit.state, &kit.namespace).workflow_execution_info.unwrap().versioning_info.unwrap();
    assert_eq!(shown.versioning_override, Some(VersioningOverride { behavior: 2, ..auto }));
    ask(&mut kit, &["versioning_override"], WorkflowExecutionOptions::default()).unwrap();
    assert_eq!(kit.state.versioning_override(), None);
    let deployment = Some(Deployment { series_name: "d".to_owned(), build_id: "b".to_owned() });
    let pinned = VersioningOverride { behavior: 1, deployment, ..Default::default() };
    ask(&mut kit, &["versioning_override"], overridden(pinned)).unwrap();
    let shown = describe(&kit.state, &kit.namespace).workflow_execution_info.unwrap().versioning_info.unwrap();
    assert_eq!(shown.versioning_override.unwrap().pinned_version, "d.b");
}

#[test]
#[expect(deprecated, reason = "clients may still send the old fields")]
fn refusals() {
    let mut kit = Kit::new();
    let options = WorkflowExecutionOptions::default;
    let version = || Some(WorkerDeploymentVersion { deployment_name: "d".to_owned(), build_id: "b".to_owned() });
    let absent = "Pinned version 'd:b' is not present in task queue 'queue' of type 'Workflow'";
    let applying = |text: &str| format!("error applying update_options: {text}");
    let old = |behavior, pinned_version: &str| {
        overridden(VersioningOverride { behavior, pinned_version: pinned_version.to_owned(), ..Default::default() })
    };
    let deployment = |series_name: &str, build_id: &str, behavior| {
        let deployment = Some(Deployment { series_name: series_name.to_owned(), build_id: build_id.to_owned() });
        overridden(VersioningOverride { behavior, deployment, ..Default::default() })
    };
    let pinned = |behavior, version| overridden(by(Override::Pinned(PinnedOverride { behavior, version })));
    let once = |version| overridden(by(Override::OneTime(OneTimeOverride { target_deployment_version: version })));
    let together = applying("versioning_override fields must be updated together");
    let partial = applying("versioning_override doesn't support partial updates");
    let invalid = [
        ("versioning_override.behavior", options(), together.as_str()),
        ("versioning_override.deployment", options(), together.as_str()),
        ("versioning_override.pinned", options(), partial.as_str()),
        ("versioning_override.deployment.build_id", options(), partial.as_str()),
        (
            "time_skipping_config.enabled",
            options(),
            "error applying update_options: time_skipping_config doesn't support partial update",
        ),
        ("priority", overridden(by(Override::AutoUpgrade(false))), "auto-upgrade override must be true"),
        ("priority", overridden(VersioningOverride::default()), "override behavior is required"),
        ("priority", old(9, ""), "override behavior 9 not recognized"),
        ("priority", old(1, ""), "must provide deployment (deprecated) or pinned version if behavior is 'PINNED'"),
        (
            "priority",
            old(1, "bad"),
            "invalid version string \"bad\", expected format is \"<deployment_name>.<build_id>\"",
        ),
        ("priority", old(2, "d.b"), "only provide pinned version if behavior is 'PINNED'"),
        ("priority", deployment("d", "b", 2), "only provide deployment if behavior is 'PINNED'"),
        ("priority", deployment("", "b", 1), "deployment name cannot be empty"),
        ("priority", deployment("a.b", "b", 1), "deployment name cannot contain '.' or ':'"),
        ("priority", deployment("d", "", 1), "deployment build ID cannot be empty"),
        ("priority", pinned(0, None), "must provide version if override is pinned."),
        ("priority", pinned(0, version()), "must specify pinned override behavior if override is pinned."),
        ("priority", once(None), "must provide target deployment version if override is one-time."),
    ];
    for (path, given, text) in invalid {
        let error = ask(&mut kit, &[path], given).unwrap_err();
        assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::InvalidArgument, text), "{path}");
    }
    let unpinned = |behavior: &str| {
        format!(
            "must specify a specific pinned override version because workflow with id workflow has behavior {behavior} \
             and is not yet pinned to any version"
        )
    };
    for (given, text) in [
        (old(1, "d.b"), absent.to_owned()),
        (pinned(1, version()), absent.to_owned()),
        (once(version()), absent.to_owned()),
        (pinned(1, None), unpinned("Unspecified")),
    ] {
        let error = ask(&mut kit, &["versioning_override"], given).unwrap_err();
        assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::FailedPrecondition, text.as_str()));
    }
    ask(&mut kit, &["versioning_override"], overridden(by(Override::AutoUpgrade(true)))).unwrap();
    let error = ask(&mut kit, &["versioning_override"], pinned(1, None)).unwrap_err();
    assert_eq!(error.message.as_ref(), unpinned("AutoUpgrade"));
    kit.terminate().unwrap();
    let error = ask(&mut kit, &["bogus"], options()).unwrap_err();
    assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::NotFound, "workflow execution already completed"));
}
