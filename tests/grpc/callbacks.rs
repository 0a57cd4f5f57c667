//! Completion callbacks over real HTTP, and links in answers.

use std::{collections::BTreeMap, time::Duration};

use perdure_proto::api::{
    common::{
        Callback, callback,
        link::{self, workflow_event::Reference},
    },
    enums::{CallbackState, EventType, WorkflowIdConflictPolicy},
    history::history_event::Attributes,
    workflow::{CallbackInfo, OnConflictOptions},
    workflowservice::SignalWorkflowExecutionRequest,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tonic::Code;

use crate::kit::*;

/// A request as the other side saw it: its path, its headers by name in lower case, its body.
struct Seen {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that takes callbacks and answers each in its turn; the last answer for all that follow.
struct Sink {
    address: String,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Sink {
    async fn new(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            let mut answer = "";
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer = answers.next().unwrap_or(&answer);
                let _ = tell.send(serve(stream, answer).await);
            }
        });
        Self { address, seen }
    }

    fn callback(&self, path: &str) -> Callback {
        let header = [("X-My".to_owned(), "mine".to_owned())].into();
        let nexus = callback::Nexus { url: format!("{}{path}", self.address), header };
        Callback { variant: Some(callback::Variant::Nexus(nexus)), ..Default::default() }
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(20), self.seen.recv()).await.unwrap().unwrap()
    }
}

async fn serve(stream: TcpStream, answer: &str) -> Seen {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let path = line.strip_prefix("POST ").unwrap().split(' ').next().unwrap().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = Vec::new();
    match headers.get("content-length") {
        Some(length) => {
            body.resize(length.parse().unwrap(), 0);
            stream.read_exact(&mut body).await.unwrap();
        }
        // Temporal sends failures in chunks.
        None => loop {
            let mut size = String::new();
            stream.read_line(&mut size).await.unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await.unwrap();
            if size == 0 {
                break;
            }
            body.extend(&chunk[..size]);
        },
    }
    stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    Seen { path, headers, body: String::from_utf8(body).unwrap() }
}

const OK: &str = "200 OK\r\ncontent-length: 0\r\nconnection: close";

/// The callbacks of a workflow once all of them have been tried.
async fn tried(flow: &Flow, times: i32) -> Vec<CallbackInfo> {
    loop {
        let callbacks = flow.describe().await.callbacks;
        if !callbacks.is_empty() && callbacks.iter().all(|callback| callback.attempt >= times) {
            return callbacks;
        }
        tokio::task::yield_now().await;
    }
}

fn attach() -> Option<OnConflictOptions> {
    Some(OnConflictOptions { attach_request_id: true, attach_completion_callbacks: true, attach_links: true })
}

#[tokio::test]
async fn a_callback_tells_of_the_result() {
    let server = Server::start().await;
    let mut sink = Sink::new(&[OK]).await;
    let flow = Flow::new(&server);
    let mut request = flow.start_request();
    request.completion_callbacks = vec![sink.callback("/done?x=1")];
    let run_id = server.rpc().start_workflow_execution(request).await.unwrap().into_inner().run_id;
    assert_eq!(flow.describe().await.callbacks[0].state(), CallbackState::Standby);
    let task = flow.task().await;
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    let seen = sink.next().await;
    assert_eq!(seen.path, "/done?x=1");
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    assert_eq!(header("user-agent"), Some("temporalio/server"));
    assert_eq!(header("nexus-operation-state"), Some("succeeded"));
    assert_eq!(header("x-my"), Some("mine"));
    let link = format!(
        "<temporal:///namespaces/default/workflows/{}/{run_id}/history?eventID=1&eventType=WorkflowExecutionStarted\
         &referenceType=EventReference>; type=\"temporal.api.common.v1.Link.WorkflowEvent\"",
        flow.id
    );
    assert_eq!(header("nexus-link"), Some(&*link));
    assert!(header("nexus-operation-start-time").unwrap().ends_with(" GMT"));
    assert!(header("nexus-operation-close-time").unwrap().ends_with('Z'));
    let told = tried(&flow, 1).await;
    assert_eq!((told[0].state(), told[0].attempt), (CallbackState::Succeeded, 1));
    server.stop().await;
}

