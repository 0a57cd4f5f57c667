//! What is SQLite's own: opening, durability, refused files, full disks and locks of other processes.

#![allow(clippy::unwrap_used)]

mod visibility;

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use perdure_kernel::{ExecutionKey, NamespaceId, ShardId};
use perdure_persistence::{
    ClusterStore, MaintenanceStore, NamespaceStore, ShardStore, StoreErrorKind, TaskQueueStore, VisibilityStore,
    maintenance::Remains,
    shard::{CurrentRunWrite, Direction, ExecutionOp, ExecutionWrite, HistoryBatch, ShardCommit},
    task_queue::{BacklogTask, QueueKey, TaskPosition},
};
use perdure_persistence_sql::{SqliteOpenError, SqliteOptions, SqliteStore, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);

fn key(n: u32) -> ExecutionKey {
    ExecutionKey::workflow(&NamespaceId::from("namespace"), &format!("order-{n}"), "run")
}

/// A commit of one run with history and pointer.
fn commit(range_id: i64, n: u32, expected: Option<i64>, bytes: usize) -> ShardCommit {
    let version = expected.unwrap_or(0) + 1;
    let op = ExecutionOp::Put {
        expected_version: expected,
        version,
        record: Bytes::from(vec![7; bytes]),
        items_put: Vec::new(),
        items_deleted: Vec::new(),
        history: vec![HistoryBatch {
            first_event_id: version,
            last_event_id: version,
            events: Bytes::from_static(b"e"),
        }],
        visibility: None,
    };
    let current = expected.is_none().then(|| CurrentRunWrite { expected: None, run_id: Some("run".into()) });
    ShardCommit { executions: vec![ExecutionWrite { key: key(n), op, current }], ..ShardCommit::new(SHARD, range_id) }
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::file(path)).await.unwrap()
}

/// Another program's connection to the file.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap()
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let queue = QueueKey { namespace_id: "namespace".into(), name: "orders".into(), task_type: 1 };
    let task = BacklogTask {
        position: TaskPosition { level: 2, pass: 1, id: 4 },
        fair_key: 0,
        created_at: perdure_kernel::Timestamp::EPOCH,
        expires_at: perdure_kernel::Timestamp::EPOCH,
        task: Bytes::from_static(b"task"),
    };

    let store = open(&path).await;
    assert_eq!(store.acquire_shard(SHARD, "a").await.unwrap().range_id, 1);
    store.commit(commit(1, 1, None, 100)).await.unwrap();
    store.acquire_queue(&queue).await.unwrap();
    store.append_tasks(&queue, 1, vec![task.clone()]).await.unwrap();
    store.create_namespace(&"id".into(), "name", Bytes::new()).await.unwrap();
    store.put_cluster_record("shards", None, Bytes::from_static(b"4")).await.unwrap();
    store.close().await;
    assert!(!path.with_extension("db-wal").exists(), "closing folds the log into the database");

    let store = open(&path).await;
    assert_eq!(store.acquire_shard(SHARD, "b").await.unwrap().range_id, 2);
    assert_eq!(store.load_execution(SHARD, &key(1)).await.unwrap().unwrap().version, 1);
    assert_eq!(store.current_run(SHARD, &key(1).business).await.unwrap().as_deref(), Some("run"));
    assert_eq!(store.read_history(SHARD, &key(1), 1, 9, Direction::Forward, 9).await.unwrap().len(), 1);
    assert_eq!(store.read_tasks(&queue, TaskPosition::start_of(2), 9).await.unwrap(), [task]);
    assert_eq!(store.namespace_by_name("name").await.unwrap().unwrap().id, "id".into());
    assert_eq!(store.cluster_record("shards").await.unwrap(), Some((1, Bytes::from_static(b"4"))));
    // Numbers of runs do not start again: a run made now must not meet the rows of an older one.
    store.commit(commit(2, 2, None, 100)).await.unwrap();
    assert_eq!(store.read_history(SHARD, &key(2), 1, 9, Direction::Forward, 9).await.unwrap().len(), 1);
    store.close().await;
}

