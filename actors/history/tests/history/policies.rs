//! Starts that meet another run of their id, and runs that follow others.

use perdure_kernel::{ErrorKind, time::span_to_proto};
use perdure_persistence::ShardStore;
use perdure_proto::api::{
    common::RetryPolicy,
    enums::{WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    history::history_event::Attributes,
    workflowservice as ws,
};

use super::{commits::signal_names, queries::replace};
use crate::kit::*;

#[test]
fn a_repeated_start_gets_the_same_answer() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = node.ask("order", start("order")).await.unwrap();
        let commits = world.script.commits();
        assert_eq!(node.ask("order", start("order")).await.unwrap(), first);
        assert_eq!(world.script.commits(), commits);
        let another = Box::new(ws::StartWorkflowExecutionRequest { request_id: "another".into(), ..*start("order") });
        let error = node.ask("order", another).await.unwrap_err();
        let ErrorKind::WorkflowExecutionAlreadyStarted { run_id, start_request_id, .. } = error.kind else {
            panic!("{error:?}")
        };
        assert_eq!((run_id, &*start_request_id), (first.run_id, "start-order"));
    });
}

#[test]
fn a_start_can_use_the_run_that_is_there() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = node.ask("order", start("order")).await.unwrap();
        let another = ws::StartWorkflowExecutionRequest {
            request_id: "another".into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::UseExisting.into(),
            ..*start("order")
        };
        let used = node.ask("order", Box::new(another)).await.unwrap();
        assert_eq!((used.run_id, used.started), (first.run_id, false));
    });
}

#[test]
fn a_start_can_replace_the_run_that_is_there_in_one_commit() {
    run(async {
        for crashes in [false, true] {
            let mut world = World::new();
            let mut node = world.boot().await;
            let first = node.ask("order", start("order")).await.unwrap();
            let old_task = world.matching.task().await;
            if crashes {
                node = world.crash(node).await;
                world.matching.take_all();
            }
            let watched = node.send("order", watch_close("order"));
            settle().await;
            let commits = world.script.commits();
            let second = node.ask("order", replace("order")).await.unwrap();
            assert_eq!(world.script.commits(), commits + 1);
            assert!(second.started && second.run_id != first.run_id);
            assert_eq!(world.memory.current_run(SHARD, &node.key("order")).await.unwrap(), Some(second.run_id.clone()));
            let ended = kinds(&node.events("order", &first.run_id).await);
            assert_eq!(ended.last().unwrap(), "WorkflowExecutionTerminated");
            assert_eq!(kinds(&node.events("order", "").await), ["WorkflowExecutionStarted", "WorkflowTaskScheduled"]);
            assert_eq!(watched.wait().await.unwrap().history.unwrap().events.len(), 1);
            assert_eq!(node.take_workflow_task(&old_task).await.unwrap_err().kind, ErrorKind::StaleTask);
            assert_eq!(node.ask("order", replace("order")).await.unwrap().run_id, second.run_id);
            world.work_until_closed(&node, "order").await;
        }
    });
}

#[test]
fn a_closed_run_is_followed_or_not_as_the_policy_says() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let ends = [("good", complete_workflow()), ("bad", fail_workflow())];
        for (id, end) in ends {
            world.begin(&node, id, vec![end]).await;
        }
        let node = world.crash(node).await;
        let again = |id: &str, policy: WorkflowIdReusePolicy| {
            Box::new(ws::StartWorkflowExecutionRequest {
                request_id: format!("{policy:?}"),
                workflow_id_reuse_policy: policy.into(),
                ..*start(id)
            })
        };
        use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
        for (id, policy, starts) in [
            ("good", RejectDuplicate, false),
            ("good", AllowDuplicateFailedOnly, false),
            ("bad", RejectDuplicate, false),
            ("bad", AllowDuplicateFailedOnly, true),
            ("good", AllowDuplicate, true),
        ] {
            assert_eq!(node.ask(id, again(id, policy)).await.is_ok(), starts, "{id} {policy:?}");
        }
    });
}

#[test]
fn a_signal_with_start_signals_or_starts() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let request = |request_id: &str, name: &str| {
            let start = *start("order");
            Box::new(ws::SignalWithStartWorkflowExecutionRequest {
                workflow_id: start.workflow_id,
                workflow_type: start.workflow_type,
                task_queue: start.task_queue,
                request_id: request_id.into(),
                signal_name: name.into(),
                ..Default::default()
            })
        };
        let first = node.ask("order", request("r1", "one")).await.unwrap();
        assert!(first.started);
        for _ in 0..2 {
            let second = node.ask("order", request("r2", "two")).await.unwrap();
            assert_eq!((second.run_id, second.started), (first.run_id.clone(), false));
        }
        assert_eq!(signal_names(&node.events("order", "").await), ["one", "two"]);
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
        let third = node.ask("order", request("r3", "three")).await.unwrap();
        assert!(third.started && third.run_id != first.run_id);
        let task = world.workflow_task(&node).await;
        assert_eq!(token_of(&task).run_id, third.run_id);
    });
}

