//! What is refused, in the words of Temporal 1.32's development server.

use crate::kit::parse;

#[test]
fn refusals_are_temporals() {
    let wrong: Vec<String> = REFUSED
        .iter()
        .filter_map(|(query, expected)| match parse(query) {
            Ok(parsed) => Some(format!("{query}\n  is taken as {parsed}\n  should be   {expected}")),
            Err(error) if error.to_string() == *expected => None,
            Err(error) => Some(format!("{query}\n  gives     {error}\n  should be {expected}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Temporal takes or refuses with the internals of a database, and is refused here.
#[test]
fn more_is_refused() {
    for (query, expected) in [
        ("KW = ('alpha','b')", "invalid query: invalid expression: unexpected value type sqlparser.ValTuple"),
        (
            "KW = 'a' UNION select * from x",
            "invalid query: malformed SQL query: syntax error at position 42 near 'union'",
        ),
        ("KW = 'a' FOR UPDATE", "invalid query: malformed SQL query: syntax error at position 40 near 'for'"),
    ] {
        assert_eq!(parse(query).map_err(|error| error.to_string()).unwrap_err(), expected, "{query}");
    }
}

const REFUSED: &[(&str, &str)] = &[
    ("ORDER BY StartTime", "invalid query: operation is not supported: 'ORDER BY' clause"),
    ("WorkflowId = 'w0' ORDER BY StartTime DESC", "invalid query: operation is not supported: 'ORDER BY' clause"),
    ("WorkflowId = 'w0' LIMIT 1", "invalid query: operation is not supported: 'LIMIT' clause"),
    (
        "group by WorkflowType",
        "invalid query: operation is not supported: 'GROUP BY' clause is not supported for search attribute WorkflowType",
    ),
    (
        "GROUP BY ExecutionStatus, WorkflowType",
        "invalid query: operation is not supported: 'GROUP BY' clause supports only a single field",
    ),
    ("GROUP BY 1", "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("GROUP BY Nope", "invalid query: invalid search attribute: Nope"),
    (
        "WorkflowId = w0",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote \"w0\"?)",
    ),
    (
        "WorkflowId = `w0`",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote \"w0\"?)",
    ),
    (
        "WorkflowId = 5",
        "invalid query: invalid expression: invalid value type for search attribute WorkflowId of type Keyword: 5 (type: int64)",
    ),
    (
        "KW = 5",
        "invalid query: invalid expression: invalid value type for search attribute KW of type Keyword: 5 (type: int64)",
    ),
    (
        "KW = 5.0",
        "invalid query: invalid expression: invalid value type for search attribute KW of type Keyword: 5 (type: float64)",
    ),
    (
        "KW = true",
        "invalid query: invalid expression: invalid value type for search attribute KW of type Keyword: true (type: bool)",
    ),
    (
        "KW IN ('alpha',5)",
        "invalid query: invalid expression: invalid value type for search attribute KW of type Keyword: 5 (type: int64)",
    ),
    ("KW IN ()", "invalid query: malformed SQL query: syntax error at position 36"),
    ("KW IN 'alpha'", "invalid query: malformed SQL query: syntax error at position 41 near 'alpha'"),
    ("KW = ('alpha')", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    ("KW IS TRUE", "invalid query: invalid expression: 'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'"),
    (
        "KW STARTS_WITH 5",
        "invalid query: invalid expression: invalid value type for search attribute KW of type Keyword: 5 (type: int64)",
    ),
    (
        "IntA STARTS_WITH '5'",
        "invalid query: invalid expression: invalid value type for search attribute IntA of type Int: \"5\" (type: string)",
    ),
    (
        "IntA STARTS_WITH 5",
        "invalid query: operation is not supported: operator 'STARTS_WITH' not supported for Int type search attribute 'IntA'",
    ),
    ("TimeA STARTS_WITH '2024'", "invalid query: invalid expression: unable to parse datetime '2024'"),
    (
        "KW LIKE 'al%'",
        "invalid query: operation is not supported: operator 'LIKE' not supported for Keyword type search attribute 'KW'",
    ),
    (
        "KW NOT LIKE 'al%'",
        "invalid query: operation is not supported: operator 'NOT LIKE' not supported for Keyword type search attribute 'KW'",
    ),
    (
        "KW REGEXP 'a'",
        "invalid query: operation is not supported: operator 'REGEXP' not supported for Keyword type search attribute 'KW'",
    ),
    (
        "KW <=> 'a'",
        "invalid query: operation is not supported: operator '<=>' not supported for Keyword type search attribute 'KW'",
    ),
    (
        "IntA = '5'",
        "invalid query: invalid expression: invalid value type for search attribute IntA of type Int: \"5\" (type: string)",
    ),
    (
        "IntA = 'x'",
        "invalid query: invalid expression: invalid value type for search attribute IntA of type Int: \"x\" (type: string)",
    ),
    (
        "IntA = true",
        "invalid query: invalid expression: invalid value type for search attribute IntA of type Int: true (type: bool)",
    ),
    ("IntA = 1+4", "invalid query: invalid expression: unexpected value type *sqlparser.BinaryExpr"),
    (
        "DblA = '1.5'",
        "invalid query: invalid expression: invalid value type for search attribute DblA of type Double: \"1.5\" (type: string)",
    ),
    (
        "BoolA = 'true'",
        "invalid query: invalid expression: invalid value type for search attribute BoolA of type Bool: \"true\" (type: string)",
    ),
    (
        "BoolA = 1",
        "invalid query: invalid expression: invalid value type for search attribute BoolA of type Bool: 1 (type: int64)",
    ),
    (
        "BoolA BETWEEN true AND false",
        "invalid query: invalid expression: cannot do range condition on search attribute 'BoolA' of type Bool",
    ),
    ("BoolA", "invalid query: invalid expression: incomplete expression"),
    ("NOT BoolA", "invalid query: invalid expression: incomplete expression"),
    ("true", "invalid query: operation is not supported: expression of type sqlparser.BoolVal"),
    ("1 = 1", "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("'a' = 'a'", "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("TimeA > '2024-01-02'", "invalid query: invalid expression: unable to parse datetime '2024-01-02'"),
    (
        "TimeA > '2024-01-02 03:04:05'",
        "invalid query: invalid expression: unable to parse datetime '2024-01-02 03:04:05'",
    ),
    (
        "TimeA > '1704164645123456000'",
        "invalid query: invalid expression: unable to parse datetime '1704164645123456000'",
    ),
    (
        "TimeA > 1.5",
        "invalid query: invalid expression: invalid value type for search attribute TimeA of type Datetime: 1.5 (type: float64)",
    ),
    (
        "TimeA > true",
        "invalid query: invalid expression: invalid value type for search attribute TimeA of type Datetime: true (type: bool)",
    ),
    (
        "TimeA > '2024-01-02t03:04:05z'",
        "invalid query: invalid expression: unable to parse datetime '2024-01-02t03:04:05z'",
    ),
    ("StartTime > '1h'", "invalid query: invalid expression: unable to parse datetime '1h'"),
    ("ExecutionStatus = 'running'", "invalid query: invalid expression: invalid ExecutionStatus value 'running'"),
    ("ExecutionStatus = 'RUNNING'", "invalid query: invalid expression: invalid ExecutionStatus value 'RUNNING'"),
    ("ExecutionStatus = '1'", "invalid query: invalid expression: invalid ExecutionStatus value '1'"),
    ("ExecutionStatus = 99", "invalid query: invalid expression: invalid ExecutionStatus value 99"),
    ("ExecutionStatus = 'Nope'", "invalid query: invalid expression: invalid ExecutionStatus value 'Nope'"),
    (
        "ExecutionStatus = 1.5",
        "invalid query: invalid expression: unexpected value type float64 for search attribute ExecutionStatus",
    ),
    (
        "ExecutionStatus = true",
        "invalid query: invalid expression: invalid value type for search attribute ExecutionStatus of type Keyword: true (type: bool)",
    ),
    ("ExecutionStatus STARTS_WITH 'Run'", "invalid query: invalid expression: invalid ExecutionStatus value 'Run'"),
    (
        "ExecutionDuration < 'x'",
        "invalid query: invalid expression: invalid duration value for search attribute ExecutionDuration: x",
    ),
    (
        "ExecutionDuration < true",
        "invalid query: invalid expression: invalid value type for search attribute ExecutionDuration of type Int: true (type: bool)",
    ),
    ("TextA = ''", "invalid query: invalid expression: no tokens found filtering on Text type search attribute TextA"),
    (
        "TextA = '  '",
        "invalid query: invalid expression: no tokens found filtering on Text type search attribute TextA",
    ),
    (
        "TextA = 5",
        "invalid query: invalid expression: invalid value type for search attribute TextA of type Text: 5 (type: int64)",
    ),
    (
        "TextA > 'a'",
        "invalid query: operation is not supported: operator '>' not supported for Text type search attribute 'TextA'",
    ),
    (
        "TextA IN ('a')",
        "invalid query: operation is not supported: operator 'IN' not supported for Text type search attribute 'TextA'",
    ),
    (
        "TextA STARTS_WITH 'q'",
        "invalid query: operation is not supported: operator 'STARTS_WITH' not supported for Text type search attribute 'TextA'",
    ),
    (
        "TextA BETWEEN 'a' AND 'b'",
        "invalid query: invalid expression: cannot do range condition on search attribute 'TextA' of type Text",
    ),
    (
        "ListA > 'a'",
        "invalid query: operation is not supported: operator '>' not supported for KeywordList type search attribute 'ListA'",
    ),
    (
        "ListA STARTS_WITH 'a'",
        "invalid query: operation is not supported: operator 'STARTS_WITH' not supported for KeywordList type search attribute 'ListA'",
    ),
    (
        "ListA = 5",
        "invalid query: invalid expression: invalid value type for search attribute ListA of type KeywordList: 5 (type: int64)",
    ),
    (
        "ListA IN ('a',5)",
        "invalid query: invalid expression: invalid value type for search attribute ListA of type KeywordList: 5 (type: int64)",
    ),
    (
        "ListA BETWEEN 'a' AND 'b'",
        "invalid query: invalid expression: cannot do range condition on search attribute 'ListA' of type KeywordList",
    ),
    ("ListA IN 'a'", "invalid query: malformed SQL query: syntax error at position 40 near 'a'"),
    ("ListA = ('a')", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    ("TemporalKW = 'alpha'", "invalid query: invalid search attribute: TemporalKW"),
    ("NamespaceId = 'x'", "invalid query: invalid search attribute: NamespaceId"),
    ("Memo = 'x'", "invalid query: invalid search attribute: Memo"),
    ("Nope = 'x'", "invalid query: invalid search attribute: Nope"),
    ("workflowid = 'x'", "invalid query: invalid search attribute: workflowid"),
    ("ActivityType = 'x'", "invalid query: invalid search attribute: ActivityType"),
    ("KW = '", "invalid query: malformed SQL query: syntax error at position 34"),
    ("KW =", "invalid query: malformed SQL query: syntax error at position 32"),
    ("= 'x'", "invalid query: malformed SQL query: syntax error at position 29"),
    ("KW = 'a' AND", "invalid query: malformed SQL query: syntax error at position 40"),
    ("KW = 'a' FOO", "invalid query: malformed SQL query: syntax error at position 40 near 'FOO'"),
    ("(KW = 'a'", "invalid query: malformed SQL query: syntax error at position 37"),
    ("KW = 'a')", "invalid query: malformed SQL query: syntax error at position 37"),
    ("()", "invalid query: malformed SQL query: syntax error at position 30"),
    ("KW = 'a'; drop table x", "invalid query: malformed SQL query: syntax error at position 42 near 'drop'"),
    ("KW = concat('a','b')", "invalid query: operation is not supported: nested func"),
    ("count(*) > 1", "invalid query: invalid expression: must be a column name but was *sqlparser.FuncExpr"),
    ("KW = (select 1)", "invalid query: invalid expression: unexpected value type *sqlparser.Subquery"),
    ("EXISTS (select 1)", "invalid query: operation is not supported: expression of type *sqlparser.ExistsExpr"),
    ("KW = NULL", "invalid query: invalid expression: unexpected value type *sqlparser.NullVal"),
    ("KW != NULL", "invalid query: invalid expression: unexpected value type *sqlparser.NullVal"),
    (
        "KW = KW2",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote \"KW2\"?)",
    ),
    ("'alpha' = KW", "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("t.KW = 'alpha'", "invalid query: invalid search attribute: t.KW"),
    ("KW = :v1", "invalid query: invalid expression: unable to parse value \":v1\""),
    ("KW = ?", "invalid query: invalid expression: unable to parse value \":v1\""),
    ("!(KW = 'alpha')", "invalid query: operation is not supported: expression of type *sqlparser.UnaryExpr"),
    ("KW = 'alpha' XOR IntA = 5", "invalid query: malformed SQL query: syntax error at position 44 near 'xor'"),
    (
        "KW COLLATE utf8 = 'alpha'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.CollateExpr",
    ),
    ("KW = 'alpha' COLLATE utf8", "invalid query: invalid expression: unexpected value type *sqlparser.CollateExpr"),
    ("KW = 'al' 'pha'", "invalid query: malformed SQL query: syntax error at position 43 near 'pha'"),
    ("KW = X'616c'", "invalid query: invalid expression: unable to parse value \"X'616c'\""),
    ("KW = case when 1 then 'a' end", "invalid query: invalid expression: unexpected value type *sqlparser.CaseExpr"),
    ("KW IN (select 1)", "invalid query: invalid expression: unexpected value type *sqlparser.Subquery"),
    ("KW = 'a' ESCAPE '!'", "invalid query: malformed SQL query: syntax error at position 43 near 'escape'"),
    ("IntA % 2 = 1", "invalid query: invalid expression: must be a column name but was *sqlparser.BinaryExpr"),
    ("IntA IS NOT 5", "invalid query: malformed SQL query: syntax error at position 41 near '5'"),
    ("where KW = 'alpha'", "invalid query: malformed SQL query: syntax error at position 33 near 'where'"),
    ("KW = 'alpha' ORDER BY", "invalid query: malformed SQL query: syntax error at position 49"),
    ("order by", "invalid query: malformed SQL query: syntax error at position 30"),
    (
        "KW = 'a' GROUP BY ExecutionStatus ORDER BY StartTime",
        "invalid query: operation is not supported: 'ORDER BY' clause",
    ),
    ("KW ilike 'a'", "invalid query: malformed SQL query: syntax error at position 36 near 'ilike'"),
    (
        "HistoryLength = 'abc'",
        "invalid query: invalid expression: invalid value type for search attribute HistoryLength of type Int: \"abc\" (type: string)",
    ),
];
