//! Requests that start workflows.

use std::collections::BTreeMap;

use perdure_proto::{
    Duration,
    api::{
        common::{Callback, Link, Memo, Payload, Priority, RetryPolicy, SearchAttributes, WorkflowType, callback},
        enums::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
        workflow::OnConflictOptions,
        workflowservice as ws,
    },
};
use tonic::Code::{NotFound, Unimplemented};

use crate::rpc::{BLOB, Case, Rpc, case, invalid, long, payloads, queue, seconds};

pub(crate) fn namespace_cases() -> Vec<Case> {
    vec![
        invalid(start(|r| r.namespace.clear()), "Namespace is empty."),
        invalid(start(|r| r.namespace = long()), "Namespace length exceeds limit."),
        case(
            start(|r| r.namespace = "nowhere".into()),
            NotFound,
            "NamespaceNotFoundFailure",
            "Namespace nowhere is not found.",
        ),
    ]
}

pub(crate) fn start_cases() -> Vec<Case> {
    let nexus = |url: &str| Callback {
        variant: Some(callback::Variant::Nexus(callback::Nexus { url: url.into(), ..Default::default() })),
        ..Callback::default()
    };
    let retry = |change: fn(&mut RetryPolicy)| {
        let mut policy = RetryPolicy::default();
        change(&mut policy);
        start(|r| r.retry_policy = Some(policy))
    };
    vec![
        invalid(start(|r| r.workflow_id.clear()), "WorkflowId is not set on request."),
        invalid(start(|r| r.workflow_id = long()), "WorkflowId exceeds maximum allowed length (1001/1000)"),
        invalid(
            retry(|p| p.initial_interval = seconds(-1)),
            "invalid InitialInterval set on retry policy: negative duration",
        ),
        invalid(retry(|p| p.backoff_coefficient = 0.5), "BackoffCoefficient cannot be less than 1 on retry policy."),
        invalid(
            retry(|p| (p.initial_interval, p.maximum_interval) = (seconds(10), seconds(1))),
            "MaximumInterval cannot be less than InitialInterval on retry policy.",
        ),
        invalid(retry(|p| p.maximum_attempts = -1), "MaximumAttempts cannot be negative on retry policy."),
        invalid(
            retry(|p| p.non_retryable_error_types = vec!["TemporalTimeout:Nope".into()]),
            "Invalid timeout type value: Nope.",
        ),
        invalid(
            start(|r| (r.cron_schedule, r.workflow_start_delay) = ("* * * * *".into(), seconds(1))),
            "CronSchedule and WorkflowStartDelay may not be used together.",
        ),
        invalid(
            start(|r| r.workflow_start_delay = seconds(-1)),
            "An invalid WorkflowStartDelaySeconds is set on request. cause: negative duration",
        ),
        invalid(start(|r| r.cron_schedule = "every day".into()), "invalid CronSchedule."),
        invalid(
            start(|r| r.cron_schedule = "0 0 30 2 *".into()),
            "invalid CronSchedule, no time can be found to satisfy the schedule",
        ),
        invalid(start(|r| r.workflow_type = None), "WorkflowType is not set on request."),
        invalid(start(|r| r.workflow_type = Some(WorkflowType::default())), "WorkflowType is not set on request."),
        invalid(start(|r| r.workflow_type = Some(WorkflowType { name: long() })), "WorkflowType length exceeds limit."),
        invalid(start(|r| r.task_queue = None), "taskQueue is not set"),
        invalid(start(|r| r.task_queue = queue("")), "missing task queue name"),
        invalid(start(|r| r.task_queue = queue(&long())), "taskQueue length exceeds limit"),
        invalid(
            start(|r| r.task_queue = queue("/_sys/q/1")),
            "task queue name cannot start with reserved prefix /_sys/",
        ),
        invalid(
            start(|r| r.task_queue = queue("temporal-sys-per-ns-tq")),
            "cannot use internal per-namespace task queue:temporal-sys-per-ns-tq",
        ),
        invalid(
            start(|r| r.workflow_execution_timeout = seconds(-1)),
            "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause: negative duration",
        ),
        invalid(
            start(|r| r.workflow_run_timeout = seconds(-1)),
            "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
        ),
        invalid(
            start(|r| r.workflow_task_timeout = Some(Duration { seconds: 1, nanos: -1 })),
            "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: duration has seconds and nanos with different signs",
        ),
        invalid(start(|r| r.request_id = long()), "RequestId length exceeds limit."),
        invalid(
            start(|r| {
                r.workflow_id_reuse_policy = 4;
                r.workflow_id_conflict_policy = WorkflowIdConflictPolicy::UseExisting.into();
            }),
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with a WorkflowIDConflictPolicy",
        ),
        invalid(
            start(|r| {
                r.workflow_id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate.into();
                r.workflow_id_conflict_policy = WorkflowIdConflictPolicy::TerminateExisting.into();
            }),
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
        ),
        invalid(
            start(|r| {
                r.on_conflict_options =
                    Some(OnConflictOptions { attach_completion_callbacks: true, ..Default::default() })
            }),
            "attaching request ID is required for attaching completion callbacks",
        ),
        invalid(
            start(|r| r.search_attributes = search_attribute("Nope", "1")),
            "Namespace default has no mapping defined for search attribute Nope",
        ),
        invalid(
            start(|r| r.search_attributes = search_attribute("Amount", "\"x\"")),
            "invalid value for search attribute Amount of type Int: x",
        ),
        invalid(
            start(|r| r.search_attributes = search_attribute("StartTime", "\"2024-01-01T00:00:00Z\"")),
            "StartTime attribute can't be set in SearchAttributes",
        ),
        invalid(
            start(|r| r.search_attributes = search_attribute("BuildIds", "\"x\"")),
            "invalid value for search attribute BuildIds of type KeywordList: x",
        ),
        invalid(
            start(|r| r.priority = Some(Priority { priority_key: -1, ..Default::default() })),
            "priority key can't be negative",
        ),
        invalid(
            start(|r| r.priority = Some(Priority { fairness_key: "x".repeat(65), ..Default::default() })),
            "fairness key length exceeds limit",
        ),
        invalid(
            start(|r| r.priority = Some(Priority { fairness_weight: -1.0, ..Default::default() })),
            "must be greater than zero",
        ),
        invalid(
            start(|r| r.completion_callbacks = vec![nexus("http://localhost/x")]),
            "invalid url: url does not match any configured callback address: http://localhost/x",
        ),
        invalid(
            start(|r| r.completion_callbacks = vec![nexus("ftp://localhost/x")]),
            "invalid url: unknown scheme: ftp://localhost/x",
        ),
        invalid(start(|r| r.completion_callbacks = vec![nexus("http:///x")]), "invalid url: missing host"),
        invalid(start(|r| r.links = vec![Link::default()]), "unsupported link variant"),
        case(
            start(|r| r.time_skipping_config = Some(Default::default())),
            Unimplemented,
            "",
            "The Time-Skipping feature is not enabled for namespace.",
        ),
        invalid(start(|r| r.input = payloads(BLOB)), "Blob data size exceeds limit."),
        invalid(
            start(|r| {
                let payload = Payload { data: vec![0; BLOB].into(), ..Payload::default() };
                r.memo = Some(Memo { fields: BTreeMap::from([("k".into(), payload)]) });
            }),
            "Memo size exceeds limit.",
        ),
    ]
}

