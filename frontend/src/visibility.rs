//! Lists and counts for handlers: queries, pages and their tokens.

use std::cmp::Reverse;

use bytes::Bytes;
use perdure_kernel::{
    ServiceError, ServiceResult, Timestamp, VisibilityRecord, search_attributes::PREDEFINED,
    visibility::NAMESPACE_DIVISION,
};
use perdure_persistence::{
    StoreError,
    visibility::{Page, Position, Snapshot},
};
use perdure_proto::{
    api::common::{Payload, SearchAttributes},
    tokens::VisibilityPage,
};
use perdure_visibility::{ArchetypeNames, GroupBy, Names, Query, SortKey};
use prost::Message;

use crate::{
    call::{Call, Shared},
    validate::invalid,
};

/// The query of a request, in the names of its namespace and of a kind of execution.
pub(crate) fn query(call: &Call<()>, archetype: Option<&ArchetypeNames>, text: &str) -> ServiceResult<Query> {
    let names = Names { custom: &call.caller.namespace.search_attributes, archetype };
    Query::parse(text, &names).map_err(|error| invalid(error.to_string()))
}

/// A page of what passes, and the token of the next one. A size that is not given or too great is the
/// greatest there is; a full page has a token though there may be nothing after it.
pub(crate) async fn page(
    shared: &Shared,
    call: &Call<()>,
    query: &Query,
    size: i32,
    token: &Bytes,
) -> ServiceResult<(Vec<VisibilityRecord>, Bytes)> {
    let max = call.limits().visibility_page_size_max;
    let size = usize::try_from(size).ok().filter(|size| (1..=max).contains(size)).unwrap_or(max);
    let after = read_token(token)?;
    let page = shared.visibility.list_visibility(call.namespace_id(), query, after.as_ref(), size).await;
    let Page { records, next } = page.map_err(|error| failed(&error))?;
    Ok((records, next.map(write_token).unwrap_or_default()))
}

/// How many pass, and by group when the query groups: the group's value and its count.
pub(crate) async fn count(
    shared: &Shared,
    call: &Call<()>,
    query: &Query,
) -> ServiceResult<(i64, Vec<(Payload, i64)>)> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Some(by) = &query.group_by else {
        let count = shared.visibility.count_visibility(call.namespace_id(), query).await;
        return Ok((number(count.map_err(|error| failed(&error))?), Vec::new()));
    };
    let groups = shared.visibility.count_visibility_groups(call.namespace_id(), query, by).await;
    let groups: Vec<(Payload, i64)> = groups
        .map_err(|error| failed(&error))?
        .into_iter()
        .map(|(value, count)| (group_value(by, &value), number(count)))
        .collect();
    Ok((groups.iter().map(|(_, count)| count).sum(), groups))
}

/// The search attributes of a record that its users know: not those that they have removed, nor what the
/// server keeps for itself.
pub(crate) fn shown_attributes(call: &Call<()>, record: &VisibilityRecord) -> SearchAttributes {
    let custom = &call.caller.namespace.search_attributes;
    let is_shown = |name: &str| custom.contains_key(name) || PREDEFINED.iter().any(|(known, ..)| *known == name);
    let fields = record.search_attributes.indexed_fields.iter().filter(|(name, _)| is_shown(name));
    SearchAttributes { indexed_fields: fields.map(|(name, payload)| (name.clone(), payload.clone())).collect() }
}

/// The value of a group. Where the attribute is missing there is none, except that of the division, whose
/// absence means workflows.
fn group_value(by: &GroupBy, value: &str) -> Payload {
    match by {
        GroupBy::Keyword(name) if value.is_empty() && name != NAMESPACE_DIVISION => Payload {
            metadata: [("encoding".to_owned(), "binary/null".into()), ("type".to_owned(), "Keyword".into())].into(),
            ..Payload::default()
        },
        GroupBy::Keyword(_) | GroupBy::ExecutionStatus => keyword(value),
    }
}

/// A keyword as search attributes hold it.
fn keyword(value: &str) -> Payload {
    let mut json = String::with_capacity(value.len() + 2);
    json.push('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            letter if letter.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => json.push(letter),
        }
    }
    json.push('"');
    Payload {
        metadata: [("encoding".to_owned(), "json/plain".into()), ("type".to_owned(), "Keyword".into())].into(),
        data: json.into(),
        ..Payload::default()
    }
}

fn read_token(token: &Bytes) -> ServiceResult<Option<Position>> {
    if token.is_empty() {
        return Ok(None);
    }
    let page = VisibilityPage::decode(token.clone()).map_err(|_not_ours| invalid("Invalid NextPageToken."))?;
    let key = SortKey {
        close_time: Reverse(Timestamp::from_nanos(page.close_time)),
        start_time: Reverse(Timestamp::from_nanos(page.start_time)),
        run_id: page.run_id,
    };
    let newest_close = page.newest_close.map_or(Snapshot::LAST_CLOSE_TIME, Timestamp::from_nanos);
    let snapshot = page.snapshot.map(|closes| Snapshot { closes, newest_close });
    Ok(Some(Position { snapshot, key }))
}

fn write_token(next: Position) -> Bytes {
    let Position { snapshot, key } = next;
    let SortKey { close_time: Reverse(close_time), start_time: Reverse(start_time), run_id } = key;
    let page = VisibilityPage {
        close_time: close_time.as_nanos(),
        start_time: start_time.as_nanos(),
        run_id,
        snapshot: snapshot.map(|snapshot| snapshot.closes),
        newest_close: snapshot.map(|snapshot| snapshot.newest_close.as_nanos()),
    };
    page.encode_to_vec().into()
}

fn failed(error: &StoreError) -> ServiceError {
    tracing::warn!(%error, "visibility cannot be read");
    ServiceError::unavailable(format!("the list cannot be read now, try again: {}", error.message))
}
