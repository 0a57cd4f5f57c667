//! The backlog: tasks that no poller was waiting for, kept by the store under a lease.

use std::collections::BTreeSet;

use perdure_kernel::Timestamp;

use crate::{
    AddRefusal, Output, QueueMachine, StoredTask,
    settings::{LEVELS, RANGE_BITS, STORE_RETRY_FIRST, STORE_RETRY_MAX, WAITING_TASKS_MAX, doubling},
    tasks::{Entry, Source, level_of},
};

#[derive(Debug)]
pub(crate) struct Backlog {
    /// False for sticky queues, which store nothing.
    stored: bool,
    lease: Lease,
    lease_failures: u32,
    /// Tasks up to this id are in memory or finished.
    read_level: i64,
    /// Stored tasks above `read_level`, by level.
    unread: [u64; LEVELS],
    /// More tasks than `unread` counts may be stored above `read_level`.
    unread_unknown: bool,
    /// Never together with `append`: a page either holds a written task or comes before it.
    reading: bool,
    read_after: Timestamp,
    read_failures: u32,
    /// Tasks up to `read_level` that are not finished.
    outstanding: BTreeSet<i64>,
    append: Option<Append>,
    /// Tasks up to this age number go to the backlog as soon as a write can begin.
    spill_through: u64,
    acked: i64,
    acking: Option<i64>,
    finished: u64,
    /// When the oldest finished task that is still stored finished, or the last delete failed.
    finished_since: Option<Timestamp>,
}

#[derive(Debug)]
enum Lease {
    None,
    Retry(Timestamp),
    Acquiring,
    Held { range_id: i64, next_id: i64, end_id: i64 },
}

#[derive(Debug)]
struct Append {
    tasks: Vec<(i64, Entry)>,
    best_level: usize,
}

impl Backlog {
    pub(crate) fn new(stored: bool) -> Self {
        Self {
            stored,
            lease: Lease::None,
            lease_failures: 0,
            read_level: 0,
            unread: [0; LEVELS],
            unread_unknown: stored,
            reading: false,
            read_after: Timestamp::EPOCH,
            read_failures: 0,
            outstanding: BTreeSet::new(),
            append: None,
            spill_through: 0,
            acked: 0,
            acking: None,
            finished: 0,
            finished_since: None,
        }
    }

    /// Fresh tasks from this level on must wait: older tasks of their level are on their way to the
    /// backlog, or unread in it.
    pub(crate) fn blocked_from(&self) -> usize {
        let unread = self.unread_from();
        self.append.as_ref().map_or(unread, |append| unread.min(append.best_level))
    }

    /// The best level that the backlog may hold unread tasks of.
    pub(crate) fn unread_from(&self) -> usize {
        if self.unread_unknown { 0 } else { self.unread.iter().position(|count| *count > 0).unwrap_or(LEVELS) }
    }

    fn any_unread(&self) -> bool {
        self.unread_unknown || self.unread.iter().any(|count| *count > 0)
    }

    /// Tasks known to be in the backlog and not finished.
    pub(crate) fn count(&self) -> u64 {
        let unread: u64 = self.unread.iter().sum();
        unread + self.outstanding.len() as u64 + self.append.as_ref().map_or(0, |append| append.tasks.len() as u64)
    }

    /// Tasks of a level that are not in memory.
    pub(crate) fn unread_of(&self, level: usize) -> u64 {
        self.unread.get(level).copied().unwrap_or(0)
    }

    /// Whether the lease is held and the backlog's first page is in memory.
    pub(crate) fn is_loaded(&self) -> bool {
        !self.unread_unknown
    }

    /// Whether finished tasks could be deleted.
    pub(crate) fn has_garbage(&self) -> bool {
        self.finished > 0 && self.ack_level() > self.acked
    }

