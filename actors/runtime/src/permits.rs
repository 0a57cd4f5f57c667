//! Admission: how much work may be inside at one time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A named, bounded count of things in progress. Cheap to clone; clones share the count.
#[derive(Clone)]
pub struct Permits(Arc<Inner>);

struct Inner {
    name: &'static str,
    limit: AtomicUsize,
    in_use: AtomicUsize,
}

impl Permits {
    /// At most `limit` permits at one time. `name` labels the metric of refusals.
    pub fn new(name: &'static str, limit: usize) -> Self {
        Self(Arc::new(Inner { name, limit: AtomicUsize::new(limit), in_use: AtomicUsize::new(0) }))
    }

    /// A permit, or `None` when the limit is reached: the caller is told `RESOURCE_EXHAUSTED`.
    pub fn try_acquire(&self) -> Option<Permit> {
        let limit = self.limit();
        let taken = self
            .0
            .in_use
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |in_use| (in_use < limit).then_some(in_use + 1));
        match taken {
            Ok(_) => Some(Permit(Arc::clone(&self.0))),
            Err(_) => {
                metrics::counter!("permits_refused_total", "name" => self.0.name).increment(1);
                None
            }
        }
    }

    /// Permits out at this moment.
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Acquire)
    }

    /// The most permits that may be out at one time.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. Permits that are out stay valid, also beyond a lower limit.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// The name given at the start.
    pub fn name(&self) -> &'static str {
        self.0.name
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permits({} {}/{})", self.0.name, self.in_use(), self.limit())
    }
}

/// Leave to be inside; given back when dropped. Travels with the work it admits.
#[must_use = "a permit that is dropped at once admits nothing"]
pub struct Permit(Arc<Inner>);

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({})", self.0.name)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bounds_and_gives_back() {
        let permits = Permits::new("test", 2);
        let first = permits.try_acquire().unwrap();
        let second = permits.try_acquire().unwrap();
        assert!(permits.try_acquire().is_none());
        assert_eq!(permits.in_use(), 2);
        drop(first);
        let third = permits.try_acquire().unwrap();

        permits.set_limit(1);
        drop(second);
        assert!(permits.try_acquire().is_none());
        drop(third);
        assert_eq!(permits.in_use(), 0);
        assert!(permits.try_acquire().is_some());
    }
}
