//! What a run waits for, and when.

use std::time::Duration;

use perdure_kernel::{Timestamp, time::span};
use perdure_proto::{api::enums::TimeoutType, records};

use super::{options_in_force::in_force, state::WorkflowState};

/// Something that becomes due. Ties at one instant are worked off in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deadline {
    /// The first workflow task's backoff ends.
    FirstTask,
    /// A user timer, named by its started event, fires.
    Timer(i64),
    /// An activity attempt's timeout, named by the activity's scheduled event.
    ActivityTimeout(i64, ActivityTimeout),
    /// An activity's retry backoff ends.
    ActivityRetry(i64),
    /// A sticky worker did not take the workflow task in time.
    TaskScheduleToStart,
    /// The worker did not finish the workflow task in time.
    TaskStartToClose,
    /// The run's time is over.
    Run,
    /// Completion callbacks are tried again.
    Callbacks,
    /// A closed run's retention is over.
    Delete,
}

/// The four activity timeouts, in the order in which ties are worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActivityTimeout {
    /// From first schedule to close.
    ScheduleToClose,
    /// From an attempt's schedule to its start.
    ScheduleToStart,
    /// From an attempt's start to its end.
    StartToClose,
    /// Between signs of life.
    Heartbeat,
}

impl ActivityTimeout {
    /// The API's name for it.
    pub fn timeout_type(self) -> TimeoutType {
        match self {
            Self::ScheduleToClose => TimeoutType::ScheduleToClose,
            Self::ScheduleToStart => TimeoutType::ScheduleToStart,
            Self::StartToClose => TimeoutType::StartToClose,
            Self::Heartbeat => TimeoutType::Heartbeat,
        }
    }
}

/// Deadlines of an open activity. At most four; none while it is paused.
pub fn of_activity(
    scheduled: &records::ScheduledActivity,
    attempt: &records::ActivityAttempt,
) -> impl Iterator<Item = (Timestamp, Deadline)> + use<> {
    let id = scheduled.scheduled_event_id;
    let options = in_force(scheduled, attempt);
    let active = attempt.pause.is_none();
    let after = |from: i64, by: Duration| (from != 0 && !by.is_zero()).then(|| Timestamp::from_nanos(from) + by);
    let timeout = |kind, at: Option<Timestamp>| at.map(|at| (at, Deadline::ActivityTimeout(id, kind)));
    let to_close = span(options.schedule_to_close);
    let to_start = span(options.schedule_to_start);
    let start_to_close = span(options.start_to_close);
    let heartbeat = span(options.heartbeat);
    let started = attempt.started_time != 0;
    // The time of the last sign of life: the start itself is one.
    let alive = attempt.last_heartbeat_time.max(attempt.started_time);
    let deadlines = [
        timeout(ActivityTimeout::ScheduleToClose, after(scheduled.scheduled_time, to_close)),
        if started { None } else { timeout(ActivityTimeout::ScheduleToStart, after(attempt.scheduled_time, to_start)) },
        if started {
            timeout(ActivityTimeout::StartToClose, after(attempt.started_time, start_to_close))
        } else {
            None
        },
        if started { timeout(ActivityTimeout::Heartbeat, after(alive, heartbeat)) } else { None },
        (attempt.waits_for_retry && !started)
            .then(|| (Timestamp::from_nanos(attempt.scheduled_time), Deadline::ActivityRetry(id))),
    ];
    deadlines.into_iter().flatten().filter(move |_| active)
}

/// The deadline of a user timer.
pub fn of_timer(timer: &records::Timer) -> (Timestamp, Deadline) {
    (Timestamp::from_nanos(timer.fire_at), Deadline::Timer(timer.started_event_id))
}

impl WorkflowState {
    /// The earliest deadline, if the run waits for anything. A closed run waits for its callbacks and its
    /// deletion only, whatever was pending when it closed.
    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let pending = self.volatile.deadlines.get_min().copied().filter(|_| self.is_open());
        let callbacks = self.volatile.callback_retries.get_min().map(|(at, _)| (*at, Deadline::Callbacks));
        self.run_deadlines().chain(pending).chain(callbacks).min()
    }

    /// Deadlines of the run itself: those that are not in the index.
    fn run_deadlines(&self) -> impl Iterator<Item = (Timestamp, Deadline)> {
        let run = &self.volatile.run;
        let at = |nanos: i64, deadline| (nanos != 0).then(|| (Timestamp::from_nanos(nanos), deadline));
        let deadlines = if self.is_open() {
            let task = self.task();
            let waiting = task.filter(|task| task.started_time == 0);
            let started = task.filter(|task| task.started_time != 0);
            [
                at(run.first_task_at, Deadline::FirstTask),
                waiting.and_then(|task| at(task.schedule_to_start_at, Deadline::TaskScheduleToStart)),
                started.and_then(|task| at(task.started_time.saturating_add(task.timeout), Deadline::TaskStartToClose)),
                at(self.record.run_expires_at, Deadline::Run),
            ]
        } else {
            [at(run.delete_at, Deadline::Delete), None, None, None]
        };
        deadlines.into_iter().flatten()
    }
}
