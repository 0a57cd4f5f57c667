#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proto::api::failure::{
    ApplicationFailureInfo, CanceledFailureInfo, ChildWorkflowExecutionFailureInfo, ServerFailureInfo,
    TerminatedFailureInfo, TimeoutFailureInfo,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ACTIVITY: RetrySubject = RetrySubject::Activity { cancel_requested: false };
const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

fn seconds(seconds: i64) -> Option<proto::Duration> {
    Some(proto::Duration { seconds, nanos: 0 })
}

fn filled(mut policy: RetryPolicy) -> RetryPolicy {
    fill_defaults(&mut policy, &RetryDefaults::default());
    policy
}

fn failure(info: FailureInfo) -> Failure {
    Failure { failure_info: Some(info), ..Failure::default() }
}

fn application(name: &str, non_retryable: bool, delay: Option<proto::Duration>) -> Failure {
    failure(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
        r#type: name.into(),
        non_retryable,
        next_retry_delay: delay,
        ..ApplicationFailureInfo::default()
    }))
}

fn timeout(kind: TimeoutType) -> Failure {
    failure(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
        timeout_type: kind.into(),
        ..TimeoutFailureInfo::default()
    }))
}

fn server(non_retryable: bool) -> Failure {
    failure(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable }))
}

fn question<'a>(policy: &'a RetryPolicy, attempt: i32, failure: &'a Failure) -> RetryQuestion<'a> {
    RetryQuestion {
        subject: ACTIVITY,
        policy: Some(policy),
        attempt,
        now: NOW,
        expiration: None,
        failure: Some(failure),
    }
}

fn retry(interval: Duration) -> RetryDecision {
    RetryDecision::Retry { interval }
}

#[test]
fn defaults_fill_only_what_is_unset() {
    let all = RetryPolicy {
        initial_interval: seconds(1),
        backoff_coefficient: 2.0,
        maximum_interval: seconds(100),
        ..RetryPolicy::default()
    };
    assert_eq!(filled(RetryPolicy::default()), all);
    let slow = filled(RetryPolicy { initial_interval: seconds(2), ..RetryPolicy::default() });
    assert_eq!(slow, RetryPolicy { initial_interval: seconds(2), maximum_interval: seconds(200), ..all.clone() });
    let own = RetryPolicy {
        maximum_interval: seconds(1000),
        backoff_coefficient: 1.5,
        maximum_attempts: 49,
        non_retryable_error_types: vec!["mine".into()],
        ..all
    };
    assert_eq!(filled(own.clone()), own);
    let endless = filled(RetryPolicy { initial_interval: seconds(i64::MAX), ..RetryPolicy::default() });
    assert_eq!(nanos(endless.maximum_interval.as_ref()), i64::MAX);
}

#[test]
fn validation_speaks_temporals_words() {
    let valid = filled(RetryPolicy::default());
    let named = |name: &str| RetryPolicy { non_retryable_error_types: vec![name.into()], ..valid.clone() };
    let cases = [
        (valid.clone(), None),
        (RetryPolicy { maximum_attempts: 1, backoff_coefficient: 0.5, ..RetryPolicy::default() }, None),
        (
            RetryPolicy { initial_interval: seconds(-22), ..valid.clone() },
            Some("invalid InitialInterval set on retry policy: negative duration"),
        ),
        (
            RetryPolicy { initial_interval: Some(proto::Duration { seconds: 1, nanos: -1 }), ..valid.clone() },
            Some("invalid InitialInterval set on retry policy: duration has seconds and nanos with different signs"),
        ),
        (
            RetryPolicy { backoff_coefficient: 0.8, ..valid.clone() },
            Some("BackoffCoefficient cannot be less than 1 on retry policy."),
        ),
        (
            RetryPolicy { backoff_coefficient: f64::NAN, ..valid.clone() },
            Some("BackoffCoefficient cannot be less than 1 on retry policy."),
        ),
        (
            RetryPolicy { maximum_interval: seconds(-2), ..valid.clone() },
            Some("invalid MaximumInterval set on retry policy: negative duration"),
        ),
        (
            RetryPolicy { maximum_interval: seconds(5), initial_interval: seconds(10), ..valid.clone() },
            Some("MaximumInterval cannot be less than InitialInterval on retry policy."),
        ),
        (
            RetryPolicy { maximum_attempts: -3, ..valid.clone() },
            Some("MaximumAttempts cannot be negative on retry policy."),
        ),
        (named("TemporalTimeout:StartToClose"), None),
        (named("TemporalTimeout:TIMEOUT_TYPE_HEARTBEAT"), None),
        (named("Unspecified"), None),
        (named("TemporalTimeout:Unspecified"), Some("Invalid timeout type value: Unspecified.")),
        (named("TemporalTimeout:unknown"), Some("Invalid timeout type value: unknown.")),
    ];
    for (mut policy, wanted) in cases {
        let refusal = validate_and_cap(&mut policy, 36_500 * DAY).err();
        assert_eq!(refusal.map(|error| error.message.into_owned()), wanted.map(str::to_owned), "{policy:?}");
    }
}

