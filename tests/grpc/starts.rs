//! StartWorkflowExecution.

use std::time::{Duration, Instant};

use perdure_proto::api::{
    common::link::{Variant, workflow_event::Reference},
    enums::{EventType, WorkflowExecutionStatus as Status, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    errordetails::{NamespaceNotFoundFailure, ResourceExhaustedFailure, WorkflowExecutionAlreadyStartedFailure},
    history::history_event::Attributes,
    workflowservice::StartWorkflowExecutionRequest,
};
use prost::Message;
use tonic::Code;

use crate::kit::*;

const ALREADY_STARTED: &str = "WorkflowExecutionAlreadyStartedFailure";

#[tokio::test]
pub(crate) async fn starts_a_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let answer = server.rpc().start_workflow_execution(flow.start_request()).await.unwrap().into_inner();
    assert!(answer.started);
    assert_eq!(answer.status(), Status::Running);
    let Some(Variant::WorkflowEvent(link)) = answer.link.unwrap().variant else { panic!("no link to an event") };
    assert_eq!((link.namespace.as_str(), &link.workflow_id, &link.run_id), (NAMESPACE, &flow.id, &answer.run_id));
    let Some(Reference::EventRef(event)) = link.reference else { panic!("no event") };
    assert_eq!(event.event_type(), EventType::WorkflowExecutionStarted);

    let events = flow.events().await;
    assert_eq!(kinds(&events), [EventType::WorkflowExecutionStarted, EventType::WorkflowTaskScheduled]);
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &events[0].attributes else { panic!() };
    assert_eq!((&started.workflow_id, &started.original_execution_run_id), (&flow.id, &answer.run_id));
    assert_eq!((&started.input, started.identity.as_str(), started.attempt), (&payloads("input"), "client", 1));
    server.stop().await;
}

#[tokio::test]
async fn an_open_run_is_met_by_the_conflict_policy() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = flow.start_request();
    let run_id = server.rpc().start_workflow_execution(first.clone()).await.unwrap().into_inner().run_id;
    let with = |policy: WorkflowIdConflictPolicy| StartWorkflowExecutionRequest {
        workflow_id_conflict_policy: policy.into(),
        ..flow.start_request()
    };

    for policy in [WorkflowIdConflictPolicy::Unspecified, WorkflowIdConflictPolicy::Fail] {
        let text = format!("Workflow execution is already running. WorkflowId: {}, RunId: {run_id}.", flow.id);
        let refused_start = server.rpc().start_workflow_execution(with(policy)).await;
        let detail = refused(refused_start, Code::AlreadyExists, ALREADY_STARTED, &text);
        let detail = WorkflowExecutionAlreadyStartedFailure::decode(detail.as_slice()).unwrap();
        assert_eq!((&detail.start_request_id, &detail.run_id), (&first.request_id, &run_id));
    }

    let same = server.rpc().start_workflow_execution(with(WorkflowIdConflictPolicy::UseExisting)).await.unwrap();
    assert_eq!((same.get_ref().started, &same.get_ref().run_id), (false, &run_id));

    let repeated = server.rpc().start_workflow_execution(first).await.unwrap();
    assert_eq!((repeated.get_ref().started, &repeated.get_ref().run_id), (true, &run_id));

    let next = server.rpc().start_workflow_execution(with(WorkflowIdConflictPolicy::TerminateExisting)).await.unwrap();
    let next = next.into_inner();
    assert!(next.started && next.run_id != run_id);
    assert_eq!(flow.status(&run_id).await, Status::Terminated);
    assert_eq!(flow.status("").await, Status::Running);
    assert_eq!(flow.describe().await.workflow_execution_info.unwrap().execution.unwrap().run_id, next.run_id);
    server.stop().await;
}

#[tokio::test]
async fn the_old_policy_ends_an_open_run() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    let request = StartWorkflowExecutionRequest {
        workflow_id_reuse_policy: WorkflowIdReusePolicy::TerminateIfRunning.into(),
        ..flow.start_request()
    };
    let next = server.rpc().start_workflow_execution(request).await.unwrap().into_inner();
    assert!(next.started && next.run_id != run_id);
    assert_eq!(flow.status(&run_id).await, Status::Terminated);
    server.stop().await;
}

