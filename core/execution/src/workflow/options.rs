//! The options of a run that can be changed while it is open: priority and versioning override.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, field_mask};
use perdure_proto::{
    FieldMask,
    api::{
        common::Priority,
        deployment::WorkerDeploymentVersion,
        enums::VersioningBehavior,
        history::{WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
        workflow::{
            VersioningOverride, WorkflowExecutionOptions,
            versioning_override::{Override, PinnedOverride, PinnedOverrideBehavior},
        },
    },
    records,
};

use super::{draft::Draft, draft::EventExtras, state::WorkflowState};

impl WorkflowState {
    /// The run's priority: as it was changed last, or else as the start gave it.
    pub fn priority(&self) -> Option<&Priority> {
        match &self.record.options {
            Some(options) => options.priority.as_ref(),
            None => self.start.priority.as_ref(),
        }
    }

    /// The run's versioning override, in the form that is not deprecated.
    pub fn versioning_override(&self) -> Option<VersioningOverride> {
        match &self.record.options {
            Some(options) => options.versioning_override.clone(),
            None => self.start.versioning_override.clone().map(modern),
        }
    }

    /// The options as a client sees them.
    pub fn options(&self) -> WorkflowExecutionOptions {
        WorkflowExecutionOptions {
            versioning_override: self.versioning_override(),
            priority: self.priority().cloned(),
            ..Default::default()
        }
    }

    /// What an event changes of the options. Doing it twice is the same as once.
    pub(super) fn options_updated(&mut self, updated: &WorkflowExecutionOptionsUpdatedEventAttributes) {
        let overrides = updated.unset_versioning_override || updated.versioning_override.is_some();
        if !overrides && updated.priority.is_none() {
            return;
        }
        let (priority, versioning_override) = (self.priority().cloned(), self.versioning_override());
        let options = self.record.options.get_or_insert(records::WorkflowOptions { priority, versioning_override });
        if overrides {
            let given = updated.versioning_override.clone().filter(|_| !updated.unset_versioning_override);
            options.versioning_override = given.map(modern);
        }
        // An event cannot say that there is no priority any more: without one it says nothing about it.
        if updated.priority.is_some() {
            options.priority.clone_from(&updated.priority);
        }
    }
}

impl Draft<'_, '_> {
    /// Merges the masked fields of `given` into the run's options and writes the event that tells so, if
    /// anything changes. Returns the options as merged, and whether they changed.
    pub(crate) fn merge_options(
        &mut self,
        given: &WorkflowExecutionOptions,
        mask: &FieldMask,
        identity: String,
    ) -> ServiceResult<(WorkflowExecutionOptions, bool)> {
        let before = self.state.options();
        let merged = merge(before.clone(), given, mask)
            .map_err(|why| ServiceError::invalid_argument(format!("error applying update_options: {why}")))?;
        if merged == before {
            return Ok((merged, false));
        }
        self.update_options(
            WorkflowExecutionOptionsUpdatedEventAttributes {
                unset_versioning_override: merged.versioning_override.is_none(),
                versioning_override: merged.versioning_override.clone(),
                identity,
                priority: merged.priority.clone(),
                ..Default::default()
            },
            EventExtras::default(),
        );
        Ok((merged, true))
    }

    /// Writes an event about the run's options. Tasks that wait for a worker are sent again if they would go
    /// elsewhere or in another order now.
    pub(crate) fn update_options(
        &mut self,
        updated: WorkflowExecutionOptionsUpdatedEventAttributes,
        extras: EventExtras,
    ) {
        let resends_activities = updated.unset_versioning_override || updated.versioning_override.is_some();
        let resends_task = updated.priority.is_some() && updated.priority.as_ref() != self.state.priority();
        self.emit_or_buffer(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated), extras);
        if resends_activities {
            let waiting: Vec<i64> = self.state.volatile.attempts.keys().copied().collect();
            for id in waiting {
                self.resend_activity(id);
            }
        }
        if resends_task {
            self.resend_task();
        }
    }
}

