//! How many tasks wait and for how long, without a line for each.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::Timestamp;

/// Spans of creation time that are told apart; over that many, neighbours are joined.
const BUCKETS_MAX: usize = 1024;

/// The shortest span that is told apart: ages are exact to it, or to a five hundredth of the time between the
/// oldest task and the youngest where that is longer.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// Tasks counted by the time of their creation.
#[derive(Debug)]
pub(crate) struct Ages {
    span: i64,
    buckets: BTreeMap<i64, Bucket>,
    total: u64,
}

#[derive(Debug)]
struct Bucket {
    oldest: i64,
    count: u64,
}

impl Default for Ages {
    fn default() -> Self {
        let span = i64::try_from(SPAN_MIN.as_nanos()).unwrap_or(i64::MAX);
        Self { span, buckets: BTreeMap::new(), total: 0 }
    }
}

impl Ages {
    /// Counts tasks; `created` is that of the oldest of them.
    pub(crate) fn add(&mut self, created: Timestamp, count: u64) {
        if count == 0 {
            return;
        }
        self.total += count;
        self.put(created.as_nanos(), count);
        while self.buckets.len() > BUCKETS_MAX {
            self.span = self.span.saturating_mul(2);
            for bucket in std::mem::take(&mut self.buckets).into_values() {
                self.put(bucket.oldest, bucket.count);
            }
        }
    }

    fn put(&mut self, oldest: i64, count: u64) {
        let bucket = self.buckets.entry(oldest.div_euclid(self.span)).or_insert(Bucket { oldest, count: 0 });
        bucket.oldest = bucket.oldest.min(oldest);
        bucket.count += count;
    }

    /// Counts a task no more.
    pub(crate) fn remove(&mut self, created: Timestamp) {
        let span = created.as_nanos().div_euclid(self.span);
        let found = self.buckets.range(..=span).next_back().or_else(|| self.buckets.first_key_value());
        let Some(span) = found.map(|(span, _)| *span) else { return };
        self.total -= 1;
        if let Some(bucket) = self.buckets.get_mut(&span) {
            bucket.count -= 1;
            if bucket.count == 0 {
                self.buckets.remove(&span);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.buckets.first_key_value().map(|(_, bucket)| Timestamp::from_nanos(bucket.oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
    }

    #[test]
    fn counts_and_the_oldest_follow() {
        let mut ages = Ages::default();
        for second in [5, 3, 9, 3] {
            ages.add(at(second), 1);
        }
        assert_eq!((ages.count(), ages.oldest()), (4, Some(at(3))));
        ages.remove(at(3));
        ages.remove(at(3));
        assert_eq!((ages.count(), ages.oldest()), (2, Some(at(5))));
        ages.remove(at(5));
        ages.remove(at(9));
        assert_eq!((ages.count(), ages.oldest()), (0, None));
        ages.remove(at(9));
        assert_eq!(ages.count(), 0);
    }

    #[test]
    fn long_stretches_stay_small() {
        let mut ages = Ages::default();
        for second in 0..100_000 {
            ages.add(at(second), 1);
        }
        assert!(ages.buckets.len() <= BUCKETS_MAX);
        assert_eq!((ages.count(), ages.oldest()), (100_000, Some(at(0))));
        for second in 0..50_000 {
            ages.remove(at(second));
        }
        let oldest = ages.oldest().map_or(Duration::ZERO, |oldest| at(50_000).since(oldest));
        assert!(oldest <= Duration::from_secs(200), "{oldest:?}");
        assert_eq!(ages.count(), 50_000);
    }
}
