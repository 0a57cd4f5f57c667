//! Counts that indexes answer alone, without a look at the rows.

use perdure_visibility::{Comparison, Field, Filter, Query};

use super::{
    access::{Access, access, column_entries, demands, imply_list_time, index_of_spans},
    condition::{Sql, condition},
};

/// How all rows that meet a query are counted in indexes; `None` where those do not tell all.
pub(super) fn count(query: &Query, division: Option<&str>, scope: &[u8]) -> Option<Sql> {
    let demands = demands(query, division);
    let mut sql = Sql::default();
    sql.push("SELECT count(*)");
    if let Some(Filter::Compare { field, .. } | Filter::Between { field, .. }) = demands.first()
        && let Some(index) = index_of_spans(field)
        && demands.iter().all(|filter| is_span(filter, field))
    {
        sql.append(column_entries(index, scope, |sql| {
            sql.joined(&demands, " AND ", |sql, filter| condition(filter, sql));
        }));
        return Some(sql);
    }
    if !demands.is_empty() && demands.iter().all(|filter| is_span(filter, &Field::CloseTime)) {
        sql.append(column_entries("visibility_by_time", scope, |sql| {
            sql.push("1");
            // What is open has no close time, and stands at the greatest list time. One bound from above is enough:
            // SQLite starts at one of them, and looks at each entry for the others.
            if !demands.iter().any(|filter| is_bounded_above(filter)) {
                sql.push(" AND v.list_time < ").int(i64::MAX);
            }
            demands.iter().for_each(|filter| imply_list_time(filter, sql));
        }));
        return Some(sql);
    }
    if let [only] = demands[..]
        && let Some(access) = access(only, scope).filter(|access| access.is_exact && access.is_single)
    {
        sql.append(access.entries.into_iter().next()?);
        return Some(sql);
    }
    None
}

/// How runs are counted that are asked for by search attributes alone: from the entries of `first`, which is the way
/// that one of the demands opens. Rows are not looked at.
pub(super) fn count_by_attributes(query: &Query, division: Option<&str>, first: &Access<'_>) -> Option<Sql> {
    let demands = demands(query, division);
    if !first.is_exact || !demands.iter().all(|filter| is_of_attributes(filter)) {
        return None;
    }
    let mut sql = Sql::default();
    // `v`, as conditions call the rows.
    sql.push("SELECT count(*) FROM (SELECT DISTINCT run");
    sql.joined(&first.entries, " UNION SELECT run", |sql, entries| {
        sql.append(entries.clone());
    });
    sql.push(") AS v WHERE 1");
    for demand in demands.iter().filter(|demand| !std::ptr::eq(**demand, first.demand)) {
        sql.push(" AND ");
        condition(demand, &mut sql);
    }
    Some(sql)
}

/// Whether a filter asks about search attributes and nothing else.
fn is_of_attributes(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().all(is_of_attributes),
        Filter::Not(filter) => is_of_attributes(filter),
        Filter::Compare { field, .. }
        | Filter::OneOf { field, .. }
        | Filter::Between { field, .. }
        | Filter::StartsWith { field, .. }
        | Filter::Holds { field, .. }
        | Filter::Mentions { field, .. }
        | Filter::IsNull { field, .. } => matches!(field, Field::Attribute(_)),
    }
}

/// Whether a span has an end.
fn is_bounded_above(span: &Filter) -> bool {
    !matches!(span, Filter::Compare { comparison: Comparison::Greater | Comparison::GreaterOrEqual, .. })
}

/// Whether a demand leaves one span of a field's values.
fn is_span(filter: &Filter, of: &Field) -> bool {
    matches!(filter, Filter::Compare { field, comparison, .. } if field == of && *comparison != Comparison::NotEqual)
        || matches!(filter, Filter::Between { field, negated: false, .. } if field == of)
}
