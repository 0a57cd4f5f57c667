//! Dispatch limits and measured rates.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::Timestamp;

/// Rates below this are none at all: their interval would overflow.
const RATE_MIN: f64 = 1e-9;

/// How much unused time a limit saves up.
const BURST: Duration = Duration::from_secs(1);

/// A dispatch limit: spaced tokens with a second of burst.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limiter {
    limit: Limit,
    /// A token is there from this instant on.
    ready_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Limit {
    #[default]
    None,
    Every(Duration),
    Never,
}

impl Limiter {
    /// Sets dispatches a second: `None` for no limit.
    pub(crate) fn set(&mut self, rate: Option<f64>, now: Timestamp) {
        let limit = match rate {
            None => Limit::None,
            Some(rate) if rate.is_nan() || rate <= RATE_MIN => Limit::Never,
            Some(rate) => Limit::Every(Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)),
        };
        if limit == self.limit {
            return;
        }
        // A tighter limit must not inherit a long wait from a rate that no longer holds.
        if let Limit::Every(interval) = limit {
            self.ready_at = self.ready_at.min(now + interval);
        }
        self.limit = limit;
    }

    /// When the next token is there; `None` for never. Past instants mean now.
    pub(crate) fn ready_at(&self) -> Option<Timestamp> {
        match self.limit {
            Limit::None => Some(Timestamp::EPOCH),
            Limit::Every(_) => Some(self.ready_at),
            Limit::Never => None,
        }
    }

    /// Whether a token is there.
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        self.ready_at().is_some_and(|at| at <= now)
    }

    /// Takes a token.
    pub(crate) fn take(&mut self, now: Timestamp) {
        if let Limit::Every(interval) = self.limit {
            self.ready_at = self.ready_at.max(now - BURST) + interval;
        }
    }

    /// Takes a part of a token, when that much is there.
    pub(crate) fn try_take_part(&mut self, now: Timestamp, parts: u32) -> bool {
        match self.limit {
            Limit::None => true,
            Limit::Never => false,
            Limit::Every(interval) => {
                let ready = self.ready_at <= now;
                if ready {
                    self.ready_at = self.ready_at.max(now - BURST) + interval / parts.max(1);
                }
                ready
            }
        }
    }

    /// Returns a token that was taken in vain.
    pub(crate) fn give_back(&mut self) {
        if let Limit::Every(interval) = self.limit {
            self.ready_at = self.ready_at - interval;
        }
    }
}

/// Fairness keys whose limit is remembered; of more, the one that was ready first is forgotten.
pub(crate) const LIMITED_KEYS_MAX: usize = 2_000;

/// Dispatch limits of fairness keys: one rate, times each key's weight.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyLimits {
    rate: Option<f64>,
    keys: BTreeMap<u64, Limiter>,
}

impl KeyLimits {
    /// Sets dispatches a second of a key of weight 1: `None` for no limit.
    pub(crate) fn set(&mut self, rate: Option<f64>) {
        if rate != self.rate {
            self.rate = rate;
            self.keys.clear();
        }
    }

    /// Whether keys are limited.
    pub(crate) fn any(&self) -> bool {
        self.rate.is_some()
    }

    /// When the key's next token is there; `None` for never.
    pub(crate) fn ready_at(&self, key: u64) -> Option<Timestamp> {
        match self.rate {
            Some(rate) if rate.is_nan() || rate <= RATE_MIN => None,
            Some(_) => self.keys.get(&key).map_or(Some(Timestamp::EPOCH), Limiter::ready_at),
            None => Some(Timestamp::EPOCH),
        }
    }

    pub(crate) fn is_ready(&self, key: u64, now: Timestamp) -> bool {
        self.rate.is_none() || self.ready_at(key).is_some_and(|at| at <= now)
    }

