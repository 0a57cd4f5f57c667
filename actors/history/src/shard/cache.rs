//! How much of the shard's executions stays in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use perdure_kernel::{BusinessKey, Timestamp};
use perdure_runtime::Ctx;

use super::{Shard, holder::Holder};

/// Entries looked at in one round before eviction gives up: those in use go to the back of the line.
const EVICTIONS_PER_ROUND_MAX: usize = 64;

/// Order of use and bytes used. Bounded by bytes.
pub(super) struct Cache {
    budget: usize,
    bytes: usize,
    ticks: u64,
    /// Business ids by their tick of last use.
    order: BTreeMap<u64, BusinessKey>,
    /// Runs with a workflow task's start that is in memory only, by the time it was decided.
    lazy: VecDeque<(Timestamp, BusinessKey)>,
    lazy_flush: Duration,
}

impl Cache {
    pub(super) fn new(budget: usize, lazy_flush: Duration) -> Self {
        Self { budget, bytes: 0, ticks: 0, order: BTreeMap::new(), lazy: VecDeque::new(), lazy_flush }
    }

    /// Bytes used, and the most there may be.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.bytes, self.budget)
    }

    /// Notes that an id was used, and what it takes now.
    pub(super) fn touch(&mut self, key: &BusinessKey, holder: &mut Holder) {
        self.order.remove(&holder.used);
        self.ticks += 1;
        holder.used = self.ticks;
        self.order.insert(self.ticks, key.clone());
        let bytes = holder.measure();
        self.bytes = self.bytes + bytes - holder.bytes;
        holder.bytes = bytes;
    }

    /// Remembers a start that must be written when nothing else writes it.
    pub(super) fn remember_lazy(&mut self, now: Timestamp, key: &BusinessKey) {
        self.lazy.push_back((now, key.clone()));
    }

    /// When the oldest such start is due.
    pub(super) fn flush_due(&self) -> Option<Timestamp> {
        self.lazy.front().map(|(since, _)| *since + self.lazy_flush)
    }

    /// An id whose start is due.
    pub(super) fn pop_lazy(&mut self, now: Timestamp) -> Option<BusinessKey> {
        let due = self.flush_due().is_some_and(|due| due <= now);
        if due { self.lazy.pop_front().map(|(_, key)| key) } else { None }
    }
}

impl Shard {
    /// Forgets executions that were not used for long while they take more than their budget.
    pub(super) fn evict(&mut self) {
        for _ in 0..EVICTIONS_PER_ROUND_MAX {
            if self.cache.bytes <= self.cache.budget {
                return;
            }
            let Some((_, key)) = self.cache.order.pop_first() else { return };
            let Some(holder) = self.holders.get_mut(&key) else { continue };
            if holder.is_forgettable() {
                self.cache.bytes -= holder.bytes;
                if let Some(holder) = self.holders.remove(&key) {
                    self.forget_wakes(&holder);
                }
            } else {
                self.cache.touch(&key, holder);
            }
        }
    }

    /// Writes starts of workflow tasks that nothing else wrote since.
    pub(super) fn flush_lazy(&mut self, now: Timestamp, ctx: &mut Ctx<Self>) {
        let mut busy = Vec::new();
        while let Some(key) = self.cache.pop_lazy(now) {
            let Some(mut holder) = self.holders.remove(&key) else { continue };
            match holder.runs.iter().position(|run| run.unsaved.since.is_some()) {
                Some(_) if holder.is_busy() => busy.push(key.clone()),
                Some(index) => self.stage(&key, &mut holder, index, Vec::new(), None, Box::new(|_, _, _| {})),
                None => {}
            }
            self.holders.insert(key, holder);
        }
        for key in busy {
            self.cache.remember_lazy(ctx.now(), &key);
        }
        self.flush(ctx);
    }
}
