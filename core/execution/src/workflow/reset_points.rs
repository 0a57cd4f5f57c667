//! Points that a run could be reset to because a new worker build took over there.

use perdure_kernel::Timestamp;
use perdure_proto::api::{history::WorkflowTaskCompletedEventAttributes, workflow::ResetPointInfo};

use super::state::WorkflowState;

/// Points kept per run; the oldest goes first. Temporal's `history.historyMaxAutoResetPoints` default.
/// A constant, not a setting: the points are rebuilt from history and must not depend on when.
const POINTS_MAX: usize = 20;

/// The checksums of the builds that are remembered, once this run has added one to those that it was born with.
pub(super) fn checksums(state: &WorkflowState) -> Vec<&str> {
    let points = &state.record.auto_reset_points;
    let has_own = points.iter().any(|point| point.run_id == *state.key.run_id && !point.binary_checksum.is_empty());
    let known = points.iter().map(|point| point.binary_checksum.as_str()).filter(|checksum| !checksum.is_empty());
    known.filter(|_| has_own).collect()
}

/// Remembers the first workflow task that a worker build completes.
pub(super) fn record(
    state: &mut WorkflowState,
    event_id: i64,
    done: &WorkflowTaskCompletedEventAttributes,
    at: Timestamp,
) {
    let build_id = done.worker_version.as_ref().map_or("", |version| &version.build_id);
    let points = &mut state.record.auto_reset_points;
    let known = |point: &ResetPointInfo| point.build_id == build_id && point.binary_checksum == done.binary_checksum;
    if (build_id.is_empty() && done.binary_checksum.is_empty()) || points.iter().any(known) {
        return;
    }
    if points.len() >= POINTS_MAX {
        points.remove(0);
    }
    points.push(ResetPointInfo {
        build_id: build_id.to_owned(),
        binary_checksum: done.binary_checksum.clone(),
        run_id: state.key.run_id.to_string(),
        first_workflow_task_completed_id: event_id,
        create_time: at.to_proto_opt(),
        expire_time: None,
        resettable: true,
    });
}