    pub(crate) fn take(&mut self, key: u64, weight: f32, now: Timestamp) {
        let Some(rate) = self.rate else { return };
        if self.keys.len() >= LIMITED_KEYS_MAX && !self.keys.contains_key(&key) {
            let first = self.keys.iter().min_by_key(|(_, limiter)| limiter.ready_at).map(|(key, _)| *key);
            first.map(|first| self.keys.remove(&first));
        }
        let limiter = self.keys.entry(key).or_default();
        limiter.set(Some(rate * f64::from(weight)), now);
        limiter.take(now);
    }

    pub(crate) fn give_back(&mut self, key: u64) {
        if let Some(limiter) = self.keys.get_mut(&key) {
            limiter.give_back();
        }
    }
}

const BUCKET: Duration = Duration::from_secs(5);
const BUCKETS: usize = 6;

/// Events a second over the last half minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    counts: [u32; BUCKETS],
    /// Number of the bucket written last, counted from the epoch.
    bucket: i64,
    /// Number of the bucket of the first event.
    first: i64,
}

impl Meter {
    fn advance(&mut self, now: Timestamp) {
        let bucket = bucket_of(now);
        if self.bucket == 0 {
            self.first = bucket;
        }
        if bucket - self.bucket >= as_i64(BUCKETS) {
            self.counts = [0; BUCKETS];
        } else {
            for passed in self.bucket + 1..=bucket {
                self.counts[slot(passed)] = 0;
            }
        }
        self.bucket = self.bucket.max(bucket);
    }

    /// Counts an event.
    pub(crate) fn add(&mut self, now: Timestamp) {
        if bucket_of(now) != self.bucket {
            self.advance(now);
        }
        self.counts[slot(self.bucket)] = self.counts[slot(self.bucket)].saturating_add(1);
    }

    /// Events a second.
    pub(crate) fn rate(&self, now: Timestamp) -> f32 {
        if self.bucket == 0 {
            return 0.0;
        }
        let mut current = self.clone();
        current.advance(now);
        let total: u32 = current.counts.iter().sum();
        let bucket_nanos = i64::try_from(BUCKET.as_nanos()).unwrap_or(i64::MAX);
        let oldest = (current.bucket - as_i64(BUCKETS) + 1).max(current.first);
        let span = now.since(Timestamp::from_nanos(oldest.saturating_mul(bucket_nanos))).max(Duration::from_secs(1));
        (f64::from(total) / span.as_secs_f64()) as f32
    }
}

fn bucket_of(now: Timestamp) -> i64 {
    now.as_nanos() / i64::try_from(BUCKET.as_nanos()).unwrap_or(i64::MAX)
}

fn slot(bucket: i64) -> usize {
    usize::try_from(bucket.rem_euclid(as_i64(BUCKETS))).unwrap_or(0)
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_nanos((1_000_000 + millis) * 1_000_000)
    }

    #[test]
    fn a_second_of_burst_then_one_each_interval() {
        let mut limiter = Limiter::default();
        limiter.set(Some(10.0), at(0));
        let mut burst = 0;
        while limiter.is_ready(at(0)) {
            limiter.take(at(0));
            burst += 1;
        }
        assert_eq!(burst, 11);
        assert_eq!(limiter.ready_at(), Some(at(100)));
        limiter.take(at(100));
        assert!(!limiter.is_ready(at(150)));
        assert!(limiter.is_ready(at(200)));
    }

    #[test]
    fn zero_is_never_and_none_is_always() {
        let mut limiter = Limiter::default();
        assert!(limiter.is_ready(at(0)));
        limiter.set(Some(0.0), at(0));
        assert_eq!(limiter.ready_at(), None);
        limiter.set(None, at(0));
        assert!(limiter.is_ready(at(0)));
    }

    #[test]
    fn meters_forget_after_half_a_minute() {
        let mut meter = Meter::default();
        for second in 0..30 {
            (0..4).for_each(|_| meter.add(at(second * 1000)));
        }
        let rate = meter.rate(at(29_999));
        assert!((3.5..4.5).contains(&rate), "{rate}");
        assert!(meter.rate(at(61_000)) < 0.01);
    }
}
