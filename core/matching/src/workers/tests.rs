use perdure_proto::api::worker::WorkerHostInfo;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

fn ns(name: &str) -> NamespaceId {
    NamespaceId::from(name)
}

fn heartbeat(number: i64) -> WorkerHeartbeat {
    WorkerHeartbeat {
        worker_instance_key: format!("k{number}"),
        worker_identity: format!("id{number}"),
        host_info: Some(WorkerHostInfo { host_name: "h".into(), ..WorkerHostInfo::default() }),
        task_queue: format!("tq{}", number % 2),
        status: WorkerStatus::Running.into(),
        start_time: Some(at(number).to_proto()),
        ..WorkerHeartbeat::default()
    }
}

fn filled(count: i64) -> WorkerRegistry {
    let mut registry = WorkerRegistry::default();
    for number in 0..count {
        registry.record(at(number), &ns("a"), vec![heartbeat(number)], &RegistrySettings::default());
    }
    registry
}

fn keys(page: &Page) -> Vec<&str> {
    page.workers.iter().map(|worker| &*worker.worker_instance_key).collect()
}

/// Counts and errors are those of a Temporal server with the same four workers.
#[test]
fn filters_answer_as_temporal_does() {
    let registry = filled(4);
    let cases: &[(&str, Result<usize, &str>)] = &[
        ("", Ok(4)),
        ("TaskQueue='tq0'", Ok(2)),
        ("taskqueue='tq0'", Ok(0)),
        ("TaskQueue=tq0", Ok(0)),
        ("TaskQueue=\"tq0\"", Ok(2)),
        ("TaskQueue='tq0' AND WorkerIdentity='id2'", Ok(1)),
        ("TaskQueue='tq0' OR TaskQueue='tq1'", Ok(4)),
        ("(TaskQueue='tq0')", Ok(2)),
        ("TaskQueue starts_with 'tq'", Ok(4)),
        ("TaskQueue STARTS_WITH 'tq0'", Ok(2)),
        ("TaskQueue not starts_with 'tq'", Ok(0)),
        ("TaskQueue != 'tq0'", Ok(2)),
        ("TaskQueue <> 'tq0'", Ok(2)),
        ("TaskQueue > 'a'", Ok(0)),
        ("TaskQueue in ('tq0')", Ok(0)),
        ("TaskQueue like 'x'", Ok(0)),
        ("not TaskQueue='tq0'", Ok(0)),
        ("foo='x'", Ok(0)),
        ("foo='x' OR TaskQueue='tq0'", Ok(0)),
        ("TaskQueue='tq0' or foo='x'", Ok(2)),
        ("TaskQueue", Ok(0)),
        ("TaskQueue=''", Ok(0)),
        ("TaskQueue=1", Ok(0)),
        ("TaskQueue = -1", Ok(0)),
        ("TaskQueue = true", Ok(0)),
        ("TaskQueue = null", Ok(0)),
        ("TaskQueue=WorkerIdentity", Ok(0)),
        ("TaskQueue is true", Ok(0)),
        ("TaskQueue is null", Ok(0)),
        ("TaskQueue is not null", Ok(4)),
        ("BuildId is null", Ok(4)),
        ("StartTime is null", Ok(0)),
        ("HeartbeatTime is null", Ok(4)),
        ("StartTime > '2020-01-01T00:00:00Z'", Ok(4)),
        ("StartTime > '2020-01-01T00:00:00.5+01:00'", Ok(4)),
        ("StartTime >= '2020-01-01'", Ok(0)),
        ("StartTime > 1577836800000000000", Ok(4)),
        ("StartTime > 'x'", Ok(0)),
        ("StartTime between '2020-01-01T00:00:00Z' and '2030-01-01T00:00:00Z'", Ok(4)),
        ("StartTime not between '2020-01-01T00:00:00Z' and '2030-01-01T00:00:00Z'", Ok(0)),
        ("HeartbeatTime not between 1 and 2", Ok(0)),
        ("StartTime between 1 and 2000000000000000000", Ok(4)),
        ("TaskQueue between 'a' and 'b'", Ok(0)),
        ("WorkerStatus='Running'", Ok(4)),
        ("Status='Running'", Ok(4)),
        ("STATUS='Running'", Ok(4)),
        ("`Status`='Running'", Ok(0)),
        ("a.TaskQueue='tq0'", Ok(0)),
        ("HostName='h'", Ok(4)),
        ("HostName starts_with ''", Ok(0)),
        ("1=1", Ok(0)),
        ("count(*)", Ok(0)),
        ("TaskQueue <=> 'tq0'", Ok(0)),
        ("TaskQueue='tq0' order by X", Ok(2)),
        ("TaskQueue='tq0' group by a", Ok(2)),
        ("  ", Err("malformed query: syntax error at position 1")),
        ("limit 1", Err("malformed query: syntax error at position 33 near 'limit'")),
        ("TaskQueue='tq0' limit 1", Err("operation is not supported: 'limit' clause")),
        ("TaskQueue='tq0' and (", Err("malformed query: syntax error at position 49")),
        ("TaskQueue='tq0' xor TaskQueue='tq1'", Err("malformed query: syntax error at position 47 near 'xor'")),
        ("TaskQueue \"tq0\"", Err("malformed query: syntax error at position 43 near 'tq0'")),
        ("TaskQueue == 'tq0'", Err("malformed query: syntax error at position 40")),
        ("TaskQueue='tq0'; drop", Err("malformed query: syntax error at position 49 near 'drop'")),
        ("where TaskQueue='tq0'", Err("invalid filter: where TaskQueue='tq0'")),
    ];
    for (query, expected) in cases {
        let found = Filter::parse(query).map(|filter| registry.count(&ns("a"), &filter, false));
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{query}");
    }
    let deep = "(".repeat(10_000);
    assert!(Filter::parse(&deep).is_err());
    assert!(Filter::parse(&"not ".repeat(10_000)).is_err());
    assert!(Filter::parse(&"a=-".repeat(10_000)).is_err());
}

