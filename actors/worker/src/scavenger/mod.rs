//! Looks whether what is stored agrees with itself.

mod actor;
mod check;
mod rows;
mod runs;

pub use check::{Check, Mender};

pub(crate) use actor::{Msg, Scavenger};
