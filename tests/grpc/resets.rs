//! ResetWorkflowExecution.

use perdure_proto::{
    FieldMask,
    api::{
        common::Priority,
        enums::{EventType as E, ResetReapplyExcludeType, WorkflowExecutionStatus as Run},
        history::history_event::Attributes,
        workflow::{
            PostResetOperation, WorkflowExecutionOptions,
            post_reset_operation::{UpdateWorkflowOptions, Variant},
        },
        workflowservice as ws,
    },
};
use tonic::{Code, Status};

use crate::kit::*;

fn request(flow: &Flow, run_id: &str, finish_event_id: i64) -> ws::ResetWorkflowExecutionRequest {
    ws::ResetWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: execution(&flow.id, run_id),
        reason: "once more".to_owned(),
        workflow_task_finish_event_id: finish_event_id,
        request_id: unique("reset"),
        ..Default::default()
    }
}

async fn send(flow: &Flow, request: ws::ResetWorkflowExecutionRequest) -> Result<String, Status> {
    Ok(flow.rpc.clone().reset_workflow_execution(request).await?.into_inner().run_id)
}

async fn reset(flow: &Flow, finish_event_id: i64) -> Result<String, Status> {
    send(flow, request(flow, "", finish_event_id)).await
}

#[tokio::test]
pub(crate) async fn an_open_run_gives_way_to_one_from_its_past() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    flow.signal("s").await.unwrap();
    let second = reset(&flow, 4).await.unwrap();
    let events = flow.events().await;
    let copied = [E::WorkflowExecutionStarted, E::WorkflowTaskScheduled, E::WorkflowTaskStarted, E::WorkflowTaskFailed];
    assert_eq!(kinds(&events), [&copied[..], &[E::WorkflowExecutionSignaled, E::WorkflowTaskScheduled]].concat());
    let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &events[3].attributes else { panic!() };
    assert_eq!((&failed.base_run_id, &failed.new_run_id), (&first, &second));
    assert_eq!((failed.identity.as_str(), failed.started_event_id), ("history-service", 3));
    assert_eq!(failed.failure.as_ref().unwrap().message, "once more");
    let told = flow.describe_run(&first).await.unwrap();
    assert_eq!(told.workflow_execution_info.unwrap().status(), Run::Terminated);
    assert_eq!(told.workflow_extended_info.unwrap().reset_run_id, second);
    let old =
        ws::GetWorkflowExecutionHistoryRequest { execution: execution(&flow.id, &first), ..flow.history_request() };
    let (events, _) = flow.page(old).await.unwrap();
    let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(ended)) = &events.last().unwrap().attributes else {
        panic!()
    };
    assert_eq!((ended.identity.as_str(), ended.reason.as_str()), ("history-resetter", "once more"));
    let told = flow.describe().await;
    let (info, more) = (told.workflow_execution_info.unwrap(), told.workflow_extended_info.unwrap());
    assert_eq!((info.first_run_id, info.start_time), (first, more.last_reset_time));
    assert!(more.original_start_time.unwrap().seconds <= more.last_reset_time.unwrap().seconds);
    let task = flow.task().await;
    assert_eq!(task.workflow_execution.as_ref().unwrap().run_id, second);
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    assert_eq!(flow.status(&second).await, Run::Completed);
    server.stop().await;
}

#[tokio::test]
async fn activities_that_were_pending_begin_anew() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    flow.activity().await;
    flow.signal("s").await.unwrap();
    let task = flow.task().await;
    let finish = task.started_event_id + 1;
    flow.complete(&task, vec![complete("too early")]).await.unwrap();
    reset(&flow, finish).await.unwrap();
    let again = flow.activity().await;
    let outcome = ws::RespondActivityTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: again.task_token,
        ..Default::default()
    };
    server.rpc().respond_activity_task_completed(outcome).await.unwrap();
    let task = flow.task().await;
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_closed_run_whose_task_no_worker_had() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = flow.start().await;
    flow.terminate().await;
    reset(&flow, 3).await.unwrap();
    let events = flow.events().await;
    let copied = [E::WorkflowExecutionStarted, E::WorkflowTaskScheduled, E::WorkflowTaskStarted, E::WorkflowTaskFailed];
    assert_eq!(kinds(&events), [&copied[..], &[E::WorkflowTaskScheduled]].concat());
    let Some(Attributes::WorkflowTaskStartedEventAttributes(started)) = &events[2].attributes else { panic!() };
    assert_eq!((started.identity.as_str(), started.request_id.as_str()), ("history-service", "emptyUuid"));
    assert_eq!(flow.status(&first).await, Run::Terminated);
    server.stop().await;
}

