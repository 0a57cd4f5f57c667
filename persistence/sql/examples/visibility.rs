//! How long lists and counts take over many executions.
//!
//! ```text
//! cargo run --profile quick -p perdure-persistence-sql --example visibility -- [executions] [file]
//! ```
//!
//! Fills a database, unless the file is there, and asks each filter for a first page of 20, for a page further on
//! and for a count. Figures are of warm reads by one client.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use perdure_kernel::{
    ClosedRecord, ExecutionKey, NamespaceId, Random, ShardId, Timestamp, VisibilityRecord, random::SplitMix,
};
use perdure_persistence::{
    ShardStore, VisibilityStore,
    shard::{ExecutionOp, ExecutionWrite, ShardCommit, VisibilityWrite},
};
use perdure_persistence_sql::{SqliteOptions, SqliteStore};
use perdure_proto::api::{
    common::{Payload, SearchAttributes},
    enums::{IndexedValueType, WorkflowExecutionStatus},
};
use perdure_visibility::{Names, Query};

const SHARD: ShardId = ShardId(1);
const BATCH: usize = 500;
const PAGE: usize = 20;
/// Pages turned before the page further on is timed.
const PAGES_BEFORE: usize = 10;
const ROUNDS: usize = 30;
const NAMESPACE: &str = "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11";
const BEGINNING: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

type Failure = Box<dyn Error + Send + Sync>;

/// What is asked. `{mid}` is the start of the middle execution, `{late}` and `{early}` are those of some near the ends.
const FILTERS: [&str; 38] = [
    "",
    "ExecutionStatus = 'Running'",
    "ExecutionStatus = 'Completed'",
    "ExecutionStatus = 'Failed'",
    "ExecutionStatus IN ('Failed', 'TimedOut')",
    "ExecutionStatus != 'Completed'",
    "NOT (ExecutionStatus = 'Running' OR ExecutionStatus = 'Completed')",
    "WorkflowType = 'Type0'",
    "WorkflowType = 'Type11' AND ExecutionStatus = 'Running'",
    "WorkflowType IN ('Type3', 'Type4') AND ExecutionStatus = 'Failed'",
    "WorkflowType STARTS_WITH 'Type1'",
    "TaskQueue = 'queue-2'",
    "WorkflowId = 'order-777'",
    "WorkflowId STARTS_WITH 'order-99'",
    "StartTime > '{late}'",
    "StartTime BETWEEN '{mid}' AND '{late}'",
    "CloseTime < '{mid}'",
    "CloseTime IS NULL",
    "WorkflowId = 'order-777' OR WorkflowId = 'order-778'",
    "StartTime BETWEEN '{early}' AND '{early+}'",
    "StartTime > '{mid}' AND ExecutionStatus = 'Failed'",
    "ExecutionTime BETWEEN '{early}' AND '{early+}'",
    "StateTransitionCount > 9",
    "RootWorkflowId = 'order-777'",
    "Region IS NOT NULL",
    "Nickname IS NOT NULL",
    "ExecutionDuration > '50s'",
    "HistoryLength >= 90",
    "Region = 'region-3'",
    "Customer = 'customer-42'",
    "Customer = 'customer-42' AND ExecutionStatus = 'Failed'",
    "`Order` = 'o-424242'",
    "Amount > 99000",
    "Amount BETWEEN 500 AND 510",
    "Urgent = true AND Region = 'region-7'",
    "Tags = 'blue'",
    "Note = 'needle'",
    "Region = 'region-3' OR Customer = 'customer-42'",
];

fn payload(kind: &str, json: String) -> Payload {
    let metadata = [("encoding".to_owned(), "json/plain".into()), ("type".to_owned(), kind.to_owned().into())];
    Payload { metadata: metadata.into(), data: json.into(), ..Payload::default() }
}

