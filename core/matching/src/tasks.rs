//! Tasks in memory, ordered by priority level and pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use perdure_kernel::Timestamp;
use perdure_proto::records::QueuedTask;

use crate::{AskId, Position, settings::LEVELS_MAX};

/// A task in memory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) task: Arc<QueuedTask>,
    pub(crate) source: Source,
    /// Index of its priority level; 0 is served first.
    pub(crate) level: usize,
    /// Its place within the level: see [`crate::fairness`].
    pub(crate) pass: i64,
    /// Number of its fairness key.
    pub(crate) key: u64,
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

    pub(crate) fn created(&self) -> Timestamp {
        Timestamp::from_nanos(self.task.created_at)
    }
}

/// Index of a task's priority level among so many; 0 is served first. Without a priority it is the middle one.
pub(crate) fn level_of(task: &QueuedTask, levels: usize) -> usize {
    let levels = levels.clamp(1, LEVELS_MAX);
    let key = task.priority.as_ref().map_or(0, |priority| priority.priority_key);
    let level = usize::try_from(key).ok().filter(|level| *level > 0).unwrap_or(levels.div_ceil(2));
    level.min(levels) - 1
}

#[derive(Debug, Default)]
struct Level {
    backlog: BTreeMap<(i64, i64), Entry>,
    fresh: BTreeMap<(i64, u64), Entry>,
    /// `FromChild` tasks: their own partition counts them.
    guests: usize,
}

/// Tasks that may be offered to pollers.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    levels: [Level; LEVELS_MAX],
    loaded: usize,
    fresh: usize,
    guests: usize,
    /// `Added` tasks by age: when each goes to the backlog, and where it is.
    arrivals: BTreeMap<u64, (Timestamp, usize, i64)>,
    /// When `FromChild` and `Sticky` tasks leave, and where they are.
    ends: BTreeSet<(Timestamp, u64, usize, i64)>,
}

/// Where an offerable task is: level, pass, and id or age number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Backlog(usize, i64, i64),
    Fresh(usize, i64, u64),
}

/// What may be offered of a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Tasks with a later pass must wait: earlier ones are not in memory.
    pub(crate) pass_max: i64,
    /// Then worse levels must wait too.
    pub(crate) holds_others: bool,
}

impl Gate {
    pub(crate) const OPEN: Self = Self { pass_max: i64::MAX, holds_others: false };
}

impl Tasks {
    pub(crate) fn insert(&mut self, entry: Entry) {
        let (index, pass) = (entry.level, entry.pass);
        let level = &mut self.levels[index];
        let order = match entry.source {
            Source::Backlog { id } => {
                level.backlog.insert((pass, id), entry);
                self.loaded += 1;
                return;
            }
            Source::Added { order, spill_at, .. } => {
                self.arrivals.insert(order, (spill_at, index, pass));
                order
            }
            Source::FromChild { order, until: end, .. } | Source::Sticky { order, expires_at: end } => {
                if end != Timestamp::MAX {
                    self.ends.insert((end, order, index, pass));
                }
                order
            }
        };
        let guest = usize::from(entry.is_guest());
        level.guests += guest;
        self.guests += guest;
        level.fresh.insert((pass, order), entry);
        self.fresh += 1;
    }

