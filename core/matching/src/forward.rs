//! What a child partition hands to its parent.
//!
//! A few polls and tasks at a time wait at the parent, so that a poller on one partition meets a task on
//! another. A task stays this partition's own until the parent says that a poller has it.

use std::collections::BTreeMap;

use perdure_kernel::Timestamp;

use crate::{
    AddRefusal, ForwardId, Forwarded, Output, PollId, QueueMachine, Role,
    settings::FORWARD_PAUSE,
    tasks::{Entry, Source},
};

#[derive(Debug, Default)]
pub(crate) struct Forwards {
    polls: BTreeMap<PollId, Timestamp>,
    polls_after: Timestamp,
    tasks: BTreeMap<ForwardId, Entry>,
    tasks_after: Timestamp,
}

impl Forwards {
    pub(crate) fn take_polls(&mut self) -> BTreeMap<PollId, Timestamp> {
        std::mem::take(&mut self.polls)
    }

    pub(crate) fn take_tasks(&mut self) -> BTreeMap<ForwardId, Entry> {
        std::mem::take(&mut self.tasks)
    }

    /// Tasks that wait at the parent.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.values()
    }

    pub(crate) fn poll_gone(&mut self, poll: PollId) {
        self.polls.remove(&poll);
    }

    pub(crate) fn has_polls(&self) -> bool {
        !self.polls.is_empty()
    }
}

impl QueueMachine {
    /// Hands on what finds no partner here.
    pub(crate) fn forward(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.role != Role::Child || self.draining {
            return;
        }
        if self.line.is_empty() {
            self.forward_queries(out);
            self.forward_tasks(now, out);
        } else if now >= self.forwards.polls_after && self.next_task(now, out).is_none() {
            while self.forwards.polls.len() < self.settings.forwarded_polls_max {
                let Some((poll, deadline)) = self.line.pop() else { break };
                self.forwards.polls.insert(poll, deadline);
                out.push(Output::ForwardPoll { poll });
            }
        }
    }

    fn outstanding(&self) -> usize {
        self.forwards.tasks.len() + self.queries.forwarded()
    }

    fn forward_queries(&mut self, out: &mut Vec<Output>) {
        while self.outstanding() < self.settings.forwarded_tasks_max {
            let Some(query) = self.queries.pop_to_forward() else { break };
            out.push(Output::ForwardQuery { query });
        }
    }

    fn forward_tasks(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if now < self.forwards.tasks_after {
            return;
        }
        while self.outstanding() < self.settings.forwarded_tasks_max {
            let Some(place) = self.next_task(now, out) else { break };
            let until = match self.tasks.get(place).map(|entry| entry.source) {
                Some(Source::Added { spill_at: until, .. } | Source::FromChild { until, .. }) => until,
                Some(Source::Backlog { .. }) => now + self.settings.backlog_forward_wait,
                Some(Source::Sticky { .. }) | None => break,
            };
            if until <= now {
                break;
            }
            let Some(entry) = self.tasks.take(place) else { break };
            self.fairness[entry.level].serve(entry.pass);
            let forward = ForwardId(self.number());
            out.push(Output::ForwardTask { forward, task: entry.task.clone(), until });
            self.forwards.tasks.insert(forward, entry);
        }
    }

    pub(crate) fn poll_forwarded(&mut self, now: Timestamp, poll: PollId, outcome: Forwarded, out: &mut Vec<Output>) {
        let Some(deadline) = self.forwards.polls.remove(&poll) else { return };
        self.last_poll = Some(now);
        match outcome {
            Forwarded::Done => {}
            Forwarded::Empty | Forwarded::Failed => {
                self.forwards.polls_after = now + FORWARD_PAUSE;
                self.poll_returns(now, poll, deadline, out);
            }
        }
    }

    pub(crate) fn task_forwarded(
        &mut self,
        now: Timestamp,
        forward: ForwardId,
        outcome: Forwarded,
        out: &mut Vec<Output>,
    ) {
        let Some(entry) = self.forwards.tasks.remove(&forward) else { return };
        match outcome {
            // The parent counts the dispatch.
            Forwarded::Done => self.finish(now, &entry, out),
            Forwarded::Empty | Forwarded::Failed => {
                self.forwards.tasks_after = now + FORWARD_PAUSE;
                self.put_back(now, entry, out);
            }
        }
    }

    /// When something may be handed on that may not be now.
    pub(crate) fn forward_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.role != Role::Child {
            return None;
        }
        let polls = (!self.line.is_empty() && self.forwards.polls_after > now).then_some(self.forwards.polls_after);
        let waiting = self.tasks.loaded() + self.tasks.fresh() > 0;
        let tasks = (waiting && self.forwards.tasks_after > now).then_some(self.forwards.tasks_after);
        polls.into_iter().chain(tasks).min()
    }

    /// Gives everything forwarded back to whoever brought it.
    pub(crate) fn recall(&mut self, out: &mut Vec<Output>) {
        for poll in self.forwards.take_polls().into_keys() {
            out.push(Output::AnswerPollEmpty { poll });
        }
        for entry in self.forwards.take_tasks().into_values() {
            self.refuse(entry, AddRefusal::Stopping, out);
        }
    }
}
