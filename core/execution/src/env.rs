//! What a decision may depend on besides state and input.

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
}
