//! Requests on existing executions.

use perdure_proto::api::{
    common::{Link, WorkflowExecution},
    query::WorkflowQuery,
    workflowservice as ws,
};

use crate::{
    rpc::{BLOB, Case, Rpc, invalid, long, payloads},
    support::RUN_ID,
};

pub(crate) fn execution_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (execution, text) in [
        (None, "Execution is not set on request."),
        (execution("", ""), "WorkflowId is not set on request."),
        (execution("w", "x"), "Invalid RunId."),
    ] {
        cases.extend(on_execution(&execution).into_iter().map(|rpc| invalid(rpc, text)));
    }
    let signal = |change: fn(&mut ws::SignalWorkflowExecutionRequest)| {
        let mut request = ws::SignalWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", RUN_ID),
            signal_name: "s".into(),
            ..Default::default()
        };
        change(&mut request);
        Rpc::Signal(Box::new(request))
    };
    cases.push(invalid(signal(|r| r.signal_name.clear()), "SignalName is not set on request."));
    cases.push(invalid(signal(|r| r.signal_name = long()), "SignalName length exceeds limit."));
    cases.push(invalid(signal(|r| r.request_id = long()), "RequestId length exceeds limit."));
    cases.push(invalid(signal(|r| r.input = payloads(BLOB)), "Blob data size exceeds limit."));
    let links = || vec![Link::default(); 11];
    let too_many = "cannot attach more than 10 links per request, got 11";
    cases.push(invalid(
        Rpc::Signal(Box::new(ws::SignalWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", ""),
            signal_name: "s".into(),
            links: links(),
            ..Default::default()
        })),
        too_many,
    ));
    cases.push(invalid(
        Rpc::Terminate(Box::new(ws::TerminateWorkflowExecutionRequest {
            namespace: "default".into(),
            workflow_execution: execution("w", ""),
            links: links(),
            ..Default::default()
        })),
        too_many,
    ));
    let query = |query| {
        Rpc::Query(Box::new(ws::QueryWorkflowRequest {
            namespace: "default".into(),
            execution: execution("w", ""),
            query,
            ..Default::default()
        }))
    };
    cases.push(invalid(query(None), "WorkflowQuery is not set on request."));
    cases.push(invalid(query(Some(WorkflowQuery::default())), "QueryType is not set on request."));
    cases.push(invalid(
        query(Some(WorkflowQuery { query_type: "q".into(), query_args: payloads(BLOB), ..Default::default() })),
        "Blob data size exceeds limit.",
    ));
    cases
}

fn execution(workflow_id: &str, run_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: workflow_id.into(), run_id: run_id.into() })
}

/// Every RPC on an execution, on this one.
fn on_execution(execution: &Option<WorkflowExecution>) -> Vec<Rpc> {
    let (namespace, execution) = ("default".to_owned(), execution.clone());
    vec![
        Rpc::Signal(Box::new(ws::SignalWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            signal_name: "s".into(),
            ..Default::default()
        })),
        Rpc::Cancel(Box::new(ws::RequestCancelWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            ..Default::default()
        })),
        Rpc::Terminate(Box::new(ws::TerminateWorkflowExecutionRequest {
            namespace: namespace.clone(),
            workflow_execution: execution.clone(),
            ..Default::default()
        })),
        Rpc::Describe(ws::DescribeWorkflowExecutionRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
        }),
        Rpc::History(ws::GetWorkflowExecutionHistoryRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            ..Default::default()
        }),
        Rpc::HistoryReverse(ws::GetWorkflowExecutionHistoryReverseRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            ..Default::default()
        }),
        Rpc::Query(Box::new(ws::QueryWorkflowRequest {
            namespace: namespace.clone(),
            execution: execution.clone(),
            query: Some(WorkflowQuery { query_type: "q".into(), ..Default::default() }),
            ..Default::default()
        })),
        Rpc::ResetSticky(ws::ResetStickyTaskQueueRequest { namespace, execution }),
    ]
}
