//! What malformed requests are told: status code, detail and text, through real gRPC.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, time::Duration as StdDuration};

use perdure_proto::{
    Duration,
    api::{
        common::{
            Callback, Link, Memo, Payload, Payloads, Priority, RetryPolicy, SearchAttributes, WorkflowExecution,
            WorkflowType, callback,
        },
        deployment::WorkerDeploymentOptions,
        enums::{WorkerVersioningMode, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
        query::WorkflowQuery,
        taskqueue::TaskQueue,
        workflow::OnConflictOptions,
        workflowservice as ws,
    },
    temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient,
};
use support::{RUN_ID, TestServer, detail};
use tonic::{
    Code::{self, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unimplemented},
    Request, Status,
    transport::{Channel, Endpoint},
};

/// A request of any kind.
enum Rpc {
    Start(Box<ws::StartWorkflowExecutionRequest>),
    SignalWithStart(Box<ws::SignalWithStartWorkflowExecutionRequest>),
    Signal(Box<ws::SignalWorkflowExecutionRequest>),
    Cancel(Box<ws::RequestCancelWorkflowExecutionRequest>),
    Terminate(Box<ws::TerminateWorkflowExecutionRequest>),
    Describe(ws::DescribeWorkflowExecutionRequest),
    History(ws::GetWorkflowExecutionHistoryRequest),
    HistoryReverse(ws::GetWorkflowExecutionHistoryReverseRequest),
    Query(Box<ws::QueryWorkflowRequest>),
    ResetSticky(ws::ResetStickyTaskQueueRequest),
    PollWorkflow(Option<u64>, Box<ws::PollWorkflowTaskQueueRequest>),
    PollActivity(Option<u64>, Box<ws::PollActivityTaskQueueRequest>),
    DescribeQueue(Box<ws::DescribeTaskQueueRequest>),
    CompletedById(Box<ws::RespondActivityTaskCompletedByIdRequest>),
    FailedById(Box<ws::RespondActivityTaskFailedByIdRequest>),
    CanceledById(Box<ws::RespondActivityTaskCanceledByIdRequest>),
    HeartbeatById(Box<ws::RecordActivityTaskHeartbeatByIdRequest>),
}

struct Case {
    rpc: Rpc,
    code: Code,
    detail: &'static str,
    text: String,
}

fn case(rpc: Rpc, code: Code, detail: &'static str, text: impl Into<String>) -> Case {
    Case { rpc, code, detail, text: text.into() }
}

async fn refusal(mut client: WorkflowServiceClient<Channel>, rpc: Rpc) -> Option<Status> {
    fn timed<Q>(seconds: Option<u64>, request: Q) -> Request<Q> {
        let mut request = Request::new(request);
        if let Some(seconds) = seconds {
            request.set_timeout(StdDuration::from_secs(seconds));
        }
        request
    }
    match rpc {
        Rpc::Start(request) => client.start_workflow_execution(*request).await.err(),
        Rpc::SignalWithStart(request) => client.signal_with_start_workflow_execution(*request).await.err(),
        Rpc::Signal(request) => client.signal_workflow_execution(*request).await.err(),
        Rpc::Cancel(request) => client.request_cancel_workflow_execution(*request).await.err(),
        Rpc::Terminate(request) => client.terminate_workflow_execution(*request).await.err(),
        Rpc::Describe(request) => client.describe_workflow_execution(request).await.err(),
        Rpc::History(request) => client.get_workflow_execution_history(request).await.err(),
        Rpc::HistoryReverse(request) => client.get_workflow_execution_history_reverse(request).await.err(),
        Rpc::Query(request) => client.query_workflow(*request).await.err(),
        Rpc::ResetSticky(request) => client.reset_sticky_task_queue(request).await.err(),
        Rpc::PollWorkflow(seconds, request) => client.poll_workflow_task_queue(timed(seconds, *request)).await.err(),
        Rpc::PollActivity(seconds, request) => client.poll_activity_task_queue(timed(seconds, *request)).await.err(),
        Rpc::DescribeQueue(request) => client.describe_task_queue(*request).await.err(),
        Rpc::CompletedById(request) => client.respond_activity_task_completed_by_id(*request).await.err(),
        Rpc::FailedById(request) => client.respond_activity_task_failed_by_id(*request).await.err(),
        Rpc::CanceledById(request) => client.respond_activity_task_canceled_by_id(*request).await.err(),
        Rpc::HeartbeatById(request) => client.record_activity_task_heartbeat_by_id(*request).await.err(),
    }
}

fn long() -> String {
    "x".repeat(1001)
}

fn queue(name: &str) -> Option<TaskQueue> {
    Some(TaskQueue { name: name.into(), ..TaskQueue::default() })
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn payloads(size: usize) -> Option<Payloads> {
    Some(Payloads { payloads: vec![Payload { data: vec![0; size].into(), ..Payload::default() }] })
}

const BLOB: usize = 2 * 1024 * 1024;

fn search_attribute(name: &str, json: &str) -> Option<SearchAttributes> {
    let payload = Payload {
        metadata: BTreeMap::from([("encoding".into(), "json/plain".into())]),
        data: json.to_owned().into(),
        ..Payload::default()
    };
    Some(SearchAttributes { indexed_fields: BTreeMap::from([(name.to_owned(), payload)]) })
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

fn execution(workflow_id: &str, run_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: workflow_id.into(), run_id: run_id.into() })
}

/// Every RPC on an execution, on this one.
fn on_execution(execution: &Option<WorkflowExecution>) -> Vec<Rpc> {
    let (namespace, execution) = ("default".to_owned(), execution.clone());
    vec![
        Rpc::Signal(Box::new(ws::SignalWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            signal_name: "s".into(),
            ..Default::default()
        })),
        Rpc::Cancel(Box::new(ws::RequestCancelWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            ..Default::default()
        })),
        Rpc::Terminate(Box::new(ws::TerminateWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            ..Default::default()
        })),
        Rpc::Describe(ws::DescribeWorkflowExecutionRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
        }),
        Rpc::History(ws::GetWorkflowExecutionHistoryRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            ..Default::default()
        }),
        Rpc::HistoryReverse(ws::GetWorkflowExecutionHistoryReverseRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            ..Default::default()
        }),
        Rpc::Query(Box::new(ws::QueryWorkflowRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            query: Some(WorkflowQuery { query_type: "q".into(), ..Default::default() }),
            ..Default::default()
        })),
        Rpc::ResetSticky(ws::ResetStickyTaskQueueRequest { namespace, execution }),
    ]
}

