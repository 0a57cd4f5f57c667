//! A child tells that it has closed for good.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{
    api::{
        common::WorkflowExecution,
        history::{
            ChildWorkflowExecutionCanceledEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
            ChildWorkflowExecutionFailedEventAttributes, ChildWorkflowExecutionTerminatedEventAttributes,
            ChildWorkflowExecutionTimedOutEventAttributes, HistoryEvent, history_event::Attributes,
        },
    },
    records,
};

use super::require_open;
use crate::{
    Env,
    workflow::{
        Decision, WorkflowState,
        change::Durability,
        draft::{Draft, EventExtras},
        task::Delivery,
    },
};

/// Records how a child ended and wakes the workflow. `child` is its last run, `first_run_id` its first.
///
/// # Errors
///
/// `NOT_FOUND` when the run is closed or waits for no such child: a repeat, or somebody else's child.
pub fn decide(
    state: &WorkflowState,
    initiated_event_id: i64,
    child: &WorkflowExecution,
    first_run_id: &str,
    close_event: &HistoryEvent,
    env: &mut Env<'_>,
) -> ServiceResult<Decision<()>> {
    require_open(state)?;
    let unknown = || ServiceError::not_found("Pending child execution not found.");
    let pending = state.children.get(&initiated_event_id).ok_or_else(unknown)?;
    let started = !pending.started_run_id.is_empty();
    if pending.workflow_id != child.workflow_id || (started && pending.started_run_id != first_run_id) {
        return Err(unknown());
    }
    let mut draft = Draft::new(state, env);
    if !started {
        // The child was quicker than the news of its start.
        draft.record_child_start(initiated_event_id, first_run_id.to_owned());
    }
    let pending = draft.state.children.get(&initiated_event_id).cloned().ok_or_else(unknown)?;
    let attributes = close_event.attributes.as_ref().and_then(|close| told(close, &pending, child));
    let attributes = attributes.ok_or_else(|| ServiceError::internal("a child closed by an unknown event"))?;
    draft.emit_or_buffer(attributes, EventExtras::default());
    draft.schedule_task(Delivery::Dispatch);
    draft.force_close_on_overflow();
    Ok(Decision::change(draft.finish(Durability::BeforeReply), ()))
}

/// A child's closing event as its parent's history tells it.
fn told(close: &Attributes, pending: &records::PendingChild, child: &WorkflowExecution) -> Option<Attributes> {
    let (namespace, namespace_id) = (pending.namespace.clone(), pending.namespace_id.clone());
    let (initiated_event_id, started_event_id) = (pending.initiated_event_id, pending.started_event_id);
    let workflow_execution = Some(child.clone());
    let workflow_type = pending.workflow_type.clone();
    Some(match close {
        Attributes::WorkflowExecutionCompletedEventAttributes(close) => {
            Attributes::ChildWorkflowExecutionCompletedEventAttributes(ChildWorkflowExecutionCompletedEventAttributes {
                result: close.result.clone(),
                namespace,
                namespace_id,
                workflow_execution,
                workflow_type,
                initiated_event_id,
                started_event_id,
            })
        }
        Attributes::WorkflowExecutionFailedEventAttributes(close) => {
            Attributes::ChildWorkflowExecutionFailedEventAttributes(Box::new(
                ChildWorkflowExecutionFailedEventAttributes {
                    failure: close.failure.clone(),
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id,
                    retry_state: close.retry_state,
                },
            ))
        }
        Attributes::WorkflowExecutionCanceledEventAttributes(close) => {
            Attributes::ChildWorkflowExecutionCanceledEventAttributes(ChildWorkflowExecutionCanceledEventAttributes {
                details: close.details.clone(),
                namespace,
                namespace_id,
                workflow_execution,
                workflow_type,
                initiated_event_id,
                started_event_id,
            })
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(close) => {
            Attributes::ChildWorkflowExecutionTimedOutEventAttributes(ChildWorkflowExecutionTimedOutEventAttributes {
                namespace,
                namespace_id,
                workflow_execution,
                workflow_type,
                initiated_event_id,
                started_event_id,
                retry_state: close.retry_state,
            })
        }
        Attributes::WorkflowExecutionTerminatedEventAttributes(_) => {
            let attributes = ChildWorkflowExecutionTerminatedEventAttributes {
                namespace,
                namespace_id,
                workflow_execution,
                workflow_type,
                initiated_event_id,
                started_event_id,
            };
            Attributes::ChildWorkflowExecutionTerminatedEventAttributes(attributes)
        }
        _ => return None,
    })
}
