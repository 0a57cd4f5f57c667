//! Versioned database schemas, embedded as data. No drivers: whoever owns a connection applies them.

/// A schema and how it came to be.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Marks a database file as ours where the database has a place for such a mark (SQLite's
    /// `application_id`).
    pub application_id: i32,
    /// Every version, ascending from 1 without gaps. Published versions never change.
    pub versions: &'static [SchemaVersion],
}

/// The step from the version before to this one.
#[derive(Clone, Copy, Debug)]
pub struct SchemaVersion {
    /// Number of the version.
    pub number: u32,
    /// Statements separated by semicolons, to be run in one transaction.
    pub sql: &'static str,
}

impl Schema {
    /// The newest version; what this build reads and writes.
    pub fn current(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// The steps that lead from version `from` to [`Schema::current`], in order.
    pub fn steps_after(&self, from: u32) -> impl Iterator<Item = &'static SchemaVersion> {
        self.versions.iter().filter(move |version| version.number > from)
    }
}

/// The SQLite schema. The application id spells `PRDR`.
pub const SQLITE: Schema = Schema {
    application_id: 0x5052_4452,
    versions: &[
        SchemaVersion { number: 1, sql: include_str!("../sqlite/v1.sql") },
        SchemaVersion { number: 2, sql: include_str!("../sqlite/v2.sql") },
        SchemaVersion { number: 3, sql: include_str!("../sqlite/v3.sql") },
        SchemaVersion { number: 4, sql: include_str!("../sqlite/v4.sql") },
        SchemaVersion { number: 5, sql: include_str!("../sqlite/v5.sql") },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_ascend_from_one_without_gaps() {
        let numbers: Vec<u32> = SQLITE.versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers, (1..=SQLITE.current()).collect::<Vec<_>>());
        assert_eq!(SQLITE.steps_after(0).count(), SQLITE.versions.len());
        assert_eq!(SQLITE.steps_after(SQLITE.current()).count(), 0);
    }
}
