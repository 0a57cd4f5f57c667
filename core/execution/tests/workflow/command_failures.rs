//! Commands that cannot be carried out: what fails the workflow task, what ends the run, what is refused.

use perdure_kernel::{ErrorKind, Namespace, NamespaceId};
use perdure_proto::api::{
    command::{
        Command, CompleteWorkflowExecutionCommandAttributes, FailWorkflowExecutionCommandAttributes,
        ModifyWorkflowPropertiesCommandAttributes, RecordMarkerCommandAttributes,
        StartChildWorkflowExecutionCommandAttributes, UpsertWorkflowSearchAttributesCommandAttributes,
        command::Attributes,
    },
    common::{Memo, Payload, SearchAttributes},
    enums::{CommandType, EventType as K, WorkflowTaskFailedCause as Cause},
};

use crate::kit::{Kit, last, make::*};

/// Limits that are easy to break.
fn narrow() -> Namespace {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.limits.id_length_max = 20;
    namespace.limits.blob_size_max = 200;
    namespace.limits.memo_size_max = 200;
    namespace.limits.search_attribute_total_size_max = 200;
    namespace.limits.pending_activities_max = 3;
    namespace
}

fn long() -> String {
    "x".repeat(21)
}

fn upsert(fields: &[(&str, Payload)]) -> Command {
    let indexed_fields = fields.iter().map(|(name, payload)| ((*name).to_owned(), payload.clone())).collect();
    let attributes = UpsertWorkflowSearchAttributesCommandAttributes {
        search_attributes: Some(SearchAttributes { indexed_fields }),
    };
    let attributes = Attributes::UpsertWorkflowSearchAttributesCommandAttributes(attributes);
    command(CommandType::UpsertWorkflowSearchAttributes, attributes)
}

fn modify(fields: &[(&str, Payload)]) -> Command {
    let fields = fields.iter().map(|(name, payload)| ((*name).to_owned(), payload.clone())).collect();
    let attributes = ModifyWorkflowPropertiesCommandAttributes { upserted_memo: Some(Memo { fields }) };
    let attributes = Attributes::ModifyWorkflowPropertiesCommandAttributes(attributes);
    command(CommandType::ModifyWorkflowProperties, attributes)
}

/// A search attribute of a type.
fn typed(kind: &str, json: &str) -> Payload {
    let metadata = [("encoding", "json/plain"), ("type", kind)];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), bytes::Bytes::copy_from_slice(value.as_bytes())));
    Payload { metadata: metadata.into(), data: json.as_bytes().to_vec().into(), ..Default::default() }
}

