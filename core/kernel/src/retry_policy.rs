//! Retry policies: their defaults, what makes one valid, and whether and when a failed attempt is
//! tried again.
//!
//! Policies are kept in their protobuf form, as events and clients carry them.

use std::time::Duration;

use perdure_proto as proto;
use proto::api::common::RetryPolicy;
use proto::api::enums::{RetryState, TimeoutType};
use proto::api::failure::Failure;
use proto::api::failure::failure::FailureInfo;

use crate::backoff::{LONGEST, exponential};
use crate::time::{span, span_to_proto};
use crate::{ServiceError, ServiceResult, Timestamp};

/// An entry of `non_retryable_error_types` that starts so names a timeout type, not an error type:
/// `TemporalTimeout:StartToClose` or `TemporalTimeout:Heartbeat`.
pub const TIMEOUT_TYPE_PREFIX: &str = "TemporalTimeout:";

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What unset fields of a policy become. Temporal's `history.defaultActivityRetryPolicy` and
/// `history.defaultWorkflowRetryPolicy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryDefaults {
    /// Wait after the first attempt.
    pub initial_interval: Duration,
    /// What each further wait is multiplied by.
    pub backoff_coefficient: f64,
    /// The longest wait, as a multiple of the first one; its fraction is dropped.
    pub maximum_interval_coefficient: f64,
    /// Attempts in all; 0 is no limit.
    pub maximum_attempts: i32,
}

impl Default for RetryDefaults {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            backoff_coefficient: 2.0,
            maximum_interval_coefficient: 100.0,
            maximum_attempts: 0,
        }
    }
}

/// Fills the unset (zero) fields of `policy`. The longest wait follows the policy's own first wait.
pub fn fill_defaults(policy: &mut RetryPolicy, defaults: &RetryDefaults) {
    if policy.maximum_attempts == 0 {
        policy.maximum_attempts = defaults.maximum_attempts;
    }
    if nanos(policy.initial_interval.as_ref()) == 0 {
        policy.initial_interval = Some(span_to_proto(defaults.initial_interval));
    }
    if nanos(policy.maximum_interval.as_ref()) == 0 {
        let multiple = defaults.maximum_interval_coefficient as i64;
        let longest = nanos(policy.initial_interval.as_ref()).saturating_mul(multiple);
        policy.maximum_interval =
            Some(proto::Duration { seconds: longest / NANOS_PER_SECOND, nanos: (longest % NANOS_PER_SECOND) as i32 });
    }
    if policy.backoff_coefficient == 0.0 {
        policy.backoff_coefficient = defaults.backoff_coefficient;
    }
}

/// Checks a policy whose defaults are filled in, and cuts intervals longer than `duration_max`
/// ([`crate::Limits::duration_max`]) to it.
///
/// # Errors
///
/// `InvalidArgument` in Temporal's words: a negative interval or attempt count, a coefficient below 1, a
/// longest interval shorter than the first, or an unknown type after [`TIMEOUT_TYPE_PREFIX`]. A policy of
/// exactly one attempt never retries, so the rest of it is not looked at.
pub fn validate_and_cap(policy: &mut RetryPolicy, duration_max: Duration) -> ServiceResult<()> {
    if policy.maximum_attempts == 1 {
        return Ok(());
    }
    let refuse = |message: &'static str| Err(ServiceError::invalid_argument(message));
    check_interval("InitialInterval", policy.initial_interval.as_mut(), duration_max)?;
    if policy.backoff_coefficient.is_nan() || policy.backoff_coefficient < 1.0 {
        return refuse("BackoffCoefficient cannot be less than 1 on retry policy.");
    }
    check_interval("MaximumInterval", policy.maximum_interval.as_mut(), duration_max)?;
    let longest = nanos(policy.maximum_interval.as_ref());
    if longest > 0 && longest < nanos(policy.initial_interval.as_ref()) {
        return refuse("MaximumInterval cannot be less than InitialInterval on retry policy.");
    }
    if policy.maximum_attempts < 0 {
        return refuse("MaximumAttempts cannot be negative on retry policy.");
    }
    let names = policy.non_retryable_error_types.iter().filter_map(|name| name.strip_prefix(TIMEOUT_TYPE_PREFIX));
    for name in names {
        if !is_timeout_type(name) {
            return Err(ServiceError::invalid_argument(format!("Invalid timeout type value: {name}.")));
        }
    }
    Ok(())
}

