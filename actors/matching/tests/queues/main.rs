//! The real actors on one thread under paused time, with the memory store and a history that does as told.

#![allow(clippy::unwrap_used)]

mod backlog;
mod describe;
mod kit;
mod partitions;
mod pollers;
mod queries;