fn invalid(rpc: Rpc, text: impl Into<String>) -> Case {
    case(rpc, InvalidArgument, "", text)
}

fn namespace_cases() -> Vec<Case> {
    vec![
        invalid(start(|r| r.namespace.clear()), "Namespace not set on request."),
        invalid(start(|r| r.namespace = long()), "Namespace length exceeds limit."),
        case(
            start(|r| r.namespace = "nowhere".into()),
            NotFound,
            "NamespaceNotFoundFailure",
            "Namespace nowhere is not found.",
        ),
    ]
}

fn start_cases() -> Vec<Case> {
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

fn signal_with_start_cases() -> Vec<Case> {
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

fn execution_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (execution, text) in [
        (None, "Execution is not set on request."),
        (execution("", ""), "WorkflowId is not set on request."),
        (execution("w", "x"), "Invalid RunId."),
    ] {
        cases.extend(on_execution(&execution).into_iter().map(|rpc| invalid(rpc, text)));
    }
    let signal = |change: fn(&mut ws::SignalWorkflowExecutionRequest)| {
        let mut request = ws::SignalWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", RUN_ID),
            signal_name: "s".into(),
            ..Default::default()
        };
        change(&mut request);
        Rpc::Signal(Box::new(request))
    };
    cases.push(invalid(signal(|r| r.signal_name.clear()), "SignalName is not set on request."));
    cases.push(invalid(signal(|r| r.signal_name = long()), "SignalName length exceeds limit."));
    cases.push(invalid(signal(|r| r.request_id = long()), "RequestId length exceeds limit."));
    cases.push(invalid(signal(|r| r.input = payloads(BLOB)), "Blob data size exceeds limit."));
    let links = || vec![Link::default(); 11];
    let too_many = "cannot attach more than 10 links per request, got 11";
    cases.push(invalid(
        Rpc::Signal(Box::new(ws::SignalWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", ""),
            signal_name: "s".into(),
            links: links(),
            ..Default::default()
        })),
        too_many,
    ));
    cases.push(invalid(
        Rpc::Terminate(Box::new(ws::TerminateWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", ""),
            links: links(),
            ..Default::default()
        })),
        too_many,
    ));
    let query = |query| {
        Rpc::Query(Box::new(ws::QueryWorkflowRequest {
            namespace: "default".into(),
            execution: execution("w", ""),
            query,
            ..Default::default()
        }))
    };
    cases.push(invalid(query(None), "WorkflowQuery is not set on request."));
    cases.push(invalid(query(Some(WorkflowQuery::default())), "QueryType is not set on request."));
    cases.push(invalid(
        query(Some(WorkflowQuery { query_type: "q".into(), query_args: payloads(BLOB), ..Default::default() })),
        "Blob data size exceeds limit.",
    ));
    cases
}

