//! Fault injection.

use std::{
    collections::BTreeMap,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use perdure_kernel::{Random, random::SplitMix};

use super::{Decorated, Interceptor};
use crate::{Operation, Store, StoreError, StoreErrorKind, StoreResult};

/// Which faults a store shows, in the shape of `faultInjection.targets` in the static configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultInjection {
    /// By the data store's name: `ExecutionStore`. See [`Operation::data_store`].
    pub data_stores: BTreeMap<String, StoreFaults>,
}

/// Faults of one data store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreFaults {
    /// By method: `UpdateWorkflowExecution`. See [`Operation::method`].
    pub methods: BTreeMap<String, MethodFaults>,
}

/// Faults of one method. Operations that share a method's name each draw from a stream of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MethodFaults {
    /// Probability (0..=1) by error name; the sum is at most 1. Names:
    /// `ShardOwnershipLost` (lease lost), `ConditionFailed` (conflict), `Unavailable`,
    /// `ResourceExhausted`: not applied, the caller is told so;
    /// `Timeout`, `DeadlineExceeded`: not applied, the caller is told that the outcome is unknown;
    /// `ExecuteAndTimeout`: applied, the caller is told that the outcome is unknown.
    pub errors: BTreeMap<String, f64>,
    /// Calls that take longer.
    pub delay: Option<DelayFault>,
    /// Seed of the draws; a random one when absent.
    pub seed: Option<u64>,
}

/// Delays before a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayFault {
    /// Share of the calls that are delayed: 0..=1.
    pub probability: f64,
    /// Longest delay; drawn evenly from zero to this.
    pub max: Duration,
}

/// What is wrong with a [`FaultInjection`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultConfigError {
    /// No operation has this store and method.
    #[error("fault injection names {store}.{method}, which no store call has; methods are: {known}")]
    UnknownMethod {
        /// The store as written.
        store: String,
        /// The method as written.
        method: String,
        /// What could have been written.
        known: String,
    },
    /// No such error name.
    #[error("fault injection names the error {name} for {method}; errors are: {known}")]
    UnknownError {
        /// The name as written.
        name: String,
        /// The method it stands under.
        method: String,
        /// What could have been written.
        known: String,
    },
    /// A probability outside 0..=1, or a sum of them above 1.
    #[error("fault injection probabilities of {method} must be within 0 and 1 and add up to at most 1")]
    Probability {
        /// The method they stand under.
        method: String,
    },
}

/// A store that fails as it is told to.
pub type FaultStore<S> = Decorated<S, Faults>;

impl<S: Store + ?Sized> FaultStore<S> {
    /// `inner` with the faults of `config`.
    pub fn new(inner: Arc<S>, config: &FaultInjection) -> Result<Self, FaultConfigError> {
        Ok(Self::with(inner, Faults::new(config)?))
    }
}

/// Draws the faults: the interceptor of [`FaultStore`].
#[derive(Debug)]
pub struct Faults {
    by_operation: [Option<Drawing>; Operation::COUNT],
}

#[derive(Debug)]
struct Drawing {
    /// (upper end of the draw, what then happens), ascending.
    thresholds: Vec<(f64, Fault)>,
    delay: Option<DelayFault>,
    random: Mutex<SplitMix>,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    name: &'static str,
    kind: StoreErrorKind,
    /// Whether the call is made before the error is given.
    executes: bool,
}

const FAULTS: [Fault; 7] = {
    use StoreErrorKind as K;
    [
        Fault { name: "ShardOwnershipLost", kind: K::LeaseLost, executes: false },
        Fault { name: "ConditionFailed", kind: K::Conflict, executes: false },
        Fault { name: "Unavailable", kind: K::Unavailable, executes: false },
        Fault { name: "ResourceExhausted", kind: K::Unavailable, executes: false },
        Fault { name: "Timeout", kind: K::OutcomeUnknown, executes: false },
        Fault { name: "DeadlineExceeded", kind: K::OutcomeUnknown, executes: false },
        Fault { name: "ExecuteAndTimeout", kind: K::OutcomeUnknown, executes: true },
    ]
};

