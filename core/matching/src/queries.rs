//! Queries under way.

use std::collections::{BTreeMap, BTreeSet};

use perdure_kernel::Timestamp;

use crate::{
    Output, QueryId, QueryRefusal, QueueMachine, Role,
    settings::{QUERIES_MAX, QUERY_REFUSAL_MARGIN, STICKY_POLLER_WINDOW},
};

#[derive(Debug, Default)]
pub(crate) struct Queries {
    all: BTreeMap<QueryId, Query>,
    waiting: BTreeSet<QueryId>,
    wakes: BTreeSet<(Timestamp, QueryId)>,
    /// How many wait at the parent partition.
    forwarded: usize,
}

#[derive(Clone, Copy, Debug)]
struct Query {
    deadline: Timestamp,
    wake: Timestamp,
    forwarded: bool,
}

impl Queries {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn forwarded(&self) -> usize {
        self.forwarded
    }

    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(crate) fn pop_waiting(&mut self) -> Option<QueryId> {
        self.waiting.pop_first()
    }

    /// Puts a query whose poller left back in line.
    pub(crate) fn wait_again(&mut self, query: QueryId) {
        if self.all.contains_key(&query) {
            self.waiting.insert(query);
        }
    }

    pub(crate) fn pop_to_forward(&mut self) -> Option<QueryId> {
        let query = self.waiting.pop_first()?;
        if let Some(state) = self.all.get_mut(&query) {
            state.forwarded = true;
            self.forwarded += 1;
        }
        Some(query)
    }

    pub(crate) fn remove(&mut self, query: QueryId) -> bool {
        let Some(state) = self.all.remove(&query) else { return false };
        self.waiting.remove(&query);
        self.wakes.remove(&(state.wake, query));
        self.forwarded -= usize::from(state.forwarded);
        true
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = QueryId> + use<> {
        std::mem::take(self).all.into_keys()
    }
}

impl QueueMachine {
    pub(crate) fn query_added(&mut self, now: Timestamp, query: QueryId, deadline: Timestamp, out: &mut Vec<Output>) {
        let refusal = if self.draining {
            Some(QueryRefusal::Stopping)
        } else if self.role == Role::Sticky && !self.polled_within(now, STICKY_POLLER_WINDOW) {
            Some(QueryRefusal::StickyWorkerUnavailable)
        } else if self.queries.all.len() >= QUERIES_MAX {
            Some(QueryRefusal::Overloaded)
        } else if deadline <= now {
            Some(QueryRefusal::DeadlineExceeded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return out.push(Output::FailQuery { query, refusal });
        }
        let wake = match self.role {
            // Only where all of a queue's polls can be seen may their absence be stated.
            Role::Root => (deadline - QUERY_REFUSAL_MARGIN).max(now),
            Role::Child | Role::Sticky => deadline,
        };
        self.queries.all.insert(query, Query { deadline, wake, forwarded: false });
        self.queries.wakes.insert((wake, query));
        self.queries.waiting.insert(query);
    }

    /// Ends queries whose time is over, or for which nobody is there.
    pub(crate) fn expire_queries(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some((wake, query)) = self.queries.wakes.first().copied().filter(|(wake, _)| *wake <= now) {
            self.queries.wakes.remove(&(wake, query));
            let Some(deadline) = self.queries.all.get(&query).map(|state| state.deadline) else { continue };
            let unseen =
                self.queries.waiting.contains(&query) && !self.polled_within(now, self.settings.query_poller_window);
            let refusal = if deadline <= now {
                QueryRefusal::DeadlineExceeded
            } else if unseen {
                QueryRefusal::NoPoller
            } else {
                if let Some(state) = self.queries.all.get_mut(&query) {
                    state.wake = deadline;
                }
                self.queries.wakes.insert((deadline, query));
                continue;
            };
            self.queries.remove(query);
            out.push(Output::FailQuery { query, refusal });
        }
    }
}
