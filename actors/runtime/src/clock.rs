//! Clocks that run.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use perdure_kernel::{Clock, Timestamp};

/// How often the monotonic clock is compared with the wall clock.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// A wall clock further ahead than this was set forward, or the machine slept.
const STEP: Duration = Duration::from_millis(100);

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// The time of day, for production. Follows the wall clock forward and never goes back: where the wall
/// clock is set back this one goes on from where it was.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
    /// The wall clock at `origin`. Only ever grows.
    base: AtomicI64,
    /// When the two were last compared, in nanoseconds after `origin`.
    compared: AtomicI64,
}

impl SystemClock {
    /// A clock that starts at the present wall-clock time.
    pub fn new() -> Self {
        Self { origin: Instant::now(), base: AtomicI64::new(wall()), compared: AtomicI64::new(0) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = nanos(self.origin.elapsed());
        let compared = self.compared.load(Ordering::Relaxed);
        if elapsed.saturating_sub(compared) >= nanos(COMPARE_EVERY)
            && self.compared.compare_exchange(compared, elapsed, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            // The wall clock is read first: being interrupted in between then makes the base too small,
            // which is harmless, and never too large, which would stay.
            let wall = wall();
            let base = wall.saturating_sub(nanos(self.origin.elapsed()));
            if base.saturating_sub(self.base.load(Ordering::Acquire)) > nanos(STEP) {
                self.base.fetch_max(base, Ordering::AcqRel);
            }
        }
        Timestamp::from_nanos(self.base.load(Ordering::Acquire).saturating_add(elapsed))
    }
}

/// A clock that moves with tokio's, paused time included. For tests and simulations; make it inside the
/// runtime whose time it follows.
#[derive(Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    base: Timestamp,
}

impl TokioClock {
    /// A clock that shows `base` now.
    pub fn new(base: Timestamp) -> Self {
        Self { origin: tokio::time::Instant::now(), base }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.base + self.origin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_wall_forward_only() {
        let clock = SystemClock::new();
        let real = wall();
        assert!(clock.now().as_nanos().abs_diff(real) < 1_000_000_000);

        // As if the wall clock had been set forward by an hour since.
        clock.base.store(real - nanos(Duration::from_secs(3600)), Ordering::Release);
        clock.compared.store(-nanos(COMPARE_EVERY), Ordering::Release);
        assert!(clock.now().as_nanos() >= real);

        // As if it had been set back by an hour.
        clock.base.store(real + nanos(Duration::from_secs(3600)), Ordering::Release);
        clock.compared.store(-nanos(COMPARE_EVERY), Ordering::Release);
        let ahead = clock.now();
        assert!(ahead.as_nanos() >= real + nanos(Duration::from_secs(3600)));
        assert!(clock.now() >= ahead);
    }

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let base = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let clock = TokioClock::new(base);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), base + Duration::from_secs(90));
    }
}
