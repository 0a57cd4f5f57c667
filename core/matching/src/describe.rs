//! What a partition tells about itself.

use std::collections::BTreeMap;

use perdure_kernel::{Timestamp, time::span_to_proto};
use perdure_proto::api::taskqueue::{PollerInfo, TaskIdBlock, TaskQueueStats, TaskQueueStatus};

use crate::{QueueMachine, settings::LEVELS_MAX, tasks::Entry};

/// What a partition tells about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Pollers seen of late, by identity.
    pub pollers: Vec<PollerInfo>,
    /// Stats by priority: of the default one, and of those that are in use.
    pub stats: BTreeMap<i32, TaskQueueStats>,
    /// Where reading and deleting stand, at the default priority.
    pub status: TaskQueueStatus,
}

impl QueueMachine {
    /// What the partition tells about itself.
    pub fn describe(&self, now: Timestamp) -> Description {
        let limited = self.is_limited(now);
        let default = self.settings.priority_levels.clamp(1, LEVELS_MAX).div_ceil(2) - 1;
        let stats = (1..).zip(0..LEVELS_MAX).filter_map(|(key, level)| {
            let stats = TaskQueueStats {
                approximate_backlog_count: i64::try_from(self.waiting_of(level)).unwrap_or(i64::MAX),
                approximate_backlog_age: Some(span_to_proto(
                    self.oldest_of(level).map(|created| now.since(created)).unwrap_or_default(),
                )),
                tasks_add_rate: self.added[level].rate(now),
                tasks_dispatch_rate: self.dispatched[level].rate(now),
                rate_limiting_active: limited,
            };
            let used =
                stats.approximate_backlog_count > 0 || stats.tasks_add_rate > 0.0 || stats.tasks_dispatch_rate > 0.0;
            (used || level == default).then_some((key, stats))
        });
        let (start_id, end_id) = self.backlog.id_block();
        let (read_level, ack_level) = self.backlog.read_and_ack_ids(default);
        Description {
            pollers: self.seen.list(now, self.settings.poller_history),
            stats: stats.collect(),
            status: TaskQueueStatus {
                backlog_count_hint: self.backlog_count(),
                read_level,
                ack_level,
                rate_per_second: 0.0,
                task_id_block: Some(TaskIdBlock { start_id, end_id }),
            },
        }
    }

    /// Whether tasks wait because of a limit.
    pub(crate) fn is_limited(&self, now: Timestamp) -> bool {
        self.tasks.loaded() + self.tasks.fresh() > 0
            && (!self.limiter.is_ready(now)
                || self.key_limits.any()
                    && self
                        .first_task()
                        .and_then(|place| self.tasks.get(place))
                        .is_some_and(|entry| !self.key_limits.is_ready(entry.key, now)))
    }

    /// Tasks of this partition that are neither offered nor in the store: paused, at the parent, or being
    /// written.
    fn away(&self, level: usize) -> impl Iterator<Item = &Entry> {
        let away = self.aside.values().chain(self.forwards.tasks()).chain(self.backlog.writing());
        away.filter(move |entry| entry.level == level && !entry.is_guest())
    }

    /// Tasks of a level that wait for a poller.
    pub(crate) fn waiting_of(&self, level: usize) -> u64 {
        (self.tasks.own_of(level) + self.away(level).count()) as u64 + self.backlog.unread_of(level)
    }

    /// Creation time of the oldest of them.
    pub(crate) fn oldest_of(&self, level: usize) -> Option<Timestamp> {
        let away = self.away(level).map(Entry::created).min();
        [self.tasks.oldest_of(level), self.backlog.oldest_unread_of(level), away].into_iter().flatten().min()
    }
}