impl Faults {
    /// Checks and compiles a configuration.
    pub fn new(config: &FaultInjection) -> Result<Self, FaultConfigError> {
        let mut by_operation = [const { None }; Operation::COUNT];
        for (store, faults) in &config.data_stores {
            for (method, faults) in &faults.methods {
                let mut found = false;
                for operation in Operation::all() {
                    if operation.data_store() == store && operation.method() == method {
                        by_operation[operation.index()] = Some(Drawing::new(method, faults)?);
                        found = true;
                    }
                }
                if !found {
                    let mut known: Vec<String> =
                        Operation::all().map(|op| format!("{}.{}", op.data_store(), op.method())).collect();
                    known.dedup();
                    return Err(FaultConfigError::UnknownMethod {
                        store: store.clone(),
                        method: method.clone(),
                        known: known.join(", "),
                    });
                }
            }
        }
        Ok(Self { by_operation })
    }
}

impl Drawing {
    fn new(method: &str, config: &MethodFaults) -> Result<Self, FaultConfigError> {
        let probabilities = config.errors.values().copied().chain(config.delay.map(|delay| delay.probability));
        let total: f64 = config.errors.values().sum();
        // The sum of rates such as 0.1 ten times is a little off 1.
        if probabilities.into_iter().any(|p| !(0.0..=1.0).contains(&p)) || total > 1.0 + 1e-9 {
            return Err(FaultConfigError::Probability { method: method.to_owned() });
        }
        let mut upper = 0.0;
        let mut thresholds = Vec::with_capacity(config.errors.len());
        for (name, probability) in &config.errors {
            let fault =
                FAULTS.iter().find(|fault| fault.name == name).ok_or_else(|| FaultConfigError::UnknownError {
                    name: name.clone(),
                    method: method.to_owned(),
                    known: FAULTS.map(|fault| fault.name).join(", "),
                })?;
            upper += probability;
            thresholds.push((upper, *fault));
        }
        let seed = config.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Ok(Self { thresholds, delay: config.delay, random: Mutex::new(SplitMix::new(seed)) })
    }

    /// What happens to the next call.
    fn draw(&self) -> (Option<Duration>, Option<Fault>) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = self.delay.filter(|delay| unit(&mut *random) < delay.probability);
        let delay = delay.map(|delay| delay.max.mul_f64(unit(&mut *random)));
        let point = unit(&mut *random);
        (delay, self.thresholds.iter().find(|(upper, _)| point < *upper).map(|(_, fault)| *fault))
    }
}

