//! Filters of every form over records of every kind: a store answers as the evaluator does.

use std::collections::BTreeSet;

use perdure_kernel::{Random, VisibilityRecord, random::SplitMix};
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{SortKey, evaluate};

use super::{
    sample::{ALL, acquire, commit, key, namespace},
    visibility::{attributes, closed, open, query, write},
};
use crate::{SharedStore, VisibilityStore};

/// Records of every kind, always the same.
pub(super) fn many() -> Vec<VisibilityRecord> {
    use WorkflowExecutionStatus::{Canceled, Completed, ContinuedAsNew, Failed, Paused, Running, Terminated, TimedOut};
    let statuses =
        [Running, Completed, Failed, Canceled, Terminated, ContinuedAsNew, TimedOut, Paused, Completed, Running];
    let mut random = SplitMix::new(7);
    let mut pick = move |below: u64| random.next_u64() % below;
    (0..150)
        .map(|n| {
            let mut fields = Vec::new();
            let word = ["", "a", "ab", "b", "B", "it's", "日本"][usize::try_from(pick(7)).unwrap()];
            let tags: Vec<&str> = ["a", "b", "b c"].into_iter().filter(|_| pick(3) == 0).collect();
            let note: Vec<&str> =
                (0..pick(4)).map(|_| ["red", "Blue", "green"][usize::try_from(pick(3)).unwrap()]).collect();
            for (chance, name, kind, json) in [
                (2, "Word", "Keyword", format!("{word:?}")),
                (2, "Size", "Int", (i64::try_from(pick(9)).unwrap() - 4).to_string()),
                (3, "Share", "Double", format!("{:?}", pick(8) as f64 / 2.0 - 1.0)),
                (2, "Flag", "Bool", (pick(2) == 0).to_string()),
                (3, "Due", "Datetime", format!("\"2024-01-02T03:04:0{}.5Z\"", pick(10))),
                (2, "Note", "Text", format!("{:?}", note.join("-"))),
                (2, "Tags", "KeywordList", format!("{tags:?}")),
            ] {
                if pick(chance) == 0 {
                    fields.push((name, kind, json));
                }
            }
            let (start, status) = (pick(40), statuses[usize::try_from(pick(10)).unwrap()]);
            let record = VisibilityRecord {
                type_name: format!("Type{}", pick(3)),
                task_queue: format!("queue-{}", pick(3)),
                parent: (pick(4) == 0).then(|| (format!("order-{}", pick(5)), "run".to_owned())),
                root: (pick(4) == 0).then(|| (format!("order-{}", pick(5)), "run".to_owned())),
                search_attributes: attributes(&fields),
                ..open(key(n), start)
            };
            match status {
                Running | Paused => VisibilityRecord { status, ..record },
                status => closed(record, status, start + pick(40)),
            }
        })
        .collect()
}

