//! Tasks that nobody waited for.

use std::{sync::Arc, time::Duration};

use perdure_kernel::ErrorKind;
use perdure_persistence::{TaskQueueStore, memory::MemoryStore, task_queue::QueueKey};
use perdure_rpc::TaskType;

use crate::kit::{Node, local, queue, quiesce, settings, spawn};

const LONG: Duration = Duration::from_secs(70);

#[tokio::test(start_paused = true)]
async fn the_backlog_survives_a_restart_in_order() {
    local(async {
        let store: Arc<MemoryStore> = MemoryStore::new().into();
        let queue = queue(TaskType::Workflow);
        let node = Node::start(settings(1), store.clone());
        let runs: Vec<String> = (0..250).map(|number| format!("run-{number}")).collect();
        let adds: Vec<_> = runs
            .iter()
            .map(|run| {
                let (client, caller) = (node.client.clone(), node.caller(LONG));
                let request = perdure_rpc::matching::AddTask { queue: queue.clone(), task: crate::kit::task(run) };
                let queue = queue.clone();
                spawn(async move { client.ask(&queue, caller, request, None).await })
            })
            .collect();
        for add in adds {
            add.await.unwrap().unwrap();
        }
        assert_eq!(node.stored(&queue).await, 250);
        assert!(node.system.shutdown(Duration::from_secs(5)).await.complete);

        let node = Node::start(settings(1), store);
        for run in &runs {
            assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, run.as_bytes());
        }
        // Deletes come in batches; the last one by time.
        assert!(node.stored(&queue).await < 100);
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(node.stored(&queue).await, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_lost_its_lease_starts_anew() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        node.add(&queue, "run-1").await.unwrap();
        let key = QueueKey {
            namespace_id: queue.namespace_id.clone(),
            name: queue.rpc_name(),
            task_type: queue.task_type as i32,
        };
        node.store.acquire_queue(&key).await.unwrap();
        assert_eq!(node.add(&queue, "run-2").await.unwrap_err().kind, ErrorKind::Unavailable);
        quiesce().await;
        node.add(&queue, "run-2").await.unwrap();
        for run in ["run-1", "run-2"] {
            assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, run.as_bytes());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_leaves_memory_and_comes_back() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        node.add(&queue, "run-1").await.unwrap();
        assert_eq!(node.matching.queue_count(), 1);
        tokio::time::sleep(Duration::from_secs(301)).await;
        assert_eq!(node.matching.queue_count(), 0);
        assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, b"run-1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_polls_and_refuses_tasks() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&queue, "worker", LONG));
        quiesce().await;
        assert!(node.system.shutdown(Duration::from_secs(5)).await.complete);
        assert!(poll.await.unwrap().unwrap().task_token.is_empty());
        assert_eq!(node.add(&queue, "run-1").await.unwrap_err().kind, ErrorKind::Unavailable);
    })
    .await;
}
