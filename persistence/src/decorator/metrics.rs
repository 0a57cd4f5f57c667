//! Counts and times store calls under Temporal's metric names.

use std::{array, future::Future, sync::Arc, time::Instant};

use metrics::{Counter, Histogram, counter, histogram};

use super::{Decorated, Interceptor};
use crate::{Operation, Store, StoreErrorKind, StoreResult};

/// A store whose calls are counted and timed.
pub type MetricsStore<S> = Decorated<S, StoreMetrics>;

impl<S: Store + ?Sized> MetricsStore<S> {
    /// `inner`, measured. Make it after the metrics recorder is installed: the series are registered here.
    pub fn new(inner: Arc<S>) -> Self {
        Self::with(inner, StoreMetrics::new())
    }
}

/// The series: the interceptor of [`MetricsStore`]. Label `operation`; latency in seconds.
#[derive(Debug)]
pub struct StoreMetrics {
    by_operation: [Series; Operation::COUNT],
}

#[derive(Debug)]
struct Series {
    requests: Counter,
    errors: Counter,
    latency: Histogram,
}

impl StoreMetrics {
    fn new() -> Self {
        let operations: Vec<Operation> = Operation::all().collect();
        Self {
            by_operation: array::from_fn(|index| {
                let operation = operations[index].metric_label();
                Series {
                    requests: counter!("persistence_requests", "operation" => operation),
                    errors: counter!("persistence_errors", "operation" => operation),
                    latency: histogram!("persistence_latency", "operation" => operation),
                }
            }),
        }
    }
}

/// Temporal's `error_type` for a kind of failure.
const fn error_type(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::LeaseLost => "persistence_ShardOwnershipLostError",
        StoreErrorKind::Conflict => "persistence_ConditionFailedError",
        StoreErrorKind::AlreadyExists => "serviceerror_NamespaceAlreadyExists",
        StoreErrorKind::NotFound => "serviceerror_NotFound",
        StoreErrorKind::Unavailable => "serviceerror_Unavailable",
        StoreErrorKind::OutcomeUnknown => "persistence_TimeoutError",
        StoreErrorKind::Corrupt => "serialization_DeserializationError",
    }
}

impl Interceptor for StoreMetrics {
    async fn around<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        let series = &self.by_operation[operation.index()];
        series.requests.increment(1);
        let start = Instant::now();
        let result = call.await;
        series.latency.record(start.elapsed());
        if let Err(error) = &result {
            series.errors.increment(1);
            let label = operation.metric_label();
            counter!("persistence_error_with_type", "operation" => label, "error_type" => error_type(error.kind))
                .increment(1);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use metrics::{CounterFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use perdure_kernel::ShardId;

    use super::*;
    use crate::{ShardStore, conformance::Subject, memory::MemoryStore, shard::ShardCommit};

    async fn measured() -> Subject {
        let inner: crate::SharedStore = Arc::new(MemoryStore::new());
        Subject::new(Arc::new(MetricsStore::new(inner)))
    }

    crate::conformance_suite!(measured);

    /// Writes down `name{label=value,..}` for every sample.
    #[derive(Clone, Debug, Default)]
    struct Samples(Arc<Mutex<Vec<String>>>);

    #[derive(Debug)]
    struct Sample(String, Samples);

    impl CounterFn for Sample {
        fn increment(&self, _value: u64) {
            self.1.0.lock().unwrap().push(self.0.clone());
        }
        fn absolute(&self, _value: u64) {}
    }

    impl HistogramFn for Sample {
        fn record(&self, _value: f64) {
            self.1.0.lock().unwrap().push(self.0.clone());
        }
    }

    impl Samples {
        fn sample(&self, key: &Key) -> Arc<Sample> {
            let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            Arc::new(Sample(format!("{}{{{}}}", key.name(), labels.join(",")), self.clone()))
        }
    }

    impl Recorder for Samples {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.sample(key))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> metrics::Gauge {
            metrics::Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.sample(key))
        }
    }

    #[test]
    fn counts_requests_errors_and_latency_by_operation() {
        let samples = Samples::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        metrics::with_local_recorder(&samples, || {
            let store = MetricsStore::new(Arc::new(MemoryStore::new()));
            runtime.block_on(store.acquire_shard(ShardId(1), "owner")).unwrap();
            runtime.block_on(store.commit(ShardCommit::new(ShardId(1), 9))).unwrap_err();
        });
        assert_eq!(
            *samples.0.lock().unwrap(),
            [
                "persistence_requests{operation=UpdateShard}",
                "persistence_latency{operation=UpdateShard}",
                "persistence_requests{operation=UpdateWorkflowExecution}",
                "persistence_latency{operation=UpdateWorkflowExecution}",
                "persistence_errors{operation=UpdateWorkflowExecution}",
                "persistence_error_with_type{operation=UpdateWorkflowExecution,error_type=persistence_ShardOwnershipLostError}",
            ]
        );
    }
}
