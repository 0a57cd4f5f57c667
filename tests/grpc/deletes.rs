//! DeleteWorkflowExecution.

use perdure_proto::api::workflowservice as ws;
use tonic::{Code, Status};

use crate::kit::*;

fn request(flow: &Flow, run_id: &str) -> ws::DeleteWorkflowExecutionRequest {
    ws::DeleteWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: execution(&flow.id, run_id),
    }
}

async fn delete(flow: &Flow, run_id: &str) -> Result<(), Status> {
    flow.rpc.clone().delete_workflow_execution(request(flow, run_id)).await.map(drop)
}

/// Waits until a run is gone: the answer to a deletion comes before the deletion.
async fn gone(flow: &Flow, run_id: &str) {
    while let Err(Code::Ok) | Ok(()) = flow.describe_run(run_id).await.map(drop).map_err(|status| status.code()) {
        tokio::task::yield_now().await;
    }
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {run_id:?}", flow.id);
    refused(flow.describe_run(run_id).await, Code::NotFound, "NotFoundFailure", &text);
    let history =
        ws::GetWorkflowExecutionHistoryRequest { execution: execution(&flow.id, run_id), ..flow.history_request() };
    refused(flow.page(history).await, Code::NotFound, "NotFoundFailure", &text);
}

#[tokio::test]
pub(crate) async fn runs_open_and_closed_go() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let open = flow.start().await;
    let task = flow.task().await;
    delete(&flow, "").await.unwrap();
    gone(&flow, &open).await;
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.describe_run("").await, Code::NotFound, "NotFoundFailure", &text);
    assert_eq!(flow.complete(&task, Vec::new()).await.unwrap_err().code(), Code::NotFound);

    let closed = flow.begin(vec![complete("done")]).await;
    let current = flow.start().await;
    delete(&flow, &closed).await.unwrap();
    gone(&flow, &closed).await;
    let info = flow.describe().await.workflow_execution_info.unwrap();
    assert_eq!(info.execution.unwrap().run_id, current);
    server.stop().await;
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(delete(&flow, "").await, Code::NotFound, "NotFoundFailure", &text);
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {NO_RUN:?}", flow.id);
    refused(delete(&flow, NO_RUN).await, Code::NotFound, "NotFoundFailure", &text);
    refused(delete(&flow, "x").await, Code::InvalidArgument, "", "Invalid RunId.");
    for (workflow_execution, text) in
        [(None, "Execution is not set on request."), (execution("", ""), "WorkflowId is not set on request.")]
    {
        let request = ws::DeleteWorkflowExecutionRequest { workflow_execution, ..request(&flow, "") };
        refused(server.rpc().delete_workflow_execution(request).await, Code::InvalidArgument, "", text);
    }
    server.stop().await;
}