fn poll_cases() -> Vec<Case> {
    let workflow = |timeout, change: fn(&mut ws::PollWorkflowTaskQueueRequest)| {
        let mut request = ws::PollWorkflowTaskQueueRequest {
            namespace: "default".into(),
            task_queue: queue("q"),
            ..Default::default()
        };
        change(&mut request);
        Rpc::PollWorkflow(timeout, Box::new(request))
    };
    let activity = |timeout, change: fn(&mut ws::PollActivityTaskQueueRequest)| {
        let mut request = ws::PollActivityTaskQueueRequest {
            namespace: "default".into(),
            task_queue: queue("q"),
            ..Default::default()
        };
        change(&mut request);
        Rpc::PollActivity(timeout, Box::new(request))
    };
    let versioned = || {
        Some(WorkerDeploymentOptions {
            deployment_name: "d".into(),
            worker_versioning_mode: WorkerVersioningMode::Versioned.into(),
            ..Default::default()
        })
    };
    #[expect(deprecated, reason = "older workers still send it")]
    let old_versioning = workflow(Some(60), |r| {
        let capabilities = perdure_proto::api::common::WorkerVersionCapabilities {
            build_id: "b".into(),
            use_versioning: true,
            ..Default::default()
        };
        r.worker_version_capabilities = Some(capabilities);
    });
    let mut with_deployment =
        ws::PollActivityTaskQueueRequest { namespace: "default".into(), task_queue: queue("q"), ..Default::default() };
    with_deployment.deployment_options = versioned();
    vec![
        invalid(workflow(None, |_| ()), "Context timeout is not set."),
        invalid(activity(None, |_| ()), "Context timeout is not set."),
        case(workflow(Some(1), |_| ()), FailedPrecondition, "", "Context timeout is too short."),
        case(activity(Some(1), |_| ()), FailedPrecondition, "", "Context timeout is too short."),
        invalid(workflow(Some(60), |r| r.identity = long()), "Identity length exceeds limit."),
        invalid(activity(Some(60), |r| r.identity = long()), "Identity length exceeds limit."),
        invalid(workflow(Some(60), |r| r.task_queue = None), "taskQueue is not set"),
        invalid(activity(Some(60), |r| r.task_queue = queue("")), "missing task queue name"),
        invalid(
            workflow(Some(60), |r| r.task_queue = queue("/_sys/q/1")),
            "task queue name cannot start with reserved prefix /_sys/",
        ),
        case(
            old_versioning,
            PermissionDenied,
            "PermissionDeniedFailure",
            "Worker versioning in workflow progress APIs is disabled on this namespace.",
        ),
        invalid(
            Rpc::PollActivity(Some(60), Box::new(with_deployment)),
            "Deployment name and build id must be set together.",
        ),
        invalid(
            Rpc::DescribeQueue(Box::new(ws::DescribeTaskQueueRequest {
                namespace: "default".into(),
                ..Default::default()
            })),
            "taskQueue is not set",
        ),
    ]
}

fn by_id_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (workflow_id, activity_id, identity, text) in [
        ("w", "", String::new(), "ActivityId is not set on request."),
        ("w", "a", long(), "Identity length exceeds limit."),
    ] {
        let (namespace, workflow_id, activity_id) =
            ("default".to_owned(), workflow_id.to_owned(), activity_id.to_owned());
        let completed = ws::RespondActivityTaskCompletedByIdRequest {
            namespace: namespace.clone(),
            workflow_id: workflow_id.clone(),
            activity_id: activity_id.clone(),
            identity: identity.clone(),
            ..Default::default()
        };
        let failed = ws::RespondActivityTaskFailedByIdRequest {
            namespace: namespace.clone(),
            workflow_id: workflow_id.clone(),
            activity_id: activity_id.clone(),
            identity: identity.clone(),
            ..Default::default()
        };
        let canceled = ws::RespondActivityTaskCanceledByIdRequest {
            namespace,
            workflow_id,
            activity_id,
            identity,
            ..Default::default()
        };
        cases.push(invalid(Rpc::CompletedById(Box::new(completed)), text));
        cases.push(invalid(Rpc::FailedById(Box::new(failed)), text));
        cases.push(invalid(Rpc::CanceledById(Box::new(canceled)), text));
    }
    let heartbeat = ws::RecordActivityTaskHeartbeatByIdRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        ..Default::default()
    };
    cases.push(invalid(Rpc::HeartbeatById(Box::new(heartbeat)), "ActivityId is not set on request."));
    cases
}

fn cases() -> Vec<Case> {
    [namespace_cases(), start_cases(), signal_with_start_cases(), execution_cases(), poll_cases(), by_id_cases()]
        .into_iter()
        .flatten()
        .collect()
}

async fn differences(client: WorkflowServiceClient<Channel>) -> Vec<String> {
    let mut differences = Vec::new();
    for (index, case) in cases().into_iter().enumerate() {
        let expected = (case.code, case.detail.to_owned(), case.text.clone());
        let actual = refusal(client.clone(), case.rpc).await.map(|s| (s.code(), detail(&s), s.message().to_owned()));
        if actual.as_ref() != Some(&expected) {
            differences.push(format!("{index}: expected {expected:?}, got {actual:?}"));
        }
    }
    differences
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let server = TestServer::start().await;
    let differences = differences(server.workflows()).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(server.log.lock().unwrap().is_empty(), "a malformed request went through: {}", server.last());
}

/// Holds the table above against Temporal itself: start its development server with
/// `--search-attribute Amount=Int` and give its address in `TEMPORAL_ADDRESS`.
#[tokio::test]
#[ignore = "needs a Temporal server"]
async fn temporal_refuses_them_in_the_same_words() {
    let address = std::env::var("TEMPORAL_ADDRESS").unwrap();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let differences = differences(WorkflowServiceClient::new(channel)).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
