//! Options of an activity: checked, and filled in where the worker left them out.

use std::time::Duration;

use perdure_kernel::{Limits, ServiceError, retry_policy};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        activity::ActivityOptions, command::ScheduleActivityTaskCommandAttributes, enums::TaskQueueKind,
        history::ActivityTaskScheduledEventAttributes, taskqueue::TaskQueue,
    },
};

use super::duration;
use crate::workflow::apply::event_span;

/// Prefix of queue names that users may not use.
const SYSTEM_QUEUE_PREFIX: &str = "/_sys/";

/// The scheduled event that a command asks for, or what is wrong with it.
///
/// Timeouts left out follow from those given and from the run's timeout (`run_timeout`, zero for none): an
/// activity always has a schedule-to-close or a start-to-close timeout, and never outlives its run.
pub(super) fn scheduled_event(
    command: ScheduleActivityTaskCommandAttributes,
    run_timeout: Duration,
    workflow_queue: &str,
    limits: &Limits,
) -> Result<ActivityTaskScheduledEventAttributes, String> {
    let id = command.activity_id.clone();
    let kind = command.activity_type.as_ref().map_or("", |kind| &kind.name).to_owned();
    let with_names = |text: String| format!("{text}. ActivityId={id} ActivityType={kind}");
    if id.is_empty() {
        return Err(format!("ActivityId is not set. ActivityType={kind}"));
    }
    if kind.is_empty() {
        return Err(format!("ActivityType is not set. ActivityID={id}"));
    }
    let queue = task_queue(command.task_queue, workflow_queue)
        .map_err(|text| with_names(format!("Invalid TaskQueue: {text}")))?;
    for (field, value) in [("ActivityId", &id), ("ActivityType", &kind), ("TaskQueue", &queue.name)] {
        if value.len() > limits.id_length_max {
            return Err(with_names(format!(
                "{field} exceeds length limit. Length={} Limit={}",
                value.len(),
                limits.id_length_max
            )));
        }
    }
    let mut policy = command.retry_policy.unwrap_or_default();
    retry_policy::fill_defaults(&mut policy, &retry_policy::RetryDefaults::default());
    let invalid = |error: ServiceError| with_names(format!("Invalid ActivityRetryPolicy: {error}"));
    retry_policy::validate_and_cap(&mut policy, limits.duration_max).map_err(invalid)?;
    if command.priority.as_ref().is_some_and(|priority| priority.priority_key < 0) {
        return Err(with_names("priority key can't be negative".to_owned()));
    }
    let given = [
        command.schedule_to_close_timeout.as_ref(),
        command.schedule_to_start_timeout.as_ref(),
        command.start_to_close_timeout.as_ref(),
        command.heartbeat_timeout.as_ref(),
    ];
    let timeouts = Timeouts::checked(given, limits.duration_max)
        .map_err(|(field, why)| with_names(format!("Invalid {field}: {why}")))?;
    let Some(timeouts) = timeouts.filled(run_timeout) else {
        return Err(with_names(
            "A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand".to_owned(),
        ));
    };
    Ok(ActivityTaskScheduledEventAttributes {
        activity_id: command.activity_id,
        activity_type: command.activity_type,
        task_queue: Some(queue),
        header: command.header,
        input: command.input,
        schedule_to_close_timeout: event_span(timeouts.to_close),
        schedule_to_start_timeout: event_span(timeouts.to_start),
        start_to_close_timeout: event_span(timeouts.start_to_close),
        heartbeat_timeout: event_span(timeouts.heartbeat),
        retry_policy: Some(policy),
        use_workflow_build_id: command.use_workflow_build_id,
        priority: command.priority,
        ..Default::default()
    })
}

fn task_queue(given: Option<TaskQueue>, workflow_queue: &str) -> Result<TaskQueue, &'static str> {
    let name = given.map(|queue| queue.name).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| workflow_queue.to_owned());
    if name.starts_with(SYSTEM_QUEUE_PREFIX) {
        return Err("task queue name cannot start with reserved prefix /_sys/");
    }
    Ok(TaskQueue { name, kind: TaskQueueKind::Normal.into(), normal_name: String::new() })
}

