//! Which index a query starts from.
//!
//! SQLite keeps no statistics that would follow the data, so the demands of a filter that an index serves
//! are looked at: how many entries of it they leave, up to a bound. The least wins; where all leave many, an
//! index in the order of lists finds a page soonest.

use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{Comparison, Field, Filter, Kind, Query, Scalar};

use super::{
    condition::{Bind, Sql, bind, within_prefix},
    stored_field,
};

/// Demands that are looked at.
const PROBES_MAX: usize = 4;

/// Entries counted of each.
pub(super) const PROBE_ENTRIES_MAX: i64 = 4_000;

/// A way to the rows that a demand of the filter leaves.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The index, as `INDEXED BY` names it; none for the index of attributes.
    pub(super) index: Option<&'static str>,
    /// A condition on `v` that the index serves: implied by the filter.
    pub(super) condition: Sql,
    /// Counts the entries, up to [`PROBE_ENTRIES_MAX`].
    pub(super) probe: Sql,
    /// Whether the entries come in the order of lists.
    pub(super) is_sorted: bool,
    /// Whether nothing is worth a look beside it.
    pub(super) is_best: bool,
}

/// The ways that a query's demands open within a scope.
pub(super) fn accesses(query: &Query, scope: &[u8]) -> Vec<Access> {
    let mut accesses: Vec<Access> = conjuncts(query).iter().filter_map(|filter| access(filter, scope)).collect();
    if let Some(best) = accesses.iter().position(|access| access.is_best) {
        accesses.swap(0, best);
        accesses.truncate(1);
    }
    accesses.truncate(PROBES_MAX);
    accesses
}

/// The demands that a query makes all of.
pub(super) fn conjuncts(query: &Query) -> &[Filter] {
    match &query.filter {
        Some(Filter::All(all)) => all,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

/// Whether a demand asks no more than that records are of `division`.
pub(super) fn asks_for_division(filter: &Filter, division: Option<&str>) -> bool {
    let demand = match division {
        None => Filter::IsNull { field: Field::division(), negated: false },
        Some(division) => Filter::Compare {
            field: Field::division(),
            comparison: Comparison::Equal,
            value: Scalar::Keyword(division.to_owned()),
        },
    };
    *filter == demand
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

/// Statuses of runs that have not closed.
const OPEN: [i32; 2] = [WorkflowExecutionStatus::Running as i32, WorkflowExecutionStatus::Paused as i32];

/// What is open is listed first; what has closed is not.
fn imply_open(statuses: &[Scalar], sql: &mut Sql) {
    let is_open = |status: &Scalar| OPEN.iter().any(|open| *status == Scalar::Int(i64::from(*open)));
    if statuses.iter().all(is_open) {
        sql.push(" AND v.list_time = ").int(i64::MAX);
    } else if !statuses.iter().any(is_open) {
        sql.push(" AND v.list_time < ").int(i64::MAX);
    }
}

fn access(filter: &Filter, scope: &[u8]) -> Option<Access> {
    match filter {
        Filter::Compare { field, comparison: Comparison::Equal, value } => {
            equal(field, std::slice::from_ref(value), scope)
        }
        Filter::OneOf { field, negated: false, values } => equal(field, values, scope),
        Filter::StartsWith { field: Field::WorkflowId, negated: false, prefix } if !prefix.is_empty() => {
            let range = |sql: &mut Sql| {
                within_prefix(
                    |sql| {
                        sql.push("v.workflow_id");
                    },
                    prefix,
                    sql,
                )
            };
            Some(by_column("visibility_by_workflow", scope, false, range))
        }
        Filter::StartsWith { field: field @ Field::Attribute(_), negated: false, prefix } if !prefix.is_empty() => {
            by_attribute(field, scope, |sql| {
                within_prefix(
                    |sql| {
                        sql.push("value");
                    },
                    prefix,
                    sql,
                )
            })
        }
        Filter::Compare { field: field @ Field::Attribute(_), comparison, value } => match comparison {
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                by_attribute(field, scope, |sql| {
                    sql.push("value ").push(comparison.symbol()).push(" ").bind(bind(value));
                })
            }
            Comparison::Equal | Comparison::NotEqual => None,
        },
        Filter::Between { field: field @ Field::Attribute(_), negated: false, low, high } => {
            by_attribute(field, scope, |sql| {
                sql.push("value BETWEEN ").bind(bind(low)).push(" AND ").bind(bind(high));
            })
        }
        Filter::Holds { field, negated: false, keywords } => by_attribute(field, scope, |sql| {
            sql.push("value IN ").list(keywords.iter().map(|keyword| Bind::Text(keyword.clone())));
        }),
        Filter::Mentions { field, negated: false, phrases } => by_attribute(field, scope, |sql| {
            let first = phrases.iter().filter_map(|phrase| phrase.first());
            sql.push("value IN ").list(first.map(|word| Bind::Text(word.clone())));
        }),
        Filter::All(_)
        | Filter::Any(_)
        | Filter::Not(_)
        | Filter::Compare { .. }
        | Filter::OneOf { .. }
        | Filter::Between { .. }
        | Filter::StartsWith { .. }
        | Filter::Holds { .. }
        | Filter::Mentions { .. }
        | Filter::IsNull { .. } => None,
    }
}

/// A field that is one of some values.
fn equal(field: &Field, values: &[Scalar], scope: &[u8]) -> Option<Access> {
    let one_of = |column: &'static str| {
        move |sql: &mut Sql| {
            sql.push(column).push(" IN ").list(values.iter().map(bind));
        }
    };
    let one = |column: &'static str, value: Bind| {
        move |sql: &mut Sql| {
            sql.push(column).push(" = ").bind(value.clone());
        }
    };
    match (field, values) {
        (Field::WorkflowId, _) => {
            let access = by_column("visibility_by_workflow", scope, false, one_of("v.workflow_id"));
            Some(Access { is_best: true, ..access })
        }
        (Field::RunId, _) => {
            let access = by_column("visibility_by_run", scope, false, one_of("v.run_id"));
            Some(Access { is_best: true, ..access })
        }
        (Field::WorkflowType, [value]) => {
            Some(by_column("visibility_by_type", scope, true, one("v.type_name", bind(value))))
        }
        (Field::WorkflowType, _) => Some(by_column("visibility_by_type", scope, false, one_of("v.type_name"))),
        (Field::TaskQueue, _) => Some(by_column("visibility_by_queue", scope, false, one_of("v.task_queue"))),
        (Field::ParentWorkflowId, _) => {
            Some(by_column("visibility_by_parent", scope, false, one_of("v.parent_workflow_id")))
        }
        (Field::ExecutionStatus, [Scalar::Int(status)]) if ![1, 2, 6].contains(status) => {
            // The second half is how SQLite knows that the partial index has them all.
            let condition = |sql: &mut Sql| {
                sql.push("v.status = ").int(*status).push(" AND v.status NOT IN (1, 2, 6)");
            };
            Some(by_column("visibility_by_outcome", scope, true, condition))
        }
        (Field::Attribute(_), _) if *field != Field::division() => by_attribute(field, scope, |sql| {
            sql.push("value IN ").list(values.iter().map(bind));
        }),
        _ => None,
    }
}

