//! What happens when an activity's time has come.

use perdure_kernel::Timestamp;
use perdure_proto::{
    api::{
        activity::activity_execution_outcome::Value,
        enums::RetryState,
        failure::{Failure, failure::FailureInfo},
    },
    records::ActivityStatus,
};

use super::{state::ActivityState, step::Step};
use crate::{
    Env,
    archetype::Verdict,
    failures::{NO_TIME_FOR_RETRY, timeout},
    workflow::deadline::{ActivityTimeout, Deadline, of_activity},
};

impl ActivityState {
    /// The earliest deadline. One that is paused has only that of the whole; one that is closed, its deletion.
    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        if self.is_closed() {
            return Some((Timestamp::from_nanos(self.record.delete_at), Deadline::Delete));
        }
        let paused = self.status() == ActivityStatus::Paused;
        let counts = |deadline: &Deadline| match deadline {
            Deadline::ActivityTimeout(_, ActivityTimeout::ScheduleToClose) => true,
            Deadline::ActivityTimeout(
                _,
                ActivityTimeout::ScheduleToStart | ActivityTimeout::StartToClose | ActivityTimeout::Heartbeat,
            )
            | Deadline::ActivityRetry(_) => !paused,
            Deadline::FirstTask
            | Deadline::Timer(_)
            | Deadline::TaskScheduleToStart
            | Deadline::TaskStartToClose
            | Deadline::Run
            | Deadline::Callbacks
            | Deadline::Delete => false,
        };
        of_activity(&self.scheduled, &self.attempt).filter(|(_, deadline)| counts(deadline)).min()
    }
}

/// Works off what is due.
pub(super) fn wake(run: &ActivityState, env: &mut Env<'_>) -> Verdict<ActivityState, ()> {
    let now = env.now;
    let Some((_, deadline)) = run.next_deadline().filter(|(at, _)| *at <= now) else { return Verdict::Reply(()) };
    let mut step = Step::new(run, env);
    match deadline {
        Deadline::ActivityRetry(_) => {
            step.dispatch();
            return step.finish_unseen(());
        }
        Deadline::ActivityTimeout(_, timeout) => step.time_out(timeout),
        Deadline::FirstTask
        | Deadline::Timer(_)
        | Deadline::TaskScheduleToStart
        | Deadline::TaskStartToClose
        | Deadline::Run
        | Deadline::Callbacks
        | Deadline::Delete => return Verdict::Remove(()),
    }
    step.finish(())
}

impl Step<'_, '_> {
    /// One of the four times is over: another attempt, or the end.
    fn time_out(&mut self, which: ActivityTimeout) {
        let kind = which.timeout_type();
        let cause = self.state.attempt.last_failure.clone().map(Box::new);
        let mut failure = timeout(&format!("activity {kind:?} timeout"), kind);
        let retry_state = match which {
            ActivityTimeout::ScheduleToStart => RetryState::Timeout,
            ActivityTimeout::ScheduleToClose if self.state.status() == ActivityStatus::CancelRequested => {
                RetryState::CancelRequested
            }
            ActivityTimeout::ScheduleToClose => RetryState::Timeout,
            ActivityTimeout::StartToClose | ActivityTimeout::Heartbeat => self.retry(Some(&failure)),
        };
        if retry_state == RetryState::InProgress {
            return;
        }
        self.complete_timeout(&mut failure, cause.clone());
        let mut shown = failure.clone();
        match which {
            ActivityTimeout::ScheduleToStart | ActivityTimeout::ScheduleToClose => {}
            ActivityTimeout::StartToClose | ActivityTimeout::Heartbeat => {
                self.record_failure(Some(&failure), false);
                if retry_state == RetryState::Timeout {
                    // There is no time left for another attempt: that is what the client is told.
                    let kind = ActivityTimeout::ScheduleToClose.timeout_type();
                    shown = timeout(NO_TIME_FOR_RETRY, kind);
                    self.complete_timeout(&mut shown, cause);
                }
            }
        }
        self.close(ActivityStatus::TimedOut, Value::Failure(shown), retry_state);
    }

    /// Adds the progress so far, and how the attempt before failed.
    fn complete_timeout(&self, failure: &mut Failure, cause: Option<Box<Failure>>) {
        if let Some(FailureInfo::TimeoutFailureInfo(info)) = &mut failure.failure_info {
            info.last_heartbeat_details.clone_from(&self.state.attempt.heartbeat_details);
        }
        failure.cause = cause;
    }
}
