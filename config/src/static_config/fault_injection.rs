//! `faultInjection`: failures that a store is made to have, for tests.

use super::read::{Entries, Item, section};
use crate::{
    keys::nearest,
    problem::{Cause, Problems},
};

section! {
    /// Failures that a store is made to have.
    pub struct FaultInjection {
        /// Where.
        "targets" targets: Targets,
    }
}

section! {
    /// Where failures are made.
    pub struct Targets {
        /// By part of the store.
        "dataStores" data_stores: Entries<StoreFaults>,
    }
}

section! {
    /// Failures of a part of the store.
    pub struct StoreFaults {
        /// By method.
        "methods" methods: Entries<MethodFaults>,
    }
}

section! {
    /// Failures of a method.
    pub struct MethodFaults {
        /// Probability by error, from 0 to 1.
        "errors" errors: Entries<Item<f64>>,
        /// Seed of the choice; 0 takes the time.
        "seed" seed: Item<i64>,
    }
}

/// Parts of a store.
const STORES: &[&str] = &[
    "ShardStore",
    "TaskStore",
    "MetadataStore",
    "ExecutionStore",
    "Queue",
    "QueueV2",
    "ClusterMDStore",
    "NexusEndpointStore",
];

/// Errors that can be made.
const ERRORS: &[&str] =
    &["ShardOwnershipLost", "DeadlineExceeded", "Timeout", "ExecuteAndTimeout", "ResourceExhausted", "Unavailable"];

impl FaultInjection {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (name, store) in &self.targets.data_stores {
            if !STORES.contains(&name.as_str()) {
                problems.add(
                    store.origin.at,
                    Cause::UnknownKey { key: store.origin.path.clone(), nearest: nearest(name, STORES), known: STORES },
                );
            }
            for method in store.methods.values() {
                method.check(problems);
            }
        }
    }
}

impl MethodFaults {
    fn check(&self, problems: &mut Problems) {
        for (name, probability) in &self.errors {
            let at = probability.place(&self.origin);
            let key = format!("{}.errors.{name}", self.origin.path);
            if !ERRORS.contains(&name.as_str()) {
                problems.add(at, Cause::UnknownKey { key: key.clone(), nearest: nearest(name, ERRORS), known: ERRORS });
            }
            if !(0.0..=1.0).contains(&probability.value) {
                let takes = "a probability from 0 to 1".to_owned();
                problems.add(at, Cause::Value { key, takes, given: probability.to_string() });
            }
        }
    }
}
