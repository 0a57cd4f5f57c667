//! What in the database belongs to nothing or does not add up, and its mending.

use perdure_persistence::{Operation, StoreResult, maintenance::Remains};
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use super::error::read_failed;

/// Lines of SQLite's own check that are passed on.
const DAMAGES_MAX: u32 = 20;

/// Something that is not as it should be: rows of one table whose owner in another is gone, or sums that are wrong.
#[derive(Debug)]
pub(super) struct Kind {
    problem: &'static str,
    what: &'static str,
    /// ` FROM .. WHERE ..` of the rows.
    rows: &'static str,
    /// What mends it; none where a shard's memory may rest on the rows.
    mend: Mend,
}

#[derive(Debug)]
enum Mend {
    Never,
    /// Deletes the rows.
    Delete,
    /// Runs these statements.
    Run(&'static str),
}

/// Every kind, in the order in which they are looked for.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        problem: "item_without_run",
        what: "stored items of runs that do not exist",
        rows: " FROM item WHERE run NOT IN (SELECT run FROM execution)",
        mend: Mend::Delete,
    },
    Kind {
        problem: "history_without_run",
        what: "history batches of runs that do not exist",
        rows: " FROM history WHERE run NOT IN (SELECT run FROM execution)",
        mend: Mend::Delete,
    },
    Kind {
        problem: "attribute_without_row",
        what: "search attributes of runs that lists do not show",
        rows: " FROM visibility_attribute WHERE run NOT IN (SELECT run FROM visibility)",
        mend: Mend::Delete,
    },
    Kind {
        problem: "wrong_count",
        what: "counts of a type, task queue and status that differ from the rows of lists",
        rows: " FROM (SELECT 1 FROM \
               (SELECT scope, type_name, task_queue, status, 1 AS number FROM visibility UNION ALL \
                SELECT scope, type_name, task_queue, status, -number FROM visibility_count) \
               GROUP BY scope, type_name, task_queue, status HAVING sum(number) <> 0)",
        mend: Mend::Run(
            "DELETE FROM visibility_count; \
             INSERT INTO visibility_count(scope, type_name, task_queue, status, number) \
             SELECT scope, type_name, task_queue, status, count(*) FROM visibility \
             GROUP BY scope, type_name, task_queue, status",
        ),
    },
    Kind {
        problem: "task_without_queue",
        what: "backlog tasks of task queues that do not exist",
        rows: " FROM queue_task WHERE queue NOT IN (SELECT queue FROM queue)",
        mend: Mend::Delete,
    },
    Kind {
        problem: "pointer_to_nothing",
        what: "ids that point to runs that do not exist",
        rows: " FROM current_run WHERE NOT EXISTS \
               (SELECT 1 FROM execution WHERE key = CAST(business || run_id AS BLOB))",
        mend: Mend::Never,
    },
];

/// How many rows there are of a kind.
async fn count(pool: &SqlitePool, kind: &Kind) -> StoreResult<i64> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*){}", kind.rows)))
        .fetch_one(pool)
        .await
        .map_err(read_failed(Operation::Verify))
}

/// Mends a kind.
pub(super) async fn mend(conn: &mut SqliteConnection, kind: &Kind) -> sqlx::Result<()> {
    let statements = match kind.mend {
        Mend::Never => return Ok(()),
        Mend::Delete => format!("DELETE{}", kind.rows),
        Mend::Run(statements) => statements.to_owned(),
    };
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(conn).await.map(drop)
}

/// Everything there is, `removed` still false. The kinds that can be mended come with it.
pub(super) async fn look(pool: &SqlitePool) -> StoreResult<Vec<(Option<&'static Kind>, Remains)>> {
    let mut found = Vec::new();
    for kind in KINDS {
        let count = count(pool, kind).await?;
        if count > 0 {
            let remains = Remains { problem: kind.problem, text: format!("{count} {}", kind.what), removed: false };
            found.push(((!matches!(kind.mend, Mend::Never)).then_some(kind), remains));
        }
    }
    let damages: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("PRAGMA integrity_check({DAMAGES_MAX})")))
        .fetch_all(pool)
        .await
        .map_err(read_failed(Operation::Verify))?;
    for damage in damages.into_iter().filter(|line| line != "ok") {
        found.push((None, Remains { problem: "damaged", text: format!("SQLite says: {damage}"), removed: false }));
    }
    Ok(found)
}