    /// Whether a write is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.append.is_some() || self.acking.is_some()
    }

    pub(crate) fn read_level(&self) -> i64 {
        self.read_level
    }

    /// Every task up to this id is finished.
    pub(crate) fn ack_level(&self) -> i64 {
        self.outstanding.first().map_or(self.read_level, |id| id - 1)
    }

    /// First and last id that the lease allows.
    pub(crate) fn id_block(&self) -> (i64, i64) {
        match self.lease {
            Lease::Held { next_id, end_id, .. } => (next_id, end_id - 1),
            Lease::None | Lease::Retry(_) | Lease::Acquiring => (0, 0),
        }
    }

    /// A task of the backlog needs no poller any more.
    pub(crate) fn finish(&mut self, id: i64, now: Timestamp) {
        if self.outstanding.remove(&id) {
            self.finished += 1;
            self.finished_since.get_or_insert(now);
        }
    }

    /// Sends tasks up to this age number to the backlog without further waiting.
    pub(crate) fn spill_through(&mut self, order: u64) {
        self.spill_through = self.spill_through.max(order);
    }

    fn load(&mut self, id: i64, entry: Entry) -> Entry {
        self.outstanding.insert(id);
        Entry { source: Source::Backlog { id }, ..entry }
    }
}

impl QueueMachine {
    /// Starts whatever the backlog needs next.
    pub(crate) fn maintain_backlog(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !self.backlog.stored {
            return;
        }
        match self.backlog.lease {
            Lease::None => self.acquire(out),
            Lease::Retry(at) if at <= now => self.acquire(out),
            Lease::Retry(_) | Lease::Acquiring => {}
            Lease::Held { range_id, .. } => {
                // Reads first: writes follow one another without a gap while tasks pour in.
                self.read(now, out);
                self.spill(now, out);
                self.delete_finished(now, range_id, out);
            }
        }
    }

    fn acquire(&mut self, out: &mut Vec<Output>) {
        if !self.draining {
            self.backlog.lease = Lease::Acquiring;
            out.push(Output::AcquireLease);
        }
    }

    pub(crate) fn lease_acquired(&mut self, range_id: i64, ack_id: i64) {
        let next_id = range_id << RANGE_BITS;
        self.backlog.lease = Lease::Held { range_id, next_id, end_id: next_id + (1 << RANGE_BITS) };
        self.backlog.lease_failures = 0;
        self.backlog.read_level = self.backlog.read_level.max(ack_id);
        self.backlog.acked = self.backlog.acked.max(ack_id);
    }

    /// Without a lease nothing can be stored: whoever added tasks must keep them.
    pub(crate) fn lease_failed(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.backlog.lease_failures += 1;
        let pause = doubling(STORE_RETRY_FIRST, STORE_RETRY_MAX, self.backlog.lease_failures);
        self.backlog.lease = Lease::Retry(now + pause);
        while let Some(entry) = self.tasks.take_oldest_arrival() {
            self.refuse(entry, AddRefusal::NotStored, out);
        }
    }

    fn spill_is_due(&self, now: Timestamp) -> bool {
        self.tasks
            .oldest_arrival()
            .is_some_and(|(order, spill_at)| order <= self.backlog.spill_through || spill_at <= now)
    }

    fn spill(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.backlog.append.is_some() || self.backlog.reading || self.draining {
            return;
        }
        let crowded = self.tasks.waiting_arrivals() > WAITING_TASKS_MAX;
        if !crowded && !self.spill_is_due(now) {
            return;
        }
        let Lease::Held { range_id, next_id, end_id } = self.backlog.lease else { return };
        if next_id >= end_id {
            // A delete in flight names the old range id: it must not meet the new lease.
            if self.backlog.acking.is_none() {
                self.acquire(out);
            }
            return;
        }
        let mut batch = Vec::new();
        let mut id = next_id;
        while id < end_id && batch.len() < self.settings.append_batch_max.max(1) && (crowded || self.spill_is_due(now))
        {
            let Some(entry) = self.tasks.take_oldest_arrival() else { break };
            if entry.is_expired(now) {
                self.finish(now, &entry, out);
                out.push(Output::TaskExpired);
                continue;
            }
            batch.push((id, entry));
            id += 1;
        }
        if batch.is_empty() {
            return;
        }
        self.backlog.lease = Lease::Held { range_id, next_id: id, end_id };
        let tasks = batch.iter().map(|(id, entry)| StoredTask { id: *id, task: entry.task.clone() }).collect();
        out.push(Output::Append { range_id, tasks });
        let best_level = batch.iter().map(|(_, entry)| entry.level()).min().unwrap_or(LEVELS);
        self.backlog.append = Some(Append { tasks: batch, best_level });
    }

