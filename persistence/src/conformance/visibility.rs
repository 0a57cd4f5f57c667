//! Visibility: what commits write is listed, in order, by filter and by page, and counted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use perdure_kernel::{
    Archetype, ClosedRecord, ExecutionKey, NamespaceId, Timestamp, VisibilityRecord, visibility::NAMESPACE_DIVISION,
};
use perdure_proto::api::{
    common::{Memo, Payload, SearchAttributes},
    enums::{IndexedValueType, WorkflowExecutionStatus},
};
use perdure_visibility::{Names, Query, SortKey};

use crate::visibility::Position;

use super::sample::{ALL, acquire, commit, delete, key, key_of, namespace, put, refused, run_id};
use crate::{
    SharedStore, StoreErrorKind,
    shard::{ExecutionOp, ExecutionWrite, VisibilityWrite},
};

const SECOND: Duration = Duration::from_secs(1);

/// Custom attributes that the records have.
const CUSTOM: [(&str, IndexedValueType); 7] = [
    ("Word", IndexedValueType::Keyword),
    ("Size", IndexedValueType::Int),
    ("Share", IndexedValueType::Double),
    ("Flag", IndexedValueType::Bool),
    ("Due", IndexedValueType::Datetime),
    ("Note", IndexedValueType::Text),
    ("Tags", IndexedValueType::KeywordList),
];

pub(crate) fn query(text: &str) -> Query {
    let custom: BTreeMap<String, IndexedValueType> =
        CUSTOM.into_iter().map(|(name, value_type)| (name.to_owned(), value_type)).collect();
    Query::parse(text, &Names { custom: &custom, archetype: None }).unwrap()
}

pub(super) fn attributes(pairs: &[(&str, &str, String)]) -> Arc<SearchAttributes> {
    let payload = |kind: &str, json: &String| Payload {
        metadata: BTreeMap::from([("encoding".into(), "json/plain".into()), ("type".into(), kind.to_owned().into())]),
        data: json.clone().into(),
        ..Payload::default()
    };
    let indexed_fields = pairs.iter().map(|(name, kind, json)| ((*name).to_owned(), payload(kind, json))).collect();
    Arc::new(SearchAttributes { indexed_fields })
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000) + SECOND * u32::try_from(seconds).unwrap()
}

/// An open workflow that was started at `at(start)`.
pub(crate) fn open(key: ExecutionKey, start: u64) -> VisibilityRecord {
    VisibilityRecord {
        key,
        type_name: "Order".to_owned(),
        status: WorkflowExecutionStatus::Running,
        start_time: at(start),
        execution_time: at(start),
        task_queue: "orders".to_owned(),
        closed: None,
        parent: None,
        root: None,
        memo: Arc::default(),
        search_attributes: Arc::default(),
    }
}

pub(crate) fn closed(record: VisibilityRecord, status: WorkflowExecutionStatus, close: u64) -> VisibilityRecord {
    let closed = ClosedRecord {
        close_time: at(close),
        history_length: 11,
        history_size_bytes: 1_024,
        execution_duration: at(close).nanos_since(record.execution_time),
        state_transition_count: 6,
    };
    VisibilityRecord { status, closed: Some(closed), ..record }
}

/// A put that brings a row. `version` is the one before; 0 for a new run.
pub(super) fn write(record: &VisibilityRecord, version: i64, attributes_changed: bool) -> ExecutionWrite {
    let mut write = put(&record.key, (version > 0).then_some(version), version + 1);
    if let ExecutionOp::Put { visibility, .. } = &mut write.op {
        *visibility = Some(VisibilityWrite { record: Box::new(record.clone()), attributes_changed });
    }
    write
}

async fn list(store: &SharedStore, text: &str) -> Vec<VisibilityRecord> {
    store.list_visibility(&namespace(), &query(text), None, ALL).await.unwrap().records
}

async fn count(store: &SharedStore, text: &str) -> u64 {
    store.count_visibility(&namespace(), &query(text)).await.unwrap()
}

