//! Writes of a visibility store that is not the main database.
//!
//! Where lists live in the main database, commits write their rows (see [`crate::visibility`]). A store of its
//! own (another database, Elasticsearch, OpenSearch) is written through this trait by the visibility queue of
//! each shard, after the commit that changed what lists show.

use async_trait::async_trait;
use perdure_kernel::{ExecutionKey, VisibilityRecord};

use crate::{StoreResult, VisibilityStore};

/// What becomes of one run's row.
#[derive(Clone, Debug, PartialEq)]
pub enum VisibilityChange {
    /// Writes or replaces the row.
    Put {
        /// What the row shows. Its key is the run's.
        record: Box<VisibilityRecord>,
        /// Version of the run's record in the main database that the row was made from. A row of an older or
        /// the same version never replaces one that is there.
        version: i64,
    },
    /// Removes the row. That is the last word on a run: ids of runs are not used again.
    Remove {
        /// The run.
        key: ExecutionKey,
    },
}

impl VisibilityChange {
    /// Whose row it is.
    pub fn key(&self) -> &ExecutionKey {
        match self {
            Self::Put { record, .. } => &record.key,
            Self::Remove { key } => key,
        }
    }
}

/// Takes the rows that lists are read from.
///
/// A call may be made again after it was applied (its outcome was unknown, the shard started anew), and a
/// call that was given up may still take effect after later ones. So changes are idempotent, and their versions
/// decide, not the order in which they come. In detail:
///
/// - a put that is not newer than the row that is there changes nothing, and is no error;
/// - removing an absent row is no error;
/// - a put of a run that was removed changes nothing, and is no error. A store need remember a removal only as
///   long as a call that was given up may still be on its way: minutes.
#[async_trait]
pub trait VisibilityWriter: Send + Sync + 'static {
    /// Applies changes. `Ok` when all of them are durable and lists show them, or will without further help.
    /// After an error each of them may have been applied or not: all are given again, in this or in other
    /// company.
    async fn write_visibility(&self, changes: Vec<VisibilityChange>) -> StoreResult<()>;

    /// Short name of the back end, shown to operators: `elasticsearch`.
    fn visibility_backend(&self) -> &'static str;
}

/// A visibility store beside the main database: what a node is given that does not keep lists in the latter.
pub trait SeparateVisibility: VisibilityStore + VisibilityWriter {}

impl<S: VisibilityStore + VisibilityWriter> SeparateVisibility for S {}
