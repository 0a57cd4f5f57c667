//! The line of waiting polls.

use std::collections::{BTreeMap, BTreeSet};

use perdure_kernel::Timestamp;

use crate::PollId;

/// Waiting polls, oldest first. A poll that comes back takes its old place.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: BTreeMap<PollId, Timestamp>,
    deadlines: BTreeSet<(Timestamp, PollId)>,
}

impl Line {
    pub(crate) fn insert(&mut self, poll: PollId, deadline: Timestamp) {
        self.waiting.insert(poll, deadline);
        self.deadlines.insert((deadline, poll));
    }

    pub(crate) fn remove(&mut self, poll: PollId) -> Option<Timestamp> {
        let deadline = self.waiting.remove(&poll)?;
        self.deadlines.remove(&(deadline, poll));
        Some(deadline)
    }

    /// Takes the oldest poll, with its deadline.
    pub(crate) fn pop(&mut self) -> Option<(PollId, Timestamp)> {
        let (poll, deadline) = self.waiting.pop_first()?;
        self.deadlines.remove(&(deadline, poll));
        Some((poll, deadline))
    }

    /// Takes a poll whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<PollId> {
        let (deadline, poll) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.remove(poll);
        Some(poll)
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
