//! Loading: precedence, types, refusals and warnings.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use perdure_config::{Assignment, At, DynamicConfig, Loaded, Settings, Sources, Value, load, served};
use perdure_kernel::Limits;
use perdure_proto::api::enums::TaskQueueType;

fn file(text: &str) -> Result<Loaded, String> {
    load(Sources { file: Some(text), ..Sources::default() }).map_err(|error| error.to_string())
}

fn settings(text: &str) -> Settings {
    let loaded = file(text).unwrap();
    assert_eq!(loaded.warnings, []);
    loaded.settings
}

fn assign(key: &str, value: Value) -> Assignment {
    Assignment { key: key.to_owned(), value }
}

#[test]
fn empty_files_change_nothing() {
    for text in ["", "\n", "# only a comment\n", "{}", "limit.maxIDLength: []", "limit.maxIDLength:"] {
        assert_eq!(settings(text).limits("a"), Limits::default(), "{text:?}");
    }
}

#[test]
fn constraints_match_exactly_and_the_most_specific_wins() {
    let settings = settings(
        "
matching.numTaskqueueReadPartitions:
  - value: 1
  - value: 2
    constraints: {namespace: a}
  - value: 3
    constraints: {taskQueueName: q}
  - value: 4
    constraints: {Namespace: a, TASKQUEUENAME: q}
  - value: 5
    constraints: {namespace: a, taskQueueName: q, taskType: Activity}
  - value: 6
    constraints: {}
  - value: 7
    constraints: {namespace: a}
  - value: 8
    constraints: {namespace: a, taskQueueName: r, taskType: 1}
",
    );
    for (namespace, queue, kind, partitions) in [
        ("a", "q", TaskQueueType::Activity, 5),
        ("a", "q", TaskQueueType::Workflow, 4),
        ("b", "q", TaskQueueType::Activity, 3),
        ("a", "x", TaskQueueType::Activity, 2),
        ("b", "x", TaskQueueType::Activity, 1),
        ("a", "r", TaskQueueType::Workflow, 8),
        ("a", "r", TaskQueueType::Activity, 2),
        ("A", "Q", TaskQueueType::Activity, 1),
    ] {
        assert_eq!(
            settings.task_queue(namespace, queue, kind).read_partitions,
            partitions,
            "{namespace} {queue} {kind:?}"
        );
    }
    assert_eq!(settings.get(served::READ_PARTITIONS, At::Server), Some(1));
}

#[test]
fn without_a_match_the_default_holds() {
    let settings = settings("limit.blobSize.error: [{value: 10, constraints: {namespace: a}}]");
    assert_eq!(settings.limits("a").blob_size_max, 10);
    assert_eq!(settings.limits("b"), Limits::default());
}

#[test]
fn keys_and_constraint_names_are_taken_in_any_case() {
    let settings = settings("LIMIT.maxidlength: [{value: 10}]");
    assert_eq!(settings.limits("a").id_length_max, 10);
}

#[test]
fn every_type_is_read_in_temporals_forms() {
    for (entry, expected) in
        [("10s", 10_000), ("\"250ms\"", 250), ("3", 3_000), ("0.5", 500), ("\"2\"", 2_000), ("1m", 60_000)]
    {
        let settings = settings(&format!("history.workflowTaskRetryMaxInterval: [{{value: {entry}}}]"));
        assert_eq!(settings.limits("a").workflow_task_retry_interval_max, Duration::from_millis(expected), "{entry}");
    }
    for (entry, expected) in [("true", true), ("false", false), ("\"false\"", false), ("\"T\"", true)] {
        let settings = settings(&format!("system.enableEagerWorkflowStart: [{{value: {entry}}}]"));
        assert_eq!(settings.limits("a").eager_workflow_start, expected, "{entry}");
    }
    for (entry, expected) in [("3", 3.0), ("1.5", 1.5)] {
        let settings = settings(&format!("frontend.namespaceBurstRatio: [{{value: {entry}}}]"));
        assert_eq!(settings.frontend_rates("a").namespace_burst_ratio, expected, "{entry}");
    }
}

