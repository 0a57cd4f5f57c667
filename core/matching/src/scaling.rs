//! Advice to workers on how many polls to keep waiting.

use perdure_kernel::Timestamp;

use crate::{QueueMachine, Role, TaskSource, settings::LEVELS_MAX};

impl QueueMachine {
    /// How many polls more (or fewer) a worker should keep waiting whose poll came at `arrived` and got a task
    /// now; `None` for no advice.
    pub fn scaling(&mut self, now: Timestamp, arrived: Timestamp, source: TaskSource) -> Option<i32> {
        // A poll that waited for what was in memory waited because there was nothing to do.
        if now.since(arrived) >= self.settings.scaling_wait && source == TaskSource::Memory {
            return Some(-1);
        }
        self.scaling.set(Some(self.settings.scaling_rate), now);
        let pollers = u32::try_from(self.seen.count()).unwrap_or(u32::MAX);
        if !self.scaling.try_take_part(now, pollers) || self.is_limited(now) {
            return None;
        }
        let waits_long = (0..LEVELS_MAX).any(|level| {
            self.waiting_of(level) > 0
                && self.oldest_of(level).is_some_and(|oldest| now.since(oldest) > self.settings.scaling_backlog_age)
        });
        if waits_long {
            return Some(1);
        }
        match self.role {
            // Only where all of a queue's tasks can be seen do their rates say something.
            Role::Child => None,
            Role::Root | Role::Sticky => {
                let rate = |meters: &[crate::rate::Meter]| meters.iter().map(|meter| meter.rate(now)).sum::<f32>();
                let ratio = f64::from(rate(&self.added)) / f64::from(rate(&self.dispatched));
                (ratio > self.settings.scaling_ratio).then_some(1)
            }
        }
    }
}