pub(crate) fn signal_with_start_cases() -> Vec<Case> {
    vec![
        invalid(signal_with_start(|r| r.cron_schedule = "x".into()), "invalid CronSchedule."),
        invalid(signal_with_start(|r| r.workflow_id.clear()), "WorkflowId is not set on request."),
        invalid(signal_with_start(|r| r.workflow_id = long()), "WorkflowId exceeds maximum allowed length (1001/1000)"),
        invalid(signal_with_start(|r| r.signal_name.clear()), "signal not set"),
        invalid(
            signal_with_start(|r| r.signal_name = long()),
            "signal name exceeds maximum allowed length (1001/1000)",
        ),
        invalid(signal_with_start(|r| r.workflow_type = None), "workflow type not set"),
        invalid(
            signal_with_start(|r| r.workflow_type = Some(WorkflowType { name: long() })),
            "workflow type name exceeds maximum allowed length (1001/1000)",
        ),
        invalid(signal_with_start(|r| r.task_queue = None), "taskQueue is not set"),
        invalid(signal_with_start(|r| r.request_id = long()), "Request ID exceeds maximum allowed length (1001/1000)"),
        invalid(
            signal_with_start(|r| r.workflow_run_timeout = seconds(-1)),
            "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
        ),
        invalid(
            signal_with_start(|r| r.workflow_id_conflict_policy = WorkflowIdConflictPolicy::Fail.into()),
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this operation.",
        ),
        invalid(
            signal_with_start(|r| r.search_attributes = search_attribute("Nope", "1")),
            "Namespace default has no mapping defined for search attribute Nope",
        ),
        invalid(signal_with_start(|r| r.input = payloads(BLOB)), "Blob data size exceeds limit."),
        invalid(signal_with_start(|r| r.signal_input = payloads(BLOB)), "Blob data size exceeds limit."),
    ]
}

fn start(change: impl FnOnce(&mut ws::StartWorkflowExecutionRequest)) -> Rpc {
    let mut request = ws::StartWorkflowExecutionRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        workflow_type: Some(WorkflowType { name: "T".into() }),
        task_queue: queue("q"),
        ..Default::default()
    };
    change(&mut request);
    Rpc::Start(Box::new(request))
}

fn signal_with_start(change: impl FnOnce(&mut ws::SignalWithStartWorkflowExecutionRequest)) -> Rpc {
    let mut request = ws::SignalWithStartWorkflowExecutionRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        signal_name: "s".into(),
        workflow_type: Some(WorkflowType { name: "T".into() }),
        task_queue: queue("q"),
        ..Default::default()
    };
    change(&mut request);
    Rpc::SignalWithStart(Box::new(request))
}

fn search_attribute(name: &str, json: &str) -> Option<SearchAttributes> {
    let payload = Payload {
        metadata: BTreeMap::from([("encoding".into(), "json/plain".into())]),
        data: json.to_owned().into(),
        ..Payload::default()
    };
    Some(SearchAttributes { indexed_fields: BTreeMap::from([(name.to_owned(), payload)]) })
}
