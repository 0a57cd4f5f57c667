//! The event type that goes with each kind of attributes.

use perdure_proto::api::{enums::EventType, history::history_event::Attributes};

macro_rules! kinds {
    ($($name:ident $attributes:ident,)*) => {
        /// The event type of `attributes`.
        pub(crate) fn event_type(attributes: &Attributes) -> EventType {
            match attributes { $(Attributes::$attributes(_) => EventType::$name,)* }
        }
    };
}

kinds! {
    ActivityPropertiesModifiedExternally ActivityPropertiesModifiedExternallyEventAttributes,
    ActivityTaskCancelRequested ActivityTaskCancelRequestedEventAttributes,
    ActivityTaskCanceled ActivityTaskCanceledEventAttributes,
    ActivityTaskCompleted ActivityTaskCompletedEventAttributes,
    ActivityTaskFailed ActivityTaskFailedEventAttributes,
    ActivityTaskScheduled ActivityTaskScheduledEventAttributes,
    ActivityTaskStarted ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOut ActivityTaskTimedOutEventAttributes,
    ChildWorkflowExecutionCanceled ChildWorkflowExecutionCanceledEventAttributes,
    ChildWorkflowExecutionCompleted ChildWorkflowExecutionCompletedEventAttributes,
    ChildWorkflowExecutionFailed ChildWorkflowExecutionFailedEventAttributes,
    ChildWorkflowExecutionStarted ChildWorkflowExecutionStartedEventAttributes,
    ChildWorkflowExecutionTerminated ChildWorkflowExecutionTerminatedEventAttributes,
    ChildWorkflowExecutionTimedOut ChildWorkflowExecutionTimedOutEventAttributes,
    ExternalWorkflowExecutionCancelRequested ExternalWorkflowExecutionCancelRequestedEventAttributes,
    ExternalWorkflowExecutionSignaled ExternalWorkflowExecutionSignaledEventAttributes,
    MarkerRecorded MarkerRecordedEventAttributes,
    NexusOperationCancelRequestCompleted NexusOperationCancelRequestCompletedEventAttributes,
    NexusOperationCancelRequestFailed NexusOperationCancelRequestFailedEventAttributes,
    NexusOperationCancelRequested NexusOperationCancelRequestedEventAttributes,
    NexusOperationCanceled NexusOperationCanceledEventAttributes,
    NexusOperationCompleted NexusOperationCompletedEventAttributes,
    NexusOperationFailed NexusOperationFailedEventAttributes,
    NexusOperationScheduled NexusOperationScheduledEventAttributes,
    NexusOperationStarted NexusOperationStartedEventAttributes,
    NexusOperationTimedOut NexusOperationTimedOutEventAttributes,
    RequestCancelExternalWorkflowExecutionFailed RequestCancelExternalWorkflowExecutionFailedEventAttributes,
    RequestCancelExternalWorkflowExecutionInitiated RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionFailed SignalExternalWorkflowExecutionFailedEventAttributes,
    SignalExternalWorkflowExecutionInitiated SignalExternalWorkflowExecutionInitiatedEventAttributes,
    StartChildWorkflowExecutionFailed StartChildWorkflowExecutionFailedEventAttributes,
    StartChildWorkflowExecutionInitiated StartChildWorkflowExecutionInitiatedEventAttributes,
    TimerCanceled TimerCanceledEventAttributes,
    TimerFired TimerFiredEventAttributes,
    TimerStarted TimerStartedEventAttributes,
    UpsertWorkflowSearchAttributes UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowExecutionCancelRequested WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionCanceled WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionCompleted WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionContinuedAsNew WorkflowExecutionContinuedAsNewEventAttributes,
    WorkflowExecutionFailed WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionOptionsUpdated WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionPaused WorkflowExecutionPausedEventAttributes,
    WorkflowExecutionSignaled WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStarted WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionTerminated WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimeSkippingTransitioned WorkflowExecutionTimeSkippingTransitionedEventAttributes,
    WorkflowExecutionTimedOut WorkflowExecutionTimedOutEventAttributes,
    WorkflowExecutionUnpaused WorkflowExecutionUnpausedEventAttributes,
    WorkflowExecutionUpdateAccepted WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowExecutionUpdateAdmitted WorkflowExecutionUpdateAdmittedEventAttributes,
    WorkflowExecutionUpdateCompleted WorkflowExecutionUpdateCompletedEventAttributes,
    WorkflowExecutionUpdateRejected WorkflowExecutionUpdateRejectedEventAttributes,
    WorkflowPropertiesModified WorkflowPropertiesModifiedEventAttributes,
    WorkflowPropertiesModifiedExternally WorkflowPropertiesModifiedExternallyEventAttributes,
    WorkflowTaskCompleted WorkflowTaskCompletedEventAttributes,
    WorkflowTaskFailed WorkflowTaskFailedEventAttributes,
    WorkflowTaskScheduled WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStarted WorkflowTaskStartedEventAttributes,
    WorkflowTaskTimedOut WorkflowTaskTimedOutEventAttributes,
}
