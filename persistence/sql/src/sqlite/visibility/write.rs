//! Rows of visibility that commits write, the numbers of their closes and the changes of the counts.

use std::collections::HashMap;

use perdure_kernel::{ExecutionKey, VisibilityRecord};
use perdure_persistence::shard::VisibilityWrite;
use perdure_visibility::{
    Attribute,
    attributes::{self, Value},
    text,
};
use prost::Message;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::statement::Repeated,
    counted::{CountChanges, Counted},
    scope_of, stored_field,
};

static BEFORE: Repeated = Repeated::new(
    "SELECT run, scope, type_name, task_queue, status, execution_time, list_time, closed_number FROM visibility \
     WHERE run IN (",
    "?",
    ")",
);
// What does not change while a row stays is not among what is set, so that its indexes are left alone.
static PUT: Repeated = Repeated::new(
    "INSERT OR FAIL INTO visibility(run, scope, archetype, workflow_id, run_id, type_name, task_queue, \
     parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, start_time, execution_time, memo, attributes, \
     status, list_time, history_length, history_size_bytes, execution_duration, state_transition_count, \
     closed_number) VALUES ",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    " ON CONFLICT(run) DO UPDATE SET memo = excluded.memo, \
     attributes = excluded.attributes, status = excluded.status, list_time = excluded.list_time, \
     history_length = excluded.history_length, history_size_bytes = excluded.history_size_bytes, \
     execution_duration = excluded.execution_duration, state_transition_count = excluded.state_transition_count, \
     closed_number = excluded.closed_number",
);
static PUT_ATTRIBUTES: Repeated = Repeated::new(
    "INSERT OR FAIL INTO visibility_attribute(run, field, position, scope, value) VALUES ",
    "(?,?,?,?,?)",
    " ON CONFLICT(run, field, position) DO UPDATE SET value = excluded.value",
);
static DELETE: Repeated = Repeated::new("DELETE FROM visibility WHERE run IN (", "?", ")");
static DELETE_ATTRIBUTES: Repeated = Repeated::new("DELETE FROM visibility_attribute WHERE run IN (", "?", ")");

/// Takes as many numbers as there are closes: closes are numbered in the order in which they are written.
const TAKE_CLOSES: &str = "UPDATE run_sequence SET last_close = last_close + ? RETURNING last_close";

/// What accepted commits write.
#[derive(Default)]
pub(in crate::sqlite) struct VisibilityRows<'a> {
    /// Runs, whether they are new, and what they show.
    shown: Vec<(i64, bool, &'a VisibilityWrite)>,
    removed: Vec<i64>,
}

/// What a row was before it is written.
struct Before {
    counted: Counted,
    execution_time: i64,
    is_closed: bool,
    closed_number: Option<i64>,
}

/// A row to write.
struct PutRow<'a> {
    run: i64,
    scope: Vec<u8>,
    closed_number: Option<i64>,
    record: &'a VisibilityRecord,
}

struct AttributeRow {
    run: i64,
    field: String,
    position: i64,
    scope: Vec<u8>,
    value: Stored,
}

/// A value in SQLite's types.
enum Stored {
    Text(String),
    Int(i64),
    Real(f64),
    Null,
}

impl<'a> VisibilityRows<'a> {
    /// A run's row as it is now. `is_new`: the run has none yet.
    pub(in crate::sqlite) fn put(&mut self, run: i64, is_new: bool, write: &'a VisibilityWrite) {
        self.shown.push((run, is_new, write));
    }

    /// A run is removed, and its row with it.
    pub(in crate::sqlite) fn remove(&mut self, run: i64) {
        self.removed.push(run);
    }

    pub(in crate::sqlite) async fn write(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let known = self.shown.iter().filter(|(_, is_new, _)| !is_new).map(|(run, ..)| *run);
        let known: Vec<i64> = known.chain(self.removed.iter().copied()).collect();
        let before = BEFORE.select(conn, &known, |query, run| query.bind(*run)).await?;
        let before: HashMap<i64, Before> = before.iter().map(Before::decode).collect::<sqlx::Result<_>>()?;
        let closes = self.take_closes(conn, &before).await?;
        self.changes(&before, closes).write(conn).await
    }

