//! Random things that people and rules do to activities.

use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        activity::ActivityOptions,
        common::RetryPolicy,
        workflowservice::{reset_activity_request, unpause_activity_request},
    },
};
use proptest::prelude::*;

use crate::{
    kit::{Kit, make::*, operator::*},
    workflow_rules::rule,
};

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Pause { request: u8 },
    Unpause { attempts: bool, heartbeat: bool, jitter: Option<ProtoDuration>, all: bool },
    Reset { heartbeat: bool, keep: bool, restore: bool, jitter: Option<ProtoDuration>, all: bool },
    Update { options: Box<ActivityOptions>, paths: Vec<&'static str> },
    Restore,
    Rules { on: bool },
}

pub(crate) fn any_span() -> impl Strategy<Value = Option<ProtoDuration>> {
    let usual = prop::sample::select(vec![secs(0), secs(1), secs(3), secs(10), secs(60), secs(3600)]);
    let odd = prop::sample::select(vec![
        None,
        secs(-1),
        secs(i64::MAX),
        secs(i64::MIN),
        Some(ProtoDuration { seconds: 0, nanos: 1 }),
        Some(ProtoDuration { seconds: 1, nanos: -1 }),
        Some(ProtoDuration { seconds: 0, nanos: i32::MAX }),
    ]);
    prop_oneof![40 => usual, 1 => odd]
}

pub(crate) fn any_policy() -> impl Strategy<Value = Option<RetryPolicy>> {
    let usual = prop::sample::select(vec![0.0, 1.0, 2.0]);
    let odd = prop::sample::select(vec![1e300, f64::INFINITY, -1.0]);
    let attempts = prop_oneof![20 => 0..4i32, 1 => Just(-1)];
    let policy = (any_span(), prop_oneof![20 => usual, 1 => odd], any_span(), attempts);
    let policy =
        policy.prop_map(|(initial_interval, backoff_coefficient, maximum_interval, maximum_attempts)| RetryPolicy {
            initial_interval,
            backoff_coefficient,
            maximum_interval,
            maximum_attempts,
            non_retryable_error_types: vec!["Fatal".to_owned()],
        });
    prop_oneof![1 => Just(None), 3 => (0..4i32).prop_map(retries), 1 => policy.prop_map(Some)]
}

pub(crate) fn any_operation() -> impl Strategy<Value = Operation> {
    let options = (any_span(), any_span(), any_span(), any_policy(), prop::sample::select(vec!["q", "queue", ""]));
    let options = options.prop_map(|(to_close, start_to_close, heartbeat, retry_policy, name)| ActivityOptions {
        task_queue: queue(name),
        schedule_to_close_timeout: to_close,
        start_to_close_timeout: start_to_close,
        heartbeat_timeout: heartbeat,
        retry_policy,
        ..Default::default()
    });
    let paths = vec![
        "task_queue.name",
        "schedule_to_close_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
        "retry_policy",
        "retry_policy.initial_interval",
        "priority",
    ];
    let flags = || [any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()];
    prop_oneof![
        6 => (0..2u8).prop_map(|request| Operation::Pause { request }),
        6 => (flags(), any_span()).prop_map(|([attempts, heartbeat, all, _], jitter)| {
            Operation::Unpause { attempts, heartbeat, jitter, all }
        }),
        4 => (flags(), any_span()).prop_map(|([heartbeat, keep, restore, all], jitter)| {
            Operation::Reset { heartbeat, keep, restore, jitter, all }
        }),
        4 => (options, prop::sample::subsequence(paths, 0..4)).prop_map(|(options, paths)| {
            Operation::Update { options: Box::new(options), paths }
        }),
        2 => Just(Operation::Restore),
        1 => prop::bool::weighted(0.3).prop_map(|on| Operation::Rules { on }),
    ]
}

/// Does it to the activity `id`, or to all. Refusals are as good as anything.
pub(crate) fn operate(kit: &mut Kit, id: &str, operation: &Operation) {
    match operation {
        Operation::Pause { request } => {
            let mut pause = activity_pause(id);
            pause.request_id = request.to_string();
            drop(kit.pause_activity(&pause));
        }
        Operation::Unpause { attempts, heartbeat, jitter, all } => {
            let mut request = activity_unpause(id);
            if *all {
                request.activity = Some(unpause_activity_request::Activity::UnpauseAll(true));
            }
            (request.reset_attempts, request.reset_heartbeat, request.jitter) = (*attempts, *heartbeat, *jitter);
            drop(kit.unpause_activity(&request));
        }
        Operation::Reset { heartbeat, keep, restore, jitter, all } => {
            let mut request = activity_reset(id);
            if *all {
                request.activity = Some(reset_activity_request::Activity::MatchAll(true));
            }
            (request.reset_heartbeat, request.keep_paused, request.jitter) = (*heartbeat, *keep, *jitter);
            request.restore_original_options = *restore;
            drop(kit.reset_activity(&request));
        }
        Operation::Update { options, paths } => {
            drop(kit.update_activity(&activity_update(id, (**options).clone(), paths)));
        }
        Operation::Restore => {
            if kit.state.is_open() {
                drop(kit.update_activity(&activity_restore(id)));
            }
        }
        Operation::Rules { on } => {
            kit.namespace.workflow_rules.clear();
            if *on {
                let rule = rule("ActivityId starts_with 'a' OR Attempts = 2");
                kit.namespace.workflow_rules.insert("rule".to_owned(), rule);
            }
        }
    }
}
