//! What a worker can decide: one file per command.
//!
//! A command either changes the draft or fails; the first failure undoes all of them. The names of the
//! failure causes are what users see in their histories, so each check says which one it is.

mod activity;
pub(crate) mod activity_options;
mod child;
mod child_options;
mod close;
mod continue_as_new;
mod external_cancel;
mod external_signal;
mod marker;
mod message;
mod neighbours;
mod properties;
mod search_attributes;
mod timer;

use std::time::Duration;

use perdure_kernel::{ServiceError, time::span};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        command::{Command, command::Attributes},
        enums::{CommandType, WorkflowTaskFailedCause},
        protocol::Message,
        workflowservice::RespondWorkflowTaskCompletedRequest,
    },
};

use self::message::Messages;
pub use self::neighbours::Neighbours;
use super::draft::{Draft, EventExtras};

/// Why commands were not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandFailure {
    /// The worker's request makes no sense: it is refused, the workflow task stays as it is.
    Reject(ServiceError),
    /// The workflow task fails; the worker may do better next time.
    FailTask {
        /// For the history.
        cause: WorkflowTaskFailedCause,
        /// For the person who reads it; may be empty.
        text: String,
    },
    /// The workflow task fails and the run ends with it: trying again cannot help.
    EndRun {
        /// For the history.
        cause: WorkflowTaskFailedCause,
        /// For the person who reads it.
        text: String,
    },
}

impl CommandFailure {
    /// [`CommandFailure::FailTask`].
    pub(crate) fn fail(cause: WorkflowTaskFailedCause, text: impl Into<String>) -> Self {
        Self::FailTask { cause, text: text.into() }
    }
}

/// The outcome of one command.
type Outcome = Result<(), CommandFailure>;

/// The commands of one answer, being carried out.
pub(crate) struct Commands<'r, 'd, 'a, 'e> {
    draft: &'r mut Draft<'a, 'e>,
    request: &'d RespondWorkflowTaskCompletedRequest,
    /// Other namespaces that commands name.
    neighbours: &'d Neighbours,
    /// Id of the workflow task's completed event, which every event made here refers to.
    completed_event_id: i64,
    /// Events wait that the worker has not seen: it may not close the workflow over them.
    had_buffered: bool,
    /// Activities that the answering worker wants to run itself.
    eager_activities: Vec<i64>,
    /// What the worker says of updates.
    messages: Messages,
    /// An activity was cancelled before it started: the workflow must hear of it.
    wake: bool,
}

impl<'r, 'd, 'a, 'e> Commands<'r, 'd, 'a, 'e> {
    pub(crate) fn new(
        draft: &'r mut Draft<'a, 'e>,
        request: &'d RespondWorkflowTaskCompletedRequest,
        neighbours: &'d Neighbours,
        completed_event_id: i64,
        had_buffered: bool,
    ) -> Self {
        Self {
            draft,
            request,
            neighbours,
            completed_event_id,
            had_buffered,
            eager_activities: Vec::new(),
            messages: Messages::default(),
            wake: false,
        }
    }

    /// Starts activities for the answering worker. Returns them, and whether the workflow must be woken.
    pub(crate) fn finish(self) -> (Vec<i64>, bool) {
        let Self { draft, request, mut eager_activities, wake, had_buffered, .. } = self;
        // Only now: a later command may have cancelled the activity or closed the run.
        eager_activities.retain(|id| draft.start_eagerly(*id, request));
        (eager_activities, wake || had_buffered)
    }

    /// Carries out commands in order, then the messages that none of them named, up to the first failure.
    pub(crate) fn handle_all(&mut self, commands: Vec<Command>, messages: Vec<Message>) -> Outcome {
        if let Some(index) = commands.iter().position(closes)
            && index + 1 < commands.len()
        {
            let kinds: Vec<String> = commands.iter().map(|command| format!("{:?}", command.command_type())).collect();
            return Err(CommandFailure::Reject(ServiceError::invalid_argument(format!(
                "invalid command sequence: [{}], command {} must be the last command.",
                kinds.join(", "),
                kinds[index]
            ))));
        }
        self.messages = Messages::new(messages);
        commands.into_iter().try_for_each(|command| self.handle(command))?;
        self.other_messages()
    }

