//! What earlier owners left, and pages of it.

use perdure_kernel::Timestamp;

use super::Survey;
use crate::{
    BacklogSurvey, Output, Position, QueueMachine, StoredTask,
    settings::{LEVELS_MAX, STORE_RETRY_FIRST, STORE_RETRY_MAX, doubling},
    tasks::{Entry, Source},
};

impl QueueMachine {
    /// The best level that lacks a page, with room for it.
    fn level_to_read(&self) -> Option<usize> {
        let backlog = &self.backlog;
        if backlog.reading.is_some() || backlog.append.is_some() || self.draining {
            return None;
        }
        let (reload_at, room) = (self.settings.reload_at.max(1), self.settings.page_size.max(1) * 2);
        (0..LEVELS_MAX).find(|level| {
            let loaded = self.tasks.loaded_of(*level);
            backlog.levels[*level].any_unread() && loaded < reload_at && loaded + self.aside.len() < room
        })
    }

    pub(super) fn wants_to_read(&self) -> bool {
        match self.backlog.survey {
            Survey::Needed => !self.draining,
            Survey::Asked => false,
            Survey::Done => self.level_to_read().is_some(),
        }
    }

    pub(super) fn read(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !self.wants_to_read() || self.backlog.read_after > now {
            return;
        }
        if self.backlog.survey == Survey::Needed {
            self.backlog.survey = Survey::Asked;
            return out.push(Output::Survey);
        }
        let Some(index) = self.level_to_read() else { return };
        self.backlog.reading = Some(index);
        let (pass, id) = self.backlog.levels[index].cursor;
        out.push(Output::Read { after: Position { level: index, pass, id }, limit: self.settings.page_size.max(1) });
    }

    /// Learns what earlier owners left. Tasks that came meanwhile line up behind it.
    pub(crate) fn surveyed(&mut self, survey: BacklogSurvey) {
        self.backlog.survey = Survey::Done;
        self.backlog.read_failures = 0;
        // Nothing was served yet, and what came meanwhile gets its passes now.
        self.fairness = Default::default();
        for found in survey.levels {
            let index = found.level.min(LEVELS_MAX - 1);
            self.fairness[index].recover(found.first_pass, found.last_passes);
            for (oldest, count) in found.ages {
                self.backlog.levels[index].unread.add(oldest, count);
            }
        }
        for entry in self.tasks.take_fresh() {
            let pass = self.pass_for(entry.level, entry.key, &entry.task);
            self.tasks.insert(Entry { pass, ..entry });
        }
    }

    pub(crate) fn page_read(&mut self, now: Timestamp, tasks: Vec<StoredTask>, last: Option<Position>, full: bool) {
        let Some(index) = self.backlog.reading.take() else { return };
        self.backlog.read_failures = 0;
        for StoredTask { place, key, task } in tasks {
            let level = &mut self.backlog.levels[index];
            // A task that is in memory anyhow: it was written, and the store was not sure.
            if !level.outstanding.insert((place.pass, place.id)) {
                continue;
            }
            let source = Source::Backlog { id: place.id };
            let entry =
                Entry { task, source, level: index, pass: place.pass, key, request: None, failures: 0, since: now };
            level.unread.remove(entry.created());
            self.load(place, entry);
        }
        let level = &mut self.backlog.levels[index];
        level.cursor = last.map_or(level.cursor, |last| level.cursor.max((last.pass, last.id)));
        if !full {
            level.unread.clear();
            level.unknown = false;
        }
    }

    pub(crate) fn read_failed(&mut self, now: Timestamp) {
        let backlog = &mut self.backlog;
        if backlog.survey == Survey::Asked {
            backlog.survey = Survey::Needed;
        }
        backlog.reading = None;
        backlog.read_failures += 1;
        backlog.read_after = now + doubling(STORE_RETRY_FIRST, STORE_RETRY_MAX, backlog.read_failures);
    }
}
