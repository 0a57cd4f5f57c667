//! A store whose calls wait, fail and are counted as the test says.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use perdure_persistence::{Operation, StoreError, StoreErrorKind, StoreResult, decorator::Interceptor};
use tokio::sync::Notify;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Without having been made.
    Before(StoreErrorKind),
    /// After it was carried out.
    After(StoreErrorKind),
}

/// How a store may fail a commit in a storm.
pub(crate) const COMMIT_FAULTS: [Fault; 5] = [
    Fault::Before(StoreErrorKind::LeaseLost),
    Fault::Before(StoreErrorKind::Conflict),
    Fault::Before(StoreErrorKind::Unavailable),
    Fault::Before(StoreErrorKind::OutcomeUnknown),
    Fault::After(StoreErrorKind::OutcomeUnknown),
];

/// Where held writes wait: commits, or writes of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Before they are applied.
    Before,
    /// Applied, but their answer is not on its way yet.
    After,
}

/// The script of a store.
#[derive(Clone)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

struct State {
    gate: Gate,
    /// Writes that may pass the closed gate.
    passes: usize,
    waiting: usize,
    calls: BTreeMap<Operation, usize>,
    /// Calls of an operation that go well, then how the next one fails.
    faults: BTreeMap<Operation, VecDeque<(usize, Fault)>>,
}

impl Default for Script {
    fn default() -> Self {
        let state = State { gate: Gate::Open, passes: 0, waiting: 0, calls: BTreeMap::new(), faults: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Writes wait before they are applied.
    pub(crate) fn hold(&self) {
        self.state().gate = Gate::Before;
    }

    /// Writes are applied and then wait.
    pub(crate) fn hold_after(&self) {
        self.state().gate = Gate::After;
    }

    /// Lets one waiting write go on.
    pub(crate) fn release_one(&self) {
        self.state().passes += 1;
        self.changed.notify_waiters();
    }

    /// Lets all writes go on, now and from now on.
    pub(crate) fn release(&self) {
        self.state().gate = Gate::Open;
        self.changed.notify_waiters();
    }

    /// Writes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Lets `after` calls of an operation go well and fails the next one.
    pub(crate) fn fail(&self, operation: Operation, after: usize, fault: Fault) {
        self.state().faults.entry(operation).or_default().push_back((after, fault));
    }

    /// Calls of an operation so far.
    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.state().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Commits so far.
    pub(crate) fn commits(&self) -> usize {
        self.count(Operation::Commit)
    }

    /// Calls so far.
    pub(crate) fn total(&self) -> usize {
        self.state().calls.values().sum()
    }

    /// Notes a call, and says how it fails.
    fn enter(&self, operation: Operation) -> Option<Fault> {
        let mut state = self.state();
        *state.calls.entry(operation).or_default() += 1;
        let faults = state.faults.get_mut(&operation)?;
        let (left, fault) = faults.front_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        faults.pop_front();
        Some(fault)
    }

    async fn pass(&self, gate: Gate) {
        let _waiting = Waiting::new(self);
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.gate != gate {
                    return;
                }
                if state.passes > 0 {
                    state.passes -= 1;
                    return;
                }
            }
            changed.await;
        }
    }
}

/// A write at the gate. It may be dropped there.
struct Waiting<'s>(&'s Script);

impl<'s> Waiting<'s> {
    fn new(script: &'s Script) -> Self {
        script.state().waiting += 1;
        Self(script)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Interceptor for Script {
    async fn around<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        let fault = self.enter(operation);
        let held = matches!(operation, Operation::Commit | Operation::WriteVisibility);
        // A store answers never at once.
        tokio::task::yield_now().await;
        if held {
            self.pass(Gate::Before).await;
        }
        let failed = |kind| Err(StoreError::new(kind, operation.name(), "as the test wants it"));
        if let Some(Fault::Before(kind)) = fault {
            return failed(kind);
        }
        let result = call.await;
        if held {
            self.pass(Gate::After).await;
        }
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::After(kind)) => failed(kind),
            Some(Fault::Before(_)) | None => result,
        }
    }
}
