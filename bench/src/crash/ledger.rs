//! What the server has acknowledged, as its clients wrote it down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// One workflow.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Run id of the acknowledged start.
    pub run_id: Option<String>,
    /// Run ids that came with tasks; there must be no other than [`Entry::run_id`].
    pub runs_seen: BTreeSet<String>,
    /// Whether the signal was acknowledged.
    pub signal_acknowledged: bool,
    /// Started-event ids of acknowledged workflow task completions.
    pub workflow_tasks: Vec<i64>,
    /// Completions of the activity.
    pub activity: Completions,
    /// Completions of the workflow.
    pub workflow: Completions,
    /// Outcomes of the update, as the worker gave them.
    pub update: Completions,
    /// Outcome of the update, as its client was told.
    pub update_outcome: Option<String>,
    /// The child workflow.
    pub child: Child,
    /// Calls that were refused though they should not have been, in words.
    pub refusals: Vec<String>,
}

/// A workflow's child, as the worker saw it.
#[derive(Debug, Clone, Default)]
pub struct Child {
    /// Run ids that came with tasks; there must be one.
    pub runs_seen: BTreeSet<String>,
    /// Completions of the child.
    pub workflow: Completions,
}

/// A standalone activity.
#[derive(Debug, Clone, Default)]
pub struct Standalone {
    /// Run id of the acknowledged start.
    pub run_id: Option<String>,
    /// Run ids that came with tasks; there must be no other than [`Standalone::run_id`].
    pub runs_seen: BTreeSet<String>,
    /// Completions by the worker.
    pub activity: Completions,
    /// The outcome that the client waited for.
    pub outcome: Option<String>,
    /// Calls that were refused though they should not have been, in words.
    pub refusals: Vec<String>,
}

/// Results that a worker sent, each with a text of its own.
#[derive(Debug, Clone, Default)]
pub struct Completions {
    /// All that were sent, whatever became of them.
    pub sent: Vec<String>,
    /// Those that were acknowledged.
    pub acknowledged: Vec<String>,
}

/// All that was started.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Workflows by workflow id, without children.
    pub workflows: BTreeMap<String, Entry>,
    /// Standalone activities by activity id.
    pub activities: BTreeMap<String, Standalone>,
}

/// Numbers of acknowledgements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// Starts of workflows.
    pub starts: u64,
    /// Signals.
    pub signals: u64,
    /// Workflow task completions.
    pub workflow_tasks: u64,
    /// Activity completions.
    pub activities: u64,
    /// Workflow completions.
    pub completions: u64,
    /// Updates whose outcome a client was told.
    pub updates: u64,
    /// Completions of children.
    pub children: u64,
    /// Standalone activities whose outcome a client was told.
    pub standalone_activities: u64,
}

impl Ledger {
    /// The entry of a workflow, made when there is none.
    pub fn entry(&mut self, workflow_id: &str) -> &mut Entry {
        self.workflows.entry(workflow_id.to_owned()).or_default()
    }

    /// The entry of a standalone activity, made when there is none.
    pub fn standalone(&mut self, activity_id: &str) -> &mut Standalone {
        self.activities.entry(activity_id.to_owned()).or_default()
    }

    /// Sums over everything.
    pub fn acknowledged(&self) -> Acknowledged {
        let mut sum = Acknowledged::default();
        for entry in self.workflows.values() {
            sum.starts += u64::from(entry.run_id.is_some());
            sum.signals += u64::from(entry.signal_acknowledged);
            sum.workflow_tasks += entry.workflow_tasks.len() as u64;
            sum.activities += entry.activity.acknowledged.len() as u64;
            sum.completions += entry.workflow.acknowledged.len() as u64;
            sum.updates += u64::from(entry.update_outcome.is_some());
            sum.children += entry.child.workflow.acknowledged.len() as u64;
        }
        let outcomes = self.activities.values().filter(|activity| activity.outcome.is_some());
        sum.standalone_activities = outcomes.count() as u64;
        sum
    }
}

/// The ledger that starters and workers share.
#[derive(Debug, Clone, Default)]
pub struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    /// Locks it. What was written before a panic stays true, so poison is ignored.
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all entries out.
    pub fn take(&self) -> Ledger {
        std::mem::take(&mut *self.lock())
    }
}
