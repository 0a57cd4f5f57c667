//! DescribeTaskQueue, and many pollers.

use std::collections::BTreeSet;

use perdure_proto::api::{
    enums::{DescribeTaskQueueMode, TaskQueueType},
    taskqueue::TaskQueue,
    workflowservice as ws,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::kit::*;

/// Polls at once.
const CROWD: usize = 1_000;
/// Polls on one connection.
const PER_CONNECTION: usize = 100;

fn describe(flow: &Flow, kind: TaskQueueType) -> ws::DescribeTaskQueueRequest {
    ws::DescribeTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: normal(&flow.queue),
        task_queue_type: kind.into(),
        ..Default::default()
    }
}

#[tokio::test]
pub(crate) async fn pollers_are_shown() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let request = describe(&flow, TaskQueueType::Workflow);
    assert!(server.rpc().describe_task_queue(request.clone()).await.unwrap().get_ref().pollers.is_empty());

    flow.begin(vec![schedule(activity("a", &flow.queue, 1))]).await;
    flow.activity().await;
    for kind in [TaskQueueType::Workflow, TaskQueueType::Activity] {
        let described = server.rpc().describe_task_queue(describe(&flow, kind)).await.unwrap().into_inner();
        assert_eq!(described.pollers.len(), 1, "{kind:?}");
        assert_eq!(described.pollers[0].identity, WORKER);
        assert!(described.pollers[0].last_access_time.is_some());
    }

    let enhanced = ws::DescribeTaskQueueRequest {
        api_mode: DescribeTaskQueueMode::Enhanced.into(),
        report_pollers: true,
        task_queue_types: vec![TaskQueueType::Activity.into()],
        ..request
    };
    let described = server.rpc().describe_task_queue(enhanced).await.unwrap().into_inner();
    let types = &described.versions_info[""].types_info;
    assert_eq!(types.keys().copied().collect::<Vec<_>>(), [i32::from(TaskQueueType::Activity)]);
    assert_eq!(types[&i32::from(TaskQueueType::Activity)].pollers[0].identity, WORKER);
    server.stop().await;
}

#[tokio::test]
async fn tasks_that_wait_are_counted() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let count = 5;
    for _ in 0..count {
        Flow { id: unique("flow"), ..flow.clone() }.start().await;
    }
    let mut request = describe(&flow, TaskQueueType::Workflow);
    request.report_stats = true;
    loop {
        let described = server.rpc().describe_task_queue(request.clone()).await.unwrap().into_inner();
        if described.stats.unwrap().approximate_backlog_count == count {
            break;
        }
    }
    for _ in 0..count {
        flow.task().await;
    }
    loop {
        let described = server.rpc().describe_task_queue(request.clone()).await.unwrap().into_inner();
        if described.stats.unwrap().approximate_backlog_count == 0 {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_crowd_of_pollers_comes_and_half_of_it_goes() {
    let server = Server::with(&[]).await;
    let flow = Flow::new(&server);
    let mut connections = Vec::new();
    for _ in 0..CROWD / PER_CONNECTION {
        connections.push(server.connection().await);
    }
    let mut staying = JoinSet::new();
    let mut leaving = JoinSet::new();
    for number in 0..CROWD {
        let mut rpc = connections[number % connections.len()].clone();
        let poll = ws::PollWorkflowTaskQueueRequest { identity: format!("worker {number}"), ..flow.poll_request() };
        let polls = if number < CROWD / 2 { &mut staying } else { &mut leaving };
        polls.spawn(async move { rpc.poll_workflow_task_queue(within(PATIENCE, poll)).await.unwrap().into_inner() });
    }
    let request = describe(&flow, TaskQueueType::Workflow);
    while server.rpc().describe_task_queue(request.clone()).await.unwrap().get_ref().pollers.len() < CROWD {}

    leaving.shutdown().await;
    // An answer on a connection comes after the server has read that its polls were given up.
    for rpc in &connections {
        rpc.clone().get_system_info(ws::GetSystemInfoRequest::default()).await.unwrap();
    }
    // Every partition answers this, after it was told who left.
    server.rpc().describe_task_queue(request).await.unwrap();
    for _ in 0..CROWD / 2 {
        Flow { id: unique("flow"), ..flow.clone() }.start().await;
    }
    let mut served = BTreeSet::new();
    while let Some(task) = staying.join_next().await {
        let task = task.unwrap();
        assert_eq!(task.attempt, 1);
        served.insert(task.workflow_execution.unwrap().workflow_id);
    }
    assert_eq!(served.len(), CROWD / 2);
    drop(connections);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn partitions_are_listed() {
    let server = Server::start().await;
    let list = async |queue| {
        let request = ws::ListTaskQueuePartitionsRequest { namespace: NAMESPACE.to_owned(), task_queue: queue };
        server.rpc().list_task_queue_partitions(request).await.map(tonic::Response::into_inner)
    };
    let listed = list(normal("q")).await.unwrap();
    for partitions in [listed.activity_task_queue_partitions, listed.workflow_task_queue_partitions] {
        let keys: Vec<&str> = partitions.iter().map(|partition| &*partition.key).collect();
        assert_eq!(keys, ["q", "/_sys/q/1", "/_sys/q/2", "/_sys/q/3"]);
        assert!(partitions.iter().all(|partition| !partition.owner_host_name.is_empty()));
    }
    let named = |name: &str| Some(TaskQueue { name: name.to_owned(), ..TaskQueue::default() });
    for (queue, text) in [
        (None, "taskQueue is not set"),
        (named(""), "missing task queue name"),
        (named("/_sys/x/1"), "task queue name cannot start with reserved prefix /_sys/"),
    ] {
        refused(list(queue).await, Code::InvalidArgument, "", text);
    }
    server.stop().await;
}
