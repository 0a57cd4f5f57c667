//! Which workers a filter lets through.

use perdure_kernel::Timestamp;
use perdure_proto::api::{
    enums::WorkerStatus,
    worker::{WorkerHeartbeat, WorkerHostInfo},
};

use super::query::{Comparison, Expr, Operand, QueryError, parse};

/// Conditions on what workers told about themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Option<Expr>);

/// A condition that cannot be answered; as on Temporal it lets nobody through.
struct Unanswerable;

impl Filter {
    /// Reads a filter; the empty one lets everybody through.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        if query.is_empty() { Ok(Self(None)) } else { parse(query).map(|expr| Self(Some(expr))) }
    }

    /// Whether the worker is let through.
    pub fn matches(&self, worker: &WorkerHeartbeat) -> bool {
        self.0.as_ref().is_none_or(|expr| answer(expr, worker).unwrap_or(false))
    }
}

fn answer(expr: &Expr, worker: &WorkerHeartbeat) -> Result<bool, Unanswerable> {
    match expr {
        Expr::And(left, right) => Ok(answer(left, worker)? && answer(right, worker)?),
        Expr::Or(left, right) => Ok(answer(left, worker)? || answer(right, worker)?),
        Expr::Compare { left, comparison, right } => match column(left, worker)? {
            Column::Text(found) => {
                let Operand::Text(wanted) = right else { return Err(Unanswerable) };
                compare_text(&found, *comparison, wanted)
            }
            Column::Time(found) => compare_time(found.unwrap_or(Timestamp::EPOCH), *comparison, instant(right)?),
        },
        Expr::Between { left, negated, from, to } => {
            let Column::Time(found) = column(left, worker)? else { return Err(Unanswerable) };
            let (from, to) = (instant(from)?, instant(to)?);
            Ok(found.is_some_and(|found| (from <= found && found <= to) != *negated))
        }
        Expr::IsNull { left, negated } => {
            let null = match column(left, worker)? {
                Column::Text(found) => found.is_empty(),
                Column::Time(found) => found.is_none(),
            };
            Ok(null != *negated)
        }
        Expr::Unsupported => Err(Unanswerable),
    }
}

enum Column<'a> {
    Text(std::borrow::Cow<'a, str>),
    Time(Option<Timestamp>),
}

fn column<'a>(operand: &Operand, worker: &'a WorkerHeartbeat) -> Result<Column<'a>, Unanswerable> {
    let Operand::Column(name) = operand else { return Err(Unanswerable) };
    let deployment = || worker.deployment_version.as_ref();
    let text = match name.as_str() {
        "WorkerInstanceKey" => &*worker.worker_instance_key,
        "WorkerIdentity" => &*worker.worker_identity,
        "HostName" => worker.host_info.as_ref().map_or("", |host: &WorkerHostInfo| &*host.host_name),
        "TaskQueue" => &*worker.task_queue,
        "DeploymentName" => deployment().map_or("", |version| &*version.deployment_name),
        "BuildId" => deployment().map_or("", |version| &*version.build_id),
        "SdkName" => &*worker.sdk_name,
        "SdkVersion" => &*worker.sdk_version,
        "WorkerStatus" | "status" => return Ok(Column::Text(status_name(worker.status).into())),
        "StartTime" => return Ok(Column::Time(worker.start_time.as_ref().map(Timestamp::from_proto))),
        "HeartbeatTime" => return Ok(Column::Time(worker.heartbeat_time.as_ref().map(Timestamp::from_proto))),
        _unknown => return Err(Unanswerable),
    };
    Ok(Column::Text(text.into()))
}

/// A status as Temporal's Go code prints it.
fn status_name(status: i32) -> String {
    match WorkerStatus::try_from(status) {
        Ok(WorkerStatus::Unspecified) => "Unspecified".to_owned(),
        Ok(WorkerStatus::Running) => "Running".to_owned(),
        Ok(WorkerStatus::ShuttingDown) => "ShuttingDown".to_owned(),
        Ok(WorkerStatus::Shutdown) => "Shutdown".to_owned(),
        Err(_) => status.to_string(),
    }
}

fn compare_text(found: &str, comparison: Comparison, wanted: &str) -> Result<bool, Unanswerable> {
    if wanted.is_empty() {
        return Err(Unanswerable);
    }
    match comparison {
        Comparison::Equal => Ok(found == wanted),
        Comparison::NotEqual => Ok(found != wanted),
        Comparison::StartsWith => Ok(found.starts_with(wanted)),
        Comparison::NotStartsWith => Ok(!found.starts_with(wanted)),
        Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
            Err(Unanswerable)
        }
    }
}

fn compare_time(found: Timestamp, comparison: Comparison, wanted: Timestamp) -> Result<bool, Unanswerable> {
    match comparison {
        Comparison::Equal => Ok(found == wanted),
        Comparison::NotEqual => Ok(found != wanted),
        Comparison::Less => Ok(found < wanted),
        Comparison::LessOrEqual => Ok(found <= wanted),
        Comparison::Greater => Ok(found > wanted),
        Comparison::GreaterOrEqual => Ok(found >= wanted),
        Comparison::StartsWith | Comparison::NotStartsWith => Err(Unanswerable),
    }
}

/// A number of nanoseconds, or an RFC 3339 text.
fn instant(operand: &Operand) -> Result<Timestamp, Unanswerable> {
    match operand {
        Operand::Number(nanos) => nanos.parse().map(Timestamp::from_nanos).map_err(|_| Unanswerable),
        Operand::Text(text) => {
            let time: jiff::Timestamp = text.parse().map_err(|_| Unanswerable)?;
            i64::try_from(time.as_nanosecond()).map(Timestamp::from_nanos).map_err(|_| Unanswerable)
        }
        Operand::Column(_) | Operand::Other => Err(Unanswerable),
    }
}
