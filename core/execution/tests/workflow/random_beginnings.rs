//! How the runs of [`crate::random_runs`] begin.

use perdure_kernel::{Namespace, NamespaceId};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{common::RetryPolicy, workflowservice::StartWorkflowExecutionRequest},
};
use proptest::prelude::*;

use crate::{
    kit::{BEGIN, Kit, family::*, make::*},
    random_acts::some_callback,
    random_operations::any_span,
};

/// How a run begins.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    timeouts: [Option<ProtoDuration>; 3],
    delay: Option<ProtoDuration>,
    cron: &'static str,
    policy: Option<RetryPolicy>,
    eager: bool,
    signal: bool,
    /// A child; it may begin at once, or waits for its parent.
    child: Option<bool>,
    callbacks: usize,
}

pub(crate) fn any_beginning() -> impl Strategy<Value = Beginning> {
    let spans = || prop_oneof![10 => Just(None), 1 => any_span()];
    let cron = prop::sample::select(vec!["", "", "", "* * * * *", "@every 7s"]);
    // The frontend lets no invalid policy through.
    let policy = prop_oneof![Just(None), (0..4i32).prop_map(retries)];
    let child = prop_oneof![3 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    ([spans(), spans(), spans()], spans(), cron, policy, any::<bool>(), any::<bool>(), (child, 0..3usize)).prop_map(
        |(timeouts, delay, cron, policy, eager, signal, (child, callbacks))| Beginning {
            timeouts,
            delay,
            cron,
            policy,
            eager,
            signal,
            child,
            callbacks,
        },
    )
}

/// A run in a namespace whose limits are soon met.
pub(crate) fn begin(beginning: &Beginning) -> Kit {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.limits.id_length_max = 10;
    namespace.limits.blob_size_max = 280;
    namespace.limits.memo_size_max = 400;
    namespace.limits.callbacks_per_execution_max = 5;
    namespace.limits.pending_activities_max = 3;
    namespace.limits.pending_children_max = 3;
    namespace.limits.pending_external_signals_max = 2;
    namespace.limits.pending_external_cancels_max = 2;
    namespace.limits.buffered_events_max = 4;
    namespace.limits.signals_per_execution_max = 12;
    namespace.limits.history_count_suggest = 20;
    namespace.limits.updates_in_flight_max = 3;
    namespace.limits.updates_total_max = 8;
    namespace.limits.updates_total_suggest = 6;
    namespace.limits.speculative_task_events_max = 2;
    for name in ["a", "b"] {
        let kind = perdure_proto::api::enums::IndexedValueType::Keyword;
        namespace.search_attributes.insert(name.to_owned(), kind);
    }
    let first = beginning.signal.then(|| signal("first", "0"));
    let adjust = |request: &mut StartWorkflowExecutionRequest| {
        [request.workflow_execution_timeout, request.workflow_run_timeout, request.workflow_task_timeout] =
            beginning.timeouts;
        request.workflow_start_delay = beginning.delay.filter(|_| beginning.cron.is_empty());
        request.cron_schedule = beginning.cron.to_owned();
        request.retry_policy.clone_from(&beginning.policy);
        request.request_eager_execution = beginning.eager;
        request.completion_callbacks = vec![some_callback(); beginning.callbacks];
    };
    Kit::start_run(namespace, BEGIN, first, adjust, |new| {
        let Some(held) = beginning.child else { return };
        new.held = held;
        new.start.parent_workflow_namespace_id = "namespace-id".to_owned();
        new.start.parent_workflow_execution = Some(run("parent", "parent-run"));
        new.start.parent_initiated_event_id = 5;
    })
}