/// Every field comes back as it was written.
pub async fn a_row_is_listed_as_it_was_written(store: SharedStore) {
    let range_id = acquire(&store).await;
    let memo = Memo { fields: BTreeMap::from([("note".to_owned(), Payload::default())]) };
    let full = VisibilityRecord {
        parent: Some(("parent".to_owned(), "parent-run".to_owned())),
        root: Some(("root".to_owned(), "root-run".to_owned())),
        execution_time: at(5),
        memo: Arc::new(memo),
        search_attributes: attributes(&[
            ("Word", "Keyword", "\"it's 日本 \\\\ %_\"".to_owned()),
            ("Size", "Int", i64::MIN.to_string()),
            ("Tags", "KeywordList", "[\"a\",\"a\",\"b c\"]".to_owned()),
        ]),
        ..closed(open(key(1), 1), WorkflowExecutionStatus::Failed, 9)
    };
    let plain = open(key(2), 2);
    store.commit(commit(range_id, vec![write(&full, 0, true), write(&plain, 0, true)])).await.unwrap();
    assert_eq!(list(&store, "").await, [plain, full]);
}

/// A list sees what the commit before it wrote; a put without a row leaves the row alone.
pub async fn rows_follow_their_runs(store: SharedStore) {
    let range_id = acquire(&store).await;
    let first = VisibilityRecord {
        search_attributes: attributes(&[
            ("Word", "Keyword", "\"old\"".to_owned()),
            ("Tags", "KeywordList", "[\"x\",\"y\"]".to_owned()),
        ]),
        ..open(key(1), 1)
    };
    store.commit(commit(range_id, vec![write(&first, 0, true)])).await.unwrap();
    store.commit(commit(range_id, vec![put(&key(1), Some(1), 2)])).await.unwrap();
    assert_eq!(list(&store, "Word = 'old' AND Tags = 'y'").await, std::slice::from_ref(&first));

    let second = VisibilityRecord {
        search_attributes: attributes(&[
            ("Word", "Keyword", "\"new\"".to_owned()),
            ("Tags", "KeywordList", "[\"z\"]".to_owned()),
        ]),
        ..first
    };
    store.commit(commit(range_id, vec![write(&second, 2, true)])).await.unwrap();
    for (text, found) in [("Word = 'old'", 0), ("Word = 'new'", 1), ("Tags = 'y'", 0), ("Tags = 'z'", 1)] {
        assert_eq!(count(&store, text).await, found, "{text}");
    }
    let moved = VisibilityRecord { task_queue: "others".to_owned(), ..second };
    store.commit(commit(range_id, vec![write(&moved, 3, false)])).await.unwrap();
    assert_eq!(list(&store, "TaskQueue = 'others' AND Word = 'new'").await, std::slice::from_ref(&moved));
    assert_eq!((count(&store, "TaskQueue = 'orders'").await, count(&store, "TaskQueue = 'others'").await), (0, 1));

    let third = closed(moved, WorkflowExecutionStatus::Completed, 7);
    store.commit(commit(range_id, vec![write(&third, 4, false)])).await.unwrap();
    assert_eq!(list(&store, "Word = 'new' AND ExecutionStatus = 'Completed'").await, [third]);
    assert_eq!(count(&store, "ExecutionStatus = 'Running'").await, 0);

    store.commit(commit(range_id, vec![delete(&key(1))])).await.unwrap();
    assert_eq!(count(&store, "").await, 0);
    assert_eq!(count(&store, "Word = 'new'").await, 0);
    // Made again it brings nothing of before.
    store.commit(commit(range_id, vec![write(&open(key(1), 8), 0, true)])).await.unwrap();
    assert_eq!(list(&store, "").await, [open(key(1), 8)]);
    assert_eq!(count(&store, "Word IS NOT NULL OR Tags IS NOT NULL").await, 0);
}

/// A commit that is refused writes no row.
pub async fn a_refused_commit_writes_no_row(store: SharedStore) {
    let range_id = acquire(&store).await;
    store.commit(commit(range_id, vec![write(&open(key(1), 1), 0, true)])).await.unwrap();
    let writes = vec![write(&open(key(2), 2), 0, true), write(&open(key(1), 3), 0, true)];
    refused(store.commit(commit(range_id, writes)).await, StoreErrorKind::Conflict);
    refused(store.commit(commit(range_id + 1, vec![delete(&key(1))])).await, StoreErrorKind::LeaseLost);
    assert_eq!(list(&store, "").await, [open(key(1), 1)]);
}

