//! What belongs to nothing in the database, and its removal.

use perdure_kernel::ExecutionKey;
use perdure_persistence::{Operation, StoreResult, maintenance::Remains};
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use super::error::read_failed;

/// Lines of SQLite's own check that are passed on.
const DAMAGES_MAX: u32 = 20;

/// Rows of one table whose owner in another is gone.
#[derive(Debug)]
pub(super) struct Kind {
    problem: &'static str,
    what: &'static str,
    /// ` FROM .. WHERE ..` of the rows.
    rows: &'static str,
    /// Whether they are removed when that is asked for: not where a shard's memory may rest on them.
    removable: bool,
}

/// Every kind, in the order in which they are looked for.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        problem: "item_without_run",
        what: "stored items of runs that do not exist",
        rows: " FROM item WHERE run NOT IN (SELECT run FROM execution)",
        removable: true,
    },
    Kind {
        problem: "history_without_run",
        what: "history batches of runs that do not exist",
        rows: " FROM history WHERE run NOT IN (SELECT run FROM execution)",
        removable: true,
    },
    Kind {
        problem: "attribute_without_row",
        what: "search attributes of runs that lists do not show",
        rows: " FROM visibility_attribute WHERE run NOT IN (SELECT run FROM visibility)",
        removable: true,
    },
    Kind {
        problem: "task_without_queue",
        what: "backlog tasks of task queues that do not exist",
        rows: " FROM queue_task WHERE queue NOT IN (SELECT queue FROM queue)",
        removable: true,
    },
    Kind {
        problem: "pointer_to_nothing",
        what: "ids that point to runs that do not exist",
        rows: " FROM current_run WHERE NOT EXISTS \
               (SELECT 1 FROM execution WHERE key = CAST(business || run_id AS BLOB))",
        removable: false,
    },
];

/// How many rows there are of a kind.
async fn count(pool: &SqlitePool, kind: &Kind) -> StoreResult<i64> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*){}", kind.rows)))
        .fetch_one(pool)
        .await
        .map_err(read_failed(Operation::Verify))
}

/// Removes the rows of a kind.
pub(super) async fn remove(conn: &mut SqliteConnection, kind: &Kind) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(format!("DELETE{}", kind.rows))).execute(conn).await.map(drop)
}

/// Removes rows of lists by run id.
pub(super) async fn remove_rows(conn: &mut SqliteConnection, runs: &[ExecutionKey]) -> sqlx::Result<()> {
    const ATTRIBUTES: &str = "DELETE FROM visibility_attribute WHERE run IN \
         (SELECT run FROM visibility WHERE run_id = ?1 AND workflow_id = ?2)";
    const ROWS: &str = "DELETE FROM visibility WHERE run_id = ?1 AND workflow_id = ?2";
    for run in runs {
        for statement in [ATTRIBUTES, ROWS] {
            let statement =
                sqlx::query(statement).bind(run.run_id.to_string()).bind(run.business.business_id.to_string());
            statement.execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// Everything there is, `removed` still false. The kinds that can be removed come with it.
pub(super) async fn look(pool: &SqlitePool) -> StoreResult<Vec<(Option<&'static Kind>, Remains)>> {
    let mut found = Vec::new();
    for kind in KINDS {
        let count = count(pool, kind).await?;
        if count > 0 {
            let remains = Remains { problem: kind.problem, text: format!("{count} {}", kind.what), removed: false };
            found.push((kind.removable.then_some(kind), remains));
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