fn check_interval(field: &str, value: Option<&mut proto::Duration>, duration_max: Duration) -> ServiceResult<()> {
    let Some(value) = value else { return Ok(()) };
    let refuse =
        |what: &str| Err(ServiceError::invalid_argument(format!("invalid {field} set on retry policy: {what}")));
    if i64::from(value.nanos).signum() * value.seconds.signum() < 0 {
        return refuse("duration has seconds and nanos with different signs");
    }
    if nanos(Some(value)) < 0 {
        return refuse("negative duration");
    }
    if span(Some(value)) > duration_max {
        *value = span_to_proto(duration_max);
    }
    Ok(())
}

/// Both spellings of a type are valid in a policy: `StartToClose` and `TIMEOUT_TYPE_START_TO_CLOSE`.
/// Only the short one ever matches a failure.
fn is_timeout_type(name: &str) -> bool {
    matches!(name, "StartToClose" | "ScheduleToStart" | "ScheduleToClose" | "Heartbeat")
        || TimeoutType::from_str_name(name).is_some_and(|known| known != TimeoutType::Unspecified)
}

/// Signed nanoseconds; 0 when unset, held at the ends of an `i64`.
fn nanos(value: Option<&proto::Duration>) -> i64 {
    value.map_or(0, |value| value.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(i64::from(value.nanos)))
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrySubject {
    /// An attempt of an activity.
    Activity {
        /// Whether the workflow asked for its cancellation: then nothing is tried again.
        cancel_requested: bool,
    },
    /// A run of a workflow.
    WorkflowRun,
}

/// All that decides whether a failed attempt is followed by another one.
#[derive(Clone, Copy, Debug)]
pub struct RetryQuestion<'a> {
    /// What failed.
    pub subject: RetrySubject,
    /// Its policy, with defaults filled in; `None` never retries.
    pub policy: Option<&'a RetryPolicy>,
    /// The attempt that failed, from 1.
    pub attempt: i32,
    /// The present instant.
    pub now: Timestamp,
    /// The instant after which no attempt may begin: for an activity its first schedule time plus
    /// schedule-to-close, for a workflow the end of its execution timeout. `None` and
    /// [`Timestamp::EPOCH`] are no limit.
    pub expiration: Option<Timestamp>,
    /// How it failed; `None` counts as retryable.
    pub failure: Option<&'a Failure>,
}

/// The answer to a [`RetryQuestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again (`RETRY_STATE_IN_PROGRESS`).
    Retry {
        /// How long after now.
        interval: Duration,
    },
    /// Do not try again, for this reason (never `InProgress`).
    Stop(RetryState),
}

/// Whether and when to try again. The reasons to stop are weighed in this order: no policy, cancel
/// requested, server-side timeout of an activity, non-retryable failure, attempts used up, no time left.
pub fn next_retry(question: &RetryQuestion<'_>) -> RetryDecision {
    let Some(policy) = question.policy else { return RetryDecision::Stop(RetryState::RetryPolicyNotSet) };
    if let Some(state) = refusal(question) {
        return RetryDecision::Stop(state);
    }
    if policy.maximum_attempts > 0 && question.attempt.max(1) >= policy.maximum_attempts {
        return RetryDecision::Stop(RetryState::MaximumAttemptsReached);
    }

    let delay = question.failure.and_then(next_retry_delay);
    let mut max = nanos(policy.maximum_interval.as_ref());
    let mut interval = match delay {
        Some(delay) => {
            // An activity's own delay also lifts the cap; a workflow's stays under its policy's.
            if matches!(question.subject, RetrySubject::Activity { .. }) {
                max = delay;
            }
            delay
        }
        None => {
            let initial = span(policy.initial_interval.as_ref());
            let interval = exponential(initial, policy.backoff_coefficient, Duration::ZERO, question.attempt);
            i64::try_from(interval.min(LONGEST).as_nanos()).unwrap_or(i64::MAX)
        }
    };
    if max == 0 && interval <= 0 {
        return RetryDecision::Stop(RetryState::Timeout);
    }
    if max != 0 && (interval <= 0 || interval > max) {
        interval = max;
    }
    let interval = Duration::from_nanos(u64::try_from(interval).unwrap_or(0));
    match question.expiration {
        Some(expiration) if !expiration.is_unset() && question.now + interval > expiration => {
            RetryDecision::Stop(RetryState::Timeout)
        }
        Some(_) | None => RetryDecision::Retry { interval },
    }
}

