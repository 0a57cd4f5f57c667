//! What served RPCs do with well-formed requests: defaults, conversions, tokens; and what the others say.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration as StdDuration;

use perdure_frontend::{OPERATOR_SERVED, OPERATOR_UNSERVED, SERVER_VERSION, WORKFLOW_SERVED, WORKFLOW_UNSERVED};
use perdure_proto::{
    api::{
        common::{Payload, Payloads, WorkflowExecution, WorkflowType},
        enums::{NamespaceState, TaskQueueKind},
        errordetails::NamespaceInvalidStateFailure,
        failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
        operatorservice as os,
        taskqueue::TaskQueue,
        workflowservice as ws,
    },
    google::rpc,
    tokens,
};
use prost::{Message, bytes::Bytes};
use support::{DEFAULT_ID, OTHER_ID, RUN_ID, TestServer, detail};
use tonic::{Code, Request};

const BLOB: usize = 2 * 1024 * 1024;

fn large() -> Option<Payloads> {
    Some(Payloads { payloads: vec![Payload { data: vec![0; BLOB].into(), ..Payload::default() }] })
}

fn activity_token(namespace_id: &str) -> Bytes {
    tokens::ActivityTask {
        namespace_id: namespace_id.into(),
        workflow_id: "w".into(),
        run_id: RUN_ID.into(),
        scheduled_event_id: 5,
        attempt: 1,
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

fn workflow_token(namespace_id: &str) -> Bytes {
    tokens::WorkflowTask {
        namespace_id: namespace_id.into(),
        workflow_id: "w".into(),
        run_id: RUN_ID.into(),
        scheduled_event_id: 2,
        started_event_id: 3,
        attempt: 1,
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

fn start_request() -> ws::StartWorkflowExecutionRequest {
    ws::StartWorkflowExecutionRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        workflow_type: Some(WorkflowType { name: "T".into() }),
        task_queue: Some(TaskQueue { name: "q".into(), ..TaskQueue::default() }),
        ..Default::default()
    }
}

#[tokio::test]
async fn starts_get_their_defaults() {
    let server = TestServer::start().await;
    server.workflows().start_workflow_execution(start_request()).await.unwrap();
    let asked = server.last();
    assert!(asked.starts_with("StartWorkflow "), "{asked}");
    assert!(!asked.contains("request_id: \"\""), "{asked}");
    for part in ["workflow_id_reuse_policy: AllowDuplicate", "workflow_id_conflict_policy: Fail", "kind: Normal"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }

    let mut old_policy = start_request();
    old_policy.workflow_id_reuse_policy = 4;
    old_policy.retry_policy = Some(Default::default());
    server.workflows().start_workflow_execution(old_policy).await.unwrap();
    let asked = server.last();
    assert!(asked.contains("workflow_id_conflict_policy: TerminateExisting"), "{asked}");
    assert!(asked.contains("backoff_coefficient: 2.0"), "{asked}");

    let request = ws::SignalWithStartWorkflowExecutionRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        signal_name: "s".into(),
        workflow_type: Some(WorkflowType { name: "T".into() }),
        task_queue: Some(TaskQueue { name: "q".into(), ..TaskQueue::default() }),
        ..Default::default()
    };
    server.workflows().signal_with_start_workflow_execution(request).await.unwrap();
    assert!(server.last().contains("workflow_id_conflict_policy: UseExisting"), "{}", server.last());
}

#[tokio::test]
async fn the_state_of_a_namespace_decides() {
    let server = TestServer::start().await;
    let start_in =
        |namespace: &str| ws::StartWorkflowExecutionRequest { namespace: namespace.into(), ..start_request() };
    let status = server.workflows().start_workflow_execution(start_in("old")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "Namespace has invalid state: Deprecated. Must be Registered.");
    let full = rpc::Status::decode(status.details()).unwrap();
    let failure = NamespaceInvalidStateFailure::decode(full.details[0].value.as_slice()).unwrap();
    assert_eq!((failure.namespace.as_str(), failure.state()), ("old", NamespaceState::Deprecated));
    assert_eq!(failure.allowed_states().collect::<Vec<_>>(), [NamespaceState::Registered]);

    let describe = |namespace: &str| ws::DescribeWorkflowExecutionRequest {
        namespace: namespace.into(),
        execution: Some(WorkflowExecution { workflow_id: "w".into(), run_id: String::new() }),
    };
    server.workflows().describe_workflow_execution(describe("old")).await.unwrap();
    let status = server.workflows().describe_workflow_execution(describe("gone")).await.unwrap_err();
    assert_eq!(status.message(), "Namespace has invalid state: Deleted. Must be Registered or Deprecated.");

    let register = ws::RegisterNamespaceRequest { namespace: "default".into(), ..Default::default() };
    let status = server.workflows().register_namespace(register).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).as_str()), (Code::AlreadyExists, "NamespaceAlreadyExistsFailure"));
    let status = server.workflows().describe_namespace(ws::DescribeNamespaceRequest::default()).await.unwrap_err();
    assert_eq!(status.message(), "Namespace not set on request.");
    let by_id = ws::DescribeNamespaceRequest { id: DEFAULT_ID.into(), ..Default::default() };
    server.workflows().describe_namespace(by_id).await.unwrap();
}

