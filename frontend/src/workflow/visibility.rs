//! RPCs that list and count executions.

use bytes::Bytes;
use perdure_kernel::{ServiceResult, Timestamp, VisibilityRecord, time::nanos_to_proto};
use perdure_proto::api::{
    activity::ActivityExecutionListInfo,
    common::{ActivityType, Payload, WorkflowExecution, WorkflowType},
    enums::{ActivityExecutionStatus, WorkflowExecutionStatus},
    filter::{StartTimeFilter, WorkflowExecutionFilter, WorkflowTypeFilter},
    workflow::WorkflowExecutionInfo,
    workflowservice::{
        self as ws, count_activity_executions_response, count_workflow_executions_response,
        list_closed_workflow_executions_request::Filters as ClosedFilters,
        list_open_workflow_executions_request::Filters as OpenFilters,
    },
};
use perdure_visibility::{
    ArchetypeNames, Comparison, Field, Filter, Query, Scalar,
    attributes::{self, Value},
};

use crate::{
    call::{Call, Shared},
    validate::invalid,
    visibility::{count, page, query, shown_attributes},
};

/// Records of one page of archived executions (`frontend.visibilityArchivalQueryMaxPageSize`).
const ARCHIVED_PAGE_SIZE_MAX: i32 = 10_000;

pub(super) async fn list_workflow_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListWorkflowExecutionsRequest,
) -> ServiceResult<ws::ListWorkflowExecutionsResponse> {
    let query = query(&call, None, &request.query)?;
    let (executions, next_page_token) =
        workflows(shared, &call, &query, request.page_size, &request.next_page_token).await?;
    Ok(ws::ListWorkflowExecutionsResponse { executions, next_page_token })
}

pub(super) async fn scan_workflow_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::ScanWorkflowExecutionsRequest,
) -> ServiceResult<ws::ScanWorkflowExecutionsResponse> {
    let query = query(&call, None, &request.query)?;
    let (executions, next_page_token) =
        workflows(shared, &call, &query, request.page_size, &request.next_page_token).await?;
    Ok(ws::ScanWorkflowExecutionsResponse { executions, next_page_token })
}

pub(super) async fn count_workflow_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::CountWorkflowExecutionsRequest,
) -> ServiceResult<ws::CountWorkflowExecutionsResponse> {
    use count_workflow_executions_response::AggregationGroup;
    let query = query(&call, None, &request.query)?;
    let (count, groups) = count(shared, &call, &query).await?;
    let group = |(value, count): (Payload, i64)| AggregationGroup { group_values: vec![value], count };
    Ok(ws::CountWorkflowExecutionsResponse { count, groups: groups.into_iter().map(group).collect() })
}

pub(super) async fn list_open_workflow_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListOpenWorkflowExecutionsRequest,
) -> ServiceResult<ws::ListOpenWorkflowExecutionsResponse> {
    let mut all = vec![workflows_only(), status(Comparison::Equal, WorkflowExecutionStatus::Running.into())];
    all.extend(within(Field::StartTime, request.start_time_filter.as_ref())?);
    match &request.filters {
        Some(OpenFilters::ExecutionFilter(filter)) => all.push(of_execution(filter)),
        Some(OpenFilters::TypeFilter(filter)) => all.push(of_type(filter)),
        None => {}
    }
    let query = Query { filter: Some(Filter::All(all)), group_by: None };
    let (executions, next_page_token) =
        workflows(shared, &call, &query, request.maximum_page_size, &request.next_page_token).await?;
    Ok(ws::ListOpenWorkflowExecutionsResponse { executions, next_page_token })
}

