//! UpdateWorkflowExecutionOptions.

use perdure_proto::{
    FieldMask,
    api::{
        common::Priority,
        deployment::WorkerDeploymentVersion,
        enums::EventType,
        history::history_event::Attributes,
        workflow::{
            VersioningOverride, WorkflowExecutionOptions,
            versioning_override::{Override, PinnedOverride},
        },
        workflowservice as ws,
    },
};
use tonic::{Code, Status};

use crate::kit::*;

fn request(
    flow: &Flow,
    paths: &[&str],
    options: WorkflowExecutionOptions,
) -> ws::UpdateWorkflowExecutionOptionsRequest {
    ws::UpdateWorkflowExecutionOptionsRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: flow.execution(),
        workflow_execution_options: Some(options),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        identity: "operator".to_owned(),
    }
}

async fn update(
    flow: &Flow,
    paths: &[&str],
    options: WorkflowExecutionOptions,
) -> Result<WorkflowExecutionOptions, Status> {
    send(flow, request(flow, paths, options)).await
}

async fn send(
    flow: &Flow,
    request: ws::UpdateWorkflowExecutionOptionsRequest,
) -> Result<WorkflowExecutionOptions, Status> {
    let answer = flow.rpc.clone().update_workflow_execution_options(request).await?.into_inner();
    Ok(answer.workflow_execution_options.unwrap())
}

fn priority(priority_key: i32) -> WorkflowExecutionOptions {
    let priority = Some(Priority { priority_key, ..Default::default() });
    WorkflowExecutionOptions { priority, ..Default::default() }
}

fn overridden(given: Override) -> WorkflowExecutionOptions {
    let given = VersioningOverride { r#override: Some(given), ..Default::default() };
    WorkflowExecutionOptions { versioning_override: Some(given), ..Default::default() }
}

#[tokio::test]
pub(crate) async fn options_change_and_are_told() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    assert_eq!(update(&flow, &["priority"], priority(1)).await.unwrap(), priority(1));
    assert_eq!(update(&flow, &["priority"], priority(1)).await.unwrap(), priority(1));
    assert_eq!(update(&flow, &[], priority(2)).await.unwrap(), priority(1));
    let events = flow.events().await;
    assert_eq!(kinds(&events)[2..], [EventType::WorkflowExecutionOptionsUpdated]);
    assert!(events[2].worker_may_ignore);
    let Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(told)) = &events[2].attributes else {
        panic!()
    };
    assert_eq!((&told.priority, told.identity.as_str()), (&priority(1).priority, "operator"));
    assert!(told.unset_versioning_override);
    let info = flow.describe().await.workflow_execution_info.unwrap();
    assert_eq!(info.priority, priority(1).priority);
    let auto = overridden(Override::AutoUpgrade(true));
    let both = WorkflowExecutionOptions { versioning_override: auto.versioning_override.clone(), ..priority(1) };
    assert_eq!(update(&flow, &["versioning_override"], auto).await.unwrap(), both);
    let info = flow.describe().await.workflow_execution_info.unwrap();
    assert!(info.versioning_info.unwrap().versioning_override.is_some());
    let none = WorkflowExecutionOptions::default();
    assert_eq!(update(&flow, &["versioning_override"], none).await.unwrap(), priority(1));
    // The workflow task that waited is still to be had.
    let task = flow.task().await;
    flow.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn while_a_worker_decides() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    flow.start().await;
    let task = flow.task().await;
    update(&flow, &["priority"], priority(2)).await.unwrap();
    flow.complete(&task, vec![schedule(activity("a", &flow.queue, 1))]).await.unwrap();
    use EventType as E;
    let kinds = flow.kinds().await;
    let expected = [E::ActivityTaskScheduled, E::WorkflowExecutionOptionsUpdated, E::WorkflowTaskScheduled];
    assert_eq!(kinds[4..], expected);
    flow.activity().await;
    server.stop().await;
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let none = WorkflowExecutionOptions::default;
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(update(&flow, &["priority"], priority(1)).await, Code::NotFound, "NotFoundFailure", &text);
    flow.start().await;
    let base = request(&flow, &["priority"], priority(1));
    let unnamed = ws::UpdateWorkflowExecutionOptionsRequest { workflow_execution: None, ..base.clone() };
    let unmasked = ws::UpdateWorkflowExecutionOptionsRequest { update_mask: None, ..base.clone() };
    let empty = ws::UpdateWorkflowExecutionOptionsRequest { workflow_execution_options: None, ..base.clone() };
    let odd = ws::UpdateWorkflowExecutionOptionsRequest { workflow_execution: execution(&flow.id, "x"), ..base };
    for (request, text) in [
        (unnamed, "WorkflowId is not set on request."),
        (unmasked, "UpdateMask is required"),
        (empty, "WorkflowExecutionOptions is required"),
        (odd, "RunId is not valid UUID."),
        (request(&flow, &["priority"], priority(-1)), "priority key can't be negative"),
        (
            request(&flow, &["versioning_override.behavior"], none()),
            "error applying update_options: versioning_override fields must be updated together",
        ),
        (request(&flow, &["priority"], overridden(Override::AutoUpgrade(false))), "auto-upgrade override must be true"),
    ] {
        refused(send(&flow, request).await, Code::InvalidArgument, "", text);
    }
    // The protobuf library of Temporal writes one kind of space or another, so that nobody relies on its texts.
    let bogus = send(&flow, request(&flow, &["bogus"], none())).await.unwrap_err();
    let text = "error parsing UpdateMask: proto: invalid path \"bogus\" for message \
                \"temporal.api.workflow.v1.WorkflowExecutionOptions\"";
    assert_eq!((bogus.code(), bogus.message().replace('\u{a0}', " ").as_str()), (Code::InvalidArgument, text));
    let version = Some(WorkerDeploymentVersion { deployment_name: "d".to_owned(), build_id: "b".to_owned() });
    let pinned = |version| overridden(Override::Pinned(PinnedOverride { behavior: 1, version }));
    let text = format!("Pinned version 'd:b' is not present in task queue '{}' of type 'Workflow'", flow.queue);
    let answer = update(&flow, &["versioning_override"], pinned(version)).await;
    refused(answer, Code::FailedPrecondition, "", &text);
    let text = format!(
        "must specify a specific pinned override version because workflow with id {} has behavior Unspecified and is \
         not yet pinned to any version",
        flow.id
    );
    let answer = update(&flow, &["versioning_override"], pinned(None)).await;
    refused(answer, Code::FailedPrecondition, "", &text);
    let skipping = WorkflowExecutionOptions { time_skipping_config: Some(Default::default()), ..Default::default() };
    let text = "The Time-Skipping feature is not enabled for namespace.";
    refused(update(&flow, &["time_skipping_config"], skipping).await, Code::Unimplemented, "", text);
    flow.terminate().await;
    let answer = update(&flow, &["priority"], priority(1)).await;
    refused(answer, Code::NotFound, "NotFoundFailure", "workflow execution already completed");
    server.stop().await;
}
