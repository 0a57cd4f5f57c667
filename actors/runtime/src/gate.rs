//! The count of accepted messages and whether more are accepted, in one word.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Lowest bit: closed. The rest: messages accepted and not yet handled.
///
/// Both live in one word so that "closed and empty" is one atomic fact: it becomes true once, and the
/// actor ends exactly then, with no accepted message left behind.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicUsize);

const CLOSED: usize = 1;
const ONE: usize = 2;

impl Gate {
    /// Accepts a message, unless the gate is closed.
    pub(crate) fn enter(&self) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word & CLOSED == 0).then_some(word + ONE))
            .is_ok()
    }

    /// Counts a message that comes in even when the gate is closed: output of the actor's own IO.
    pub(crate) fn enter_from_inside(&self) {
        self.0.fetch_add(ONE, Ordering::AcqRel);
    }

    /// A message was handled, or could not be delivered. Returns how many are left.
    pub(crate) fn leave(&self) -> usize {
        (self.0.fetch_sub(ONE, Ordering::AcqRel) - ONE) / ONE
    }

    /// Accepts no more.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Closes only when exactly `depth` messages are accepted and not yet handled.
    pub(crate) fn close_at(&self, depth: usize) -> bool {
        let word = depth * ONE;
        self.0.compare_exchange(word, word | CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) & CLOSED == 0
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.load(Ordering::Acquire) == CLOSED
    }

    /// Accepted and not yet handled, the one being handled included.
    pub(crate) fn depth(&self) -> usize {
        self.0.load(Ordering::Acquire) / ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_and_empties_once() {
        let gate = Gate::default();
        assert!(gate.enter());
        assert!(!gate.close_at(0));
        assert!(gate.close_at(1));
        assert!(!gate.enter());
        assert!(!gate.is_finished());
        gate.enter_from_inside();
        assert_eq!(gate.leave(), 1);
        assert_eq!(gate.leave(), 0);
        assert!(gate.is_finished());
    }
}
