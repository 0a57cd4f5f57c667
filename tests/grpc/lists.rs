//! Lists and counts of workflows.

use std::{collections::BTreeMap, time::Duration};

use perdure_proto::api::{
    common::{Payload, SearchAttributes},
    enums::WorkflowExecutionStatus as Status,
    filter::{StartTimeFilter, StatusFilter, WorkflowExecutionFilter, WorkflowTypeFilter},
    workflow::WorkflowExecutionInfo,
    workflowservice::{
        self as ws, list_closed_workflow_executions_request::Filters as ClosedFilters,
        list_open_workflow_executions_request::Filters as OpenFilters,
    },
};
use tonic::Code;

use crate::kit::*;

/// An amount as a search attribute.
pub(crate) fn amount(value: i64) -> Option<SearchAttributes> {
    let payload = Payload {
        metadata: [("encoding".to_owned(), "json/plain".into())].into(),
        data: value.to_string().into(),
        ..Payload::default()
    };
    Some(SearchAttributes { indexed_fields: [(ATTRIBUTE.0.to_owned(), payload)].into() })
}

pub(crate) fn list_request(query: &str) -> ws::ListWorkflowExecutionsRequest {
    ws::ListWorkflowExecutionsRequest { namespace: NAMESPACE.to_owned(), query: query.to_owned(), ..Default::default() }
}

pub(crate) async fn list(server: &Server, query: &str) -> Vec<WorkflowExecutionInfo> {
    server.rpc().list_workflow_executions(list_request(query)).await.unwrap().into_inner().executions
}

/// The list once it is as expected: at once, but on a Temporal server, which lists with a delay.
pub(crate) async fn list_until(
    server: &Server,
    query: &str,
    expected: impl Fn(&[WorkflowExecutionInfo]) -> bool,
) -> Vec<WorkflowExecutionInfo> {
    loop {
        let listed = list(server, query).await;
        if expected(&listed) {
            return listed;
        }
        assert!(server.is_elsewhere(), "{query} lists {listed:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn count(server: &Server, query: &str) -> ws::CountWorkflowExecutionsResponse {
    let request = ws::CountWorkflowExecutionsRequest { namespace: NAMESPACE.to_owned(), query: query.to_owned() };
    server.rpc().count_workflow_executions(request).await.unwrap().into_inner()
}

fn ids(listed: &[WorkflowExecutionInfo]) -> Vec<String> {
    listed.iter().map(|info| info.execution.clone().unwrap().workflow_id).collect()
}

/// Workflows of one type, which nothing else has; the first started comes first.
pub(crate) async fn some_workflows(server: &Server, count: usize) -> (String, Vec<Flow>) {
    let kind = unique("type");
    let mut flows = Vec::new();
    for number in 0..count {
        let flow = Flow::new(server);
        let mut request = flow.start_request();
        request.workflow_type.as_mut().unwrap().name.clone_from(&kind);
        if number % 3 > 0 {
            request.search_attributes = amount(i64::try_from(number).unwrap());
        }
        flow.rpc.clone().start_workflow_execution(request).await.unwrap();
        flows.push(flow);
    }
    (kind, flows)
}

#[tokio::test]
pub(crate) async fn a_run_is_listed_through_its_life() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let mut request = flow.start_request();
    request.search_attributes = amount(5);
    let memo = Payload { data: "\"blue\"".into(), ..Payload::default() };
    request.memo = Some(perdure_proto::api::common::Memo { fields: [("color".to_owned(), memo)].into() });
    let run_id = flow.rpc.clone().start_workflow_execution(request.clone()).await.unwrap().into_inner().run_id;
    let query = format!("WorkflowId = '{}'", flow.id);
    let listed = list_until(&server, &query, |listed| !listed.is_empty()).await;
    let [open] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&open.execution, open.status()), (&execution(&flow.id, &run_id), Status::Running));
    assert_eq!((open.root_execution.as_ref(), &open.parent_execution), (open.execution.as_ref(), &None));
    assert_eq!((&open.task_queue, open.history_length, &open.close_time), (&flow.queue, 0, &None));
    assert!(open.start_time.is_some() && open.start_time == open.execution_time && open.execution_duration.is_none());
    assert_eq!(open.memo, request.memo);
    let fields = &open.search_attributes.as_ref().unwrap().indexed_fields;
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["Amount"]);
    assert_eq!((&fields["Amount"].data[..], &fields["Amount"].metadata["type"][..]), (&b"5"[..], &b"Int"[..]));

    let task = flow.task().await;
    flow.complete(&task, vec![upsert(7)]).await.unwrap();
    list_until(&server, &format!("{query} AND Amount = 7 AND ExecutionStatus = 'Running'"), |listed| listed.len() == 1)
        .await;
    assert_eq!(ids(&list(&server, &format!("{query} AND Amount = 5")).await), [""; 0]);

    flow.terminate().await;
    let listed =
        list_until(&server, &format!("{query} AND ExecutionStatus = 'Terminated'"), |listed| listed.len() == 1).await;
    let described = flow.describe_run(&run_id).await.unwrap().workflow_execution_info.unwrap();
    assert_eq!(listed[0].history_length, described.history_length);
    assert_eq!(listed[0].state_transition_count, described.state_transition_count);
    assert!(listed[0].close_time.is_some() && listed[0].execution_duration.is_some());
    assert!(list(&server, &format!("{query} AND CloseTime IS NULL")).await.is_empty());
    server.stop().await;
}

