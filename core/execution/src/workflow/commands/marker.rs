//! Markers: what a worker writes down for its own replay.

use perdure_proto::api::{
    command::RecordMarkerCommandAttributes,
    enums::WorkflowTaskFailedCause,
    history::{MarkerRecordedEventAttributes, history_event::Attributes},
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::draft::EventExtras;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn record_marker(&mut self, command: RecordMarkerCommandAttributes, extras: EventExtras) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadRecordMarkerAttributes;
        if command.marker_name.is_empty() {
            return Err(CommandFailure::fail(cause, "MarkerName is not set on RecordMarkerCommand."));
        }
        self.require_length(cause, "MarkerName", "RecordMarkerCommand", &command.marker_name)?;
        let size = command.details.iter().map(|(key, value)| key.len() + value.encoded_len()).sum();
        self.require_blob(cause, size, "RecordMarkerCommandAttributes.Details")?;
        let attributes = MarkerRecordedEventAttributes {
            marker_name: command.marker_name,
            details: command.details,
            workflow_task_completed_event_id: self.completed_event_id,
            header: command.header,
            failure: command.failure,
        };
        self.draft.emit_with(Attributes::MarkerRecordedEventAttributes(attributes), extras);
        Ok(())
    }
}
