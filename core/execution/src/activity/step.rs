//! A decision in the making: a working copy, and what is to be stored and done.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use perdure_kernel::{
    Timestamp,
    retry_policy::{RetryDecision, RetryQuestion, RetrySubject, next_retry},
    time::span,
};
use perdure_proto::{
    api::{
        activity::{ActivityExecutionOutcome, activity_execution_outcome::Value},
        enums::{ActivityExecutionStatus, RetryState},
        failure::Failure,
    },
    records::{self, ActivityStatus},
};

use super::state::{ActivityState, Item};
use crate::{
    Env,
    archetype::{Transition, Verdict},
    failures::bounded,
    workflow::NewTask,
};

/// The working copy. Every change is made at once, so later parts of a decision see earlier ones.
pub(super) struct Step<'a, 'e> {
    pub(super) env: &'a mut Env<'e>,
    pub(super) state: ActivityState,
    items: BTreeSet<Item>,
    tasks: Vec<NewTask>,
    /// The status that clients saw before.
    shown_before: ActivityExecutionStatus,
    /// Whether something else changed that lists show.
    pub(super) row_changed: bool,
}

impl<'a, 'e> Step<'a, 'e> {
    pub(super) fn new(state: &ActivityState, env: &'a mut Env<'e>) -> Self {
        let shown_before = state.public_status();
        Self { env, state: state.clone(), items: BTreeSet::new(), tasks: Vec::new(), shown_before, row_changed: false }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.env.now
    }

    /// The attempt, to be changed.
    pub(super) fn attempt(&mut self) -> &mut records::ActivityAttempt {
        self.items.insert(Item::Attempt);
        Arc::make_mut(&mut self.state.attempt)
    }

    /// The options, to be changed.
    pub(super) fn scheduled(&mut self) -> &mut records::ScheduledActivity {
        self.items.insert(Item::Scheduled);
        Arc::make_mut(&mut self.state.scheduled)
    }

    /// The links, to be changed.
    pub(super) fn links(&mut self) -> &mut records::ActivityLinks {
        self.items.insert(Item::Links);
        Arc::make_mut(&mut self.state.links)
    }

    /// Everything is new.
    pub(super) fn touch_all(&mut self) {
        self.items.extend(Item::ALL);
    }

    /// The change, with the caller's reply.
    pub(super) fn finish<R>(self, reply: R) -> Verdict<ActivityState, R> {
        Verdict::Change(self.transition(), reply)
    }

    /// A change that clients do not see.
    pub(super) fn finish_unseen<R>(mut self, reply: R) -> Verdict<ActivityState, R> {
        self.state.record.state_transitions -= 1;
        self.finish(reply)
    }

    /// The change.
    pub(super) fn transition(mut self) -> Transition<ActivityState> {
        self.state.record.state_transitions += 1;
        let shown = self.row_changed || self.state.public_status() != self.shown_before;
        let items = self.items.into_iter().map(Item::name).collect();
        Transition { state: self.state, items, tasks: self.tasks, shown }
    }

    /// Lets the present attempt wait for `at`, or hands it to matching when that has come.
    pub(super) fn dispatch_at(&mut self, at: Timestamp) {
        self.state.record.set_status(ActivityStatus::Scheduled);
        let waits = at > self.now();
        let attempt = self.attempt();
        attempt.scheduled_time = at.as_nanos();
        attempt.waits_for_retry = waits;
        if !waits {
            self.dispatch();
        }
    }

    /// Hands the present attempt to matching.
    pub(super) fn dispatch(&mut self) {
        self.attempt().waits_for_retry = false;
        let (attempt, options) = (&self.state.attempt, self.state.scheduled.attributes.as_ref());
        let to_start = self.state.timeout(|options| options.schedule_to_start_timeout.as_ref());
        self.tasks.push(NewTask::Activity(records::DispatchActivityTask {
            scheduled_event_id: 0,
            stamp: attempt.stamp,
            attempt: attempt.attempt,
            task_queue: self.state.task_queue().to_owned(),
            schedule_to_start: i64::try_from(to_start.as_nanos()).unwrap_or(i64::MAX),
            priority: options.and_then(|options| options.priority.clone()),
        }));
    }

    /// `at`, or the end of the start delay while no worker ever had the activity.
    pub(super) fn not_before_start(&self, at: Timestamp) -> Timestamp {
        if self.state.record.first_started_time != 0 { at } else { at.max(self.state.first_dispatch()) }
    }

