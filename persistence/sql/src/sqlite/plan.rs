//! Looks at query plans.

#![allow(clippy::unwrap_used)]

use sqlx::{AssertSqlSafe, Row};

use super::{SqliteOptions, open::Connector};

/// Fails if any of the texts scans a table or sorts.
pub(super) async fn assert_searches(texts: &[&str]) {
    let mut conn = Connector::new(SqliteOptions::memory()).unwrap().writer().await.unwrap();
    for sql in texts.iter().flat_map(|text| text.split(';')) {
        let explain = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
        let plan: Vec<String> =
            explain.fetch_all(&mut conn).await.unwrap().iter().map(|row| row.get("detail")).collect();
        // The rows of a VALUES clause are read one after the other, as they should be.
        let scans = |line: &String| line.starts_with("SCAN") && !line.contains("VALUES CLAUSE");
        assert!(!plan.iter().any(|line| scans(line) || line.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
}