    fn handle(&mut self, command: Command) -> Outcome {
        let kind = command.command_type();
        let extras = EventExtras {
            user_metadata: command.user_metadata,
            group_markers: command.event_group_markers,
            ..EventExtras::default()
        };
        let fitting = command.attributes.filter(|attributes| kind_of(attributes) == kind);
        let Some(attributes) = fitting else { return Err(missing_attributes(kind)) };
        match attributes {
            Attributes::ScheduleActivityTaskCommandAttributes(schedule) => self.schedule_activity(schedule, extras),
            Attributes::RequestCancelActivityTaskCommandAttributes(cancel) => self.cancel_activity(&cancel, extras),
            Attributes::StartTimerCommandAttributes(start) => self.start_timer(start, extras),
            Attributes::CancelTimerCommandAttributes(cancel) => self.cancel_timer(cancel, extras),
            Attributes::CompleteWorkflowExecutionCommandAttributes(complete) => self.complete(complete, extras),
            Attributes::FailWorkflowExecutionCommandAttributes(fail) => self.fail(fail, extras),
            Attributes::CancelWorkflowExecutionCommandAttributes(cancel) => self.cancel(cancel, extras),
            Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(next) => self.continue_as_new(next, extras),
            Attributes::RecordMarkerCommandAttributes(marker) => self.record_marker(marker, extras),
            Attributes::UpsertWorkflowSearchAttributesCommandAttributes(upsert) => {
                self.upsert_search_attributes(upsert, extras)
            }
            Attributes::ModifyWorkflowPropertiesCommandAttributes(modify) => self.modify_properties(modify, extras),
            Attributes::StartChildWorkflowExecutionCommandAttributes(start) => self.start_child(start, extras),
            Attributes::SignalExternalWorkflowExecutionCommandAttributes(signal) => {
                self.signal_external(signal, extras)
            }
            Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(cancel) => {
                self.cancel_external(cancel, extras)
            }
            Attributes::ProtocolMessageCommandAttributes(message) => self.protocol_message(&message),
            Attributes::ScheduleNexusOperationCommandAttributes(_)
            | Attributes::RequestCancelNexusOperationCommandAttributes(_) => Err(not_served(kind)),
        }
    }

    /// The limit on ids and names, as an error text's tail.
    fn require_length(&self, cause: WorkflowTaskFailedCause, field: &str, command: &str, value: &str) -> Outcome {
        let limit = self.draft.env.limits().id_length_max;
        if value.len() <= limit {
            return Ok(());
        }
        let text =
            format!("{field} on {command} exceeds length limit. {field}={value} Length={} Limit={limit}", value.len());
        Err(CommandFailure::fail(cause, text))
    }

    /// The limit on things under way. A limit of 0 is none.
    fn require_room(&self, cause: WorkflowTaskFailedCause, what: &str, count: usize, limit: usize) -> Outcome {
        if limit == 0 || count < limit {
            return Ok(());
        }
        let text = format!("the number of {what}, {count}, has reached the per-workflow limit of {limit}");
        Err(CommandFailure::fail(cause, text))
    }

    /// The limit on payloads: a worker that breaks it will break it again, so the run ends.
    fn require_blob(&self, cause: WorkflowTaskFailedCause, size: usize, what: &str) -> Outcome {
        if size <= self.draft.env.limits().blob_size_max {
            return Ok(());
        }
        Err(CommandFailure::EndRun { cause, text: format!("{what} exceeds size limit.") })
    }
}

/// Whether a command closes the run.
fn closes(command: &Command) -> bool {
    matches!(
        command.command_type(),
        CommandType::CompleteWorkflowExecution
            | CommandType::FailWorkflowExecution
            | CommandType::CancelWorkflowExecution
            | CommandType::ContinueAsNewWorkflowExecution
    )
}

/// The type of command that attributes belong to.
fn kind_of(attributes: &Attributes) -> CommandType {
    match attributes {
        Attributes::ScheduleActivityTaskCommandAttributes(_) => CommandType::ScheduleActivityTask,
        Attributes::RequestCancelActivityTaskCommandAttributes(_) => CommandType::RequestCancelActivityTask,
        Attributes::StartTimerCommandAttributes(_) => CommandType::StartTimer,
        Attributes::CancelTimerCommandAttributes(_) => CommandType::CancelTimer,
        Attributes::CompleteWorkflowExecutionCommandAttributes(_) => CommandType::CompleteWorkflowExecution,
        Attributes::FailWorkflowExecutionCommandAttributes(_) => CommandType::FailWorkflowExecution,
        Attributes::CancelWorkflowExecutionCommandAttributes(_) => CommandType::CancelWorkflowExecution,
        Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(_) => CommandType::ContinueAsNewWorkflowExecution,
        Attributes::RecordMarkerCommandAttributes(_) => CommandType::RecordMarker,
        Attributes::UpsertWorkflowSearchAttributesCommandAttributes(_) => CommandType::UpsertWorkflowSearchAttributes,
        Attributes::ModifyWorkflowPropertiesCommandAttributes(_) => CommandType::ModifyWorkflowProperties,
        Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(_) => {
            CommandType::RequestCancelExternalWorkflowExecution
        }
        Attributes::StartChildWorkflowExecutionCommandAttributes(_) => CommandType::StartChildWorkflowExecution,
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(_) => CommandType::SignalExternalWorkflowExecution,
        Attributes::ProtocolMessageCommandAttributes(_) => CommandType::ProtocolMessage,
        Attributes::ScheduleNexusOperationCommandAttributes(_) => CommandType::ScheduleNexusOperation,
        Attributes::RequestCancelNexusOperationCommandAttributes(_) => CommandType::RequestCancelNexusOperation,
    }
}

