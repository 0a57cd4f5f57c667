//! Custom search attributes: names that users give to a fixed set of typed fields.

use std::collections::BTreeMap;

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{api::enums::IndexedValueType, records};

use crate::write::Edit;

/// Fields of each type: `Keyword01` to `Keyword10`.
const FIELDS: [(IndexedValueType, &str, usize); 7] = [
    (IndexedValueType::Bool, "Bool", 3),
    (IndexedValueType::Datetime, "Datetime", 3),
    (IndexedValueType::Double, "Double", 3),
    (IndexedValueType::Int, "Int", 3),
    (IndexedValueType::Keyword, "Keyword", 10),
    (IndexedValueType::KeywordList, "KeywordList", 3),
    (IndexedValueType::Text, "Text", 3),
];

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

/// Gives fields to the attributes that have none yet. Known names are left as they are, whatever their
/// type. `INVALID_ARGUMENT` for reserved names and when no field of a type is left.
pub(crate) fn add(record: &mut records::Namespace, wanted: &[(String, IndexedValueType)]) -> ServiceResult<Edit> {
    if wanted.is_empty() {
        return Err(ServiceError::invalid_argument("SearchAttributes are not set on request."));
    }
    for (name, _) in wanted {
        if name.starts_with(RESERVED_PREFIX) || RESERVED.binary_search(&name.as_str()).is_ok() {
            return Err(ServiceError::invalid_argument(format!("Search attribute {name} is reserved by system.")));
        }
    }
    let aliases = &mut record.custom_search_attribute_aliases;
    let before = aliases.len();
    for (name, value_type) in wanted {
        if aliases.values().any(|taken| taken == name) {
            tracing::warn!(search_attribute = name, "search attribute exists already");
            continue;
        }
        let (_, prefix, count) =
            FIELDS.into_iter().find(|(kind, ..)| kind == value_type).unwrap_or((*value_type, "Unspecified", 0));
        let Some(field) = fields(prefix, count).find(|field| !aliases.contains_key(field)) else {
            return Err(ServiceError::invalid_argument(format!(
                "Unable to create search attributes: cannot have more than {count} search attribute of type {prefix}."
            )));
        };
        aliases.insert(field, name.clone());
    }
    if aliases.len() == before {
        return Ok(Edit::Same);
    }
    record.search_attributes = types(aliases);
    Ok(Edit::Changed)
}

/// Changes aliases by field: an empty alias frees its field, a known alias is left where it is.
/// `INVALID_ARGUMENT` for a field that has an alias.
pub(crate) fn upsert(record: &mut records::Namespace, changes: &BTreeMap<String, String>) -> ServiceResult<()> {
    let current = &record.custom_search_attribute_aliases;
    let mut next = current.clone();
    for (field, alias) in changes {
        if alias.is_empty() {
            next.remove(field);
        } else if current.values().any(|taken| taken == alias) {
            tracing::warn!(search_attribute = alias, "search attribute exists already");
        } else if current.contains_key(field) {
            return Err(ServiceError::invalid_argument("Custom search attribute field name already allocated."));
        } else {
            next.insert(field.clone(), alias.clone());
        }
    }
    record.search_attributes = types(&next);
    record.custom_search_attribute_aliases = next;
    Ok(())
}

/// Types of the aliased fields by alias. Kept beside the aliases so that readers need no table of fields.
fn types(aliases: &BTreeMap<String, String>) -> BTreeMap<String, i32> {
    aliases.iter().filter_map(|(field, alias)| Some((alias.clone(), i32::from(field_type(field)?)))).collect()
}

fn field_type(field: &str) -> Option<IndexedValueType> {
    FIELDS
        .into_iter()
        .find(|(_, prefix, count)| fields(prefix, *count).any(|known| known == field))
        .map(|(kind, ..)| kind)
}

fn fields(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| format!("{prefix}{number:02}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn keywords(count: usize) -> Vec<(String, IndexedValueType)> {
        (0..count).map(|number| (format!("attribute-{number}"), IndexedValueType::Keyword)).collect()
    }

    #[test]
    fn reserved_names_are_sorted() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn gives_fields_until_there_are_none() {
        let mut record = records::Namespace::default();
        assert_eq!(add(&mut record, &keywords(10)), Ok(Edit::Changed));
        assert_eq!(add(&mut record, &keywords(10)), Ok(Edit::Same));
        assert_eq!(record.search_attributes["attribute-3"], IndexedValueType::Keyword as i32);
        let error = add(&mut record, &keywords(11)).unwrap_err();
        assert_eq!(
            error.message,
            "Unable to create search attributes: cannot have more than 10 search attribute of type Keyword."
        );
    }

    #[test]
    fn refuses() {
        let refusal = |wanted: &[(&str, IndexedValueType)]| {
            let wanted: Vec<_> = wanted.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
            add(&mut records::Namespace::default(), &wanted).unwrap_err().message
        };
        assert_eq!(refusal(&[]), "SearchAttributes are not set on request.");
        let int = IndexedValueType::Int;
        assert_eq!(refusal(&[("RunId", int)]), "Search attribute RunId is reserved by system.");
        assert_eq!(refusal(&[("TemporalX", int)]), "Search attribute TemporalX is reserved by system.");
        assert_eq!(
            refusal(&[("x", IndexedValueType::Unspecified)]),
            "Unable to create search attributes: cannot have more than 0 search attribute of type Unspecified."
        );
    }

    #[test]
    fn upserts() {
        let mut record = records::Namespace::default();
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        upsert(&mut record, &map(&[("Keyword01", "a"), ("Int01", "b"), ("odd", "c")])).unwrap();
        assert_eq!(record.search_attributes.keys().collect::<Vec<_>>(), ["a", "b"]);
        // A known alias stays where it is.
        upsert(&mut record, &map(&[("Keyword02", "a")])).unwrap();
        assert!(!record.custom_search_attribute_aliases.contains_key("Keyword02"));
        let error = upsert(&mut record, &map(&[("Keyword01", "z")])).unwrap_err();
        assert_eq!(error.message, "Custom search attribute field name already allocated.");
        upsert(&mut record, &map(&[("Keyword01", "")])).unwrap();
        assert_eq!(record.search_attributes.keys().collect::<Vec<_>>(), ["b"]);
    }

    proptest! {
        /// Whatever is added, an alias has one field, of its type, and nothing given is taken back.
        #[test]
        fn aliases_stay_unique(rounds in prop::collection::vec(prop::collection::vec((0_u8..20, 1_i32..8), 1..6), 1..8)) {
            let mut record = records::Namespace::default();
            for round in rounds {
                let wanted: Vec<_> = round
                    .into_iter()
                    .map(|(name, kind)| (format!("a{name}"), IndexedValueType::try_from(kind).unwrap()))
                    .collect();
                let before = record.clone();
                let mut next = record.clone();
                if add(&mut next, &wanted).is_ok() {
                    record = next;
                }
                for (field, alias) in &before.custom_search_attribute_aliases {
                    prop_assert_eq!(record.custom_search_attribute_aliases.get(field), Some(alias));
                }
                prop_assert_eq!(record.search_attributes.len(), record.custom_search_attribute_aliases.len());
            }
        }
    }
}
