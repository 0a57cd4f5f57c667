//! Updates: who hears what and when, and what is left of one that was only in memory.

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_persistence::{Operation, ShardStore, StoreErrorKind};
use perdure_proto::api::{
    enums::{ResourceExhaustedCause, UpdateWorkflowExecutionLifecycleStage as Stage},
    workflowservice as ws,
};
use perdure_rpc::Ask;
use perdure_runtime::Permits;

use super::failures::{FAULTS, require_wording};
use crate::kit::*;

/// Has the shard give up all that it has in memory, by a commit of another workflow that fails.
async fn start_anew(world: &World, node: &Node) {
    world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::Unavailable));
    node.ask("other", start("other")).await.unwrap_err();
    settle().await;
}

#[test]
fn an_update_is_told_when_it_is_stored() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let run_id = world.idle(&node, "order").await;
        let commits = world.script.commits();
        let mut accepted = node.send("order", update("order", "u", Stage::Accepted));
        let mut completed = node.send("order", update("order", "u", Stage::Completed));
        let admitted = node.ask("order", update("order", "u", Stage::Admitted)).await.unwrap();
        assert_eq!((admitted.stage(), admitted.outcome), (Stage::Admitted, None));
        let mut polled = node.send("order", poll_update("order", "u", Stage::Completed));
        let task = world.workflow_task(&node).await;
        assert_eq!(task.messages.len(), 1, "whoever asks, it is one update");
        pass(secs(1)).await;
        assert_eq!(world.script.commits(), commits, "a task for updates alone is not stored");

        world.script.hold();
        let said = node.send("order", says(&task, vec![accept("u")]));
        settle().await;
        assert!(!accepted.is_answered(), "its acceptance is not durable");
        world.script.release();
        said.wait().await.unwrap();
        settle().await;
        assert!(accepted.is_answered() && !completed.is_answered() && !polled.is_answered());
        let answer = accepted.wait().await.unwrap();
        assert_eq!((answer.stage(), answer.outcome), (Stage::Accepted, None));
        let execution = answer.update_ref.unwrap().workflow_execution.unwrap();
        assert_eq!((&*execution.workflow_id, execution.run_id), ("order", run_id));

        node.ask("order", signal("order", "go on")).await.unwrap();
        let task = world.workflow_task(&node).await;
        assert!(task.messages.is_empty());
        world.script.hold();
        let said = node.send("order", says(&task, vec![respond("u", "done")]));
        settle().await;
        assert!(!completed.is_answered() && !polled.is_answered(), "its outcome is not durable");
        world.script.release();
        said.wait().await.unwrap();
        let answer = completed.wait().await.unwrap();
        assert_eq!((answer.stage(), answer.outcome), (Stage::Completed, outcome("done")));
        assert_eq!(polled.wait().await.unwrap().outcome, outcome("done"));
        // Whoever asks again, whatever for, hears the outcome.
        let again = node.ask("order", update("order", "u", Stage::Accepted)).await.unwrap();
        assert_eq!((again.stage(), again.outcome), (Stage::Completed, outcome("done")));
        assert!(world.matching.try_offer().is_none());
    });
}

#[test]
fn a_rejected_update_leaves_nothing() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.idle(&node, "order").await;
        let (commits, events) = (world.script.commits(), node.events("order", "").await);
        for round in 0..2 {
            let pending = node.send("order", update("order", "u", Stage::Accepted));
            let task = world.workflow_task(&node).await;
            assert_eq!(task.messages.len(), 1, "round {round}: a rejected update is forgotten");
            let answer = node.ask("order", says(&task, vec![reject("u")])).await.unwrap();
            assert_eq!(answer.reset_history_event_id, 3, "the worker forgets the task too");
            let answer = pending.wait().await.unwrap();
            assert_eq!((answer.stage(), failure_of(answer.outcome.as_ref())), (Stage::Completed, "no"));
        }
        pass(secs(30)).await;
        assert_eq!(world.script.commits(), commits);
        assert_eq!(node.events("order", "").await, events);
        let unknown = node.ask("order", poll_update("order", "u", Stage::Completed)).await.unwrap_err();
        assert_eq!(unknown.kind, ErrorKind::NotFound);
    });
}

