//! Timeouts and delays.

use perdure_kernel::{Limits, time};
use perdure_proto::Duration;

/// Checks a duration and cuts one that is longer than `limits.duration_max` to it. The error is the reason,
/// for a text around it.
pub(crate) fn check_and_cap(value: Option<&mut Duration>, limits: &Limits) -> Result<(), &'static str> {
    let Some(value) = value else { return Ok(()) };
    if value.seconds.signum() * i64::from(value.nanos.signum()) < 0 {
        return Err("duration has seconds and nanos with different signs");
    }
    if value.seconds < 0 || value.nanos < 0 {
        return Err("negative duration");
    }
    if time::span(Some(value)) > limits.duration_max {
        *value = time::span_to_proto(limits.duration_max);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_negative_and_cuts_long() {
        let limits = Limits::default();
        let longest = i64::try_from(limits.duration_max.as_secs()).unwrap_or(0);
        let check = |seconds, nanos| {
            let mut value = Duration { seconds, nanos };
            check_and_cap(Some(&mut value), &limits).map(|()| value)
        };
        assert_eq!(check(5, 6), Ok(Duration { seconds: 5, nanos: 6 }));
        assert_eq!(check(-1, 0), Err("negative duration"));
        assert_eq!(check(0, -1), Err("negative duration"));
        assert_eq!(check(1, -1), Err("duration has seconds and nanos with different signs"));
        assert_eq!(check(i64::MAX, 999_999_999), Ok(Duration { seconds: longest, nanos: 0 }));
        assert_eq!(check(longest, 1), Ok(Duration { seconds: longest, nanos: 0 }));
        assert_eq!(check_and_cap(None, &limits), Ok(()));
    }
}
