//! Load generator, comparison and crash test. They speak the public gRPC API alone, so the same
//! program measures Perdure, Temporal's development server and anything else that serves that API.
//!
//! - [`run`]: one load run of one [`scenario::Scenario`] against one address; gives a [`report::Report`].
//! - [`compare`]: starts servers itself and sweeps concurrency over them.
//! - [`crash`]: kills a server again and again under load and audits what it had acknowledged.

pub mod child;
pub mod client;
pub mod compare;
pub mod crash;
pub mod messages;
pub mod options;
pub mod process;
pub mod report;
pub mod run;
pub mod scenario;
pub mod tally;
pub mod updates;
pub mod worker;