/// A number in `0..1`, from as many random bits as an `f64` holds.
fn unit(random: &mut impl Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Interceptor for Faults {
    async fn around<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        let Some(drawing) = &self.by_operation[operation.index()] else { return call.await };
        let (delay, fault) = drawing.draw();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let Some(fault) = fault else { return call.await };
        if fault.executes {
            call.await?;
        }
        Err(StoreError::new(fault.kind, operation.name(), format!("injected fault {}", fault.name)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use perdure_kernel::ShardId;

    use super::*;
    use crate::{ClusterStore, ShardStore, conformance::Subject, memory::MemoryStore};

    fn config(store: &str, method: &str, faults: MethodFaults) -> FaultInjection {
        let methods = BTreeMap::from([(method.to_owned(), faults)]);
        FaultInjection { data_stores: BTreeMap::from([(store.to_owned(), StoreFaults { methods })]) }
    }

    fn errors(entries: &[(&str, f64)]) -> MethodFaults {
        let errors = entries.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
        MethodFaults { errors, seed: Some(7), delay: None }
    }

    async fn without_faults() -> Subject {
        let inner: crate::SharedStore = Arc::new(MemoryStore::new());
        Subject::new(Arc::new(FaultStore::new(inner, &FaultInjection::default()).unwrap()))
    }

    crate::conformance_suite!(without_faults);

    #[tokio::test]
    async fn an_error_before_the_write_leaves_no_trace_and_one_after_it_does() {
        for (name, kind, range_id_after) in [
            ("ShardOwnershipLost", StoreErrorKind::LeaseLost, 1),
            ("Unavailable", StoreErrorKind::Unavailable, 1),
            ("Timeout", StoreErrorKind::OutcomeUnknown, 1),
            ("ExecuteAndTimeout", StoreErrorKind::OutcomeUnknown, 2),
        ] {
            let inner = Arc::new(MemoryStore::new());
            let store =
                FaultStore::new(inner.clone(), &config("ShardStore", "UpdateShard", errors(&[(name, 1.0)]))).unwrap();
            assert_eq!(store.acquire_shard(ShardId(1), "owner").await.unwrap_err().kind, kind, "{name}");
            assert_eq!(inner.acquire_shard(ShardId(1), "owner").await.unwrap().range_id, range_id_after, "{name}");
            assert_eq!(store.cluster_record("untouched").await, Ok(None));
        }
    }

    #[tokio::test]
    async fn a_visibility_store_beside_the_database_fails_as_it_is_told() {
        use crate::{SeparateVisibility, VisibilityChange, VisibilityWriter};
        let inner: Arc<dyn SeparateVisibility> = Arc::new(MemoryStore::new());
        let faults = config("VisibilityStore", "UpsertWorkflowExecution", errors(&[("ExecuteAndTimeout", 1.0)]));
        let store = Decorated::with(inner, Faults::new(&faults).unwrap());
        let key = perdure_kernel::ExecutionKey::workflow(&"ns".into(), "order", "run");
        let failed = store.write_visibility(vec![VisibilityChange::Remove { key }]).await.unwrap_err();
        assert_eq!((failed.kind, failed.operation), (StoreErrorKind::OutcomeUnknown, "write_visibility"));
    }

    #[tokio::test]
    async fn rates_hold_and_a_seed_repeats() {
        let faults = config("ClusterMDStore", "GetClusterMetadata", errors(&[("Unavailable", 0.2), ("Timeout", 0.1)]));
        let mut runs = Vec::new();
        for _ in 0..2 {
            let store = FaultStore::new(Arc::new(MemoryStore::new()), &faults).unwrap();
            let mut outcomes = Vec::new();
            for _ in 0..2000 {
                outcomes.push(store.cluster_record("x").await.err().map(|error| error.kind));
            }
            runs.push(outcomes);
        }
        assert_eq!(runs[0], runs[1]);
        let count = |kind| runs[0].iter().filter(|outcome| **outcome == Some(kind)).count();
        assert!((330..470).contains(&count(StoreErrorKind::Unavailable)));
        assert!((150..250).contains(&count(StoreErrorKind::OutcomeUnknown)));
    }

    #[tokio::test]
    async fn delays_are_drawn_up_to_the_bound() {
        let max = Duration::from_millis(2);
        let delay = Some(DelayFault { probability: 0.5, max });
        let faults = config("ClusterMDStore", "GetClusterMetadata", MethodFaults { delay, ..errors(&[]) });
        let store = FaultStore::new(Arc::new(MemoryStore::new()), &faults).unwrap();
        assert_eq!(store.cluster_record("x").await, Ok(None));
        let drawing = store.interceptor.by_operation[Operation::ClusterRecord.index()].as_ref().unwrap();
        let delays: Vec<Duration> = (0..1000).filter_map(|_| drawing.draw().0).collect();
        assert!((400..600).contains(&delays.len()) && delays.iter().all(|delay| *delay <= max));
        assert!(delays.iter().sum::<Duration>() > max * 150);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let refuse = |faults| Faults::new(&faults).unwrap_err();
        let unknown = refuse(config("ShardStore", "Nonsense", errors(&[])));
        assert!(unknown.to_string().contains("ShardStore.UpdateShard"), "{unknown}");
        let unknown = refuse(config("ShardStore", "UpdateShard", errors(&[("Boom", 0.1)])));
        assert!(unknown.to_string().contains("ExecuteAndTimeout"), "{unknown}");
        for rates in [&[("Timeout", 1.5)][..], &[("Timeout", 0.6), ("Unavailable", 0.6)], &[("Timeout", f64::NAN)]] {
            let refused = refuse(config("ShardStore", "UpdateShard", errors(rates)));
            assert!(matches!(refused, FaultConfigError::Probability { .. }), "{rates:?}");
        }
    }
}
