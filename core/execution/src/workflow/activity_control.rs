//! What people and rules do to open activities: pause, unpause, reset, change options. No event tells of it.

use std::time::Duration;

use perdure_kernel::Timestamp;
use perdure_proto::records;

use super::{draft::Draft, task::as_nanos};

/// What a pause's entry in `TemporalPauseInfo` begins with, before the activity's type.
const PAUSED_TYPE: &str = "property:activityType=";

impl Draft<'_, '_> {
    /// Pauses an activity. A worker that has it may finish; what matching has of it is void.
    pub(crate) fn pause_activity(&mut self, id: i64, pause: records::ActivityPause) {
        let Some(attempt) = self.state.attempt(id) else { return };
        let mut next = (**attempt).clone();
        if next.started_time == 0 {
            next.stamp += 1;
        }
        next.waits_for_retry = false;
        next.pause = Some(pause);
        self.set_attempt(id, next);
        self.refresh_pause_info();
    }

    /// Hands an attempt that no worker has to matching anew, at `at`: as a retry that nothing has failed before.
    /// A paused one keeps the time and waits.
    pub(crate) fn redispatch_activity(&mut self, id: i64, mut next: records::ActivityAttempt, at: Timestamp) {
        let last = Timestamp::from_nanos(next.last_attempt_complete_time);
        next.scheduled_time = at.as_nanos();
        next.retry_interval = as_nanos(at.since(last));
        next.last_failure = None;
        leave_attempt(&mut next);
        forget_reset(&mut next);
        let (paused, now) = (next.pause.is_some(), self.now());
        next.waits_for_retry = !paused && at > now;
        let ready = !paused && at <= now;
        self.set_attempt(id, next);
        if ready {
            self.dispatch_unless_ruled_out(id);
        }
    }

    /// A random share of `jitter` from now.
    pub(crate) fn jittered(&mut self, jitter: Duration) -> Timestamp {
        let share = match u64::try_from(jitter.as_nanos()) {
            Ok(0) => 0,
            Ok(nanos) => self.env.random.below(nanos),
            Err(_) => self.env.random.below(u64::MAX),
        };
        self.now() + Duration::from_nanos(share)
    }

    /// Says anew which types of activities are paused. Activities that end while they are paused stay named
    /// until the next pause or end of one.
    pub(crate) fn refresh_pause_info(&mut self) {
        let paused = self
            .state
            .activities
            .iter()
            .filter(|(id, _)| self.state.attempt(**id).is_some_and(|attempt| attempt.pause.is_some()));
        let types = paused.filter_map(|(_, activity)| activity.attributes.as_ref()?.activity_type.as_ref());
        let entries: std::collections::BTreeSet<_> = types.map(|kind| format!("{PAUSED_TYPE}{}", kind.name)).collect();
        self.state.volatile.run.pause_info = entries.into_iter().collect();
    }
}

/// Whether matching has the attempt, or would have it were the run not paused: a worker may take it.
pub(crate) fn with_matching(attempt: &records::ActivityAttempt) -> bool {
    attempt.started_time == 0 && !attempt.waits_for_retry && attempt.pause.is_none()
}

/// No worker has the attempt any more.
pub(crate) fn leave_attempt(attempt: &mut records::ActivityAttempt) {
    attempt.started_time = 0;
    attempt.request_id.clear();
    if !attempt.identity.is_empty() {
        attempt.last_worker_identity = std::mem::take(&mut attempt.identity);
    }
}

/// A new attempt begins: a reset is carried out in full.
pub(crate) fn forget_reset(attempt: &mut records::ActivityAttempt) {
    if attempt.reset_heartbeats {
        forget_heartbeats(attempt);
    }
    attempt.reset = false;
    attempt.reset_heartbeats = false;
}

/// Forgets the progress that heartbeats told of.
pub(crate) fn forget_heartbeats(attempt: &mut records::ActivityAttempt) {
    attempt.heartbeat_details = None;
    attempt.last_heartbeat_time = 0;
}

/// Ends a pause. What was handed out before it stays void.
pub(crate) fn unpause(attempt: &mut records::ActivityAttempt) {
    attempt.pause = None;
    attempt.stamp += 1;
}
