//! The shards of a node over the in-memory store: what is told when, and what is left after every kind of
//! failure. Paused time; no test sleeps.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../kit/mod.rs"]
mod kit;

mod activities;
mod archetypes;
mod cache;
mod callbacks;
mod care;
mod children;
mod commits;
mod crashes;
mod deletions;
mod dispatch;
mod failures;
mod lazy;
mod policies;
mod queries;
mod reads;
mod resets;
mod storm;
mod supervision;
mod survivors;
mod timers;
mod update_ends;
mod updates;
mod visibility;
mod visibility_queue;
mod visibility_storm;
