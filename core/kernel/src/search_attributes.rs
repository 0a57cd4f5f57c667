//! Search attributes: which names there are, and what values they take.

mod values;

use perdure_proto::api::{
    common::{Payload, SearchAttributes},
    enums::IndexedValueType::{self, Bool, Datetime, Int, Keyword, KeywordList},
};
use prost::Message;

use crate::{Namespace, ServiceError, ServiceResult};

/// Attributes that the server keeps itself; nobody sets them. Sorted.
pub const SYSTEM: &[(&str, IndexedValueType)] = &[
    ("CloseTime", Datetime),
    ("ExecutionDuration", Int),
    ("ExecutionStatus", Keyword),
    ("ExecutionTime", Datetime),
    ("HistoryLength", Int),
    ("HistorySizeBytes", Int),
    ("ParentRunId", Keyword),
    ("ParentWorkflowId", Keyword),
    ("RootRunId", Keyword),
    ("RootWorkflowId", Keyword),
    ("RunId", Keyword),
    ("StartTime", Datetime),
    ("StateTransitionCount", Int),
    ("TaskQueue", Keyword),
    ("WorkflowId", Keyword),
    ("WorkflowType", Keyword),
];

/// Attributes that every namespace has, with whether clients may set them. Sorted.
pub const PREDEFINED: &[(&str, IndexedValueType, bool)] = &[
    ("BatcherNamespace", Keyword, true),
    ("BatcherUser", Keyword, true),
    ("BinaryChecksums", KeywordList, true),
    ("BuildIds", KeywordList, true),
    ("TemporalChangeVersion", KeywordList, true),
    ("TemporalExternalPayloadCount", Int, false),
    ("TemporalExternalPayloadSizeBytes", Int, false),
    ("TemporalNamespaceDivision", Keyword, true),
    ("TemporalPauseInfo", KeywordList, true),
    ("TemporalReportedProblems", KeywordList, true),
    ("TemporalSchedulePaused", Bool, true),
    ("TemporalScheduledById", Keyword, true),
    ("TemporalScheduledStartTime", Datetime, true),
    ("TemporalUsedWorkerDeploymentVersions", KeywordList, false),
    ("TemporalWorkerDeployment", Keyword, false),
    ("TemporalWorkerDeploymentVersion", Keyword, false),
    ("TemporalWorkflowVersioningBehavior", Keyword, false),
];

/// Fields that custom attributes are names for, by type: `Keyword01` to `Keyword10`.
pub const FIELDS: [(IndexedValueType, &str, usize); 7] = [
    (Bool, "Bool", 3),
    (Datetime, "Datetime", 3),
    (IndexedValueType::Double, "Double", 3),
    (Int, "Int", 3),
    (Keyword, "Keyword", 10),
    (KeywordList, "KeywordList", 3),
    (IndexedValueType::Text, "Text", 3),
];

/// Names of the fields with a prefix.
pub fn fields(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| format!("{prefix}{number:02}"))
}

/// Begins every name that belongs to the server.
const RESERVED_PREFIX: &str = "Temporal";

/// Names that belong to the server besides those with [`RESERVED_PREFIX`].
const RESERVED: [&str; 24] = [
    "BatcherNamespace",
    "BatcherUser",
    "BinaryChecksums",
    "BuildIds",
    "CloseTime",
    "ExecutionDuration",
    "ExecutionStatus",
    "ExecutionTime",
    "HistoryLength",
    "HistorySizeBytes",
    "Memo",
    "MemoEncoding",
    "NamespaceId",
    "ParentRunId",
    "ParentWorkflowId",
    "RootRunId",
    "RootWorkflowId",
    "RunId",
    "StartTime",
    "StateTransitionCount",
    "TaskQueue",
    "VisibilityTaskKey",
    "WorkflowId",
    "WorkflowType",
];

/// Whether a name belongs to the server: no custom attribute may have it.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED_PREFIX) || RESERVED.binary_search(&name).is_ok()
}

/// A name as a namespace knows it.
enum Known {
    Settable(IndexedValueType),
    Reserved,
}

