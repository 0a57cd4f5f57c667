//! Visibility: lists and counts of executions.
//!
//! Rows are written by the commits of shards: an [`crate::shard::ExecutionOp::Put`] may bring a record, and
//! a removed run takes its row with it. So what a commit has acknowledged, the next list shows.

use async_trait::async_trait;
use perdure_kernel::{NamespaceId, VisibilityRecord};
use perdure_visibility::{GroupBy, Query, SortKey};

use crate::StoreResult;

/// Reads of visibility. Every query is about one namespace.
#[async_trait]
pub trait VisibilityStore: Send + Sync + 'static {
    /// Records that pass the query's filter and come after `after`, in the order of [`SortKey`], at most
    /// `limit`. A record that changes its place while pages are read may be seen twice or not at all; all
    /// others are seen once.
    async fn list_visibility(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        after: Option<&SortKey>,
        limit: usize,
    ) -> StoreResult<Vec<VisibilityRecord>>;

    /// How many records pass the query's filter.
    async fn count_visibility(&self, namespace: &NamespaceId, query: &Query) -> StoreResult<u64>;

    /// How many records pass the query's filter, by group: the name of a status, or a keyword, empty for
    /// records without one. Groups are in the order of the status's numbers, or of the keywords.
    async fn count_visibility_groups(
        &self,
        namespace: &NamespaceId,
        query: &Query,
        by: &GroupBy,
    ) -> StoreResult<Vec<(String, u64)>>;
}
