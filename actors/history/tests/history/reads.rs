//! Histories: pages, waits, and what a running retry adds.

use perdure_kernel::ErrorKind;
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{
    enums::{HistoryEventFilterType, WorkflowTaskFailedCause},
    workflowservice as ws,
};
use perdure_rpc::{Caller, history::WithToken};

use crate::kit::*;

/// A workflow with `count` signals; gives its run.
async fn with_signals(node: &Node, count: usize) -> String {
    let run_id = node.ask("order", start("order")).await.unwrap().run_id;
    for index in 0..count {
        node.ask("order", signal("order", &index.to_string())).await.unwrap();
    }
    run_id
}

#[test]
fn a_reader_waits_for_what_comes_next() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let run_id = with_signals(&node, 1).await;
        let mut first = node.send("order", watch("order", &run_id, 4));
        let mut second = node.send("order", watch("order", &run_id, 5));
        settle().await;
        assert!(!first.is_answered() && !second.is_answered());
        world.script.hold();
        let signaled = node.send("order", signal("order", "next"));
        settle().await;
        assert!(!first.is_answered(), "not before it is durable");
        world.script.release();
        signaled.wait().await.unwrap();
        settle().await;
        assert!(first.is_answered() && !second.is_answered());
        let answer = first.wait().await.unwrap();
        let events = answer.history.unwrap().events;
        assert_eq!(events.iter().map(|event| event.event_id).collect::<Vec<_>>(), [4]);
        let token = page(&answer.next_page_token).unwrap();
        assert_eq!((token.run_id, token.next_event_id), (run_id, 5));
        // The run's end ends the wait for good.
        node.ask("order", terminate("order")).await.unwrap();
        let answer = second.wait().await.unwrap();
        assert_eq!(answer.history.unwrap().events.len(), 1);
        assert!(answer.next_page_token.is_empty());
    });
}

#[test]
fn the_wait_ends_in_time_with_a_token_to_go_on() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let run_id = with_signals(&node, 1).await;
        // (deadline of the caller, when it hears)
        let cases =
            [(None, secs(20)), (Some(secs(90)), secs(20)), (Some(secs(8)), secs(7)), (Some(millis(500)), secs(0))];
        for (deadline, hears) in cases {
            let caller: Caller = deadline.map_or_else(|| node.caller(), |time| node.caller_for(time));
            let begun = world.now();
            let answer = node.send_as(caller, "order", watch("order", &run_id, 4)).wait().await.unwrap();
            let waited = world.now().since(begun);
            assert!(waited >= hears && waited <= hears + millis(2), "{deadline:?}: {waited:?}");
            assert_eq!(answer.history.unwrap().events, []);
            assert_eq!(page(&answer.next_page_token).unwrap().next_event_id, 4);
        }
    });
}

/// The wait of a reader ends while a commit is under way: what that writes is not told yet.
#[test]
fn a_wait_that_ends_during_a_commit_tells_nothing_of_it() {
    run(async {
        for closes in [false, true] {
            let mut world = World::new();
            let node = world.boot().await;
            let run_id = with_signals(&node, 1).await;
            let mut news = node.send("order", watch("order", &run_id, 4));
            let mut end = node.send("order", watch_close("order"));
            settle().await;
            world.script.hold();
            if closes {
                drop(node.send("order", terminate("order")));
            } else {
                drop(node.send("order", signal("order", "next")));
            }
            pass(secs(21)).await;
            assert!(news.is_answered() && end.is_answered());
            for (answer, next) in [(news.wait().await.unwrap(), 4), (end.wait().await.unwrap(), 1)] {
                assert_eq!(answer.history.unwrap().events, [], "closes: {closes}");
                let token = page(&answer.next_page_token).expect("the reader must ask again");
                assert_eq!((token.next_event_id, token.run_id), (next, run_id.clone()));
            }
            world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::Unavailable));
            world.script.release();
            settle().await;
        }
    });
}

#[test]
fn a_reader_of_the_end_gets_the_closing_event() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        with_signals(&node, 2).await;
        let mut waiting = node.send("order", watch_close("order"));
        node.ask("order", signal("order", "more")).await.unwrap();
        settle().await;
        assert!(!waiting.is_answered());
        let mut at_once = read("order");
        at_once.request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
        let open = node.ask("order", at_once.clone()).await.unwrap();
        assert_eq!((open.history.unwrap().events.len(), open.next_page_token.len()), (0, 0));

        node.ask("order", terminate("order")).await.unwrap();
        for answer in
            [waiting.wait().await, node.ask("order", at_once).await, node.ask("order", watch_close("order")).await]
        {
            let answer = answer.unwrap();
            let kinds: Vec<_> = answer.history.unwrap().events.iter().map(kind).collect();
            assert_eq!(kinds, ["WorkflowExecutionTerminated"]);
            assert!(answer.next_page_token.is_empty());
        }
    });
}

#[test]
fn a_reader_of_a_run_stays_with_it() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let first = with_signals(&node, 1).await;
        let waiting = node.send("order", watch("order", &first, 4));
        let task = world.workflow_task(&node).await;
        node.decide(&task, vec![continue_as_new()]).await.unwrap();
        let answer = waiting.wait().await.unwrap();
        let kinds: Vec<_> = answer.history.unwrap().events.iter().map(kind).collect();
        assert_eq!(kinds.last().unwrap(), "WorkflowExecutionContinuedAsNew");
        assert!(answer.next_page_token.is_empty());
    });
}

