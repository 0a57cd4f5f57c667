//! Tasks that are not actors: listeners and other shells.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::{
    FutureExt,
    future::{AbortHandle, Abortable},
};

use crate::{latch::Latch, panic_text, roll::Roll};

/// A task spawned by [`crate::ActorSystem::spawn_task`]. Dropping this handle does not end the task.
#[derive(Clone, Debug)]
pub struct Task {
    abort: AbortHandle,
    finished: Arc<Latch>,
}

impl Task {
    /// Drops the task at its next await.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// Whether the task has finished, panicked or been aborted.
    pub fn is_finished(&self) -> bool {
        self.finished.is_set()
    }

    /// Resolves when the task has finished, panicked or been aborted.
    pub fn finished(&self) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.finished).wait()
    }
}

/// Leaves the roll and tells those who wait, wherever the task ends.
struct Finish {
    roll: Arc<Roll>,
    id: Option<u64>,
    finished: Arc<Latch>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.roll.leave_task(id);
        }
        self.finished.set();
    }
}

/// The handle of a new task, and what to run on its thread (nothing when the system is stopping).
pub(crate) fn prepare<F, Fut>(roll: &Arc<Roll>, name: String, make: F) -> (Task, Option<crate::system::Job>)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let finished = Arc::<Latch>::default();
    let (abort, registration) = AbortHandle::new_pair();
    let id = roll.enter_task(abort.clone());
    let finish = Finish { roll: Arc::clone(roll), id, finished: Arc::clone(&finished) };
    let job = id.map(|_| -> crate::system::Job {
        Box::new(move || {
            tokio::task::spawn_local(async move {
                let _finish = finish;
                let run = AssertUnwindSafe(async move { make().await }).catch_unwind();
                match Abortable::new(run, registration).await {
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(panic)) => {
                        tracing::error!(name, reason = panic_text(panic.as_ref()), "task panicked");
                    }
                }
            });
        })
    });
    (Task { abort, finished }, job)
}