#[tokio::test]
async fn task_tokens_place_a_request() {
    let server = TestServer::start().await;
    let completed = |namespace: &str, task_token: Bytes| ws::RespondActivityTaskCompletedRequest {
        namespace: namespace.into(),
        task_token,
        ..Default::default()
    };
    let unknown = activity_token("id-of-nothing");
    let no_workflow = tokens::ActivityTask { namespace_id: DEFAULT_ID.into(), ..Default::default() };
    let no_namespace = tokens::ActivityTask { workflow_id: "w".into(), ..Default::default() };
    for (namespace, token, code, text) in [
        ("default", Bytes::new(), Code::InvalidArgument, "Task token not set on request."),
        ("default", Bytes::from_static(b"\xff\xff"), Code::InvalidArgument, "Error deserializing task token."),
        (
            "other",
            activity_token(DEFAULT_ID),
            Code::InvalidArgument,
            "Operation requested with a token from a different namespace.",
        ),
        ("default", unknown, Code::NotFound, "Namespace id-of-nothing is not found."),
        ("default", no_namespace.encode_to_vec().into(), Code::InvalidArgument, "Namespace not set on request."),
        ("default", no_workflow.encode_to_vec().into(), Code::InvalidArgument, "WorkflowId is not set on request."),
        (&"x".repeat(1001), activity_token(DEFAULT_ID), Code::InvalidArgument, "Namespace length exceeds limit."),
    ] {
        let status = server.workflows().respond_activity_task_completed(completed(namespace, token)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, text));
    }
    let request = completed("nowhere", activity_token(DEFAULT_ID));
    let status = server.workflows().respond_activity_task_completed(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "Namespace nowhere is not found."));
    // The token alone is enough.
    for namespace in ["default", ""] {
        let request = completed(namespace, activity_token(DEFAULT_ID));
        server.workflows().respond_activity_task_completed(request).await.unwrap();
        assert!(server.last().starts_with("ActivityOutcome "), "{}", server.last());
    }
    let request =
        ws::RespondWorkflowTaskCompletedRequest { task_token: workflow_token(OTHER_ID), ..Default::default() };
    server.workflows().respond_workflow_task_completed(request).await.unwrap();
    assert!(server.last().contains(&format!("namespace_id: \"{OTHER_ID}\"")), "{}", server.last());
}

