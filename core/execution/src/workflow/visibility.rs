//! A run as lists show it.

use std::sync::Arc;

use perdure_kernel::{ClosedRecord, Timestamp, VisibilityRecord};

use super::{server_attributes, state::WorkflowState};

/// The run's row. It is written when the run starts, when its memo or search attributes change, and when
/// its status does: see [`shown_otherwise`].
pub fn visibility_record(state: &WorkflowState) -> VisibilityRecord {
    let record = &state.record;
    let (close_time, execution_time) =
        (Timestamp::from_nanos(record.close_time), Timestamp::from_nanos(record.execution_time));
    let closed = (!state.is_open()).then(|| ClosedRecord {
        close_time: close_time.max(Timestamp::from_nanos(record.start_time)),
        history_length: state.next_event_id() - 1,
        history_size_bytes: record.history_size,
        execution_duration: close_time.nanos_since(execution_time),
        state_transition_count: state.volatile.run.state_transitions,
    });
    let start = &state.start;
    let pair = |execution: &perdure_proto::api::common::WorkflowExecution| {
        (execution.workflow_id.clone(), execution.run_id.clone())
    };
    let root = start.root_workflow_execution.as_ref().map(pair);
    VisibilityRecord {
        key: state.key.clone(),
        type_name: state.workflow_type().to_owned(),
        status: state.status(),
        start_time: Timestamp::from_nanos(record.start_time),
        execution_time,
        task_queue: state.task_queue().to_owned(),
        closed,
        parent: start.parent_workflow_execution.as_ref().map(pair),
        root: root.filter(|(workflow_id, run_id)| workflow_id != state.workflow_id() || run_id != state.run_id()),
        memo: Arc::clone(&state.memo),
        search_attributes: server_attributes::search_attributes(state),
    }
}

/// How a change shows in lists: `None` where it does not, else whether the search attributes there differ too.
/// Nothing else that a run goes through writes a row.
pub fn shown_otherwise(before: &WorkflowState, after: &WorkflowState) -> Option<bool> {
    let attributes =
        !Arc::ptr_eq(&before.search_attributes, &after.search_attributes) || server_attributes::is_news(before, after);
    let other = before.status() != after.status() || !Arc::ptr_eq(&before.memo, &after.memo);
    (attributes || other).then_some(attributes)
}
