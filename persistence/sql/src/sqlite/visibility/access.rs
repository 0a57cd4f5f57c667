//! Which index a query starts from.
//!
//! SQLite keeps no statistics that would follow the data, so the demands of a filter that an index serves
//! are looked at: how many entries of it they leave, up to a bound. The least wins; where all leave many, an
//! index in the order of lists finds a page soonest.

use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{Comparison, Field, Filter, Kind, Query, Scalar};

use super::{
    condition::{Bind, Sql, bind, condition, within_prefix},
    stored_field,
};

/// Demands that are looked at.
const PROBES_MAX: usize = 4;

/// Entries counted of each.
pub(super) const PROBE_ENTRIES_MAX: i64 = 4_000;

/// Alternatives of one demand that are looked up each in its index.
const ALTERNATIVES_MAX: usize = 64;

/// Statuses of runs that have not closed.
pub(super) const OPEN: [i32; 2] = [WorkflowExecutionStatus::Running as i32, WorkflowExecutionStatus::Paused as i32];

/// A way to the rows that a demand of the filter leaves.
#[derive(Clone, Debug)]
pub(super) struct Access<'q> {
    /// The demand.
    pub(super) demand: &'q Filter,
    /// The index, as `INDEXED BY` names it; none where rows are found by their runs.
    pub(super) index: Option<&'static str>,
    /// A condition on `v` that the index serves: implied by the demand.
    pub(super) condition: Sql,
    /// What the condition selects runs by: ` FROM .. WHERE ..`, for each of the alternatives.
    pub(super) entries: Vec<Sql>,
    /// Whether the condition is all that the demand says.
    pub(super) is_exact: bool,
    /// Whether there is an entry for each row and no more: a list may hold several of some keywords.
    pub(super) is_single: bool,
    /// Whether the entries come in the order of lists.
    pub(super) is_sorted: bool,
    /// Whether nothing is worth a look beside it.
    pub(super) is_best: bool,
}

impl Access<'_> {
    /// Counts the entries, up to [`PROBE_ENTRIES_MAX`].
    pub(super) fn probe(&self) -> Sql {
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM (").append(union("1", &self.entries));
        sql.push(" LIMIT ").int(PROBE_ENTRIES_MAX).push(")");
        sql
    }
}

/// `SELECT what FROM .. UNION ALL SELECT what FROM ..`.
fn union(what: &str, entries: &[Sql]) -> Sql {
    let mut sql = Sql::default();
    sql.joined(entries, " UNION ALL ", |sql, entries| {
        sql.push("SELECT ").push(what).append(entries.clone());
    });
    sql
}

/// The ways that a query's demands open within a scope.
pub(super) fn accesses<'q>(query: &'q Query, division: Option<&str>, scope: &[u8]) -> Vec<Access<'q>> {
    let demands = demands(query, division);
    let mut accesses: Vec<Access<'_>> = demands.into_iter().filter_map(|filter| access(filter, scope)).collect();
    if let Some(best) = accesses.iter().position(|access| access.is_best) {
        accesses.swap(0, best);
        accesses.truncate(1);
    }
    // One of two values is no way to begin while there are others.
    accesses.sort_by_key(|access| is_of_bools(access.demand));
    accesses.truncate(PROBES_MAX);
    accesses
}

fn is_of_bools(filter: &Filter) -> bool {
    matches!(filter, Filter::Compare { field, .. } | Filter::OneOf { field, .. } if field.kind() == Kind::Bool)
}

/// The demands that a query makes all of, without the one about its division.
pub(super) fn demands<'q>(query: &'q Query, division: Option<&str>) -> Vec<&'q Filter> {
    let all = match &query.filter {
        Some(Filter::All(all)) => all,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let for_division = match division {
        None => Filter::IsNull { field: Field::division(), negated: false },
        Some(division) => Filter::Compare {
            field: Field::division(),
            comparison: Comparison::Equal,
            value: Scalar::Keyword(division.to_owned()),
        },
    };
    all.iter().filter(|filter| **filter != for_division).collect()
}

