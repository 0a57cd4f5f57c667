//! Field masks of requests.

use std::collections::BTreeSet;

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

/// The paths of a mask, in their JSON form (`retryPolicy.initialInterval`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(BTreeSet<String>);

impl Paths {
    /// A mask as a request carries it: paths in either case.
    pub fn of(mask: &FieldMask) -> Self {
        Self(mask.paths.iter().map(|path| json_path(path)).collect())
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names exactly `path`.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether it names a field of `message`, but not `message` itself.
    pub fn has_part_of(&self, message: &str) -> bool {
        self.0.iter().any(|path| path.strip_prefix(message).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// `retry_policy.initial_interval` as JSON names it. A path that is so named already stays as it is.
pub fn json_path(path: &str) -> String {
    let segment = |segment: &str| {
        let mut words = segment.split('_');
        let mut camel = lower_first(words.next().unwrap_or_default());
        words.for_each(|word| camel.push_str(&title(&word.to_lowercase())));
        camel
    };
    path.split('.').map(segment).collect::<Vec<_>>().join(".")
}

fn lower_first(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

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

    #[test]
    fn paths_in_either_case() {
        for (path, expected) in [
            ("retry_policy.initial_interval", "retryPolicy.initialInterval"),
            ("retryPolicy.initialInterval", "retryPolicy.initialInterval"),
            ("TaskQueue.name", "taskQueue.name"),
            ("start_TO_close_timeout", "startToCloseTimeout"),
            ("", ""),
            ("_a.", "A."),
        ] {
            assert_eq!(json_path(path), expected);
        }
    }
}