#[test]
fn a_shard_that_starts_anew_asks_again_for_whoever_waits() {
    run(async {
        for taken in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            world.idle(&node, "order").await;
            let mut waiting = node.send("order", update("order", "u", Stage::Completed));
            let lost = world.matching.task().await;
            let held = if taken { Some(node.take_workflow_task(&lost).await.unwrap()) } else { None };
            start_anew(&world, &node).await;
            // Tasks in the same place of a history are told apart by the time at which they start.
            pass(millis(1)).await;
            assert!(!waiting.is_answered());
            // The client needs to do nothing. Where matching still has the lost task, it is the same as its successor.
            let task = match &held {
                Some(_) => world.workflow_task(&node).await,
                None => node.take_workflow_task(&lost).await.unwrap(),
            };
            if let Some(held) = held {
                let late = node.ask("order", says(&held, vec![accept("u"), respond("u", "late")])).await;
                assert_eq!(late.unwrap_err().kind, ErrorKind::NotFound);
            }
            assert_eq!(task.messages.len(), 1);
            node.ask("order", says(&task, vec![accept("u"), respond("u", "done")])).await.unwrap();
            assert_eq!(waiting.wait().await.unwrap().outcome, outcome("done"), "taken: {taken}");
            assert_eq!(outcomes_in(&node.events("order", "").await).len(), 1);
        }
    });
}

/// Where an update is when the node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Admitted,
    Sent,
    /// The signal that came while the worker had it has made the task an ordinary one.
    SentAndWritten,
    AcceptanceUncommitted,
    AcceptanceUnanswered,
    Accepted,
    OutcomeUncommitted,
    OutcomeUnanswered,
    Completed,
}

/// Goes as far as `last`. Gives the callers that wait, and what the worker holds.
async fn go(
    world: &World,
    node: &Node,
    last: Step,
) -> (Pending<ws::UpdateWorkflowExecutionResponse>, Option<WorkflowTask>) {
    let waiting = node.send("order", update("order", "u", Stage::Completed));
    if last == Step::Admitted {
        settle().await;
        return (waiting, None);
    }
    let task = world.workflow_task(node).await;
    let caught = |before: bool, completion: Completion| {
        if before {
            world.script.hold()
        } else {
            world.script.hold_after()
        }
        node.send("order", completion)
    };
    match last {
        Step::Admitted | Step::Sent => {}
        Step::SentAndWritten => {
            node.ask("order", signal("order", "one")).await.unwrap();
            return (waiting, Some(task));
        }
        Step::AcceptanceUncommitted | Step::AcceptanceUnanswered => {
            let _said = caught(last == Step::AcceptanceUncommitted, says(&task, vec![accept("u")]));
            settle().await;
        }
        Step::Accepted | Step::OutcomeUncommitted | Step::OutcomeUnanswered | Step::Completed => {
            node.ask("order", says(&task, vec![accept("u")])).await.unwrap();
            node.ask("order", signal("order", "one")).await.unwrap();
            let task = world.workflow_task(node).await;
            let completion = says(&task, vec![respond("u", "first")]);
            match last {
                Step::Accepted => return (waiting, Some(task)),
                Step::Completed => drop(node.ask("order", completion).await.unwrap()),
                _ => {
                    let _said = caught(last == Step::OutcomeUncommitted, completion);
                    settle().await;
                }
            }
        }
    }
    (waiting, None)
}

