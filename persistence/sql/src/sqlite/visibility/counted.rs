//! Counts that are kept: how many rows there are of each type, task queue and status.

use perdure_kernel::NamespaceId;
use perdure_visibility::{Field, Filter, Query};

use super::{
    access,
    condition::{Bind, Sql, condition},
    scope,
};

/// ` FROM .. WHERE ..` of the counts that a query asks for, when it asks for no more than they tell. Their columns
/// have the names of those of rows.
pub(super) fn rows(namespace: &NamespaceId, query: &Query) -> Option<Sql> {
    let division = query.division()?;
    let demands: Vec<&Filter> =
        access::conjuncts(query).iter().filter(|filter| !access::asks_for_division(filter, division)).collect();
    if !demands.iter().all(|filter| is_told(filter)) {
        return None;
    }
    let mut sql = Sql::default();
    sql.push(" FROM visibility_count AS v WHERE v.scope = ").bind(Bind::Blob(scope(namespace, division)));
    for filter in demands {
        sql.push(" AND (");
        condition(filter, &mut sql);
        sql.push(")");
    }
    Some(sql)
}

/// Whether counts tell all that a filter asks about.
fn is_told(filter: &Filter) -> bool {
    match filter {
        Filter::All(all) | Filter::Any(all) => all.iter().all(is_told),
        Filter::Not(filter) => is_told(filter),
        Filter::Compare { field, .. }
        | Filter::OneOf { field, .. }
        | Filter::Between { field, .. }
        | Filter::StartsWith { field, .. }
        | Filter::Holds { field, .. }
        | Filter::Mentions { field, .. }
        | Filter::IsNull { field, .. } => {
            matches!(field, Field::WorkflowType | Field::TaskQueue | Field::ExecutionStatus)
        }
    }
}