pub(super) async fn list_closed_workflow_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListClosedWorkflowExecutionsRequest,
) -> ServiceResult<ws::ListClosedWorkflowExecutionsResponse> {
    let mut all = vec![workflows_only(), status(Comparison::NotEqual, WorkflowExecutionStatus::Running.into())];
    all.extend(within(Field::CloseTime, request.start_time_filter.as_ref())?);
    match &request.filters {
        Some(ClosedFilters::ExecutionFilter(filter)) => all.push(of_execution(filter)),
        Some(ClosedFilters::TypeFilter(filter)) => all.push(of_type(filter)),
        Some(ClosedFilters::StatusFilter(filter)) => match WorkflowExecutionStatus::try_from(filter.status) {
            Ok(WorkflowExecutionStatus::Unspecified | WorkflowExecutionStatus::Running) => {
                return Err(invalid("StatusFilter must be specified and must be not Running."));
            }
            Ok(known) => all.push(status(Comparison::Equal, known.into())),
            Err(_unknown) => {
                let text =
                    format!("invalid query: invalid expression: invalid ExecutionStatus value '{}'", filter.status);
                return Err(invalid(text));
            }
        },
        None => {}
    }
    let query = Query { filter: Some(Filter::All(all)), group_by: None };
    let (executions, next_page_token) =
        workflows(shared, &call, &query, request.maximum_page_size, &request.next_page_token).await?;
    Ok(ws::ListClosedWorkflowExecutionsResponse { executions, next_page_token })
}

pub(super) async fn list_archived_workflow_executions(
    _shared: &Shared,
    _call: Call<()>,
    request: ws::ListArchivedWorkflowExecutionsRequest,
) -> ServiceResult<ws::ListArchivedWorkflowExecutionsResponse> {
    if request.page_size > ARCHIVED_PAGE_SIZE_MAX {
        return Err(invalid(format!("PageSize is larger than allowed {ARCHIVED_PAGE_SIZE_MAX}.")));
    }
    Err(invalid("Cluster is not configured for visibility archival."))
}

pub(super) async fn list_activity_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListActivityExecutionsRequest,
) -> ServiceResult<ws::ListActivityExecutionsResponse> {
    let query = query(&call, Some(&ArchetypeNames::ACTIVITY), &request.query)?;
    let (records, next_page_token) = page(shared, &call, &query, request.page_size, &request.next_page_token).await?;
    let executions = records.iter().map(|record| activity(&call, record)).collect();
    Ok(ws::ListActivityExecutionsResponse { executions, next_page_token })
}

pub(super) async fn count_activity_executions(
    shared: &Shared,
    call: Call<()>,
    request: ws::CountActivityExecutionsRequest,
) -> ServiceResult<ws::CountActivityExecutionsResponse> {
    use count_activity_executions_response::AggregationGroup;
    let query = query(&call, Some(&ArchetypeNames::ACTIVITY), &request.query)?;
    let (count, groups) = count(shared, &call, &query).await?;
    let group = |(value, count): (Payload, i64)| AggregationGroup { group_values: vec![value], count };
    Ok(ws::CountActivityExecutionsResponse { count, groups: groups.into_iter().map(group).collect() })
}

async fn workflows(
    shared: &Shared,
    call: &Call<()>,
    query: &Query,
    size: i32,
    token: &Bytes,
) -> ServiceResult<(Vec<WorkflowExecutionInfo>, Bytes)> {
    let (records, next) = page(shared, call, query, size, token).await?;
    Ok((records.iter().map(|record| workflow(call, record)).collect(), next))
}

fn workflows_only() -> Filter {
    Filter::IsNull { field: Field::division(), negated: false }
}

fn status(comparison: Comparison, status: i32) -> Filter {
    Filter::Compare { field: Field::ExecutionStatus, comparison, value: Scalar::Int(status.into()) }
}

fn of_execution(filter: &WorkflowExecutionFilter) -> Filter {
    let value = Scalar::Keyword(filter.workflow_id.clone());
    Filter::Compare { field: Field::WorkflowId, comparison: Comparison::Equal, value }
}

fn of_type(filter: &WorkflowTypeFilter) -> Filter {
    let value = Scalar::Keyword(filter.name.clone());
    Filter::Compare { field: Field::WorkflowType, comparison: Comparison::Equal, value }
}