/// How a run ends so that another one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    ContinueAsNew,
    Cron,
    Retry,
    RetryAfterTimeout,
}

/// The policy that the frontend makes of an empty one.
fn retry_policy() -> RetryPolicy {
    RetryPolicy {
        initial_interval: Some(span_to_proto(secs(1))),
        backoff_coefficient: 2.0,
        maximum_interval: Some(span_to_proto(secs(100))),
        ..Default::default()
    }
}

#[test]
fn a_following_run_starts_in_the_commit_that_ends_the_one_before() {
    run(async {
        use Follows::*;
        for follows in [ContinueAsNew, Cron, Retry, RetryAfterTimeout] {
            for crashes in [false, true] {
                let mut world = World::new();
                let mut node = world.boot().await;
                let mut begin = *start("order");
                match follows {
                    ContinueAsNew => {}
                    Cron => begin.cron_schedule = "* * * * *".into(),
                    Retry | RetryAfterTimeout => begin.retry_policy = Some(retry_policy()),
                }
                if follows == RetryAfterTimeout {
                    begin.workflow_run_timeout = Some(span_to_proto(secs(300)));
                    begin.workflow_execution_timeout = Some(span_to_proto(secs(3000)));
                }
                let first = node.ask("order", Box::new(begin)).await.unwrap().run_id;
                let task = world.workflow_task(&node).await;
                let end = match follows {
                    ContinueAsNew => vec![continue_as_new()],
                    Cron => vec![complete_workflow()],
                    Retry => vec![fail_workflow()],
                    RetryAfterTimeout => vec![start_timer("tea", secs(9999))],
                };
                if crashes {
                    pass(secs(1)).await;
                    node = world.crash(node).await;
                    settle().await;
                    world.matching.take_all();
                }
                let mut commits = world.script.commits();
                node.decide(&task, end).await.unwrap();
                if follows == RetryAfterTimeout {
                    let left = secs(300).saturating_sub(world.now().since(BEGINNING));
                    pass(left - millis(20)).await;
                    commits = world.script.commits();
                    pass(millis(40)).await;
                }
                assert_eq!(world.script.commits(), commits + 1, "{follows:?}, crashes: {crashes}");
                assert_eq!(world.script.count(perdure_persistence::Operation::AcquireShard), 1 + usize::from(crashes));
                let second = world.memory.current_run(SHARD, &node.key("order")).await.unwrap().unwrap();
                assert_ne!(first, second, "{follows:?}, crashes: {crashes}");
                assert_eq!(node.current_run("order").await, second);
                let events = node.events("order", &first).await;
                let named = match events.last().unwrap().attributes.as_ref().unwrap() {
                    Attributes::WorkflowExecutionContinuedAsNewEventAttributes(end) => &end.new_execution_run_id,
                    Attributes::WorkflowExecutionCompletedEventAttributes(end) => &end.new_execution_run_id,
                    Attributes::WorkflowExecutionFailedEventAttributes(end) => &end.new_execution_run_id,
                    Attributes::WorkflowExecutionTimedOutEventAttributes(end) => &end.new_execution_run_id,
                    other => panic!("{other:?}"),
                };
                assert_eq!(*named, second);
                // The new run goes on, after its backoff, and whoever owns the shard.
                let node = world.crash(node).await;
                settle().await;
                pass(secs(61)).await;
                let tasks = world.matching.take_all();
                let task = tasks.iter().rfind(|task| run_of(task).run_id == second).expect("the new run has no task");
                let task = node.take_workflow_task(task).await.unwrap();
                let mut completion = decisions(&task, vec![complete_workflow()]);
                completion.request.commands.truncate(1);
                node.ask("order", completion).await.unwrap();
                let closed = read_status(&world, &node, &second).await;
                assert_eq!(closed, WorkflowExecutionStatus::Completed);
            }
        }
    });
}

async fn read_status(_world: &World, node: &Node, run_id: &str) -> WorkflowExecutionStatus {
    let mut request = describe("order");
    request.execution = execution("order", run_id);
    node.ask("order", request).await.unwrap().workflow_execution_info.unwrap().status()
}
