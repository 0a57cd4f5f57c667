//! What runs of other archetypes put into the open batch.

use std::{collections::BTreeSet, sync::Arc};

use perdure_execution::{
    archetype::{AnyState, ItemName, NewRun, Transition},
    workflow::NewTask,
};
use perdure_kernel::{BusinessKey, ExecutionKey, Timestamp};
use perdure_persistence::shard::{CurrentRunWrite, ExecutionOp, ExecutionWrite, ItemKey, VisibilityWrite};
use perdure_proto::records;
use prost::Message;

use super::ActorRun;
use crate::shard::{
    Shard,
    commit::{AfterCommit, Staged},
    holder::{Current, Holder},
};

/// What a decision writes beside the run's record.
#[derive(Default)]
struct Writes {
    items: BTreeSet<ItemName>,
    tasks: Vec<NewTask>,
    shown: bool,
    current: Option<CurrentRunWrite>,
}

impl Shard {
    /// Takes over a change of a run.
    pub(super) fn change_actor(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        transition: Transition<AnyState>,
        after: AfterCommit,
    ) {
        let Transition { state, items, tasks, shown } = transition;
        holder.actors[index].state = state;
        let staged = Staged::new(key, after);
        self.stage_actor(holder, index, Writes { items, tasks, shown, current: None }, staged);
    }

    /// Takes over a new run; its id's pointer moves to it.
    pub(super) fn begin_actor(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        new: NewRun<AnyState>,
        after: AfterCommit,
    ) {
        let NewRun { run_id, transition: Transition { state, items, tasks, shown } } = new;
        let run_key = ExecutionKey { business: key.clone(), run_id: run_id.into() };
        let expected = holder.current.run_id();
        holder.current = Current::Run(Arc::clone(&run_key.run_id));
        let pointer = CurrentRunWrite { expected, run_id: holder.current.run_id() };
        holder.actors.push(ActorRun::new(run_key, state));
        let (index, staged) = (holder.actors.len() - 1, Staged::new(key, after));
        self.stage_actor(holder, index, Writes { items, tasks, shown, current: Some(pointer) }, staged);
    }

    /// Writes a run that has not changed, with a row for its next wake-up.
    pub(super) fn rest_actor(&mut self, key: &BusinessKey, holder: &mut Holder, index: usize, after: AfterCommit) {
        self.stage_actor(holder, index, Writes::default(), Staged::new(key, after));
    }

    /// Writes a run's row of lists and its wake-up anew.
    pub(in crate::shard) fn mend_actor(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        after: AfterCommit,
    ) {
        holder.actors[index].wake = (Timestamp::EPOCH, 0);
        self.stage_actor(holder, index, Writes { shown: true, ..Writes::default() }, Staged::new(key, after));
    }

    /// Removes a run with all that is stored of it. Who waits for it asks again, and finds it gone.
    pub(in crate::shard) fn remove_actor(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        after: AfterCommit,
    ) {
        self.waits.notify(holder);
        let run = holder.actors.remove(index);
        let mut current = None;
        if holder.current == Current::Run(Arc::clone(&run.run_id)) {
            current = Some(CurrentRunWrite { expected: holder.current.run_id(), run_id: None });
            holder.current = Current::Absent;
        }
        let mut staged = Staged::new(key, after);
        if self.machine(key).is_some_and(|machine| machine.visibility(&run.state).is_some()) {
            self.stage_visibility(&run.key, &mut staged);
        }
        let write = ExecutionWrite { key: run.key, op: ExecutionOp::Delete, current };
        self.pipeline.push(write, staged);
        holder.uncommitted = true;
    }

    fn stage_actor(&mut self, holder: &mut Holder, index: usize, writes: Writes, mut staged: Staged) {
        let run = &mut holder.actors[index];
        let Some(machine) = self.machine(&run.key.business) else { return };
        if let Some(at) = machine.wake_at(&run.state).filter(|at| run.wake.0.is_unset() || *at < run.wake.0) {
            // Never the unset time, however far back the machine wants to be woken.
            let at = at.max(Timestamp::from_nanos(1));
            let Some(id) = self.stage_wake(&run.key, at, &mut staged) else { return };
            run.wake = (at, id);
        }
        for task in writes.tasks {
            self.stage_task(&run.key, task, &mut staged);
        }
        let mut items_put = Vec::new();
        let mut items_deleted = Vec::new();
        for item in &writes.items {
            let (kind, name) = item.clone();
            match machine.item(&run.state, item) {
                Some(bytes) => items_put.push((ItemKey { kind, name }, bytes)),
                None if run.version > 0 => items_deleted.push(ItemKey { kind, name }),
                None => {}
            }
        }
        let mut shown = if writes.shown { machine.visibility(&run.state) } else { None };
        if self.visibility.is_separate() && shown.take().is_some() {
            self.stage_visibility(&run.key, &mut staged);
        }
        let shown = shown.map(|record| VisibilityWrite { record: Box::new(record), attributes_changed: true });
        let record = machine.record(&run.state);
        let record = records::Actor { wake_at: run.wake.0.as_nanos(), wake_id: run.wake.1, record };
        let expected_version = (run.version > 0).then_some(run.version);
        run.version += 1;
        run.state_bytes = machine.bytes(&run.state);
        let op = ExecutionOp::Put {
            expected_version,
            version: run.version,
            record: record.encode_to_vec().into(),
            items_put,
            items_deleted,
            history: Vec::new(),
            visibility: shown,
        };
        let write = ExecutionWrite { key: run.key.clone(), op, current: writes.current };
        self.pipeline.push(write, staged);
        holder.uncommitted = true;
    }
}