#[tokio::test]
async fn what_is_done_again_and_afterwards() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let first = flow.begin(Vec::new()).await;
    flow.signal("s").await.unwrap();
    let signals = |kinds: Vec<E>| kinds.iter().filter(|kind| **kind == E::WorkflowExecutionSignaled).count();
    let mut without = request(&flow, "", 4);
    without.reset_reapply_exclude_types = vec![ResetReapplyExcludeType::Signal.into()];
    send(&flow, without).await.unwrap();
    assert_eq!(signals(flow.kinds().await), 0);
    // From the first run again, which is not the current one any more.
    let mut with = request(&flow, &first, 4);
    with.post_reset_operations = vec![PostResetOperation {
        variant: Some(Variant::UpdateWorkflowOptions(UpdateWorkflowOptions {
            workflow_execution_options: Some(WorkflowExecutionOptions {
                priority: Some(Priority { priority_key: 2, ..Default::default() }),
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["priority".to_owned()] }),
        })),
    }];
    send(&flow, with).await.unwrap();
    assert_eq!(signals(flow.kinds().await), 1);
    let info = flow.describe().await.workflow_execution_info.unwrap();
    assert_eq!(info.priority.unwrap().priority_key, 2);
    server.stop().await;
}

#[tokio::test]
async fn one_run_comes_of_a_request() {
    // Temporal 1.32 forgets which request made a run: see docs/compatibility.md.
    let server = Server::with(&[]).await;
    let flow = Flow::new(&server);
    flow.begin(Vec::new()).await;
    let request = request(&flow, "", 4);
    let run_id = send(&flow, request.clone()).await.unwrap();
    assert_eq!(send(&flow, request).await.unwrap(), run_id);
    server.stop().await;
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(reset(&flow, 4).await, Code::NotFound, "NotFoundFailure", &text);
    flow.begin(vec![timer("t", std::time::Duration::from_secs(60))]).await;
    flow.signal("s").await.unwrap();
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {NO_RUN:?}", flow.id);
    refused(send(&flow, request(&flow, NO_RUN, 4)).await, Code::NotFound, "NotFoundFailure", &text);
    let range = "Workflow task finish ID must be > 1 && <= workflow last event ID.";
    let boundary = |last: i64| {
        format!(
            "StateRebuilder unable to Rebuild mutable state to event ID: {last}, version: 0, this event must be at the \
             boundary"
        )
    };
    let pending = "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: 6";
    for (finish, text) in [
        (0, range.to_owned()),
        (1, range.to_owned()),
        (2, boundary(1)),
        (5, boundary(4)),
        (6, pending.to_owned()),
        (7, boundary(6)),
        (8, range.to_owned()),
    ] {
        refused(reset(&flow, finish).await, Code::InvalidArgument, "", &text);
    }
    let base = || request(&flow, "", 4);
    for (request, text) in [
        (ws::ResetWorkflowExecutionRequest { request_id: String::new(), ..base() }, "RequestId is not set on request."),
        (
            ws::ResetWorkflowExecutionRequest { request_id: "x".repeat(1001), ..base() },
            "RequestId length exceeds limit.",
        ),
        (ws::ResetWorkflowExecutionRequest { workflow_execution: None, ..base() }, "Execution is not set on request."),
        (
            ws::ResetWorkflowExecutionRequest { workflow_execution: execution(&flow.id, "x"), ..base() },
            "Invalid RunId.",
        ),
    ] {
        refused(send(&flow, request).await, Code::InvalidArgument, "", text);
    }
    let mut odd = base();
    odd.post_reset_operations = vec![PostResetOperation::default()];
    refused(send(&flow, odd).await, Code::InvalidArgument, "", "unsupported post reset operation: <nil>");
    server.stop().await;
}
