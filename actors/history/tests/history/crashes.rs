//! Sudden death at every step of a workflow with one activity.

use perdure_kernel::ErrorKind;
use perdure_proto::api::{enums::WorkflowExecutionStatus, workflowservice as ws};
use perdure_rpc::matching::AddTask;

use crate::kit::*;

/// Where the workflow is when the node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    StartUncommitted,
    StartUnanswered,
    Started,
    WorkflowTaskOffered,
    WorkflowTaskTaken,
    WorkflowTaskFlushed,
    DecisionsUncommitted,
    DecisionsUnanswered,
    Decided,
    ActivityOffered,
    ActivityStartUncommitted,
    ActivityStartUnanswered,
    ActivityTaken,
    ActivityEndUncommitted,
    ActivityEndUnanswered,
    ActivityEnded,
    LastTaskTaken,
    CloseUncommitted,
    CloseUnanswered,
    Closed,
}

const STEPS: [Step; 20] = {
    use Step::*;
    [
        StartUncommitted,
        StartUnanswered,
        Started,
        WorkflowTaskOffered,
        WorkflowTaskTaken,
        WorkflowTaskFlushed,
        DecisionsUncommitted,
        DecisionsUnanswered,
        Decided,
        ActivityOffered,
        ActivityStartUncommitted,
        ActivityStartUnanswered,
        ActivityTaken,
        ActivityEndUncommitted,
        ActivityEndUnanswered,
        ActivityEnded,
        LastTaskTaken,
        CloseUncommitted,
        CloseUnanswered,
        Closed,
    ]
};

/// What workers hold when the node dies, and what was offered to them.
#[derive(Default)]
struct Held {
    workflow_task: Option<WorkflowTask>,
    activity: Option<ActivityTask>,
    offered: Vec<AddTask>,
}

/// Sends a request whose commit is caught `before` it is applied or after; the node dies with it.
async fn caught<R>(world: &World, before: bool, send: impl FnOnce() -> Pending<R>) {
    if before {
        world.script.hold()
    } else {
        world.script.hold_after()
    }
    let mut pending = send();
    settle().await;
    assert_eq!(world.script.waiting(), 1);
    assert!(!pending.is_answered());
}

/// Goes as far as `last`.
async fn go(world: &World, node: &Node, last: Step) -> Held {
    let mut held = Held::default();
    match last {
        Step::StartUncommitted | Step::StartUnanswered => {
            caught(world, last == Step::StartUncommitted, || node.send("order", start("order"))).await;
            return held;
        }
        _ => drop(node.ask("order", start("order")).await.unwrap()),
    }
    if last == Step::Started {
        return held;
    }
    let task = world.matching.task().await;
    held.offered.push(task.clone());
    if last == Step::WorkflowTaskOffered {
        return held;
    }
    let taken = node.take_workflow_task(&task).await.unwrap();
    held.workflow_task = Some(taken.clone());
    if last == Step::WorkflowTaskFlushed {
        pass(secs(1)).await;
    }
    match last {
        Step::WorkflowTaskTaken | Step::WorkflowTaskFlushed => return held,
        Step::DecisionsUncommitted | Step::DecisionsUnanswered => {
            let decided = decisions(&taken, one_activity(&[]));
            caught(world, last == Step::DecisionsUncommitted, || node.send("order", decided)).await;
            return held;
        }
        _ => drop(node.decide(&taken, one_activity(&[])).await.unwrap()),
    }
    if last == Step::Decided {
        return held;
    }
    let task = world.matching.task().await;
    held.offered.push(task.clone());
    match last {
        Step::ActivityOffered => return held,
        Step::ActivityStartUncommitted | Step::ActivityStartUnanswered => {
            caught(world, last == Step::ActivityStartUncommitted, || node.send("order", activity_start(&task))).await;
            return held;
        }
        _ => held.activity = Some(node.take_activity_task(&task).await.unwrap()),
    }
    let activity = held.activity.clone().unwrap();
    match last {
        Step::ActivityTaken => return held,
        Step::ActivityEndUncommitted | Step::ActivityEndUnanswered => {
            caught(world, last == Step::ActivityEndUncommitted, || node.send("order", activity_end(&activity))).await;
            return held;
        }
        _ => node.complete_activity(&activity).await.unwrap(),
    }
    if last == Step::ActivityEnded {
        return held;
    }
    let task = world.matching.task().await;
    held.offered.push(task.clone());
    let taken = node.take_workflow_task(&task).await.unwrap();
    held.workflow_task = Some(taken.clone());
    match last {
        Step::LastTaskTaken => {}
        Step::CloseUncommitted | Step::CloseUnanswered => {
            let decided = decisions(&taken, vec![complete_workflow()]);
            caught(world, last == Step::CloseUncommitted, || node.send("order", decided)).await;
        }
        _ => drop(node.decide(&taken, vec![complete_workflow()]).await.unwrap()),
    }
    held
}