/// What a time filter demands of `field`.
fn within(field: Field, filter: Option<&StartTimeFilter>) -> ServiceResult<Option<Filter>> {
    let nanos = |time: Option<&perdure_proto::Timestamp>| time.map(|time| Timestamp::from_proto(time).as_nanos());
    let earliest = filter.and_then(|filter| nanos(filter.earliest_time.as_ref()));
    let latest = filter.and_then(|filter| nanos(filter.latest_time.as_ref()));
    let compare = |field, comparison, value| Filter::Compare { field, comparison, value: Scalar::Int(value) };
    match (earliest, latest) {
        (Some(earliest), Some(latest)) if earliest > latest => {
            Err(invalid("EarliestTime in StartTimeFilter should not be larger than LatestTime."))
        }
        (Some(earliest), Some(latest)) => {
            let (low, high) = (Scalar::Int(earliest), Scalar::Int(latest));
            Ok(Some(Filter::Between { field, negated: false, low, high }))
        }
        (Some(earliest), None) => Ok(Some(compare(field, Comparison::GreaterOrEqual, earliest))),
        (None, Some(latest)) => Ok(Some(compare(field, Comparison::LessOrEqual, latest))),
        (None, None) => Ok(None),
    }
}

fn workflow(call: &Call<()>, record: &VisibilityRecord) -> WorkflowExecutionInfo {
    let execution = |workflow_id: &str, run_id: &str| WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    };
    let mut info = WorkflowExecutionInfo {
        execution: Some(execution(&record.key.business.business_id, &record.key.run_id)),
        r#type: Some(WorkflowType { name: record.type_name.clone() }),
        start_time: Some(record.start_time.to_proto()),
        execution_time: Some(record.execution_time.to_proto()),
        status: record.status.into(),
        memo: Some((*record.memo).clone()),
        search_attributes: Some(shown_attributes(call, record)),
        task_queue: record.task_queue.clone(),
        parent_execution: record.parent.as_ref().map(|(workflow_id, run_id)| execution(workflow_id, run_id)),
        root_execution: Some(execution(record.root_workflow_id(), record.root_run_id())),
        ..Default::default()
    };
    if let Some(closed) = &record.closed {
        info.close_time = Some(closed.close_time.to_proto());
        info.execution_duration = Some(nanos_to_proto(closed.execution_duration));
        info.history_length = closed.history_length;
        info.history_size_bytes = closed.history_size_bytes;
        info.state_transition_count = closed.state_transition_count;
    }
    info
}

fn activity(call: &Call<()>, record: &VisibilityRecord) -> ActivityExecutionListInfo {
    // An activity's type and status are search attributes: its statuses are more than workflows have.
    let own = |name: &str| match record.search_attributes.indexed_fields.get(name).and_then(attributes::decode) {
        Some((_, Value::Keyword(value))) => value,
        Some(_) | None => String::new(),
    };
    let closed = record.closed.as_ref();
    ActivityExecutionListInfo {
        activity_id: record.key.business.business_id.to_string(),
        run_id: record.key.run_id.to_string(),
        activity_type: Some(ActivityType { name: own("TemporalKeyword01") }),
        schedule_time: Some(record.start_time.to_proto()),
        close_time: closed.map(|closed| closed.close_time.to_proto()),
        status: activity_status(&own("TemporalLowCardinalityKeyword01")).into(),
        search_attributes: Some(shown_attributes(call, record)),
        task_queue: record.task_queue.clone(),
        state_transition_count: closed.map_or(0, |closed| closed.state_transition_count),
        // Not part of lists.
        state_size_bytes: 0,
        execution_duration: closed.map(|closed| nanos_to_proto(closed.execution_duration)),
        execution_time: Some(record.execution_time.to_proto()),
    }
}

/// A status by its short name: `TimedOut` is `ACTIVITY_EXECUTION_STATUS_TIMED_OUT`.
fn activity_status(name: &str) -> ActivityExecutionStatus {
    let plain = |text: &str| text.replace('_', "").to_ascii_uppercase();
    (0..)
        .map_while(|number| ActivityExecutionStatus::try_from(number).ok())
        .find(|status| plain(status.as_str_name()) == plain(&format!("ACTIVITY_EXECUTION_STATUS_{name}")))
        .unwrap_or_default()
}