/// A priority with what it leaves out taken from `base`.
pub(crate) fn merge_priority(base: Option<&Priority>, own: Option<&Priority>) -> Option<Priority> {
    let (Some(base), Some(own)) = (base, own) else { return own.or(base).cloned() };
    Some(Priority {
        priority_key: if own.priority_key == 0 { base.priority_key } else { own.priority_key },
        fairness_key: if own.fairness_key.is_empty() { &base.fairness_key } else { &own.fairness_key }.clone(),
        fairness_weight: if own.fairness_weight == 0.0 { base.fairness_weight } else { own.fairness_weight },
    })
}

fn merge(
    mut into: WorkflowExecutionOptions,
    from: &WorkflowExecutionOptions,
    mask: &FieldMask,
) -> Result<WorkflowExecutionOptions, String> {
    field_mask::check_workflow_options(mask)?;
    let has = |path: &str| mask.paths.iter().any(|given| given == path);
    let pair = [has("versioning_override.deployment"), has("versioning_override.behavior")];
    if pair[0] != pair[1] {
        return Err("versioning_override fields must be updated together".to_owned());
    }
    if has("versioning_override") || pair[0] {
        into.versioning_override.clone_from(&from.versioning_override);
    }
    let partial = |path: &String| {
        path.starts_with("versioning_override.")
            && path != "versioning_override.deployment"
            && path != "versioning_override.behavior"
    };
    if mask.paths.iter().any(partial) {
        return Err("versioning_override doesn't support partial updates".to_owned());
    }
    if has("priority") {
        into.priority.clone_from(&from.priority);
    }
    let given = from.priority.clone().unwrap_or_default();
    if has("priority.priority_key") {
        into.priority.get_or_insert_default().priority_key = given.priority_key;
    }
    if has("priority.fairness_key") {
        into.priority.get_or_insert_default().fairness_key = given.fairness_key;
    }
    if has("priority.fairness_weight") {
        into.priority.get_or_insert_default().fairness_weight = given.fairness_weight;
    }
    if mask.paths.iter().any(|path| path.starts_with("time_skipping_config.")) {
        return Err("time_skipping_config doesn't support partial update".to_owned());
    }
    Ok(into)
}

/// An override without its deprecated fields.
#[expect(deprecated, reason = "clients may still send them")]
fn modern(given: VersioningOverride) -> VersioningOverride {
    let pinned = |version| {
        let behavior = PinnedOverrideBehavior::Pinned.into();
        Some(Override::Pinned(PinnedOverride { behavior, version: Some(version) }))
    };
    let behavior = given.behavior();
    let chosen = if let Some(version) = version_of(&given.pinned_version) {
        pinned(version)
    } else if let Some(deployment) = given.deployment {
        let (deployment_name, build_id) = (deployment.series_name, deployment.build_id);
        pinned(WorkerDeploymentVersion { deployment_name, build_id })
    } else if behavior == VersioningBehavior::AutoUpgrade {
        Some(Override::AutoUpgrade(true))
    } else {
        given.r#override
    };
    VersioningOverride { r#override: chosen, ..Default::default() }
}

/// The same override with its deprecated fields filled, as describe shows it.
#[expect(deprecated, reason = "clients may still read them")]
pub(super) fn with_deprecated_fields(mut given: VersioningOverride) -> VersioningOverride {
    match &given.r#override {
        Some(Override::AutoUpgrade(true)) => given.behavior = VersioningBehavior::AutoUpgrade.into(),
        Some(Override::Pinned(pinned)) => {
            given.behavior = VersioningBehavior::Pinned.into();
            let version = pinned.version.clone().unwrap_or_default();
            given.pinned_version = format!("{}.{}", version.deployment_name, version.build_id);
        }
        Some(Override::AutoUpgrade(false) | Override::OneTime(_)) | None => {}
    }
    given
}

