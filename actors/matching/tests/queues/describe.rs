//! What queues tell about themselves.

use std::{sync::Arc, time::Duration};

use perdure_persistence::memory::MemoryStore;
use perdure_proto::api::{enums::DescribeTaskQueueMode, workflowservice::DescribeTaskQueueRequest};
use perdure_rpc::TaskType;

use crate::kit::{Node, local, queue, quiesce, settings, spawn};

const LONG: Duration = Duration::from_secs(70);

#[tokio::test(start_paused = true)]
async fn pollers_and_stats_are_summed_over_partitions() {
    local(async {
        let store: Arc<MemoryStore> = MemoryStore::new().into();
        let queue = queue(TaskType::Workflow);
        let node = Node::start(settings(4), store.clone());
        for number in 0..20 {
            node.add(&queue, &format!("run-{number}")).await.unwrap();
        }
        let request = DescribeTaskQueueRequest { report_stats: true, ..Default::default() };
        let described = node.describe(&queue, request.clone()).await;
        let stats = described.stats.unwrap();
        assert_eq!(stats.approximate_backlog_count, 20);
        assert!(stats.tasks_add_rate > 0.0);
        assert!(described.pollers.is_empty());
        assert_eq!(described.stats_by_priority_key[&3].approximate_backlog_count, 20);
        assert!(node.system.shutdown(Duration::from_secs(5)).await.complete);

        // An earlier owner's backlog counts before anybody polls.
        let node = Node::start(settings(4), store);
        let described = node.describe(&queue, request.clone()).await;
        assert_eq!(described.stats.unwrap().approximate_backlog_count, 20);

        for _ in 0..20 {
            node.poll(&queue, "worker-1", LONG).await.unwrap();
        }
        let described = node.describe(&queue, request).await;
        let stats = described.stats.unwrap();
        assert_eq!(stats.approximate_backlog_count, 0);
        assert!(stats.tasks_dispatch_rate > 0.0);
        let identities: Vec<_> = described.pollers.iter().map(|poller| poller.identity.as_str()).collect();
        assert_eq!(identities, ["worker-1"]);
        tokio::time::sleep(Duration::from_secs(301)).await;
        assert!(node.describe(&queue, DescribeTaskQueueRequest::default()).await.pollers.is_empty());
    })
    .await;
}

// The status and the enhanced mode are deprecated in the API, but what older clients ask for.
#[allow(deprecated)]
#[tokio::test(start_paused = true)]
async fn the_older_forms_tell_the_truth_too() {
    local(async {
        let (node, queue) = (Node::start(settings(2), MemoryStore::new().into()), queue(TaskType::Workflow));
        node.add(&queue, "run-1").await.unwrap();
        let request = DescribeTaskQueueRequest { include_task_queue_status: true, ..Default::default() };
        let status = node.describe(&queue, request).await.task_queue_status.unwrap();
        assert_eq!(status.backlog_count_hint, 1);

        let poll = spawn(node.poll(&queue, "worker-1", Duration::from_secs(5)));
        quiesce().await;
        let request = DescribeTaskQueueRequest {
            api_mode: DescribeTaskQueueMode::Enhanced.into(),
            report_pollers: true,
            report_stats: true,
            ..Default::default()
        };
        let described = node.describe(&queue, request).await;
        let types = &described.versions_info[""].types_info;
        assert_eq!(types[&1].pollers.len(), 1);
        assert_eq!(types[&2].pollers.len(), 0);
        assert_eq!(types[&2].stats.as_ref().unwrap().approximate_backlog_count, 0);
        poll.abort();
    })
    .await;
}