#[tokio::test]
async fn a_closed_run_is_met_by_the_reuse_policy() {
    use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    const REJECTED: &str =
        "already finished. WorkflowId: {id}, RunId: {run}. Workflow Id reuse policy: reject duplicate workflow Id.";
    const SUCCEEDED: &str = "already finished successfully. WorkflowId: {id}, RunId: {run}. Workflow Id reuse policy: allow duplicate workflow Id if last run failed.";
    let server = Server::start().await;
    for (end, policy, refusal) in [
        (complete("done"), AllowDuplicate, None),
        (complete("done"), AllowDuplicateFailedOnly, Some(SUCCEEDED)),
        (complete("done"), RejectDuplicate, Some(REJECTED)),
        (fail("broken"), AllowDuplicateFailedOnly, None),
        (cancel(), AllowDuplicateFailedOnly, None),
        (fail("broken"), RejectDuplicate, Some(REJECTED)),
    ] {
        let flow = Flow::new(&server);
        let run_id = flow.begin(vec![end.clone()]).await;
        let request = StartWorkflowExecutionRequest { workflow_id_reuse_policy: policy.into(), ..flow.start_request() };
        let answer = server.rpc().start_workflow_execution(request).await;
        match refusal {
            None => assert_ne!(answer.unwrap().get_ref().run_id, run_id, "{end:?} {policy:?}"),
            Some(text) => {
                let text = text.replace("{id}", &flow.id).replace("{run}", &run_id);
                refused(answer, Code::AlreadyExists, ALREADY_STARTED, &format!("Workflow execution {text}"));
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_is_known_again_after_its_run_has_ended() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = flow.start_request();
    let run_id = server.rpc().start_workflow_execution(first.clone()).await.unwrap().into_inner().run_id;
    flow.terminate().await;
    let repeated = server.rpc().start_workflow_execution(first).await.unwrap().into_inner();
    assert_eq!((repeated.run_id.as_str(), repeated.started), (run_id.as_str(), true));
    assert_eq!(repeated.status(), Status::Terminated);
    server.stop().await;
}

#[tokio::test]
async fn ids_are_not_used_again_in_a_tight_loop() {
    let server = Server::with(&[("history.workflowIdReuseMinimalInterval", "\"1h\"")]).await;
    let flow = Flow::new(&server);
    flow.start().await;
    flow.terminate().await;
    let status = server.rpc().start_workflow_execution(flow.start_request()).await.unwrap_err();
    assert_eq!(status.metadata().get("x-resource-exhausted-cause").unwrap(), "BusyWorkflow");
    let (text, since) = status.message().rsplit_once(' ').and_then(|(text, _ms)| text.rsplit_once(' ')).unwrap();
    assert_eq!(text, format!("Too many starts for workflow {}. Time since last start:", flow.id));
    assert!(since.parse::<u64>().unwrap() < 60_000);
    let text = status.message().to_owned();
    let detail = refused::<()>(Err(status), Code::ResourceExhausted, "ResourceExhaustedFailure", &text);
    let detail = ResourceExhaustedFailure::decode(detail.as_slice()).unwrap();
    assert_eq!(detail.cause().as_str_name(), "RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW");
    server.stop().await;
}

#[tokio::test]
async fn a_delayed_start_has_its_first_task_later() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let delay = Duration::from_millis(1_200);
    let request = StartWorkflowExecutionRequest { workflow_start_delay: span(delay), ..flow.start_request() };
    let before = Instant::now();
    server.rpc().start_workflow_execution(request).await.unwrap();
    assert_eq!(flow.kinds().await, [EventType::WorkflowExecutionStarted]);
    flow.task().await;
    assert!(before.elapsed() >= delay);
    server.stop().await;
}

#[tokio::test]
async fn an_eager_start_brings_the_first_task_with_it() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let request = StartWorkflowExecutionRequest { request_eager_execution: true, ..flow.start_request() };
    let answer = server.rpc().start_workflow_execution(request).await.unwrap().into_inner();
    let task = answer.eager_workflow_task.unwrap();
    assert_eq!((task.attempt, task.started_event_id, task.history.as_ref().unwrap().events.len()), (1, 3, 3));
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert_eq!(flow.status(&answer.run_id).await, Status::Completed);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let request = StartWorkflowExecutionRequest { namespace: "nowhere".to_owned(), ..flow.start_request() };
    let answer = server.rpc().start_workflow_execution(request).await;
    let detail = refused(answer, Code::NotFound, "NamespaceNotFoundFailure", "Namespace nowhere is not found.");
    assert_eq!(NamespaceNotFoundFailure::decode(detail.as_slice()).unwrap().namespace, "nowhere");
    server.stop().await;
}

#[tokio::test]
async fn what_a_start_asks_for_is_described() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let amount = perdure_proto::api::common::Payload {
        metadata: [("encoding".to_owned(), "json/plain".into())].into(),
        data: "7".into(),
        ..Default::default()
    };
    let request = StartWorkflowExecutionRequest {
        memo: Some(perdure_proto::api::common::Memo { fields: [("note".to_owned(), amount.clone())].into() }),
        search_attributes: Some(perdure_proto::api::common::SearchAttributes {
            indexed_fields: [(ATTRIBUTE.0.to_owned(), amount.clone())].into(),
        }),
        workflow_execution_timeout: seconds(3600),
        workflow_run_timeout: seconds(600),
        workflow_task_timeout: seconds(5),
        ..flow.start_request()
    };
    server.rpc().start_workflow_execution(request).await.unwrap();
    let described = flow.describe().await;
    let config = described.execution_config.unwrap();
    assert_eq!((config.workflow_execution_timeout, config.workflow_run_timeout), (seconds(3600), seconds(600)));
    assert_eq!(config.default_workflow_task_timeout, seconds(5));
    let info = described.workflow_execution_info.unwrap();
    assert_eq!(info.memo.unwrap().fields["note"].data, "7");
    let found = &info.search_attributes.unwrap().indexed_fields[ATTRIBUTE.0];
    assert_eq!((&found.data[..], &found.metadata["type"][..]), (&b"7"[..], &b"Int"[..]));
    server.stop().await;
}
