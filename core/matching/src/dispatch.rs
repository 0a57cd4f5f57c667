//! Pairing: who gets which work, and what history's answer means.

use std::sync::Arc;

use perdure_kernel::Timestamp;
use perdure_proto::records::QueuedTask;

use crate::{
    AddRefusal, AskId, Output, PollId, Position, QueryId, QueueMachine, Role, StartId, StartOutcome, TaskSource, Work,
    fairness::key_number,
    settings::{
        START_RETRY_FIRST, START_RETRY_MAX, STICKY_POLLER_WINDOW, UNACKNOWLEDGED_TASKS_MAX, WAITING_POLLS_MAX,
        WAITING_TASKS_MAX, doubling,
    },
    tasks::{Entry, Place, Source, level_of},
};

/// A pair that waits for history.
#[derive(Debug)]
pub(crate) struct Pair {
    poll: PollId,
    deadline: Timestamp,
    work: Paired,
}

#[derive(Debug)]
enum Paired {
    Task(Entry),
    Query(QueryId),
}

impl QueueMachine {
    pub(crate) fn poll_arrived(&mut self, now: Timestamp, poll: PollId, deadline: Timestamp, out: &mut Vec<Output>) {
        self.last_poll = Some(now);
        if self.draining || deadline <= now {
            out.push(Output::AnswerPollEmpty { poll });
        } else if self.line.len() >= WAITING_POLLS_MAX {
            out.push(Output::RefusePoll { poll });
        } else {
            self.line.insert(poll, deadline);
        }
    }

