//! Requests of workers.

use perdure_proto::api::{
    common::WorkerVersionCapabilities, deployment::WorkerDeploymentOptions, enums::WorkerVersioningMode,
    workflowservice as ws,
};
use tonic::Code::{FailedPrecondition, PermissionDenied};

use crate::rpc::{Case, Rpc, case, invalid, long, queue};

pub(crate) fn poll_cases() -> Vec<Case> {
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

/// What Temporal refuses by default but its development server allows.
pub(crate) fn old_versioning_cases() -> Vec<Case> {
    let capabilities = WorkerVersionCapabilities { build_id: "b".into(), use_versioning: true, ..Default::default() };
    #[expect(deprecated, reason = "older workers still send it")]
    let poll = ws::PollWorkflowTaskQueueRequest {
        namespace: "default".into(),
        task_queue: queue("q"),
        worker_version_capabilities: Some(capabilities),
        ..Default::default()
    };
    vec![case(
        Rpc::PollWorkflow(Some(60), Box::new(poll)),
        PermissionDenied,
        "PermissionDeniedFailure",
        "Worker versioning in workflow progress APIs is disabled on this namespace.",
    )]
}

pub(crate) fn by_id_cases() -> Vec<Case> {
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
