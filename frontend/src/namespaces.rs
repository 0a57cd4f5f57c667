//! Namespaces, as the handlers see them.

pub use perdure_rpc::namespaces::{NamespaceDeletions, NamespaceService, NamespaceSnapshots};
