//! Every served RPC through real gRPC against a whole server: what it does, and what it refuses once a
//! request has passed the frontend's checks. Malformed requests are the frontend's own tests.
//!
//! Each test has a server of its own. `TEMPORAL_ADDRESS` holds them against a Temporal server instead; see
//! [`kit::Server`] for how to start it. Tests that need a configuration or a store of their own ignore it.

#![allow(clippy::unwrap_used)]

mod activities;
mod activities_by_id;
mod activity_operations;
mod admin;
mod callbacks;
mod child_ends;
mod child_refusals;
mod children;
mod cluster;
mod deletes;
mod describes;
mod ends;
mod external;
mod histories;
mod kit;
mod lasting;
mod list_filters;
mod listed_attributes;
mod lists;
mod namespace_deletion;
mod namespaces;
mod options;
mod pauses;
mod queries;
mod resets;
mod separate_lists;
mod served;
mod signals;
mod standalone_activities;
mod standalone_operations;
mod starts;
mod steady_lists;
mod sticky;
mod task_queues;
mod update_with_start;
mod updates;
mod workers;
mod workflow_rules;
mod workflow_tasks;