/// Splits `name.build`.
fn version_of(text: &str) -> Option<WorkerDeploymentVersion> {
    let (deployment_name, build_id) = text.split_once('.')?;
    let (deployment_name, build_id) = (deployment_name.to_owned(), build_id.to_owned());
    Some(WorkerDeploymentVersion { deployment_name, build_id })
}

/// Checks an override that a client asks for. No worker of this server ever registers a deployment version,
/// so none can be pinned to; the deprecated form that names a deployment is taken unchecked, as it always was.
#[expect(deprecated, reason = "clients may still send the old fields")]
pub(crate) fn check_override(state: &WorkflowState, given: Option<&VersioningOverride>) -> ServiceResult<()> {
    let Some(given) = given else { return Ok(()) };
    let invalid = |text: &'static str| Err(ServiceError::invalid_argument(text));
    let absent = |version: &WorkerDeploymentVersion| {
        Err(ServiceError::new(
            ErrorKind::FailedPrecondition,
            format!(
                "Pinned version '{}:{}' is not present in task queue '{}' of type 'Workflow'",
                version.deployment_name,
                version.build_id,
                state.task_queue()
            ),
        ))
    };
    match &given.r#override {
        Some(Override::AutoUpgrade(true)) => return Ok(()),
        Some(Override::AutoUpgrade(false)) => return invalid("auto-upgrade override must be true"),
        Some(Override::Pinned(pinned)) => {
            let Some(version) = &pinned.version else {
                return invalid("must provide version if override is pinned.");
            };
            if pinned.behavior() == PinnedOverrideBehavior::Unspecified {
                return invalid("must specify pinned override behavior if override is pinned.");
            }
            return absent(version);
        }
        Some(Override::OneTime(once)) => {
            let Some(version) = &once.target_deployment_version else {
                return invalid("must provide target deployment version if override is one-time.");
            };
            return absent(version);
        }
        None => {}
    }
    let Ok(behavior) = VersioningBehavior::try_from(given.behavior) else {
        let text = format!("override behavior {} not recognized", given.behavior);
        return Err(ServiceError::invalid_argument(text));
    };
    match behavior {
        VersioningBehavior::Pinned => match (&given.deployment, given.pinned_version.as_str()) {
            (Some(deployment), _) if deployment.series_name.is_empty() => invalid("deployment name cannot be empty"),
            (Some(deployment), _) if deployment.series_name.contains(['.', ':']) => {
                invalid("deployment name cannot contain '.' or ':'")
            }
            (Some(deployment), _) if deployment.build_id.is_empty() => invalid("deployment build ID cannot be empty"),
            (Some(_), _) => Ok(()),
            (None, "") => invalid("must provide deployment (deprecated) or pinned version if behavior is 'PINNED'"),
            (None, text) => match version_of(text) {
                Some(version) => absent(&version),
                None => Err(ServiceError::invalid_argument(format!(
                    "invalid version string {text:?}, expected format is \"<deployment_name>.<build_id>\""
                ))),
            },
        },
        VersioningBehavior::AutoUpgrade if given.deployment.is_some() => {
            invalid("only provide deployment if behavior is 'PINNED'")
        }
        VersioningBehavior::AutoUpgrade if !given.pinned_version.is_empty() => {
            invalid("only provide pinned version if behavior is 'PINNED'")
        }
        VersioningBehavior::AutoUpgrade => Ok(()),
        VersioningBehavior::Unspecified => invalid("override behavior is required"),
    }
}

/// Whether the client wants the run pinned to the version that it is pinned to already.
pub(crate) fn pins_in_place(given: Option<&VersioningOverride>) -> bool {
    match given.and_then(|given| given.r#override.as_ref()) {
        Some(Override::Pinned(pinned)) => {
            pinned.version.is_none() && pinned.behavior() != PinnedOverrideBehavior::Unspecified
        }
        Some(Override::AutoUpgrade(_) | Override::OneTime(_)) | None => false,
    }
}
