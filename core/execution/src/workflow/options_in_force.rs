//! Options of an open activity: those of its scheduled event, until they are changed from outside.

use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        activity::ActivityOptions,
        common::{Priority, RetryPolicy},
        taskqueue::TaskQueue,
    },
    records,
};

/// Options in force. Durations of zero are "none".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OptionsInForce<'a> {
    /// Name of the queue that attempts go to.
    pub task_queue: &'a str,
    /// From the first schedule to the activity's end.
    pub schedule_to_close: Option<&'a ProtoDuration>,
    /// From an attempt's schedule to its start.
    pub schedule_to_start: Option<&'a ProtoDuration>,
    /// From an attempt's start to its end.
    pub start_to_close: Option<&'a ProtoDuration>,
    /// Between signs of life.
    pub heartbeat: Option<&'a ProtoDuration>,
    /// How failed attempts are followed by others.
    pub retry_policy: Option<&'a RetryPolicy>,
    /// The activity's own; without one the workflow's holds.
    pub priority: Option<&'a Priority>,
}

/// The options in force for an activity's attempt.
pub fn in_force<'a>(
    scheduled: &'a records::ScheduledActivity,
    attempt: &'a records::ActivityAttempt,
) -> OptionsInForce<'a> {
    let name = |queue: &'a Option<TaskQueue>| queue.as_ref().map_or("", |queue| &*queue.name);
    if let Some(changed) = &attempt.options {
        return OptionsInForce {
            task_queue: name(&changed.task_queue),
            schedule_to_close: changed.schedule_to_close_timeout.as_ref(),
            schedule_to_start: changed.schedule_to_start_timeout.as_ref(),
            start_to_close: changed.start_to_close_timeout.as_ref(),
            heartbeat: changed.heartbeat_timeout.as_ref(),
            retry_policy: changed.retry_policy.as_ref(),
            priority: changed.priority.as_ref(),
        };
    }
    let Some(original) = &scheduled.attributes else { return OptionsInForce::default() };
    OptionsInForce {
        task_queue: name(&original.task_queue),
        schedule_to_close: original.schedule_to_close_timeout.as_ref(),
        schedule_to_start: original.schedule_to_start_timeout.as_ref(),
        start_to_close: original.start_to_close_timeout.as_ref(),
        heartbeat: original.heartbeat_timeout.as_ref(),
        retry_policy: original.retry_policy.as_ref(),
        priority: original.priority.as_ref(),
    }
}

impl OptionsInForce<'_> {
    /// As messages carry them, with a task queue of nothing but a name. `start_delay` is not part of a
    /// workflow's activity.
    pub fn to_message(&self) -> ActivityOptions {
        ActivityOptions {
            task_queue: Some(TaskQueue { name: self.task_queue.to_owned(), ..TaskQueue::default() }),
            schedule_to_close_timeout: self.schedule_to_close.copied(),
            schedule_to_start_timeout: self.schedule_to_start.copied(),
            start_to_close_timeout: self.start_to_close.copied(),
            heartbeat_timeout: self.heartbeat.copied(),
            retry_policy: self.retry_policy.cloned(),
            priority: self.priority.cloned(),
            ..ActivityOptions::default()
        }
    }
}

/// The options that the activity was scheduled with.
pub(crate) fn original(scheduled: &records::ScheduledActivity) -> ActivityOptions {
    in_force(scheduled, &records::ActivityAttempt::default()).to_message()
}
