//! Rows of visibility that commits write.

use perdure_kernel::VisibilityRecord;
use perdure_persistence::shard::VisibilityWrite;
use perdure_visibility::{
    Attribute,
    attributes::{self, Value},
    text,
};
use prost::Message;
use sqlx::SqliteConnection;

use super::{super::statement::Repeated, scope_of, stored_field};

// What cannot change is not among what is set, so that its indexes are left alone.
static PUT: Repeated = Repeated::new(
    "INSERT OR FAIL INTO visibility(run, scope, archetype, workflow_id, run_id, type_name, task_queue, \
     parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, start_time, execution_time, memo, attributes, \
     status, list_time, history_length, history_size_bytes, execution_duration, state_transition_count, \
     closed_number) VALUES ",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    " ON CONFLICT(run) DO UPDATE SET execution_time = excluded.execution_time, memo = excluded.memo, \
     status = excluded.status, list_time = excluded.list_time, \
     history_length = excluded.history_length, history_size_bytes = excluded.history_size_bytes, \
     execution_duration = excluded.execution_duration, state_transition_count = excluded.state_transition_count, \
     closed_number = coalesce(closed_number, excluded.closed_number)",
);
static PUT_ATTRIBUTES: Repeated = Repeated::new(
    "INSERT OR FAIL INTO visibility_attribute(run, field, position, scope, value) VALUES ",
    "(?,?,?,?,?)",
    " ON CONFLICT(run, field, position) DO UPDATE SET value = excluded.value",
);
static DELETE: Repeated = Repeated::new("DELETE FROM visibility WHERE run IN (", "?", ")");
static DELETE_ATTRIBUTES: Repeated = Repeated::new("DELETE FROM visibility_attribute WHERE run IN (", "?", ")");

/// What accepted commits write.
#[derive(Default)]
pub(in crate::sqlite) struct VisibilityRows<'a> {
    deleted: Vec<i64>,
    put: Vec<(i64, Vec<u8>, Option<i64>, &'a VisibilityRecord)>,
    attributes: Vec<AttributeRow>,
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
    /// A run's row as it is now. `is_new`: the run has none yet. `close`: the number of its close, if it is closed
    /// and has none yet.
    pub(in crate::sqlite) fn put(&mut self, run: i64, is_new: bool, close: Option<i64>, write: &'a VisibilityWrite) {
        let scope = scope_of(&write.record);
        if is_new || write.attributes_changed {
            if !is_new {
                self.deleted.push(run);
            }
            self.add_attributes(run, &scope, &write.record);
        }
        self.put.push((run, scope, close, &write.record));
    }

    /// A run is removed, and its row with it.
    pub(in crate::sqlite) fn delete(&mut self, run: i64) {
        self.deleted.push(run);
    }

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

    pub(in crate::sqlite) async fn write(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        for statement in [&DELETE, &DELETE_ATTRIBUTES] {
            statement.delete(conn, &self.deleted, |query, run| query.bind(*run)).await?;
        }
        PUT.write(conn, &self.put, |query, (run, scope, close, record)| {
            let closed = record.closed.as_ref();
            let parent = record.parent.as_ref();
            let root = record.root.as_ref();
            let duration = |closed: &perdure_kernel::ClosedRecord| {
                i64::try_from(closed.execution_duration.as_nanos()).unwrap_or(i64::MAX)
            };
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
                .bind(closed.map(duration))
                .bind(closed.map(|closed| closed.state_transition_count))
                .bind(*close)
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
            .await
    }
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
    async fn every_delete_uses_an_index() {
        assert_searches(&[DELETE.text(2), DELETE_ATTRIBUTES.text(2)]).await;
    }
}
