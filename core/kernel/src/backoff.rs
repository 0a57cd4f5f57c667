//! The maths of waiting: exponential intervals, jitter, and the growing time limit of workflow tasks
//! that keep failing.
//!
//! Attempts count from 1: attempt 1 is the first try, and the interval *of* attempt n is the wait
//! between attempt n and attempt n + 1. Nothing here overflows; what would is held at [`LONGEST`].

use std::time::Duration;

use crate::Random;

/// The longest interval that is ever answered: 2^63 - 1 nanoseconds, some 292 years.
pub const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// Workflow tasks up to this attempt get the plain time limit.
const WORKFLOW_TASK_PLAIN_ATTEMPTS: i32 = 3;
/// What the first slow attempt of a workflow task gets on top of the plain time limit.
const WORKFLOW_TASK_EXTRA_INITIAL: Duration = Duration::from_secs(5);
/// The share of that extra time that jitter may take away.
const WORKFLOW_TASK_EXTRA_JITTER: f64 = 0.2;

/// `initial * coefficient^(attempt - 1)`, at most `max`. A `max` of zero is no cap, attempts below 1
/// count as 1, and a result that is no number is zero.
pub fn exponential(initial: Duration, coefficient: f64, max: Duration, attempt: i32) -> Duration {
    let exponent = f64::from(attempt.max(1) - 1);
    // A float cast saturates, and turns what is negative or no number into 0.
    let nanos = (initial.as_nanos() as f64 * coefficient.powf(exponent)) as u64;
    let cap = if max.is_zero() { LONGEST } else { max.min(LONGEST) };
    Duration::from_nanos(nanos).min(cap)
}

/// An even draw from `interval * (1 - share)` up to `interval * (1 + share)`. `share` is held within
/// 0..=1; a share of 0 leaves the interval as it is.
pub fn jitter(interval: Duration, share: f64, random: &mut dyn Random) -> Duration {
    let (nanos, slack) = slack(interval, share);
    Duration::from_nanos(nanos - slack + random.below(2 * slack))
}

/// An even draw from `interval * (1 - share)` up to `interval`: never longer than asked. A share of 1
/// is full jitter.
pub fn jitter_down(interval: Duration, share: f64, random: &mut dyn Random) -> Duration {
    let (nanos, slack) = slack(interval, share);
    Duration::from_nanos(nanos - slack + random.below(slack))
}

/// The interval, and how much of it jitter may take, both in nanoseconds; slack <= interval < 2^63.
fn slack(interval: Duration, share: f64) -> (u64, u64) {
    let nanos = u64::try_from(interval.min(LONGEST).as_nanos()).unwrap_or(u64::MAX);
    let slack = (nanos as f64 * share.clamp(0.0, 1.0)) as u64;
    (nanos, slack.min(nanos))
}

/// How long a worker may hold attempt `attempt` of a workflow task (its start-to-close timeout).
///
/// The first three attempts get `default`. Later ones get `default` plus 5 s, 10 s, 20 s, ... up to
/// `cap` (zero is no cap), of which jitter leaves 0.8 to 1.0: a worker that keeps crashing on a task is
/// asked less and less often. A cap below the first 5 s switches the extra time off.
pub fn workflow_task_timeout(default: Duration, attempt: i32, cap: Duration, random: &mut dyn Random) -> Duration {
    let slow_attempt = attempt.saturating_sub(WORKFLOW_TASK_PLAIN_ATTEMPTS);
    if slow_attempt < 1 || (!cap.is_zero() && cap < WORKFLOW_TASK_EXTRA_INITIAL) {
        return default;
    }
    let extra = exponential(WORKFLOW_TASK_EXTRA_INITIAL, 2.0, cap, slow_attempt);
    default.saturating_add(jitter_down(extra, WORKFLOW_TASK_EXTRA_JITTER, random)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SplitMix;

    const SECOND: Duration = Duration::from_secs(1);
    const NO_CAP: Duration = Duration::ZERO;

    #[test]
    fn exponential_known_values() {
        let cases = [
            (SECOND, 2.0, NO_CAP, 1, SECOND),
            (SECOND, 2.0, NO_CAP, 4, 8 * SECOND),
            (SECOND, 1.5, NO_CAP, 3, Duration::from_millis(2250)),
            (SECOND, 2.0, 5 * SECOND, 4, 5 * SECOND),
            (SECOND, 2.0, NO_CAP, 0, SECOND),
            (SECOND, 2.0, NO_CAP, i32::MIN, SECOND),
            (SECOND, 2.0, NO_CAP, i32::MAX, LONGEST),
            (SECOND, f64::INFINITY, NO_CAP, 2, LONGEST),
            (SECOND, f64::NAN, 5 * SECOND, 2, Duration::ZERO),
            (Duration::ZERO, 2.0, NO_CAP, 9, Duration::ZERO),
            (Duration::MAX, 1.0, NO_CAP, 1, LONGEST),
        ];
        for (initial, coefficient, max, attempt, wanted) in cases {
            let got = exponential(initial, coefficient, max, attempt);
            assert_eq!(got, wanted, "{initial:?} * {coefficient}^{attempt} cap {max:?}");
        }
    }

    #[test]
    fn workflow_task_timeout_grows_after_the_third_attempt() {
        let cap = 600 * SECOND;
        // attempt, least and most extra seconds on top of the 10 s default
        let cases = [(1, 0, 0), (3, 0, 0), (4, 4, 5), (5, 8, 10), (6, 16, 20), (11, 480, 600), (i32::MAX, 480, 600)];
        let mut random = SplitMix::new(3);
        for (attempt, least, most) in cases {
            for _ in 0..100 {
                let extra = workflow_task_timeout(10 * SECOND, attempt, cap, &mut random) - 10 * SECOND;
                assert!(extra >= least * SECOND && extra <= most * SECOND, "attempt {attempt}: {extra:?}");
            }
        }
        assert_eq!(workflow_task_timeout(SECOND, 9, 4 * SECOND, &mut random), SECOND);
    }

    proptest! {
        #[test]
        fn exponential_is_monotone_and_capped(
            initial in 0u64..10_000_000_000_000,
            coefficient in 1.0f64..10.0,
            max in 1u64..1_000_000_000_000_000,
            attempt in 1i32..2000,
        ) {
            let (initial, max) = (Duration::from_nanos(initial), Duration::from_nanos(max));
            let this = exponential(initial, coefficient, max, attempt);
            prop_assert!(this <= exponential(initial, coefficient, max, attempt + 1));
            prop_assert!(this <= max);
            prop_assert!(exponential(initial, coefficient, NO_CAP, attempt) <= LONGEST);
        }

        #[test]
        fn jitter_stays_in_its_band(nanos: u64, share in -1.0f64..2.0, seed: u64) {
            let interval = Duration::from_nanos(nanos).min(LONGEST);
            let mut random = SplitMix::new(seed);
            let held = share.clamp(0.0, 1.0);
            // Half a microsecond in 292 years: what a float cannot tell apart.
            let blur = Duration::from_micros(2);
            let around = jitter(interval, share, &mut random);
            prop_assert!(around + blur >= interval.mul_f64(1.0 - held));
            prop_assert!(around <= interval.mul_f64(1.0 + held) + blur);
            let down = jitter_down(interval, share, &mut random);
            prop_assert!(down + blur >= interval.mul_f64(1.0 - held) && down <= interval);
        }
    }
}