#[test]
fn hard_bounds_hold_whatever_the_keys_say() {
    let settings = settings(
        "
frontend.historyMaxPageSize: [{value: 100000}]
history.defaultWorkflowTaskTimeout: [{value: 10h}]
system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute: [{value: 99999999999}]
",
    );
    let limits = settings.limits("a");
    assert_eq!(limits.history_page_size_max, 256);
    assert_eq!(limits.workflow_task_timeout_default, Duration::from_secs(120));
    assert_eq!(limits.workflow_task_problems_to_report, i32::MAX);
}

#[test]
fn refusals_are_one_line_that_names_place_and_remedy() {
    for (text, expected) in [
        ("a: 1\n", "dynamic config: "),
        ("limit.maxIDLength: [{value: 1, constraint: {}}]", "constraint"),
        ("limit.maxIDLength: [{constraints: {}}]", "value"),
        ("limit.maxIDLength: [", "dynamic config: "),
        ("[]", "dynamic config: "),
        (
            "\nlimit.maxIDLengh: [{value: 1}]",
            "line 2: unknown dynamic config key \"limit.maxIDLengh\"; did you mean limit.maxIDLength?",
        ),
        ("foo: [{value: 1}]", "line 1: unknown dynamic config key \"foo\"; see"),
        (
            "limit.maxIDLength:\n  - value: abc",
            "line 2: dynamic config key limit.maxIDLength takes a whole number of 0 or more, not \"abc\"",
        ),
        ("limit.maxIDLength: [{value: 1.5}]", "takes a whole number of 0 or more, not 1.5"),
        ("limit.maxIDLength: [{value: -1}]", "takes a whole number of 0 or more, not -1"),
        ("limit.maxIDLength: [{value: 0}]", "takes a value above 0, not 0"),
        ("limit.maxIDLength: [{value: [1]}]", "not a list"),
        ("limit.maxIDLength: [{value: }]", "not nothing"),
        ("matching.longPollExpirationInterval: [{value: soon}]", "takes a duration such as 10s"),
        ("system.enableEagerWorkflowStart: [{value: 1}]", "takes true or false, not 1"),
        ("frontend.enableServerVersionCheck: [{value: never}]", "takes true or false, not \"never\""),
        ("limit.blobSize.error: [{value: 1, constraints: {nspace: a}}]", "unknown constraint \"nspace\""),
        ("limit.blobSize.error: [{value: 1, constraints: {namespace: 7}}]", "constraint namespace takes text, not 7"),
        (
            "matching.longPollExpirationInterval: [{value: 1s, constraints: {taskType: Query}}]",
            "takes Workflow, Activity or Nexus",
        ),
        (
            "limit.maxIDLength: [{value: 1}]\nLimit.maxIDLength: [{value: 2}]",
            "line 2: dynamic config key limit.maxIDLength is given twice",
        ),
        ("limit.maxIDLength: [{value: 1}]\nlimit.maxIDLength: [{value: 2}]", "dynamic config: "),
    ] {
        let error = file(text).unwrap_err();
        assert!(error.contains(expected), "{text:?} gave {error:?}");
        assert!(!error.contains('\n'), "{error:?}");
    }
}

#[test]
fn what_has_no_effect_is_told_once() {
    for (text, expected) in [
        ("worker.stickyCacheSize: [{value: 1}, {value: 2}]", "worker.stickyCacheSize has no effect"),
        ("frontend.enableExecuteMultiOperation: [{value: true}]", "Temporal 1.29 was the last release with it"),
        ("frontend.enableServerVersionCheck: [{value: true}]", "always behaves as with false"),
        ("limit.maxIDLength: [{value: 1, constraints: {namespace: a}}]", "cannot be constrained by namespace"),
        (
            "limit.blobSize.error: [{value: 1, constraints: {taskQueueName: a}}]",
            "cannot be constrained by taskQueueName",
        ),
        ("limit.blobSize.error: [{value: 1, constraints: {shardID: 3}}]", "cannot be constrained by shardID"),
        (
            "matching.longPollExpirationInterval: [{value: 1s, constraints: {taskType: Nexus}}]",
            "taskType needs namespace and taskQueueName",
        ),
    ] {
        let loaded = file(text).unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(expected), "{warnings:?}");
        assert_eq!(loaded.settings.limits("a"), Limits::default(), "{text}");
    }
    assert_eq!(file("frontend.enableServerVersionCheck: [{value: false}]").unwrap().warnings, []);
}

