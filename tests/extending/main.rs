//! The walk of `docs/extending.md`, on a real server with a database file.

#![allow(clippy::unwrap_used, missing_docs)]

mod countdown;
mod document;

use std::{path::Path, sync::Arc, time::Duration};

use perdure_config::DynamicConfig;
use perdure_persistence::SharedStore;
use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_server::{Node, NodeOptions, Registry, Unregistered, listen};

use crate::countdown::{Countdown, Input};

// [node]
async fn start(store: SharedStore) -> Node {
    Node::start(NodeOptions {
        store,
        visibility: None,
        listener: listen::listen("gRPC", "--port", ([127, 0, 0, 1], 0).into()).unwrap(),
        config: DynamicConfig::default(),
        namespaces: vec!["default".to_owned()],
        search_attributes: Vec::new(),
        shards: 4,
        threads: 2,
        archetypes: Registry::default().with_actor::<Countdown>().unwrap(),
        seed: 1,
    })
    .await
    .unwrap()
}
// [/node]

async fn open(file: &Path) -> SharedStore {
    Arc::new(SqliteStore::open(SqliteOptions::file(file)).await.unwrap())
}

/// Longest that a countdown may take before it is taken to stand still.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_countdown_goes_down_by_itself_also_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let node = start(open(&file).await).await;

    // [use]
    let countdowns = node.archetype::<Countdown>("default").await.unwrap();
    let answer = countdowns.send("launch", Input::add(3)).await.unwrap();
    assert_eq!(answer.left, 3);
    let refused = countdowns.send("launch", Input::add(-1)).await.unwrap_err();
    assert_eq!(refused.message, "a countdown goes down by itself");
    // [/use]
    let answer = countdowns.send("launch", Input::start(Duration::from_secs(1))).await.unwrap();
    assert_eq!(answer.left, 3);
    assert!(node.stop(Duration::from_secs(10)).await.complete);

    // What it is and when it is due are in the file.
    let node = start(open(&file).await).await;
    let countdowns = node.archetype::<Countdown>("default").await.unwrap();
    let mut seen = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            let left = countdowns.send("launch", Input::READ).await.unwrap().left;
            if seen.last() != Some(&left) {
                seen.push(left);
            }
            if left == 0 {
                break;
            }
        }
    });
    ended.await.expect("the countdown stands still");
    assert!(seen.is_sorted_by(|before, after| before > after) && seen.len() >= 2, "{seen:?}");
    // It has ended: an input begins a new one.
    assert_eq!(countdowns.send("launch", Input::add(5)).await.unwrap().left, 5);
    assert!(node.stop(Duration::from_secs(10)).await.complete);
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(open(&folder.path().join("state.db")).await).await;
    assert!(node.archetype::<Countdown>("nowhere").await.is_err());
    assert!(node.stop(Duration::from_secs(10)).await.complete);
    let twice = Registry::default().with_actor::<Countdown>().unwrap().with_actor::<Countdown>();
    assert_eq!(twice.unwrap_err(), Unregistered::Taken { number: 1000, name: "countdown".to_owned() });
}
