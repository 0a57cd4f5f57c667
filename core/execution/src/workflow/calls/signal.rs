//! A signal arrives.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::api::{
    common::WorkflowExecution,
    enums::{EventType, ResourceExhaustedCause, ResourceExhaustedScope},
    history::WorkflowExecutionSignaledEventAttributes,
    workflowservice::SignalWorkflowExecutionRequest,
};

use super::{require_child, require_open};
use crate::{
    Env,
    workflow::{Decision, Signal, WorkflowState, change::Durability, draft::Draft, task::Delivery},
};

/// The signal that a request asks for.
pub fn from_request(request: SignalWorkflowExecutionRequest) -> Signal {
    Signal {
        attributes: WorkflowExecutionSignaledEventAttributes {
            signal_name: request.signal_name,
            input: request.input,
            identity: request.identity,
            header: request.header,
            request_id: request.request_id.clone(),
            ..Default::default()
        },
        request_id: request.request_id,
        links: request.links,
    }
}

/// Records a signal and wakes the workflow. A request id that was seen before is a repeat: nothing
/// happens, successfully, even when the run is closed by now. While the first workflow task waits for its backoff the signal waits with it,
/// unless it is `hasty` (signal-with-start).
pub fn decide(state: &WorkflowState, signal: Signal, hasty: bool, env: &mut Env<'_>) -> ServiceResult<Decision<()>> {
    if !signal.request_id.is_empty() && state.volatile.signal_requests.contains(&signal.request_id) {
        return Ok(Decision::nothing(()));
    }
    require_open(state)?;
    let signals_max = env.limits().signals_per_execution_max;
    let signals = usize::try_from(state.record.signal_count).unwrap_or(0) + waiting_signals(state);
    if signals_max > 0 && signals >= signals_max {
        return Err(ServiceError::invalid_argument("exceeded workflow execution limit for signal events"));
    }
    if state.volatile.run.close_attempted && state.started_task().is_some() {
        return Err(ServiceError::exhausted(
            ResourceExhaustedCause::BusyWorkflow,
            ResourceExhaustedScope::Namespace,
            "workflow operation can not be applied because workflow is closing",
        ));
    }
    let mut draft = Draft::new(state, env);
    draft.record_signal(signal);
    if state.volatile.run.first_task_at == 0 || hasty {
        draft.schedule_task(Delivery::Dispatch);
    }
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// Records a signal from another workflow, which may be meant for a child of that one only.
pub fn from_workflow(
    state: &WorkflowState,
    mut signal: Signal,
    from: WorkflowExecution,
    child_only: bool,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    if state.volatile.signal_requests.contains(&signal.request_id) {
        return Ok(Decision::nothing(()));
    }
    require_open(state)?;
    if child_only {
        require_child(state, &from)?;
    }
    signal.attributes.external_workflow_execution = Some(from);
    decide(state, signal, false, env)
}

/// Signals in the buffer: they count once they join the history.
fn waiting_signals(state: &WorkflowState) -> usize {
    let kinds =
        state.volatile.buffered.iter().filter_map(|waiting| waiting.event.as_ref()).map(|event| event.event_type());
    kinds.filter(|kind| *kind == EventType::WorkflowExecutionSignaled).count()
}
