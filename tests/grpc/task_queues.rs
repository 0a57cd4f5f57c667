//! DescribeTaskQueue, and many pollers.

use std::collections::BTreeSet;

use perdure_proto::api::{
    enums::{DescribeTaskQueueMode, RateLimitSource, TaskQueueType},
    taskqueue::{RateLimit, TaskQueue, TaskQueueVersionSelection},
    workflowservice::{self as ws, update_task_queue_config_request::RateLimitUpdate},
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
    let described = server.rpc().describe_task_queue(enhanced.clone()).await.unwrap().into_inner();
    let types = &described.versions_info[""].types_info;
    assert_eq!(types.keys().copied().collect::<Vec<_>>(), [i32::from(TaskQueueType::Activity)]);
    assert_eq!(types[&i32::from(TaskQueueType::Activity)].pollers[0].identity, WORKER);

    // Versions beside it have nothing, and none of them is active.
    let of = |all_active, build_ids: &[&str]| {
        let build_ids = build_ids.iter().map(|id| (*id).to_owned()).collect();
        TaskQueueVersionSelection { all_active, build_ids, unversioned: false }
    };
    for (versions, shown) in
        [(of(true, &[]), &[][..]), (of(true, &["v1"]), &["v1"]), (of(false, &["", "v1"]), &["", "v1"])]
    {
        let selected =
            ws::DescribeTaskQueueRequest { versions: Some(versions), report_stats: true, ..enhanced.clone() };
        let described = server.rpc().describe_task_queue(selected).await.unwrap().into_inner();
        assert_eq!(described.versions_info.keys().map(String::as_str).collect::<Vec<_>>(), shown);
        if let Some(version) = described.versions_info.get("v1") {
            let activities = &version.types_info[&i32::from(TaskQueueType::Activity)];
            assert!(activities.pollers.is_empty() && activities.stats.is_some());
        }
    }
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

fn limit(rate: Option<f32>, reason: &str) -> Option<RateLimitUpdate> {
    let rate_limit = rate.map(|requests_per_second| RateLimit { requests_per_second });
    Some(RateLimitUpdate { rate_limit, reason: reason.to_owned() })
}

#[tokio::test]
pub(crate) async fn a_queue_is_configured() {
    let server = Server::start().await;
    let flow = Flow::new(&server);
    let change = ws::UpdateTaskQueueConfigRequest {
        namespace: NAMESPACE.to_owned(),
        identity: "operator".to_owned(),
        task_queue: flow.queue.clone(),
        task_queue_type: TaskQueueType::Activity.into(),
        ..Default::default()
    };
    let update = async |request| {
        server.rpc().update_task_queue_config(request).await.map(|response| response.into_inner().config.unwrap())
    };
    let described = async || {
        let request = ws::DescribeTaskQueueRequest { report_config: true, ..describe(&flow, TaskQueueType::Activity) };
        server.rpc().describe_task_queue(request).await.unwrap().into_inner()
    };
    assert_eq!(described().await.config, None);
    assert_eq!(described().await.effective_rate_limit.unwrap().rate_limit_source(), RateLimitSource::System);

    let config = update(ws::UpdateTaskQueueConfigRequest {
        update_queue_rate_limit: limit(Some(5.0), "because"),
        set_fairness_weight_overrides: [("a".to_owned(), 2.0), ("b".to_owned(), 3.0)].into(),
        ..change.clone()
    })
    .await
    .unwrap();
    let queue_limit = config.queue_rate_limit.as_ref().unwrap();
    let metadata = queue_limit.metadata.as_ref().unwrap();
    assert_eq!(queue_limit.rate_limit.unwrap().requests_per_second, 5.0);
    assert_eq!((&*metadata.reason, &*metadata.update_identity), ("because", "operator"));
    assert!(metadata.update_time.is_some());
    let shown = described().await;
    assert_eq!(shown.config, Some(config));
    let rate = shown.effective_rate_limit.unwrap();
    assert_eq!((rate.requests_per_second, rate.rate_limit_source()), (5.0, RateLimitSource::Api));

    let config = update(ws::UpdateTaskQueueConfigRequest {
        update_queue_rate_limit: limit(None, "no longer"),
        update_fairness_key_rate_limit_default: limit(Some(2.0), ""),
        unset_fairness_weight_overrides: vec!["a".to_owned()],
        ..change.clone()
    })
    .await
    .unwrap();
    assert_eq!(config.queue_rate_limit.unwrap().rate_limit, None);
    assert_eq!(config.fairness_weight_overrides, [("b".to_owned(), 3.0)].into());
    assert_eq!(config.fairness_keys_rate_limit_default.unwrap().rate_limit.unwrap().requests_per_second, 2.0);

    let workflow = TaskQueueType::Workflow.into();
    for (request, text) in [
        (
            ws::UpdateTaskQueueConfigRequest {
                task_queue_type: workflow,
                update_queue_rate_limit: limit(Some(5.0), ""),
                ..change.clone()
            },
            "Setting rate limit on workflow task queues is not allowed.",
        ),
        (
            ws::UpdateTaskQueueConfigRequest { update_queue_rate_limit: limit(Some(-5.0), ""), ..change.clone() },
            "RequestsPerSecond for UpdateQueueRateLimit rate limit must be non-negative.",
        ),
        (
            ws::UpdateTaskQueueConfigRequest {
                update_queue_rate_limit: limit(Some(5.0), &"r".repeat(1001)),
                ..change.clone()
            },
            "UpdateQueueRateLimit.Reason field too long (max 1000 characters).",
        ),
        (
            ws::UpdateTaskQueueConfigRequest { task_queue: "/_sys/q/1".to_owned(), ..change.clone() },
            "task queue family name cannot have prefix /_sys/ /_sys/q/1",
        ),
        (
            ws::UpdateTaskQueueConfigRequest {
                set_fairness_weight_overrides: [("k".to_owned(), 0.0)].into(),
                ..change.clone()
            },
            "invalid fairness weight weight for key \"k\": must be greater than zero",
        ),
        (
            ws::UpdateTaskQueueConfigRequest {
                set_fairness_weight_overrides: [("k".to_owned(), 1.0)].into(),
                unset_fairness_weight_overrides: vec!["k".to_owned()],
                ..change
            },
            "fairness weight override key \"k\" present in both set and unset lists",
        ),
    ] {
        refused(update(request).await, Code::InvalidArgument, "", text);
    }
    server.stop().await;
}
