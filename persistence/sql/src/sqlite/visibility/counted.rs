//! Counts that are kept: how many rows there are of each type, task queue and status. Whoever writes rows writes
//! their changes of the counts in the same transaction.

use std::collections::BTreeMap;

use perdure_kernel::{NamespaceId, VisibilityRecord};
use perdure_visibility::{Field, Filter, Query, Scalar};
use sqlx::SqliteConnection;

use super::{
    super::statement::{Bound, Repeated},
    access,
    condition::{Bind, Sql, condition},
    scope,
};

static ADD: Repeated = Repeated::new(
    "INSERT OR FAIL INTO visibility_count(scope, type_name, task_queue, status, number) VALUES ",
    "(?,?,?,?,?)",
    " ON CONFLICT DO UPDATE SET number = number + excluded.number",
);
// What no row is of any more need not be kept.
static FORGET: Repeated = Repeated::new(
    "DELETE FROM visibility_count WHERE number = 0 AND (scope, type_name, task_queue, status) IN (VALUES ",
    "(?,?,?,?)",
    ")",
);

/// What a row is counted as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub(super) scope: Vec<u8>,
    pub(super) type_name: String,
    pub(super) task_queue: String,
    pub(super) status: i32,
}

impl Counted {
    pub(super) fn of(scope: Vec<u8>, record: &VisibilityRecord) -> Self {
        Self {
            scope,
            type_name: record.type_name.clone(),
            task_queue: record.task_queue.clone(),
            status: i32::from(record.status),
        }
    }

    /// What stays while a run goes from status to status.
    pub(super) fn status_aside(&self) -> (&[u8], &str, &str) {
        (&self.scope, &self.type_name, &self.task_queue)
    }
}

/// Changes of the counts by a transaction.
#[derive(Debug, Default)]
pub(super) struct CountChanges(BTreeMap<Counted, i64>);

impl CountChanges {
    pub(super) fn add(&mut self, counted: Counted, number: i64) {
        *self.0.entry(counted).or_default() += number;
    }

    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let key = |query: Bound, counted: &Counted| {
            let query = query.bind(counted.scope.clone()).bind(counted.type_name.clone());
            query.bind(counted.task_queue.clone()).bind(counted.status)
        };
        let changed: Vec<(&Counted, i64)> =
            self.0.iter().filter(|(_, number)| **number != 0).map(|(counted, number)| (counted, *number)).collect();
        ADD.write(conn, &changed, |query, (counted, number)| key(query, counted).bind(*number)).await?;
        let fewer: Vec<&Counted> =
            changed.iter().filter(|(_, number)| *number < 0).map(|(counted, _)| *counted).collect();
        FORGET.delete(conn, &fewer, |query, counted| key(query, counted)).await
    }
}

/// ` FROM .. WHERE ..` of the counts that a query asks for, when it asks for no more than they tell. Their columns
/// have the names of those of rows.
pub(super) fn rows(namespace: &NamespaceId, query: &Query) -> Option<Sql> {
    let division = query.division()?;
    let demands = access::demands(query, division);
    let told: Vec<Filter> = demands.into_iter().map(told).collect::<Option<_>>()?;
    let mut sql = Sql::default();
    sql.push(" FROM visibility_count AS v WHERE v.scope = ").bind(Bind::Blob(scope(namespace, division)));
    for filter in &told {
        sql.push(" AND (");
        condition(filter, &mut sql);
        sql.push(")");
    }
    Some(sql)
}

/// The filter as counts tell it, when they tell all that it asks about.
fn told(filter: &Filter) -> Option<Filter> {
    let all = |filters: &[Filter]| filters.iter().map(told).collect::<Option<Vec<_>>>();
    match filter {
        Filter::All(filters) => Some(Filter::All(all(filters)?)),
        Filter::Any(filters) => Some(Filter::Any(all(filters)?)),
        Filter::Not(filter) => Some(Filter::Not(Box::new(told(filter)?))),
        Filter::IsNull { field: Field::CloseTime, negated } => {
            let values = access::OPEN.map(|status| Scalar::Int(status.into())).to_vec();
            Some(Filter::OneOf { field: Field::ExecutionStatus, negated: *negated, values })
        }
        Filter::Compare { field, .. }
        | Filter::OneOf { field, .. }
        | Filter::Between { field, .. }
        | Filter::StartsWith { field, .. }
        | Filter::Holds { field, .. }
        | Filter::Mentions { field, .. }
        | Filter::IsNull { field, .. } => {
            matches!(field, Field::WorkflowType | Field::TaskQueue | Field::ExecutionStatus).then(|| filter.clone())
        }
    }
}