/// Commands that fail the workflow task, with the cause that the history shows.
fn failing() -> Vec<(&'static str, Vec<Command>, Cause)> {
    let empty = |kind: CommandType| Command { command_type: kind.into(), ..Default::default() };
    let child = StartChildWorkflowExecutionCommandAttributes::default();
    let nexus = Attributes::ScheduleNexusOperationCommandAttributes(Default::default());
    let child = Attributes::StartChildWorkflowExecutionCommandAttributes(child);
    let nothing = Attributes::FailWorkflowExecutionCommandAttributes(FailWorkflowExecutionCommandAttributes::default());
    let bad_policy = |adjust: fn(&mut perdure_proto::api::common::RetryPolicy)| {
        vec![schedule_with("a", |activity| adjust(activity.retry_policy.as_mut().unwrap()))]
    };
    let activity = Cause::BadScheduleActivityAttributes;
    vec![
        ("activity without id", vec![schedule("")], activity),
        ("activity without type", vec![schedule_with("a", |a| a.activity_type = None)], activity),
        ("activity with a long id", vec![schedule(&long())], activity),
        ("activity on a long queue", vec![schedule_with("a", |a| a.task_queue = queue(&long()))], activity),
        ("activity on a system queue", vec![schedule_with("a", |a| a.task_queue = queue("/_sys/q"))], activity),
        (
            "activity without timeouts",
            vec![schedule_with("a", |a| {
                a.schedule_to_close_timeout = None;
                a.start_to_close_timeout = None;
                a.schedule_to_start_timeout = secs(1);
            })],
            activity,
        ),
        ("negative timeout", vec![schedule_with("a", |a| a.heartbeat_timeout = secs(-1))], activity),
        (
            "negative priority",
            vec![schedule_with("a", |a| {
                a.priority = Some(perdure_proto::api::common::Priority { priority_key: -1, ..Default::default() });
            })],
            activity,
        ),
        ("coefficient below 1", bad_policy(|policy| policy.backoff_coefficient = 0.5), activity),
        ("negative attempts", bad_policy(|policy| policy.maximum_attempts = -1), activity),
        ("first wait over the longest", bad_policy(|policy| policy.initial_interval = secs(1_000)), activity),
        ("same activity id twice", vec![schedule("a"), schedule("a")], Cause::ScheduleActivityDuplicateId),
        ("too many activities", ["a", "b", "c", "d"].map(schedule).to_vec(), Cause::PendingActivitiesLimitExceeded),
        ("cancel of nothing", vec![cancel_activity(0)], Cause::BadRequestCancelActivityAttributes),
        ("cancel of what comes later", vec![cancel_activity(99)], Cause::BadRequestCancelActivityAttributes),
        ("cancel of another event", vec![cancel_activity(1)], Cause::BadRequestCancelActivityAttributes),
        ("timer without id", vec![start_timer("", 1)], Cause::BadStartTimerAttributes),
        ("timer with a long id", vec![start_timer(&long(), 1)], Cause::BadStartTimerAttributes),
        ("timer into the past", vec![start_timer("t", -1)], Cause::BadStartTimerAttributes),
        ("same timer id twice", vec![start_timer("t", 1), start_timer("t", 1)], Cause::StartTimerDuplicateId),
        ("cancel of no timer", vec![cancel_timer("")], Cause::BadCancelTimerAttributes),
        ("cancel of an unknown timer", vec![cancel_timer("t")], Cause::BadCancelTimerAttributes),
        ("marker without name", vec![marker("")], Cause::BadRecordMarkerAttributes),
        ("marker with a long name", vec![marker(&long())], Cause::BadRecordMarkerAttributes),
        (
            "failure without failure",
            vec![command(CommandType::FailWorkflowExecution, nothing)],
            Cause::BadFailWorkflowExecutionAttributes,
        ),
        ("no search attributes", vec![upsert(&[])], Cause::BadSearchAttributes),
        ("unknown search attribute", vec![upsert(&[("Nobody", typed("Int", "1"))])], Cause::BadSearchAttributes),
        ("no memo", vec![modify(&[])], Cause::BadModifyWorkflowPropertiesAttributes),
        (
            "long type",
            vec![continue_with(|next| {
                next.workflow_type = Some(perdure_proto::api::common::WorkflowType { name: long() });
            })],
            Cause::BadContinueAsNewAttributes,
        ),
        (
            "negative backoff",
            vec![continue_with(|next| next.backoff_start_interval = secs(-1))],
            Cause::BadContinueAsNewAttributes,
        ),
        (
            "broken cron",
            vec![continue_with(|next| next.cron_schedule = "never".to_owned())],
            Cause::BadContinueAsNewAttributes,
        ),
        (
            "child without id",
            vec![command(CommandType::StartChildWorkflowExecution, child)],
            Cause::BadStartChildExecutionAttributes,
        ),
        ("nexus operation", vec![command(CommandType::ScheduleNexusOperation, nexus)], Cause::FeatureDisabled),
        ("activity: nothing", vec![empty(CommandType::ScheduleActivityTask)], activity),
        (
            "cancel activity: nothing",
            vec![empty(CommandType::RequestCancelActivityTask)],
            Cause::BadRequestCancelActivityAttributes,
        ),
        ("timer: nothing", vec![empty(CommandType::StartTimer)], Cause::BadStartTimerAttributes),
        ("cancel timer: nothing", vec![empty(CommandType::CancelTimer)], Cause::BadCancelTimerAttributes),
        (
            "complete: nothing",
            vec![empty(CommandType::CompleteWorkflowExecution)],
            Cause::BadCompleteWorkflowExecutionAttributes,
        ),
        (
            "cancel: nothing",
            vec![empty(CommandType::CancelWorkflowExecution)],
            Cause::BadCancelWorkflowExecutionAttributes,
        ),
        (
            "continue: nothing",
            vec![empty(CommandType::ContinueAsNewWorkflowExecution)],
            Cause::BadContinueAsNewAttributes,
        ),
        ("marker: nothing", vec![empty(CommandType::RecordMarker)], Cause::BadRecordMarkerAttributes),
        (
            "attributes of another command",
            vec![Command { command_type: CommandType::StartTimer.into(), ..complete("x") }, marker("m")],
            Cause::BadStartTimerAttributes,
        ),
    ]
}