#[test]
fn long_intervals_are_cut() {
    let mut policy = filled(RetryPolicy { initial_interval: seconds(i64::MAX), ..RetryPolicy::default() });
    validate_and_cap(&mut policy, DAY).unwrap();
    assert_eq!((span(policy.initial_interval.as_ref()), span(policy.maximum_interval.as_ref())), (DAY, DAY));
}

#[test]
fn failures_by_kind() {
    let wrapped = Failure {
        cause: Some(Box::new(application("x", true, None))),
        ..failure(FailureInfo::ChildWorkflowExecutionFailureInfo(ChildWorkflowExecutionFailureInfo::default()))
    };
    let cases = [
        (Failure::default(), "", true),
        (failure(FailureInfo::TerminatedFailureInfo(TerminatedFailureInfo::default())), "", false),
        (failure(FailureInfo::CanceledFailureInfo(CanceledFailureInfo::default())), "", false),
        (timeout(TimeoutType::Unspecified), "", false),
        (timeout(TimeoutType::ScheduleToStart), "", false),
        (timeout(TimeoutType::ScheduleToClose), "", false),
        (timeout(TimeoutType::StartToClose), "", true),
        (timeout(TimeoutType::StartToClose), "TemporalTimeout:StartToClose", false),
        (timeout(TimeoutType::StartToClose), "TemporalTimeout:TIMEOUT_TYPE_START_TO_CLOSE", true),
        (timeout(TimeoutType::Heartbeat), "TemporalTimeout:StartToClose", true),
        (timeout(TimeoutType::Heartbeat), "TemporalTimeout:Heartbeat", false),
        (server(false), "", true),
        (server(true), "", false),
        (application("x", false, None), "y", true),
        (application("x", false, None), "x", false),
        (application("x", true, None), "", false),
        (wrapped, "x", true),
    ];
    for (failure, listed, wanted) in cases {
        assert_eq!(is_retryable(&failure, &[listed.to_owned()]), wanted, "{listed} {failure:?}");
    }
}

#[test]
fn reasons_to_stop_in_their_order() {
    let policy = filled(RetryPolicy { maximum_attempts: 2, ..RetryPolicy::default() });
    let fatal = application("x", true, None);
    let late = timeout(TimeoutType::ScheduleToClose);
    let plain = server(false);
    let stop = RetryDecision::Stop;

    // Each question would also meet every later reason.
    let worst = RetryQuestion { expiration: Some(NOW), ..question(&policy, 2, &fatal) };
    let canceled = RetrySubject::Activity { cancel_requested: true };
    assert_eq!(
        next_retry(&RetryQuestion { policy: None, subject: canceled, ..worst }),
        stop(RetryState::RetryPolicyNotSet)
    );
    assert_eq!(next_retry(&RetryQuestion { subject: canceled, ..worst }), stop(RetryState::CancelRequested));
    assert_eq!(next_retry(&RetryQuestion { failure: Some(&late), ..worst }), stop(RetryState::Timeout));
    assert_eq!(next_retry(&worst), stop(RetryState::NonRetryableFailure));
    let exhausted = RetryQuestion { failure: Some(&plain), ..worst };
    assert_eq!(next_retry(&exhausted), stop(RetryState::MaximumAttemptsReached));
    let expired = RetryQuestion { attempt: 1, ..exhausted };
    assert_eq!(next_retry(&expired), stop(RetryState::Timeout));
    assert_eq!(next_retry(&RetryQuestion { expiration: Some(NOW + SECOND), ..expired }), retry(SECOND));
    assert_eq!(next_retry(&RetryQuestion { expiration: Some(Timestamp::EPOCH), ..expired }), retry(SECOND));

    // A run has no server-side waiting deadline to excuse it.
    let run = RetryQuestion { subject: RetrySubject::WorkflowRun, failure: Some(&late), ..worst };
    assert_eq!(next_retry(&run), stop(RetryState::NonRetryableFailure));

    // What a paused activity asks: neither attempts nor time count.
    assert_eq!(refusal(&worst), Some(RetryState::NonRetryableFailure));
    assert_eq!(refusal(&exhausted), None);
    assert_eq!(refusal(&RetryQuestion { policy: None, ..exhausted }), Some(RetryState::RetryPolicyNotSet));
}

