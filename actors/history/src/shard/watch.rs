//! Long polls for a run's history.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use perdure_kernel::{BusinessKey, Timestamp};

use super::{
    holder::Holder,
    reads::{HistoryAsk, answer_nothing, answer_watch},
};

/// Readers that wait for events.
#[derive(Default)]
pub(super) struct Watchers {
    next: u64,
    waiting: BTreeMap<u64, Watcher>,
    due: BTreeSet<(Timestamp, u64)>,
}

struct Watcher {
    key: BusinessKey,
    until: Timestamp,
    ask: HistoryAsk,
}

impl Watchers {
    /// Lets a reader wait for news of a run in `holder` until `until`.
    pub(super) fn add(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        index: usize,
        until: Timestamp,
        ask: HistoryAsk,
    ) {
        self.next += 1;
        holder.runs[index].watchers.push(self.next);
        self.due.insert((until, self.next));
        self.waiting.insert(self.next, Watcher { key: key.clone(), until, ask });
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the next reader gives up.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Something of this id became durable: readers whose wait is over are answered.
    pub(super) fn notify(&mut self, holder: &mut Holder) {
        for run in &mut holder.runs {
            for id in std::mem::take(&mut run.watchers) {
                let Some(Watcher { key, until, ask }) = self.take(id) else { continue };
                if let Some(ask) = answer_watch(run, ask, false) {
                    run.watchers.push(id);
                    self.due.insert((until, id));
                    self.waiting.insert(id, Watcher { key, until, ask });
                }
            }
        }
    }

    /// Answers readers that have waited long enough: with nothing new, and a token to ask again.
    pub(super) fn expire(&mut self, now: Timestamp, holders: &mut HashMap<BusinessKey, Box<Holder>>) {
        while let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.give_up(id, holders);
        }
    }

    /// Answers all readers: the shard stops.
    pub(super) fn release_all(&mut self, holders: &mut HashMap<BusinessKey, Box<Holder>>) {
        while let Some((_, id)) = self.due.first().copied() {
            self.give_up(id, holders);
        }
    }

    fn give_up(&mut self, id: u64, holders: &mut HashMap<BusinessKey, Box<Holder>>) {
        let Some(watcher) = self.take(id) else { return };
        let Some(holder) = holders.get_mut(&watcher.key) else { return };
        let Some(run) = holder.runs.iter_mut().find(|run| run.watchers.contains(&id)) else { return };
        run.watchers.retain(|watching| *watching != id);
        if holder.uncommitted {
            // What memory holds is not durable.
            answer_nothing(run, watcher.ask);
        } else {
            answer_watch(run, watcher.ask, true);
        }
    }

    fn take(&mut self, id: u64) -> Option<Watcher> {
        let watcher = self.waiting.remove(&id)?;
        self.due.remove(&(watcher.until, id));
        Some(watcher)
    }
}
