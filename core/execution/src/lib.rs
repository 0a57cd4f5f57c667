//! The deterministic state machines of durable executions.
//!
//! A machine decides and applies; it never acts. It does not read a clock, draw random numbers, wait, or
//! touch a store or a network: time, randomness and settings come in as [`Env`], what is to be stored and
//! done goes out as a [`workflow::Transition`].
//!
//! - [`workflow::WorkflowState`] is a run as it stands.
//! - The functions of [`workflow::calls`] and [`workflow::timers`] decide: state and input in, transition
//!   and answer out, or a refusal that changed nothing.
//! - [`workflow::WorkflowState::apply`] is the one place where state changes. The same function rebuilds a
//!   run from its history: `rebuild(events) == state`, apart from [`workflow::Volatile`].

pub mod activity;
pub mod archetype;
pub mod audit;
pub mod completion;
pub mod env;
mod failures;
pub mod items;
pub mod workflow;

pub use env::Env;