/// Timeouts of an activity; zero is "not set".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) to_close: Duration,
    pub(crate) to_start: Duration,
    pub(crate) start_to_close: Duration,
    pub(crate) heartbeat: Duration,
}

impl Timeouts {
    /// From schedule-to-close, schedule-to-start, start-to-close and heartbeat timeouts as messages carry them. The
    /// error names the field and what is wrong with it.
    pub(crate) fn checked(
        given: [Option<&ProtoDuration>; 4],
        longest: Duration,
    ) -> Result<Self, (&'static str, &'static str)> {
        let [to_close, to_start, start_to_close, heartbeat] = given;
        let bounded =
            |field: &'static str, value: Option<&ProtoDuration>| duration(value, longest).map_err(|why| (field, why));
        Ok(Self {
            to_close: bounded("ScheduleToCloseTimeout", to_close)?,
            to_start: bounded("ScheduleToStartTimeout", to_start)?,
            start_to_close: bounded("StartToCloseTimeout", start_to_close)?,
            heartbeat: bounded("HeartbeatTimeout", heartbeat)?,
        })
    }

    /// Writes them into a message, all four.
    pub(crate) fn write(self, options: &mut ActivityOptions) {
        options.schedule_to_close_timeout = event_span(self.to_close);
        options.schedule_to_start_timeout = event_span(self.to_start);
        options.start_to_close_timeout = event_span(self.start_to_close);
        options.heartbeat_timeout = event_span(self.heartbeat);
    }

    /// With what was left out; `None` when neither schedule-to-close nor start-to-close is set. `run` is the run's
    /// timeout, zero for none.
    pub(crate) fn filled(self, run: Duration) -> Option<Self> {
        let or = |value: Duration, other: Duration| if value.is_zero() { other } else { value };
        let capped = |value: Duration, cap: Duration| {
            if cap.is_zero() { value } else { or(value, cap).min(cap) }
        };
        let mut filled = self;
        if !self.to_close.is_zero() {
            filled.to_start = capped(self.to_start, self.to_close);
            filled.start_to_close = capped(self.start_to_close, self.to_close);
        } else if !self.start_to_close.is_zero() {
            filled.to_close = run;
            filled.to_start = or(self.to_start, run);
        } else {
            return None;
        }
        if !run.is_zero() {
            filled.to_close = filled.to_close.min(run);
            filled.to_start = filled.to_start.min(run);
            filled.start_to_close = filled.start_to_close.min(run);
            filled.heartbeat = filled.heartbeat.min(run);
        }
        filled.heartbeat = filled.heartbeat.min(filled.start_to_close);
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(to_close: u64, to_start: u64, start_to_close: u64, heartbeat: u64) -> Timeouts {
        let [to_close, to_start, start_to_close, heartbeat] =
            [to_close, to_start, start_to_close, heartbeat].map(Duration::from_secs);
        Timeouts { to_close, to_start, start_to_close, heartbeat }
    }

    #[test]
    fn timeouts_follow_from_each_other() {
        // (given, run timeout in seconds, expected)
        let cases = [
            (seconds(10, 0, 0, 0), 0, Some(seconds(10, 10, 10, 0))),
            (seconds(10, 20, 5, 7), 0, Some(seconds(10, 10, 5, 5))),
            (seconds(0, 0, 10, 3), 0, Some(seconds(0, 0, 10, 3))),
            (seconds(0, 0, 10, 0), 60, Some(seconds(60, 60, 10, 0))),
            (seconds(100, 100, 100, 100), 30, Some(seconds(30, 30, 30, 30))),
            (seconds(0, 5, 0, 5), 30, None),
        ];
        for (given, run, expected) in cases {
            assert_eq!(given.filled(Duration::from_secs(run)), expected, "{given:?} in a run of {run} s");
        }
    }
}
