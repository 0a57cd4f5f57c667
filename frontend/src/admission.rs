//! How much comes in: rates, long polls in flight, and the counts that tell of it.

use std::{
    array,
    collections::HashMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use perdure_kernel::{Namespace, NamespaceId, Timestamp};

use crate::operations::Operation;

/// Namespaces whose counts are kept; beyond it all are dropped and built again.
const GATES_MAX: usize = 10_000;
/// `namespace` label of calls that are about no namespace, or one that was not found.
const NO_NAMESPACE: &str = "_unknown_";
const SERVICE_NAME: &str = "frontend";

/// Lets so many requests a second through, and a burst of them at once. One atomic, no lock.
///
/// It keeps the instant up to which requests already let through have used the rate; a request is let
/// through while that instant is less than a burst away.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket(AtomicI64);

impl TokenBucket {
    /// Whether one more request may pass at `now`.
    pub(crate) fn take(&self, now: Timestamp, rate: f64, burst_ratio: f64) -> bool {
        if rate == f64::INFINITY {
            return true;
        }
        if rate <= 0.0 {
            return false;
        }
        // `as` saturates: a rate of nearly nothing becomes an interval of for ever.
        let interval = (1e9 / rate) as i64;
        let burst = (burst_ratio.max(0.0) * 1e9) as i64;
        let now = now.as_nanos();
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used_until| {
                let used_until = used_until.max(now);
                let next = used_until.saturating_add(interval);
                (next.saturating_sub(now) <= burst.max(interval)).then_some(next)
            })
            .is_ok()
    }
}

/// Metrics of one operation in one namespace, looked up once.
pub(crate) struct OperationMetrics {
    pub(crate) requests: Counter,
    pub(crate) errors: Counter,
    pub(crate) latency: Histogram,
    pub(crate) pending: Gauge,
}

/// What the frontend keeps for a namespace.
pub(crate) struct Gate {
    namespace: String,
    pub(crate) rate: TokenBucket,
    operations: [OnceLock<OperationMetrics>; Operation::COUNT],
    long_polls: [AtomicU32; Operation::COUNT],
}

impl Gate {
    fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            rate: TokenBucket::default(),
            operations: array::from_fn(|_| OnceLock::new()),
            long_polls: array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The metrics of an operation.
    pub(crate) fn metrics(&self, operation: Operation) -> &OperationMetrics {
        self.operations[operation.index()].get_or_init(|| {
            let labels = || {
                [
                    ("service_name", SERVICE_NAME.to_owned()),
                    ("operation", operation.label().to_owned()),
                    ("namespace", self.namespace.clone()),
                ]
            };
            OperationMetrics {
                requests: counter!("service_requests", &labels()),
                errors: counter!("service_errors", &labels()),
                latency: histogram!("service_latency", &labels()),
                pending: gauge!("service_pending_requests", &labels()),
            }
        })
    }

    /// Takes a long poll's place; `false` when all `max` are taken. Given back with [`Gate::end_long_poll`].
    pub(crate) fn begin_long_poll(&self, operation: Operation, max: u32) -> bool {
        self.long_polls[operation.index()]
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < max).then(|| count + 1))
            .is_ok()
    }

    pub(crate) fn end_long_poll(&self, operation: Operation) {
        self.long_polls[operation.index()].fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an error by its type.
    pub(crate) fn count_error(&self, operation: Operation, error_type: &'static str) {
        let labels = [
            ("service_name", SERVICE_NAME.to_owned()),
            ("operation", operation.label().to_owned()),
            ("namespace", self.namespace.clone()),
            ("error_type", error_type.to_owned()),
        ];
        counter!("service_error_with_type", &labels).increment(1);
    }

    /// Counts a refusal for want of room.
    pub(crate) fn count_exhausted(&self, operation: Operation, cause: String, scope: String) {
        let labels = [
            ("service_name", SERVICE_NAME.to_owned()),
            ("operation", operation.label().to_owned()),
            ("namespace", self.namespace.clone()),
            ("resource_exhausted_cause", cause),
            ("resource_exhausted_scope", scope),
        ];
        counter!("service_errors_resource_exhausted", &labels).increment(1);
    }
}

/// Every namespace's gate.
pub(crate) struct Gates {
    by_id: RwLock<HashMap<NamespaceId, Arc<Gate>>>,
    none: Arc<Gate>,
}

impl Gates {
    pub(crate) fn new() -> Self {
        Self { by_id: RwLock::default(), none: Arc::new(Gate::new(NO_NAMESPACE)) }
    }

    /// The gate of calls without a namespace.
    pub(crate) fn none(&self) -> Arc<Gate> {
        Arc::clone(&self.none)
    }

    /// The gate of a namespace.
    pub(crate) fn of(&self, namespace: &Namespace) -> Arc<Gate> {
        let known = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&namespace.id).cloned();
        known.unwrap_or_else(|| {
            let mut gates = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
            if gates.len() >= GATES_MAX {
                gates.clear();
            }
            let gate = gates.entry(namespace.id.clone()).or_insert_with(|| Arc::new(Gate::new(&namespace.name)));
            Arc::clone(gate)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = TokenBucket::default();
        let start = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let passed = (0..100).filter(|_| bucket.take(start, 10.0, 2.0)).count();
        assert_eq!(passed, 20);
        let later = start + Duration::from_secs(1);
        let passed = (0..100).filter(|_| bucket.take(later, 10.0, 2.0)).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn no_limit_and_no_rate() {
        let bucket = TokenBucket::default();
        assert!((0..1000).all(|_| bucket.take(Timestamp::EPOCH, f64::INFINITY, 2.0)));
        assert!(!bucket.take(Timestamp::EPOCH, 0.0, 2.0));
        // Even a rate below one a second lets one through.
        let slow = TokenBucket::default();
        assert!(slow.take(Timestamp::EPOCH, 0.1, 1.0));
        assert!(!slow.take(Timestamp::EPOCH, 0.1, 1.0));
    }

    #[test]
    fn long_polls_are_counted_by_operation() {
        let gate = Gate::new("ns");
        let poll = Operation::PollWorkflowTaskQueue;
        assert!(gate.begin_long_poll(poll, 2));
        assert!(gate.begin_long_poll(poll, 2));
        assert!(!gate.begin_long_poll(poll, 2));
        assert!(gate.begin_long_poll(Operation::PollActivityTaskQueue, 2));
        gate.end_long_poll(poll);
        assert!(gate.begin_long_poll(poll, 2));
    }
}