/// The index of a column that is asked for by spans.
pub(super) fn index_of_spans(field: &Field) -> Option<&'static str> {
    match field {
        Field::StartTime => Some("visibility_by_start"),
        Field::ExecutionTime => Some("visibility_by_execution"),
        Field::ExecutionDuration => Some("visibility_by_duration"),
        Field::HistoryLength => Some("visibility_by_length"),
        Field::HistorySizeBytes => Some("visibility_by_size"),
        Field::StateTransitionCount => Some("visibility_by_transitions"),
        Field::WorkflowId
        | Field::RunId
        | Field::WorkflowType
        | Field::TaskQueue
        | Field::ParentWorkflowId
        | Field::ParentRunId
        | Field::RootWorkflowId
        | Field::RootRunId
        | Field::ExecutionStatus
        | Field::CloseTime
        | Field::Attribute(_) => None,
    }
}

/// Adds what a demand about times means for the order of lists, so that an index can start there: a run is
/// listed at its close, which is no earlier than its start.
pub(super) fn imply_list_time(filter: &Filter, sql: &mut Sql) {
    let mut bound = |sign: &str, value: &Scalar| {
        sql.push(" AND v.list_time ").push(sign).push(" ").bind(bind(value));
    };
    match filter {
        Filter::Compare { field: Field::CloseTime, comparison, value } => match comparison {
            Comparison::NotEqual => {}
            Comparison::Equal
            | Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => bound(comparison.symbol(), value),
        },
        Filter::Between { field: Field::CloseTime, negated: false, low, high } => {
            bound(">=", low);
            bound("<=", high);
        }
        Filter::Compare { field: Field::StartTime, comparison, value } => match comparison {
            Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual => bound(">=", value),
            Comparison::NotEqual | Comparison::Less | Comparison::LessOrEqual => {}
        },
        Filter::Between { field: Field::StartTime, negated: false, low, .. } => bound(">=", low),
        Filter::Compare { field: Field::ExecutionStatus, comparison: Comparison::Equal, value } => {
            imply_open(std::slice::from_ref(value), sql);
        }
        Filter::OneOf { field: Field::ExecutionStatus, negated: false, values } => imply_open(values, sql),
        Filter::Compare { field, .. } | Filter::OneOf { field, .. } | Filter::Between { field, .. }
            if is_of_closed(field) =>
        {
            sql.push(" AND v.list_time < ").int(i64::MAX);
        }
        Filter::IsNull { field, negated } if *field == Field::CloseTime || is_of_closed(field) => {
            sql.push(if *negated { " AND v.list_time < " } else { " AND v.list_time = " }).int(i64::MAX);
        }
        Filter::All(_)
        | Filter::Any(_)
        | Filter::Not(_)
        | Filter::Compare { .. }
        | Filter::OneOf { .. }
        | Filter::Between { .. }
        | Filter::StartsWith { .. }
        | Filter::Holds { .. }
        | Filter::Mentions { .. }
        | Filter::IsNull { .. } => {}
    }
}

/// Whether a demand means something for the order of lists.
pub(super) fn bounds_list_time(filter: &Filter) -> bool {
    let mut implied = Sql::default();
    imply_list_time(filter, &mut implied);
    !implied.text.is_empty()
}

/// Whether what is open has no value, and so compares with none.
fn is_of_closed(field: &Field) -> bool {
    matches!(
        field,
        Field::ExecutionDuration | Field::HistoryLength | Field::HistorySizeBytes | Field::StateTransitionCount
    )
}

/// What is open is listed first; what has closed is not.
fn imply_open(statuses: &[Scalar], sql: &mut Sql) {
    let is_open = |status: &Scalar| OPEN.iter().any(|open| *status == Scalar::Int(i64::from(*open)));
    if statuses.iter().all(is_open) {
        sql.push(" AND v.list_time = ").int(i64::MAX);
    } else if !statuses.iter().any(is_open) {
        sql.push(" AND v.list_time < ").int(i64::MAX);
    }
}

