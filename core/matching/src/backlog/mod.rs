//! The backlog: tasks that no poller was waiting for, kept by the store under a lease.
//!
//! A level's tasks are stored in the order in which they are served (by pass, then id), so a page of them is
//! read from wherever the last one ended. What is written behind that place stays in the store; what is
//! written before it is kept in memory, and where that gets too much the last of it is left to the store again.

mod read;
mod write;

use std::collections::BTreeSet;

use perdure_kernel::Timestamp;

use crate::{
    AddRefusal, Output, Position, QueueMachine,
    ages::Ages,
    settings::{LEVELS_MAX, RANGE_BITS, STORE_RETRY_FIRST, STORE_RETRY_MAX, doubling},
    tasks::{Entry, Gate, Source},
};

#[derive(Debug)]
pub(crate) struct Backlog {
    /// False for sticky queues, which store nothing.
    stored: bool,
    lease: Lease,
    lease_failures: u32,
    survey: Survey,
    levels: [Level; LEVELS_MAX],
    /// The level being read. Never together with `append`: a page either holds a written task or comes before
    /// it.
    reading: Option<usize>,
    read_after: Timestamp,
    read_failures: u32,
    append: Option<Vec<(Position, Entry)>>,
    /// Tasks up to this age number go to the backlog as soon as a write can begin.
    spill_through: u64,
    acking: Option<Vec<Position>>,
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

/// Whether it is known what earlier owners left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Survey {
    Needed,
    Asked,
    Done,
}

/// One priority level: places are (pass, id).
#[derive(Debug)]
struct Level {
    /// Stored tasks up to this place are in memory or finished.
    cursor: (i64, i64),
    /// Stored tasks behind `cursor`.
    unread: Ages,
    /// More tasks than `unread` counts may be stored behind `cursor`.
    unknown: bool,
    /// Tasks up to `cursor`, and those being written, that are not finished.
    outstanding: BTreeSet<(i64, i64)>,
    /// The last place at which a task was finished.
    finished_max: (i64, i64),
    /// Stored tasks up to this place are deleted.
    acked: (i64, i64),
    /// A delete up to this place was asked for: what is written from now on must be behind it.
    ack_asked: (i64, i64),
    /// The first pass being written.
    writing: Option<i64>,
}

const START: (i64, i64) = (i64::MIN, i64::MIN);

impl Default for Level {
    fn default() -> Self {
        Self {
            cursor: START,
            unread: Ages::default(),
            unknown: false,
            outstanding: BTreeSet::new(),
            finished_max: START,
            acked: START,
            ack_asked: START,
            writing: None,
        }
    }
}

impl Level {
    fn any_unread(&self) -> bool {
        self.unknown || self.unread.count() > 0
    }

    /// Every task up to this place is finished, and none will be written there: `present` is the first pass that
    /// a task can still get, `next_id` the first id.
    fn ack_level(&self, present: i64, next_id: i64) -> (i64, i64) {
        // What is being written may stand behind what was not read.
        let read = self.outstanding.first().map_or(self.cursor, |(pass, id)| self.cursor.min((*pass, id - 1)));
        read.min((present, next_id - 1))
    }
}

impl Backlog {
    pub(crate) fn new(stored: bool) -> Self {
        Self {
            stored,
            lease: Lease::None,
            lease_failures: 0,
            survey: if stored { Survey::Needed } else { Survey::Done },
            levels: Default::default(),
            reading: None,
            read_after: Timestamp::EPOCH,
            read_failures: 0,
            append: None,
            spill_through: 0,
            acking: None,
            finished: 0,
            finished_since: None,
        }
    }

    /// What may be offered of a level now.
    pub(crate) fn gate(&self, level: usize) -> Gate {
        if self.survey != Survey::Done {
            return Gate { pass_max: i64::MIN, holds_others: true };
        }
        let level = &self.levels[level];
        let unread = level.any_unread().then_some(level.cursor.0);
        match (unread, level.writing) {
            (None, None) => Gate::OPEN,
            // A store that fails must not hold up what it has nothing to do with.
            (Some(pass_max), None) => Gate { pass_max, holds_others: self.read_failures == 0 },
            (None, Some(pass_max)) => Gate { pass_max, holds_others: true },
            (Some(read), Some(written)) => Gate { pass_max: read.min(written), holds_others: true },
        }
    }

    /// Whether a task of this pass waits for others to be read, so that it may as well be stored.
    pub(crate) fn is_behind(&self, level: usize, pass: i64) -> bool {
        let level = &self.levels[level];
        self.survey == Survey::Done && level.any_unread() && pass > level.cursor.0
    }