    pub(crate) fn appended(&mut self, out: &mut Vec<Output>) {
        let Some(append) = self.backlog.append.take() else { return };
        let fits = self.tasks.loaded() + append.tasks.len() <= self.settings.page_size + self.settings.reload_at;
        let load = fits && !self.backlog.any_unread();
        for (id, entry) in append.tasks {
            if let Some(ask) = entry.source.ask() {
                self.unacknowledged -= 1;
                out.push(Output::AckAdd { ask });
            }
            if load {
                self.backlog.read_level = id;
                let entry = self.backlog.load(id, entry);
                self.tasks.insert(entry);
            } else {
                self.backlog.unread[entry.level()] += 1;
            }
        }
    }

    /// The write may have been applied all the same. Its tasks are refused, so what it left is at worst a
    /// second copy, which history will not start.
    pub(crate) fn append_failed(&mut self, out: &mut Vec<Output>) {
        let Some(append) = self.backlog.append.take() else { return };
        for (_, entry) in append.tasks {
            self.refuse(entry, AddRefusal::NotStored, out);
        }
        self.backlog.unread_unknown = true;
    }

    fn wants_page(&self) -> bool {
        let (backlog, loaded) = (&self.backlog, self.tasks.loaded());
        backlog.any_unread()
            && !backlog.reading
            && backlog.append.is_none()
            && loaded < self.settings.reload_at.max(1)
            && loaded + self.aside.len() < self.settings.page_size.max(1) * 2
    }

    fn read(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !self.wants_page() || self.backlog.read_after > now || self.draining {
            return;
        }
        let backlog = &mut self.backlog;
        backlog.reading = true;
        out.push(Output::Read { after_id: backlog.read_level, limit: self.settings.page_size.max(1) });
    }

    pub(crate) fn page_read(&mut self, now: Timestamp, tasks: Vec<StoredTask>, last_id: Option<i64>, full: bool) {
        self.backlog.reading = false;
        self.backlog.read_failures = 0;
        for StoredTask { id, task } in tasks {
            let level = level_of(&task);
            let entry = Entry { task, source: Source::Backlog { id }, request: None, failures: 0, since: now };
            let entry = self.backlog.load(id, entry);
            self.backlog.unread[level] = self.backlog.unread[level].saturating_sub(1);
            self.tasks.insert(entry);
        }
        self.backlog.read_level = last_id.unwrap_or(self.backlog.read_level).max(self.backlog.read_level);
        if !full {
            self.backlog.unread = [0; LEVELS];
            self.backlog.unread_unknown = false;
        }
    }

    pub(crate) fn read_failed(&mut self, now: Timestamp) {
        let backlog = &mut self.backlog;
        backlog.reading = false;
        backlog.read_failures += 1;
        backlog.read_after = now + doubling(STORE_RETRY_FIRST, STORE_RETRY_MAX, backlog.read_failures);
    }

    fn delete_finished(&mut self, now: Timestamp, range_id: i64, out: &mut Vec<Output>) {
        let interval = self.settings.delete_interval;
        let backlog = &mut self.backlog;
        let Some(since) = backlog.finished_since else { return };
        let due = backlog.finished >= self.settings.delete_batch || since + interval <= now || self.draining;
        let ack_id = backlog.ack_level();
        if due && backlog.acking.is_none() && ack_id > backlog.acked {
            backlog.acking = Some(ack_id);
            backlog.finished = 0;
            backlog.finished_since = None;
            out.push(Output::Ack { range_id, ack_id });
        } else if since + interval <= now {
            // An older task is still out; look again later.
            backlog.finished_since = Some(now);
        }
    }

    pub(crate) fn acked(&mut self) {
        if let Some(ack_id) = self.backlog.acking.take() {
            self.backlog.acked = ack_id;
        }
    }

    pub(crate) fn ack_failed(&mut self, now: Timestamp) {
        self.backlog.acking = None;
        if !self.draining {
            self.backlog.finished_since = Some(now);
        }
    }

    /// When the backlog next needs attention without an input.
    pub(crate) fn backlog_wake(&self) -> Option<Timestamp> {
        if !self.backlog.stored {
            return None;
        }
        match self.backlog.lease {
            Lease::Retry(at) => Some(at),
            Lease::None | Lease::Acquiring => None,
            Lease::Held { .. } => {
                let spill =
                    self.tasks.oldest_arrival().filter(|_| self.backlog.append.is_none() && !self.backlog.reading);
                let delete = self.backlog.finished_since.filter(|_| self.backlog.acking.is_none());
                [
                    spill.map(|(_, at)| at),
                    self.wants_page().then_some(self.backlog.read_after),
                    delete.map(|since| since + self.settings.delete_interval),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }
}
