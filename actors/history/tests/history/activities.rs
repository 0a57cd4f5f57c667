//! Standalone activities through the shard: what was answered survives, and what a worker has is not given twice.

use perdure_execution::activity::{FromReply, Input, Reply};
use perdure_kernel::{BusinessKey, ErrorKind, ServiceResult};
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{enums::PendingActivityState, workflowservice as ws};

use crate::kit::*;

async fn ask<R: FromReply>(node: &Node, input: Input) -> ServiceResult<R> {
    let key = BusinessKey::activity(&node.namespace_id, "a");
    let reply: Reply = node.history.act(key, String::new(), node.caller(), input, None).await?;
    R::from_reply(reply)
}

fn request() -> Input {
    let mut request = ws::StartActivityExecutionRequest {
        activity_id: "a".into(),
        request_id: "request".into(),
        activity_type: activity_type("charge"),
        task_queue: Some(queue(QUEUE)),
        start_to_close_timeout: Some(perdure_kernel::time::span_to_proto(secs(60))),
        retry_policy: Some(Default::default()),
        ..Default::default()
    };
    if let Some(policy) = &mut request.retry_policy {
        perdure_kernel::retry_policy::fill_defaults(policy, &Default::default());
    }
    perdure_execution::activity::fill_timeouts(&mut request).unwrap();
    Input::Start(Box::new(request))
}

async fn start(node: &Node) -> ServiceResult<bool> {
    let answer: Box<ws::StartActivityExecutionResponse> = ask(node, request()).await?;
    Ok(answer.started)
}

async fn state(node: &Node) -> (PendingActivityState, i32) {
    let answer: Box<ws::DescribeActivityExecutionResponse> =
        ask(node, Input::Describe(Box::default(), None)).await.unwrap();
    let info = answer.info.unwrap();
    (info.run_state(), info.attempt)
}

#[test]
fn a_start_happens_once_whatever_became_of_its_first_commit() {
    run(async {
        for fault in [
            Fault::Before(StoreErrorKind::Conflict),
            Fault::Before(StoreErrorKind::OutcomeUnknown),
            Fault::After(StoreErrorKind::OutcomeUnknown),
        ] {
            let mut world = World::new();
            let node = world.boot().await;
            settle().await;
            world.script.fail(Operation::Commit, 0, fault);
            assert_eq!(start(&node).await.unwrap_err().kind, ErrorKind::Unavailable, "{fault:?}");
            let applied = fault == Fault::After(StoreErrorKind::OutcomeUnknown);
            assert_eq!(start(&node).await.unwrap(), !applied, "{fault:?}");
            let task = world.matching.task().await;
            assert_eq!(node.take_activity_task(&task).await.unwrap().attempt, 1);
        }
    });
}

#[test]
fn an_attempt_survives_death_at_every_step() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        assert!(start(&node).await.unwrap());
        let offered = world.matching.offer().await;
        // Matching did not answer for the task: it is offered again.
        let node = world.crash(node).await;
        drop(offered);
        let task = world.matching.task().await;
        let taken = node.take_activity_task(&task).await.unwrap();
        let node = world.crash(node).await;
        assert_eq!(state(&node).await, (PendingActivityState::Started, 1));
        // Its worker says nothing: the attempt times out, and the next one follows after its backoff.
        pass(secs(61)).await;
        let second = loop {
            let task = world.matching.task().await;
            if let Ok(second) = node.take_activity_task(&task).await {
                break second;
            }
        };
        assert_eq!(second.attempt, 2);
        let late = node.complete_activity(&taken).await.unwrap_err();
        assert_eq!(late.message, "activity not found for ID: a");
        let node = world.crash(node).await;
        node.complete_activity(&second).await.unwrap();
        let node = world.crash(node).await;
        let outcome: Box<ws::PollActivityExecutionResponse> = ask(&node, Input::Poll).await.unwrap();
        assert!(outcome.outcome.is_some());
        // Retention is over.
        pass(secs(24 * 3600 + 1)).await;
        assert_eq!(ask::<()>(&node, Input::Poll).await.unwrap_err().kind, ErrorKind::NotFound);
        assert!(start(&node).await.unwrap(), "the id is free");
    });
}

#[test]
fn a_workflow_and_an_activity_of_one_id_do_not_meet() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("a", crate::kit::start("a")).await.unwrap();
        assert!(start(&node).await.unwrap());
        world.work_until_closed(&node, "a").await;
        assert_eq!(node.status("a").await, perdure_proto::api::enums::WorkflowExecutionStatus::Completed);
    });
}
