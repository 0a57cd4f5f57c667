//! Workers that shut down: their polls end at once, so that no task goes to a worker that is not there.

use std::{collections::HashMap, time::Duration};

use perdure_kernel::Timestamp;
use perdure_rpc::{Ask, matching::CancelPolls};
use perdure_runtime::Ctx;
use perdure_task_queue::Input;

use super::TaskQueue;

/// How long polls of a worker that shut down are answered at once: some were under way when it did.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// Workers remembered at a time; beyond, those of longer ago are forgotten first.
const REMEMBERED_MAX: usize = 10_000;

/// Workers that shut down of late, by instance key.
#[derive(Debug, Default)]
pub(super) struct ShutDown(HashMap<String, Timestamp>);

impl ShutDown {
    fn insert(&mut self, key: String, now: Timestamp) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, until| now < *until);
        }
        if self.0.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(key, now + REMEMBERED_FOR);
    }

    pub(super) fn contains(&self, key: &str, now: Timestamp) -> bool {
        !self.0.is_empty() && !key.is_empty() && self.0.get(key).is_some_and(|until| now < *until)
    }
}

impl TaskQueue {
    pub(super) fn cancel_polls(&mut self, ask: Ask<CancelPolls, u32>, ctx: &mut Ctx<Self>) {
        let CancelPolls { worker_instance_key: key, identity, .. } = ask.request;
        let polls: Vec<_> = self
            .polls
            .iter()
            .filter(|(_, waiting)| !key.is_empty() && waiting.ask.worker_instance_key() == key)
            .map(|(poll, _)| *poll)
            .collect();
        for poll in &polls {
            self.forwarded.remove(poll);
            if let Some(waiting) = self.polls.remove(poll) {
                waiting.ask.answer_empty();
            }
            self.feed(Input::PollGone { poll: *poll }, ctx);
        }
        self.machine.forget_poller(&identity);
        if !key.is_empty() {
            self.shut_down.insert(key, ctx.now());
        }
        ask.reply.send(Ok(u32::try_from(polls.len()).unwrap_or(u32::MAX)));
    }
}