/// The reasons to stop that do not depend on attempts or time. An activity that is paused asks only
/// these: it is held, not tried again, and neither its attempts nor its time run out meanwhile.
pub fn refusal(question: &RetryQuestion<'_>) -> Option<RetryState> {
    let Some(policy) = question.policy else { return Some(RetryState::RetryPolicyNotSet) };
    match question.subject {
        RetrySubject::Activity { cancel_requested: true } => return Some(RetryState::CancelRequested),
        // The server's deadlines on waiting are not failures of the activity's code.
        RetrySubject::Activity { cancel_requested: false } if question.failure.is_some_and(is_schedule_timeout) => {
            return Some(RetryState::Timeout);
        }
        RetrySubject::Activity { cancel_requested: false } | RetrySubject::WorkflowRun => {}
    }
    let retryable = question.failure.is_none_or(|failure| is_retryable(failure, &policy.non_retryable_error_types));
    (!retryable).then_some(RetryState::NonRetryableFailure)
}

/// Whether a failure allows another attempt under a policy's `non_retryable_error_types`.
///
/// Never: termination, cancellation, schedule-to-start and schedule-to-close timeouts, and application
/// and server failures that say so. By name: application failures by their type, start-to-close and
/// heartbeat timeouts by [`TIMEOUT_TYPE_PREFIX`]. All else, wrappers around another failure included, is
/// retryable.
pub fn is_retryable(failure: &Failure, non_retryable_types: &[String]) -> bool {
    let Some(info) = &failure.failure_info else { return true };
    match info {
        FailureInfo::TerminatedFailureInfo(_) | FailureInfo::CanceledFailureInfo(_) => false,
        FailureInfo::TimeoutFailureInfo(timeout) => {
            let name = match timeout.timeout_type() {
                TimeoutType::StartToClose => "StartToClose",
                TimeoutType::Heartbeat => "Heartbeat",
                TimeoutType::ScheduleToStart | TimeoutType::ScheduleToClose | TimeoutType::Unspecified => return false,
            };
            !non_retryable_types.iter().any(|entry| entry.strip_prefix(TIMEOUT_TYPE_PREFIX) == Some(name))
        }
        FailureInfo::ServerFailureInfo(server) => !server.non_retryable,
        FailureInfo::ApplicationFailureInfo(application) => {
            !application.non_retryable && !non_retryable_types.contains(&application.r#type)
        }
        FailureInfo::ResetWorkflowFailureInfo(_)
        | FailureInfo::ActivityFailureInfo(_)
        | FailureInfo::ChildWorkflowExecutionFailureInfo(_)
        | FailureInfo::NexusOperationExecutionFailureInfo(_)
        | FailureInfo::NexusHandlerFailureInfo(_) => true,
    }
}

fn is_schedule_timeout(failure: &Failure) -> bool {
    let Some(FailureInfo::TimeoutFailureInfo(timeout)) = &failure.failure_info else { return false };
    matches!(timeout.timeout_type(), TimeoutType::ScheduleToStart | TimeoutType::ScheduleToClose)
}

/// The wait that the failing code asked for, in nanoseconds.
fn next_retry_delay(failure: &Failure) -> Option<i64> {
    let Some(FailureInfo::ApplicationFailureInfo(application)) = &failure.failure_info else { return None };
    application.next_retry_delay.as_ref().map(|delay| nanos(Some(delay)))
}

#[cfg(test)]
mod tests;