    /// Stored tasks of a level that are not in memory.
    pub(crate) fn unread_of(&self, level: usize) -> u64 {
        self.levels[level].unread.count()
    }

    /// Creation time of the oldest of them.
    pub(crate) fn oldest_unread_of(&self, level: usize) -> Option<Timestamp> {
        self.levels[level].unread.oldest()
    }

    /// Tasks that are neither in the store for certain nor offered: they are being written.
    pub(crate) fn writing(&self) -> impl Iterator<Item = &Entry> {
        self.append.iter().flatten().map(|(_, entry)| entry)
    }

    /// Stored tasks that are not in memory, and those being written.
    pub(crate) fn elsewhere(&self) -> u64 {
        let unread: u64 = self.levels.iter().map(|level| level.unread.count()).sum();
        unread + self.append.as_ref().map_or(0, |append| append.len() as u64)
    }

    /// Whether the lease is held and it is known what the backlog holds.
    pub(crate) fn is_loaded(&self) -> bool {
        self.survey == Survey::Done
    }

    /// Whether a write is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.append.is_some() || self.acking.is_some()
    }

    /// The id up to which a level was read, and that up to which it is finished.
    pub(crate) fn read_and_ack_ids(&self, level: usize) -> (i64, i64) {
        let level = &self.levels[level];
        let ack = level.outstanding.first().map_or(level.cursor.1, |(_, id)| id - 1);
        (level.cursor.1.max(0), ack.max(0))
    }

    /// First and last id that the lease allows.
    pub(crate) fn id_block(&self) -> (i64, i64) {
        match self.lease {
            Lease::Held { next_id, end_id, .. } => (next_id, end_id - 1),
            Lease::None | Lease::Retry(_) | Lease::Acquiring => (0, 0),
        }
    }

    /// A task of the backlog needs no poller any more.
    pub(crate) fn finish(&mut self, place: Position, now: Timestamp) {
        let level = &mut self.levels[place.level];
        let place = (place.pass, place.id);
        if level.outstanding.remove(&place) {
            level.finished_max = level.finished_max.max(place);
            self.finished += 1;
            self.finished_since.get_or_insert(now);
        }
    }

    /// Sends tasks up to this age number to the backlog without further waiting.
    pub(crate) fn spill_through(&mut self, order: u64) {
        self.spill_through = self.spill_through.max(order);
    }
}

impl QueueMachine {
    /// Whether finished tasks could be deleted.
    pub(crate) fn has_garbage(&self) -> bool {
        self.backlog.finished > 0 && self.deletable().next().is_some()
    }

    /// Up to where tasks are finished, by level, where that is further than what is deleted.
    fn deletable(&self) -> impl Iterator<Item = Position> {
        let next_id = match self.backlog.lease {
            Lease::Held { next_id, .. } => next_id,
            Lease::None | Lease::Retry(_) | Lease::Acquiring => i64::MIN + 1,
        };
        self.backlog.levels.iter().zip(&self.fairness).enumerate().filter_map(move |(index, (level, fairness))| {
            let (pass, id) = level.ack_level(fairness.present(), next_id);
            ((pass, id) > level.acked).then_some(Position { level: index, pass, id })
        })
    }

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

    pub(crate) fn lease_acquired(&mut self, range_id: i64) {
        let next_id = range_id << RANGE_BITS;
        self.backlog.lease = Lease::Held { range_id, next_id, end_id: next_id + (1 << RANGE_BITS) };
        self.backlog.lease_failures = 0;
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

    /// When the backlog next needs attention without an input.
    pub(crate) fn backlog_wake(&self) -> Option<Timestamp> {
        if !self.backlog.stored {
            return None;
        }
        match self.backlog.lease {
            Lease::Retry(at) => Some(at),
            Lease::None | Lease::Acquiring => None,
            Lease::Held { .. } => {
                let spill = self.tasks.oldest_arrival().filter(|_| self.may_append());
                let delete = self.backlog.finished_since.filter(|_| self.backlog.acking.is_none());
                [
                    spill.map(|(_, at)| at),
                    self.wants_to_read().then_some(self.backlog.read_after),
                    delete.map(|since| since + self.settings.delete_interval),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }

    /// Puts a stored task where it can be offered.
    fn load(&mut self, place: Position, entry: Entry) {
        let source = Source::Backlog { id: place.id };
        self.tasks.insert(Entry { source, level: place.level, pass: place.pass, ..entry });
    }
}