    /// Whether a write closes its run.
    fn closes(write: &VisibilityWrite, before: Option<&Before>) -> bool {
        write.record.closed.is_some() && before.is_none_or(|before| !before.is_closed)
    }

    /// The number of the last close before those that are written now.
    async fn take_closes(&self, conn: &mut SqliteConnection, before: &HashMap<i64, Before>) -> sqlx::Result<i64> {
        let closes = self.shown.iter().filter(|(run, _, write)| Self::closes(write, before.get(run))).count();
        if closes == 0 {
            return Ok(0);
        }
        let closes = i64::try_from(closes).unwrap_or(i64::MAX);
        let last: i64 = sqlx::query_scalar(TAKE_CLOSES).bind(closes).fetch_one(conn).await?;
        Ok(last - closes)
    }

    fn changes(&self, before: &HashMap<i64, Before>, mut last_close: i64) -> Changes<'a> {
        let mut changes = Changes::default();
        for run in &self.removed {
            changes.removed_rows.push(*run);
            changes.removed_attributes.push(*run);
            if let Some(before) = before.get(run) {
                changes.counts.add(before.counted.clone(), -1);
            }
        }
        for (run, _, write) in &self.shown {
            let record = &*write.record;
            let before = before.get(run);
            let now = Counted::of(scope_of(record), record);
            let mut closed_number = before.and_then(|before| before.closed_number);
            if Self::closes(write, before) {
                last_close += 1;
                closed_number = Some(last_close);
            }
            if let Some(before) = before {
                if !before.stays(&now, record) {
                    changes.removed_rows.push(*run);
                }
                if write.attributes_changed {
                    changes.removed_attributes.push(*run);
                }
            }
            if before.is_none_or(|_| write.attributes_changed) {
                changes.add_attributes(*run, &now.scope, record);
            }
            changes.put.push(PutRow { run: *run, scope: now.scope.clone(), closed_number, record });
            if before.is_none_or(|before| before.counted != now) {
                if let Some(before) = before {
                    changes.counts.add(before.counted.clone(), -1);
                }
                changes.counts.add(now, 1);
            }
        }
        changes
    }
}

impl Before {
    /// Whether the row can be changed where it stands: else it is written anew.
    fn stays(&self, now: &Counted, record: &VisibilityRecord) -> bool {
        self.counted.status_aside() == now.status_aside() && self.execution_time == record.execution_time.as_nanos()
    }

    fn decode(row: &SqliteRow) -> sqlx::Result<(i64, Self)> {
        let counted = Counted {
            scope: row.try_get(1)?,
            type_name: row.try_get(2)?,
            task_queue: row.try_get(3)?,
            status: row.try_get(4)?,
        };
        let (execution_time, is_closed) = (row.try_get(5)?, row.try_get::<i64, _>(6)? != i64::MAX);
        Ok((row.try_get(0)?, Self { counted, execution_time, is_closed, closed_number: row.try_get(7)? }))
    }
}

/// Everything that is written, by table.
#[derive(Default)]
struct Changes<'a> {
    removed_rows: Vec<i64>,
    removed_attributes: Vec<i64>,
    put: Vec<PutRow<'a>>,
    attributes: Vec<AttributeRow>,
    counts: CountChanges,
}