#[test]
fn pages_join_up_wherever_the_events_are() {
    run(async {
        for (crashes, signals) in [(false, 30), (true, 30)] {
            let mut world = World::new();
            let mut node = world.boot().await;
            let run_id = with_signals(&node, signals).await;
            if crashes {
                node = world.crash(node).await;
                // Half of them from the store, the rest from memory.
                for index in 0..15 {
                    node.ask("order", signal("order", &format!("late-{index}"))).await.unwrap();
                }
            }
            let all = node.events("order", "").await;
            kinds(&all);
            for size in [1, 7, 100] {
                let (mut events, mut token) = (Vec::new(), None);
                loop {
                    let mut read = read("order");
                    read.request.maximum_page_size = size;
                    read.token = token;
                    let answer = node.ask("order", read).await.unwrap();
                    let found = answer.history.unwrap().events;
                    assert!(found.len() <= size as usize);
                    events.extend(found);
                    token = page(&answer.next_page_token);
                    if token.is_none() {
                        break;
                    }
                    // What comes meanwhile is not part of this read.
                    node.ask("order", signal("order", &format!("meanwhile-{size}-{}", events.len()))).await.unwrap();
                }
                assert!(events.len() >= all.len());
                assert_eq!(events[..all.len()], all);

                let (mut events, mut token) = (Vec::new(), None);
                loop {
                    let request = ws::GetWorkflowExecutionHistoryReverseRequest {
                        execution: execution("order", &run_id),
                        maximum_page_size: size,
                        ..Default::default()
                    };
                    let read: ReadReverse = WithToken { token, request };
                    let answer = node.ask("order", read).await.unwrap();
                    events.extend(answer.history.unwrap().events);
                    token = page(&answer.next_page_token);
                    if token.is_none() {
                        break;
                    }
                }
                events.reverse();
                kinds(&events);
                assert_eq!(events[..all.len()], all);
            }
        }
    });
}

#[test]
fn a_worker_reads_the_history_of_its_task_page_by_page() {
    run(async {
        let mut world = World::new();
        world.namespaces.change(|namespace| namespace.limits.history_page_size_max = 4);
        let node = world.boot().await;
        with_signals(&node, 10).await;
        let task = world.workflow_task(&node).await;
        let mut events = events_of(&task).to_vec();
        let mut token = page(&task.next_page_token);
        while let Some(next) = token {
            let mut read = read("order");
            read.token = Some(next);
            let answer = node.ask("order", read).await.unwrap();
            events.extend(answer.history.unwrap().events);
            token = page(&answer.next_page_token);
        }
        let kinds = kinds(&events);
        assert_eq!((kinds.len(), &*kinds[12]), (13, "WorkflowTaskStarted"), "up to its start, which is in memory only");
    });
}

/// A task that is tried again after a failure has no events of its own; its worker sees them all the same.
#[test]
fn a_retried_task_shows_its_events_to_those_who_replay() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start("order")).await.unwrap();
        let task = world.workflow_task(&node).await;
        let request = ws::RespondWorkflowTaskFailedRequest {
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure.into(),
            ..Default::default()
        };
        let failed = Box::new(WithToken { token: token_of(&task), request });
        node.ask("order", failed).await.unwrap();
        let task = world.workflow_task(&node).await;
        let names: Vec<_> = events_of(&task).iter().map(kind).collect();
        let shown = [
            "WorkflowExecutionStarted",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
            "WorkflowTaskFailed",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ];
        assert_eq!((names, task.attempt), (shown.map(String::from).to_vec(), 2));
        assert_eq!(kinds(&node.events("order", "").await), shown);
        for (client, expected) in [("temporal-go", 6), ("temporal-cli", 4), ("temporal-ui", 4)] {
            let caller = Caller { client_name: client.into(), ..node.caller() };
            let answer = node.send_as(caller, "order", read("order")).wait().await.unwrap();
            assert_eq!(answer.history.unwrap().events.len(), expected, "{client}");
        }
        // Across a crash, too: the retry was only in memory.
        pass(secs(1)).await;
        let node = world.crash(node).await;
        node.decide(&task, vec![complete_workflow()]).await.unwrap();
        let done = kinds(&node.events("order", "").await);
        assert_eq!(
            &done[4..],
            ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowExecutionCompleted"]
        );
    });
}

#[test]
fn readers_that_left_are_forgotten_and_a_drain_releases_the_others() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let run_id = with_signals(&node, 1).await;
        for _ in 0..100 {
            drop(node.send("order", watch("order", &run_id, 4)));
        }
        let stays = node.send("order", watch("order", &run_id, 4));
        let ends = node.send("order", watch_close("order"));
        settle().await;
        node.ask("order", signal("order", "next")).await.unwrap();
        assert_eq!(stays.wait().await.unwrap().history.unwrap().events.len(), 1);
        let begun = world.now();
        let report = node.stop().await;
        assert!(report.complete && report.abandoned.is_empty(), "{report:?}");
        let answer = ends.wait().await.unwrap();
        assert!(page(&answer.next_page_token).is_some(), "the reader goes on elsewhere");
        assert!(world.now().since(begun) < millis(10));
    });
}

#[test]
fn what_does_not_exist_is_not_found() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        with_signals(&node, 1).await;
        let mut other_run = read("order");
        other_run.request.execution = execution("order", "11111111-0000-4000-8000-000000000000");
        for read in [read("nobody"), watch_close("nobody"), other_run] {
            let id = read.request.execution.as_ref().unwrap().workflow_id.clone();
            let error = node.ask(&id, read).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
            assert!(error.message.contains(&id), "{error}");
        }
        for _ in 0..2 {
            assert_eq!(node.ask("nobody", signal("nobody", "x")).await.unwrap_err().kind, ErrorKind::NotFound);
        }
        node.ask("nobody", start("nobody")).await.unwrap();
    });
}