    /// Takes a task in, or refuses it.
    pub(crate) fn task_added(
        &mut self,
        now: Timestamp,
        ask: AskId,
        task: Arc<QueuedTask>,
        until: Option<Timestamp>,
        out: &mut Vec<Output>,
    ) {
        let refusal = if self.draining {
            Some(AddRefusal::Stopping)
        } else if self.role == Role::Sticky && !self.polled_within(now, STICKY_POLLER_WINDOW) {
            Some(AddRefusal::StickyWorkerUnavailable)
        } else if self.unacknowledged >= UNACKNOWLEDGED_TASKS_MAX
            || (self.role == Role::Sticky && self.tasks.fresh() >= WAITING_TASKS_MAX)
        {
            Some(AddRefusal::Overloaded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return out.push(Output::RefuseAdd { ask, refusal });
        }
        let order = self.number();
        let source = match (self.role, until) {
            (Role::Sticky, _) => {
                // Nothing is stored for a sticky queue: history's own timer covers a task that gets lost.
                out.push(Output::AckAdd { ask });
                let expires_at = match task.expires_at {
                    0 => Timestamp::MAX,
                    at => Timestamp::from_nanos(at),
                };
                Source::Sticky { order, expires_at }
            }
            (Role::Root | Role::Child, Some(until)) => Source::FromChild { ask, order, until },
            (Role::Root | Role::Child, None) => {
                Source::Added { ask, order, spill_at: now + self.settings.sync_match_wait }
            }
        };
        self.unacknowledged += usize::from(source.ask().is_some());
        let (level, key) = (level_of(&task, self.settings.priority_levels), key_number(task.priority.as_ref()));
        let pass = self.pass_for(level, key, &task);
        if until.is_none() {
            self.added[level].add(now);
        }
        // Behind an unread backlog there is no point in waiting for a poller.
        if self.backlog.is_behind(level, pass) {
            self.backlog.spill_through(order);
        }
        self.tasks.insert(Entry { task, source, level, pass, key, request: None, failures: 0, since: now });
    }

    /// Pairs waiting polls with work until one or the other runs out.
    pub(crate) fn dispatch(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while !self.line.is_empty() {
            let work = match self.queries.pop_waiting() {
                Some(query) => Paired::Query(query),
                None => match self.take_next_task(now, out) {
                    Some(entry) => Paired::Task(entry),
                    None => return,
                },
            };
            let Some((poll, deadline)) = self.line.pop() else { return };
            let start = StartId(self.number());
            let (work, shown) = match work {
                Paired::Query(query) => (Paired::Query(query), Work::Query { query }),
                Paired::Task(mut entry) => {
                    let request = *entry.request.get_or_insert(start.0);
                    let source = match entry.source {
                        Source::Backlog { .. } => TaskSource::Backlog,
                        Source::Added { .. } | Source::FromChild { .. } | Source::Sticky { .. } => TaskSource::Memory,
                    };
                    let (task, waited) = (entry.task.clone(), now.since(entry.since));
                    (Paired::Task(entry), Work::Task { task, request, source, waited })
                }
            };
            out.push(Output::Start { start, poll, work: shown });
            self.starts.insert(start, Pair { poll, deadline, work });
        }
    }

    /// The next task that may be dispatched now; expired ones on the way are dropped.
    fn take_next_task(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Option<Entry> {
        let place = self.next_task(now, out)?;
        let key = self.tasks.get(place)?.key;
        if !self.limiter.is_ready(now) || !self.key_limits.is_ready(key, now) {
            return None;
        }
        let entry = self.tasks.take(place)?;
        self.limiter.take(now);
        if self.key_limits.any() {
            self.key_limits.take(key, self.weight(key, &entry.task), now);
        }
        self.fairness[entry.level].serve(entry.pass);
        Some(entry)
    }

    /// Where the next task is, whatever the rate limit says; expired ones on the way are dropped.
    pub(crate) fn next_task(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Option<Place> {
        loop {
            let place = self.first_task()?;
            if !self.tasks.get(place)?.is_expired(now) {
                return Some(place);
            }
            let entry = self.tasks.take(place)?;
            self.fairness[entry.level].serve(entry.pass);
            self.finish(now, &entry, out);
            out.push(Output::TaskExpired);
        }
    }

    /// A task needs no poller any more.
    pub(crate) fn finish(&mut self, now: Timestamp, entry: &Entry, out: &mut Vec<Output>) {
        match entry.source {
            Source::Added { ask, .. } | Source::FromChild { ask, .. } => {
                self.unacknowledged -= 1;
                out.push(Output::AckAdd { ask });
            }
            Source::Sticky { .. } => {}
            Source::Backlog { id } => {
                self.backlog.finish(Position { level: entry.level, pass: entry.pass, id }, now);
            }
        }
    }

    /// A task goes back to whoever answers for it.
    pub(crate) fn refuse(&mut self, entry: Entry, refusal: AddRefusal, out: &mut Vec<Output>) {
        if let Some(ask) = entry.source.ask() {
            self.unacknowledged -= 1;
            out.push(Output::RefuseAdd { ask, refusal });
        }
    }

    pub(crate) fn started(&mut self, now: Timestamp, start: StartId, outcome: StartOutcome, out: &mut Vec<Output>) {
        let Some(Pair { poll, deadline, work }) = self.starts.remove(&start) else { return };
        self.last_poll = Some(now);
        match work {
            Paired::Task(mut entry) => match outcome {
                StartOutcome::Delivered => {
                    self.dispatched[entry.level].add(now);
                    self.finish(now, &entry, out);
                }
                StartOutcome::Dropped => {
                    self.limiter.give_back();
                    self.key_limits.give_back(entry.key);
                    self.finish(now, &entry, out);
                }
                StartOutcome::Later => {
                    entry.failures += 1;
                    let pause = doubling(START_RETRY_FIRST, START_RETRY_MAX, entry.failures);
                    self.put_aside(now + pause, entry, out);
                }
                StartOutcome::PollerGone => {
                    self.limiter.give_back();
                    self.key_limits.give_back(entry.key);
                    self.put_back(now, entry, out);
                }
            },
            Paired::Query(query) => match outcome {
                StartOutcome::Delivered => {}
                // The shell has told the caller why.
                StartOutcome::Dropped | StartOutcome::Later => {
                    self.queries.remove(query);
                }
                StartOutcome::PollerGone if self.draining => self.queries_stop(out),
                StartOutcome::PollerGone => self.queries.wait_again(query),
            },
        }
        match outcome {
            StartOutcome::Delivered | StartOutcome::PollerGone => {}
            StartOutcome::Dropped | StartOutcome::Later => self.poll_returns(now, poll, deadline, out),
        }
    }

    /// A poll that got nothing waits on at its old place.
    pub(crate) fn poll_returns(&mut self, now: Timestamp, poll: PollId, deadline: Timestamp, out: &mut Vec<Output>) {
        if self.draining || deadline <= now {
            out.push(Output::AnswerPollEmpty { poll });
        } else {
            self.line.insert(poll, deadline);
        }
    }

    fn put_aside(&mut self, until: Timestamp, entry: Entry, out: &mut Vec<Output>) {
        if self.draining {
            return self.refuse(entry, AddRefusal::Stopping, out);
        }
        let number = self.number();
        self.aside.insert((until, number), entry);
    }

    /// A task that found no poller takes its old place.
    pub(crate) fn put_back(&mut self, now: Timestamp, entry: Entry, out: &mut Vec<Output>) {
        if self.draining {
            return self.refuse(entry, AddRefusal::Stopping, out);
        }
        match entry.source {
            Source::FromChild { until, .. } if until <= now => self.send_home(entry, out),
            Source::Sticky { expires_at, .. } if expires_at <= now => out.push(Output::TaskExpired),
            Source::Added { .. } | Source::FromChild { .. } | Source::Sticky { .. } | Source::Backlog { .. } => {
                self.tasks.insert(entry);
            }
        }
    }

    /// A child's task found no poller here: its key is not charged for it.
    fn send_home(&mut self, entry: Entry, out: &mut Vec<Output>) {
        let weight = self.weight(entry.key, &entry.task);
        self.fairness[entry.level].give_back(entry.key, weight, entry.pass);
        self.refuse(entry, AddRefusal::NoPoller, out);
    }

    /// Tasks whose pause is over take their old places; those that only wait here leave when their time is up.
    pub(crate) fn expire_tasks(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(first) = self.aside.first_entry().filter(|first| first.key().0 <= now) {
            let entry = first.remove();
            self.put_back(now, entry, out);
        }
        while let Some(entry) = self.tasks.take_ended(now) {
            match entry.source {
                Source::FromChild { .. } => self.send_home(entry, out),
                Source::Sticky { .. } | Source::Added { .. } | Source::Backlog { .. } => {
                    out.push(Output::TaskExpired);
                }
            }
        }
    }
}