/// A duration from a worker: negative ones are refused with Temporal's words, over-long ones are cut.
pub(crate) fn duration(value: Option<&ProtoDuration>, max: Duration) -> Result<Duration, &'static str> {
    let negative = value.is_some_and(|value| value.seconds < 0 || value.nanos < 0);
    if negative { Err("negative duration") } else { Ok(span(value).min(max)) }
}

/// A command without its attributes, or with those of another.
fn missing_attributes(kind: CommandType) -> CommandFailure {
    use WorkflowTaskFailedCause as Cause;
    let cause = match kind {
        CommandType::ScheduleActivityTask => Cause::BadScheduleActivityAttributes,
        CommandType::RequestCancelActivityTask => Cause::BadRequestCancelActivityAttributes,
        CommandType::StartTimer => Cause::BadStartTimerAttributes,
        CommandType::CancelTimer => Cause::BadCancelTimerAttributes,
        CommandType::CompleteWorkflowExecution => Cause::BadCompleteWorkflowExecutionAttributes,
        CommandType::FailWorkflowExecution => Cause::BadFailWorkflowExecutionAttributes,
        CommandType::CancelWorkflowExecution => Cause::BadCancelWorkflowExecutionAttributes,
        CommandType::ContinueAsNewWorkflowExecution => Cause::BadContinueAsNewAttributes,
        CommandType::RecordMarker => Cause::BadRecordMarkerAttributes,
        CommandType::UpsertWorkflowSearchAttributes => Cause::BadSearchAttributes,
        CommandType::ModifyWorkflowProperties => Cause::BadModifyWorkflowPropertiesAttributes,
        CommandType::StartChildWorkflowExecution => Cause::BadStartChildExecutionAttributes,
        CommandType::SignalExternalWorkflowExecution => Cause::BadSignalWorkflowExecutionAttributes,
        CommandType::RequestCancelExternalWorkflowExecution => {
            Cause::BadRequestCancelExternalWorkflowExecutionAttributes
        }
        CommandType::ProtocolMessage => Cause::BadUpdateWorkflowExecutionMessage,
        CommandType::Unspecified | CommandType::ScheduleNexusOperation | CommandType::RequestCancelNexusOperation => {
            let text = format!("Unknown command type: {kind:?}");
            return CommandFailure::Reject(ServiceError::invalid_argument(text));
        }
    };
    CommandFailure::fail(cause, format!("{kind:?}CommandAttributes is not set on {kind:?}Command."))
}

/// A command of a capability that this server does not have yet.
fn not_served(kind: CommandType) -> CommandFailure {
    let text = format!("command {kind:?} is not served by this server yet; see docs/compatibility.md");
    CommandFailure::fail(WorkflowTaskFailedCause::FeatureDisabled, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Holds the table of commands in `docs/compatibility.md` against the code.
    #[test]
    fn the_document_says_which_commands_are_served() {
        let document = include_str!("../../../../../docs/compatibility.md");
        let table = document.split_once("\n## Commands\n").unwrap().1.split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
        let mut documented: Vec<String> = rows.map(str::to_owned).collect();
        let kinds = (1..=i32::from(u8::MAX)).filter_map(|number| CommandType::try_from(number).ok());
        let mut known: Vec<String> = kinds
            .map(|kind| match missing_attributes(kind) {
                CommandFailure::Reject(_) => format!("| {kind:?} | not served |"),
                CommandFailure::FailTask { .. } | CommandFailure::EndRun { .. } => format!("| {kind:?} | served |"),
            })
            .collect();
        documented.sort();
        known.sort();
        assert_eq!(documented, known);
    }
}
