//! The public API of Temporal as Rust types and tonic stubs, and Perdure's own stored and internode
//! messages.
//!
//! Nothing here has behaviour. Everything is generated in `build.rs`: see there for where the
//! descriptions come from. `bytes` fields are [`bytes::Bytes`], so payloads are shared, not copied.

// Generated code: the lints of the house do not apply to it.
#![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, clippy::unwrap_used, dead_code)]
#![allow(rustdoc::all)]

mod generated {
    tonic::include_proto!("mod");
}

/// Stored records.
pub mod records {
    pub use crate::perdure::persistence::v1::*;
}

/// What operators ask of a running server beyond Temporal's API.
pub mod admin {
    pub use crate::perdure::admin::v1::*;
}

/// Tokens that clients hand back.
pub mod tokens {
    pub use crate::perdure::token::v1::*;
}

pub use generated::google;
pub use generated::perdure;
pub use generated::temporal;

pub use prost_types::{Any, Duration, FieldMask, Timestamp};

include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

/// The encoded descriptor set of every type in this crate, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `temporal.api.*` without the `v1` tail, as the rest of the code names it: `api::common::Payloads`.
pub mod api {
    pub use crate::temporal::api::activity::v1 as activity;
    pub use crate::temporal::api::batch::v1 as batch;
    pub use crate::temporal::api::callback::v1 as callback;
    pub use crate::temporal::api::command::v1 as command;
    pub use crate::temporal::api::common::v1 as common;
    pub use crate::temporal::api::deployment::v1 as deployment;
    pub use crate::temporal::api::enums::v1 as enums;
    pub use crate::temporal::api::errordetails::v1 as errordetails;
    pub use crate::temporal::api::failure::v1 as failure;
    pub use crate::temporal::api::filter::v1 as filter;
    pub use crate::temporal::api::history::v1 as history;
    pub use crate::temporal::api::namespace::v1 as namespace;
    pub use crate::temporal::api::nexus::v1 as nexus;
    pub use crate::temporal::api::operatorservice::v1 as operatorservice;
    pub use crate::temporal::api::protocol::v1 as protocol;
    pub use crate::temporal::api::query::v1 as query;
    pub use crate::temporal::api::replication::v1 as replication;
    pub use crate::temporal::api::rules::v1 as rules;
    pub use crate::temporal::api::schedule::v1 as schedule;
    pub use crate::temporal::api::sdk::v1 as sdk;
    pub use crate::temporal::api::taskqueue::v1 as taskqueue;
    pub use crate::temporal::api::update::v1 as update;
    pub use crate::temporal::api::version::v1 as version;
    pub use crate::temporal::api::worker::v1 as worker;
    pub use crate::temporal::api::workflow::v1 as workflow;
    pub use crate::temporal::api::workflowservice::v1 as workflowservice;
}
