//! Custom search attributes: names that users give to a fixed set of typed fields.

use std::collections::BTreeMap;

use perdure_kernel::{
    ServiceError, ServiceResult,
    search_attributes::{FIELDS, PREDEFINED, SYSTEM, fields, is_reserved},
};
use perdure_proto::{api::enums::IndexedValueType, records};

use crate::write::Edit;

/// Gives fields to the attributes that have none yet. Known names are left as they are, whatever their
/// type. `INVALID_ARGUMENT` for reserved names and when no field of a type is left.
pub(crate) fn add(record: &mut records::Namespace, wanted: &[(String, IndexedValueType)]) -> ServiceResult<Edit> {
    if wanted.is_empty() {
        return Err(ServiceError::invalid_argument("SearchAttributes are not set on request."));
    }
    for (name, _) in wanted {
        if is_reserved(name) {
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

/// Frees the fields of attributes; names that nothing has are skipped. `INVALID_ARGUMENT` for an attribute
/// that is not custom.
pub(crate) fn remove(record: &mut records::Namespace, unwanted: &[String]) -> ServiceResult<Edit> {
    let mut aliases = record.custom_search_attribute_aliases.clone();
    for name in unwanted {
        let field = aliases.iter().find(|(_, alias)| *alias == name).map(|(field, _)| field.clone());
        if let Some(field) = field {
            aliases.remove(&field);
            continue;
        }
        let is_fixed = SYSTEM.iter().any(|(known, _)| known == name)
            || PREDEFINED.iter().any(|(known, ..)| known == name)
            || field_type(name).is_some();
        if is_fixed {
            return Err(ServiceError::invalid_argument(format!(
                "Unable to remove non-custom search attributes: {name}."
            )));
        }
    }
    if aliases.len() == record.custom_search_attribute_aliases.len() {
        return Ok(Edit::Same);
    }
    record.search_attributes = types(&aliases);
    record.custom_search_attribute_aliases = aliases;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn keywords(count: usize) -> Vec<(String, IndexedValueType)> {
        (0..count).map(|number| (format!("attribute-{number}"), IndexedValueType::Keyword)).collect()
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
    fn removes() {
        let mut record = records::Namespace::default();
        add(&mut record, &keywords(2)).unwrap();
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        assert_eq!(remove(&mut record, &names(&["nothing"])), Ok(Edit::Same));
        for fixed in ["RunId", "BuildIds", "Keyword01"] {
            let error = remove(&mut record, &names(&["attribute-0", fixed])).unwrap_err();
            assert_eq!(error.message, format!("Unable to remove non-custom search attributes: {fixed}."));
        }
        assert_eq!(record.search_attributes.len(), 2);
        assert_eq!(remove(&mut record, &names(&["attribute-0", "nothing"])), Ok(Edit::Changed));
        assert_eq!(record.search_attributes.keys().collect::<Vec<_>>(), ["attribute-1"]);
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