#[test]
fn a_retry_after_sudden_death_is_the_same_update() {
    run(async {
        use Step::*;
        for step in [
            Admitted,
            Sent,
            SentAndWritten,
            AcceptanceUncommitted,
            AcceptanceUnanswered,
            Accepted,
            OutcomeUncommitted,
            OutcomeUnanswered,
            Completed,
        ] {
            let mut world = World::new();
            let node = world.boot().await;
            world.idle(&node, "order").await;
            let (mut waiting, held) = go(&world, &node, step).await;
            settle().await;
            assert_eq!(waiting.is_answered(), step == Completed, "{step:?}: nobody hears what is not stored");
            let lost = world.matching.take_all();
            let node = world.crash(node).await;
            world.script.release();
            if step != Completed {
                assert_eq!(waiting.wait().await.unwrap_err().kind, ErrorKind::Unavailable, "{step:?}");
            }

            let stored = [OutcomeUnanswered, Completed].contains(&step);
            let accepted = [AcceptanceUnanswered, Accepted, OutcomeUncommitted].contains(&step) || stored;
            let mut again = node.send("order", update("order", "u", Stage::Completed));
            settle().await;
            assert_eq!(again.is_answered(), stored, "{step:?}");
            for task in &lost {
                drop(node.take_workflow_task_as(task, "before the crash").await);
            }
            if step == SentAndWritten {
                // What the worker holds is stored: its word counts, and it repeats what the shard has lost.
                let said = says(&held.unwrap(), vec![accept("u"), respond("u", "first")]);
                node.ask("order", said).await.unwrap();
            } else if !stored {
                if accepted {
                    node.ask("order", signal("order", "two")).await.unwrap();
                }
                // The start that only the dead node knew of ends by its timeout.
                let task = world.workflow_task(&node).await;
                assert_eq!(task.messages.len(), usize::from(!accepted), "{step:?}");
                let mut said = vec![respond("u", "first")];
                if !accepted {
                    said.insert(0, accept("u"));
                }
                node.ask("order", says(&task, said)).await.unwrap();
            }
            assert_eq!(again.wait().await.unwrap().outcome, outcome("first"), "{step:?}");
            let events = node.events("order", "").await;
            let kinds = kinds(&events);
            let count = |kind: &str| kinds.iter().filter(|event| *event == kind).count();
            assert_eq!(count("WorkflowExecutionUpdateAccepted"), 1, "{step:?} {kinds:?}");
            assert_eq!(outcomes_in(&events), [outcome("first")], "{step:?}");
            node.crash().await;
        }
    });
}

#[test]
fn nobody_hears_of_an_outcome_that_is_not_the_stored_one() {
    run(async {
        for fault in FAULTS {
            let mut world = World::new();
            let node = world.boot().await;
            world.idle(&node, "order").await;
            let worker = Updater::default();
            let mut waiting = node.send("order", update("order", "u", Stage::Completed));
            settle().await;
            world.script.fail(Operation::Commit, 0, fault);
            require_wording(&worker.work(&world, &node).await.unwrap_err(), fault);
            let applied = matches!(fault, Fault::After(_));
            settle().await;
            assert_eq!(waiting.is_answered(), applied, "{fault:?}");
            while !waiting.is_answered() {
                worker.work(&world, &node).await.unwrap();
                settle().await;
            }
            let told = waiting.wait().await.unwrap().outcome;
            let runs = if applied { 1 } else { 2 };
            assert_eq!((worker.runs(), &told), (runs, &outcome(&format!("run {runs}"))), "{fault:?}");
            // The client's own retry, too, after a crash, too.
            let node = world.crash(node).await;
            let again = node.ask("order", update("order", "u", Stage::Completed)).await.unwrap();
            assert_eq!(again.outcome, told, "{fault:?}");
            let events = node.events("order", "").await;
            kinds(&events);
            assert_eq!(outcomes_in(&events), [told], "{fault:?}");
        }
    });
}

#[test]
fn an_outcome_comes_once_whatever_became_of_its_own_commit() {
    run(async {
        for fault in FAULTS {
            let mut world = World::new();
            let node = world.boot().await;
            world.idle(&node, "order").await;
            let waiting = node.send("order", update("order", "u", Stage::Completed));
            let task = world.workflow_task(&node).await;
            node.ask("order", says(&task, vec![accept("u")])).await.unwrap();
            node.ask("order", signal("order", "one")).await.unwrap();
            let task = world.workflow_task(&node).await;
            world.script.fail(Operation::Commit, 0, fault);
            let error = node.ask("order", says(&task, vec![respond("u", "done")])).await.unwrap_err();
            require_wording(&error, fault);
            if !matches!(fault, Fault::After(_)) {
                let task = world.workflow_task(&node).await;
                assert!(task.messages.is_empty(), "it is accepted: the worker finds it in the history");
                node.ask("order", says(&task, vec![respond("u", "done")])).await.unwrap();
            }
            assert_eq!(waiting.wait().await.unwrap().outcome, outcome("done"), "{fault:?}");
            assert_eq!(outcomes_in(&node.events("order", "").await), [outcome("done")], "{fault:?}");
        }
    });
}