    /// The next task to offer: best level first, then by pass.
    pub(crate) fn first(&self, gate: impl Fn(usize) -> Gate) -> Option<Place> {
        if self.loaded + self.fresh == 0 {
            return None;
        }
        for (index, level) in self.levels.iter().enumerate() {
            let backlog =
                level.backlog.first_key_value().map(|((pass, id), _)| (*pass, Place::Backlog(index, *pass, *id)));
            let fresh =
                level.fresh.first_key_value().map(|((pass, order), _)| (*pass, Place::Fresh(index, *pass, *order)));
            let first = match (backlog, fresh) {
                (Some(backlog), Some(fresh)) => Some(if fresh.0 < backlog.0 { fresh } else { backlog }),
                (first, None) | (None, first) => first,
            };
            let gate = gate(index);
            match first {
                Some((pass, place)) if pass <= gate.pass_max => return Some(place),
                Some(_) | None if gate.pass_max < i64::MAX && gate.holds_others => return None,
                Some(_) | None => {}
            }
        }
        None
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Entry> {
        match place {
            Place::Backlog(level, pass, id) => self.levels[level].backlog.get(&(pass, id)),
            Place::Fresh(level, pass, order) => self.levels[level].fresh.get(&(pass, order)),
        }
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Entry> {
        match place {
            Place::Backlog(level, pass, id) => {
                let entry = self.levels[level].backlog.remove(&(pass, id))?;
                self.loaded -= 1;
                Some(entry)
            }
            Place::Fresh(index, pass, order) => {
                let level = &mut self.levels[index];
                let entry = level.fresh.remove(&(pass, order))?;
                let guest = usize::from(entry.is_guest());
                level.guests -= guest;
                self.guests -= guest;
                self.fresh -= 1;
                match entry.source {
                    Source::Added { order, .. } => {
                        self.arrivals.remove(&order);
                    }
                    Source::FromChild { order, until: end, .. } | Source::Sticky { order, expires_at: end } => {
                        self.ends.remove(&(end, order, index, pass));
                    }
                    Source::Backlog { .. } => {}
                }
                Some(entry)
            }
        }
    }

    /// Takes a `FromChild` or `Sticky` task whose time is over.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Option<Entry> {
        let (end, order, level, pass) = *self.ends.first()?;
        if end > now { None } else { self.take(Place::Fresh(level, pass, order)) }
    }

    /// Age number and spill time of the oldest `Added` task.
    pub(crate) fn oldest_arrival(&self) -> Option<(u64, Timestamp)> {
        self.arrivals.first_key_value().map(|(order, (spill_at, ..))| (*order, *spill_at))
    }

    /// Takes the oldest `Added` task.
    pub(crate) fn take_oldest_arrival(&mut self) -> Option<Entry> {
        let (order, (_, level, pass)) = self.arrivals.first_key_value()?;
        let place = Place::Fresh(*level, *pass, *order);
        self.take(place)
    }

    /// Takes every task that is not of the backlog, oldest first.
    pub(crate) fn take_fresh(&mut self) -> Vec<Entry> {
        self.arrivals.clear();
        self.ends.clear();
        (self.fresh, self.guests) = (0, 0);
        let mut taken: BTreeMap<u64, Entry> = BTreeMap::new();
        for level in &mut self.levels {
            level.guests = 0;
            taken.extend(std::mem::take(&mut level.fresh).into_iter().map(|((_, order), entry)| (order, entry)));
        }
        taken.into_values().collect()
    }

    /// Where the last loaded task of a level stands.
    pub(crate) fn last_loaded(&self, level: usize) -> Option<Position> {
        self.levels[level].backlog.last_key_value().map(|((pass, id), _)| Position { level, pass: *pass, id: *id })
    }

    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, ..)| *end)
    }

    pub(crate) fn loaded(&self) -> usize {
        self.loaded
    }

    pub(crate) fn loaded_of(&self, level: usize) -> usize {
        self.levels[level].backlog.len()
    }

    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    pub(crate) fn waiting_arrivals(&self) -> usize {
        self.arrivals.len()
    }

    /// Loaded and fresh tasks that are this partition's own.
    pub(crate) fn own(&self) -> usize {
        self.loaded + self.fresh - self.guests
    }

    /// Loaded and fresh tasks of a level that are this partition's own.
    pub(crate) fn own_of(&self, level: usize) -> usize {
        let level = &self.levels[level];
        level.backlog.len() + level.fresh.len() - level.guests
    }

    /// Creation time of a level's oldest task of its own; `None` when there is none.
    pub(crate) fn oldest_of(&self, level: usize) -> Option<Timestamp> {
        let level = &self.levels[level];
        let fresh = level.fresh.values().filter(|entry| !entry.is_guest());
        level.backlog.values().chain(fresh).map(Entry::created).min()
    }
}