impl Changes<'_> {
    fn add_attributes(&mut self, run: i64, scope: &[u8], record: &VisibilityRecord) {
        for (name, payload) in &record.search_attributes.indexed_fields {
            let Some((kind, value)) = attributes::decode(payload) else { continue };
            let field = stored_field(&Attribute { name: name.clone(), kind });
            let values = match value {
                Value::Keyword(keyword) => vec![Stored::Text(keyword)],
                Value::Int(int) => vec![Stored::Int(int)],
                Value::Double(double) => vec![Stored::Real(double)],
                Value::Bool(bool) => vec![Stored::Int(i64::from(bool))],
                Value::Keywords(keywords) => keywords.into_iter().map(Stored::Text).collect(),
                Value::Text(text) => match text::words(&text) {
                    words if words.is_empty() => vec![Stored::Null],
                    words => words.into_iter().map(Stored::Text).collect(),
                },
            };
            self.attributes.extend((0..).zip(values).map(|(position, value)| AttributeRow {
                run,
                field: field.clone(),
                position,
                scope: scope.to_vec(),
                value,
            }));
        }
    }

    async fn write(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        DELETE.delete(conn, &self.removed_rows, |query, run| query.bind(*run)).await?;
        DELETE_ATTRIBUTES.delete(conn, &self.removed_attributes, |query, run| query.bind(*run)).await?;
        PUT.write(conn, &self.put, |query, PutRow { run, scope, closed_number, record }| {
            let closed = record.closed.as_ref();
            let parent = record.parent.as_ref();
            let root = record.root.as_ref();
            let list_time = closed.map_or(i64::MAX, |closed| closed.close_time.as_nanos());
            query
                .bind(*run)
                .bind(scope.clone())
                .bind(record.key.business.archetype.0)
                .bind(record.key.business.business_id.to_string())
                .bind(record.key.run_id.to_string())
                .bind(record.type_name.clone())
                .bind(record.task_queue.clone())
                .bind(parent.map(|(workflow_id, _)| workflow_id.clone()))
                .bind(parent.map(|(_, run_id)| run_id.clone()))
                .bind(root.map(|(workflow_id, _)| workflow_id.clone()))
                .bind(root.map(|(_, run_id)| run_id.clone()))
                .bind(record.start_time.as_nanos())
                .bind(record.execution_time.as_nanos())
                .bind(encoded(&*record.memo))
                .bind(encoded(&*record.search_attributes))
                .bind(i32::from(record.status))
                .bind(list_time)
                .bind(closed.map(|closed| closed.history_length))
                .bind(closed.map(|closed| closed.history_size_bytes))
                .bind(closed.map(|closed| closed.execution_duration))
                .bind(closed.map(|closed| closed.state_transition_count))
                .bind(*closed_number)
        })
        .await?;
        PUT_ATTRIBUTES
            .write(conn, &self.attributes, |query, row| {
                let query = query.bind(row.run).bind(row.field.clone()).bind(row.position).bind(row.scope.clone());
                match &row.value {
                    Stored::Text(text) => query.bind(text.clone()),
                    Stored::Int(int) => query.bind(*int),
                    Stored::Real(real) => query.bind(*real),
                    Stored::Null => query.bind(None::<i64>),
                }
            })
            .await?;
        self.counts.write(conn).await
    }
}

/// Removes rows of lists by their runs' ids.
pub(in crate::sqlite) async fn remove(conn: &mut SqliteConnection, runs: &[ExecutionKey]) -> sqlx::Result<()> {
    const RUN: &str = "SELECT run FROM visibility WHERE run_id = ? AND workflow_id = ?";
    let mut rows = VisibilityRows::default();
    for run in runs {
        let row = sqlx::query_scalar(RUN).bind(run.run_id.to_string()).bind(run.business.business_id.to_string());
        let row: Option<i64> = row.fetch_optional(&mut *conn).await?;
        rows.removed.extend(row);
    }
    rows.write(conn).await
}

/// The message's bytes; none for an empty one.
fn encoded(message: &impl Message) -> Option<Vec<u8>> {
    let bytes = message.encode_to_vec();
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plan::assert_searches;

    #[tokio::test]
    async fn every_look_up_and_delete_uses_an_index() {
        assert_searches(&[BEFORE.text(2), DELETE.text(2), DELETE_ATTRIBUTES.text(2)]).await;
    }
}
