//! An activity as lists show it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use perdure_kernel::{ClosedRecord, Timestamp, VisibilityRecord};
use perdure_proto::{
    api::{
        common::{Payload, SearchAttributes},
        enums::WorkflowExecutionStatus,
    },
    records::ActivityStatus,
};

use super::state::{ActivityState, status_name};
use crate::workflow::calls::terminate::json;

/// What clients of Temporal find activities by: the number that it gives their kind.
const DIVISION: &str = "3332429922";

/// The row, whose columns for workflows only are empty. It is written when the activity starts and when the
/// status that clients see, its task queue or its first attempt's time changes.
pub(super) fn visibility_record(run: &ActivityState) -> VisibilityRecord {
    let record = &run.record;
    let (start_time, close_time) =
        (Timestamp::from_nanos(record.scheduled_time), Timestamp::from_nanos(record.close_time));
    let closed = run.is_closed().then(|| ClosedRecord {
        close_time,
        history_length: 0,
        history_size_bytes: 0,
        execution_duration: close_time.nanos_since(start_time),
        state_transition_count: record.state_transitions,
    });
    let kind = run.scheduled.attributes.as_ref().and_then(|options| options.activity_type.as_ref());
    let type_name = kind.map(|kind| kind.name.clone()).unwrap_or_default();
    let status = match run.status() {
        // While it runs, clients do not see what its worker was asked for.
        ActivityStatus::CancelRequested
        | ActivityStatus::PauseRequested
        | ActivityStatus::ResetRequested
        | ActivityStatus::Scheduled
        | ActivityStatus::Started => "Running",
        shown @ (ActivityStatus::Unspecified
        | ActivityStatus::Paused
        | ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut) => status_name(shown),
    };
    let attributes = run.start.search_attributes.clone().unwrap_or_default();
    let mut indexed_fields: BTreeMap<String, Payload> = attributes.indexed_fields;
    let own = [
        ("TemporalNamespaceDivision", DIVISION),
        ("TemporalKeyword01", &type_name),
        ("TemporalLowCardinalityKeyword01", status),
    ];
    indexed_fields.extend(own.map(|(name, value)| (name.to_owned(), keyword(value))));
    VisibilityRecord {
        key: run.key.clone(),
        type_name: String::new(),
        status: match run.status() {
            ActivityStatus::Completed => WorkflowExecutionStatus::Completed,
            ActivityStatus::Failed
            | ActivityStatus::Canceled
            | ActivityStatus::Terminated
            | ActivityStatus::TimedOut => WorkflowExecutionStatus::Failed,
            ActivityStatus::Unspecified
            | ActivityStatus::Scheduled
            | ActivityStatus::Started
            | ActivityStatus::CancelRequested
            | ActivityStatus::Paused
            | ActivityStatus::PauseRequested
            | ActivityStatus::ResetRequested => WorkflowExecutionStatus::Running,
        },
        start_time,
        execution_time: run.first_dispatch(),
        task_queue: run.task_queue().to_owned(),
        closed,
        parent: None,
        root: Some((String::new(), String::new())),
        memo: Arc::default(),
        search_attributes: Arc::new(SearchAttributes { indexed_fields }),
    }
}

fn keyword(value: &str) -> Payload {
    let mut payload = json(value);
    payload.metadata.insert("type".to_owned(), Bytes::from_static(b"Keyword"));
    payload
}
