//! The public gRPC services: validation, admission and error mapping.
//!
//! A request passes [`call`](crate) (namespace, state, rates, client version, room), then the handler of its
//! RPC: check it, ask a history shard or a task queue, answer. Handlers keep no state and never touch
//! executions or tasks in a store; lists and counts they read from visibility. [`status::to_status`] turns every
//! refusal into the status and detail that clients of Temporal decode.
//!
//! [`WORKFLOW_SERVED`] and its siblings list which RPCs are answered; `docs/compatibility.md` says how far.

mod admin;
mod admission;
mod call;
mod client_version;
mod health;
mod namespaces;
mod operations;
mod operator;
mod oversize;
mod reflection;
mod scope;
mod server;
mod service;
mod settings;
pub mod status;
mod validate;
mod visibility;
mod workflow;

pub use admin::{NodeFacts, NodeSource};
pub use client_version::{SERVER_VERSION, SUPPORTED_CLIENTS};
pub use namespaces::{NamespaceDeletions, NamespaceService, NamespaceSnapshots};
pub use operator::{SERVED as OPERATOR_SERVED, UNSERVED as OPERATOR_UNSERVED};
pub use server::{Frontend, FrontendParts, REQUEST_SIZE_MAX};
pub use settings::{ClusterInfo, FrontendSettings, SettingsSource};
pub use workflow::service::{SERVED as WORKFLOW_SERVED, UNSERVED as WORKFLOW_UNSERVED};