#[test]
fn lists_come_in_pages_by_key() {
    let registry = filled(5);
    let all = Filter::default();
    let first = registry.list(&ns("a"), &all, false, None, 2);
    assert_eq!((keys(&first), first.more_after.as_deref()), (vec!["k0", "k1"], Some("k1")));
    let last = registry.list(&ns("a"), &all, false, Some("k2"), 2);
    assert_eq!((keys(&last), last.more_after.as_deref()), (vec!["k3", "k4"], None));
    assert!(registry.list(&ns("a"), &all, false, Some("k4"), 2).workers.is_empty());
    assert!(registry.list(&ns("b"), &all, false, None, 2).workers.is_empty());
}

#[test]
fn workers_of_the_server_are_listed_on_request() {
    let mut registry = filled(1);
    let system = WorkerHeartbeat { task_queue: "temporal-sys-per-ns-tq".into(), ..heartbeat(7) };
    registry.record(at(0), &ns("a"), vec![system], &RegistrySettings::default());
    let all = Filter::default();
    assert_eq!((registry.count(&ns("a"), &all, false), registry.count(&ns("a"), &all, true)), (1, 2));
}

#[test]
fn a_worker_is_forgotten_when_it_shuts_down_or_falls_silent() {
    let settings = RegistrySettings::default();
    let mut registry = filled(3);
    let gone = WorkerHeartbeat { status: WorkerStatus::Shutdown.into(), ..heartbeat(1) };
    registry.record(at(3), &ns("a"), vec![gone], &settings);
    assert!(registry.get(&ns("a"), "k1").is_none());
    registry.record(at(100), &ns("a"), vec![heartbeat(0)], &settings);
    registry.evict(at(2 + 300), &settings);
    assert_eq!(registry.len(), 2);
    registry.evict(at(2 + 301), &settings);
    assert!(registry.get(&ns("a"), "k2").is_none() && registry.get(&ns("a"), "k0").is_some());
    registry.evict(at(401), &settings);
    assert!(registry.is_empty() && registry.by_age.is_empty());
}

#[test]
fn the_oldest_of_too_many_go_unless_they_are_young() {
    let settings = RegistrySettings { entries_max: 3, ..RegistrySettings::default() };
    let mut registry = WorkerRegistry::default();
    for number in 0..6 {
        registry.record(at(number), &ns("a"), vec![heartbeat(number)], &settings);
    }
    assert_eq!(registry.len(), 6, "all were heard of within the minute");
    registry.record(at(6), &ns("b"), vec![heartbeat(9)], &settings);
    assert!(registry.get(&ns("b"), "k9").is_none(), "twice the bound is the end");
    registry.evict(at(62), &settings);
    assert_eq!(keys(&registry.list(&ns("a"), &Filter::default(), false, None, 9)), ["k2", "k3", "k4", "k5"]);
    registry.record(at(90), &ns("b"), vec![heartbeat(9)], &settings);
    assert_eq!(registry.len(), 3);
    assert!(registry.get(&ns("b"), "k9").is_some());
}