#[test]
fn overrides_beat_the_file_and_the_file_beats_defaults() {
    let loaded = load(Sources {
        defaults: &[assign("frontend.rps", Value::Int(7)), assign("frontend.namespaceRPS", Value::Int(8))],
        file: Some(
            "
frontend.namespaceRPS:
  - value: 9
    constraints: {namespace: a}
limit.blobSize.error:
  - value: 10
    constraints: {namespace: a}
  - value: 11
",
        ),
        overrides: &[assign("Limit.BlobSize.error", Value::Int(12)), assign("limit.blobSize.error", Value::Int(13))],
    })
    .unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.frontend_rates("a").host_rps, 7);
    assert_eq!(settings.frontend_rates("a").namespace_rps, 9);
    assert_eq!(settings.frontend_rates("b").namespace_rps, 8);
    assert_eq!(settings.limits("a").blob_size_max, 13);
    assert_eq!(settings.limits("b").blob_size_max, 13);
}

#[test]
fn flags() {
    assert_eq!(Assignment::from_flag("a.b=1").unwrap(), assign("a.b", Value::Int(1)));
    assert_eq!(Assignment::from_flag("a=\"x=y\"").unwrap(), assign("a", Value::Text("x=y".into())));
    for (flag, expected) in
        [("a", "missing '='"), ("=1", "missing key"), ("a=b", "must be JSON"), ("a=", "must be JSON")]
    {
        let error = Assignment::from_flag(flag).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error:?}");
    }
}

#[test]
fn printed_settings_load_as_the_same_settings() {
    let settings = settings(
        "
limit.blobSize.error:
  - value: 5
    constraints: {namespace: 'a \"b\" #c'}
history.longPollExpirationInterval: [{value: 1m1.5s}]
frontend.namespaceBurstRatio: [{value: 3.0}]
matching.longPollExpirationInterval:
  - value: 3s
    constraints: {namespace: n, taskQueueName: q, taskType: Workflow}
",
    );
    let again = file(&settings.to_string()).unwrap();
    assert_eq!(again.warnings, []);
    assert_eq!(again.settings.limits("a \"b\" #c"), settings.limits("a \"b\" #c"));
    assert_eq!(again.settings.limits("z"), settings.limits("z"));
    assert_eq!(
        again.settings.task_queue("n", "q", TaskQueueType::Workflow),
        settings.task_queue("n", "q", TaskQueueType::Workflow)
    );
    assert_eq!(again.settings.frontend_rates("z"), settings.frontend_rates("z"));
    let defaults = Settings::default();
    assert_eq!(file(&defaults.to_string()).unwrap().settings.keep_alive(), defaults.keep_alive());
}

#[test]
fn every_served_key_can_be_set() {
    for line in served::SERVED {
        let loaded = load(Sources {
            overrides: &[assign(
                line.name,
                match &line.default {
                    served::Setting::Switch(value) => Value::Bool(!value),
                    served::Setting::Count(_) | served::Setting::Ratio(_) | served::Setting::Time(_) => Value::Int(77),
                    served::Setting::Addresses(_) => {
                        Value::List(vec![Value::Map(vec![("pattern".into(), Value::Text("77".into()))])])
                    }
                    served::Setting::Names(_) => Value::List(vec![Value::Text("77".into())]),
                },
            )],
            ..Sources::default()
        })
        .unwrap();
        assert_eq!(loaded.warnings, [], "{}", line.name);
        assert_ne!(loaded.settings, Settings::default(), "{}", line.name);
        assert!(
            loaded.settings.to_string().contains("77")
                || loaded.settings.to_string().contains("1m17s")
                || matches!(line.default, served::Setting::Switch(_))
        );
    }
}

#[test]
fn a_replacement_takes_effect_at_once() {
    let config = DynamicConfig::new(settings("frontend.rps: [{value: 5}]"));
    let reader = config.clone();
    assert_eq!(reader.settings().frontend_rates("a").host_rps, 5);
    config.replace(settings("frontend.rps: [{value: 6}]"));
    assert_eq!(reader.settings().frontend_rates("a").host_rps, 6);
    assert_eq!(reader.settings().version(), 1);
}