/// Checks names, values and sizes.
pub fn check(attributes: Option<&SearchAttributes>, namespace: &Namespace) -> ServiceResult<()> {
    check_values(attributes, namespace)?;
    check_sizes(attributes, namespace)
}

/// Checks that names are known.
pub fn check_names(attributes: Option<&SearchAttributes>, namespace: &Namespace) -> ServiceResult<()> {
    let names = attributes.into_iter().flat_map(|attributes| attributes.indexed_fields.keys());
    names.map(|name| lookup(name, namespace)).try_for_each(|known| known.map(drop))
}

/// Checks names and values.
pub fn check_values(attributes: Option<&SearchAttributes>, namespace: &Namespace) -> ServiceResult<()> {
    let Some(attributes) = attributes.filter(|attributes| !attributes.indexed_fields.is_empty()) else { return Ok(()) };
    let limits = &namespace.limits;
    let fields = &attributes.indexed_fields;
    for name in fields.keys() {
        lookup(name, namespace)?;
    }
    let (count, count_max) = (fields.len(), limits.search_attribute_keys_max);
    if count > count_max {
        return Err(ServiceError::invalid_argument(format!(
            "number of search attributes {count} exceeds limit {count_max}"
        )));
    }
    for (name, payload) in fields {
        let Known::Settable(value_type) = lookup(name, namespace)? else {
            return Err(ServiceError::invalid_argument(format!("{name} attribute can't be set in SearchAttributes")));
        };
        if !values::is_of_type(payload, value_type) {
            return Err(ServiceError::invalid_argument(format!(
                "invalid value for search attribute {name} of type {}: {}",
                type_name(value_type),
                values::display(payload)
            )));
        }
    }
    Ok(())
}

/// Checks sizes.
pub fn check_sizes(attributes: Option<&SearchAttributes>, namespace: &Namespace) -> ServiceResult<()> {
    let Some(attributes) = attributes else { return Ok(()) };
    let limits = &namespace.limits;
    for (name, payload) in &attributes.indexed_fields {
        let (size, size_max) = (payload.data.len(), limits.search_attribute_value_size_max);
        if size > size_max {
            return Err(ServiceError::invalid_argument(format!(
                "search attribute {name} value size {size} exceeds size limit {size_max}"
            )));
        }
    }
    let (size, size_max) = (attributes.encoded_len(), limits.search_attribute_total_size_max);
    if size > size_max {
        return Err(ServiceError::invalid_argument(format!(
            "total size of search attributes {size} exceeds size limit {size_max}"
        )));
    }
    Ok(())
}

fn lookup(name: &str, namespace: &Namespace) -> ServiceResult<Known> {
    if let Some(value_type) = namespace.search_attributes.get(name) {
        return Ok(Known::Settable(*value_type));
    }
    if let Ok(index) = PREDEFINED.binary_search_by_key(&name, |(known, _, _)| known) {
        let (_, value_type, settable) = PREDEFINED[index];
        return Ok(if settable { Known::Settable(value_type) } else { Known::Reserved });
    }
    if SYSTEM.binary_search_by_key(&name, |(known, _)| known).is_ok() {
        return Ok(Known::Reserved);
    }
    let namespace = &namespace.name;
    Err(ServiceError::invalid_argument(format!(
        "Namespace {namespace} has no mapping defined for search attribute {name}"
    )))
}

/// Writes each attribute's type into its payload, where it is missing: readers without the namespace's
/// map go by it.
pub fn add_types(attributes: &mut SearchAttributes, namespace: &Namespace) {
    for (name, payload) in &mut attributes.indexed_fields {
        if let Ok(Known::Settable(value_type)) = lookup(name, namespace) {
            payload.metadata.entry("type".to_owned()).or_insert_with(|| type_name(value_type).as_bytes().into());
        }
    }
}

/// A list of keywords as a typed payload.
pub fn keyword_list(values: &[impl AsRef<str>]) -> Payload {
    let metadata = [("encoding", "json/plain"), ("type", type_name(KeywordList))];
    Payload {
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.as_bytes().into())).into(),
        data: serde_json::Value::from_iter(values.iter().map(AsRef::as_ref)).to_string().into(),
        ..Payload::default()
    }
}