/// What was acknowledged is in the files, whether or not the store was closed.
#[tokio::test]
async fn an_acknowledged_commit_survives_without_a_close() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = open(&path).await;
    store.acquire_shard(SHARD, "a").await.unwrap();
    store.commit(commit(1, 1, None, 100)).await.unwrap();
    for suffix in ["db", "db-wal"] {
        fs::copy(path.with_extension(suffix), directory.path().join("copy").with_extension(suffix)).unwrap();
    }
    let copy = open(&directory.path().join("copy.db")).await;
    assert!(copy.load_execution(SHARD, &key(1)).await.unwrap().is_some());
    copy.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_second_process_fences_the_first() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let (first, second) = (open(&path).await, open(&path).await);
    first.acquire_shard(SHARD, "first").await.unwrap();
    first.commit(commit(1, 1, None, 100)).await.unwrap();
    assert_eq!(second.acquire_shard(SHARD, "second").await.unwrap().range_id, 2);
    assert_eq!(first.commit(commit(1, 1, Some(1), 100)).await.unwrap_err().kind, StoreErrorKind::LeaseLost);
    second.commit(commit(2, 1, Some(1), 100)).await.unwrap();
    second.commit(commit(2, 2, None, 100)).await.unwrap();
    assert_eq!(first.load_execution(SHARD, &key(1)).await.unwrap().unwrap().version, 2);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn files_that_are_not_ours_are_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let refuse = async |path: &Path| SqliteStore::open(SqliteOptions::file(path)).await.unwrap_err();

    // As a development server of Temporal leaves it: tables, even one of this name, and no application id.
    let mut other = raw(&at("temporal.db")).await;
    sqlx::raw_sql("CREATE TABLE schema_version(version_partition INT, curr_version TEXT); CREATE TABLE executions(a)")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    let before = fs::read(at("temporal.db")).unwrap();
    assert!(matches!(refuse(&at("temporal.db")).await, SqliteOpenError::Foreign { .. }));
    assert_eq!(fs::read(at("temporal.db")).unwrap(), before);

    fs::write(at("notes.txt"), "not a database, but long enough to look at\n".repeat(40)).unwrap();
    assert!(matches!(refuse(&at("notes.txt")).await, SqliteOpenError::NotADatabase { .. }));

    let store = open(&at("newer.db")).await;
    store.close().await;
    let mut newer = raw(&at("newer.db")).await;
    sqlx::query("INSERT INTO schema_version(version) VALUES (1000)").execute(&mut newer).await.unwrap();
    newer.close().await.unwrap();
    assert!(matches!(refuse(&at("newer.db")).await, SqliteOpenError::TooNew { found: 1000, .. }));

    for path in [at("missing/perdure.db"), directory.path().to_owned()] {
        let error = refuse(&path).await;
        assert!(matches!(error, SqliteOpenError::Unwritable { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains("check") && !text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn pragmas_are_set_and_bad_ones_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let with = |name: &str, value: &str| SqliteOptions {
        pragmas: vec![(name.to_owned(), value.to_owned())],
        ..SqliteOptions::file(&path)
    };
    SqliteStore::open(with("page_size", "16384")).await.unwrap().close().await;
    let mut conn = raw(&path).await;
    let page_size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    assert_eq!(page_size, 16384);
    SqliteStore::open(with("journal_mode", "delete")).await.unwrap().close().await;
    for (name, value) in [("x; DROP TABLE shard", "1"), ("cache_size", "1; DELETE FROM shard"), ("cache_size", "")] {
        let error = SqliteStore::open(with(name, value)).await.unwrap_err();
        assert!(matches!(error, SqliteOpenError::Pragma { .. }), "{error}");
    }
}

/// The caller learns that nothing was written, and the store works again when there is room.
#[tokio::test]
async fn a_full_disk_makes_writes_unavailable_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let limited = SqliteOptions { pragmas: vec![("max_page_count".into(), "60".into())], ..SqliteOptions::file(&path) };
    let store = SqliteStore::open(limited).await.unwrap();
    store.acquire_shard(SHARD, "a").await.unwrap();
    store.commit(commit(1, 1, None, 100)).await.unwrap();
    let too_much = store.commit(commit(1, 2, None, 1 << 20)).await.unwrap_err();
    assert_eq!(too_much.kind, StoreErrorKind::Unavailable, "{too_much}");
    assert_eq!(store.load_execution(SHARD, &key(2)).await.unwrap(), None);
    assert_eq!(store.current_run(SHARD, &key(2).business).await.unwrap(), None);
    store.commit(commit(1, 1, Some(1), 100)).await.unwrap();
    store.commit(commit(1, 3, None, 100)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_lock_of_another_process_makes_writes_unavailable_but_not_reads() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let impatient = SqliteOptions { busy_timeout: Duration::from_millis(5), ..SqliteOptions::file(&path) };
    let store = SqliteStore::open(impatient.clone()).await.unwrap();
    store.acquire_shard(SHARD, "a").await.unwrap();
    store.commit(commit(1, 1, None, 100)).await.unwrap();

    let mut other = raw(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert_eq!(store.commit(commit(1, 1, Some(1), 100)).await.unwrap_err().kind, StoreErrorKind::Unavailable);
    assert!(store.load_execution(SHARD, &key(1)).await.unwrap().is_some());
    let locked = SqliteStore::open(impatient).await.unwrap_err();
    assert!(matches!(locked, SqliteOpenError::Locked { .. }), "{locked:?}");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    store.commit(commit(1, 1, Some(1), 100)).await.unwrap();
    store.close().await;
}

/// A write that the schema refuses fails alone, although it shared a transaction.
#[tokio::test]
async fn a_write_that_cannot_be_stored_does_not_fail_its_neighbours() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = Arc::new(open(&path).await);
    for shard in 1..=8 {
        store.acquire_shard(ShardId(shard), "a").await.unwrap();
    }
    // Two entries for one new execution break the contract and the schema.
    let mut broken = commit(1, 1, None, 100);
    broken.executions[0].current = None;
    broken.executions.push(broken.executions[0].clone());
    let writes = (1..=8).map(|shard| {
        let good = commit(1, 1, None, 100);
        let commit = if shard == 3 { broken.clone() } else { good };
        let store = store.clone();
        tokio::spawn(async move { store.commit(ShardCommit { shard: ShardId(shard), ..commit }).await })
    });
    let writes: Vec<_> = writes.collect();
    for (shard, write) in (1..).zip(writes) {
        let outcome = write.await.unwrap().map_err(|error| error.kind);
        assert_eq!(outcome, if shard == 3 { Err(StoreErrorKind::Corrupt) } else { Ok(()) }, "shard {shard}");
    }
    assert_eq!(store.load_execution(ShardId(3), &key(1)).await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn relaxed_stores_keep_their_promises_too() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let relaxed = SqliteOptions { synchronous: SqliteSynchronous::Normal, ..SqliteOptions::file(&path) };
    let store = SqliteStore::open(relaxed).await.unwrap();
    store.acquire_shard(SHARD, "a").await.unwrap();
    store.commit(commit(1, 1, None, 100)).await.unwrap();
    drop(store);
    let store = open(&path).await;
    assert!(store.load_execution(SHARD, &key(1)).await.unwrap().is_some());
    store.close().await;
}

/// What an earlier version has written is all there, and what is written from now on is listed.
#[tokio::test]
async fn a_database_of_an_earlier_version_is_brought_up_to_date() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let mut conn = raw(&path).await;
    sqlx::raw_sql(perdure_schema::SQLITE.versions[0].sql).execute(&mut conn).await.unwrap();
    let marks = "INSERT INTO schema_version(version) VALUES (1); PRAGMA application_id = 0x50524452; \
         INSERT INTO cluster_record(name, version, record) VALUES ('kept', 3, x'07')";
    sqlx::raw_sql(marks).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();

    let store = open(&path).await;
    assert_eq!(store.cluster_record("kept").await, Ok(Some((3, Bytes::from_static(&[7])))));
    store.acquire_shard(SHARD, "a").await.unwrap();
    store.commit(commit(1, 1, None, 10)).await.unwrap();
    let names = perdure_visibility::Names { custom: &std::collections::BTreeMap::new(), archetype: None };
    let all = perdure_visibility::Query::parse("", &names).unwrap();
    assert_eq!(store.count_visibility(&NamespaceId::from("namespace"), &all).await, Ok(0));
    store.close().await;
    let mut conn = raw(&path).await;
    let version: u32 =
        sqlx::query_scalar("SELECT max(version) FROM schema_version").fetch_one(&mut conn).await.unwrap();
    assert_eq!(version, perdure_schema::SQLITE.current());
}

/// Version 1 knew no levels: what it left waits, in its order, where tasks without a priority go.
#[tokio::test]
async fn a_backlog_of_version_1_is_taken_over() {
    let directory = TempDir::new().unwrap();
    let queue = QueueKey { namespace_id: "namespace".into(), name: "orders".into(), task_type: 1 };

    // How a queue is named has not changed.
    let present = directory.path().join("present.db");
    let store = open(&present).await;
    store.acquire_queue(&queue).await.unwrap();
    store.close().await;
    let mut conn = raw(&present).await;
    let key: Vec<u8> = sqlx::query_scalar("SELECT key FROM queue").fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();

    let path = directory.path().join("perdure.db");
    let mut conn = raw(&path).await;
    sqlx::raw_sql(perdure_schema::SQLITE.versions[0].sql).execute(&mut conn).await.unwrap();
    let marks = "PRAGMA application_id = 0x50524452; INSERT INTO schema_version(version) VALUES (1)";
    sqlx::raw_sql(marks).execute(&mut conn).await.unwrap();
    let lease = "INSERT INTO queue(queue, key, range_id, ack_id, record) VALUES (7, ?, 3, 10, x'')";
    sqlx::query(lease).bind(key).execute(&mut conn).await.unwrap();
    for (id, expires_at, text) in [(12_i64, 99_i64, "second"), (11, 0, "first")] {
        let row = sqlx::query("INSERT INTO backlog(queue, id, expires_at, task) VALUES (7, ?, ?, ?)");
        row.bind(id).bind(expires_at).bind(text.as_bytes()).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();

    let store = open(&path).await;
    assert_eq!(store.acquire_queue(&queue).await.unwrap().range_id, 4);
    let summary = store.summarize_backlog(&queue, 10).await.unwrap();
    assert_eq!(summary.levels.iter().map(|level| level.level).collect::<Vec<_>>(), [2]);
    let counts = summary.levels[0].ages.iter().map(|(_, count)| *count);
    assert_eq!(counts.sum::<u64>(), 2);
    let tasks = store.read_tasks(&queue, TaskPosition::start_of(2), 10).await.unwrap();
    let found: Vec<(i64, i64, i64, &[u8])> = tasks
        .iter()
        .map(|task| (task.position.pass, task.position.id, task.expires_at.as_nanos(), task.task.as_ref()))
        .collect();
    assert_eq!(found, [(0, 11, 0, &b"first"[..]), (0, 12, 99, &b"second"[..])]);
    store.close().await;
}

#[tokio::test]
async fn what_belongs_to_nothing_is_found_and_removed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("perdure.db");
    let store = open(&path).await;
    let range_id = store.acquire_shard(SHARD, "me").await.unwrap().range_id;
    store.commit(commit(range_id, 1, None, 10)).await.unwrap();
    assert_eq!(store.verify(true).await.unwrap(), []);

    let mut other = raw(&path).await;
    for statement in [
        "INSERT INTO item(run, kind, name, value) VALUES (999, 1, 'a', x'00')",
        "INSERT INTO history(run, first_id, last_id, events) VALUES (999, 1, 2, x'00'), (999, 3, 3, x'00')",
        "INSERT INTO visibility_attribute(run, field, position, scope, value) VALUES (999, 'kA', 0, x'00', 'v')",
        "INSERT INTO queue_task(queue, level, pass, id) VALUES (999, 1, 1, 1)",
        "INSERT INTO current_run(business, run_id) VALUES (x'0000', x'00')",
    ] {
        sqlx::query(statement).execute(&mut other).await.unwrap();
    }
    let seen = |all: &[Remains]| -> Vec<(&'static str, bool)> {
        all.iter().map(|remains| (remains.problem, remains.removed)).collect()
    };
    let found = store.verify(false).await.unwrap();
    let problems = [
        "item_without_run",
        "history_without_run",
        "attribute_without_row",
        "task_without_queue",
        "pointer_to_nothing",
    ];
    assert_eq!(seen(&found), problems.map(|problem| (problem, false)));
    assert_eq!(found[1].text, "2 history batches of runs that do not exist");
    // A pointer may be what a shard rests on: it stays.
    let removed = store.verify(true).await.unwrap();
    assert_eq!(seen(&removed), problems.map(|problem| (problem, problem != "pointer_to_nothing")));
    assert_eq!(seen(&store.verify(false).await.unwrap()), [("pointer_to_nothing", false)]);
    assert!(store.load_execution(SHARD, &key(1)).await.unwrap().is_some());
    store.close().await;
}
