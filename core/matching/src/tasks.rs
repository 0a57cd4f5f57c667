//! Tasks in memory, ordered by priority and age.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use perdure_kernel::Timestamp;
use perdure_proto::records::QueuedTask;

use crate::{
    AskId,
    settings::{LEVEL_DEFAULT, LEVELS},
};

/// A task in memory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) task: Arc<QueuedTask>,
    pub(crate) source: Source,
    /// Number that names its start in history; kept until a start succeeds, because a failed one may
    /// have counted.
    pub(crate) request: Option<u64>,
    /// Starts that failed.
    pub(crate) failures: u32,
    pub(crate) since: Timestamp,
}

/// Who answers for a task, and what becomes of it without a poller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not acknowledged; goes to the backlog at `spill_at`.
    Added { ask: AskId, order: u64, spill_at: Timestamp },
    /// Not acknowledged; goes back to the child partition at `until`.
    FromChild { ask: AskId, order: u64, until: Timestamp },
    /// Of a sticky queue: acknowledged, and dropped at `expires_at`.
    Sticky { order: u64, expires_at: Timestamp },
    /// In the backlog.
    Backlog { id: i64 },
}

impl Source {
    /// Who waits for the acknowledgement, if somebody does.
    pub(crate) fn ask(self) -> Option<AskId> {
        match self {
            Self::Added { ask, .. } | Self::FromChild { ask, .. } => Some(ask),
            Self::Sticky { .. } | Self::Backlog { .. } => None,
        }
    }
}

impl Entry {
    /// Index of its priority level; 0 is served first.
    pub(crate) fn level(&self) -> usize {
        level_of(&self.task)
    }

    /// Whether a child partition answers for it.
    pub(crate) fn is_guest(&self) -> bool {
        match self.source {
            Source::FromChild { .. } => true,
            Source::Added { .. } | Source::Sticky { .. } | Source::Backlog { .. } => false,
        }
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.task.expires_at != 0 && self.task.expires_at <= now.as_nanos()
    }
}

/// Index of a task's priority level; 0 is served first.
pub(crate) fn level_of(task: &QueuedTask) -> usize {
    let key = task.priority.as_ref().map_or(0, |priority| priority.priority_key);
    let level = usize::try_from(key).ok().filter(|level| *level > 0).unwrap_or(LEVEL_DEFAULT);
    level.min(LEVELS) - 1
}

#[derive(Debug, Default)]
struct Level {
    /// Older than all of `fresh`.
    backlog: BTreeMap<i64, Entry>,
    fresh: BTreeMap<u64, Entry>,
}

/// Tasks that may be offered to pollers.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    levels: [Level; LEVELS],
    loaded: usize,
    fresh: usize,
    /// `FromChild` tasks by level: their own partition counts them.
    guests: [usize; LEVELS],
    /// `Added` tasks by age: when each goes to the backlog, and its level.
    arrivals: BTreeMap<u64, (Timestamp, usize)>,
    /// When `FromChild` and `Sticky` tasks leave.
    ends: BTreeSet<(Timestamp, u64, usize)>,
}

/// Where an offerable task is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Backlog(usize, i64),
    Fresh(usize, u64),
}

impl Tasks {
    pub(crate) fn insert(&mut self, entry: Entry) {
        let index = entry.level();
        let level = &mut self.levels[index];
        let order = match entry.source {
            Source::Backlog { id } => {
                level.backlog.insert(id, entry);
                self.loaded += 1;
                return;
            }
            Source::Added { order, spill_at, .. } => {
                self.arrivals.insert(order, (spill_at, index));
                order
            }
            Source::FromChild { order, until: end, .. } | Source::Sticky { order, expires_at: end } => {
                if end != Timestamp::MAX {
                    self.ends.insert((end, order, index));
                }
                order
            }
        };
        self.guests[index] += usize::from(entry.is_guest());
        level.fresh.insert(order, entry);
        self.fresh += 1;
    }

    /// The next task to offer. Fresh tasks from level `blocked_from` on must wait: older ones of their
    /// level are not in memory.
    pub(crate) fn first(&self, blocked_from: usize) -> Option<Place> {
        self.levels.iter().enumerate().find_map(|(index, level)| {
            let backlog = level.backlog.first_key_value().map(|(id, _)| Place::Backlog(index, *id));
            backlog.or_else(|| {
                let fresh = if index < blocked_from { level.fresh.first_key_value() } else { None };
                fresh.map(|(order, _)| Place::Fresh(index, *order))
            })
        })
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Entry> {
        match place {
            Place::Backlog(level, id) => self.levels[level].backlog.get(&id),
            Place::Fresh(level, order) => self.levels[level].fresh.get(&order),
        }
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Entry> {
        match place {
            Place::Backlog(level, id) => {
                let entry = self.levels[level].backlog.remove(&id)?;
                self.loaded -= 1;
                Some(entry)
            }
            Place::Fresh(level, order) => {
                let entry = self.levels[level].fresh.remove(&order)?;
                self.fresh -= 1;
                self.guests[level] -= usize::from(entry.is_guest());
                match entry.source {
                    Source::Added { order, .. } => {
                        self.arrivals.remove(&order);
                    }
                    Source::FromChild { order, until: end, .. } | Source::Sticky { order, expires_at: end } => {
                        self.ends.remove(&(end, order, level));
                    }
                    Source::Backlog { .. } => {}
                }
                Some(entry)
            }
        }
    }

    /// Takes a `FromChild` or `Sticky` task whose time is over.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Option<Entry> {
        let (end, order, level) = *self.ends.first()?;
        if end > now { None } else { self.take(Place::Fresh(level, order)) }
    }

    /// Age number and spill time of the oldest `Added` task.
    pub(crate) fn oldest_arrival(&self) -> Option<(u64, Timestamp)> {
        self.arrivals.first_key_value().map(|(order, (spill_at, _))| (*order, *spill_at))
    }

    /// Takes the oldest `Added` task.
    pub(crate) fn take_oldest_arrival(&mut self) -> Option<Entry> {
        let (order, (_, level)) = self.arrivals.first_key_value()?;
        let place = Place::Fresh(*level, *order);
        self.take(place)
    }

    /// Takes every task that is not of the backlog.
    pub(crate) fn take_fresh(&mut self) -> Vec<Entry> {
        self.arrivals.clear();
        self.ends.clear();
        self.fresh = 0;
        self.guests = [0; LEVELS];
        self.levels.iter_mut().flat_map(|level| std::mem::take(&mut level.fresh).into_values()).collect()
    }

    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, ..)| *end)
    }

    pub(crate) fn loaded(&self) -> usize {
        self.loaded
    }

    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    pub(crate) fn waiting_arrivals(&self) -> usize {
        self.arrivals.len()
    }

    /// Fresh tasks that are this partition's own.
    pub(crate) fn own_fresh(&self) -> usize {
        self.fresh - self.guests.iter().sum::<usize>()
    }

    /// Loaded and fresh tasks of a level that are this partition's own.
    pub(crate) fn own_of(&self, level: usize) -> usize {
        self.levels[level].backlog.len() + self.levels[level].fresh.len() - self.guests[level]
    }

    /// Creation time of a level's oldest task; `None` when there is none.
    pub(crate) fn level_oldest(&self, level: usize) -> Option<Timestamp> {
        let level = &self.levels[level];
        let entry = level.backlog.values().next().or_else(|| level.fresh.values().next())?;
        Some(Timestamp::from_nanos(entry.task.created_at))
    }
}
