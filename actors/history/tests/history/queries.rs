//! Queries: straight to a worker, or with a task.

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{
    enums::{QueryRejectCondition, QueryResultType, ResourceExhaustedCause, WorkflowExecutionStatus},
    query::WorkflowQueryResult,
    workflowservice as ws,
};
use perdure_rpc::{QueueKind, history::QueryTaskStart};

use crate::kit::*;

/// A workflow that waits for a timer. With a sticky worker if that is wanted.
async fn waiting(world: &World, node: &Node, sticky_queue: Option<&str>) {
    node.ask("order", start("order")).await.unwrap();
    let task = world.workflow_task(node).await;
    let mut completion = decisions(&task, vec![start_timer("tea", secs(3600))]);
    completion.request.sticky_attributes = sticky_queue.and_then(sticky);
    node.ask("order", completion).await.unwrap();
}

/// The answers of a worker to the queries of its task.
fn answers(task: &WorkflowTask, kind: QueryResultType) -> std::collections::BTreeMap<String, WorkflowQueryResult> {
    let answer = WorkflowQueryResult { result_type: kind.into(), error_message: "no".into(), ..Default::default() };
    task.queries.keys().map(|id| (id.clone(), answer.clone())).collect()
}

#[test]
fn a_quiet_workflow_is_asked_directly() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        waiting(&world, &node, None).await;
        let commits = world.script.commits();
        let pending = node.send("order", query("order"));
        let asked = world.matching.query().await;
        assert_eq!((asked.request.queue.kind, &*asked.request.queue.name), (QueueKind::Normal, QUEUE));
        let start = QueryTaskStart { run: asked.request.run.clone(), sticky: false };
        let task = node.ask("order", start).await.unwrap();
        assert_eq!(events_of(&task).len(), 5);
        asked
            .reply
            .send(Ok(ws::QueryWorkflowResponse { query_result: Some(Default::default()), ..Default::default() }));
        assert!(pending.wait().await.unwrap().query_result.is_some());
        assert_eq!(world.script.commits(), commits, "a query leaves no trace");
    });
}

#[test]
fn a_sticky_worker_that_is_gone_hands_its_queries_to_others() {
    run(async {
        for gone in [ErrorKind::StickyWorkerUnavailable, ErrorKind::DeadlineExceeded] {
            let mut world = World::new();
            let node = world.boot().await;
            waiting(&world, &node, Some("worker-1")).await;
            let pending = node.send_as(node.caller_for(secs(30)), "order", query("order"));
            let asked = world.matching.query().await;
            assert_eq!((asked.request.queue.kind, &*asked.request.queue.name), (QueueKind::Sticky, "worker-1"));
            let until = asked.caller.deadline.unwrap();
            assert!(until.since(world.now()) <= secs(5), "no longer than the sticky queue's timeout");
            asked.refuse(ServiceError::new(gone, "nobody polls"));
            let asked = world.matching.query().await;
            assert_eq!(asked.request.queue.kind, QueueKind::Normal);
            asked.reply.send(Ok(Default::default()));
            pending.wait().await.unwrap();
            // The next one does not try it first.
            let _pending = node.send("order", query("order"));
            assert_eq!(world.matching.query().await.request.queue.kind, QueueKind::Normal);
        }
    });
}

#[test]
fn a_refusal_of_the_worker_is_passed_on() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        waiting(&world, &node, Some("worker-1")).await;
        let pending = node.send("order", query("order"));
        let error = ServiceError::new(ErrorKind::QueryFailed { failure: None }, "unknown query");
        world.matching.query().await.refuse(error.clone());
        assert_eq!(pending.wait().await.unwrap_err(), error);
    });
}

#[test]
fn a_query_goes_with_the_task_that_is_on_its_way() {
    run(async {
        for kind in [QueryResultType::Answered, QueryResultType::Failed] {
            let mut world = World::new();
            let node = world.boot().await;
            waiting(&world, &node, None).await;
            node.ask("order", signal("order", "one")).await.unwrap();
            let mut pending = node.send("order", query("order"));
            settle().await;
            assert!(world.matching.try_query().is_none());
            let task = world.workflow_task(&node).await;
            assert_eq!(task.queries.len(), 1);
            let mut completion = decisions(&task, Vec::new());
            completion.request.query_results = answers(&task, kind);
            world.script.hold();
            let completed = node.send("order", completion);
            settle().await;
            assert!(!pending.is_answered(), "the worker's answer rests on decisions that are not durable");
            world.script.release();
            completed.wait().await.unwrap();
            settle().await;
            assert!(pending.is_answered());
            match pending.wait().await {
                Ok(_) => assert_eq!(kind, QueryResultType::Answered),
                Err(error) => {
                    assert_eq!((error.kind, &*error.message), (ErrorKind::QueryFailed { failure: None }, "no"))
                }
            }
        }
    });
}

#[test]
fn queries_without_an_answer_go_on_their_own() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        waiting(&world, &node, None).await;
        node.ask("order", signal("order", "one")).await.unwrap();
        let task = world.workflow_task(&node).await;
        // It came too late for the task.
        let pending = node.send("order", query("order"));
        settle().await;
        assert!(task.queries.is_empty());
        node.decide(&task, Vec::new()).await.unwrap();
        world.matching.query().await.reply.send(Ok(Default::default()));
        pending.wait().await.unwrap();
    });
}

