//! Names of things.

use std::{fmt, sync::Arc};

/// Number of a history shard, `1..`. Stable for the shard's life; split and merge make new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A namespace's immutable id: a UUID as text. Names can change hands, ids do not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(pub Arc<str>);

impl NamespaceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NamespaceId {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kind of durable actor. The number is stored: never reuse one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Archetype(pub u16);

impl Archetype {
    /// A workflow execution.
    pub const WORKFLOW: Self = Self(1);
    /// A standalone activity.
    pub const ACTIVITY: Self = Self(2);
}

/// Names all runs of one business id (for workflows: the workflow id). Decides the shard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessKey {
    /// The namespace that the id lives in.
    pub namespace_id: NamespaceId,
    /// The kind of execution: ids of different kinds do not clash.
    pub archetype: Archetype,
    /// The id that the user chose.
    pub business_id: Arc<str>,
}

impl BusinessKey {
    /// The key of a workflow id.
    pub fn workflow(namespace_id: &NamespaceId, workflow_id: &str) -> Self {
        Self { namespace_id: namespace_id.clone(), archetype: Archetype::WORKFLOW, business_id: workflow_id.into() }
    }

    /// The key of a standalone activity's id.
    pub fn activity(namespace_id: &NamespaceId, activity_id: &str) -> Self {
        Self { namespace_id: namespace_id.clone(), archetype: Archetype::ACTIVITY, business_id: activity_id.into() }
    }
}

/// Names one run of one execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionKey {
    /// Whose run it is.
    pub business: BusinessKey,
    /// The run: a UUID as text.
    pub run_id: Arc<str>,
}

impl ExecutionKey {
    /// The key of a workflow run.
    pub fn workflow(namespace_id: &NamespaceId, workflow_id: &str, run_id: &str) -> Self {
        Self { business: BusinessKey::workflow(namespace_id, workflow_id), run_id: run_id.into() }
    }
}
