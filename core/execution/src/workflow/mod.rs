//! Workflow executions.

mod activity;
mod activity_control;
pub mod activity_mask;
mod apply;
mod buffer;
pub mod callbacks;
pub mod calls;
mod change;
mod close;
pub mod commands;
pub mod deadline;
pub mod describe;
mod describe_activity;
mod draft;
mod event_kind;
pub mod family;
pub mod id_policy;
pub mod limits;
mod options;
pub mod options_in_force;
pub mod pause;
mod priority;
pub mod query;
mod reset;
mod reset_points;
mod rule_query;
mod rules;
mod server_attributes;
mod speculative;
pub mod start;
pub(crate) mod state;
mod task;
pub mod timers;
pub mod updates;
mod visibility;

pub use callbacks::CallbackId;
pub use change::{Change, Durability, NewTask, Transition};
pub use deadline::Deadline;
pub use server_attributes::search_attributes;
pub use start::{NewRun, Signal};
pub use state::{Volatile, WorkflowState};
pub use updates::{PendingUpdate, Standing, UpdateEnd, UpdateNotice};
pub use visibility::{shown_otherwise, visibility_record};

/// A decision: what changes, and what the caller is told once that is durable.
#[derive(Clone, Debug)]
pub struct Decision<A> {
    /// What changes; `None` when nothing does.
    pub transition: Option<Transition>,
    /// What the caller is told.
    pub answer: A,
}

impl<A> Decision<A> {
    /// A decision that changes something.
    pub(crate) fn change(transition: Transition, answer: A) -> Self {
        Self { transition: Some(transition), answer }
    }

    /// A decision that changes nothing.
    pub(crate) fn nothing(answer: A) -> Self {
        Self { transition: None, answer }
    }
}
