//! What a partition tells about itself.

use perdure_kernel::Timestamp;
use perdure_proto::api::taskqueue::{PollerInfo, TaskIdBlock, TaskQueueStats, TaskQueueStatus};

use crate::{QueueMachine, seen::RATE_UNSET, settings::LEVELS};

/// What a partition tells about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Pollers seen of late, by identity.
    pub pollers: Vec<PollerInfo>,
    /// Stats by priority, best first.
    pub stats: [TaskQueueStats; LEVELS],
    /// Where reading and deleting stand.
    pub status: TaskQueueStatus,
    /// Dispatch limit in force; `None` for no limit.
    pub rate: Option<f64>,
}

impl QueueMachine {
    /// What the partition tells about itself.
    pub fn describe(&self, now: Timestamp) -> Description {
        let limited = !self.limiter.is_ready(now) && self.tasks.loaded() + self.tasks.fresh() > 0;
        let stats = std::array::from_fn(|level| {
            let elsewhere = self.aside.values().chain(self.forwards.tasks());
            let elsewhere = elsewhere.filter(|entry| entry.level() == level && !entry.is_guest()).count();
            let waiting = (self.tasks.own_of(level) + elsewhere) as u64 + self.backlog.unread_of(level);
            let age = self.tasks.level_oldest(level).map(|created| now.since(created));
            TaskQueueStats {
                approximate_backlog_count: i64::try_from(waiting).unwrap_or(i64::MAX),
                approximate_backlog_age: Some(perdure_kernel::time::span_to_proto(age.unwrap_or_default())),
                tasks_add_rate: self.added[level].rate(now),
                tasks_dispatch_rate: self.dispatched[level].rate(now),
                rate_limiting_active: limited,
            }
        });
        let (start_id, end_id) = self.backlog.id_block();
        Description {
            pollers: self.seen.list(now, self.settings.poller_history),
            stats,
            status: TaskQueueStatus {
                backlog_count_hint: self.backlog_count(),
                read_level: self.backlog.read_level(),
                ack_level: self.backlog.ack_level(),
                rate_per_second: self.rate.unwrap_or(RATE_UNSET),
                task_id_block: Some(TaskIdBlock { start_id, end_id }),
            },
            rate: self.rate,
        }
    }
}
