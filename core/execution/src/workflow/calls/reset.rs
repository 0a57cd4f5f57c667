//! Somebody wants a workflow to go on from an earlier point.

use std::sync::Arc;

use perdure_kernel::{ExecutionKey, ServiceError, ServiceResult};
use perdure_proto::api::{
    history::{HistoryEvent, history_event::Attributes},
    workflow::{PostResetOperation, post_reset_operation::Variant},
    workflowservice::ResetWorkflowExecutionRequest,
};

use crate::{
    Env,
    workflow::{
        Transition, WorkflowState,
        change::Durability,
        draft::Draft,
        options::check_override,
        reset::pending_task,
        task::{Delivery, ResetRuns},
    },
};

pub use crate::workflow::reset::{Excluded, is_reapplied};

/// Who ends the run that is current when a reset takes its place.
pub const RESETTER_IDENTITY: &str = "history-resetter";

/// What a reset needs to know beside the runs it is about.
#[derive(Clone, Debug)]
pub struct Fork {
    /// Events of the base run up to and with the one that the request names.
    pub events: Vec<Arc<HistoryEvent>>,
    /// Later events of the base run and of those that continued it as new, as far as [`is_reapplied`] wants them.
    pub later: Vec<Arc<HistoryEvent>>,
    /// Whether the runs that were read end with the current one.
    pub reaches_current: bool,
}

/// What a reset changes. All of it belongs into one commit.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Id of the run that it makes, the successor of one of the transitions.
    pub run_id: String,
    /// The base run: it knows what took its place, and is ended if it was current and open.
    pub base: Transition,
    /// The end of the current run, if that is another one and open.
    pub current: Option<Transition>,
}

/// The run that the same request made before, if it is the current one.
pub fn repeated<'a>(current: &'a WorkflowState, request: &ResetWorkflowExecutionRequest) -> Option<&'a str> {
    let run = &current.volatile.run;
    let known = [&run.reset_request_id, &run.create_request_id].contains(&&request.request_id);
    (known && !request.request_id.is_empty()).then(|| current.run_id())
}

/// The refusal of requests that name no event of the base run, or want done afterwards what cannot be done.
pub fn check(base: &WorkflowState, request: &ResetWorkflowExecutionRequest) -> ServiceResult<()> {
    if request.workflow_task_finish_event_id <= 1 || request.workflow_task_finish_event_id >= base.next_event_id() {
        let text = "Workflow task finish ID must be > 1 && <= workflow last event ID.";
        return Err(ServiceError::invalid_argument(text));
    }
    for operation in &request.post_reset_operations {
        match &operation.variant {
            Some(Variant::UpdateWorkflowOptions(update)) => {
                let options = update.workflow_execution_options.as_ref();
                check_override(base, options.and_then(|options| options.versioning_override.as_ref()))?;
            }
            Some(Variant::SignalWorkflow(_)) => {
                let text = "unsupported post reset operation: *workflow.PostResetOperation_SignalWorkflow_";
                return Err(ServiceError::invalid_argument(text));
            }
            None => return Err(ServiceError::invalid_argument("unsupported post reset operation: <nil>")),
        }
    }
    Ok(())
}

/// Makes a run that has the base run's history before the named event, and goes on from there. `current` is the
/// run that the workflow id points to, the base run too; `None` when there is none any more.
pub fn decide(
    base: &WorkflowState,
    current: Option<&WorkflowState>,
    request: &ResetWorkflowExecutionRequest,
    mut fork: Fork,
    env: &mut Env<'_>,
) -> ServiceResult<Reset> {
    check(base, request)?;
    let named = fork.events.pop();
    if pending_task(&fork.events).is_none() {
        return Err(no_pending_task(request.workflow_task_finish_event_id, named.as_deref()));
    }
    let run_id = env.random.uuid();
    let is_base = |state: &WorkflowState| state.run_id() == base.run_id();
    let base_is_current = current.is_some_and(is_base);

    let mut draft = Draft::new(base, env);
    draft.state.volatile.run.reset_run_id.clone_from(&run_id);
    if base_is_current && base.is_open() {
        draft.give_way(&request.reason);
    }
    let mut base_transition = draft.finish(Durability::BeforeReply);
    let mut current_transition = None;
    if let Some(current) = current.filter(|current| !is_base(current) && current.is_open()) {
        let mut draft = Draft::new(current, env);
        draft.give_way(&request.reason);
        current_transition = Some(draft.finish(Durability::BeforeReply));
    }
    let ended = current_transition.as_ref().unwrap_or(&base_transition);
    let last: Vec<_> = ended.events().filter(|_| fork.reaches_current).cloned().collect();

    let key = ExecutionKey { business: base.key.business.clone(), run_id: run_id.as_str().into() };
    let new_run = make(base, key, request, &fork, &last, env)?;
    let closed = current_transition.as_mut().unwrap_or(&mut base_transition);
    closed.successor = Some(Box::new(new_run));
    Ok(Reset { run_id, base: base_transition, current: current_transition })
}

