//! Tasks on their way to their queues.

use perdure_kernel::{ErrorKind, ServiceError};

use crate::kit::*;

#[test]
fn a_refused_task_is_offered_again_and_a_dropped_one_is_not() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        for _ in 0..3 {
            let offered = world.matching.offer().await;
            answer(offered, Err(ServiceError::unavailable("the queue is moving")));
            settle().await;
            assert!(world.matching.try_offer().is_none(), "not in a loop");
        }
        // Dropped unanswered: unknown, so again.
        drop(world.matching.offer().await);
        let task = world.matching.task().await;
        pass(secs(10)).await;
        assert!(world.matching.try_offer().is_none());
        node.ask("other", start("other")).await.unwrap();
        let offered = world.matching.offer().await;
        answer(offered, Err(ServiceError::invalid_argument("no such queue")));
        pass(secs(10)).await;
        assert!(world.matching.try_offer().is_none());
        node.take_workflow_task(&task).await.unwrap();
    });
}

#[test]
fn a_task_whose_sticky_worker_is_gone_goes_to_the_normal_queue() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let mut completion = decisions(&task, Vec::new());
        completion.request.sticky_attributes = sticky("worker-1");
        node.ask("order", completion).await.unwrap();
        node.ask("order", signal("order", "one")).await.unwrap();
        let offered = world.matching.offer().await;
        assert!(is_sticky(&offered.request));
        answer(offered, Err(ServiceError::new(ErrorKind::StickyWorkerUnavailable, "nobody polls")));
        settle().await;
        let task = world.matching.try_offer().map(take).unwrap();
        assert_eq!((is_sticky(&task), &*task.queue.name), (false, QUEUE));
        let taken = node.take_workflow_task(&task).await.unwrap();
        // A worker without the workflow in its cache gets all of it.
        assert_eq!(events_of(&taken)[0].event_id, 1);
        node.decide(&taken, vec![complete_workflow()]).await.unwrap();
    });
}

#[test]
fn a_sticky_worker_gets_only_the_news() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let mut completion = decisions(&task, Vec::new());
        completion.request.sticky_attributes = sticky("worker-1");
        node.ask("order", completion).await.unwrap();
        for crashes in [false, true] {
            node.ask("order", signal("order", if crashes { "two" } else { "one" })).await.unwrap();
            let task = world.matching.task().await;
            assert!(is_sticky(&task));
            let taken = node.take_workflow_task(&task).await.unwrap();
            let first = events_of(&taken)[0].event_id;
            assert_eq!(first, taken.previous_started_event_id + 1);
            let mut completion = decisions(&taken, Vec::new());
            completion.request.sticky_attributes = sticky("worker-1");
            node.ask("order", completion).await.unwrap();
        }
    });
}

#[test]
fn tasks_wait_for_a_namespace_that_is_not_known_yet() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let first = world.matching.offer().await;
        world.namespaces.set_unknown(true);
        let node = world.crash(node).await;
        drop(first);
        pass(secs(10)).await;
        assert!(world.matching.try_offer().is_none());
        world.namespaces.set_unknown(false);
        let task = world.matching.task().await;
        node.take_workflow_task(&task).await.unwrap();
    });
}

/// Answers that come while the lease is being taken again must neither be lost nor keep the shard busy.
#[test]
fn answers_about_tasks_of_an_earlier_lease_do_no_harm() {
    run(async {
        use perdure_persistence::{Operation, StoreErrorKind};
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let offered = world.matching.offer().await;
        world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::LeaseLost));
        for _ in 0..5 {
            world.script.fail(Operation::AcquireShard, 0, Fault::Before(StoreErrorKind::Unavailable));
        }
        node.ask("other", start("other")).await.unwrap_err();
        answer(offered, Err(ServiceError::unavailable("the queue is moving")));
        pass(secs(5)).await;
        let tasks = world.matching.take_all();
        assert_eq!(tasks.len(), 1);
        node.take_workflow_task(&tasks[0]).await.unwrap();
    });
}
