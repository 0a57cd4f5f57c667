//! Filters as conditions of SQL. Columns are those of `visibility AS v`; values are bound.

use perdure_visibility::{Attribute, Field, Filter, Scalar};

use super::stored_field;

/// The close time; null while the run is open.
const CLOSE_TIME: &str = "nullif(v.list_time, 9223372036854775807)";

/// SQL with its values, in the order of their marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Bind>,
}

/// A value to bind.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Text(String),
    Int(i64),
    Real(f64),
    Blob(Vec<u8>),
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A mark and its value.
    pub(super) fn bind(&mut self, value: Bind) -> &mut Self {
        self.text.push('?');
        self.values.push(value);
        self
    }

    pub(super) fn int(&mut self, value: i64) -> &mut Self {
        self.bind(Bind::Int(value))
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.bind(Bind::Text(value.to_owned()))
    }

    pub(super) fn append(&mut self, other: Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
        self
    }

    /// What `add` adds for each item, with `between` between them.
    pub(super) fn joined<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        between: &str,
        mut add: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(between);
            }
            add(self, item);
        }
        self
    }

    /// `(?, ?, ..)`.
    pub(super) fn list(&mut self, values: impl IntoIterator<Item = Bind>) -> &mut Self {
        self.push("(").joined(values, ", ", |sql, value| {
            sql.bind(value);
        });
        self.push(")")
    }
}

/// The filter as a condition that is true, false or null as the filter is.
pub(super) fn condition(filter: &Filter, sql: &mut Sql) {
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match filter {
        Filter::All(all) => joined(all, " AND ", sql),
        Filter::Any(any) => joined(any, " OR ", sql),
        Filter::Not(filter) => {
            sql.push("NOT (");
            condition(filter, sql);
            sql.push(")");
        }
        Filter::Compare { field, comparison, value } => {
            value_of(field, sql);
            sql.push(" ").push(comparison.symbol()).push(" ").bind(bind(value));
        }
        Filter::OneOf { field, negated, values } => {
            value_of(field, sql);
            sql.push(" ").push(not(*negated)).push("IN ").list(values.iter().map(bind));
        }
        Filter::Between { field, negated, low, high } => {
            value_of(field, sql);
            sql.push(" ").push(not(*negated)).push("BETWEEN ").bind(bind(low)).push(" AND ").bind(bind(high));
        }
        Filter::StartsWith { field, negated, prefix } => {
            sql.push(not(*negated)).push("(");
            let column = |sql: &mut Sql| value_of(field, sql);
            within_prefix(column, prefix, sql);
            sql.push(")");
        }
        Filter::Holds { field, negated, keywords } => {
            sql.push(not(*negated))
                .push("EXISTS (SELECT 1 FROM visibility_attribute AS a WHERE a.run = v.run AND a.field = ");
            stored(field, sql);
            sql.push(" AND a.value IN ").list(keywords.iter().map(|keyword| Bind::Text(keyword.clone()))).push(")");
        }
        Filter::Mentions { field, negated, phrases } => {
            sql.push(not(*negated)).push("(");
            sql.joined(phrases, " OR ", |sql, phrase| {
                if phrase.is_empty() {
                    sql.push("0")
                } else {
                    words(field, phrase, sql)
                };
            });
            sql.push(")");
        }
        Filter::IsNull { field, negated } => match field {
            Field::Attribute(_) => {
                // Asks for a row, not a value: a text without words has one without.
                sql.push(not(!*negated))
                    .push("EXISTS (SELECT 1 FROM visibility_attribute AS a WHERE a.run = v.run AND a.field = ");
                stored(field, sql);
                sql.push(")");
            }
            _ => {
                value_of(field, sql);
                sql.push(" IS ").push(not(*negated)).push("NULL");
            }
        },
    }
}

fn joined(filters: &[Filter], between: &str, sql: &mut Sql) {
    sql.push("(").joined(filters, between, |sql, filter| condition(filter, sql)).push(")");
}

/// Whether the words stand in a text one after the other.
fn words<'s>(field: &Field, phrase: &[String], sql: &'s mut Sql) -> &'s mut Sql {
    for (index, word) in phrase.iter().enumerate() {
        if index > 0 {
            sql.push(" AND ");
        }
        sql.push(&format!(
            "EXISTS (SELECT 1 FROM visibility_attribute AS a{index} WHERE a{index}.run = v.run AND a{index}.field = "
        ));
        stored(field, sql);
        if index > 0 {
            sql.push(&format!(" AND a{index}.position = a{}.position + 1", index - 1));
        }
        sql.push(&format!(" AND a{index}.value = ")).text(word);
    }
    sql.push(&")".repeat(phrase.len()))
}

/// Whether a text starts with `prefix`: a range, so that an index serves it.
pub(super) fn within_prefix(column: impl Fn(&mut Sql), prefix: &str, sql: &mut Sql) {
    column(sql);
    sql.push(" >= ").text(prefix);
    if let Some(end) = after_texts_with(prefix) {
        sql.push(" AND ");
        column(sql);
        sql.push(" < ").text(&end);
    }
}

/// The least text that comes after all that start with `prefix`, if any text does.
fn after_texts_with(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        let next = match last {
            // Between these there are no letters.
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

/// The field's value; null where there is none.
fn value_of(field: &Field, sql: &mut Sql) {
    match column(field) {
        Some(column) => sql.push(column),
        None => {
            sql.push(
                "(SELECT a.value FROM visibility_attribute AS a WHERE a.run = v.run AND a.position = 0 AND a.field = ",
            );
            stored(field, sql);
            sql.push(")")
        }
    };
}

/// The stored name of an attribute.
fn stored(field: &Field, sql: &mut Sql) {
    match field {
        Field::Attribute(attribute) => sql.text(&stored_field(attribute)),
        other => sql.text(&stored_field(&Attribute { name: other.name().to_owned(), kind: other.kind() })),
    };
}

/// The column of a field that has one.
fn column(field: &Field) -> Option<&'static str> {
    match field {
        Field::WorkflowId => Some("v.workflow_id"),
        Field::RunId => Some("v.run_id"),
        Field::WorkflowType => Some("v.type_name"),
        Field::TaskQueue => Some("v.task_queue"),
        Field::ParentWorkflowId => Some("v.parent_workflow_id"),
        Field::ParentRunId => Some("v.parent_run_id"),
        Field::RootWorkflowId => Some("coalesce(v.root_workflow_id, v.workflow_id)"),
        Field::RootRunId => Some("coalesce(v.root_run_id, v.run_id)"),
        Field::ExecutionStatus => Some("v.status"),
        Field::StartTime => Some("v.start_time"),
        Field::ExecutionTime => Some("v.execution_time"),
        Field::CloseTime => Some(CLOSE_TIME),
        Field::ExecutionDuration => Some("v.execution_duration"),
        Field::HistoryLength => Some("v.history_length"),
        Field::HistorySizeBytes => Some("v.history_size_bytes"),
        Field::StateTransitionCount => Some("v.state_transition_count"),
        Field::Attribute(_) => None,
    }
}

/// A value as SQLite stores it.
pub(super) fn bind(value: &Scalar) -> Bind {
    match value {
        Scalar::Keyword(keyword) => Bind::Text(keyword.clone()),
        Scalar::Int(int) => Bind::Int(*int),
        Scalar::Double(double) => Bind::Real(*double),
        Scalar::Bool(bool) => Bind::Int(i64::from(*bool)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, end) in [
            ("ab", Some("ac")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(after_texts_with(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
