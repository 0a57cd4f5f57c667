//! Search attributes: which names there are, what their values must look like.

use perdure_proto::api::{
    common::{Payload, SearchAttributes},
    enums::IndexedValueType,
};

use crate::{Namespace, ServiceError, ServiceResult};

/// Attributes that exist everywhere and that users may set (temporalio/temporal `searchattribute/defs`).
const PREDEFINED: &[(&str, IndexedValueType)] = &[
    ("BatcherUser", IndexedValueType::Keyword),
    ("BinaryChecksums", IndexedValueType::KeywordList),
    ("BuildIds", IndexedValueType::KeywordList),
    ("TemporalChangeVersion", IndexedValueType::KeywordList),
    ("TemporalNamespaceDivision", IndexedValueType::Keyword),
    ("TemporalPauseInfo", IndexedValueType::KeywordList),
    ("TemporalReportedProblems", IndexedValueType::KeywordList),
    ("TemporalScheduledById", IndexedValueType::Keyword),
    ("TemporalSchedulePaused", IndexedValueType::Bool),
    ("TemporalScheduledStartTime", IndexedValueType::Datetime),
    ("TemporalUsedWorkerDeploymentVersions", IndexedValueType::KeywordList),
    ("TemporalWorkerDeployment", IndexedValueType::Keyword),
    ("TemporalWorkerDeploymentVersion", IndexedValueType::Keyword),
    ("TemporalWorkflowVersioningBehavior", IndexedValueType::Keyword),
];

/// Attributes that the server alone sets.
const SYSTEM: &[(&str, IndexedValueType)] = &[
    ("CloseTime", IndexedValueType::Datetime),
    ("ExecutionDuration", IndexedValueType::Int),
    ("ExecutionStatus", IndexedValueType::Keyword),
    ("ExecutionTime", IndexedValueType::Datetime),
    ("HistoryLength", IndexedValueType::Int),
    ("HistorySizeBytes", IndexedValueType::Int),
    ("ParentRunId", IndexedValueType::Keyword),
    ("ParentWorkflowId", IndexedValueType::Keyword),
    ("RootRunId", IndexedValueType::Keyword),
    ("RootWorkflowId", IndexedValueType::Keyword),
    ("RunId", IndexedValueType::Keyword),
    ("StartTime", IndexedValueType::Datetime),
    ("StateTransitionCount", IndexedValueType::Int),
    ("TaskQueue", IndexedValueType::Keyword),
    ("WorkflowId", IndexedValueType::Keyword),
    ("WorkflowType", IndexedValueType::Keyword),
];

/// Every attribute that exists without being registered.
pub fn built_in() -> impl Iterator<Item = (&'static str, IndexedValueType)> {
    SYSTEM.iter().chain(PREDEFINED).copied()
}

/// The type of an attribute that users may set, predefined or registered in the namespace.
pub fn settable_type(name: &str, namespace: &Namespace) -> Option<IndexedValueType> {
    let predefined = PREDEFINED.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    predefined.or_else(|| namespace.search_attributes.get(name).copied())
}

/// Checks names, types and sizes. The refusal names the attribute.
pub fn validate(attributes: &SearchAttributes, namespace: &Namespace) -> ServiceResult<()> {
    let limits = &namespace.limits;
    let fields = &attributes.indexed_fields;
    let refuse = |text: String| Err(ServiceError::invalid_argument(text));
    if fields.len() > limits.search_attribute_keys_max {
        let (count, max) = (fields.len(), limits.search_attribute_keys_max);
        return refuse(format!("number of search attributes {count} exceeds limit {max}"));
    }
    let mut total = 0;
    for (name, payload) in fields {
        if SYSTEM.iter().any(|(system, _)| system == name) {
            return refuse(format!("{name} attribute can't be set in SearchAttributes"));
        }
        let Some(kind) = settable_type(name, namespace) else {
            let namespace = &namespace.name;
            return refuse(format!("Namespace {namespace} has no mapping defined for search attribute {name}"));
        };
        if !fits(payload, kind) {
            return refuse(format!("invalid value for search attribute {name} of type {}", type_name(kind)));
        }
        let (size, max) = (payload.data.len(), limits.search_attribute_value_size_max);
        if size > max {
            return refuse(format!("search attribute {name} value size {size} exceeds size limit {max}"));
        }
        total += name.len() + size;
    }
    let max = limits.search_attribute_total_size_max;
    if total > max {
        return refuse(format!("total size of search attributes {total} exceeds size limit {max}"));
    }
    Ok(())
}

/// Writes each attribute's type into its payload, where it is missing: readers without the namespace's
/// map go by it.
pub fn add_types(attributes: &mut SearchAttributes, namespace: &Namespace) {
    for (name, payload) in &mut attributes.indexed_fields {
        if let Some(kind) = settable_type(name, namespace) {
            payload.metadata.entry("type".to_owned()).or_insert_with(|| type_name(kind).as_bytes().into());
        }
    }
}

/// A type's name as SDKs write it into payload metadata.
pub fn type_name(kind: IndexedValueType) -> &'static str {
    match kind {
        IndexedValueType::Text => "Text",
        IndexedValueType::Keyword => "Keyword",
        IndexedValueType::Int => "Int",
        IndexedValueType::Double => "Double",
        IndexedValueType::Bool => "Bool",
        IndexedValueType::Datetime => "Datetime",
        IndexedValueType::KeywordList => "KeywordList",
        IndexedValueType::Unspecified => "Unspecified",
    }
}

/// Whether a JSON payload looks like a value of `kind`. A missing value, which removes the attribute,
/// always fits; so does a list of values of the kind.
fn fits(payload: &Payload, kind: IndexedValueType) -> bool {
    let text = payload.data.trim_ascii();
    if text.is_empty() || text == b"null" {
        return true;
    }
    let first = text[0];
    match kind {
        IndexedValueType::Text | IndexedValueType::Keyword | IndexedValueType::Datetime => matches!(first, b'"' | b'['),
        IndexedValueType::KeywordList => matches!(first, b'"' | b'['),
        IndexedValueType::Int => matches!(first, b'-' | b'0'..=b'9' | b'['),
        IndexedValueType::Double => matches!(first, b'-' | b'0'..=b'9' | b'[' | b'"'),
        IndexedValueType::Bool => matches!(text, b"true" | b"false") || first == b'[',
        IndexedValueType::Unspecified => true,
    }
}
