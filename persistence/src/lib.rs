//! What a store must do, and nothing about what it stores means.
//!
//! Stores keep opaque bytes under typed keys. They know no workflow, no event and no rule of the domain:
//! those live in `core/`. Every back end passes the one suite in `conformance` (feature `testkit`).
//!
//! The write path has one shape: a *commit* is a batch of everything a shard decided since its last
//! commit, written atomically under the shard's range id. See [`shard::ShardCommit`].

pub mod cluster;
#[cfg(any(test, feature = "testkit"))]
pub mod conformance;
pub mod decorator;
pub mod error;
pub mod maintenance;
pub mod memory;
pub mod namespace;
pub mod operation;
pub mod shard;
pub mod task_queue;
pub mod visibility;
pub mod visibility_writer;

use std::sync::Arc;

pub use cluster::ClusterStore;
pub use error::{StoreError, StoreErrorKind, StoreResult};
pub use maintenance::MaintenanceStore;
pub use namespace::NamespaceStore;
pub use operation::Operation;
pub use shard::ShardStore;
pub use task_queue::TaskQueueStore;
pub use visibility::VisibilityStore;
pub use visibility_writer::{SeparateVisibility, VisibilityChange, VisibilityWriter};

/// A whole back end: every store trait, behind one handle.
pub trait Store:
    ShardStore + TaskQueueStore + NamespaceStore + ClusterStore + VisibilityStore + MaintenanceStore
{
}

impl<S> Store for S where
    S: ShardStore + TaskQueueStore + NamespaceStore + ClusterStore + VisibilityStore + MaintenanceStore
{
}

/// A shared back end.
pub type SharedStore = Arc<dyn Store>;
