//! Broken and unusual syntax, as Temporal 1.32's development server refuses it: what the text names, and where.

use crate::kit::parse;

#[test]
fn refusals_name_the_place() {
    let wrong: Vec<String> = REFUSED
        .iter()
        .filter_map(|(query, expected)| match parse(query) {
            Ok(parsed) => Some(format!("{query}\n  is taken as {parsed}\n  should be   {expected}")),
            Err(error) if error.to_string().strip_prefix("invalid query: ") == Some(*expected) => None,
            Err(error) => Some(format!("{query}\n  gives     {error}\n  should be {expected}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Temporal refuses for another reason or at another place: words that MySQL reserves, and forms that the
/// parser below does not know (docs/compatibility.md, "Lists").
#[test]
fn others_are_refused_in_other_words() {
    for query in [
        "IntA = 1e",
        "KW = BINARY 'red'",
        "CAST(IntA AS SIGNED) = 5",
        "SUBSTR(KW, 1) = 'a'",
        "MATCH(TextA) AGAINST ('fox')",
        "GROUP_CONCAT(TextA) = 'a'",
        "VALUES(IntA) = 5",
        "IntA MOD 2",
        "5 -> 5",
        "DEFAULT(IntA)",
        "CURRENT_TIMESTAMP(5) = 5",
        "lower(DISTINCT KW)",
        "lower(KW AS x) = 5",
        "a.b.lower(5)",
        "IntA IN ::list",
        "IntA = ::list",
        "IntA = 1 ? 5",
        "IntA = x'zz'",
        "NOT DEFAULT",
        "IntA = KEY",
        "KEY = 5",
        "IntA = VALUES",
        "DEFAULT = 5",
    ] {
        assert!(parse(query).is_err(), "{query}");
    }
}

/// Where a query that is refused goes wrong: its first mistake counts, whatever comes after it.
#[test]
fn the_first_mistake_is_named() {
    for (query, expected) in [
        ("KW NOT NULL", "syntax error at position 39 near 'null'"),
        ("KW == 'a'", "syntax error at position 33"),
        ("KW = 'a' = 'b'", "syntax error at position 38"),
        ("KW IN ('red') = true", "syntax error at position 43"),
        ("KW = 'a' AND AND KW = 'b'", "syntax error at position 44 near 'and'"),
        ("`` = 'x'", "syntax error at position 30"),
        ("NOT", "syntax error at position 31"),
        ("select * from x", "syntax error at position 34 near 'select'"),
        ("KW $ NOT IN ('a')", "syntax error at position 32 near '$'"),
        ("KW = = 'open", "syntax error at position 34"),
        ("KW = 'open \\' x", "syntax error at position 43 near 'open ' x'"),
        ("KW = \"it\"\"s", "syntax error at position 39 near 'it\"s'"),
        ("a.b.c.d = 1", "syntax error at position 34"),
        ("KW IS NU", "syntax error at position 36 near 'NU'"),
        ("KW = 1AND 2", "syntax error at position 34 near '1'"),
        ("KW = _utf8'a'", "syntax error at position 41 near 'a'"),
        ("STARTS_WITH 'a'", "syntax error at position 39 near 'starts_with'"),
        ("KW = 'a' COLLATE NULL ASC", "syntax error at position 49 near 'null'"),
        ("KW = 'a' . b", "syntax error at position 38"),
        ("NOT ~ NOT KW", "syntax error at position 37 near 'not'"),
        ("KW < @ 'a'", "syntax error at position 38 near 'a'"),
    ] {
        let error = parse(query).map_err(|error| error.to_string()).unwrap_err();
        assert_eq!(error.strip_prefix("invalid query: malformed SQL query: "), Some(expected), "{query}");
    }
}

const REFUSED: &[(&str, &str)] = &[
    ("a.* = 5", "malformed SQL query: syntax error at position 31"),
    ("a.'x' = 5", "malformed SQL query: syntax error at position 33 near 'x'"),
    ("order by Nonsense", "invalid search attribute: Nonsense"),
    ("KW =! 'red'", "operation is not supported: unary operator \"!\""),
    ("KW DIV 2", "operation is not supported: expression of type *sqlparser.BinaryExpr"),
    (
        "IntA LIKE 'a%'",
        "invalid expression: invalid value type for search attribute IntA of type Int: \"a%\" (type: string)",
    ),
    ("IntA = -now()", "invalid expression: unary operator not supported in \"-now()\""),
    ("IntA = -IntA", "invalid expression: unary operator not supported in \"-IntA\""),
    ("IntA = -NULL", "invalid expression: unary operator not supported in \"-null\""),
    ("DblA = - -1.5", "invalid expression: unary operator not supported in \"- -1.5\""),
    ("IntA = -(1)", "invalid expression: unary operator not supported in \"-(1)\""),
    ("IntA = -0x1F", "invalid expression: unable to parse value \"0x1F\""),
    ("IntA = 0x", "invalid expression: unable to parse value \"0x\""),
    ("IntA = ~7", "operation is not supported: unary operator \"~\""),
    ("IntA = !7", "operation is not supported: unary operator \"!\""),
    ("IntA = -~5", "invalid expression: unary operator not supported in \"- ~5\""),
    ("KW = +'red'", "invalid expression: unary operator not supported in \"+'red'\""),
    ("BoolA = +true", "invalid expression: unary operator not supported in \"+true\""),
    ("IntA = 7 ORDER BY 1", "invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("IntA = 7 ORDER BY StartTime, Nonsense", "invalid search attribute: Nonsense"),
    ("IntA = 7 GROUP BY Nonsense ORDER BY Nonsense2", "invalid search attribute: Nonsense"),
    ("IntA = 7 ORDER BY Nonsense2 LIMIT 5", "operation is not supported: 'LIMIT' clause"),
    ("KW LIKE 5", "invalid expression: invalid value type for search attribute KW of type Keyword: 5 (type: int64)"),
    (
        "KW LIKE Nonsense",
        "operation is not supported: column name on the right side of comparison expression (did you forget to quote \"Nonsense\"?)",
    ),
    ("TextA LIKE ''", "invalid expression: no tokens found filtering on Text type search attribute TextA"),
    ("TextA > ''", "invalid expression: no tokens found filtering on Text type search attribute TextA"),
    ("TextA IN ('a', '')", "invalid expression: no tokens found filtering on Text type search attribute TextA"),
    (
        "TextA <=> 'a'",
        "operation is not supported: operator '<=>' not supported for Text type search attribute 'TextA'",
    ),
    ("ExecutionStatus LIKE 'Run'", "invalid expression: invalid ExecutionStatus value 'Run'"),
    (
        "ExecutionStatus STARTS_WITH 1",
        "invalid expression: right-hand side of \"starts_with\" operator must be a literal string (got: Running)",
    ),
    (
        "ExecutionStatus NOT STARTS_WITH 'Running'",
        "invalid expression: right-hand side of \"not starts_with\" operator must be a literal string (got: Running)",
    ),
    (
        "ExecutionStatus STARTS_WITH 'WORKFLOW_EXECUTION_STATUS_RUNNING'",
        "invalid expression: right-hand side of \"starts_with\" operator must be a literal string (got: WORKFLOW_EXECUTION_STATUS_RUNNING)",
    ),
    (
        "WorkflowType = 1e6",
        "invalid expression: invalid value type for search attribute WorkflowType of type Keyword: 1e+06 (type: float64)",
    ),
    (
        "WorkflowType = 1000000.5",
        "invalid expression: invalid value type for search attribute WorkflowType of type Keyword: 1.0000005e+06 (type: float64)",
    ),
    (
        "WorkflowType = -0.0",
        "invalid expression: invalid value type for search attribute WorkflowType of type Keyword: 0 (type: float64)",
    ),
    ("IF(BoolA, 1, 2) = 1", "invalid expression: must be a column name but was *sqlparser.FuncExpr"),
    ("DATABASE()", "operation is not supported: function expression"),
    ("IntA = INTERVAL 1 DAY", "invalid expression: unexpected value type *sqlparser.IntervalExpr"),
    ("IntA -> '$.a'", "operation is not supported: expression of type *sqlparser.BinaryExpr"),
    ("IntA = CURRENT_TIMESTAMP()", "operation is not supported: nested func"),
    ("lower(,)", "malformed SQL query: syntax error at position 35"),
    ("a.lower(KW) = 5", "invalid expression: must be a column name but was *sqlparser.FuncExpr"),
    ("a.where.and = 5", "invalid search attribute: a.where.and"),
    ("select.a = 5", "malformed SQL query: syntax error at position 34 near 'select'"),
    ("(SELECT) = 5", "malformed SQL query: syntax error at position 36"),
    ("IntA IN (IntA = 5)", "invalid expression: unexpected value type *sqlparser.ComparisonExpr"),
    ("IntA IN (1 AND 2)", "invalid expression: unexpected value type *sqlparser.AndExpr"),
    ("IntA = :5", "malformed SQL query: syntax error at position 36 near ':'"),
    ("IntA = x'4", "malformed SQL query: syntax error at position 38 near '4'"),
    ("IntA = b'10", "malformed SQL query: syntax error at position 39 near '10'"),
    ("IntA = 5x", "malformed SQL query: syntax error at position 36 near '5'"),
    ("IntA = 0xG", "malformed SQL query: syntax error at position 37 near '0x'"),
    ("IntA = 1.x", "malformed SQL query: syntax error at position 37 near '1.'"),
    ("IntA = 1.2.3", "malformed SQL query: syntax error at position 40 near '.3'"),
    ("IntA = 5é", "malformed SQL query: syntax error at position 37 near '�'"),
    ("IntA = N'a'", "malformed SQL query: syntax error at position 39 near 'a'"),
    ("IntA = 'a' COLLATE 5", "malformed SQL query: syntax error at position 48 near '5'"),
    ("CASE WHEN END", "malformed SQL query: syntax error at position 41 near 'end'"),
    ("EXISTS (IntA)", "malformed SQL query: syntax error at position 40 near 'IntA'"),
    ("NOT BoolA = true IS NULL", "invalid expression: must be a column name but was *sqlparser.ComparisonExpr"),
    ("BoolA IS NOT NULL NOT NULL", "malformed SQL query: syntax error at position 49 near 'not'"),
    ("IntA = 5 GROUP IntA", "malformed SQL query: syntax error at position 47 near 'IntA'"),
    ("IntA = 5 GROUP BY IntA DESC", "malformed SQL query: syntax error at position 55 near 'desc'"),
    ("IntA = 5 LIMIT 5 OFFSET", "malformed SQL query: syntax error at position 51"),
    ("IntA = 5 OFFSET", "malformed SQL query: syntax error at position 43 near 'offset'"),
    ("IntA = 5;;", "malformed SQL query: syntax error at position 38"),
    ("IntA = 1 <= = 5", "malformed SQL query: syntax error at position 39"),
    ("IntA = 1 $ IntA = 5", "malformed SQL query: syntax error at position 38 near '$'"),
    ("IntA = 1 [ 5", "malformed SQL query: syntax error at position 38 near '['"),
    ("IntA = 1 ~ 5", "malformed SQL query: syntax error at position 38"),
    ("IntA = 1 : 5", "malformed SQL query: syntax error at position 38 near ':'"),
    ("IntA = 1 /* IntA", "malformed SQL query: syntax error at position 44 near '/* IntA'"),
    ("IntA = 1 \\ IntA = 5", "malformed SQL query: syntax error at position 38 near '\\'"),
    ("IntA = 1 `a", "malformed SQL query: syntax error at position 39 near 'a'"),
    ("IntA = 1 ``", "malformed SQL query: syntax error at position 39"),
    ("IntA NOT", "malformed SQL query: syntax error at position 36"),
    ("IntA NOT 5", "malformed SQL query: syntax error at position 38 near '5'"),
    ("IntA STARTS_WITH starts_with", "malformed SQL query: syntax error at position 56 near 'starts_with'"),
    ("NOT STARTS_WITH 5", "malformed SQL query: syntax error at position 43 near 'starts_with'"),
    ("AND", "malformed SQL query: syntax error at position 31 near 'and'"),
    ("NOT AND", "malformed SQL query: syntax error at position 35 near 'and'"),
    ("( AND", "malformed SQL query: syntax error at position 33 near 'and'"),
    ("IntA IN (AND)", "malformed SQL query: syntax error at position 40 near 'and'"),
    ("IntA = EXISTS", "malformed SQL query: syntax error at position 41 near 'exists'"),
    ("Ü", "malformed SQL query: syntax error at position 29 near '�'"),
    ("aÜ = 5", "malformed SQL query: syntax error at position 30 near '�'"),
    ("KW = 'Ü' Ü", "malformed SQL query: syntax error at position 39 near '�'"),
    ("(IntA = 5) = 5", "invalid expression: must be a column name but was *sqlparser.ParenExpr"),
    ("(IntA = 5) IS NULL", "invalid expression: must be a column name but was *sqlparser.ParenExpr"),
    ("IntA BETWEEN 1 AND 2 AND 3", "operation is not supported: expression of type *sqlparser.SQLVal"),
    ("IntA BETWEEN IntA = 5 AND 6", "malformed SQL query: syntax error at position 47"),
];
