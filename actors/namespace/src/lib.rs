//! Namespaces: settings snapshots, the calls that change them, and the actor that reads them.
//!
//! Handlers and shards read snapshots ([`Namespaces`] behind `perdure_rpc::NamespaceService`) without
//! waiting. Changes are written to the store under the version that was read, and tried again on a
//! conflict; the snapshot is replaced before the caller is answered. One actor on each node reads what is
//! not cached, and, while there are several nodes, what others have changed. A node that is alone reads
//! nothing that nobody asked for.
//!
//! What the crate does not do: it checks no permissions and no rates, and it removes nothing that is in a
//! namespace that is to be deleted: `perdure-worker` does.

mod actor;
mod aliases;
mod delete;
mod deprecate;
mod describe;
mod fault;
mod list;
mod register;
mod rules;
mod service;
mod snapshots;
mod update;
mod write;

pub use service::{DeletionRules, DeletionRulesSource, Namespaces, Options, Settings};
pub use snapshots::LimitsSource;

/// Name of the namespace that the server keeps for its own workflows.
pub const SYSTEM_NAMESPACE: &str = "temporal-system";