/// Every way in which a run can end lets the queries go that waited for its task.
#[test]
fn queries_are_released_when_the_run_ends() {
    run(async {
        for way in ["completes", "is terminated", "times out", "is replaced", "is replaced with a signal"] {
            for completed_a_task in [false, true] {
                let mut world = World::new();
                let node = world.boot().await;
                let run_timeout = Some(perdure_kernel::time::span_to_proto(secs(8)));
                let begin = ws::StartWorkflowExecutionRequest { workflow_run_timeout: run_timeout, ..*start("order") };
                node.ask("order", Box::new(begin)).await.unwrap();
                let mut task = world.workflow_task(&node).await;
                if completed_a_task {
                    node.decide(&task, vec![start_timer("tea", secs(3600))]).await.unwrap();
                    node.ask("order", signal("order", "one")).await.unwrap();
                    task = world.workflow_task(&node).await;
                }
                let mut rejects = query("order");
                rejects.query_reject_condition = QueryRejectCondition::NotOpen.into();
                let mut pending = node.send("order", if completed_a_task { rejects } else { query("order") });
                settle().await;
                if way == "times out" {
                    pass(secs(9)).await;
                } else {
                    world.script.hold();
                    match way {
                        "completes" => drop(node.send("order", decisions(&task, vec![complete_workflow()]))),
                        "is terminated" => drop(node.send("order", terminate("order"))),
                        "is replaced" => drop(node.send("order", replace("order"))),
                        _ => drop(node.send("order", replace_with_signal("order"))),
                    }
                    settle().await;
                    assert!(!pending.is_answered(), "{way}: the end is not durable yet");
                    assert!(world.matching.try_query().is_none());
                    world.script.release();
                }
                settle().await;
                if way == "completes" && !completed_a_task {
                    world.matching.query().await.reply.send(Ok(Default::default()));
                    settle().await;
                }
                assert!(pending.is_answered(), "{way}, completed a task: {completed_a_task}");
                match pending.wait().await {
                    Ok(answer) if completed_a_task => {
                        let status = answer.query_rejected.unwrap().status();
                        assert_ne!(status, WorkflowExecutionStatus::Running, "{way}");
                    }
                    Ok(_) => assert_eq!(way, "completes"),
                    Err(error) => assert_eq!((error.kind, completed_a_task), (ErrorKind::WorkflowNotReady, false)),
                }
            }
        }
    });
}

pub(crate) fn replace(workflow_id: &str) -> Box<ws::StartWorkflowExecutionRequest> {
    use perdure_proto::api::enums::WorkflowIdConflictPolicy::TerminateExisting;
    Box::new(ws::StartWorkflowExecutionRequest {
        request_id: "replace".into(),
        workflow_id_conflict_policy: TerminateExisting.into(),
        ..*start(workflow_id)
    })
}

fn replace_with_signal(workflow_id: &str) -> Box<ws::SignalWithStartWorkflowExecutionRequest> {
    use perdure_proto::api::enums::WorkflowIdConflictPolicy::TerminateExisting;
    let start = *start(workflow_id);
    Box::new(ws::SignalWithStartWorkflowExecutionRequest {
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        request_id: "replace".into(),
        signal_name: "first".into(),
        workflow_id_conflict_policy: TerminateExisting.into(),
        ..Default::default()
    })
}

#[test]
fn only_so_many_queries_wait_for_a_task() {
    run(async {
        let mut world = World::new();
        world.namespaces.change(|namespace| namespace.limits.buffered_queries_max = 2);
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let mut waiting: Vec<_> = (0..2).map(|_| node.send("order", query("order"))).collect();
        let refused = node.ask("order", query("order")).await.unwrap_err();
        let ErrorKind::ResourceExhausted { cause, .. } = refused.kind else { panic!("{refused:?}") };
        assert_eq!(cause, ResourceExhaustedCause::BusyWorkflow);
        assert!(refused.message.starts_with("consistent query buffer is full, "), "{}", refused.message);
        // One that nobody waits for any more makes room.
        drop(waiting.pop());
        let mut next = node.send("order", query("order"));
        settle().await;
        assert!(!next.is_answered());
        let task = world.workflow_task(&node).await;
        assert_eq!(task.queries.len(), 2);
        let mut completion = decisions(&task, vec![start_timer("tea", secs(60))]);
        completion.request.query_results = answers(&task, QueryResultType::Answered);
        node.ask("order", completion).await.unwrap();
        settle().await;
        assert!(next.is_answered() && waiting[0].is_answered());
    });
}

#[test]
fn queries_on_closed_runs_are_rejected_or_answered() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.begin(&node, "order", vec![complete_workflow()]).await;
        let mut rejected = query("order");
        rejected.query_reject_condition = QueryRejectCondition::NotOpen.into();
        let answer = node.ask("order", rejected).await.unwrap();
        assert_eq!(answer.query_rejected.unwrap().status(), WorkflowExecutionStatus::Completed);
        let mut clean = query("order");
        clean.query_reject_condition = QueryRejectCondition::NotCompletedCleanly.into();
        let pending = node.send("order", clean);
        world.matching.query().await.reply.send(Ok(Default::default()));
        pending.wait().await.unwrap();
    });
}

#[test]
fn queries_hear_when_the_shard_starts_anew() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let waiting = node.send("order", query("order"));
        settle().await;
        world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::Unavailable));
        node.ask("other", start("other")).await.unwrap_err();
        assert_eq!(waiting.wait().await.unwrap_err().kind, ErrorKind::Unavailable);
    });
}
