//! Pairing with pollers that wait.

use std::time::Duration;

use perdure_kernel::ErrorKind;
use perdure_persistence::memory::MemoryStore;
use perdure_rpc::TaskType;
use tokio::time::Instant;

use crate::kit::{Node, local, queue, quiesce, settings, spawn, sticky, task};

const LONG: Duration = Duration::from_secs(70);

#[tokio::test(start_paused = true)]
async fn a_waiting_poller_gets_the_task_at_once() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&queue, "worker", LONG));
        quiesce().await;
        let before = Instant::now();
        node.add(&queue, "run-1").await.unwrap();
        let response = poll.await.unwrap().unwrap();
        assert_eq!(&*response.task_token, b"run-1");
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(node.stored(&queue).await, 0);
        assert_eq!(node.history.starts.lock().unwrap()[0].identity, "worker");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn polls_end_empty_before_their_clients_give_up() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        for (wait, held) in [(70_000, 60_000), (30_000, 29_000), (900, 0)] {
            let before = Instant::now();
            let response = node.poll(&queue, "worker", Duration::from_millis(wait)).await.unwrap();
            assert!(response.task_token.is_empty());
            let off = before.elapsed().abs_diff(Duration::from_millis(held));
            assert!(off <= Duration::from_millis(5), "{wait} was held for {:?}", before.elapsed());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_left_gets_nothing() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&queue, "gone", LONG));
        quiesce().await;
        poll.abort();
        quiesce().await;
        let before = Instant::now();
        node.add(&queue, "run-1").await.unwrap();
        assert!(before.elapsed() >= Duration::from_millis(200), "acknowledged before it was stored");
        assert_eq!(node.stored(&queue).await, 1);
        assert!(node.history.run_ids().is_empty());
        assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, b"run-1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_task_is_dropped_and_the_poller_waits_on() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let first = spawn(node.poll(&queue, "first", LONG));
        quiesce().await;
        let second = spawn(node.poll(&queue, "second", LONG));
        quiesce().await;
        node.history.refuse_next(ErrorKind::StaleTask);
        node.add(&queue, "stale").await.unwrap();
        node.add(&queue, "wanted").await.unwrap();
        assert_eq!(&*first.await.unwrap().unwrap().task_token, b"wanted");
        second.abort();
        assert_eq!(node.stored(&queue).await, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_failed_is_tried_again_under_the_same_id() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let poll = spawn(node.poll(&queue, "worker", LONG));
        quiesce().await;
        node.history.refuse_next(ErrorKind::Unavailable);
        node.history.refuse_next(ErrorKind::Unavailable);
        node.add(&queue, "run-1").await.unwrap();
        assert_eq!(&*poll.await.unwrap().unwrap().task_token, b"run-1");
        let starts = node.history.starts.lock().unwrap();
        assert_eq!(starts.len(), 3);
        assert!(starts.iter().all(|start| *start == starts[0]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn better_priorities_come_first() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let adds: Vec<_> = [(0, "c"), (5, "e"), (1, "a"), (3, "d"), (2, "b")]
            .into_iter()
            .map(|(priority_key, run)| {
                let mut task = task(run);
                task.priority = Some(perdure_proto::api::common::Priority { priority_key, ..Default::default() });
                node.add_task(&queue, task)
            })
            .collect();
        for added in futures_join(adds).await {
            added.unwrap();
        }
        for expected in ["a", "b", "c", "d", "e"] {
            assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, expected.as_bytes());
        }
    })
    .await;
}

/// All of them at the same time.
async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(outputs.iter_mut().filter_map(Option::take).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_rate_that_workers_ask_for_holds() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Activity));
        let adds: Vec<_> = (0..40).map(|number| node.add_task(&queue, task(&format!("run-{number}")))).collect();
        for added in futures_join(adds).await {
            added.unwrap();
        }
        let stopped = spawn(node.poll_activity(&queue, Some(0.0)));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(node.history.run_ids().is_empty(), "dispatched at a rate of zero");
        let before = Instant::now();
        for _ in 0..30 {
            assert!(!node.poll_activity(&queue, Some(10.0)).await.unwrap().task_token.is_empty());
        }
        let took = before.elapsed();
        assert!((Duration::from_millis(1_800)..Duration::from_millis(3_200)).contains(&took), "{took:?}");
        stopped.abort();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sticky_queue_serves_only_while_its_worker_polls() {
    local(async {
        let (node, queue) = (Node::start(settings(4), MemoryStore::new().into()), sticky());
        let unavailable =
            |error: perdure_kernel::ServiceError| assert_eq!(error.kind, ErrorKind::StickyWorkerUnavailable);
        unavailable(node.add(&queue, "early").await.unwrap_err());
        let poll = spawn(node.poll(&queue, "worker", LONG));
        quiesce().await;
        node.add(&queue, "run-1").await.unwrap();
        assert_eq!(&*poll.await.unwrap().unwrap().task_token, b"run-1");

        // Between two polls a task waits, and is dropped when its time is over.
        let mut late = task("late");
        late.expires_at = (node.clock.now() + Duration::from_secs(5)).as_nanos();
        node.add_task(&queue, late).await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        node.add(&queue, "run-2").await.unwrap();
        assert_eq!(&*node.poll(&queue, "worker", LONG).await.unwrap().task_token, b"run-2");
        tokio::time::sleep(Duration::from_secs(11)).await;
        unavailable(node.add(&queue, "too late").await.unwrap_err());
        unavailable(node.query(&queue, LONG).await.unwrap_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_pollers_wait_side_by_side() {
    local(async {
        let (node, queue) = (Node::start(settings(1), MemoryStore::new().into()), queue(TaskType::Workflow));
        let polls: Vec<_> = (0..10_000).map(|_| spawn(node.poll(&queue, "worker", LONG))).collect();
        quiesce().await;
        for number in 0..100 {
            node.add(&queue, &format!("run-{number}")).await.unwrap();
        }
        let mut served = 0;
        for poll in polls {
            served += usize::from(!poll.await.unwrap().unwrap().task_token.is_empty());
        }
        assert_eq!(served, 100);
    })
    .await;
}
