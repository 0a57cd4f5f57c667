//! Generated filters over generated workflows: what the server lists is what the evaluator of the filter
//! language says. The same is asked of a Temporal server when there is one.

use std::{collections::BTreeMap, sync::Arc};

use perdure_kernel::{
    ClosedRecord, ExecutionKey, NamespaceId, Random, Timestamp, VisibilityRecord, random::SplitMix, time::span,
};
use perdure_proto::api::workflow::WorkflowExecutionInfo;
use perdure_visibility::{Names, Query, evaluate};

use crate::{
    kit::*,
    lists::{list, list_until, some_workflows},
};

/// Which filters are generated.
const SEED: u64 = 41;
const FILTERS: usize = 120;
const WORKFLOWS: usize = 24;

fn record(info: WorkflowExecutionInfo) -> VisibilityRecord {
    let execution = info.execution.clone().unwrap();
    let at = |time: &Option<perdure_proto::Timestamp>| Timestamp::from_proto(time.as_ref().unwrap());
    let closed = info.close_time.is_some().then(|| ClosedRecord {
        close_time: at(&info.close_time),
        history_length: info.history_length,
        history_size_bytes: info.history_size_bytes,
        execution_duration: i64::try_from(span(info.execution_duration.as_ref()).as_nanos()).unwrap(),
        state_transition_count: info.state_transition_count,
    });
    VisibilityRecord {
        key: ExecutionKey::workflow(&NamespaceId::from("ns"), &execution.workflow_id, &execution.run_id),
        type_name: info.r#type.clone().unwrap().name,
        status: info.status(),
        start_time: at(&info.start_time),
        execution_time: at(&info.execution_time),
        task_queue: info.task_queue,
        closed,
        parent: None,
        root: None,
        memo: Arc::default(),
        search_attributes: Arc::new(info.search_attributes.unwrap_or_default()),
    }
}

/// A condition about one of the records.
fn condition(random: &mut SplitMix, records: &[VisibilityRecord]) -> String {
    let mut below = |bound: usize| usize::try_from(random.next_u64() % bound as u64).unwrap();
    let record = &records[below(records.len())];
    let sign = ["=", "!=", "<", "<=", ">", ">="][below(6)];
    let amount = below(WORKFLOWS + 2);
    let (id, run_id) = (&record.key.business.business_id, &record.key.run_id);
    match below(14) {
        0 => format!("WorkflowId {sign} '{id}'"),
        1 => format!("WorkflowId IN ('{id}', 'nothing')"),
        2 => format!("WorkflowId STARTS_WITH '{}'", &id[..id.len() - 1]),
        3 => format!("RunId {sign} '{run_id}'"),
        4 => format!("TaskQueue = '{}'", record.task_queue),
        5 => format!("ExecutionStatus {sign} '{}'", evaluate::status_name(record.status)),
        6 => format!("StartTime {sign} {}", (record.start_time.as_nanos() / 1000 + 1) * 1000),
        7 => "CloseTime IS NULL".to_owned(),
        8 => format!("CloseTime {sign} {}", (record.start_time.as_nanos() / 1000 + 1) * 1000),
        9 => format!("Amount {sign} {amount}"),
        10 => format!("Amount BETWEEN {} AND {amount}.5", amount / 2),
        11 => format!("Amount NOT IN ({amount}, {})", amount + 1),
        12 => "Amount IS NOT NULL".to_owned(),
        _ => format!("HistoryLength {sign} 3"),
    }
}

#[tokio::test]
pub(crate) async fn lists_are_what_the_evaluator_says() {
    let server = Server::start().await;
    let (kind, flows) = some_workflows(&server, WORKFLOWS).await;
    for flow in flows.iter().step_by(4) {
        flow.terminate().await;
    }
    let all = format!("WorkflowType = '{kind}'");
    let ended = WORKFLOWS.div_ceil(4);
    let whole = list_until(&server, &all, |listed| {
        listed.len() == WORKFLOWS && listed.iter().filter(|info| info.close_time.is_some()).count() == ended
    })
    .await;
    let records: Vec<VisibilityRecord> = whole.into_iter().map(record).collect();
    let custom = BTreeMap::from([(ATTRIBUTE.0.to_owned(), ATTRIBUTE.1)]);
    let names = Names { custom: &custom, archetype: None };
    let mut random = SplitMix::new(SEED);
    for _ in 0..FILTERS {
        let mut some = || condition(&mut random, &records);
        let (a, b, c) = (some(), some(), some());
        let text = match random.next_u64() % 5 {
            0 => format!("{all} AND {a}"),
            1 => format!("{a} AND {b} AND {all}"),
            2 => format!("({a} OR {b}) AND {all}"),
            3 => format!("{all} AND NOT ({a} AND {b})"),
            _ => format!("{all} AND ({a} OR (NOT {b} AND {c}))"),
        };
        let filter = Query::parse(&text, &names).unwrap().filter.unwrap();
        let expected: Vec<&str> = records
            .iter()
            .filter(|record| evaluate::matches(&filter, record))
            .map(|record| &*record.key.run_id)
            .collect();
        let listed = list(&server, &text).await;
        let found: Vec<String> = listed.into_iter().map(|info| info.execution.unwrap().run_id).collect();
        assert_eq!(found, expected, "seed {SEED}: {text}");
    }
    server.stop().await;
}