/// What is ended before it was to execute has lasted less than nothing.
#[tokio::test]
async fn a_delayed_run_that_is_ended_has_a_negative_duration() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let delay = perdure_proto::Duration { seconds: 3_600, nanos: 0 };
    let request = ws::StartWorkflowExecutionRequest { workflow_start_delay: Some(delay), ..flow.start_request() };
    flow.rpc.clone().start_workflow_execution(request).await.unwrap();
    flow.terminate().await;
    let listed = list(&server, &format!("WorkflowId = '{}' AND ExecutionDuration < '-50m'", flow.id)).await;
    let [listed] = &listed[..] else { panic!("{listed:?}") };
    let duration = listed.execution_duration.unwrap();
    assert!((-3_600..-3_500).contains(&duration.seconds) && duration.nanos <= 0, "{duration:?}");
    let described = flow.describe().await.workflow_execution_info.unwrap();
    assert_eq!(described.execution_duration, Some(duration));
    server.stop().await;
}

fn upsert(value: i64) -> perdure_proto::api::command::Command {
    use perdure_proto::api::{
        command::{UpsertWorkflowSearchAttributesCommandAttributes, command::Attributes},
        enums::CommandType,
    };
    let attributes = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes: amount(value) };
    command(
        CommandType::UpsertWorkflowSearchAttributes,
        Attributes::UpsertWorkflowSearchAttributesCommandAttributes(attributes),
    )
}

