//! Records and attributes that the tests share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use perdure_kernel::{ClosedRecord, ExecutionKey, NamespaceId, Timestamp, VisibilityRecord};
use perdure_proto::api::{
    common::{Payload, SearchAttributes},
    enums::{IndexedValueType, WorkflowExecutionStatus},
};
use perdure_visibility::{Names, Query, QueryError, evaluate};

/// The custom attributes of the namespace.
pub(crate) const CUSTOM: [(&str, IndexedValueType); 8] = [
    ("KW", IndexedValueType::Keyword),
    ("KW2", IndexedValueType::Keyword),
    ("IntA", IndexedValueType::Int),
    ("DblA", IndexedValueType::Double),
    ("BoolA", IndexedValueType::Bool),
    ("TimeA", IndexedValueType::Datetime),
    ("TextA", IndexedValueType::Text),
    ("ListA", IndexedValueType::KeywordList),
];

pub(crate) fn custom() -> BTreeMap<String, IndexedValueType> {
    CUSTOM.into_iter().map(|(name, value_type)| (name.to_owned(), value_type)).collect()
}

pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, &Names { custom: &custom(), archetype: None })
}

pub(crate) fn payload(kind: &str, json: String) -> Payload {
    Payload {
        metadata: BTreeMap::from([("encoding".into(), "json/plain".into()), ("type".into(), kind.to_owned().into())]),
        data: json.into(),
        ..Payload::default()
    }
}

/// A running workflow with these attributes: name, type, JSON.
pub(crate) fn record(workflow_id: &str, attributes: &[(&str, &str, &str)]) -> VisibilityRecord {
    let fields =
        attributes.iter().map(|(name, kind, json)| ((*name).to_owned(), payload(kind, (*json).to_owned()))).collect();
    VisibilityRecord {
        key: ExecutionKey::workflow(&NamespaceId::from("ns"), workflow_id, &format!("run-{workflow_id}")),
        type_name: "T".to_owned(),
        status: WorkflowExecutionStatus::Running,
        start_time: Timestamp::from_nanos(1_700_000_000_000_000_000),
        execution_time: Timestamp::from_nanos(1_700_000_000_000_000_000),
        task_queue: "q".to_owned(),
        closed: None,
        parent: None,
        root: None,
        memo: Arc::default(),
        search_attributes: Arc::new(SearchAttributes { indexed_fields: fields }),
    }
}

pub(crate) fn closed(record: VisibilityRecord, status: WorkflowExecutionStatus) -> VisibilityRecord {
    let closed = ClosedRecord {
        close_time: record.start_time + Duration::from_secs(60),
        history_length: 7,
        history_size_bytes: 700,
        execution_duration: 60_000_000_000,
        state_transition_count: 5,
    };
    VisibilityRecord { status, closed: Some(closed), ..record }
}

/// Workflow ids of the records that pass.
pub(crate) fn passing<'a>(text: &str, records: &'a [VisibilityRecord]) -> Vec<&'a str> {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let passes =
        |record: &&VisibilityRecord| query.filter.as_ref().is_none_or(|filter| evaluate::matches(filter, record));
    records.iter().filter(passes).map(|record| &*record.key.business.business_id).collect()
}
