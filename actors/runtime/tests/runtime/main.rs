//! The promises of the runtime, kept by the same actors on threads and on one `LocalSet` in paused time.
#![allow(clippy::unwrap_used)]

mod flood;
mod life;
mod registry;
mod shutdown;
mod supervision;
mod timers;

use std::{sync::Arc, time::Duration};

use perdure_kernel::Timestamp;
use perdure_runtime::{ActorSystem, Placement, SystemClock, TokioClock};
use tokio::{runtime::Builder, task::LocalSet};

const START: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// Runs a test on one thread in paused time.
fn local(test: impl AsyncFnOnce(ActorSystem)) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        test(ActorSystem::local(Arc::new(TokioClock::new(START)))).await;
    });
}

/// Runs a test against two threads; every such test must leave a system that stops.
fn threaded(test: impl AsyncFnOnce(ActorSystem)) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let system = ActorSystem::threads(2, Arc::new(SystemClock::new())).unwrap();
        test(system.clone()).await;
        let report = system.shutdown(Duration::from_secs(10)).await;
        assert!(report.complete, "{report:?}");
    });
}

/// Spreads the actors of a test.
fn place(number: usize) -> Placement {
    Placement::Thread(number)
}