#[test]
fn intervals_known_values() {
    let policy = filled(RetryPolicy::default());
    let plain = server(false);
    let by_attempt = [(0, 1), (1, 1), (2, 2), (7, 64), (8, 100), (i32::MAX, 100)];
    for (attempt, wanted) in by_attempt {
        assert_eq!(next_retry(&question(&policy, attempt, &plain)), retry(wanted * SECOND), "attempt {attempt}");
    }
    let no_cap = RetryPolicy { maximum_interval: None, ..policy.clone() };
    assert_eq!(next_retry(&question(&no_cap, 9, &plain)), retry(256 * SECOND));
    assert_eq!(next_retry(&question(&no_cap, i32::MAX, &plain)), retry(LONGEST));
    let nothing = RetryPolicy { initial_interval: None, maximum_interval: None, ..policy.clone() };
    assert_eq!(next_retry(&question(&nothing, 1, &plain)), RetryDecision::Stop(RetryState::Timeout));
    let only_cap = RetryPolicy { initial_interval: None, ..policy };
    assert_eq!(next_retry(&question(&only_cap, 1, &plain)), retry(100 * SECOND));
}

#[test]
fn a_delay_asked_for_by_the_failure_wins() {
    let policy = filled(RetryPolicy::default());
    let far = application("x", false, seconds(3600));
    let activity = question(&policy, 3, &far);
    assert_eq!(next_retry(&activity), retry(3600 * SECOND));
    let run = RetryQuestion { subject: RetrySubject::WorkflowRun, ..activity };
    assert_eq!(next_retry(&run), retry(100 * SECOND));
    let expires = RetryQuestion { expiration: Some(NOW + 3599 * SECOND), ..activity };
    assert_eq!(next_retry(&expires), RetryDecision::Stop(RetryState::Timeout));

    let at_once = application("x", false, seconds(0));
    let activity = question(&policy, 3, &at_once);
    assert_eq!(next_retry(&activity), RetryDecision::Stop(RetryState::Timeout));
    assert_eq!(next_retry(&RetryQuestion { subject: RetrySubject::WorkflowRun, ..activity }), retry(100 * SECOND));
}

proptest! {
    #[test]
    fn intervals_are_monotone_capped_and_end_before_expiration(
        initial in 1i64..10_000,
        factor in 1i64..1000,
        coefficient in 1.0f64..4.0,
        attempts in 0i32..60,
        attempt in 1i32..80,
        left in 1u64..10_000_000,
        is_run: bool,
    ) {
        let policy = RetryPolicy {
            initial_interval: seconds(initial),
            backoff_coefficient: coefficient,
            maximum_interval: seconds(initial * factor),
            maximum_attempts: attempts,
            ..RetryPolicy::default()
        };
        let plain = server(false);
        let expiration = NOW + Duration::from_secs(left);
        let subject = if is_run { RetrySubject::WorkflowRun } else { ACTIVITY };
        let asked = RetryQuestion { expiration: Some(expiration), subject, ..question(&policy, attempt, &plain) };
        match next_retry(&asked) {
            RetryDecision::Retry { interval } => {
                prop_assert!(interval >= span(policy.initial_interval.as_ref()));
                prop_assert!(interval <= span(policy.maximum_interval.as_ref()));
                prop_assert!(NOW + interval <= expiration);
                prop_assert!(attempts == 0 || attempt < attempts);
                if let RetryDecision::Retry { interval: next } = next_retry(&RetryQuestion { attempt: attempt + 1, ..asked }) {
                    prop_assert!(interval <= next);
                }
            }
            RetryDecision::Stop(RetryState::MaximumAttemptsReached) => prop_assert!(attempts > 0 && attempt >= attempts),
            RetryDecision::Stop(state) => prop_assert_eq!(state, RetryState::Timeout),
        }
    }

    #[test]
    fn valid_policies_stay_valid(initial in 0i64..i64::MAX, attempts in 0i32.., coefficient in 1.0f64..100.0) {
        let mut policy = filled(RetryPolicy {
            initial_interval: seconds(initial),
            maximum_attempts: attempts,
            backoff_coefficient: coefficient,
            ..RetryPolicy::default()
        });
        prop_assert!(validate_and_cap(&mut policy, 36_500 * DAY).is_ok());
        let once = policy.clone();
        prop_assert!(validate_and_cap(&mut policy, 36_500 * DAY).is_ok());
        prop_assert_eq!(policy, once);
    }
}
