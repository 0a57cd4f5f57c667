//! Writing tasks down, and deleting those that are finished.

use perdure_kernel::Timestamp;

use super::{Lease, Survey};
use crate::{
    AddRefusal, Output, Position, QueueMachine, StoredTask,
    settings::WAITING_TASKS_MAX,
    tasks::{Entry, Place},
};

impl QueueMachine {
    fn spill_is_due(&self, now: Timestamp) -> bool {
        self.tasks
            .oldest_arrival()
            .is_some_and(|(order, spill_at)| order <= self.backlog.spill_through || spill_at <= now)
    }

    pub(super) fn may_append(&self) -> bool {
        let backlog = &self.backlog;
        backlog.append.is_none() && backlog.reading.is_none() && backlog.survey == Survey::Done
    }

    pub(super) fn spill(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !self.may_append() || self.draining {
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
            batch.push((self.place_in_backlog(&entry, id), entry));
            id += 1;
        }
        if batch.is_empty() {
            return;
        }
        self.backlog.lease = Lease::Held { range_id, next_id: id, end_id };
        let stored =
            |(place, entry): &(Position, Entry)| StoredTask { place: *place, key: entry.key, task: entry.task.clone() };
        out.push(Output::Append { range_id, tasks: batch.iter().map(stored).collect() });
        self.backlog.append = Some(batch);
    }

    /// Where a task is written: at its pass, or at the level's present when that has gone past it. Before that it
    /// could be deleted unread.
    fn place_in_backlog(&mut self, entry: &Entry, id: i64) -> Position {
        let level = &mut self.backlog.levels[entry.level];
        let pass = entry.pass.max(level.ack_asked.0).max(self.fairness[entry.level].present());
        level.outstanding.insert((pass, id));
        level.writing = Some(level.writing.map_or(pass, |first| first.min(pass)));
        Position { level: entry.level, pass, id }
    }

    fn end_append(&mut self) -> Vec<(Position, Entry)> {
        for level in &mut self.backlog.levels {
            level.writing = None;
        }
        self.backlog.append.take().unwrap_or_default()
    }

    pub(crate) fn appended(&mut self, out: &mut Vec<Output>) {
        let room = self.settings.page_size + self.settings.reload_at;
        for (place, entry) in self.end_append() {
            if let Some(ask) = entry.source.ask() {
                self.unacknowledged -= 1;
                out.push(Output::AckAdd { ask });
            }
            let loaded = self.tasks.loaded_of(place.level);
            let level = &mut self.backlog.levels[place.level];
            let at = (place.pass, place.id);
            if at <= level.cursor || (!level.any_unread() && loaded < room) {
                level.cursor = level.cursor.max(at);
                self.load(place, entry);
                self.trim(place.level);
            } else {
                level.outstanding.remove(&at);
                level.unread.add(entry.created(), 1);
            }
        }
    }

    /// Leaves the last of too many loaded tasks to the store again.
    fn trim(&mut self, index: usize) {
        let keep = self.settings.page_size.max(1) * 2;
        while self.tasks.loaded_of(index) > keep {
            let Some(last) = self.tasks.last_loaded(index) else { return };
            let level = &mut self.backlog.levels[index];
            let at = (last.pass, last.id);
            // What was taken from behind it must not be read again.
            if level.outstanding.last() != Some(&at) || level.finished_max > at {
                return;
            }
            let Some(entry) = self.tasks.take(Place::Backlog(index, last.pass, last.id)) else { return };
            level.outstanding.remove(&at);
            level.unread.add(entry.created(), 1);
            let before = level.outstanding.last().copied().unwrap_or(level.acked);
            level.cursor = before.max(level.finished_max);
        }
    }

    /// The write may have been applied all the same. Its tasks are refused, so what it left is at worst a
    /// second copy, which history will not start. Behind the cursor it will be read; up to the cursor it is only
    /// deleted, because going back for it would hold up the tasks that are loaded from behind it.
    pub(crate) fn append_failed(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for (place, entry) in self.end_append() {
            let level = &mut self.backlog.levels[place.level];
            let at = (place.pass, place.id);
            level.outstanding.remove(&at);
            if at > level.cursor {
                level.unknown = true;
            } else {
                self.backlog.finished += 1;
                self.backlog.finished_since.get_or_insert(now);
            }
            self.refuse(entry, AddRefusal::NotStored, out);
        }
    }

    pub(super) fn delete_finished(&mut self, now: Timestamp, range_id: i64, out: &mut Vec<Output>) {
        let interval = self.settings.delete_interval;
        let backlog = &self.backlog;
        let Some(since) = backlog.finished_since else { return };
        if backlog.acking.is_some() {
            return;
        }
        let due = backlog.finished >= self.settings.delete_batch || since + interval <= now || self.draining;
        if !due {
            return;
        }
        let through: Vec<Position> = self.deletable().collect();
        let backlog = &mut self.backlog;
        if through.is_empty() {
            // An older task is still out; look again later.
            if since + interval <= now {
                backlog.finished_since = Some(now);
            }
            return;
        }
        for place in &through {
            backlog.levels[place.level].ack_asked = (place.pass, place.id);
        }
        backlog.finished = 0;
        backlog.finished_since = None;
        out.push(Output::Ack { range_id, through: through.clone() });
        backlog.acking = Some(through);
    }

    pub(crate) fn acked(&mut self) {
        for place in self.backlog.acking.take().unwrap_or_default() {
            self.backlog.levels[place.level].acked = (place.pass, place.id);
        }
    }

    pub(crate) fn ack_failed(&mut self, now: Timestamp) {
        self.backlog.acking = None;
        if !self.draining {
            self.backlog.finished_since = Some(now);
        }
    }
}
