//! Stores around stores: each adds one thing to every call and passes it on.
//!
//! A decorator is an [`Interceptor`]; [`Decorated`] forwards the calls of all traits through it, so
//! that a new decorator is one method.

mod fault;
mod forward;
mod metrics;

use std::{future::Future, sync::Arc};

pub use fault::{DelayFault, FaultConfigError, FaultInjection, FaultStore, Faults, MethodFaults, StoreFaults};
pub use metrics::{MetricsStore, StoreMetrics};

use crate::{Operation, StoreResult};

/// Something to do around each call of a store.
pub trait Interceptor: Send + Sync + 'static {
    /// Makes the call, or not, and answers for it.
    fn around<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> impl Future<Output = StoreResult<T>> + Send;
}

/// A store whose calls pass through `I`. `S` may be `dyn Store`.
#[derive(Debug)]
pub struct Decorated<S: ?Sized, I> {
    interceptor: I,
    inner: Arc<S>,
}

impl<S: ?Sized, I> Decorated<S, I> {
    /// `inner` behind `interceptor`.
    pub fn with(inner: Arc<S>, interceptor: I) -> Self {
        Self { interceptor, inner }
    }
}
