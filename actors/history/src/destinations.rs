//! Places outside the cluster that this node calls: how many calls each has at once, and whether it is well.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use perdure_kernel::{
    CircuitBreaker, NamespaceId, Timestamp,
    circuit_breaker::{Blocked, Pass},
};
use perdure_runtime::lock;

/// Calls to one destination at once (`history.outboundQueue.groupLimiter.concurrency`).
const CALLS_MAX: usize = 100;

/// Destinations remembered at once. Over it, those are forgotten that are well and not being called.
const DESTINATIONS_MAX: usize = 10_000;

/// Whom calls to the same place are made for, and the place as `scheme://host:port`.
pub(crate) type Destination = (NamespaceId, String);

/// The destinations of a node, shared by its shards.
#[derive(Default)]
pub(crate) struct Destinations(Mutex<BTreeMap<Destination, Health>>);

#[derive(Default)]
struct Health {
    breaker: CircuitBreaker,
    calls: usize,
}

/// Whether a call may be made now.
pub(crate) enum Admission {
    /// It may.
    Go(Ticket),
    /// Enough calls are under way.
    Full,
    /// The destination is left alone, until then if that is known.
    Blocked(Option<Timestamp>),
}

/// A call under way. Dropped without an outcome it counts for nothing.
pub(crate) struct Ticket {
    destinations: Arc<Destinations>,
    destination: Destination,
    pass: Option<Pass>,
}

impl Destinations {
    /// Lets a call begin, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, destination: &Destination, now: Timestamp) -> Admission {
        let mut all = self.lock();
        if all.len() >= DESTINATIONS_MAX && !all.contains_key(destination) {
            all.retain(|_, health| health.calls > 0 || !health.breaker.is_closed());
            if all.len() >= DESTINATIONS_MAX {
                return Admission::Full;
            }
        }
        let health = all.entry(destination.clone()).or_default();
        if health.calls >= CALLS_MAX {
            return Admission::Full;
        }
        match health.breaker.enter(now) {
            Ok(pass) => {
                health.calls += 1;
                let (destinations, destination) = (Arc::clone(self), destination.clone());
                Admission::Go(Ticket { destinations, destination, pass: Some(pass) })
            }
            Err(Blocked::Until(until)) => Admission::Blocked(Some(until)),
            Err(Blocked::Trying) => Admission::Blocked(None),
        }
    }

    /// Whether a destination is being left alone.
    pub(crate) fn is_blocked(&self, destination: &Destination) -> bool {
        self.lock().get(destination).is_some_and(|health| !health.breaker.is_closed())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Destination, Health>> {
        lock(&self.0)
    }

    fn leave(&self, destination: &Destination, end: impl FnOnce(&mut CircuitBreaker)) {
        let mut all = self.lock();
        let Some(health) = all.get_mut(destination) else { return };
        health.calls = health.calls.saturating_sub(1);
        end(&mut health.breaker);
        if health.calls == 0 && health.breaker.is_fresh() {
            all.remove(destination);
        }
    }
}

impl Ticket {
    /// The call ended: whether the destination did its part.
    pub(crate) fn done(mut self, succeeded: bool, now: Timestamp) {
        if let Some(pass) = self.pass.take() {
            self.destinations.leave(&self.destination, |breaker| breaker.done(pass, succeeded, now));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.destinations.leave(&self.destination, |breaker| breaker.cancel(pass));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1);

    fn enter(destinations: &Arc<Destinations>, name: &str) -> Option<Ticket> {
        match destinations.enter(&(NamespaceId::from("n"), name.to_owned()), NOW) {
            Admission::Go(ticket) => Some(ticket),
            Admission::Full | Admission::Blocked(_) => None,
        }
    }

    #[test]
    fn so_many_calls_at_once_and_no_more() {
        let destinations = Arc::<Destinations>::default();
        let calls: Vec<_> = (0..CALLS_MAX).filter_map(|_| enter(&destinations, "a")).collect();
        assert_eq!(calls.len(), CALLS_MAX);
        assert!(enter(&destinations, "a").is_none());
        assert!(enter(&destinations, "b").is_some());
        drop(calls);
        assert!(destinations.lock().is_empty(), "what is well is forgotten");
    }

    #[test]
    fn one_that_fails_is_left_alone_and_remembered() {
        let destinations = Arc::<Destinations>::default();
        while let Some(ticket) = enter(&destinations, "a") {
            ticket.done(false, NOW);
        }
        assert!(destinations.is_blocked(&(NamespaceId::from("n"), "a".to_owned())));
        assert!(!destinations.is_blocked(&(NamespaceId::from("other"), "a".to_owned())));
    }
}
