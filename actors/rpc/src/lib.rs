//! What services say to each other, and the clients that deliver it.
//!
//! A request travels as an [`Ask`]: who asks, until when, what, and where the answer goes. History and
//! matching never hold each other's actors: they hold a [`HistoryClient`] or [`MatchingClient`], which
//! finds the owner. Today every owner is on this node; the clients are the only place that will know
//! when it is not.

pub mod ask;
pub mod care;
pub mod family;
pub mod history;
pub mod jobs;
pub mod matching;
pub mod namespaces;
pub mod queue_name;
pub mod workers;

pub use ask::{Ask, Caller};
pub use history::{HistoryCall, HistoryClient, HistoryDirectory};
pub use matching::{MatchingCall, MatchingClient, MatchingDirectory};
pub use namespaces::{NamespaceDeletions, NamespaceService, NamespaceSnapshots};
pub use queue_name::{QueueKind, QueueName, TaskType};
pub use workers::WorkersCall;