#[tokio::test]
async fn outcomes_that_are_too_large_fail_the_activity() {
    let server = TestServer::start().await;
    let mut client = server.workflows();
    let task_token = activity_token(DEFAULT_ID);
    let asked = |text: &str| {
        let asked = server.last();
        assert!(asked.contains("Failed(") && asked.contains(text) && asked.len() < BLOB, "{text}");
    };

    let request = ws::RespondActivityTaskCompletedRequest {
        task_token: task_token.clone(),
        result: large(),
        ..Default::default()
    };
    client.respond_activity_task_completed(request).await.unwrap();
    asked("Complete result exceeds size limit.");

    let request = ws::RespondActivityTaskCanceledRequest {
        task_token: task_token.clone(),
        details: large(),
        ..Default::default()
    };
    client.respond_activity_task_canceled(request).await.unwrap();
    asked("Cancel details exceed size limit.");

    let request = ws::RecordActivityTaskHeartbeatRequest {
        task_token: task_token.clone(),
        details: large(),
        ..Default::default()
    };
    let answer = client.record_activity_task_heartbeat(request).await.unwrap().into_inner();
    assert!(answer.cancel_requested);
    asked("Heartbeat details exceed size limit.");

    let failure = |message: String| Failure {
        message,
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo::default())),
        ..Failure::default()
    };
    let request = ws::RespondActivityTaskFailedRequest {
        task_token: task_token.clone(),
        failure: Some(failure("boom".into())),
        last_heartbeat_details: large(),
        ..Default::default()
    };
    let answer = client.respond_activity_task_failed(request).await.unwrap().into_inner();
    assert_eq!(answer.failures.len(), 1);
    assert_eq!(answer.failures[0].message, "Heartbeat details exceed size limit.");
    asked("boom");

    let request = ws::RespondActivityTaskFailedRequest {
        task_token: task_token.clone(),
        failure: Some(failure("x".repeat(BLOB + 1))),
        ..Default::default()
    };
    let answer = client.respond_activity_task_failed(request).await.unwrap().into_inner();
    assert_eq!(answer.failures[0].message, "Failure exceeds size limit.");
    asked("Failure exceeds size limit.");

    let request = ws::RespondActivityTaskFailedRequest {
        task_token: task_token.clone(),
        failure: Some(Failure::default()),
        ..Default::default()
    };
    let status = client.respond_activity_task_failed(request).await.unwrap_err();
    assert_eq!(status.message(), "Failure must have ApplicationFailureInfo.");

    let request = ws::RespondActivityTaskCompletedByIdRequest {
        namespace: "default".into(),
        workflow_id: "w".into(),
        activity_id: "a".into(),
        ..Default::default()
    };
    client.respond_activity_task_completed_by_id(request).await.unwrap();
    let asked = server.last();
    assert!(asked.contains("activity_id: \"a\"") && asked.contains("scheduled_event_id: 0"), "{asked}");
}

#[tokio::test]
async fn queries_are_answered_through_their_token() {
    let server = TestServer::start().await;
    let respond = |token: tokens::QueryTask, query_result| ws::RespondQueryTaskCompletedRequest {
        task_token: token.encode_to_vec().into(),
        query_result,
        ..Default::default()
    };
    let token = tokens::QueryTask {
        namespace_id: DEFAULT_ID.into(),
        task_queue: "/_sys/q/3".into(),
        query_id: "7".into(),
        sticky: false,
    };
    server.workflows().respond_query_task_completed(respond(token.clone(), None)).await.unwrap();
    let asked = server.last();
    assert!(
        asked.contains("name: \"q\"") && asked.contains("partition: 3") && asked.contains("kind: Normal"),
        "{asked}"
    );
    server.workflows().respond_query_task_completed(respond(token.clone(), large())).await.unwrap();
    let asked = server.last();
    assert!(asked.contains("completed_type: Failed") && asked.contains("Blob data size exceeds limit."), "{asked}");

    for broken in [
        tokens::QueryTask { query_id: String::new(), ..token.clone() },
        tokens::QueryTask { task_queue: String::new(), ..token.clone() },
        tokens::QueryTask { task_queue: "/_sys/q".into(), ..token },
    ] {
        let status = server.workflows().respond_query_task_completed(respond(broken, None)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "Invalid TaskToken."));
    }
}

#[tokio::test]
async fn polls_name_their_queue() {
    let server = TestServer::start().await;
    let poll = |request: ws::PollWorkflowTaskQueueRequest| {
        let mut request = Request::new(request);
        request.set_timeout(StdDuration::from_secs(60));
        request
    };
    let sticky = ws::PollWorkflowTaskQueueRequest {
        namespace: "default".into(),
        task_queue: Some(TaskQueue {
            name: "host:1".into(),
            kind: TaskQueueKind::Sticky.into(),
            normal_name: "q".into(),
        }),
        ..Default::default()
    };
    server.workflows().poll_workflow_task_queue(poll(sticky)).await.unwrap();
    assert!(server.last().contains("kind: Sticky"), "{}", server.last());

    #[expect(deprecated, reason = "older workers still send it")]
    let bad = ws::PollWorkflowTaskQueueRequest {
        namespace: "default".into(),
        task_queue: Some(TaskQueue { name: "q".into(), ..Default::default() }),
        binary_checksum: "bad".into(),
        ..Default::default()
    };
    let status = server.workflows().poll_workflow_task_queue(poll(bad)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "Binary bad already marked as bad deployment.")
    );
}

