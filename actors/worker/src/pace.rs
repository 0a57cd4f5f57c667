//! So many a second.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Holds a rate: each step waits for its turn. What was not used is not saved up for later.
#[derive(Debug)]
pub(crate) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    /// Steps a second; 0 is no limit.
    pub(crate) fn new(rate: u32) -> Self {
        let gap = if rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / rate };
        Self { gap, next: Instant::now() }
    }

    /// Waits for the next turn.
    pub(crate) async fn step(&mut self) {
        if self.gap.is_zero() {
            return;
        }
        sleep_until(self.next).await;
        self.next = self.next.max(Instant::now()) + self.gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn steps_are_a_gap_apart_and_nothing_is_saved_up() {
        let began = Instant::now();
        let mut pace = Pace::new(10);
        for _ in 0..11 {
            pace.step().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(60)).await;
        let again = Instant::now();
        for _ in 0..3 {
            pace.step().await;
        }
        assert_eq!(again.elapsed(), Duration::from_millis(200));
        let mut free = Pace::new(0);
        free.step().await;
        assert_eq!(again.elapsed(), Duration::from_millis(200));
    }
}
