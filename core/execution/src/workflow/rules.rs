//! Workflow rules: what a namespace does with activities that match a predicate.
//!
//! A rule is looked at when an activity's attempt begins or has failed. One that cannot be understood matches
//! nothing: the API takes any text.

use std::{cmp::Ordering, time::Duration};

use perdure_kernel::Timestamp;
use perdure_proto::{
    api::{
        enums::PendingActivityState,
        rules::{WorkflowRule, WorkflowRuleSpec, workflow_rule_action::Variant, workflow_rule_spec::Trigger},
    },
    records,
};

use super::{
    draft::Draft,
    options_in_force::in_force,
    rule_query::{Malformed, Operator, Query, Value},
    state::WorkflowState,
};

/// Whether something matches, if the question makes sense.
type Matched = Result<bool, Malformed>;

impl Draft<'_, '_> {
    /// Pauses an activity that is not paused, if a rule says so. Returns whether one did.
    pub(crate) fn pause_by_rule(&mut self, id: i64) -> bool {
        let rules = &self.env.namespace.workflow_rules;
        if rules.is_empty() {
            return false;
        }
        let now = self.now();
        let matching = rules.iter().find(|(_, rule)| pauses(rule, &self.state, id, now));
        let Some((rule_id, _)) = matching else { return false };
        let rule_id = rule_id.clone();
        self.pause_activity(id, records::ActivityPause { time: now.as_nanos(), rule_id, ..Default::default() });
        true
    }

    /// Hands the present attempt to matching, unless a rule pauses the activity.
    pub(crate) fn dispatch_unless_ruled_out(&mut self, id: i64) {
        if !self.pause_by_rule(id) {
            self.dispatch_activity(id);
        }
    }
}

fn pauses(rule: &WorkflowRule, state: &WorkflowState, id: i64, now: Timestamp) -> bool {
    let Some(spec) = &rule.spec else { return false };
    let expired = spec.expiration_time.as_ref().is_some_and(|at| Timestamp::from_proto(at) < now);
    let pauses = spec.actions.iter().any(|action| matches!(action.variant, Some(Variant::ActivityPause(_))));
    !expired && pauses && matches(spec, state, id) == Ok(true)
}

fn matches(spec: &WorkflowRuleSpec, state: &WorkflowState, id: i64) -> Matched {
    let Some(Trigger::ActivityStart(trigger)) = &spec.trigger else { return Ok(false) };
    let of_workflow =
        spec.visibility_query.trim().is_empty() || evaluate(&Query::parse(&spec.visibility_query)?, &Workflow(state))?;
    let (Some(scheduled), Some(attempt)) = (state.activities.get(&id), state.attempt(id)) else { return Ok(false) };
    Ok(of_workflow && evaluate(&Query::parse(&trigger.predicate)?, &Activity { scheduled, attempt })?)
}

/// Something with fields.
trait Subject {
    fn compare(&self, field: &str, operator: Operator, value: &Value) -> Matched;
    fn between(&self, field: &str, from: &Value, to: &Value) -> Matched;
}

fn evaluate(query: &Query, subject: &impl Subject) -> Matched {
    match query {
        Query::And(left, right) => Ok(evaluate(left, subject)? && evaluate(right, subject)?),
        Query::Or(left, right) => Ok(evaluate(left, subject)? || evaluate(right, subject)?),
        Query::Compare { field, operator, value } => subject.compare(field, *operator, value),
        Query::Between { field, from, to, not } => Ok(subject.between(field, from, to)? != *not),
    }
}

/// A run's fields.
struct Workflow<'a>(&'a WorkflowState);

impl Subject for Workflow<'_> {
    fn compare(&self, field: &str, operator: Operator, value: &Value) -> Matched {
        let run = self.0;
        match field {
            "WorkflowId" => text(run.workflow_id(), operator, value),
            // The sides are so in Temporal: it asks whether the value begins with the type.
            "WorkflowType" => match value {
                Value::Text(wanted) if !run.workflow_type().is_empty() => {
                    text(wanted, operator, &Value::Text(run.workflow_type().to_owned()))
                }
                Value::Text(_) | Value::Number(_) => Err(Malformed),
            },
            "ExecutionStatus" => match operator {
                Operator::Equal | Operator::NotEqual => text(&format!("{:?}", run.status()), operator, value),
                Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::StartsWith
                | Operator::NotStartsWith => Err(Malformed),
            },
            "StartTime" => order(Timestamp::from_nanos(run.record.start_time), operator, time(value)?),
            _ => Err(Malformed),
        }
    }

    fn between(&self, field: &str, from: &Value, to: &Value) -> Matched {
        let start = Timestamp::from_nanos(self.0.record.start_time);
        if field == "StartTime" { Ok(time(from)? <= start && start <= time(to)?) } else { Err(Malformed) }
    }
}