/// Execution `n`: nine in ten are closed, twelve types, the first of them most often.
fn record(n: i64, random: &mut SplitMix) -> VisibilityRecord {
    use WorkflowExecutionStatus::{Completed, Failed, Running, Terminated, TimedOut};
    let start = BEGINNING + n * SECOND / 10;
    let length = i64::try_from(random.below(60)).unwrap_or(0) * SECOND + 1;
    let status = match random.below(100) {
        0..10 => Running,
        10..15 => Failed,
        15..16 => TimedOut,
        16..17 => Terminated,
        _ => Completed,
    };
    let closed = (status != Running).then(|| ClosedRecord {
        close_time: Timestamp::from_nanos(start + length),
        history_length: 5 + i64::try_from(random.below(90)).unwrap_or(0),
        history_size_bytes: 4_000,
        execution_duration: length,
        state_transition_count: 9,
    });
    let kind = (0..11).find(|_| random.below(2) == 0).unwrap_or(11);
    let attributes = [
        ("Region", payload("Keyword", format!("\"region-{}\"", random.below(10)))),
        ("Customer", payload("Keyword", format!("\"customer-{}\"", random.below(1_000)))),
        ("Order", payload("Keyword", format!("\"o-{n}\""))),
        ("Amount", payload("Int", random.below(100_000).to_string())),
        ("Urgent", payload("Bool", (random.below(2) == 0).to_string())),
        ("Tags", payload("KeywordList", format!("[\"{}\"]", ["red", "green", "blue"][random.below(3) as usize]))),
        ("Note", payload("Text", format!("\"some {}\"", if n % 5_000 == 0 { "needle" } else { "hay" }))),
    ];
    VisibilityRecord {
        key: ExecutionKey::workflow(&NAMESPACE.into(), &format!("order-{n}"), &random.uuid()),
        type_name: format!("Type{kind}"),
        status,
        start_time: Timestamp::from_nanos(start),
        execution_time: Timestamp::from_nanos(start),
        task_queue: format!("queue-{}", random.below(4)),
        closed,
        parent: None,
        root: None,
        memo: Arc::default(),
        search_attributes: Arc::new(SearchAttributes {
            indexed_fields: attributes.map(|(name, payload)| (name.to_owned(), payload)).into(),
        }),
    }
}

async fn fill(store: &SqliteStore, executions: i64) -> Result<(), Failure> {
    let began = Instant::now();
    let range_id = store.acquire_shard(SHARD, "bench").await?.range_id;
    let mut random = SplitMix::new(1);
    let numbers: Vec<i64> = (0..executions).collect();
    for batch in numbers.chunks(BATCH) {
        let write = |n: &i64| {
            let record = record(*n, &mut random);
            let op = ExecutionOp::Put {
                expected_version: None,
                version: 1,
                record: Bytes::from_static(b"r"),
                items_put: Vec::new(),
                items_deleted: Vec::new(),
                history: Vec::new(),
                visibility: Some(VisibilityWrite { record: Box::new(record.clone()), attributes_changed: true }),
            };
            ExecutionWrite { key: record.key, op, current: None }
        };
        let executions = batch.iter().map(write).collect();
        store.commit(ShardCommit { executions, ..ShardCommit::new(SHARD, range_id) }).await?;
    }
    println!("{executions} executions written in {:.1?}", began.elapsed());
    Ok(())
}

fn rfc3339(n: i64) -> String {
    Timestamp::from_nanos(BEGINNING + n * SECOND / 10).to_proto().to_string()
}

/// Median and the worst but one in a hundred, in milliseconds.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
    format!("{:.1} / {:.1}", at(0.5), at(0.99))
}

async fn ask(store: &SqliteStore, text: &str) -> Result<String, Failure> {
    use IndexedValueType::{Bool, Int, Keyword, KeywordList, Text};
    let custom: BTreeMap<String, IndexedValueType> = [
        ("Region", Keyword),
        ("Customer", Keyword),
        ("Order", Keyword),
        ("Amount", Int),
        ("Urgent", Bool),
        ("Tags", KeywordList),
        ("Note", Text),
        // Nobody has one.
        ("Nickname", Keyword),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
    .into();
    let query = Query::parse(text, &Names { custom: &custom, archetype: None })?;
    let namespace = NamespaceId::from(NAMESPACE);
    let (mut first, mut further, mut counts, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..=ROUNDS {
        let began = Instant::now();
        let mut page = store.list_visibility(&namespace, &query, None, PAGE).await?;
        let first_took = began.elapsed();
        let mut further_took = first_took;
        for _ in 0..PAGES_BEFORE {
            let Some(next) = page.next else { break };
            let began = Instant::now();
            page = store.list_visibility(&namespace, &query, Some(&next), PAGE).await?;
            further_took = began.elapsed();
        }
        let began = Instant::now();
        count = store.count_visibility(&namespace, &query).await?;
        // The first round warms the caches.
        if round > 0 {
            first.push(first_took);
            further.push(further_took);
            counts.push(began.elapsed());
        }
    }
    Ok(format!("| `{text}` | {count} | {} | {} | {} |", figures(first), figures(further), figures(counts)))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let executions: i64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let file = arguments.next().map_or_else(|| env::temp_dir().join("perdure-visibility.db"), PathBuf::from);
    let is_new = !file.exists();
    let store = SqliteStore::open(SqliteOptions::file(&file)).await?;
    if is_new {
        fill(&store, executions).await?;
    }
    println!("| filter | found | first page, ms (p50 / p99) | page 11, ms | count, ms |\n|---|---:|---:|---:|---:|");
    for filter in FILTERS {
        let places = [("{early}", 10), ("{early+}", 11), ("{mid}", 500), ("{late}", 990)];
        let text = places
            .iter()
            .fold(filter.to_owned(), |text, (name, place)| text.replace(name, &rfc3339(executions * place / 1_000)));
        println!("{}", ask(&store, &text).await?);
    }
    Ok(())
}