    /// A random part of `jitter` later than now.
    pub(super) fn jittered(&mut self, jitter: Option<&perdure_proto::Duration>) -> Timestamp {
        let jitter = u64::try_from(span(jitter).as_nanos()).unwrap_or(u64::MAX);
        let delay = if jitter == 0 { 0 } else { self.env.random.below(jitter) };
        self.now() + Duration::from_nanos(delay)
    }

    /// Decides whether the attempt that just failed is followed by another one, and if so arranges it. Anything
    /// but `InProgress` leaves the activity for the caller to end.
    pub(super) fn retry(&mut self, failure: Option<&Failure>) -> RetryState {
        let status = self.state.status();
        if status == ActivityStatus::ResetRequested {
            self.begin_anew(failure);
            return RetryState::InProgress;
        }
        let decision = next_retry(&RetryQuestion {
            subject: RetrySubject::Activity { cancel_requested: status == ActivityStatus::CancelRequested },
            policy: self.state.retry_policy(),
            attempt: self.state.attempt.attempt,
            now: self.now(),
            expiration: self.state.expires_at(),
            failure,
        });
        let interval = match decision {
            RetryDecision::Stop(state) => return state,
            RetryDecision::Retry { interval } => interval,
        };
        self.record_failure(failure, true);
        self.state.record.interval_from_worker = worker_delay(failure);
        let attempt = self.attempt();
        attempt.attempt += 1;
        attempt.stamp += 1;
        attempt.retry_interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        self.leave_attempt();
        if status == ActivityStatus::PauseRequested {
            self.state.record.set_status(ActivityStatus::Paused);
        } else {
            let at = self.now() + interval;
            self.dispatch_at(at);
        }
        RetryState::InProgress
    }

    /// The worker of an activity that was reset meanwhile has given up: its first attempt follows.
    fn begin_anew(&mut self, failure: Option<&Failure>) {
        if std::mem::take(&mut self.state.record.reset_restores_options) {
            self.restore_options();
        }
        if std::mem::take(&mut self.state.record.reset_clears_heartbeat) {
            self.clear_heartbeat();
        }
        self.record_failure(failure, true);
        self.first_attempt();
        self.leave_attempt();
        if std::mem::take(&mut self.state.record.reset_pauses) {
            self.state.record.set_status(ActivityStatus::Paused);
        } else {
            let at = self.not_before_start(self.now());
            self.dispatch_at(at);
        }
    }

    /// Counts attempts from the first again. Tasks already handed out are void.
    pub(super) fn first_attempt(&mut self) {
        self.state.record.interval_from_worker = false;
        let attempt = self.attempt();
        attempt.attempt = 1;
        attempt.stamp += 1;
        attempt.retry_interval = 0;
    }

    /// No worker has the attempt any more.
    fn leave_attempt(&mut self) {
        let attempt = self.attempt();
        attempt.last_worker_identity = std::mem::take(&mut attempt.identity);
        attempt.request_id.clear();
        attempt.started_time = 0;
        attempt.waits_for_retry = false;
    }

    /// Forgets the progress that the next attempt would resume from.
    pub(super) fn clear_heartbeat(&mut self) {
        let attempt = self.attempt();
        attempt.heartbeat_details = None;
        attempt.last_heartbeat_time = 0;
    }

    /// Keeps how an attempt failed; cut when it will be tried again.
    pub(super) fn record_failure(&mut self, failure: Option<&Failure>, retried: bool) {
        let max = self.env.limits().activity_failure_size_max;
        let now = self.now().as_nanos();
        let failure = failure.map(|failure| if retried { bounded(failure, max) } else { failure.clone() });
        let attempt = self.attempt();
        attempt.last_failure = failure;
        attempt.last_attempt_complete_time = now;
    }

    /// Ends the activity.
    pub(super) fn close(&mut self, status: ActivityStatus, value: Value, retry_state: RetryState) {
        let now = self.now();
        self.state.record.set_status(status);
        self.state.record.close_time = now.as_nanos();
        self.attempt().waits_for_retry = false;
        let outcome = ActivityExecutionOutcome { value: Some(value), retry_state: retry_state.into() };
        self.state.outcome = Some(Arc::new(outcome));
        self.items.insert(Item::Outcome);
        self.state.record.delete_at = self.env.deletion_time().as_nanos();
    }
}

/// Whether the worker said when to try again.
fn worker_delay(failure: Option<&Failure>) -> bool {
    use perdure_proto::api::failure::failure::FailureInfo;
    match failure.and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(info)) => !span(info.next_retry_delay.as_ref()).is_zero(),
        Some(_) | None => false,
    }
}
