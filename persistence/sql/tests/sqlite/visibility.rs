//! Rows of lists and their counts, as SQLite keeps them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use perdure_kernel::{ClosedRecord, NamespaceId, Random, Timestamp, VisibilityRecord, random::SplitMix};
use perdure_persistence::{
    ClusterStore, MaintenanceStore, ShardStore, VisibilityStore,
    shard::{CurrentRunWrite, ExecutionOp, ShardCommit, VisibilityWrite},
    visibility::CLOSES_FOLLOWED_MAX,
};
use perdure_persistence_sql::SqliteStore;
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{Names, Query};
use sqlx::Connection;
use tempfile::TempDir;

use crate::{SHARD, commit, key, open, raw};

/// A run as lists show it.
fn shown(n: u32, status: WorkflowExecutionStatus, type_name: &str) -> VisibilityWrite {
    let closed = (status != WorkflowExecutionStatus::Running).then(|| ClosedRecord {
        close_time: Timestamp::from_nanos(2_000 + i64::from(n)),
        history_length: 3,
        history_size_bytes: 9,
        execution_duration: 5,
        state_transition_count: 2,
    });
    let record = VisibilityRecord {
        key: key(n),
        type_name: type_name.to_owned(),
        status,
        start_time: Timestamp::from_nanos(1_000 + i64::from(n)),
        execution_time: Timestamp::from_nanos(1_000 + i64::from(n)),
        task_queue: format!("queue-{}", n % 3),
        closed,
        parent: None,
        root: None,
        memo: Arc::default(),
        search_attributes: Arc::default(),
    };
    VisibilityWrite { record: Box::new(record), attributes_changed: true }
}

/// A commit of a run that lists show.
fn showing(
    range_id: i64,
    n: u32,
    expected: Option<i64>,
    status: WorkflowExecutionStatus,
    type_name: &str,
) -> ShardCommit {
    let mut write = commit(range_id, n, expected, 10);
    let ExecutionOp::Put { visibility, .. } = &mut write.executions[0].op else { unreachable!() };
    *visibility = Some(shown(n, status, type_name));
    write
}

/// Shows runs that are open, from 0 on.
async fn show_open(store: &SqliteStore, runs: u32) {
    let range_id = store.acquire_shard(SHARD, "me").await.unwrap().range_id;
    for n in 0..runs {
        store.commit(showing(range_id, n, None, WorkflowExecutionStatus::Running, "A")).await.unwrap();
    }
}

/// What is kept is what counting gives, whatever was written, changed and removed.
#[tokio::test]
async fn kept_counts_are_those_of_the_rows() {
    use WorkflowExecutionStatus::{Completed, Failed, Running};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = open(&path).await;
    let range_id = store.acquire_shard(SHARD, "me").await.unwrap().range_id;
    let mut random = SplitMix::new(11);
    let mut versions = [0_i64; 40];
    for _ in 0..60 {
        let n = u32::try_from(random.below(40)).unwrap();
        let held = &mut versions[n as usize];
        let expected = (*held > 0).then_some(*held);
        let status = [Running, Completed, Failed][usize::try_from(random.below(3)).unwrap()];
        let mut write = showing(range_id, n, expected, status, ["A", "B"][n as usize % 2]);
        if *held > 0 && random.below(4) == 0 {
            write.executions[0].op = ExecutionOp::Delete;
            write.executions[0].current = Some(CurrentRunWrite { expected: Some("run".into()), run_id: None });
            *held = 0;
        } else {
            *held += 1;
        }
        store.commit(write).await.unwrap();
    }
    let mut raw = raw(&path).await;
    let counted = "SELECT type_name, task_queue, status, count(*) FROM visibility GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let kept = "SELECT type_name, task_queue, status, number FROM visibility_count WHERE number <> 0 ORDER BY 1, 2, 3";
    let counted: Vec<(String, String, i64, i64)> = sqlx::query_as(counted).fetch_all(&mut raw).await.unwrap();
    let kept: Vec<(String, String, i64, i64)> = sqlx::query_as(kept).fetch_all(&mut raw).await.unwrap();
    assert!(counted.len() > 5);
    assert_eq!(kept, counted);
    store.close().await;
}

/// Counts that went wrong are found and mended.
#[tokio::test]
async fn wrong_counts_are_found_and_mended() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = open(&path).await;
    show_open(&store, 5).await;
    assert_eq!(store.verify(false).await, Ok(Vec::new()));
    let spoil = "UPDATE visibility_count SET number = number + 3 WHERE task_queue = 'queue-1'; \
                 DELETE FROM visibility_count WHERE task_queue = 'queue-2'";
    sqlx::raw_sql(spoil).execute(&mut raw(&path).await).await.unwrap();
    let found = store.verify(true).await.unwrap();
    assert_eq!((found.len(), found[0].problem, found[0].removed), (1, "wrong_count", true));
    assert!(found[0].text.starts_with("2 "), "{}", found[0].text);
    assert_eq!(store.verify(false).await, Ok(Vec::new()));
    let running = Query::parse("ExecutionStatus = 'Running'", &Names { custom: &BTreeMap::new(), archetype: None });
    assert_eq!(store.count_visibility(&key(0).business.namespace_id, &running.unwrap()).await, Ok(5));
    store.close().await;
}