#[tokio::test]
async fn history_tokens_pin_a_run() {
    let server = TestServer::start().await;
    let read = |run_id: &str, token: Vec<u8>, maximum_page_size| ws::GetWorkflowExecutionHistoryRequest {
        namespace: "default".into(),
        execution: Some(WorkflowExecution { workflow_id: "w".into(), run_id: run_id.into() }),
        next_page_token: token.into(),
        maximum_page_size,
        ..Default::default()
    };
    let token = tokens::HistoryPage { run_id: RUN_ID.into(), next_event_id: 9, ..Default::default() }.encode_to_vec();
    for (asked, given) in [(0, 256), (-1, 256), (7, 7), (1000, 256)] {
        server.workflows().get_workflow_execution_history(read("", token.clone(), asked)).await.unwrap();
        let last = server.last();
        assert!(last.contains(&format!("maximum_page_size: {given},")) && last.contains("next_event_id: 9"), "{last}");
        assert!(last.contains("history_event_filter_type: AllEvent"), "{last}");
    }
    let other_run = "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a12";
    for (run_id, token, text) in [
        ("", b"\xff".to_vec(), "Invalid NextPageToken."),
        (other_run, token, "RunId in the request does not match the NextPageToken."),
    ] {
        let status = server.workflows().get_workflow_execution_history(read(run_id, token, 0)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    }
}

#[tokio::test]
async fn tells_about_itself() {
    let server = TestServer::start().await;
    let mut client = server.workflows();
    let info = client.get_system_info(ws::GetSystemInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(info.server_version, SERVER_VERSION);
    let capabilities = info.capabilities.unwrap();
    assert!(capabilities.eager_workflow_start && !capabilities.supports_schedules && !capabilities.nexus);
    let info = client.get_cluster_info(ws::GetClusterInfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.cluster_name.as_str(), info.history_shard_count), ("active", 4));
    assert_eq!(info.supported_clients["temporal-go"], "<2.0.0");
    let keys = client.get_search_attributes(ws::GetSearchAttributesRequest {}).await.unwrap().into_inner().keys;
    assert!(keys.contains_key("WorkflowType") && keys.contains_key("BuildIds"));

    let mut operator = server.operator();
    let list = os::ListSearchAttributesRequest { namespace: "default".into() };
    let listed = operator.list_search_attributes(list).await.unwrap().into_inner();
    assert!(listed.custom_attributes.contains_key("Amount") && listed.system_attributes.contains_key("RunId"));
    let status = operator.list_search_attributes(os::ListSearchAttributesRequest::default()).await.unwrap_err();
    assert_eq!(status.message(), "Namespace is not set on request.");
    let clusters = operator.list_clusters(os::ListClustersRequest::default()).await.unwrap().into_inner().clusters;
    assert_eq!((clusters.len(), clusters[0].cluster_id.as_str()), (1, "cluster-id"));
}

#[tokio::test]
async fn every_rpc_is_served_or_says_that_it_is_not() {
    let server = TestServer::start().await;
    let lists = [
        ("WorkflowService", "temporal.api.workflowservice.v1", WORKFLOW_SERVED, WORKFLOW_UNSERVED),
        ("OperatorService", "temporal.api.operatorservice.v1", OPERATOR_SERVED, OPERATOR_UNSERVED),
    ];
    for (service, package, served, unserved) in lists {
        let mut listed: Vec<&str> = served.iter().chain(unserved).copied().collect();
        let mut all: Vec<&str> =
            perdure_proto::RPCS.iter().filter(|(of, _)| *of == service).map(|(_, rpc)| *rpc).collect();
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
        for rpc in all {
            let mut client = tonic::client::Grpc::new(server.channel.clone());
            client.ready().await.unwrap();
            let path = format!("/{package}.{service}/{rpc}").parse().unwrap();
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            let answer = client.unary(Request::new(()), path, codec).await;
            let is_unserved = answer.is_err_and(|status| {
                status.code() == Code::Unimplemented && status.message().starts_with(&format!("{rpc} is not served"))
            });
            assert_eq!(is_unserved, unserved.contains(&rpc), "{rpc}");
        }
    }
}
