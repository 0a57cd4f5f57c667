//! The server around the handlers: health, reflection, admission, versions, sizes, clients that go away.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::{sync::Mutex, time::Duration};

use perdure_frontend::{FrontendSettings, REQUEST_SIZE_MAX};
use perdure_proto::api::{common::WorkflowExecution, taskqueue::TaskQueue, workflowservice as ws};
use perdure_rpc::MatchingCall;
use support::{TestServer, answer_history, answer_matching, detail};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status, codec::CompressionEncoding};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

const WORKFLOW_SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";

fn describe() -> ws::DescribeWorkflowExecutionRequest {
    ws::DescribeWorkflowExecutionRequest {
        namespace: "default".into(),
        execution: Some(WorkflowExecution { workflow_id: "w".into(), run_id: String::new() }),
    }
}

fn poll() -> Request<ws::PollWorkflowTaskQueueRequest> {
    let mut request = Request::new(ws::PollWorkflowTaskQueueRequest {
        namespace: "default".into(),
        task_queue: Some(TaskQueue { name: "q".into(), ..TaskQueue::default() }),
        ..Default::default()
    });
    request.set_timeout(Duration::from_secs(60));
    request
}

async fn health(server: &TestServer, service: &str) -> Result<i32, Status> {
    let request = HealthCheckRequest { service: service.into() };
    Ok(HealthClient::new(server.channel.clone())
        .send_compressed(CompressionEncoding::Gzip)
        .check(request)
        .await?
        .into_inner()
        .status)
}

#[tokio::test]
async fn health_follows_the_server() {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    let server = TestServer::start().await;
    let others = ["", "temporal.api.operatorservice.v1.OperatorService", "temporal.api.adminservice.v1.AdminService"];
    assert_eq!(health(&server, WORKFLOW_SERVICE).await.unwrap(), NOT_SERVING);
    for service in others {
        assert_eq!(health(&server, service).await.unwrap(), SERVING, "{service}");
    }
    server.frontend.set_serving().await;
    assert_eq!(health(&server, WORKFLOW_SERVICE).await.unwrap(), SERVING);
    server.frontend.set_not_serving().await;
    for service in others.into_iter().chain([WORKFLOW_SERVICE]) {
        assert_eq!(health(&server, service).await.unwrap(), NOT_SERVING, "{service}");
    }
    assert_eq!(health(&server, "nothing").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_and_describes_services() {
    let server = TestServer::start().await;
    let requests = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(WORKFLOW_SERVICE.into()),
        MessageRequest::FileContainingSymbol("perdure.token.v1.QueryTask".into()),
    ];
    let requests =
        requests.map(|request| ServerReflectionRequest { host: String::new(), message_request: Some(request) });
    let answers = ServerReflectionClient::new(server.channel.clone())
        .max_decoding_message_size(usize::MAX)
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.map(|answer| answer.message_response.unwrap())).collect().await;
    let Ok(MessageResponse::ListServicesResponse(list)) = &answers[0] else { panic!("{answers:?}") };
    let mut names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "temporal.api.operatorservice.v1.OperatorService",
        WORKFLOW_SERVICE,
    ];
    assert_eq!(names, expected);
    let Ok(MessageResponse::FileDescriptorResponse(file)) = &answers[1] else { panic!("{answers:?}") };
    assert!(!file.file_descriptor_proto.is_empty());
    assert_eq!(answers[2].as_ref().unwrap_err().code(), Code::NotFound);

    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel.clone())
        .server_reflection_info(tokio_stream::iter([list]))
        .await
        .unwrap()
        .into_inner()
        .next()
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_in_the_words_sdks_look_for() {
    let server = TestServer::start().await;
    let size = REQUEST_SIZE_MAX + 1;
    let request = ws::ShutdownWorkerRequest { namespace: "x".repeat(size), ..Default::default() };
    let status = server.workflows().shutdown_worker(request).await.unwrap_err();
    let size = size + 5;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), format!("grpc: received message larger than max ({size} vs. {REQUEST_SIZE_MAX})"));
}

