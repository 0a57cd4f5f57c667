//! Changes of the memo.

use perdure_proto::api::{
    command::ModifyWorkflowPropertiesCommandAttributes,
    enums::WorkflowTaskFailedCause,
    history::{WorkflowPropertiesModifiedEventAttributes, history_event::Attributes},
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome};
use crate::workflow::draft::EventExtras;

impl Commands<'_, '_, '_, '_> {
    pub(super) fn modify_properties(
        &mut self,
        command: ModifyWorkflowPropertiesCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        let cause = WorkflowTaskFailedCause::BadModifyWorkflowPropertiesAttributes;
        let Some(memo) = command.upserted_memo else {
            return Err(CommandFailure::fail(cause, "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand."));
        };
        if memo.fields.is_empty() {
            return Err(CommandFailure::fail(
                cause,
                "UpsertedMemo.Fields is not set on ModifyWorkflowPropertiesCommand.",
            ));
        }
        let attributes = WorkflowPropertiesModifiedEventAttributes {
            workflow_task_completed_event_id: self.completed_event_id,
            upserted_memo: Some(memo),
        };
        self.draft.emit_with(Attributes::WorkflowPropertiesModifiedEventAttributes(attributes), extras);
        if self.draft.state.memo.encoded_len() > self.draft.env.limits().memo_size_max {
            let text = "ModifyWorkflowPropertiesCommandAttributes. Memo exceeds size limit.".to_owned();
            return Err(CommandFailure::EndRun { cause, text });
        }
        Ok(())
    }
}