/// The way that a demand opens, if any.
pub(super) fn access<'q>(demand: &'q Filter, scope: &[u8]) -> Option<Access<'q>> {
    match demand {
        Filter::Compare { field, comparison: Comparison::Equal, value } => {
            equal(demand, field, std::slice::from_ref(value), scope)
        }
        Filter::OneOf { field, negated: false, values } => equal(demand, field, values, scope),
        Filter::StartsWith { field: Field::WorkflowId, negated: false, prefix } if !prefix.is_empty() => {
            Some(by_column(demand, "visibility_by_workflow", scope, |sql| prefixed("v.workflow_id", prefix, sql)))
        }
        Filter::StartsWith { field: field @ Field::Attribute(_), negated: false, prefix } if !prefix.is_empty() => {
            by_attribute(demand, field, scope, |sql| prefixed("value", prefix, sql))
        }
        Filter::Compare { field, comparison, value } => match comparison {
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                by_span(demand, field, scope, |sql| {
                    sql.push("value ").push(comparison.symbol()).push(" ").bind(bind(value));
                })
            }
            Comparison::Equal | Comparison::NotEqual => None,
        },
        Filter::Between { field, negated: false, low, high } => by_span(demand, field, scope, |sql| {
            sql.push("value BETWEEN ").bind(bind(low)).push(" AND ").bind(bind(high));
        }),
        Filter::Holds { field, negated: false, keywords } => by_attribute(demand, field, scope, |sql| {
            sql.push("value IN ").list(keywords.iter().map(|keyword| Bind::Text(keyword.clone())));
        }),
        Filter::Mentions { field, negated: false, phrases } => {
            let access = by_attribute(demand, field, scope, |sql| {
                let first = phrases.iter().filter_map(|phrase| phrase.first());
                sql.push("value IN ").list(first.map(|word| Bind::Text(word.clone())));
            })?;
            let is_exact = phrases.iter().all(|phrase| phrase.len() == 1);
            Some(Access { is_exact, ..access })
        }
        Filter::IsNull { field, negated: true } => by_attribute(demand, field, scope, |sql| {
            sql.push("1");
        }),
        Filter::Any(any) => alternatives(demand, any, scope),
        Filter::All(_)
        | Filter::Not(_)
        | Filter::OneOf { .. }
        | Filter::Between { .. }
        | Filter::StartsWith { .. }
        | Filter::Holds { .. }
        | Filter::Mentions { .. }
        | Filter::IsNull { .. } => None,
    }
}

/// The ways of all alternatives together, when each has one.
fn alternatives<'q>(demand: &'q Filter, any: &'q [Filter], scope: &[u8]) -> Option<Access<'q>> {
    if any.len() > ALTERNATIVES_MAX {
        return None;
    }
    let of_one = |filter: &'q Filter| match filter {
        Filter::All(all) => {
            let access = all.iter().find_map(|filter| access(filter, scope))?;
            Some(Access { is_exact: false, ..access })
        }
        filter => access(filter, scope),
    };
    let ways: Vec<Access<'_>> = any.iter().map(of_one).collect::<Option<_>>()?;
    let entries: Vec<Sql> = ways.iter().flat_map(|way| way.entries.clone()).collect();
    if entries.len() > ALTERNATIVES_MAX {
        return None;
    }
    let is_exact = ways.iter().all(|way| way.is_exact);
    let is_best = ways.iter().all(|way| way.is_best);
    Some(Access { is_exact, is_best, ..by_entries(demand, entries) })
}

