//! What workers say about their version.

use perdure_kernel::{ErrorKind, Limits, ServiceError, ServiceResult};
use perdure_proto::api::{deployment::WorkerDeploymentOptions, enums::WorkerVersioningMode, taskqueue::TaskQueue};

use super::{invalid, task_queues::is_sticky};

/// Bytes of a build id (`limit.workerBuildIdSize`).
const BUILD_ID_LENGTH_MAX: usize = 255;
/// What Temporal puts before a deployment version in the id of its system workflow; names must leave room.
const VERSION_ID_OVERHEAD: usize = 39;

/// Checks a worker's build id and deployment against the queue it polls.
pub(crate) fn check(
    build_id: &str,
    use_versioning: bool,
    deployment: Option<&WorkerDeploymentOptions>,
    queue: Option<&TaskQueue>,
    limits: &Limits,
) -> ServiceResult<()> {
    if use_versioning {
        return Err(ServiceError::new(
            ErrorKind::PermissionDenied,
            "Worker versioning in workflow progress APIs is disabled on this namespace.",
        ));
    }
    if deployment.is_some() && queue.is_some_and(|queue| is_sticky(queue) && queue.normal_name.is_empty()) {
        return Err(invalid(
            "NormalName must be set on sticky queue when UseVersioning is true or DeploymentOptions are set.",
        ));
    }
    if build_id.len() > BUILD_ID_LENGTH_MAX {
        return Err(invalid("Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID."));
    }
    let Some(deployment) = deployment else { return Ok(()) };
    if deployment.worker_versioning_mode != i32::from(WorkerVersioningMode::Versioned) {
        return Ok(());
    }
    if deployment.deployment_name.is_empty() || deployment.build_id.is_empty() {
        return Err(invalid("Deployment name and build id must be set together."));
    }
    check_field("WorkerDeploymentName", &deployment.deployment_name, limits)?;
    check_field("BuildID", &deployment.build_id, limits)
}

fn check_field(field: &str, value: &str, limits: &Limits) -> ServiceResult<()> {
    if value.len() > limits.id_length_max.saturating_sub(VERSION_ID_OVERHEAD) / 2 {
        return Err(invalid(format!("size of {field} larger than the maximum allowed")));
    }
    if field == "WorkerDeploymentName" {
        for separator in ['.', ':'] {
            if value.contains(separator) {
                return Err(invalid(format!("worker deployment name cannot contain '{separator}'")));
            }
        }
    }
    if value.starts_with("__") {
        return Err(invalid(format!("{field} cannot start with '__'")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use perdure_proto::api::enums::TaskQueueKind;

    use super::*;

    fn text(
        build_id: &str,
        use_versioning: bool,
        deployment: Option<(&str, &str)>,
        queue: Option<TaskQueue>,
    ) -> String {
        let deployment = deployment.map(|(name, build)| WorkerDeploymentOptions {
            deployment_name: name.into(),
            build_id: build.into(),
            worker_versioning_mode: WorkerVersioningMode::Versioned.into(),
        });
        let result = check(build_id, use_versioning, deployment.as_ref(), queue.as_ref(), &Limits::default());
        result.err().map(|error| error.message.into_owned()).unwrap_or_default()
    }

    #[test]
    fn workers() {
        let sticky = TaskQueue { name: "s".into(), kind: TaskQueueKind::Sticky.into(), normal_name: String::new() };
        let long = "x".repeat(481);
        for (actual, expected) in [
            (text("b", false, None, None), ""),
            (text("b", false, Some(("d", "b")), None), ""),
            (text("b", true, None, None), "Worker versioning in workflow progress APIs is disabled on this namespace."),
            (
                text("", false, Some(("d", "b")), Some(sticky)),
                "NormalName must be set on sticky queue when UseVersioning is true or DeploymentOptions are set.",
            ),
            (
                text(&"x".repeat(256), false, None, None),
                "Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.",
            ),
            (text("", false, Some(("d", "")), None), "Deployment name and build id must be set together."),
            (text("", false, Some((&long, "b")), None), "size of WorkerDeploymentName larger than the maximum allowed"),
            (text("", false, Some(("d", &long)), None), "size of BuildID larger than the maximum allowed"),
            (text("", false, Some(("a.b", "b")), None), "worker deployment name cannot contain '.'"),
            (text("", false, Some(("a:b", "b")), None), "worker deployment name cannot contain ':'"),
            (text("", false, Some(("__d", "b")), None), "WorkerDeploymentName cannot start with '__'"),
            (text("", false, Some(("d", "__b")), None), "BuildID cannot start with '__'"),
        ] {
            assert_eq!(actual, expected);
        }
    }
}
