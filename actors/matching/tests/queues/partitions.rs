//! Queues of several partitions.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use perdure_persistence::memory::MemoryStore;
use perdure_rpc::TaskType;

use crate::kit::{Node, local, queue, quiesce, settings, spawn};

const LONG: Duration = Duration::from_secs(70);

#[tokio::test(start_paused = true)]
async fn one_poller_is_found_from_every_partition() {
    local(async {
        let (node, queue) = (Node::start(settings(4), MemoryStore::new().into()), queue(TaskType::Workflow));
        for number in 0..40 {
            let poll = spawn(node.poll(&queue, "worker", LONG));
            quiesce().await;
            let run = format!("run-{number}");
            node.add(&queue, &run).await.unwrap();
            assert_eq!(&*poll.await.unwrap().unwrap().task_token, run.as_bytes());
        }
        assert_eq!(node.history.run_ids().len(), 40);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn backlogs_of_all_partitions_reach_a_few_pollers_once() {
    local(async {
        let store: Arc<MemoryStore> = MemoryStore::new().into();
        let queue = queue(TaskType::Workflow);
        let node = Node::start(settings(4), store.clone());
        let mut runs: BTreeSet<String> = (0..60).map(|number| format!("run-{number}")).collect();
        for run in &runs {
            node.add(&queue, run).await.unwrap();
        }
        assert!(node.system.shutdown(Duration::from_secs(5)).await.complete);

        // Only the root is polled after the restart.
        let node = Node::start(settings(4), store);
        while !runs.is_empty() {
            let response = node.poll(&queue, "worker", LONG).await.unwrap();
            let run = String::from_utf8(response.task_token.to_vec()).unwrap();
            assert!(runs.remove(&run), "{run:?} came twice, or nothing came; left: {runs:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_poll_whose_client_left_gets_nothing() {
    local(async {
        let (node, root) = (Node::start(settings(4), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&root.with_partition(2), "gone", LONG));
        quiesce().await;
        poll.abort();
        quiesce().await;
        node.add(&root.with_partition(1), "run-1").await.unwrap();
        assert!(node.history.run_ids().is_empty());
        assert_eq!(&*node.poll(&root.with_partition(3), "worker", LONG).await.unwrap().task_token, b"run-1");
    })
    .await;
}
