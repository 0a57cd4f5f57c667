//! Generated filters.

use perdure_kernel::VisibilityRecord;
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_visibility::{Attribute, Comparison, Field, Filter, GroupBy, Kind, Query, Scalar, evaluate, text};
use proptest::prelude::*;

use crate::kit::{closed, parse, record};

/// A record as plain values.
#[derive(Clone, Debug)]
struct Row {
    keyword: Option<String>,
    int: Option<i64>,
    flag: Option<bool>,
    list: Option<Vec<String>>,
    text: Option<String>,
    closed: bool,
}

impl Row {
    fn record(&self) -> VisibilityRecord {
        let quoted = |text: &String| format!("{text:?}");
        let fields = [
            ("KW", "Keyword", self.keyword.as_ref().map(quoted)),
            ("IntA", "Int", self.int.map(|int| int.to_string())),
            ("BoolA", "Bool", self.flag.map(|flag| flag.to_string())),
            ("ListA", "KeywordList", self.list.as_ref().map(|list| format!("{list:?}"))),
            ("TextA", "Text", self.text.as_ref().map(quoted)),
        ];
        let fields: Vec<(&str, &str, String)> =
            fields.into_iter().filter_map(|(name, kind, json)| Some((name, kind, json?))).collect();
        let fields: Vec<(&str, &str, &str)> =
            fields.iter().map(|(name, kind, json)| (*name, *kind, json.as_str())).collect();
        let open = record("w", &fields);
        if self.closed { closed(open, WorkflowExecutionStatus::Completed) } else { open }
    }
}

/// Letters that need quoting are among them.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "ab", "b", "B", "it's", "%_", "back\\\\slash"]).prop_map(str::to_owned)
}

fn phrase() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["red", "Blue", "green"]), 0..4).prop_map(|words| words.join(" "))
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::of(word()),
        prop::option::of(-3_i64..4),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::collection::vec(word(), 0..3)),
        prop::option::of(phrase()),
        any::<bool>(),
    )
        .prop_map(|(keyword, int, flag, list, text, closed)| Row { keyword, int, flag, list, text, closed })
}

fn attribute(name: &str, kind: Kind) -> Field {
    Field::Attribute(Attribute { name: name.to_owned(), kind })
}

/// A scalar field with a value of its type.
fn operand() -> impl Strategy<Value = (Field, Vec<Scalar>)> {
    prop_oneof![
        prop::collection::vec(word().prop_map(Scalar::Keyword), 3)
            .prop_map(|values| (attribute("KW", Kind::Keyword), values)),
        prop::collection::vec(
            prop_oneof![
                (-4_i64..5).prop_map(Scalar::Int),
                (-4_i32..5).prop_map(|int| Scalar::Double(f64::from(int) + 0.5))
            ],
            3
        )
        .prop_map(|values| (attribute("IntA", Kind::Int), values)),
        prop::collection::vec(any::<bool>().prop_map(Scalar::Bool), 3)
            .prop_map(|values| (attribute("BoolA", Kind::Bool), values)),
        prop::collection::vec((6_i64..9).prop_map(Scalar::Int), 3).prop_map(|values| (Field::HistoryLength, values)),
    ]
}

