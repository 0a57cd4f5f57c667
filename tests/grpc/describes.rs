//! DescribeWorkflowExecution.

use perdure_proto::api::enums::{PendingActivityState, PendingWorkflowTaskState, WorkflowExecutionStatus as Status};
use tonic::Code;

use crate::kit::*;

#[tokio::test]
pub(crate) async fn a_run_is_described_through_its_life() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let run_id = flow.start().await;
    let described = flow.describe().await;
    let info = described.workflow_execution_info.unwrap();
    assert_eq!((info.status(), info.history_length, &info.task_queue), (Status::Running, 2, &flow.queue));
    assert_eq!((info.execution, &info.first_run_id), (execution(&flow.id, &run_id), &run_id));
    assert_eq!(info.r#type.unwrap().name, "order");
    assert!(info.close_time.is_none() && info.start_time.is_some());
    let pending = described.pending_workflow_task.unwrap();
    assert_eq!((pending.state(), pending.attempt), (PendingWorkflowTaskState::Scheduled, 1));

    let task = flow.task().await;
    let pending = flow.describe().await.pending_workflow_task.unwrap();
    assert_eq!(pending.state(), PendingWorkflowTaskState::Started);
    assert_eq!(pending.started_time, task.started_time);

    flow.complete(&task, vec![schedule(activity("a", &flow.queue, 3)), schedule(activity("b", &flow.queue, 3))])
        .await
        .unwrap();
    let described = flow.describe().await;
    assert!(described.pending_workflow_task.is_none());
    let states = |described: &perdure_proto::api::workflowservice::DescribeWorkflowExecutionResponse| {
        let mut states: Vec<_> = described
            .pending_activities
            .iter()
            .map(|pending| (pending.activity_id.clone(), pending.state(), pending.attempt))
            .collect();
        states.sort();
        states
    };
    let scheduled = |id: &str| (id.to_owned(), PendingActivityState::Scheduled, 1);
    assert_eq!(states(&described), [scheduled("a"), scheduled("b")]);
    assert_eq!(described.pending_activities[0].maximum_attempts, 3);

    let taken = flow.activity().await;
    let described = flow.describe().await;
    let pending = described.pending_activities.iter().find(|pending| pending.activity_id == taken.activity_id).unwrap();
    assert_eq!((pending.state(), pending.last_worker_identity.as_str()), (PendingActivityState::Started, WORKER));
    assert_eq!(pending.last_started_time, taken.started_time);

    flow.terminate().await;
    let described = flow.describe_run(&run_id).await.unwrap();
    let info = described.workflow_execution_info.unwrap();
    assert_eq!(info.status(), Status::Terminated);
    assert!(info.close_time.is_some());
    assert_eq!(info.history_length, 7);
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_described() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let text = format!("workflow not found for ID: {}", flow.id);
    refused(flow.describe_run("").await, Code::NotFound, "NotFoundFailure", &text);
    flow.start().await;
    let text = format!("workflow execution not found for workflow ID {:?} and run ID {NO_RUN:?}", flow.id);
    refused(flow.describe_run(NO_RUN).await, Code::NotFound, "NotFoundFailure", &text);
    server.stop().await;
}
