//! Namespaces other than the workflow's own.

use std::{collections::BTreeMap, sync::Arc};

use perdure_kernel::{ErrorKind, Namespace, ServiceError};
use perdure_proto::api::{
    command::{Command, command::Attributes},
    enums::WorkflowTaskFailedCause,
};

use super::{CommandFailure, Commands};

/// Other namespaces that the commands of an answer name, by name. What is not here does not exist.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(BTreeMap<String, Arc<Namespace>>);

impl Neighbours {
    /// These.
    pub fn over(namespaces: impl IntoIterator<Item = Arc<Namespace>>) -> Self {
        Self(namespaces.into_iter().map(|namespace| (namespace.name.clone(), namespace)).collect())
    }

    /// Those that commands of a workflow in the namespace `own` name. `find` looks a namespace up by its name.
    pub fn of(commands: &[Command], own: &str, find: impl Fn(&str) -> Option<Arc<Namespace>>) -> Self {
        let foreign = commands.iter().filter_map(named).filter(|name| !name.is_empty() && *name != own);
        Self(foreign.filter_map(|name| Some((name.to_owned(), find(name)?))).collect())
    }
}

/// The namespace that a command names.
fn named(command: &Command) -> Option<&str> {
    match command.attributes.as_ref()? {
        Attributes::StartChildWorkflowExecutionCommandAttributes(start) => Some(&start.namespace),
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(signal) => Some(&signal.namespace),
        Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(cancel) => Some(&cancel.namespace),
        Attributes::ScheduleActivityTaskCommandAttributes(_)
        | Attributes::StartTimerCommandAttributes(_)
        | Attributes::CompleteWorkflowExecutionCommandAttributes(_)
        | Attributes::FailWorkflowExecutionCommandAttributes(_)
        | Attributes::RequestCancelActivityTaskCommandAttributes(_)
        | Attributes::CancelTimerCommandAttributes(_)
        | Attributes::CancelWorkflowExecutionCommandAttributes(_)
        | Attributes::RecordMarkerCommandAttributes(_)
        | Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(_)
        | Attributes::UpsertWorkflowSearchAttributesCommandAttributes(_)
        | Attributes::ModifyWorkflowPropertiesCommandAttributes(_)
        | Attributes::ProtocolMessageCommandAttributes(_)
        | Attributes::ScheduleNexusOperationCommandAttributes(_)
        | Attributes::RequestCancelNexusOperationCommandAttributes(_) => None,
    }
}

impl Commands<'_, '_, '_, '_> {
    /// The namespace that a command acts on; `None` for the workflow's own. Others are refused unless the
    /// cluster allows them.
    pub(super) fn target_namespace(
        &self,
        cause: WorkflowTaskFailedCause,
        name: &str,
    ) -> Result<Option<Arc<Namespace>>, CommandFailure> {
        let own = self.draft.env.namespace;
        if name.is_empty() || name == own.name {
            return Ok(None);
        }
        let Some(namespace) = self.neighbours.0.get(name) else {
            let kind = ErrorKind::NamespaceNotFound { namespace: name.to_owned() };
            let text = format!("Namespace {name} is not found.");
            return Err(CommandFailure::Reject(ServiceError::new(kind, text)));
        };
        if !own.limits.cross_namespace_commands {
            return Err(CommandFailure::fail(cause, "cross namespace commands are not allowed"));
        }
        Ok(Some(Arc::clone(namespace)))
    }
}
