//! What a decision may depend on besides state and input.

use std::time::Duration;

use perdure_kernel::{Limits, Namespace, Random, Timestamp};

/// The world as a machine sees it, frozen for one decision.
pub struct Env<'a> {
    /// The present instant.
    pub now: Timestamp,
    /// The execution's namespace with its limits.
    pub namespace: &'a Namespace,
    /// Source of run ids and jitter.
    pub random: &'a mut dyn Random,
}

impl Env<'_> {
    /// Limits in force.
    pub fn limits(&self) -> &Limits {
        &self.namespace.limits
    }

    /// When retention deletes an execution that closes now.
    pub(crate) fn deletion_time(&mut self) -> Timestamp {
        let jitter_max = u64::try_from(self.limits().retention_jitter_max.as_nanos()).unwrap_or(u64::MAX);
        let jitter = self.random.below(jitter_max);
        self.now + self.namespace.retention + Duration::from_nanos(jitter)
    }
}
