//! What queries mean: the answers of Temporal 1.32's development server about five workflows.

use perdure_kernel::VisibilityRecord;
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{ArchetypeNames, GroupBy, Names, Query, SortKey, evaluate};

use crate::kit::{closed, custom, parse, passing, record};

fn records() -> Vec<VisibilityRecord> {
    let mut records = vec![
        record("w0", &[]),
        record(
            "w1",
            &[("KW", "Keyword", "\"alpha\""), ("IntA", "Int", "5"), ("ListA", "KeywordList", "[\"a\",\"b c\"]")],
        ),
        record(
            "w2",
            &[
                ("KW", "Keyword", "\"Alpha2\""),
                ("IntA", "Int", "-7"),
                ("DblA", "Double", "1.5"),
                ("BoolA", "Bool", "true"),
                ("TextA", "Text", "\"The quick Brown fox-trot café\""),
                ("ListA", "KeywordList", "[\"A\"]"),
            ],
        ),
        record(
            "w3",
            &[
                ("KW", "Keyword", "\"5\""),
                ("BoolA", "Bool", "false"),
                ("TimeA", "Datetime", "\"2024-01-02T03:04:05.123456Z\""),
                ("TextA", "Text", "\"lazy dogs run_fast\""),
                ("DblA", "Double", "2.0"),
            ],
        ),
        closed(
            record("w4", &[("KW", "Keyword", "\"it's \\\\ %_!\""), ("KW2", "Keyword", "\"\""), ("IntA", "Int", "0")]),
            WorkflowExecutionStatus::Terminated,
        ),
    ];
    for (number, record) in (0..).zip(&mut records) {
        record.type_name = format!("T{}", number % 2);
        record.task_queue = format!("q{}", number % 3);
        // A list shows the latest first.
        record.start_time = record.start_time + std::time::Duration::from_secs(number);
    }
    records.sort_by_key(SortKey::of);
    records
}

