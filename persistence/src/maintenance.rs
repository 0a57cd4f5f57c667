//! Care of what is stored: what belongs to nothing, and its removal.

use async_trait::async_trait;
use perdure_kernel::{ExecutionKey, VisibilityRecord};

use crate::StoreResult;

/// Something in a store that belongs to nothing, or that the store itself calls damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// A name for metrics and scripts: `history_without_run`.
    pub problem: &'static str,
    /// What and how much, in words.
    pub text: String,
    /// Whether it is removed, or put right, now.
    pub removed: bool,
}

/// Care of a store. Its calls may take long; they hold up nobody else.
#[async_trait]
pub trait MaintenanceStore: Send + Sync + 'static {
    /// Looks for what belongs to nothing and for damage; with `remove`, removes what no shard can miss. Sees the
    /// store as it is at one moment, kind by kind.
    async fn verify(&self, remove: bool) -> StoreResult<Vec<Remains>>;

    /// Rows of lists, of every namespace, those behind the row of `after`, at most `limit`. The order is the store's
    /// own and does not change; rows written or removed meanwhile may be missed or seen, others are seen once.
    async fn scan_visibility(&self, after: Option<&ExecutionKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>>;

    /// The rows of these runs, in their order; `None` for those without one.
    async fn load_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<Vec<Option<VisibilityRecord>>>;

    /// Removes rows of lists by their runs, which must not exist any more. Rows that are not there are no error.
    async fn remove_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<()>;
}