/// Open ones first, then by close, start and run id; namespaces and divisions apart.
pub async fn lists_are_sorted_and_apart(store: SharedStore) {
    let range_id = acquire(&store).await;
    let done = WorkflowExecutionStatus::Completed;
    let sorted = [
        open(key(1), 9),
        VisibilityRecord { status: WorkflowExecutionStatus::Paused, ..open(key(2), 8) },
        open(key(3), 7),
        closed(open(key(4), 1), done, 6),
        closed(open(key(5), 5), done, 5),
        closed(open(key(6), 4), done, 5),
    ];
    let mut twins: Vec<VisibilityRecord> = (10..14).map(|n| closed(open(key(n), 2), done, 4)).collect();
    twins.sort_by(|a, b| a.key.run_id.cmp(&b.key.run_id));
    let expected: Vec<VisibilityRecord> = sorted.into_iter().chain(twins).collect();
    let elsewhere = open(key_of("other", 1, "order-1", &run_id(1)), 9);
    let system = VisibilityRecord {
        search_attributes: attributes(&[(NAMESPACE_DIVISION, "Keyword", "\"TemporalScheduler\"".to_owned())]),
        key: ExecutionKey {
            business: perdure_kernel::BusinessKey { archetype: Archetype(7), ..key(50).business },
            ..key(50)
        },
        ..open(key(50), 6)
    };
    let writes = expected.iter().rev().chain([&elsewhere, &system]).map(|record| write(record, 0, true)).collect();
    store.commit(commit(range_id, writes)).await.unwrap();

    assert_eq!(list(&store, "").await, expected);
    assert_eq!(count(&store, "").await, 10);
    let other = NamespaceId::from("other");
    assert_eq!(store.list_visibility(&other, &query(""), None, ALL).await.unwrap().records, [elsewhere]);
    assert_eq!(store.count_visibility(&NamespaceId::from("othe"), &query("")).await, Ok(0));
    assert_eq!(list(&store, "TemporalNamespaceDivision = 'TemporalScheduler'").await, std::slice::from_ref(&system));
    let everywhere = "TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL";
    let mut all = expected.clone();
    all.push(system);
    all.sort_by_key(SortKey::of);
    assert_eq!(list(&store, everywhere).await, all);
    assert_eq!(count(&store, everywhere).await, 11);
    let groups = |text: &'static str| {
        let store = store.clone();
        async move {
            let query = query(text);
            store.count_visibility_groups(&namespace(), &query, query.group_by.as_ref().unwrap()).await.unwrap()
        }
    };
    let group = |name: &str, count| (name.to_owned(), count);
    assert_eq!(
        groups("GROUP BY ExecutionStatus").await,
        [group("Running", 2), group("Completed", 7), group("Paused", 1)]
    );
    assert_eq!(groups("GROUP BY TemporalNamespaceDivision").await, [group("", 10), group("TemporalScheduler", 1)]);
    assert_eq!(groups("WorkflowId = 'no' GROUP BY ExecutionStatus").await, []);
}

