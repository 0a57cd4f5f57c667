//! Asks that wait for a run to change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use perdure_execution::archetype::AnyValue;
use perdure_kernel::{BusinessKey, Timestamp};

use super::{ActAsk, ActorRun};
use crate::shard::{
    holder::Holder,
    work::{Job, Selector},
};

/// When waits end. Bounded by the permits that their asks hold.
#[derive(Default)]
pub(in crate::shard) struct Waits {
    next: u64,
    due: BTreeMap<(Timestamp, u64), BusinessKey>,
}

/// An ask that has no answer yet.
pub(super) struct Waiting {
    id: u64,
    until: Timestamp,
    ask: ActAsk,
    /// The answer when nothing came in time.
    otherwise: AnyValue,
}

impl Waits {
    /// Lets an ask wait for the run's next change until `until`.
    pub(super) fn add(
        &mut self,
        key: &BusinessKey,
        run: &mut ActorRun,
        until: Timestamp,
        ask: ActAsk,
        otherwise: AnyValue,
    ) {
        self.next += 1;
        self.due.insert((until, self.next), key.clone());
        run.waiting.push(Waiting { id: self.next, until, ask, otherwise });
    }

    /// When the next wait ends.
    pub(in crate::shard) fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Something of this id became durable: who waits asks again.
    pub(in crate::shard) fn notify(&mut self, holder: &mut Holder) {
        let Holder { actors, waiting: jobs, .. } = holder;
        for run in actors {
            for waiting in run.waiting.drain(..) {
                let Waiting { id, until, ask, otherwise: _ } = waiting;
                self.due.remove(&(until, id));
                jobs.push_back((Selector::Run(Arc::clone(&run.run_id)), Job::Again { ask, until }));
            }
        }
    }

    /// Answers those that have waited long enough.
    pub(in crate::shard) fn expire(&mut self, now: Timestamp, holders: &mut HashMap<BusinessKey, Box<Holder>>) {
        while self.next_due().is_some_and(|at| at <= now) {
            let Some(((_, id), key)) = self.due.pop_first() else { return };
            let Some(holder) = holders.get_mut(&key) else { continue };
            for run in &mut holder.actors {
                let ended = run.waiting.iter().position(|waiting| waiting.id == id);
                if let Some(Waiting { ask, otherwise, .. }) = ended.map(|index| run.waiting.swap_remove(index)) {
                    ask.reply.send(Ok(otherwise));
                }
            }
        }
    }
}