#[test]
fn what_fails_the_task() {
    for (name, commands, cause) in failing() {
        let mut kit = Kit::start_in(narrow(), |_| {});
        kit.start_task();
        kit.signal("waits").unwrap();
        kit.skip_news();
        // Commands before the one that fails leave nothing behind either.
        let closes = matches!(
            cause,
            Cause::BadFailWorkflowExecutionAttributes | Cause::BadContinueAsNewAttributes | Cause::BadSearchAttributes
        );
        if closes {
            kit = Kit::start_in(narrow(), |_| {});
            kit.start_task();
            kit.skip_news();
        }
        let mut all = vec![marker("before"), start_timer("before", 5)];
        all.extend(commands);
        let text = kit.refused(all);
        assert!(text == format!("{cause:?}") || text.starts_with(&format!("{cause:?}: ")), "{name}: {text}");
        let failed = last!(kit, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), cause, "{name}");
        assert_eq!(failed.failure.unwrap().message, text, "{name}");
        let mut expected = vec![K::WorkflowTaskFailed];
        if !closes {
            expected.extend([K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
        }
        assert_eq!(kit.news(), expected, "{name}");
        assert!(kit.state.timers.is_empty() && kit.state.activities.is_empty(), "{name}");
        kit.start_task();
        kit.complete(vec![]).unwrap();
    }
}

#[test]
fn a_second_attempt_that_fails_is_left_to_time_out() {
    for (name, commands, _) in failing() {
        let mut kit = Kit::start_in(narrow(), |_| {});
        kit.start_task();
        kit.refused(vec![start_timer("", 1)]);
        kit.start_task();
        kit.skip_news();
        let before = kit.state.clone();
        let error = kit.complete(commands).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{name}");
        assert_eq!(kit.state, before, "{name}");
        kit.pass(10 * SECOND);
        assert_eq!(kit.start_task().attempt, 3, "{name}");
    }
}

#[test]
fn what_ends_the_run() {
    let details = [("key".to_owned(), bulk(300).unwrap())].into();
    let marker = RecordMarkerCommandAttributes { marker_name: "m".to_owned(), details, ..Default::default() };
    let marker = command(CommandType::RecordMarker, Attributes::RecordMarkerCommandAttributes(marker));
    let result = CompleteWorkflowExecutionCommandAttributes { result: bulk(300) };
    let result = Attributes::CompleteWorkflowExecutionCommandAttributes(result);
    let mut failure = failure("kind");
    failure.message = "x".repeat(300);
    let memo = Payload { data: vec![b'x'; 300].into(), ..Default::default() };
    let memo_again = memo.clone();
    let cases = [
        (schedule_with("a", |activity| activity.input = bulk(300)), Cause::BadScheduleActivityAttributes),
        (marker, Cause::BadRecordMarkerAttributes),
        (command(CommandType::CompleteWorkflowExecution, result), Cause::BadScheduleActivityAttributes),
        (fail(failure), Cause::BadFailWorkflowExecutionAttributes),
        (continue_with(|next| next.input = bulk(300)), Cause::BadContinueAsNewAttributes),
        (
            continue_with(move |next| next.memo = Some(Memo { fields: [("k".to_owned(), memo.clone())].into() })),
            Cause::BadContinueAsNewAttributes,
        ),
        (modify(&[("key", memo_again)]), Cause::BadModifyWorkflowPropertiesAttributes),
    ];
    for (command, cause) in cases {
        let mut kit = Kit::start_in(narrow(), |_| {});
        kit.start_task();
        kit.skip_news();
        let text = kit.refused(vec![start_timer("before", 5), command.clone()]);
        assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionTerminated], "{text}");
        assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), cause, "{text}");
        let terminated = last!(kit, WorkflowExecutionTerminatedEventAttributes);
        assert_eq!((&terminated.reason, terminated.identity.as_str()), (&text, "history-service"));
        assert!(kit.state.timers.is_empty());

        // On a later attempt the answer is dropped before its size matters.
        let mut kit = Kit::start_in(narrow(), |_| {});
        kit.start_task();
        kit.refused(vec![start_timer("", 1)]);
        kit.start_task();
        assert_eq!(kit.complete(vec![command]).unwrap_err().kind, ErrorKind::InvalidArgument);
        assert!(kit.state.is_open());
    }
}

