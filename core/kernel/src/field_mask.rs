//! Field masks of requests.

use perdure_proto::FieldMask;

/// Checks that every path of a mask names a field of `message`. `known` lists the paths there are. The
/// refusal is in the words of Temporal's protobuf library.
pub fn check(mask: &FieldMask, message: &str, known: &[&str]) -> Result<(), String> {
    match mask.paths.iter().find(|path| !known.contains(&path.as_str())) {
        Some(path) => Err(format!("proto: invalid path {path:?} for message {message:?}")),
        None => Ok(()),
    }
}

/// Checks a mask of `temporal.api.workflow.v1.WorkflowExecutionOptions`.
pub fn check_workflow_options(mask: &FieldMask) -> Result<(), String> {
    check(mask, "temporal.api.workflow.v1.WorkflowExecutionOptions", WORKFLOW_OPTIONS)
}

const WORKFLOW_OPTIONS: &[&str] = &[
    "versioning_override",
    "versioning_override.pinned",
    "versioning_override.pinned.behavior",
    "versioning_override.pinned.version",
    "versioning_override.pinned.version.build_id",
    "versioning_override.pinned.version.deployment_name",
    "versioning_override.auto_upgrade",
    "versioning_override.one_time",
    "versioning_override.one_time.target_deployment_version",
    "versioning_override.one_time.target_deployment_version.build_id",
    "versioning_override.one_time.target_deployment_version.deployment_name",
    "versioning_override.behavior",
    "versioning_override.deployment",
    "versioning_override.deployment.series_name",
    "versioning_override.deployment.build_id",
    "versioning_override.pinned_version",
    "priority",
    "priority.priority_key",
    "priority.fairness_key",
    "priority.fairness_weight",
    "time_skipping_config",
    "time_skipping_config.enabled",
    "time_skipping_config.fast_forward_config",
    "time_skipping_config.fast_forward_config.id",
    "time_skipping_config.fast_forward_config.duration",
    "time_skipping_config.fast_forward_config.duration.seconds",
    "time_skipping_config.fast_forward_config.duration.nanos",
    "time_skipping_config.disable_propagation",
    "time_skipping_config.max_session_skip_count",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_are_named() {
        let mask = |paths: &[&str]| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        assert_eq!(check_workflow_options(&mask(&[])), Ok(()));
        assert_eq!(check_workflow_options(&mask(&["priority", "versioning_override.pinned"])), Ok(()));
        for path in ["bogus", "", "priority.", "priority.priorityKey", "Priority", "*", "priority.priority_key.x"] {
            let text = format!(
                "proto: invalid path {path:?} for message \"temporal.api.workflow.v1.WorkflowExecutionOptions\""
            );
            assert_eq!(check_workflow_options(&mask(&["priority", path])), Err(text));
        }
    }
}