/// Open ones first, the latest of each first, in pages of any size; Scan is List.
#[tokio::test]
pub(crate) async fn pages_cover_a_list_in_order() {
    let server = Server::start().await;
    let (kind, flows) = some_workflows(&server, 7).await;
    for index in [1, 4] {
        flows[index].terminate().await;
    }
    let query = format!("WorkflowType = '{kind}'");
    let expected: Vec<String> = [6, 5, 3, 2, 0, 4, 1].iter().map(|index: &usize| flows[*index].id.clone()).collect();
    list_until(&server, &query, |listed| ids(listed) == expected).await;
    for size in [1, 3, 7, 8] {
        let mut seen = Vec::new();
        let mut token = bytes::Bytes::new();
        loop {
            let request = ws::ScanWorkflowExecutionsRequest {
                namespace: NAMESPACE.to_owned(),
                page_size: size,
                next_page_token: token,
                query: query.clone(),
            };
            let page = server.rpc().scan_workflow_executions(request).await.unwrap().into_inner();
            seen.extend(ids(&page.executions));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected, "pages of {size}");
    }
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn counts_and_groups() {
    let server = Server::start().await;
    let (kind, flows) = some_workflows(&server, 6).await;
    flows[0].terminate().await;
    let query = format!("WorkflowType = '{kind}'");
    list_until(&server, &format!("{query} AND ExecutionStatus = 5"), |listed| listed.len() == 1).await;
    list_until(&server, &query, |listed| listed.len() == 6).await;
    assert_eq!((count(&server, &query).await.count, count(&server, "WorkflowId = 'nothing'").await.count), (6, 0));
    assert_eq!(count(&server, &format!("{query} AND Amount > 1")).await.count, 3);
    let grouped = count(&server, &format!("{query} GROUP BY ExecutionStatus")).await;
    let groups: Vec<(i64, String)> = grouped
        .groups
        .iter()
        .map(|group| (group.count, String::from_utf8(group.group_values[0].data.to_vec()).unwrap()))
        .collect();
    assert_eq!((grouped.count, groups), (6, vec![(5, "\"Running\"".to_owned()), (1, "\"Terminated\"".to_owned())]));
    assert_eq!(&grouped.groups[0].group_values[0].metadata["type"][..], b"Keyword");
    // A list takes no notice of groups.
    assert_eq!(list(&server, &format!("{query} GROUP BY ExecutionStatus")).await.len(), 6);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn open_and_closed_lists() {
    let server = Server::start().await;
    let (kind, flows) = some_workflows(&server, 4).await;
    flows[0].terminate().await;
    list_until(&server, &format!("WorkflowType = '{kind}' AND ExecutionStatus = 5"), |listed| listed.len() == 1).await;
    list_until(&server, &format!("WorkflowType = '{kind}'"), |listed| listed.len() == 4).await;
    let of_type = WorkflowTypeFilter { name: kind.clone() };
    let at = |seconds: i64| Some(perdure_proto::Timestamp { seconds, nanos: 0 });
    let between = |earliest, latest| Some(StartTimeFilter { earliest_time: earliest, latest_time: latest });
    let far = 4_000_000_000;

    let open = async |filters, start_time_filter| {
        let request = ws::ListOpenWorkflowExecutionsRequest {
            namespace: NAMESPACE.to_owned(),
            start_time_filter,
            filters: Some(filters),
            ..Default::default()
        };
        server.rpc().list_open_workflow_executions(request).await.map(|answer| ids(&answer.into_inner().executions))
    };
    let by_type = || OpenFilters::TypeFilter(of_type.clone());
    let by_id = |id: &str| {
        OpenFilters::ExecutionFilter(WorkflowExecutionFilter { workflow_id: id.to_owned(), run_id: String::new() })
    };
    let running: Vec<String> = flows[1..].iter().rev().map(|flow| flow.id.clone()).collect();
    for (range, found) in [
        (None, &running[..]),
        (between(at(10), at(far)), &running),
        (between(at(0), None), &running),
        (between(None, at(0)), &[]),
        (between(at(far), None), &[]),
    ] {
        assert_eq!(open(by_type(), range).await.unwrap(), found, "{range:?}");
    }
    assert_eq!(open(by_id(&flows[1].id), None).await.unwrap(), [flows[1].id.clone()]);
    assert_eq!(open(by_id(&flows[0].id), None).await.unwrap(), [""; 0]);
    let text = "EarliestTime in StartTimeFilter should not be larger than LatestTime.";
    refused(open(by_type(), between(at(10), at(5))).await, Code::InvalidArgument, "", text);

    let closed = async |filters, start_time_filter| {
        let request = ws::ListClosedWorkflowExecutionsRequest {
            namespace: NAMESPACE.to_owned(),
            start_time_filter,
            filters: Some(filters),
            ..Default::default()
        };
        server.rpc().list_closed_workflow_executions(request).await.map(|answer| ids(&answer.into_inner().executions))
    };
    let by_status = |status: i32| ClosedFilters::StatusFilter(StatusFilter { status });
    let by_type = || ClosedFilters::TypeFilter(of_type.clone());
    assert_eq!(closed(by_type(), None).await.unwrap(), [flows[0].id.clone()]);
    assert_eq!(closed(by_type(), between(None, at(far))).await.unwrap(), [flows[0].id.clone()]);
    assert_eq!(closed(by_type(), between(at(far), None)).await.unwrap(), [""; 0]);
    assert!(closed(by_status(Status::Terminated.into()), None).await.unwrap().contains(&flows[0].id));
    refused(closed(by_type(), between(at(10), at(5))).await, Code::InvalidArgument, "", text);
    let text = "StatusFilter must be specified and must be not Running.";
    for status in [Status::Running, Status::Unspecified] {
        refused(closed(by_status(status.into()), None).await, Code::InvalidArgument, "", text);
    }
    let text = "invalid query: invalid expression: invalid ExecutionStatus value '99'";
    refused(closed(by_status(99), None).await, Code::InvalidArgument, "", text);
    server.stop().await;
}

/// Refusals of every RPC that takes a query.
#[tokio::test]
pub(crate) async fn bad_queries_are_refused() {
    let server = Server::start().await;
    let (mut rpc, namespace) = (server.rpc(), NAMESPACE.to_owned());
    for (query, text) in [
        ("Nope = 1", "invalid query: invalid search attribute: Nope"),
        ("WorkflowId =", "invalid query: malformed SQL query: syntax error at position 40"),
        ("ORDER BY StartTime", "invalid query: operation is not supported: 'ORDER BY' clause"),
        (
            "Amount = 'x'",
            "invalid query: invalid expression: invalid value type for search attribute Amount of type Int: \"x\" (type: string)",
        ),
    ] {
        let query = query.to_owned();
        refused(rpc.list_workflow_executions(list_request(&query)).await, Code::InvalidArgument, "", text);
        let scan = ws::ScanWorkflowExecutionsRequest {
            namespace: namespace.clone(),
            query: query.clone(),
            ..Default::default()
        };
        refused(rpc.scan_workflow_executions(scan).await, Code::InvalidArgument, "", text);
        let count = ws::CountWorkflowExecutionsRequest { namespace: namespace.clone(), query };
        refused(rpc.count_workflow_executions(count).await, Code::InvalidArgument, "", text);
    }
    let query = "GROUP BY WorkflowType".to_owned();
    let count = ws::CountWorkflowExecutionsRequest { namespace: namespace.clone(), query };
    let text = "invalid query: operation is not supported: 'GROUP BY' clause is not supported for search attribute WorkflowType";
    refused(rpc.count_workflow_executions(count).await, Code::InvalidArgument, "", text);

    let archived = |page_size| ws::ListArchivedWorkflowExecutionsRequest {
        namespace: namespace.clone(),
        page_size,
        ..Default::default()
    };
    let text = "Cluster is not configured for visibility archival.";
    refused(rpc.list_archived_workflow_executions(archived(0)).await, Code::InvalidArgument, "", text);
    let text = "PageSize is larger than allowed 10000.";
    refused(rpc.list_archived_workflow_executions(archived(10_001)).await, Code::InvalidArgument, "", text);

    let activities = |query: &str| ws::ListActivityExecutionsRequest {
        namespace: namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    assert!(
        rpc.list_activity_executions(activities("ActivityType = 'no' AND ExecutionStatus = 'Running'")).await.is_ok()
    );
    let text = "invalid query: invalid search attribute: Nope";
    refused(rpc.list_activity_executions(activities("Nope = 1")).await, Code::InvalidArgument, "", text);
    let count =
        |query: &str| ws::CountActivityExecutionsRequest { namespace: namespace.clone(), query: query.to_owned() };
    assert_eq!(rpc.count_activity_executions(count("ActivityId = 'nothing'")).await.unwrap().into_inner().count, 0);
    refused(rpc.count_activity_executions(count("Nope = 1")).await, Code::InvalidArgument, "", text);
    server.stop().await;
}

/// Only here: a token of another server, and a bound on pages.
#[tokio::test]
async fn tokens_and_page_sizes() {
    let server = Server::with(&[("frontend.visibilityMaxPageSize", "3")]).await;
    let (kind, _flows) = some_workflows(&server, 5).await;
    let query = format!("WorkflowType = '{kind}'");
    for page_size in [0, -1, 4, 1000] {
        let request = ws::ListWorkflowExecutionsRequest { page_size, ..list_request(&query) };
        let page = server.rpc().list_workflow_executions(request).await.unwrap().into_inner();
        assert_eq!((page.executions.len(), page.next_page_token.is_empty()), (3, false));
    }
    let request = ws::ListWorkflowExecutionsRequest { next_page_token: "\u{ff}x".into(), ..list_request(&query) };
    refused(server.rpc().list_workflow_executions(request).await, Code::InvalidArgument, "", "Invalid NextPageToken.");
    server.stop().await;
}

/// Custom attributes come and go.
#[tokio::test]
pub(crate) async fn search_attributes_are_added_and_removed() {
    use perdure_proto::api::{enums::IndexedValueType, operatorservice as os};
    let server = Server::start().await;
    let mut operator = server.operator();
    let name = unique("Custom");
    let namespace = NAMESPACE.to_owned();
    let add = |pairs: &[(&str, i32)]| os::AddSearchAttributesRequest {
        search_attributes: pairs.iter().map(|(name, value_type)| ((*name).to_owned(), *value_type)).collect(),
        namespace: namespace.clone(),
    };
    let remove = |names: &[&str]| os::RemoveSearchAttributesRequest {
        search_attributes: names.iter().map(|name| (*name).to_owned()).collect(),
        namespace: namespace.clone(),
    };
    let keyword: i32 = IndexedValueType::Keyword.into();
    operator.add_search_attributes(add(&[(&name, keyword)])).await.unwrap();
    // What there is stays as it is.
    operator.add_search_attributes(add(&[(&name, IndexedValueType::Int.into())])).await.unwrap();
    let custom = |listed: os::ListSearchAttributesResponse| listed.custom_attributes.get(&name).copied();
    let request = os::ListSearchAttributesRequest { namespace: namespace.clone() };
    let listed = operator.list_search_attributes(request.clone()).await.unwrap().into_inner();
    assert_eq!(custom(listed), Some(keyword));
    for (request, text) in [
        (add(&[]), "SearchAttributes are not set on request."),
        (add(&[("RunId", keyword)]), "Search attribute RunId is reserved by system."),
        (add(&[("TemporalX", keyword)]), "Search attribute TemporalX is reserved by system."),
        (add(&[("X", 99)]), "Unknown search attribute type: 99."),
        (
            add(&[("X", 0)]),
            "Unable to create search attributes: cannot have more than 0 search attribute of type Unspecified.",
        ),
        (
            os::AddSearchAttributesRequest { namespace: String::new(), ..add(&[("X", keyword)]) },
            "Namespace is not set on request.",
        ),
    ] {
        refused(operator.add_search_attributes(request).await, Code::InvalidArgument, "", text);
    }
    for (request, text) in [
        (remove(&[]), "SearchAttributes are not set on request."),
        (remove(&["RunId"]), "Unable to remove non-custom search attributes: RunId."),
        (remove(&[&name, "BuildIds"]), "Unable to remove non-custom search attributes: BuildIds."),
        (
            os::RemoveSearchAttributesRequest { namespace: String::new(), ..remove(&[&name]) },
            "Namespace is not set on request.",
        ),
    ] {
        refused(operator.remove_search_attributes(request).await, Code::InvalidArgument, "", text);
    }
    operator.remove_search_attributes(remove(&[&name, "nothing"])).await.unwrap();
    operator.remove_search_attributes(remove(&[&name])).await.unwrap();
    let listed = operator.list_search_attributes(request).await.unwrap().into_inner();
    assert_eq!(custom(listed), None);

    let keys: BTreeMap<String, i32> =
        server.rpc().get_search_attributes(ws::GetSearchAttributesRequest {}).await.unwrap().into_inner().keys;
    for (name, value_type) in [
        ("WorkflowId", IndexedValueType::Keyword),
        ("BuildIds", IndexedValueType::KeywordList),
        ("Keyword10", IndexedValueType::Keyword),
        ("Text01", IndexedValueType::Text),
    ] {
        assert_eq!(keys.get(name), Some(&value_type.into()), "{name}");
    }
    assert_eq!(keys.len(), 61);
    server.stop().await;
}