fn by_column(index: &'static str, scope: &[u8], is_sorted: bool, condition: impl Fn(&mut Sql)) -> Access {
    let mut demand = Sql::default();
    condition(&mut demand);
    let mut probe = Sql::default();
    probe.push("SELECT count(*) FROM (SELECT 1 FROM visibility AS v INDEXED BY ").push(index).push(" WHERE v.scope = ");
    probe.bind(Bind::Blob(scope.to_vec())).push(" AND ").append(demand.clone());
    probe.push(" LIMIT ").int(PROBE_ENTRIES_MAX).push(")");
    Access { index: Some(index), condition: demand, probe, is_sorted, is_best: false }
}

fn by_attribute(field: &Field, scope: &[u8], condition: impl Fn(&mut Sql)) -> Option<Access> {
    let Field::Attribute(attribute) = field else { return None };
    let mut rows = Sql::default();
    rows.push(" FROM visibility_attribute INDEXED BY visibility_attribute_by_value WHERE scope = ");
    rows.bind(Bind::Blob(scope.to_vec())).push(" AND field = ").text(&stored_field(attribute)).push(" AND ");
    condition(&mut rows);
    let mut demand = Sql::default();
    demand.push("v.run IN (SELECT run").append(rows.clone()).push(")");
    let mut probe = Sql::default();
    probe.push("SELECT count(*) FROM (SELECT 1").append(rows).push(" LIMIT ").int(PROBE_ENTRIES_MAX).push(")");
    Some(Access { index: None, condition: demand, probe, is_sorted: false, is_best: false })
}

/// The one demand of a query beside its division, when an entry of the index of attributes stands for each
/// record that meets it: such a query is counted without looking at rows.
pub(super) fn lone_attribute(query: &Query, scope: &[u8]) -> Option<Sql> {
    let Some(Filter::All(all)) = &query.filter else { return None };
    let [Filter::IsNull { field: division, negated: false }, only] = &all[..] else { return None };
    let (Filter::Compare { field, comparison: Comparison::Equal, .. } | Filter::OneOf { field, negated: false, .. }) =
        only
    else {
        return None;
    };
    let is_single = match field.kind() {
        Kind::Bool | Kind::Datetime | Kind::Double | Kind::Int | Kind::Keyword => true,
        Kind::KeywordList | Kind::Text => false,
    };
    let is_lone = *division == Field::division() && matches!(field, Field::Attribute(_)) && is_single;
    let access = is_lone.then(|| access(only, scope)).flatten()?;
    // What the demand selects runs by is what is counted.
    let rows = access.condition.text.strip_prefix("v.run IN (SELECT run")?.strip_suffix(')')?;
    Some(Sql { text: format!("SELECT count(*){rows}"), values: access.condition.values })
}