/// A token kept for too long is followed no more, and still leads on.
#[tokio::test]
async fn a_listing_follows_a_bounded_number_of_closes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = open(&path).await;
    show_open(&store, 4).await;
    let namespace = key(0).business.namespace_id;
    let query = Query::parse("", &Names { custom: &BTreeMap::new(), archetype: None }).unwrap();
    let first = store.list_visibility(&namespace, &query, None, 2).await.unwrap();
    let mut raw = raw(&path).await;
    let mut close = async |from: usize, count: usize| {
        let rows = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 + ?2) \
                    INSERT INTO visibility(run, scope, workflow_id, run_id, start_time, status, list_time, closed_number) \
                    SELECT 1000000 + i, (SELECT scope FROM visibility LIMIT 1), 'w', 'r' || i, 1500, 2, 2500, i FROM n";
        let (from, count) = (i64::try_from(from).unwrap(), i64::try_from(count).unwrap());
        sqlx::query(rows).bind(from).bind(count).execute(&mut raw).await.unwrap();
        sqlx::query("UPDATE run_sequence SET last_close = ?").bind(from + count - 1).execute(&mut raw).await.unwrap();
    };
    close(1, CLOSES_FOLLOWED_MAX).await;
    let next = store.list_visibility(&namespace, &query, first.next.as_ref(), 2).await.unwrap();
    assert!(next.next.unwrap().snapshot.is_some());
    close(CLOSES_FOLLOWED_MAX + 1, 1).await;
    let next = store.list_visibility(&namespace, &query, first.next.as_ref(), 2).await.unwrap();
    assert_eq!(next.records.iter().map(|record| record.key.clone()).collect::<Vec<_>>(), [key(1), key(0)]);
    assert!(next.next.unwrap().snapshot.is_none());
    store.close().await;
}

/// A file as a version made it, with a run that is open and two that have closed, in a namespace without divisions.
async fn file_of(version: usize, path: &Path) {
    let mut conn = raw(path).await;
    for version in &perdure_schema::SQLITE.versions[..version] {
        sqlx::raw_sql(version.sql).execute(&mut conn).await.unwrap();
        let note = sqlx::query("INSERT INTO schema_version(version) VALUES (?)").bind(version.number);
        note.execute(&mut conn).await.unwrap();
    }
    sqlx::raw_sql("PRAGMA application_id = 0x50524452").execute(&mut conn).await.unwrap();
    for (run, status, list_time) in [(1, 1, i64::MAX), (2, 2, 5_000), (3, 2, 6_000)] {
        let row = "INSERT INTO visibility(run, scope, archetype, workflow_id, run_id, type_name, task_queue, start_time, \
             execution_time, status, list_time, history_length, history_size_bytes, execution_duration, \
             state_transition_count) VALUES (?1, x'006e616d657370616365000000', 1, 'w' || ?1, 'r' || ?1, 'T', 'q', ?1, ?1, \
             ?2, ?3, 3, 9, 5, 2)";
        sqlx::query(row).bind(run).bind(status).bind(list_time).execute(&mut conn).await.unwrap();
    }
    if version >= 4 {
        let closed = "UPDATE visibility SET closed_number = run + 10 WHERE status <> 1";
        sqlx::raw_sql(closed).execute(&mut conn).await.unwrap();
    }
    sqlx::raw_sql("UPDATE run_sequence SET next_run = 4").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Counts and places are right also of what earlier versions have written, and stay so.
#[tokio::test]
async fn rows_of_earlier_versions_are_counted_and_listed() {
    for version in [3, 4] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("perdure.db");
        file_of(version, &path).await;
        let store = open(&path).await;
        let query = |text: &str| Query::parse(text, &Names { custom: &BTreeMap::new(), archetype: None }).unwrap();
        let namespace = NamespaceId::from("namespace");
        assert_eq!(store.count_visibility(&namespace, &query("ExecutionStatus = 'Completed'")).await, Ok(2));

        let mut ids = Vec::new();
        let mut after = None;
        let range_id = store.acquire_shard(SHARD, "me").await.unwrap().range_id;
        for page in 0.. {
            let page_of = store.list_visibility(&namespace, &query(""), after.as_ref(), 1).await.unwrap();
            ids.extend(page_of.records.iter().map(|record| record.key.business.business_id.to_string()));
            after = page_of.next;
            if after.is_none() {
                break;
            }
            // A run that closes meanwhile came after the listing began.
            store.commit(showing(range_id, page, None, WorkflowExecutionStatus::Completed, "A")).await.unwrap();
        }
        assert_eq!(ids, ["w1", "w3", "w2"], "version {version}");
        assert_eq!(store.count_visibility(&namespace, &query("ExecutionStatus = 'Completed'")).await, Ok(5));
        let found = store.verify(false).await.unwrap();
        assert!(found.iter().all(|remains| remains.problem != "wrong_count"), "{found:?}");
        store.close().await;
    }
}
