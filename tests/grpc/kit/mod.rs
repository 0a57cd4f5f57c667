//! A server, a workflow with its worker, and short ways to say what is asked and what is expected.

mod commands;
mod flow;
mod messages;
mod refusal;
mod server;
mod solo;
mod updates;

pub(crate) use commands::*;
pub(crate) use flow::*;
pub(crate) use messages::*;
pub(crate) use refusal::refused;
pub(crate) use server::*;
pub(crate) use solo::*;
pub(crate) use updates::*;
