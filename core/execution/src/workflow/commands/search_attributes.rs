//! Changes of search attributes.

use perdure_proto::api::{
    command::UpsertWorkflowSearchAttributesCommandAttributes,
    common::SearchAttributes,
    enums::WorkflowTaskFailedCause,
    history::{UpsertWorkflowSearchAttributesEventAttributes, history_event::Attributes},
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::draft::EventExtras;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn upsert_search_attributes(
        &mut self,
        command: UpsertWorkflowSearchAttributesCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadSearchAttributes;
        let Some(mut attributes) = command.search_attributes else {
            return Err(CommandFailure::fail(
                cause,
                "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.",
            ));
        };
        if attributes.indexed_fields.is_empty() {
            return Err(CommandFailure::fail(
                cause,
                "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.",
            ));
        }
        self.require_search_attributes(&attributes)?;
        perdure_kernel::search_attributes::add_types(&mut attributes, self.draft.env.namespace);
        let event = UpsertWorkflowSearchAttributesEventAttributes {
            workflow_task_completed_event_id: self.completed_event_id,
            search_attributes: Some(attributes),
        };
        self.draft.emit_with(Attributes::UpsertWorkflowSearchAttributesEventAttributes(event), extras);
        let total = self.draft.state.search_attributes.encoded_len();
        if total > self.draft.env.limits().search_attribute_total_size_max {
            let text = "UpsertWorkflowSearchAttributesCommandAttributes exceeds size limit.".to_owned();
            return Err(CommandFailure::EndRun { cause, text });
        }
        Ok(())
    }

    /// Names must be known, types must match, values must fit.
    pub(super) fn require_search_attributes(&self, attributes: &SearchAttributes) -> Outcome {
        perdure_kernel::search_attributes::check(Some(attributes), self.draft.env.namespace).map_err(|error| {
            CommandFailure::fail(WorkflowTaskFailedCause::BadSearchAttributes, error.message.into_owned())
        })
    }
}
