//! The workflow machine, driven from outside through every call. [`kit::Kit`] checks the machine's laws
//! after each step, so a test only says what is special about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activities;
mod activity_changes;
mod activity_control;
mod activity_options;
mod activity_timeouts;
mod buffering;
mod callbacks;
mod cancellation;
mod chains;
mod children;
mod closing;
mod command_failures;
mod deletion;
mod id_policies;
mod kit;
mod options;
mod pausing;
mod random_acts;
mod random_beginnings;
mod random_operations;
mod random_runs;
mod random_words;
mod reads;
mod resets;
mod scale;
mod server_attributes;
mod starts;
mod sticky;
mod tasks;
mod timers;
mod update_refusals;
mod updates;
mod updates_at_the_end;
mod workflow_rules;
