//! Namespaces that are being deleted.
//!
//! `DeleteNamespace` marks a namespace and gives it another name; from then on it takes no requests. What is in
//! it goes here: executions through their shards, then task queues, then whatever lists still show, then, after a
//! delay if there is one, the namespace itself. The mark is stored with the namespace, so a job that stopped half-way
//! is begun again; each step finds what is left.

mod actor;
mod job;

pub(crate) use actor::{Deletions, Msg};