/// The keywords that a payload of that type holds; none in one of another.
pub fn keywords(payload: &Payload) -> Vec<String> {
    let values: Vec<Option<String>> = serde_json::from_slice(&payload.data).unwrap_or_default();
    values.into_iter().flatten().collect()
}

/// A type as payload metadata and error texts show it.
pub fn type_name(value_type: IndexedValueType) -> &'static str {
    match value_type {
        IndexedValueType::Text => "Text",
        Keyword => "Keyword",
        Int => "Int",
        IndexedValueType::Double => "Double",
        Bool => "Bool",
        Datetime => "Datetime",
        KeywordList => "KeywordList",
        IndexedValueType::Unspecified => "Unspecified",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::NamespaceId;

    fn attributes(pairs: &[(&str, &str)]) -> SearchAttributes {
        let payload = |json: &str| Payload {
            metadata: BTreeMap::from([("encoding".into(), "json/plain".into())]),
            data: json.to_owned().into(),
            ..Payload::default()
        };
        let indexed_fields = pairs.iter().map(|(name, json)| ((*name).to_owned(), payload(json))).collect();
        SearchAttributes { indexed_fields }
    }

    fn text(pairs: &[(&str, &str)]) -> String {
        let mut namespace = Namespace::new(NamespaceId::from("id"), "ns");
        namespace.search_attributes.insert("Amount".into(), Int);
        namespace.search_attributes.insert("Note".into(), IndexedValueType::Text);
        let result = check(Some(&attributes(pairs)), &namespace);
        result.err().map(|error| error.message.into_owned()).unwrap_or_default()
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(SYSTEM.is_sorted_by_key(|(name, _)| name));
        assert!(PREDEFINED.is_sorted_by_key(|(name, _, _)| name));
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn names_values_and_sizes() {
        let (long, many) = (format!("{:?}", "x".repeat(2047)), format!("[{}]", vec!["\"abcdefgh\""; 180].join(",")));
        let crowd: Vec<String> = (0..101).map(|index| format!("A{index}")).collect();
        let crowd: Vec<(&str, &str)> = crowd.iter().map(|name| (name.as_str(), "1")).collect();
        for (pairs, expected) in [
            (&[("Amount", "5"), ("Note", "\"x\""), ("BuildIds", "[\"a\"]")][..], ""),
            (&[("Nope", "5")], "Namespace ns has no mapping defined for search attribute Nope"),
            (&[("WorkflowId", "\"x\"")], "WorkflowId attribute can't be set in SearchAttributes"),
            (
                &[("TemporalWorkerDeployment", "\"x\"")],
                "TemporalWorkerDeployment attribute can't be set in SearchAttributes",
            ),
            (&[("Amount", "\"x\"")], "invalid value for search attribute Amount of type Int: x"),
            (&[("BuildIds", "\"x\"")], "invalid value for search attribute BuildIds of type KeywordList: x"),
            (&[("Note", &long)], "search attribute Note value size 2049 exceeds size limit 2048"),
            (&[("BuildIds", &many)], ""),
        ] {
            assert_eq!(text(pairs), expected);
        }
        assert!(text(&crowd).starts_with("Namespace ns has no mapping defined for search attribute A"));
    }

    #[test]
    fn counts_and_totals() {
        let mut namespace = Namespace::new(NamespaceId::from("id"), "ns");
        for index in 0..101 {
            namespace.search_attributes.insert(format!("A{index}"), Keyword);
        }
        let names: Vec<String> = (0..101).map(|index| format!("A{index}")).collect();
        let value = format!("{:?}", "x".repeat(1000));
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        let text = |count: usize| {
            let result = check(Some(&attributes(&pairs[..count])), &namespace);
            result.err().map(|error| error.message.into_owned()).unwrap_or_default()
        };
        assert_eq!(text(101), "number of search attributes 101 exceeds limit 100");
        assert_eq!(text(1), "");
        assert!(text(50).starts_with("total size of search attributes "), "{}", text(50));
    }
}