#[tokio::test]
async fn a_callback_tells_of_a_termination_until_it_is_heard() {
    let server = Server::start().await;
    let down = "500 Down\r\ncontent-length: 0\r\nconnection: close";
    let mut sink = Sink::new(Box::leak(Box::new([down, OK]))).await;
    let flow = Flow::new(&server);
    let mut request = flow.start_request();
    request.completion_callbacks = vec![sink.callback("/")];
    server.rpc().start_workflow_execution(request).await.unwrap();
    flow.terminate().await;
    let seen = sink.next().await;
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["nexus-operation-state"], "failed");
    for part in
        ["\"message\":\"operation terminated\"", "\"terminatedFailureInfo\":{}", "temporal.api.failure.v1.Failure"]
    {
        assert!(seen.body.contains(part), "{}", seen.body);
    }
    let waiting = tried(&flow, 1).await.remove(0);
    assert_eq!(waiting.last_attempt_failure.unwrap().message, "handler error (INTERNAL)");
    assert_eq!(sink.next().await.body, seen.body);
    assert_eq!(tried(&flow, 2).await[0].state(), CallbackState::Succeeded);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_for_good_ends_it() {
    let server = Server::start().await;
    let gone = "404 Not Found\r\ncontent-length: 0\r\nconnection: close";
    let sink = Sink::new(Box::leak(Box::new([gone]))).await;
    let flow = Flow::new(&server);
    let mut request = flow.start_request();
    request.completion_callbacks = vec![sink.callback("/")];
    server.rpc().start_workflow_execution(request).await.unwrap();
    flow.terminate().await;
    let failed = tried(&flow, 1).await.remove(0);
    assert_eq!((failed.state(), failed.attempt), (CallbackState::Failed, 1));
    assert_eq!(failed.last_attempt_failure.unwrap().message, "handler error (NOT_FOUND)");
    assert_eq!(failed.next_attempt_schedule_time, None);
    server.stop().await;
}

#[tokio::test]
async fn a_start_that_finds_the_workflow_running_attaches_to_it() {
    let server = Server::start().await;
    let mut sink = Sink::new(&[OK]).await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    let mut request = flow.start_request();
    request.request_id = unique("second");
    request.workflow_id_conflict_policy = WorkflowIdConflictPolicy::UseExisting.into();
    request.on_conflict_options = attach();
    request.completion_callbacks = vec![sink.callback("/")];
    for _ in 0..2 {
        let found = server.rpc().start_workflow_execution(request.clone()).await.unwrap().into_inner();
        assert_eq!((found.run_id.as_str(), found.started), (run_id.as_str(), false));
        let Some(link::Variant::WorkflowEvent(event)) = found.link.unwrap().variant else { panic!() };
        let Some(Reference::RequestIdRef(reference)) = event.reference else { panic!() };
        assert_eq!(reference.request_id, request.request_id);
        assert_eq!(reference.event_type(), EventType::WorkflowExecutionOptionsUpdated);
    }
    let events = flow.events().await;
    let Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated)) = &events[2].attributes else {
        panic!("{events:?}")
    };
    assert_eq!(events.len(), 3, "once");
    assert!(events[2].worker_may_ignore);
    assert_eq!((updated.attached_request_id.as_str(), updated.identity.as_str()), (&*request.request_id, ""));
    let described = flow.describe().await;
    let info = &described.workflow_extended_info.unwrap().request_id_infos[&request.request_id];
    assert_eq!((info.event_id, info.buffered), (3, false));
    flow.terminate().await;
    let seen = sink.next().await;
    let part = format!(
        "eventType=WorkflowExecutionOptionsUpdated&referenceType=RequestIdReference&requestID={}",
        request.request_id
    );
    assert!(seen.headers["nexus-link"].contains(&part), "{}", seen.headers["nexus-link"]);
    server.stop().await;
}

#[tokio::test]
async fn signals_answer_with_a_link_to_what_they_led_to() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    let request = SignalWorkflowExecutionRequest { request_id: unique("request"), ..flow.signal_request("s") };
    let answer = server.rpc().signal_workflow_execution(request.clone()).await.unwrap().into_inner();
    let Some(link::Variant::WorkflowEvent(event)) = answer.link.unwrap().variant else { panic!() };
    assert_eq!((event.workflow_id, event.run_id), (flow.id.clone(), run_id));
    let Some(Reference::RequestIdRef(reference)) = event.reference else { panic!() };
    assert_eq!(reference.request_id, request.request_id);
    assert_eq!(reference.event_type(), EventType::WorkflowExecutionSignaled);
    // A repeat is no error even when the workflow is closed.
    flow.terminate().await;
    server.rpc().signal_workflow_execution(request).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn callbacks_go_only_where_they_may() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let mut request = flow.start_request();
    let nexus = callback::Nexus { url: "https://elsewhere/".to_owned(), ..Default::default() };
    request.completion_callbacks =
        vec![Callback { variant: Some(callback::Variant::Nexus(nexus)), ..Default::default() }];
    let text = "invalid url: url does not match any configured callback address: https://elsewhere/";
    refused(server.rpc().start_workflow_execution(request).await, Code::InvalidArgument, "", text);
    server.stop().await;
}
