//! Who is alive, by the order in which they are to stop.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::future::AbortHandle;
use tokio::sync::Notify;

use crate::{lock, slot::Stop};

/// The actors and tasks of one system, ordered by birth so that equal runs stop equally. Locked at their
/// birth and death only.
#[derive(Default)]
pub(crate) struct Roll {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// No empty stage is kept.
    stages: BTreeMap<u32, BTreeMap<u64, Arc<dyn Stop>>>,
    tasks: BTreeMap<u64, AbortHandle>,
    /// Nothing may be spawned in this stage and those above.
    closed_from: Option<u32>,
}

/// One actor's line.
pub(crate) struct Entry {
    roll: Arc<Roll>,
    actor: Arc<dyn Stop>,
    stage: u32,
    id: u64,
}

impl Entry {
    pub(crate) fn name(&self) -> &str {
        self.actor.name()
    }

    pub(crate) fn leave(&self) {
        let mut state = lock(&self.roll.state);
        if let Some(stage) = state.stages.get_mut(&self.stage) {
            stage.remove(&self.id);
            if stage.is_empty() {
                state.stages.remove(&self.stage);
                self.roll.changed.notify_waiters();
            }
        }
    }
}

impl Roll {
    /// Enters an actor; `None` when its stage is being stopped.
    pub(crate) fn enter(self: &Arc<Self>, stage: u32, actor: Arc<dyn Stop>) -> Option<Entry> {
        let mut state = lock(&self.state);
        if state.closed_from.is_some_and(|closed| stage >= closed) {
            return None;
        }
        state.next_id += 1;
        let id = state.next_id;
        state.stages.entry(stage).or_default().insert(id, Arc::clone(&actor));
        Some(Entry { roll: Arc::clone(self), actor, stage, id })
    }

    /// Enters a task; `None` when everything is being stopped.
    pub(crate) fn enter_task(&self, task: AbortHandle) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.closed_from == Some(0) {
            return None;
        }
        state.next_id += 1;
        let id = state.next_id;
        state.tasks.insert(id, task);
        Some(id)
    }

    pub(crate) fn leave_task(&self, id: u64) {
        let mut state = lock(&self.state);
        state.tasks.remove(&id);
        if state.tasks.is_empty() {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn abort_tasks(&self) {
        let tasks = std::mem::take(&mut lock(&self.state).tasks);
        for task in tasks.into_values() {
            task.abort();
        }
    }

    /// Closes the highest stage that has actors and returns it with them. `None` when there are none: then
    /// everything is closed.
    pub(crate) fn close_highest(&self) -> Option<(u32, Vec<Arc<dyn Stop>>)> {
        let mut state = lock(&self.state);
        let highest = state.stages.last_key_value().map(|(stage, actors)| (*stage, actors.values().cloned().collect()));
        let from = highest.as_ref().map_or(0, |(stage, _)| *stage);
        state.closed_from = Some(state.closed_from.map_or(from, |closed| closed.min(from)));
        highest
    }

    /// Those alive in a stage.
    pub(crate) fn members(&self, stage: u32) -> Vec<Arc<dyn Stop>> {
        lock(&self.state).stages.get(&stage).map_or_else(Vec::new, |actors| actors.values().cloned().collect())
    }

    /// Closes every stage and returns whoever is alive, in stopping order.
    pub(crate) fn close_all(&self) -> Vec<Arc<dyn Stop>> {
        let mut state = lock(&self.state);
        state.closed_from = Some(0);
        state.stages.values().rev().flat_map(|actors| actors.values().cloned()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.state).stages.values().map(BTreeMap::len).sum()
    }

    /// Resolves when nobody is left in `stage` or, with `None`, anywhere.
    pub(crate) async fn emptied(&self, stage: Option<u32>) {
        let empty = |state: &State| stage.map_or(state.stages.is_empty(), |stage| !state.stages.contains_key(&stage));
        self.until(empty).await;
    }

    /// Resolves when no task is left.
    pub(crate) async fn tasks_ended(&self) {
        self.until(|state| state.tasks.is_empty()).await;
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if reached(&lock(&self.state)) {
                return;
            }
            changed.await;
        }
    }
}