/// The new run. `last` are the events with which the current run ended.
fn make(
    base: &WorkflowState,
    key: ExecutionKey,
    request: &ResetWorkflowExecutionRequest,
    fork: &Fork,
    last: &[Arc<HistoryEvent>],
    env: &mut Env<'_>,
) -> ServiceResult<Transition> {
    let runs = ResetRuns { base: base.run_id().to_owned(), new: key.run_id.to_string() };
    let mut draft = Draft::new(&WorkflowState::empty(key), env);
    // Callbacks and repeats of the start belong to the workflow, whichever run it is in.
    draft.state.volatile.run.create_request_id.clone_from(&base.volatile.run.create_request_id);
    draft.state.volatile.run.reset_request_id.clone_from(&request.request_id);
    // The base run's beginning is one step of the new run, the reset another.
    draft.state.volatile.run.state_transitions = 1;
    draft.fork(&fork.events, runs, &request.reason);
    let excluded = Excluded::of(request);
    for event in fork.later.iter().chain(last) {
        draft.reapply(event, excluded);
    }
    for operation in &request.post_reset_operations {
        draft.operate(operation)?;
    }
    draft.begin_again(&fork.events);
    draft.schedule_task(Delivery::Dispatch);
    Ok(draft.finish(Durability::BeforeReply))
}

impl Draft<'_, '_> {
    /// Ends the run because a reset takes its place.
    fn give_way(&mut self, reason: &str) {
        self.state.volatile.run.was_reset = true;
        self.terminate(reason, None, RESETTER_IDENTITY, Vec::new());
    }

    fn operate(&mut self, operation: &PostResetOperation) -> ServiceResult<()> {
        match &operation.variant {
            Some(Variant::UpdateWorkflowOptions(update)) => {
                let options = update.workflow_execution_options.clone().unwrap_or_default();
                let mask = update.update_mask.clone().unwrap_or_default();
                self.merge_options(&options, &mask, String::new()).map(drop)
            }
            // Refused by `check`.
            Some(Variant::SignalWorkflow(_)) | None => Ok(()),
        }
    }
}

/// The refusal of a point at which no workflow task is pending. Temporal tells apart whether the point lies
/// within events that were written together.
fn no_pending_task(finish_event_id: i64, named: Option<&HistoryEvent>) -> ServiceError {
    let together = named.and_then(|event| event.attributes.as_ref()).is_some_and(|attributes| {
        matches!(attributes, Attributes::WorkflowTaskScheduledEventAttributes(_)) || comes_from_a_command(attributes)
    });
    ServiceError::invalid_argument(if together {
        let last = finish_event_id - 1;
        format!(
            "StateRebuilder unable to Rebuild mutable state to event ID: {last}, version: 0, this event must be at \
             the boundary"
        )
    } else {
        format!(
            "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: \
             {finish_event_id}"
        )
    })
}

fn comes_from_a_command(attributes: &Attributes) -> bool {
    matches!(
        attributes,
        Attributes::ActivityTaskScheduledEventAttributes(_)
            | Attributes::ActivityTaskCancelRequestedEventAttributes(_)
            | Attributes::TimerStartedEventAttributes(_)
            | Attributes::TimerCanceledEventAttributes(_)
            | Attributes::MarkerRecordedEventAttributes(_)
            | Attributes::UpsertWorkflowSearchAttributesEventAttributes(_)
            | Attributes::WorkflowPropertiesModifiedEventAttributes(_)
            | Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(_)
            | Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)
            | Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(_)
            | Attributes::WorkflowExecutionCompletedEventAttributes(_)
            | Attributes::WorkflowExecutionFailedEventAttributes(_)
            | Attributes::WorkflowExecutionCanceledEventAttributes(_)
            | Attributes::WorkflowExecutionContinuedAsNewEventAttributes(_)
    )
}