/// Conditions of every form over [`many`].
const CONDITIONS: [&str; 77] = [
    "WorkflowId = 'order-7'",
    "WorkflowId != 'order-7'",
    "WorkflowId IN ('order-7', 'order-8', 'nothing')",
    "WorkflowId STARTS_WITH 'order-1'",
    "WorkflowId NOT STARTS_WITH 'order-1'",
    "WorkflowId STARTS_WITH ''",
    "WorkflowId > 'order-5'",
    "WorkflowId BETWEEN 'order-2' AND 'order-4'",
    "RunId = 'nothing'",
    "RunId IS NOT NULL",
    "WorkflowType = 'Type1'",
    "WorkflowType IN ('Type1', 'Type2')",
    "WorkflowType NOT IN ('Type1', 'Type2')",
    "TaskQueue = 'queue-2'",
    "ParentWorkflowId = 'order-3'",
    "ParentWorkflowId != 'order-3'",
    "ParentWorkflowId IS NULL",
    "ParentRunId = 'run'",
    "RootWorkflowId = 'order-3'",
    "RootRunId IS NULL",
    "ExecutionStatus = 'Running'",
    "ExecutionStatus != 'Running'",
    "ExecutionStatus = 'Failed'",
    "ExecutionStatus IN ('Failed', 'TimedOut')",
    "ExecutionStatus > 2",
    "ExecutionStatus = 'Paused'",
    "StartTime > '2023-11-14T22:13:40Z'",
    "StartTime BETWEEN '2023-11-14T22:13:25Z' AND '2023-11-14T22:13:30Z'",
    "ExecutionTime <= 1700000010000000000",
    "CloseTime IS NULL",
    "CloseTime IS NOT NULL",
    "CloseTime > '2023-11-14T22:13:40Z'",
    "CloseTime < '2023-11-14T22:13:40Z'",
    "NOT CloseTime < '2023-11-14T22:13:40Z'",
    "ExecutionDuration > '10s'",
    "ExecutionDuration BETWEEN '1s' AND '00:00:10'",
    "HistoryLength = 11",
    "HistoryLength IN (10, 11)",
    "HistorySizeBytes IS NULL",
    "HistorySizeBytes > 1000",
    "StateTransitionCount BETWEEN 1 AND 6",
    "StateTransitionCount != 6",
    "Word = 'a'",
    "Word != 'a'",
    "Word = ''",
    "Word = 'it''s'",
    "Word IN ('a', 'b')",
    "Word NOT IN ('a', 'b')",
    "Word STARTS_WITH 'a'",
    "Word STARTS_WITH '日'",
    "Word NOT STARTS_WITH 'a'",
    "Word BETWEEN 'a' AND 'b'",
    "Word > 'a'",
    "Word IS NULL",
    "Word IS NOT NULL",
    "Size = 2",
    "Size = 2.0",
    "Size > -1.5",
    "Size NOT BETWEEN -2 AND 2",
    "Size IN (1, 2.5, 3)",
    "Share = 1.5",
    "Share > 1",
    "Share <= 1",
    "Flag = true",
    "Flag != true",
    "Flag < true",
    "Due >= '2024-01-02T03:04:05.5Z'",
    "Due BETWEEN '2024-01-02T03:04:03Z' AND '2024-01-02T03:04:07Z'",
    "Note = 'blue'",
    "Note = 'red-blue'",
    "Note = 'green red-red'",
    "Note != 'blue'",
    "Note IS NULL",
    "Tags = 'b c'",
    "Tags != 'a'",
    "Tags IN ('a', 'b')",
    "Tags IS NULL",
];

/// Whatever the filter: a store answers as the evaluator does.
pub async fn filters_mean_what_the_evaluator_says(store: SharedStore) {
    let range_id = acquire(&store).await;
    let records = many();
    store.commit(commit(range_id, records.iter().map(|record| write(record, 0, true)).collect())).await.unwrap();
    conditions_hold(&*store, records).await;
}

/// Lists and counts by every condition over the records that the store shows.
pub(super) async fn conditions_hold<S: VisibilityStore + ?Sized>(store: &S, mut records: Vec<VisibilityRecord>) {
    records.sort_by_key(SortKey::of);
    let mut random = SplitMix::new(11);
    let mut pick = || CONDITIONS[usize::try_from(random.next_u64()).unwrap() % CONDITIONS.len()];
    let mut texts: Vec<String> = CONDITIONS.iter().map(|text| (*text).to_owned()).collect();
    texts.extend(CONDITIONS.iter().map(|text| format!("NOT ({text})")));
    for _ in 0..150 {
        let (a, b, c) = (pick(), pick(), pick());
        texts.push(format!("{a} AND {b}"));
        texts.push(format!("{a} OR {b}"));
        texts.push(format!("({a} OR NOT {b}) AND {c}"));
        texts.push(format!("NOT ({a} AND ({b} OR {c}))"));
    }
    let mut sizes = BTreeSet::new();
    for text in &texts {
        let query = query(text);
        let filter = query.filter.as_ref().unwrap();
        let expected: Vec<VisibilityRecord> =
            records.iter().filter(|record| evaluate::matches(filter, record)).cloned().collect();
        let found = store.list_visibility(&namespace(), &query, None, ALL).await.unwrap().records;
        assert!(found == expected, "{text}: {} of {}", found.len(), expected.len());
        assert_eq!(store.count_visibility(&namespace(), &query).await.unwrap(), expected.len() as u64, "{text}");
        let some = store.list_visibility(&namespace(), &query, None, 3).await.unwrap().records;
        assert!(some == expected[..expected.len().min(3)], "{text}");
        let by = perdure_visibility::GroupBy::ExecutionStatus;
        let groups = store.count_visibility_groups(&namespace(), &query, &by).await.unwrap();
        assert_eq!(groups.iter().map(|(_, count)| count).sum::<u64>(), expected.len() as u64, "{text}");
        sizes.insert(expected.len());
    }
    assert!(sizes.len() > 30, "the conditions leave {} different counts", sizes.len());
}