fn leaf() -> impl Strategy<Value = Filter> {
    let comparison = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let scalar =
        (operand(), comparison, 0..4, any::<bool>()).prop_map(|((field, values), comparison, form, negated)| {
            let [value, other, ..] = &values[..] else { unreachable!("three values") };
            match form {
                0 => Filter::OneOf { field, negated, values },
                1 if field.kind() != Kind::Bool => {
                    Filter::Between { field, negated, low: value.clone(), high: other.clone() }
                }
                2 => Filter::IsNull { field, negated },
                _ => Filter::Compare { field, comparison, value: value.clone() },
            }
        });
    let keyword = || attribute("KW", Kind::Keyword);
    prop_oneof![
        4 => scalar,
        1 => (word(), any::<bool>()).prop_map(move |(prefix, negated)| Filter::StartsWith { field: keyword(), negated, prefix }),
        1 => (prop::collection::vec(word(), 1..3), any::<bool>()).prop_map(|(keywords, negated)| Filter::Holds {
            field: attribute("ListA", Kind::KeywordList),
            negated,
            keywords,
        }),
        1 => (prop::collection::vec(phrase().prop_map(|phrase| text::words(&phrase)), 1..3), any::<bool>())
            .prop_map(|(phrases, negated)| Filter::Mentions { field: attribute("TextA", Kind::Text), negated, phrases }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Filter::Any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

/// The naive model: whether a filter is true and whether it is false.
fn model(filter: &Filter, row: &Row) -> (bool, bool) {
    let decided = |truth: Option<bool>| (truth == Some(true), truth == Some(false));
    match filter {
        Filter::All(all) => {
            let all: Vec<_> = all.iter().map(|filter| model(filter, row)).collect();
            (all.iter().all(|(yes, _)| *yes), all.iter().any(|(_, no)| *no))
        }
        Filter::Any(any) => {
            let any: Vec<_> = any.iter().map(|filter| model(filter, row)).collect();
            (any.iter().any(|(yes, _)| *yes), any.iter().all(|(_, no)| *no))
        }
        Filter::Not(filter) => {
            let (yes, no) = model(filter, row);
            (no, yes)
        }
        Filter::Compare { field, comparison, value } => {
            decided(rank(field, row, value).map(|(held, value)| match comparison {
                Comparison::Equal => held == value,
                Comparison::NotEqual => held != value,
                Comparison::Less => held < value,
                Comparison::LessOrEqual => held <= value,
                Comparison::Greater => held > value,
                Comparison::GreaterOrEqual => held >= value,
            }))
        }
        Filter::OneOf { field, negated, values } => {
            let ranks: Option<Vec<_>> = values.iter().map(|value| rank(field, row, value)).collect();
            decided(ranks.map(|ranks| ranks.iter().any(|(held, value)| held == value) != *negated))
        }
        Filter::Between { field, negated, low, high } => {
            let (low, high) = (rank(field, row, low), rank(field, row, high));
            decided(low.zip(high).map(|((held, low), (_, high))| (low <= held && held <= high) != *negated))
        }
        Filter::StartsWith { negated, prefix, .. } => {
            decided(row.keyword.as_ref().map(|keyword| (keyword.find(prefix.as_str()) == Some(0)) != *negated))
        }
        Filter::Holds { negated, keywords, .. } => {
            let list = row.list.clone().unwrap_or_default();
            decided(Some(list.iter().any(|held| keywords.contains(held)) != *negated))
        }
        Filter::Mentions { negated, phrases, .. } => {
            let text = format!(" {} ", row.text.clone().unwrap_or_default().to_lowercase());
            let found =
                phrases.iter().any(|phrase| !phrase.is_empty() && text.contains(&format!(" {} ", phrase.join(" "))));
            decided(Some(found != *negated))
        }
        Filter::IsNull { field, negated } => {
            let absent = match field.name() {
                "KW" => row.keyword.is_none(),
                "IntA" => row.int.is_none(),
                "BoolA" => row.flag.is_none(),
                _ => !row.closed,
            };
            decided(Some(absent != *negated))
        }
    }
}

/// Both sides as text that sorts like the values.
fn rank(field: &Field, row: &Row, value: &Scalar) -> Option<(String, String)> {
    let number = |number: f64| format!("{:09.2}", number + 1000.0);
    let held = match field.name() {
        "KW" => row.keyword.clone(),
        "IntA" => row.int.map(|int| number(int as f64)),
        "BoolA" => row.flag.map(|flag| u8::from(flag).to_string()),
        _ => row.closed.then(|| number(7.0)),
    };
    let value = match value {
        Scalar::Keyword(keyword) => keyword.clone(),
        Scalar::Int(int) => number(*int as f64),
        Scalar::Double(double) => number(*double),
        Scalar::Bool(flag) => u8::from(*flag).to_string(),
    };
    held.map(|held| (held, value))
}

/// Parts that queries are made of, in any order.
fn scrap() -> impl Strategy<Value = String> {
    let parts = vec![
        "KW",
        "IntA",
        "ListA",
        "TextA",
        "ExecutionStatus",
        "StartTime",
        "=",
        "!=",
        "<",
        ">=",
        "<=>",
        "'a'",
        "\"b\"",
        "'",
        "`",
        "5",
        "-",
        "1.5",
        "1e999",
        "AND",
        "OR",
        "NOT",
        "IN",
        "(",
        ")",
        ",",
        "BETWEEN",
        "IS",
        "NULL",
        "STARTS_WITH",
        "LIKE",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "HAVING",
        "true",
        "CASE",
        "WHEN",
        "INTERVAL",
        "SELECT",
        "EXISTS",
        "--",
        "/*",
        ";",
        "||",
        "&&",
        "!",
        ":x",
        "?",
        "@",
        "é",
        "\\",
        "x'61'",
        "::",
        "[",
        "]",
        "{",
        "}",
        "->",
        "DIV",
        "COLLATE",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..14).prop_map(|parts| parts.join(" "))
}

proptest! {
    #[test]
    fn the_evaluator_does_as_the_model(filter in filter(), row in row()) {
        let (yes, no) = model(&filter, &row);
        prop_assert!(!(yes && no));
        prop_assert_eq!(evaluate::matches(&filter, &row.record()), yes, "{} of {:?}", filter, row);
        let not = Filter::Not(Box::new(filter));
        prop_assert_eq!(evaluate::matches(&not, &row.record()), no, "{} of {:?}", not, row);
    }

    #[test]
    fn what_is_printed_parses_to_the_same(filter in filter(), grouped in any::<bool>(), row in row()) {
        let query = Query { filter: Some(filter.clone()), group_by: grouped.then_some(GroupBy::ExecutionStatus) };
        let once = parse(&query.to_string()).unwrap();
        prop_assert_eq!(&parse(&once.to_string()).unwrap(), &once, "{}", query);
        prop_assert_eq!(&once.group_by, &query.group_by);
        // The division that the first parsing adds is that of the record.
        let record = row.record();
        prop_assert_eq!(evaluate::matches(&once.filter.unwrap(), &record), evaluate::matches(&filter, &record));
    }

    #[test]
    fn nothing_makes_it_panic(scrap in scrap(), noise in any::<String>()) {
        let _ = parse(&scrap).map(|query| parse(&query.to_string()).unwrap());
        let _ = parse(&noise).map(|query| query.to_string());
    }
}

/// A chain as long as one may be, nesting as deep, and both one further.
#[test]
fn long_and_deep_queries_are_bounded() {
    let chain = |count: usize| vec!["KW = 'a'"; count].join(" AND ");
    assert!(parse(&chain(500)).is_ok());
    assert!(parse(&chain(501)).is_err());
    let list = |count: usize| format!("KW IN ({})", vec!["'a'"; count].join(","));
    assert!(parse(&list(10_000)).is_ok());
    assert!(parse(&list(40_000)).is_err());
    let deep = |count: usize| format!("{}KW = 'a'{}", "(".repeat(count), ")".repeat(count));
    assert!(parse(&deep(20)).is_ok());
    assert!(parse(&deep(100_000)).is_err());
    assert!(parse(&format!("{} KW = 'a'", "NOT ".repeat(500))).is_err());
}