#[tokio::test]
async fn versions_that_do_not_fit_are_turned_away() {
    let server = TestServer::start().await;
    let with = |name: &'static str, version: &'static str, supported: &'static str| {
        let mut request = Request::new(describe());
        let headers = request.metadata_mut();
        headers.insert("client-name", name.parse().unwrap());
        headers.insert("client-version", version.parse().unwrap());
        headers.insert("supported-server-versions", supported.parse().unwrap());
        request
    };
    for (name, version, supported, code, detailed, text) in [
        (
            "temporal-go",
            "x",
            "",
            Code::InvalidArgument,
            "",
            "Unable to parse client version: Invalid character(s) found in major number \"x\"",
        ),
        (
            "temporal-go",
            "2.0.0",
            "",
            Code::FailedPrecondition,
            "ClientVersionNotSupportedFailure",
            "Client version 2.0.0 is not supported. Server supports temporal-go versions: <2.0.0",
        ),
        (
            "temporal-go",
            "1.0.0",
            ">=2.0.0",
            Code::FailedPrecondition,
            "ServerVersionNotSupportedFailure",
            "Server version 1.32.0 is not supported. Client supports server versions: >=2.0.0",
        ),
    ] {
        let status = server.workflows().describe_workflow_execution(with(name, version, supported)).await.unwrap_err();
        assert_eq!((status.code(), detail(&status).as_str(), status.message()), (code, detailed, text));
    }
    for (name, version, supported) in
        [("temporal-go", "1.39.0", ">=1.0.0 <2.0.0"), ("temporal-python", "what", ""), ("mine", "9.0.0", ">1.0.0")]
    {
        server.workflows().describe_workflow_execution(with(name, version, supported)).await.unwrap();
    }
}

#[tokio::test]
async fn rates_are_limited() {
    for (settings, scope, text) in [
        (
            FrontendSettings { rps: 2.0, burst_ratio: 1.0, ..Default::default() },
            "System",
            "service rate limit exceeded",
        ),
        (
            FrontendSettings { namespace_rps: 2.0, burst_ratio: 1.0, ..Default::default() },
            "Namespace",
            "namespace rate limit exceeded",
        ),
    ] {
        let server = TestServer::start_with(settings, answer_history, answer_matching).await;
        let mut client = server.workflows();
        for _ in 0..2 {
            client.describe_workflow_execution(describe()).await.unwrap();
        }
        let status = client.describe_workflow_execution(describe()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));
        assert_eq!(detail(&status), "ResourceExhaustedFailure");
        assert_eq!(status.metadata().get("x-resource-exhausted-cause").unwrap(), "RpsLimit");
        assert_eq!(status.metadata().get("x-resource-exhausted-scope").unwrap(), scope);
        server.clock.advance(Duration::from_secs(1));
        client.describe_workflow_execution(describe()).await.unwrap();
    }
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let server = TestServer::start().await;
    server.permits.set_limit(0);
    let status = server.workflows().describe_workflow_execution(describe()).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).as_str()), (Code::ResourceExhausted, "ResourceExhaustedFailure"));
    server.permits.set_limit(1);
    server.workflows().describe_workflow_execution(describe()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_poll_along() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let held = Mutex::new(Vec::new());
    let matching = move |call: MatchingCall, _log: &support::Log| {
        if let MatchingCall::PollWorkflowTask(ask) = call {
            let gone = tell.clone();
            ask.reply.on_closed(move || gone.send("gone").unwrap());
            held.lock().unwrap().push(ask);
            tell.send("polled").unwrap();
        }
    };
    let settings = FrontendSettings { namespace_long_polls_max: 1, ..Default::default() };
    let server = TestServer::start_with(settings, answer_history, matching).await;
    let mut client = server.workflows();
    let polling = tokio::spawn(async move { client.poll_workflow_task_queue(poll()).await });
    assert_eq!(told.recv().await, Some("polled"));

    let status = server.workflows().poll_workflow_task_queue(poll()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "namespace concurrent poller limit exceeded")
    );
    assert_eq!(status.metadata().get("x-resource-exhausted-cause").unwrap(), "ConcurrentLimit");

    polling.abort();
    assert_eq!(told.recv().await, Some("gone"));
    // Its place is free again.
    let mut client = server.workflows();
    let polling = tokio::spawn(async move { client.poll_workflow_task_queue(poll()).await });
    assert_eq!(told.recv().await, Some("polled"));
    polling.abort();
}

#[tokio::test]
async fn a_dropped_question_is_answered_unavailable() {
    let server = TestServer::start_with(Default::default(), |call, _log| drop(call), answer_matching).await;
    let status = server.workflows().describe_workflow_execution(describe()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