/// Pages of any size cover a list once, also while other records come, go and move.
pub async fn pages_hold_while_data_changes(store: SharedStore) {
    let range_id = acquire(&store).await;
    let records: Vec<VisibilityRecord> = (0..60)
        .map(|n| match n % 3 {
            0 => open(key(n), n / 7),
            _ => closed(open(key(n), n / 7), WorkflowExecutionStatus::Completed, 20 + n / 7),
        })
        .collect();
    store.commit(commit(range_id, records.iter().map(|record| write(record, 0, true)).collect())).await.unwrap();
    let whole = list(&store, "").await;
    assert_eq!(whole.len(), 60);
    for limit in [1, 7, 59, 60, 61] {
        assert_eq!(pages(&store, "", limit, async |_| ()).await, whole, "pages of {limit}");
        let closed: Vec<_> = whole.iter().filter(|record| record.closed.is_some()).cloned().collect();
        assert_eq!(
            pages(&store, "CloseTime IS NOT NULL AND WorkflowType = 'Order'", limit, async |_| ()).await,
            closed
        );
    }
    // Between the pages one is started and some close: what was there when the listing began is seen once.
    let opened: Vec<VisibilityRecord> = whole.iter().filter(|record| record.closed.is_none()).cloned().collect();
    let mut close_next = opened.iter();
    let seen = pages(&store, "", 5, async |page| {
        let mut writes = vec![write(&open(key(1_000 + page), 500), 0, true)];
        // The first of those left and the last: some that were shown, some that were not.
        for moved in [close_next.next(), close_next.next_back()].into_iter().flatten() {
            writes.push(write(&closed(moved.clone(), WorkflowExecutionStatus::Failed, 400), 1, false));
        }
        store.commit(commit(range_id, writes)).await.unwrap();
    })
    .await;
    assert_eq!(close_next.count(), 0, "all have closed by the end");
    for record in &whole {
        assert_eq!(seen.iter().filter(|seen| seen.key == record.key).count(), 1, "{:?}", record.key);
    }
    // They stand where they were.
    let places = |records: &[VisibilityRecord]| -> Vec<ExecutionKey> {
        let old = |record: &&VisibilityRecord| whole.iter().any(|whole| whole.key == record.key);
        records.iter().filter(old).map(|record| record.key.clone()).collect()
    };
    assert_eq!(places(&seen), places(&whole));
    // A listing that asks for one status sees each run at most once, whatever it becomes.
    let failed = pages(&store, "ExecutionStatus = 'Failed'", 3, async |_| ()).await;
    assert_eq!(failed.len(), opened.len());
}

/// What had closed before a listing began is seen once, also when it is written again, and when the newest of it is
/// removed.
pub async fn pages_hold_while_closed_runs_change(store: SharedStore) {
    let range_id = acquire(&store).await;
    let done = WorkflowExecutionStatus::Completed;
    let opened = [open(key(1), 9), open(key(2), 8), open(key(3), 7)];
    let old: Vec<VisibilityRecord> = (10..18).map(|n| closed(open(key(n), 1), done, n)).collect();
    for record in opened.iter().chain(&old) {
        store.commit(commit(range_id, vec![write(record, 0, true)])).await.unwrap();
    }
    let seen = pages(&store, "", 2, async |page| {
        let writes = match page {
            // The run whose close was the last is removed, and another closes.
            0 => vec![delete(&key(17)), write(&closed(opened[2].clone(), done, 30), 1, true)],
            // What has long been closed gets another attribute.
            1 => old[..6]
                .iter()
                .map(|record| {
                    write(
                        &VisibilityRecord {
                            search_attributes: attributes(&[("Word", "Keyword", "\"new\"".to_owned())]),
                            ..record.clone()
                        },
                        1,
                        true,
                    )
                })
                .collect(),
            _ => Vec::new(),
        };
        store.commit(commit(range_id, writes)).await.unwrap();
    })
    .await;
    let ids = |records: &[&VisibilityRecord]| records.iter().map(|record| record.key.clone()).collect::<Vec<_>>();
    let expected: Vec<&VisibilityRecord> = opened.iter().chain(old[..7].iter().rev()).collect();
    assert_eq!(ids(&seen.iter().collect::<Vec<_>>()), ids(&expected));
    assert_eq!(count(&store, "Word = 'new'").await, 6);
}

async fn pages(
    store: &SharedStore,
    text: &str,
    limit: usize,
    mut between: impl AsyncFnMut(u64),
) -> Vec<VisibilityRecord> {
    let mut seen = Vec::new();
    let mut after: Option<Position> = None;
    for number in 0.. {
        let page = store.list_visibility(&namespace(), &query(text), after.as_ref(), limit).await.unwrap();
        assert!(page.records.len() <= limit);
        assert_eq!(page.next.is_some(), page.records.len() == limit);
        seen.extend(page.records);
        after = page.next;
        if after.is_none() {
            break;
        }
        between(number).await;
    }
    seen
}
