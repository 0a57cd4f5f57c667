//! A visibility store beside the main database: what its writes leave, whatever their order and number.

use std::sync::Arc;

use perdure_kernel::{ExecutionKey, Random, VisibilityRecord, random::SplitMix};
use perdure_proto::api::enums::WorkflowExecutionStatus::Completed;

use super::{
    sample::{ALL, key, namespace},
    visibility::{attributes, closed, open, query},
    visibility_filters::{conditions_hold, many},
};
use crate::{SeparateVisibility, VisibilityChange};

type Separate = Arc<dyn SeparateVisibility>;

fn put(record: &VisibilityRecord, version: i64) -> VisibilityChange {
    VisibilityChange::Put { record: Box::new(record.clone()), version }
}

fn remove(key: ExecutionKey) -> VisibilityChange {
    VisibilityChange::Remove { key }
}

async fn write(store: &Separate, changes: Vec<VisibilityChange>) {
    store.write_visibility(changes).await.unwrap();
}

async fn list(store: &Separate, text: &str) -> Vec<VisibilityRecord> {
    store.list_visibility(&namespace(), &query(text), None, ALL).await.unwrap().records
}

/// An open run whose word tells its versions apart.
fn at_version(n: u64, version: i64) -> VisibilityRecord {
    let word = format!("\"v{version}\"");
    VisibilityRecord { search_attributes: attributes(&[("Word", "Keyword", word)]), ..open(key(n), n) }
}

/// Rows come back as they were written, sorted; nothing written is nothing done.
pub async fn what_was_written_is_listed(store: Separate) {
    write(&store, Vec::new()).await;
    assert_eq!(list(&store, "").await, []);
    let (first, second) = (at_version(1, 1), closed(open(key(2), 2), Completed, 9));
    write(&store, vec![put(&second, 4), put(&first, 1)]).await;
    assert_eq!(list(&store, "").await, [first, second]);
    assert!(!store.visibility_backend().is_empty());
}

/// An older version, or the same one, never replaces what is there, in one call or in several.
pub async fn a_row_is_replaced_by_newer_ones_only(store: Separate) {
    write(&store, vec![put(&at_version(1, 5), 5)]).await;
    let stale = VisibilityRecord { task_queue: "elsewhere".to_owned(), ..at_version(1, 5) };
    write(&store, vec![put(&at_version(1, 3), 3), put(&stale, 5)]).await;
    assert_eq!(list(&store, "").await, [at_version(1, 5)]);
    assert_eq!(list(&store, "Word = 'v3'").await, []);
    write(&store, vec![put(&at_version(1, 7), 7), put(&at_version(1, 6), 6)]).await;
    assert_eq!(list(&store, "").await, [at_version(1, 7)]);
    // Its place changes with it.
    let done = closed(at_version(1, 8), Completed, 40);
    write(&store, vec![put(&done, 8), put(&open(key(2), 2), 1)]).await;
    assert_eq!(list(&store, "").await, [open(key(2), 2), done.clone()]);
    assert_eq!(list(&store, "Word = 'v8' AND ExecutionStatus = 'Completed'").await, [done]);
    assert_eq!(list(&store, "Word = 'v7'").await, []);
}

/// A put that comes late does not bring a removed run back; other runs of its id are untouched.
pub async fn a_removed_run_stays_away(store: Separate) {
    let sibling = VisibilityRecord { key: ExecutionKey { run_id: "other".into(), ..key(1) }, ..open(key(1), 5) };
    write(&store, vec![put(&at_version(1, 1), 1), put(&sibling, 1)]).await;
    write(&store, vec![remove(key(1)), remove(key(2))]).await;
    write(&store, vec![put(&at_version(1, 9), 9)]).await;
    // Also when the put was on its way while nothing was there yet.
    write(&store, vec![put(&at_version(2, 1), 1)]).await;
    // And in one call with the removal, on either side of it.
    write(&store, vec![put(&at_version(3, 1), 1), remove(key(3)), put(&at_version(3, 2), 2)]).await;
    assert_eq!(list(&store, "").await, [sibling]);
    assert_eq!(store.count_visibility(&namespace(), &query("Word IS NOT NULL")).await, Ok(0));
}

/// The same changes made again leave the same.
pub async fn changes_may_be_made_again(store: Separate) {
    let changes = vec![put(&at_version(1, 1), 1), put(&at_version(2, 2), 2), remove(key(3)), put(&at_version(1, 4), 4)];
    for _ in 0..3 {
        write(&store, changes.clone()).await;
        assert_eq!(list(&store, "").await, [at_version(2, 2), at_version(1, 4)]);
    }
}

/// Writers that do not know of each other leave the newest version of every run, and no removed one.
pub async fn racing_writes_leave_the_newest(store: Separate) {
    const RUNS: u64 = 8;
    const VERSIONS: i64 = 12;
    let change = |random: &mut SplitMix| {
        let run = random.next_u64() % RUNS;
        let version = 1 + i64::try_from(random.next_u64()).unwrap_or(0) % VERSIONS;
        if run == 0 && version > VERSIONS / 2 { remove(key(0)) } else { put(&at_version(run, version), version) }
    };
    let writers = (0..4).map(|seed| {
        let store = Arc::clone(&store);
        async move {
            let mut random = SplitMix::new(seed);
            for _ in 0..40 {
                let changes = (0..5).map(|_| change(&mut random)).collect();
                write(&store, changes).await;
            }
            // What must be there in the end is written by each of them.
            write(&store, (1..RUNS).map(|run| put(&at_version(run, VERSIONS), VERSIONS)).collect()).await;
            write(&store, vec![remove(key(0))]).await;
        }
    });
    let writers: Vec<_> = writers.map(tokio::spawn).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let expected: Vec<VisibilityRecord> = (1..RUNS).rev().map(|run| at_version(run, VERSIONS)).collect();
    assert_eq!(list(&store, "").await, expected);
}

/// Filters mean the same as where commits write the rows.
pub async fn filters_of_written_rows_mean_what_the_evaluator_says(store: Separate) {
    let records = many();
    // Each was something else before.
    let before = records.iter().map(|record| put(&open(record.key.clone(), 1), 1));
    write(&store, before.collect()).await;
    for chunk in records.chunks(40) {
        write(&store, chunk.iter().map(|record| put(record, 2)).collect()).await;
    }
    conditions_hold(&*store, records).await;
}