/// An activity's fields.
struct Activity<'a> {
    scheduled: &'a records::ScheduledActivity,
    attempt: &'a records::ActivityAttempt,
}

impl Subject for Activity<'_> {
    fn compare(&self, field: &str, operator: Operator, value: &Value) -> Matched {
        let attributes = self.scheduled.attributes.as_ref();
        let attempt = self.attempt;
        match field {
            "ActivityId" => text(attributes.map_or("", |attributes| &attributes.activity_id), operator, value),
            "ActivityType" => {
                let kind = attributes.and_then(|attributes| attributes.activity_type.as_ref());
                text(kind.map_or("", |kind| &kind.name), operator, value)
            }
            "ActivityState" => text(&format!("{:?}", self.state()), operator, value),
            "Attempts" => order(i64::from(attempt.attempt), operator, number(value)?),
            // A first attempt waited for nothing.
            "BackoffInterval" if attempt.attempt < 2 => number(value).map(|_| false),
            "BackoffInterval" => order(self.backoff(), operator, number(value)?),
            "TaskQueue" => text(in_force(self.scheduled, attempt).task_queue, operator, value),
            "StartedTime" => order(Timestamp::from_nanos(attempt.started_time), operator, time(value)?),
            _ => Err(Malformed),
        }
    }

    fn between(&self, field: &str, from: &Value, to: &Value) -> Matched {
        let started = Timestamp::from_nanos(self.attempt.started_time);
        if field != "StartedTime" {
            return Err(Malformed);
        }
        let (from, to) = (time(from)?, time(to)?);
        Ok(!started.is_unset() && from <= started && started <= to)
    }
}

impl Activity<'_> {
    /// Rules are asked about activities that are not paused. A started one counts as started even when it is to be
    /// cancelled.
    fn state(&self) -> PendingActivityState {
        match (self.attempt.started_time != 0, self.attempt.cancel_requested) {
            (true, _) => PendingActivityState::Started,
            (false, true) => PendingActivityState::CancelRequested,
            (false, false) => PendingActivityState::Scheduled,
        }
    }

    /// Whole seconds between the last attempt's end and this one's schedule; negative while this one runs on.
    fn backoff(&self) -> i64 {
        let nanos = self.attempt.scheduled_time.saturating_sub(self.attempt.last_attempt_complete_time);
        nanos / i64::try_from(Duration::from_secs(1).as_nanos()).unwrap_or(i64::MAX)
    }
}

fn text(field: &str, operator: Operator, value: &Value) -> Matched {
    let value = match value {
        Value::Text(value) if !value.is_empty() => value,
        Value::Text(_) | Value::Number(_) => return Err(Malformed),
    };
    match operator {
        Operator::Equal => Ok(field == value),
        Operator::NotEqual => Ok(field != value),
        Operator::StartsWith => Ok(field.starts_with(value.as_str())),
        Operator::NotStartsWith => Ok(!field.starts_with(value.as_str())),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => Err(Malformed),
    }
}

fn order<T: Ord>(field: T, operator: Operator, value: T) -> Matched {
    let ordering = field.cmp(&value);
    match operator {
        Operator::Equal => Ok(ordering == Ordering::Equal),
        Operator::NotEqual => Ok(ordering != Ordering::Equal),
        Operator::Less => Ok(ordering == Ordering::Less),
        Operator::LessOrEqual => Ok(ordering != Ordering::Greater),
        Operator::Greater => Ok(ordering == Ordering::Greater),
        Operator::GreaterOrEqual => Ok(ordering != Ordering::Less),
        Operator::StartsWith | Operator::NotStartsWith => Err(Malformed),
    }
}

fn number(value: &Value) -> Result<i64, Malformed> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Text(_) => Err(Malformed),
    }
}

/// A time: nanoseconds since 1970, or RFC 3339.
fn time(value: &Value) -> Result<Timestamp, Malformed> {
    match value {
        Value::Number(nanos) => Ok(Timestamp::from_nanos(*nanos)),
        Value::Text(text) => Timestamp::from_rfc3339(text).ok_or(Malformed),
    }
}