#[test]
fn answers_are_temporals() {
    let records = records();
    let wrong: Vec<String> = ANSWERED
        .iter()
        .filter_map(|(query, expected)| {
            let passing = passing(query, &records);
            (passing != *expected).then(|| format!("{query}: {passing:?} should be {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the development server compares without regard to case, keeps milliseconds of instants or loses
/// what it escaped, the answers are those of Temporal's other stores.
#[test]
fn comparisons_are_exact() {
    let records = records();
    for (query, expected) in [
        ("KW STARTS_WITH 'al'", &["w1"][..]),
        ("KW STARTS_WITH 'Al'", &["w2"]),
        ("KW NOT STARTS_WITH 'al'", &["w3", "w2", "w4"]),
        ("WorkflowId STARTS_WITH 'W'", &[]),
        ("ListA = 'a'", &["w1"]),
        ("ListA = 'A'", &["w2"]),
        ("ListA != 'a'", &["w3", "w2", "w0", "w4"]),
        ("NOT ListA = 'a'", &["w3", "w2", "w0", "w4"]),
        ("ListA IN ('A', 'zz')", &["w2"]),
        ("TextA = 'trot-fox'", &[]),
        ("TextA = 'brown-FOX'", &["w2"]),
        ("TimeA = '2024-01-02T03:04:05.123456Z'", &["w3"]),
        ("TimeA = '2024-01-02T04:04:05.123456+01:00'", &["w3"]),
        ("TimeA > 1704164645123455999", &["w3"]),
        ("TimeA > 1704164645123456000", &[]),
        ("TimeA > '2024-01-02T03:04:05,1Z'", &["w3"]),
        ("KW = 'it\\'s \\\\ %_!'", &["w4"]),
        ("KW = 'it''s \\\\ %_!'", &["w4"]),
        ("KW STARTS_WITH \"it's \\\\ %\"", &["w4"]),
        ("ExecutionDuration > '1s'", &["w4"]),
        ("IntA > 4.5 AND IntA < 5.5", &["w1"]),
        ("DblA >= 2", &["w3"]),
        ("IntA > -99999999999999999999", &["w2", "w1", "w4"]),
    ] {
        assert_eq!(passing(query, &records), expected, "{query}");
    }
}

#[test]
fn groups() {
    let group_by = |text| parse(text).map(|query| query.group_by);
    assert_eq!(group_by("GROUP BY ExecutionStatus"), Ok(Some(GroupBy::ExecutionStatus)));
    assert_eq!(
        group_by("KW = 'x' group by NamespaceDivision"),
        Ok(Some(GroupBy::Keyword("TemporalNamespaceDivision".into())))
    );
    let records = records();
    let groups: Vec<_> = records.iter().map(|record| evaluate::group(&GroupBy::ExecutionStatus, record)).collect();
    assert_eq!(groups, ["Running", "Running", "Running", "Running", "Terminated"]);
    assert_eq!(evaluate::group(&GroupBy::Keyword("KW".into()), &records[2]), "alpha");
}

/// What a query is about that does not say so.
#[test]
fn divisions() {
    let system = record("s", &[("TemporalNamespaceDivision", "Keyword", "\"TemporalScheduler\"")]);
    let activity = record(
        "a",
        &[
            ("TemporalNamespaceDivision", "Keyword", "\"3332429922\""),
            ("TemporalKeyword01", "Keyword", "\"Bake\""),
            ("TemporalLowCardinalityKeyword01", "Keyword", "\"Running\""),
        ],
    );
    let records = [record("w", &[]), system, activity];
    for (query, expected, division) in [
        ("", &["w"][..], Some(None)),
        ("WorkflowId != 'x'", &["w"], Some(None)),
        ("TemporalNamespaceDivision = 'TemporalScheduler'", &["s"], Some(Some("TemporalScheduler"))),
        ("ExecutionStatus = 1 AND NamespaceDivision = 'TemporalScheduler'", &["s"], Some(Some("TemporalScheduler"))),
        ("TemporalNamespaceDivision IS NOT NULL", &["s", "a"], None),
        ("TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL", &["w", "s", "a"], None),
        ("GROUP BY TemporalNamespaceDivision", &["w", "s", "a"], None),
    ] {
        assert_eq!(passing(query, &records), expected, "{query}");
        assert_eq!(parse(query).unwrap().division(), division, "{query}");
    }
    let activities = Names { custom: &custom(), archetype: Some(&ArchetypeNames::ACTIVITY) };
    for (query, passes) in [
        ("", true),
        ("ActivityType = 'Bake' AND ActivityId = 'a' AND ExecutionStatus = 'Running'", true),
        ("ExecutionStatus = 'anything'", false),
    ] {
        let query = Query::parse(query, &activities).unwrap();
        let filter = query.filter.unwrap();
        let found: Vec<bool> = records.iter().map(|record| evaluate::matches(&filter, record)).collect();
        assert_eq!(found, [false, false, passes], "{filter}");
    }
}

const ANSWERED: &[(&str, &[&str])] = &[
    ("", &["w3", "w2", "w1", "w0", "w4"]),
    ("WorkflowId = \"w0\"", &["w0"]),
    ("`WorkflowId` = 'w0'", &["w0"]),
    ("KW != 'alpha'", &["w3", "w2", "w4"]),
    ("NOT KW = 'alpha'", &["w3", "w2", "w4"]),
    ("NOT (KW = 'alpha' OR IntA = 5)", &["w2", "w4"]),
    ("KW IN ('alpha','5')", &["w3", "w1"]),
    ("KW NOT IN ('alpha','5')", &["w2", "w4"]),
    ("KW IS NULL", &["w0"]),
    ("KW IS NOT NULL", &["w3", "w2", "w1", "w4"]),
    ("KW BETWEEN 'a' AND 'b'", &["w1"]),
    ("KW NOT BETWEEN 'a' AND 'b'", &["w3", "w2", "w4"]),
    ("KW > 'a'", &["w1", "w4"]),
    ("KW <> 'alpha'", &["w3", "w2", "w4"]),
    ("IntA = 5", &["w1"]),
    ("IntA = -7", &["w2"]),
    ("IntA = - 7", &["w2"]),
    ("IntA = +5", &["w1"]),
    ("IntA = - -5", &["w1"]),
    ("IntA = -+7", &["w2"]),
    ("IntA IN (+5, -7)", &["w2", "w1"]),
    ("DblA = +1.5", &["w2"]),
    ("IntA = 5.0", &["w1"]),
    ("IntA = 5.5", &[]),
    ("IntA > 0", &["w1"]),
    ("IntA = 99999999999999999999", &[]),
    ("IntA BETWEEN -10 AND 4", &["w2", "w4"]),
    ("DblA = 1.5", &["w2"]),
    ("DblA = 2", &["w3"]),
    ("DblA = 1e0", &[]),
    ("DblA > 1", &["w3", "w2"]),
    ("BoolA = true", &["w2"]),
    ("BoolA = false", &["w3"]),
    ("BoolA != true", &["w3"]),
    ("BoolA > false", &["w2"]),
    ("BoolA = TRUE", &["w2"]),
    ("BoolA IN (true,false)", &["w3", "w2"]),
    ("TimeA > 1704164645123456000", &[]),
    ("TimeA BETWEEN '2024-01-01T00:00:00Z' AND '2024-02-01T00:00:00Z'", &["w3"]),
    ("StartTime > '2020-01-01T00:00:00Z'", &["w3", "w2", "w1", "w0", "w4"]),
    ("StartTime < '2020-01-01T00:00:00Z'", &[]),
    ("CloseTime > '2020-01-01T00:00:00Z'", &["w4"]),
    ("CloseTime < '2100-01-01T00:00:00Z'", &["w4"]),
    ("CloseTime = '9999-12-31T23:59:59Z'", &[]),
    ("CloseTime IS NULL", &["w3", "w2", "w1", "w0"]),
    ("CloseTime IS NOT NULL", &["w4"]),
    ("NOT CloseTime IS NULL", &["w4"]),
    ("CloseTime != '2020-01-01T00:00:00Z'", &["w4"]),
    ("CloseTime BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'", &["w4"]),
    ("ExecutionStatus = 'Running'", &["w3", "w2", "w1", "w0"]),
    ("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_RUNNING'", &["w3", "w2", "w1", "w0"]),
    ("ExecutionStatus = 1", &["w3", "w2", "w1", "w0"]),
    ("ExecutionStatus = 5", &["w4"]),
    ("ExecutionStatus IN ('Running','Terminated')", &["w3", "w2", "w1", "w0", "w4"]),
    ("ExecutionStatus > 1", &["w4"]),
    ("ExecutionStatus BETWEEN 1 AND 3", &["w3", "w2", "w1", "w0"]),
    ("ExecutionStatus = 'Paused'", &[]),
    ("ExecutionStatus IS NULL", &[]),
    ("ExecutionDuration > 0", &["w4"]),
    ("ExecutionDuration < '1h30m'", &["w4"]),
    ("ExecutionDuration < '1d'", &["w4"]),
    ("ExecutionDuration < '01:00:00'", &["w4"]),
    ("ExecutionDuration < '5'", &[]),
    ("ExecutionDuration < '-5'", &[]),
    ("HistoryLength > 0", &["w4"]),
    ("HistoryLength IS NULL", &["w3", "w2", "w1", "w0"]),
    ("StateTransitionCount > 0", &["w4"]),
    ("HistorySizeBytes > 0", &["w4"]),
    ("TextA = 'quick'", &["w2"]),
    ("TextA = 'QUICK'", &["w2"]),
    ("TextA = 'qui'", &[]),
    ("TextA = 'lazy fox'", &["w3", "w2"]),
    ("TextA != 'quick'", &["w3", "w1", "w0", "w4"]),
    ("TextA = 'cafe'", &["w2"]),
    ("TextA = 'fox-trot'", &["w2"]),
    ("TextA = 'run_fast'", &["w3"]),
    ("TextA = 'run'", &["w3"]),
    ("TextA = 'dog'", &[]),
    ("TextA = '-'", &[]),
    ("TextA IS NULL", &["w1", "w0", "w4"]),
    ("TextA = \"it's\"", &[]),
    ("ListA = 'b c'", &["w1"]),
    ("ListA = 'b'", &[]),
    ("ListA IS NULL", &["w3", "w0", "w4"]),
    ("ListA = ''", &[]),
    ("BuildIds = 'x'", &[]),
    ("BuildIds IS NULL", &["w3", "w2", "w1", "w0", "w4"]),
    ("ChangeVersion = 'x'", &[]),
    ("TemporalWorkflowType = 'T0'", &["w2", "w0", "w4"]),
    ("ScheduleId = 'w0'", &["w0"]),
    ("TemporalNamespaceDivision IS NULL", &["w3", "w2", "w1", "w0", "w4"]),
    ("TemporalNamespaceDivision = 'x'", &[]),
    ("NamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL", &["w3", "w2", "w1", "w0", "w4"]),
    ("KW STARTS_WITH 'it'", &["w4"]),
    ("KW2 = ''", &["w4"]),
    ("KW = 'a';", &[]),
    ("KW = 'a' -- comment", &[]),
    ("KW = 'a' /* c */", &[]),
    ("KW = 'alpha' && IntA = 5", &["w1"]),
    ("KW = 'alpha' || IntA = 7", &["w1"]),
    ("KW = 'alpha' and IntA = 5 or WorkflowId = 'w0'", &["w1", "w0"]),
    ("not KW = 'alpha' and IntA = 5", &[]),
    ("KW = 'alpha' HAVING 1", &["w1"]),
    ("KW = \"alpha\"", &["w1"]),
    ("KW is not null and not IntA is null", &["w2", "w1", "w4"]),
    (
        "WorkflowType = 'T1' and ExecutionStatus = 'Running' and StartTime BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'",
        &["w3", "w1"],
    ),
    ("RunId IS NOT NULL", &["w3", "w2", "w1", "w0", "w4"]),
    ("ParentWorkflowId IS NULL", &["w3", "w2", "w1", "w0", "w4"]),
    ("RootWorkflowId = 'w0'", &["w0"]),
    ("TaskQueue = 'q1'", &["w1", "w4"]),
    ("KW = 'é'", &[]),
    ("KW = 'alpha' AND (IntA = 5 AND (KW2 IS NULL OR NOT BoolA = true))", &["w1"]),
    ("StartTime = 0", &[]),
    ("StartTime > -1", &["w3", "w2", "w1", "w0", "w4"]),
];
