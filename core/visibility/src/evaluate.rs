//! Whether a record passes a filter.

use std::{borrow::Cow, cmp::Ordering};

use perdure_kernel::VisibilityRecord;

use crate::{
    Comparison, Field, Filter, GroupBy, Scalar,
    attributes::{self, Value},
    literal, text,
};

pub use literal::status_name;

/// Whether the filter is true of the record.
pub fn matches(filter: &Filter, record: &VisibilityRecord) -> bool {
    truth(filter, record) == Some(true)
}

/// The group that a record counts to; empty for records without the attribute.
pub fn group<'a>(by: &GroupBy, record: &'a VisibilityRecord) -> Cow<'a, str> {
    match by {
        GroupBy::ExecutionStatus => Cow::Borrowed(status_name(record.status)),
        GroupBy::Keyword(name) => match attribute(record, name) {
            Some(Value::Keyword(keyword)) => Cow::Owned(keyword),
            Some(_) | None => Cow::Borrowed(""),
        },
    }
}

/// `None`: neither true nor false.
fn truth(filter: &Filter, record: &VisibilityRecord) -> Option<bool> {
    match filter {
        Filter::All(all) => fold(all, record, false),
        Filter::Any(any) => fold(any, record, true),
        Filter::Not(filter) => truth(filter, record).map(|truth| !truth),
        Filter::Compare { field, comparison, value } => {
            let ordering = compare(&of(field, record)?, value)?;
            Some(match comparison {
                Comparison::Equal => ordering.is_eq(),
                Comparison::NotEqual => ordering.is_ne(),
                Comparison::Less => ordering.is_lt(),
                Comparison::LessOrEqual => ordering.is_le(),
                Comparison::Greater => ordering.is_gt(),
                Comparison::GreaterOrEqual => ordering.is_ge(),
            })
        }
        Filter::OneOf { field, negated, values } => {
            let held = of(field, record)?;
            let found = values.iter().any(|value| compare(&held, value).is_some_and(Ordering::is_eq));
            Some(found != *negated)
        }
        Filter::Between { field, negated, low, high } => {
            let held = of(field, record)?;
            let within = compare(&held, low)?.is_ge() && compare(&held, high)?.is_le();
            Some(within != *negated)
        }
        Filter::StartsWith { field, negated, prefix } => match of(field, record)? {
            Value::Keyword(keyword) => Some(keyword.starts_with(prefix) != *negated),
            Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::Keywords(_) | Value::Text(_) => None,
        },
        Filter::Holds { field, negated, keywords } => {
            let held = match of(field, record) {
                Some(Value::Keywords(held)) => held,
                Some(_) | None => Vec::new(),
            };
            Some(keywords.iter().any(|keyword| held.contains(keyword)) != *negated)
        }
        Filter::Mentions { field, negated, phrases } => {
            let words = match of(field, record) {
                Some(Value::Text(held)) => text::words(&held),
                Some(_) | None => Vec::new(),
            };
            let found =
                |phrase: &Vec<String>| !phrase.is_empty() && words.windows(phrase.len()).any(|some| some == phrase);
            Some(phrases.iter().any(found) != *negated)
        }
        Filter::IsNull { field, negated } => Some(of(field, record).is_none() != *negated),
    }
}

/// The truth of several filters: `decisive` as soon as one has that, undecided if one is.
fn fold(filters: &[Filter], record: &VisibilityRecord, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for filter in filters {
        match truth(filter, record) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// How a held value stands to another; `None` when they are not of one type.
fn compare(held: &Value, value: &Scalar) -> Option<Ordering> {
    match (held, value) {
        (Value::Keyword(held), Scalar::Keyword(value)) => Some(held.as_str().cmp(value)),
        (Value::Int(held), Scalar::Int(value)) => Some(held.cmp(value)),
        (Value::Int(held), Scalar::Double(value)) => Some(int_to_double(*held, *value)),
        (Value::Double(held), Scalar::Int(value)) => Some(int_to_double(*value, *held).reverse()),
        (Value::Double(held), Scalar::Double(value)) => held.partial_cmp(value),
        (Value::Bool(held), Scalar::Bool(value)) => Some(held.cmp(value)),
        (
            Value::Keyword(_) | Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::Keywords(_) | Value::Text(_),
            Scalar::Keyword(_) | Scalar::Int(_) | Scalar::Double(_) | Scalar::Bool(_),
        ) => None,
    }
}

/// Exactly, also where a whole number has no floating-point form. `double` is finite.
fn int_to_double(int: i64, double: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if double >= BEYOND {
        return Ordering::Less;
    }
    if double < -BEYOND {
        return Ordering::Greater;
    }
    let whole = double.trunc();
    int.cmp(&(whole as i64)).then_with(|| 0.0_f64.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal))
}

fn attribute(record: &VisibilityRecord, name: &str) -> Option<Value> {
    record.search_attributes.indexed_fields.get(name).and_then(attributes::decode).map(|(_, value)| value)
}

/// The value of a field; an attribute that was stored with another type than the one asked for has none.
fn of(field: &Field, record: &VisibilityRecord) -> Option<Value> {
    let keyword = |text: &str| Some(Value::Keyword(text.to_owned()));
    let closed = record.closed.as_ref();
    match field {
        Field::WorkflowId => keyword(&record.key.business.business_id),
        Field::RunId => keyword(&record.key.run_id),
        Field::WorkflowType => keyword(&record.type_name),
        Field::TaskQueue => keyword(&record.task_queue),
        Field::ParentWorkflowId => record.parent.as_ref().and_then(|(workflow_id, _)| keyword(workflow_id)),
        Field::ParentRunId => record.parent.as_ref().and_then(|(_, run_id)| keyword(run_id)),
        Field::RootWorkflowId => keyword(record.root_workflow_id()),
        Field::RootRunId => keyword(record.root_run_id()),
        Field::ExecutionStatus => Some(Value::Int(i64::from(i32::from(record.status)))),
        Field::StartTime => Some(Value::Int(record.start_time.as_nanos())),
        Field::ExecutionTime => Some(Value::Int(record.execution_time.as_nanos())),
        Field::CloseTime => closed.map(|closed| Value::Int(closed.close_time.as_nanos())),
        Field::ExecutionDuration => closed.map(|closed| Value::Int(closed.execution_duration)),
        Field::HistoryLength => closed.map(|closed| Value::Int(closed.history_length)),
        Field::HistorySizeBytes => closed.map(|closed| Value::Int(closed.history_size_bytes)),
        Field::StateTransitionCount => closed.map(|closed| Value::Int(closed.state_transition_count)),
        Field::Attribute(wanted) => {
            let payload = record.search_attributes.indexed_fields.get(&wanted.name)?;
            attributes::decode(payload).filter(|(kind, _)| *kind == wanted.kind).map(|(_, value)| value)
        }
    }
}
