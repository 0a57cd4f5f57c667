//! Instants of wall-clock time and conversions to and from protobuf.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use perdure_proto as proto;

/// An instant: nanoseconds since the Unix epoch, UTC. Covers the years 1678 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch; also "not set" where a field has no optional form.
    pub const EPOCH: Self = Self(0);
    /// Later than every instant that occurs.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether this is [`Timestamp::EPOCH`], the unset value.
    pub const fn is_unset(self) -> bool {
        self.0 == 0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Nanoseconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn nanos_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// From the protobuf form; out-of-range values saturate.
    pub fn from_proto(value: &proto::Timestamp) -> Self {
        Self(value.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(value.nanos)))
    }

    /// From text as RFC 3339 has it, such as `2024-01-31T10:00:00.5+02:00`. `None` for anything else, and for what
    /// is out of range.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        // Its first eleven bytes are a date and a `T`: jiff would take other forms too.
        let date_then_time = text.as_bytes().get(10).is_some_and(|byte| *byte == b'T');
        let at: jiff::Timestamp = text.parse().ok().filter(|_| date_then_time)?;
        i64::try_from(at.as_nanosecond()).ok().map(Self)
    }

    /// The protobuf form.
    pub fn to_proto(self) -> proto::Timestamp {
        proto::Timestamp {
            seconds: self.0.div_euclid(1_000_000_000),
            nanos: i32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or(0),
        }
    }

    /// The protobuf form, or `None` for [`Timestamp::EPOCH`].
    pub fn to_proto_opt(self) -> Option<proto::Timestamp> {
        (!self.is_unset()).then(|| self.to_proto())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proto = self.to_proto();
        write!(f, "{}.{:09}", proto.seconds, proto.nanos)
    }
}

/// A protobuf duration as a span; negative and missing values are zero. Validation that must refuse
/// negative values looks at the protobuf form first.
pub fn span(value: Option<&proto::Duration>) -> Duration {
    let Some(value) = value else { return Duration::ZERO };
    let nanos = value.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(value.nanos));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A span in its protobuf form.
pub fn span_to_proto(value: Duration) -> proto::Duration {
    proto::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).unwrap_or(0),
    }
}

/// Nanoseconds, which may be negative, as a span in its protobuf form.
pub fn nanos_to_proto(value: i64) -> proto::Duration {
    const SECOND: i64 = 1_000_000_000;
    proto::Duration { seconds: value / SECOND, nanos: i32::try_from(value % SECOND).unwrap_or(0) }
}

/// A span in its protobuf form, or `None` when it is zero.
pub fn span_to_proto_opt(value: Duration) -> Option<proto::Duration> {
    (!value.is_zero()).then(|| span_to_proto(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_both_ways() {
        let instant = Timestamp::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(Timestamp::from_proto(&instant.to_proto()), instant);
        assert_eq!(nanos_to_proto(-1_500_000_000), proto::Duration { seconds: -1, nanos: -500_000_000 });
        let before_epoch = Timestamp::from_nanos(-1);
        assert_eq!(before_epoch.to_proto().nanos, 999_999_999);
        assert_eq!(Timestamp::from_proto(&before_epoch.to_proto()), before_epoch);
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(span(Some(&proto::Duration { seconds: -5, nanos: 0 })), Duration::ZERO);
    }
}