#[test]
fn a_workflow_goes_on_after_sudden_death_at_any_step() {
    run(async {
        for step in STEPS {
            let mut world = World::new();
            let node = world.boot().await;
            settle().await;
            let held = go(&world, &node, step).await;
            let mut offered = held.offered;
            offered.extend(world.matching.take_all());
            let node = world.crash(node).await;
            world.script.release();
            // The client asks again, whatever it heard: the workflow is started once.
            let run_id = node.ask("order", start("order")).await.unwrap().run_id;

            // The worker that had a task only in the shard's memory has it no more.
            if step == Step::WorkflowTaskTaken || step == Step::LastTaskTaken {
                let refused = node.decide(&held.workflow_task.unwrap(), Vec::new()).await.unwrap_err();
                assert_eq!(refused.kind, ErrorKind::NotFound, "{step:?}");
            } else if step == Step::WorkflowTaskFlushed {
                node.decide(&held.workflow_task.unwrap(), one_activity(&[])).await.unwrap();
            }
            // The one that runs the activity goes on with it.
            let running = [Step::ActivityTaken, Step::ActivityEndUncommitted].contains(&step);
            if running {
                node.complete_activity(&held.activity.unwrap()).await.unwrap();
            } else if step == Step::ActivityStartUnanswered {
                // Its start is durable, and whoever asks again in the same match is told so.
                let activity = offered.iter().find(|task| !is_workflow(task)).unwrap();
                let activity = node.take_activity_task(activity).await.unwrap();
                node.complete_activity(&activity).await.unwrap();
            } else if step == Step::ActivityEndUnanswered {
                let again = node.complete_activity(&held.activity.unwrap()).await.unwrap_err();
                assert_eq!(again.kind, ErrorKind::NotFound);
            }
            offered.extend(world.work_until_closed(&node, "order").await);

            assert_eq!(node.status("order").await, WorkflowExecutionStatus::Completed, "{step:?}");
            assert_eq!(node.current_run("order").await, run_id);
            let expected = [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "ActivityTaskScheduled",
                "ActivityTaskStarted",
                "ActivityTaskCompleted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ];
            assert_eq!(kinds(&node.events("order", "").await), expected, "{step:?}");
            // Every task that was ever offered is stale now.
            for task in &offered {
                let error = if is_workflow(task) {
                    node.take_workflow_task(task).await.err()
                } else {
                    node.take_activity_task(task).await.err()
                };
                assert_eq!(error.map(|error| error.kind), Some(ErrorKind::StaleTask), "{step:?}");
            }
            node.crash().await;
        }
    });
}

#[test]
fn tasks_that_nobody_took_are_offered_again() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let first = world.matching.task().await;
        let node = world.crash(node).await;
        let again = world.matching.task().await;
        assert_eq!(first.task.scheduled_event_id, again.task.scheduled_event_id);
        let taken = node.take_workflow_task_as(&again, "second").await.unwrap();
        assert_eq!(node.take_workflow_task_as(&first, "first").await.unwrap_err().kind, ErrorKind::StaleTask);
        // The same match asks again: the same answer.
        assert_eq!(node.take_workflow_task_as(&again, "second").await.unwrap(), taken);
    });
}

/// A busy shard deletes the rows of finished tasks; the one of a task whose start is only in memory stays.
#[test]
fn a_task_whose_start_was_lost_is_offered_again_also_by_a_busy_shard() {
    run(async {
        for taken_late in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            node.ask("order", start("order")).await.unwrap();
            let task = world.matching.task().await;
            if !taken_late {
                node.take_workflow_task(&task).await.unwrap();
            }
            // Enough for the rows to be deleted, in less time than a start may stay in memory.
            for index in 0..600 {
                let id = format!("other-{index}");
                node.ask(&id, start(&id)).await.unwrap();
                world.matching.take_all();
            }
            if taken_late {
                node.take_workflow_task(&task).await.unwrap();
            }
            let taken = world.now().since(BEGINNING);
            assert!(taken < millis(500), "{taken:?}");
            let node = world.crash(node).await;
            settle().await;
            let offered = world.matching.take_all();
            let again = offered.iter().any(|task| run_of(task).business_id == "order");
            let durable = kinds(&node.events("order", "").await).len() == 3;
            assert!(again || durable, "the workflow is stuck: its task is neither offered nor started");
        }
    });
}

#[test]
fn a_run_that_was_read_by_its_run_id_can_be_succeeded() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = node.ask("order", start("order")).await.unwrap().run_id;
        let task = world.workflow_task(&node).await;
        pass(secs(1)).await;
        let node = world.crash(node).await;
        // Nothing but the worker's answer, which names the run.
        node.decide(&task, vec![continue_as_new()]).await.unwrap();
        let second = node.current_run("order").await;
        assert_ne!(first, second);
        assert_eq!(kinds(&node.events("order", &first).await).last().unwrap(), "WorkflowExecutionContinuedAsNew");
        let taken = world.workflow_task(&node).await;
        assert_eq!(token_of(&taken).run_id, second);
    });
}

fn activity_start(task: &AddTask) -> Box<perdure_rpc::history::ActivityTaskStart> {
    Box::new(perdure_rpc::history::ActivityTaskStart {
        task: task.task.clone(),
        request_id: "match".into(),
        queue: task.queue.clone(),
        poll: std::sync::Arc::new(ws::PollActivityTaskQueueRequest::default()),
    })
}
