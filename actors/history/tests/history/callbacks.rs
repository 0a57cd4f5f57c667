//! Completion callbacks on their way out.

use perdure_execution::completion::Outcome;
use perdure_outbound::Undelivered;
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::{
    common::{Callback, callback},
    enums::CallbackState,
    workflow::CallbackInfo,
    workflowservice as ws,
};

use crate::kit::*;

fn start_with(workflow_id: &str, urls: &[&str]) -> Box<ws::StartWorkflowExecutionRequest> {
    let callback = |url: &&str| {
        let nexus = callback::Nexus { url: (*url).to_owned(), ..Default::default() };
        Callback { variant: Some(callback::Variant::Nexus(nexus)), ..Default::default() }
    };
    let mut request = start(workflow_id);
    request.completion_callbacks = urls.iter().map(callback).collect();
    request
}

/// Starts a workflow and ends it at once.
async fn end_with(node: &Node, workflow_id: &str, urls: &[&str]) {
    node.ask(workflow_id, start_with(workflow_id, urls)).await.unwrap();
    node.ask(workflow_id, terminate(workflow_id)).await.unwrap();
}

async fn shown(node: &Node, workflow_id: &str) -> Vec<CallbackInfo> {
    node.ask(workflow_id, describe(workflow_id)).await.unwrap().callbacks
}

fn down() -> Play {
    Play::Answer(Err(Undelivered::retryable("down")))
}

#[test]
fn a_callback_is_delivered_and_its_outcome_recorded() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        node.ask("order", start_with("order", &["http://a/1", "http://b/2"])).await.unwrap();
        settle().await;
        assert_eq!(world.callbacks.seen(), []);
        node.ask("order", terminate("order")).await.unwrap();
        settle().await;
        let mut seen = world.callbacks.seen();
        seen.sort_by(|one, other| one.callback.url.cmp(&other.callback.url));
        assert_eq!(seen.iter().map(|request| &*request.callback.url).collect::<Vec<_>>(), ["http://a/1", "http://b/2"]);
        let Outcome::Failed(failure) = &seen[0].completion.outcome else { panic!("{seen:?}") };
        assert_eq!(failure.message, "operation terminated");
        assert_eq!(seen[0].completion.link.namespace, "tests");
        for shown in shown(&node, "order").await {
            assert_eq!((shown.state(), shown.attempt), (CallbackState::Succeeded, 1));
        }
        pass(secs(3600)).await;
        assert_eq!(world.callbacks.seen(), [], "once is enough");
    });
}

#[test]
fn it_is_tried_again_until_it_arrives_or_never_will() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.callbacks.play([down(), down()]);
        end_with(&node, "order", &["http://a/"]).await;
        settle().await;
        let waiting = shown(&node, "order").await.remove(0);
        assert_eq!((waiting.state(), waiting.attempt), (CallbackState::BackingOff, 1));
        assert_eq!(waiting.last_attempt_failure.unwrap().message, "down");
        pass(secs(1)).await;
        assert_eq!(world.callbacks.seen().len(), 2);
        pass(secs(2)).await;
        assert_eq!(world.callbacks.seen().len(), 1);
        assert_eq!(shown(&node, "order").await[0].state(), CallbackState::Succeeded);

        world.callbacks.play([Play::Answer(Err(Undelivered::for_good("no")))]);
        end_with(&node, "other", &["http://a/"]).await;
        pass(secs(3600)).await;
        let failed = shown(&node, "other").await.remove(0);
        assert_eq!((failed.state(), failed.attempt), (CallbackState::Failed, 1));
        assert_eq!(world.callbacks.seen().len(), 1);
    });
}

#[test]
fn a_node_that_dies_in_the_middle_delivers_again() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.callbacks.play([Play::After(secs(5), Ok(()))]);
        end_with(&node, "order", &["http://a/"]).await;
        settle().await;
        assert_eq!(world.callbacks.seen().len(), 1, "the call is under way");
        let node = world.crash(node).await;
        settle().await;
        assert_eq!(world.callbacks.seen().len(), 1, "the new node makes it again");
        assert_eq!(shown(&node, "order").await[0].state(), CallbackState::Succeeded);

        // Dead while it backs off.
        world.callbacks.play([down()]);
        end_with(&node, "other", &["http://a/"]).await;
        settle().await;
        let node = world.crash(node).await;
        world.callbacks.seen();
        pass(secs(1)).await;
        assert_eq!(world.callbacks.seen().len(), 1);
        assert_eq!(shown(&node, "other").await[0].attempt, 2);
    });
}

#[test]
fn a_node_that_stops_does_not_wait_for_the_other_side() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.callbacks.play([Play::After(secs(9), Ok(()))]);
        end_with(&node, "order", &["http://a/"]).await;
        settle().await;
        let began = world.now();
        node.stop().await;
        assert!(world.now().since(began) < secs(1));
        drop(node);
        world.callbacks.seen();
        let node = world.boot().await;
        settle().await;
        assert_eq!(world.callbacks.seen().len(), 1);
        assert_eq!(shown(&node, "order").await[0].state(), CallbackState::Succeeded);
    });
}

#[test]
fn a_destination_that_keeps_failing_is_left_alone_for_a_minute() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.callbacks.play((0..6).map(|_| down()));
        let ids: Vec<String> = (0..8).map(|number| format!("order-{number}")).collect();
        for id in &ids[..6] {
            end_with(&node, id, &["http://a/x"]).await;
            settle().await;
        }
        world.callbacks.seen();
        end_with(&node, &ids[6], &["http://a/y"]).await;
        end_with(&node, &ids[7], &["http://b/y"]).await;
        pass(secs(30)).await;
        let seen = world.callbacks.seen();
        assert_eq!(seen.iter().map(|request| &*request.callback.url).collect::<Vec<_>>(), ["http://b/y"]);
        let blocked = shown(&node, &ids[6]).await.remove(0);
        assert_eq!((blocked.state(), blocked.attempt), (CallbackState::Blocked, 0));
        assert_eq!(blocked.blocked_reason, "The circuit breaker is open.");
        // One call decides; then all go.
        pass(secs(32)).await;
        assert_eq!(world.callbacks.seen().len(), 7);
        for id in &ids {
            assert_eq!(shown(&node, id).await[0].state(), CallbackState::Succeeded, "{id}");
        }
    });
}

#[test]
fn a_destination_gets_so_many_calls_at_once() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        let urls = vec!["http://a/"; 150];
        world.callbacks.play((0..150).map(|_| Play::After(secs(2), Ok(()))));
        end_with(&node, "order", &urls).await;
        settle().await;
        assert_eq!(world.callbacks.seen().len(), 100);
        pass(secs(2)).await;
        assert_eq!(world.callbacks.seen().len(), 50);
        pass(secs(2)).await;
        assert!(shown(&node, "order").await.iter().all(|shown| shown.state() == CallbackState::Succeeded));
    });
}

#[test]
fn what_cannot_be_read_or_written_is_delivered_later() {
    run(async {
        let mut world = World::new();
        let node = world.boot().await;
        world.callbacks.play([Play::After(secs(1), Ok(()))]);
        end_with(&node, "order", &["http://a/"]).await;
        settle().await;
        // The outcome's commit fails: the shard starts anew and delivers again.
        world.script.fail(Operation::Commit, 0, Fault::Before(StoreErrorKind::Unavailable));
        pass(secs(3)).await;
        assert_eq!(world.callbacks.seen().len(), 2);
        assert_eq!(shown(&node, "order").await[0].state(), CallbackState::Succeeded);
    });
}
