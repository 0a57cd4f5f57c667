//! Statements over any number of rows.
//!
//! Each statement costs a hop to the connection's thread and back, so rows are written and looked up many
//! at a time. Row counts are powers of two: a handful of texts per statement stay prepared.

use std::sync::{Arc, OnceLock};

use sqlx::{
    AssertSqlSafe, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// A query with its values.
pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// Row counts of prepared statements: 1, 2, 4 .. 64.
const SIZES: usize = 7;

/// Most rows of one statement.
const MAX_ROWS: usize = 1 << (SIZES - 1);

/// Statements kept prepared per connection: every size of every repeated statement, and the others.
pub(super) const STATEMENT_CACHE: usize = 256;

/// SQL with a group that is repeated once per row.
#[derive(Debug)]
pub(super) struct Repeated {
    head: &'static str,
    group: &'static str,
    tail: &'static str,
    texts: [OnceLock<Arc<str>>; SIZES],
}

impl Repeated {
    pub(super) const fn new(head: &'static str, group: &'static str, tail: &'static str) -> Self {
        Self { head, group, tail, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// The text for `1 << size` rows.
    pub(super) fn text(&self, size: u32) -> &Arc<str> {
        self.texts[size as usize].get_or_init(|| {
            let groups = vec![self.group; 1 << size].join(",");
            format!("{}{groups}{}", self.head, self.tail).into()
        })
    }

    fn query(&self, size: u32) -> Bound {
        // Made of constants only: values are bound.
        sqlx::query(AssertSqlSafe(self.text(size).clone()))
    }

    /// Runs the statement once for every row; rows are never repeated.
    pub(super) async fn write<R>(
        &'static self,
        conn: &mut SqliteConnection,
        mut rows: &[R],
        bind: impl Fn(Bound, &R) -> Bound,
    ) -> sqlx::Result<()> {
        while !rows.is_empty() {
            let size = rows.len().min(MAX_ROWS).ilog2();
            let (now, later) = rows.split_at(1 << size);
            now.iter().fold(self.query(size), &bind).execute(&mut *conn).await?;
            rows = later;
        }
        Ok(())
    }

    /// Runs a statement whose group is a list of keys to look for; a key may be repeated to fill the list.
    pub(super) async fn delete<K>(
        &'static self,
        conn: &mut SqliteConnection,
        keys: &[K],
        bind: impl Fn(Bound, &K) -> Bound,
    ) -> sqlx::Result<()> {
        for query in self.padded(keys, bind) {
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Rows found by a list of keys; a key may be repeated to fill the list.
    pub(super) async fn select<K>(
        &'static self,
        conn: &mut SqliteConnection,
        keys: &[K],
        bind: impl Fn(Bound, &K) -> Bound,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        let mut rows = Vec::new();
        for query in self.padded(keys, bind) {
            rows.append(&mut query.fetch_all(&mut *conn).await?);
        }
        Ok(rows)
    }

    fn padded<K>(&'static self, keys: &[K], bind: impl Fn(Bound, &K) -> Bound) -> impl Iterator<Item = Bound> {
        keys.chunks(MAX_ROWS).map(move |chunk| {
            let size = chunk.len().next_power_of_two().ilog2();
            let filler = chunk.last().into_iter().cycle();
            chunk.iter().chain(filler).take(1 << size).fold(self.query(size), &bind)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sqlx::{Connection, Row};

    use super::*;

    static INSERT: Repeated = Repeated::new("INSERT INTO numbers(n) VALUES ", "(?)", "");
    static SELECT: Repeated = Repeated::new("SELECT n FROM numbers WHERE n IN (", "?", ")");
    static DELETE: Repeated = Repeated::new("DELETE FROM numbers WHERE n IN (", "?", ")");

    #[tokio::test]
    async fn every_count_of_rows_is_written_found_and_deleted_once() {
        for count in [0, 1, 2, 3, 7, 63, 64, 65, 200] {
            let mut conn = SqliteConnection::connect(":memory:").await.unwrap();
            sqlx::query("CREATE TABLE numbers(n INTEGER PRIMARY KEY)").execute(&mut conn).await.unwrap();
            let numbers: Vec<i64> = (0..count).collect();
            INSERT.write(&mut conn, &numbers, |query, n| query.bind(*n)).await.unwrap();
            let rows = SELECT.select(&mut conn, &numbers, |query, n| query.bind(*n)).await.unwrap();
            let mut found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            found.sort_unstable();
            assert_eq!(found, numbers);
            DELETE.delete(&mut conn, &numbers, |query, n| query.bind(*n)).await.unwrap();
            assert!(SELECT.select(&mut conn, &numbers, |query, n| query.bind(*n)).await.unwrap().is_empty());
        }
    }
}