/// A field that is one of some values.
fn equal<'q>(demand: &'q Filter, field: &Field, values: &[Scalar], scope: &[u8]) -> Option<Access<'q>> {
    let by_values = |index: &'static str, column: &str| {
        by_column(demand, index, scope, |sql| {
            sql.push(column).push(" IN ").list(values.iter().map(bind));
        })
    };
    match (field, values) {
        (Field::WorkflowId, _) => {
            Some(Access { is_best: true, ..by_values("visibility_by_workflow", "v.workflow_id") })
        }
        (Field::RunId, _) => Some(Access { is_best: true, ..by_values("visibility_by_run", "v.run_id") }),
        (Field::WorkflowType, [value]) => {
            let access = by_column(demand, "visibility_by_type", scope, |sql| {
                sql.push("v.type_name = ").bind(bind(value));
            });
            Some(Access { is_sorted: true, ..access })
        }
        (Field::WorkflowType, _) => Some(by_values("visibility_by_type", "v.type_name")),
        (Field::TaskQueue, _) => Some(by_values("visibility_by_queue", "v.task_queue")),
        (Field::ParentWorkflowId, _) => Some(by_values("visibility_by_parent", "v.parent_workflow_id")),
        (Field::RootWorkflowId, _) => {
            let below = column_entries("visibility_by_root", scope, |sql| {
                sql.push("v.root_workflow_id IN ").list(values.iter().map(bind));
            });
            // The root itself.
            let above = column_entries("visibility_by_workflow", scope, |sql| {
                sql.push("v.workflow_id IN ").list(values.iter().map(bind)).push(" AND v.root_workflow_id IS NULL");
            });
            Some(Access { is_best: true, ..by_entries(demand, vec![below, above]) })
        }
        (Field::ExecutionStatus, [Scalar::Int(status)]) if ![1, 2, 6].contains(status) => {
            // The second half is how SQLite knows that the partial index has them all.
            let access = by_column(demand, "visibility_by_outcome", scope, |sql| {
                sql.push("v.status = ").int(*status).push(" AND v.status NOT IN (1, 2, 6)");
            });
            Some(Access { is_sorted: true, ..access })
        }
        (Field::Attribute(_), _) if *field != Field::division() => by_attribute(demand, field, scope, |sql| {
            sql.push("value IN ").list(values.iter().map(bind));
        }),
        (field, _) => {
            let index = index_of_spans(field)?;
            Some(by_column(demand, index, scope, |sql| condition(demand, sql)))
        }
    }
}

/// A span of the values of a column or an attribute, which `condition` calls `value`.
fn by_span<'q>(demand: &'q Filter, field: &Field, scope: &[u8], of_attribute: impl Fn(&mut Sql)) -> Option<Access<'q>> {
    match index_of_spans(field) {
        Some(index) => Some(by_column(demand, index, scope, |sql| condition(demand, sql))),
        None => by_attribute(demand, field, scope, of_attribute),
    }
}

fn prefixed(column: &str, prefix: &str, sql: &mut Sql) {
    within_prefix(
        |sql| {
            sql.push(column);
        },
        prefix,
        sql,
    );
}

/// ` FROM .. WHERE ..` of the entries of an index of `visibility`.
pub(super) fn column_entries(index: &'static str, scope: &[u8], condition: impl Fn(&mut Sql)) -> Sql {
    let mut entries = Sql::default();
    entries.push(" FROM visibility AS v INDEXED BY ").push(index).push(" WHERE v.scope = ");
    entries.bind(Bind::Blob(scope.to_vec())).push(" AND ");
    condition(&mut entries);
    entries
}

/// `v.run IN (..)`: the runs of entries.
fn among(entries: &[Sql]) -> Sql {
    let mut sql = Sql::default();
    sql.push("v.run IN (").append(union("run", entries)).push(")");
    sql
}

fn by_column<'q>(demand: &'q Filter, index: &'static str, scope: &[u8], condition: impl Fn(&mut Sql)) -> Access<'q> {
    let mut on_index = Sql::default();
    condition(&mut on_index);
    Access {
        demand,
        index: Some(index),
        condition: on_index,
        entries: vec![column_entries(index, scope, condition)],
        is_exact: true,
        is_single: true,
        is_sorted: false,
        is_best: false,
    }
}

/// Entries of several indexes, or of that of attributes.
fn by_entries(demand: &Filter, entries: Vec<Sql>) -> Access<'_> {
    Access {
        demand,
        index: None,
        condition: among(&entries),
        entries,
        is_exact: true,
        is_single: false,
        is_sorted: false,
        is_best: false,
    }
}

/// Entries of the index of attributes; `None` for what is none.
fn by_attribute<'q>(
    demand: &'q Filter,
    field: &Field,
    scope: &[u8],
    condition: impl Fn(&mut Sql),
) -> Option<Access<'q>> {
    let Field::Attribute(attribute) = field else { return None };
    let mut entries = Sql::default();
    entries.push(" FROM visibility_attribute INDEXED BY visibility_attribute_by_value WHERE scope = ");
    entries.bind(Bind::Blob(scope.to_vec())).push(" AND field = ").text(&stored_field(attribute)).push(" AND ");
    condition(&mut entries);
    let is_single = !matches!(field.kind(), Kind::KeywordList | Kind::Text);
    Some(Access { is_single, ..by_entries(demand, vec![entries]) })
}
