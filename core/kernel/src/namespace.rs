//! A namespace's settings as plain values: what machines and handlers need to know about it.

use std::{collections::BTreeMap, time::Duration};

use perdure_proto::api::{
    enums::{IndexedValueType, NamespaceState},
    rules::WorkflowRule,
};

use crate::{Limits, NamespaceId};

/// A snapshot of a namespace. Snapshots are shared behind `Arc` and replaced whole when settings change.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Immutable id.
    pub id: NamespaceId,
    /// Present name.
    pub name: String,
    /// Lifecycle state.
    pub state: NamespaceState,
    /// How long closed executions are kept.
    pub retention: Duration,
    /// Binary checksums whose workflow tasks are refused, with the reason given.
    pub bad_binaries: BTreeMap<String, String>,
    /// Custom search attributes by the name users give them.
    pub search_attributes: BTreeMap<String, IndexedValueType>,
    /// Workflow rules by their id.
    pub workflow_rules: BTreeMap<String, WorkflowRule>,
    /// Limits in force.
    pub limits: Limits,
}

impl Namespace {
    /// A registered namespace with default limits and a day of retention. For tests and first start.
    pub fn new(id: NamespaceId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            state: NamespaceState::Registered,
            retention: Duration::from_secs(24 * 3600),
            bad_binaries: BTreeMap::new(),
            search_attributes: BTreeMap::new(),
            workflow_rules: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}