#[test]
fn callers_wait_only_so_long() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.idle(&node, "order").await;
        for (accepted, reached) in [(false, Stage::Admitted), (true, Stage::Accepted)] {
            let began = world.now();
            let waiting = node.send("order", update("order", "u", Stage::Completed));
            if accepted {
                let task = world.workflow_task(&node).await;
                node.ask("order", says(&task, vec![accept("u")])).await.unwrap();
            }
            let polled = node.send("order", poll_update("order", "u", Stage::Completed));
            // One who has less time than that hears that it is over.
            let error = node.send_as(node.caller_for(secs(3)), "order", update("order", "u", Stage::Completed));
            let error = error.wait().await.unwrap_err();
            let deadline = ServiceError::new(ErrorKind::DeadlineExceeded, "context deadline exceeded");
            assert_eq!((error, world.now().since(began).as_secs()), (deadline, 3));
            // All others hear how far it is, and may wait on.
            let answer = waiting.wait().await.unwrap();
            assert_eq!(world.now().since(began).as_secs(), 20);
            assert_eq!((answer.stage(), answer.outcome), (reached, None));
            let answer = polled.wait().await.unwrap();
            assert_eq!((answer.stage(), answer.outcome), (reached, None));
        }
    });
}

#[test]
fn those_who_wait_and_what_they_wait_for_are_bounded() {
    run(async {
        let mut world = World::new();
        world.namespaces.change(|namespace| namespace.limits.updates_in_flight_max = 2);
        let node = world.boot().await;
        world.idle(&node, "order").await;
        // Whoever waits is admitted to the node by a permit, and has it until the answer.
        let permits = Permits::new("calls", 3);
        let send = |id: &str| {
            let request = update("order", id, Stage::Completed);
            let (ask, answer) = Ask::new(node.caller(), request, Some(permits.try_acquire().unwrap()));
            node.history.send(&node.key("order"), ask.into());
            answer
        };
        let (one, two) = (send("one"), send("two"));
        settle().await;
        let refused = send("three").await.unwrap_err();
        let ErrorKind::ResourceExhausted { cause, .. } = refused.kind else { panic!("{refused:?}") };
        assert_eq!(cause, ResourceExhaustedCause::ConcurrentLimit);
        let same = send("one");
        settle().await;
        assert!(permits.try_acquire().is_none());
        let worker = Updater::default();
        worker.work(&world, &node).await.unwrap();
        assert_eq!(one.await.unwrap(), same.await.unwrap());
        two.await.unwrap();
        assert_eq!((worker.runs(), permits.in_use()), (2, 0));
        // Those who run out of time make room as well; the update itself stays in flight.
        let slow = send("three");
        assert_eq!(slow.await.unwrap().stage(), Stage::Admitted);
        assert_eq!(permits.in_use(), 0);
        send("four").await.unwrap();
        send("five").await.unwrap_err();
    });
}

#[test]
fn a_run_is_started_once_for_its_update() {
    run(async {
        for fault in FAULTS {
            // The first commit is the start; the second what the worker says of the update.
            for commit in 0..2 {
                let mut world = World::new();
                let node = world.boot().await;
                settle().await;
                world.script.fail(Operation::Commit, commit, fault);
                let mut first = node.send("order", update_with_start("order", "u"));
                let mut second = node.send("order", update_with_start("order", "u"));
                let worker = Updater::default();
                settle().await;
                while !first.is_answered() || !second.is_answered() {
                    if let Err(error) = worker.work(&world, &node).await {
                        require_wording(&error, fault);
                    }
                    settle().await;
                }
                let (started, updated) = both(first.wait().await.unwrap());
                let second = second.wait().await;
                if commit == 0 {
                    // It waited for the commit that failed.
                    assert_eq!(second.unwrap_err().kind, ErrorKind::Unavailable);
                } else {
                    let (again, same) = both(second.unwrap());
                    assert_eq!((&started.run_id, &updated), (&again.run_id, &same), "{fault:?} in commit {commit}");
                    assert!(!again.started);
                }
                let node = world.crash(node).await;
                let (again, same) = both(node.ask("order", update_with_start("order", "u")).await.unwrap());
                assert_eq!((&again.run_id, &same.outcome), (&started.run_id, &updated.outcome));
                assert_eq!(world.memory.list_executions(SHARD, None, 10).await.unwrap().keys.len(), 1);
                let events = node.events("order", "").await;
                assert_eq!(kinds(&events).iter().filter(|kind| *kind == "WorkflowExecutionStarted").count(), 1);
                assert_eq!(outcomes_in(&events), [updated.outcome], "{fault:?} in commit {commit}");
            }
        }
    });
}