#[test]
fn waiting_events_come_before_the_end_by_a_limit() {
    let mut kit = Kit::start_in(narrow(), |_| {});
    kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    kit.refused(vec![schedule_with("a", |activity| activity.input = bulk(300))]);
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowExecutionTerminated]);
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let unknown = Command { command_type: 4711, ..Default::default() };
    for commands in [vec![unknown], vec![complete("x"), marker("after")], vec![complete("x"), complete("y")]] {
        let mut kit = Kit::new();
        kit.start_task();
        let before = kit.state.clone();
        assert_eq!(kit.complete(commands).unwrap_err().kind, ErrorKind::InvalidArgument);
        assert_eq!(kit.state, before, "the worker still has its task");
        kit.complete(vec![]).unwrap();
    }
}

#[test]
fn search_attributes_and_memo_change() {
    let mut namespace = narrow();
    let kind = perdure_proto::api::enums::IndexedValueType::Int;
    namespace.search_attributes.insert("Count".to_owned(), kind);
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.start_task();
    kit.skip_news();
    kit.complete_with(vec![upsert(&[("Count", typed("Int", "7"))]), modify(&[("key", payload("value"))])], |request| {
        request.force_create_new_workflow_task = true;
    })
    .unwrap();
    assert_eq!(kit.news()[1..3], [K::UpsertWorkflowSearchAttributes, K::WorkflowPropertiesModified]);
    assert!(kit.state.search_attributes.indexed_fields.contains_key("Count"));
    assert_eq!(kit.state.memo.fields["key"], payload("value"));
    let metadata = [("encoding".to_owned(), "binary/null".into())].into();
    let nothing = Payload { metadata, ..Payload::default() };
    kit.turn(vec![upsert(&[("Count", nothing.clone())]), modify(&[("key", nothing)])]);
    assert!(kit.state.search_attributes.indexed_fields.is_empty() && kit.state.memo.fields.is_empty());
}

#[test]
fn what_a_command_brings_along_goes_onto_its_event() {
    let user_metadata = perdure_proto::api::sdk::UserMetadata { summary: Some(payload("why")), details: None };
    let mut kit = Kit::new();
    let commands = [schedule("a"), start_timer("t", 1), marker("m")];
    kit.turn(commands.map(|command| Command { user_metadata: Some(user_metadata.clone()), ..command }).to_vec());
    for event in &kit.events[4..7] {
        assert_eq!(event.user_metadata.as_ref(), Some(&user_metadata));
    }
}
