//! The tasks an actor has in flight.

use std::cell::RefCell;

use tokio::task::JoinHandle;

/// Holds the tasks of one incarnation so that they end with it. A slab: keys of finished tasks are reused.
#[derive(Default)]
pub(crate) struct IoScope(RefCell<Tasks>);

#[derive(Default)]
struct Tasks {
    tasks: Vec<Option<JoinHandle<()>>>,
    free: Vec<usize>,
    in_flight: usize,
}

impl IoScope {
    /// A key for a task about to be spawned.
    pub(crate) fn reserve(&self) -> usize {
        let mut tasks = self.0.borrow_mut();
        tasks.in_flight += 1;
        tasks.free.pop().unwrap_or_else(|| {
            tasks.tasks.push(None);
            tasks.tasks.len() - 1
        })
    }

    pub(crate) fn hold(&self, key: usize, task: JoinHandle<()>) {
        if let Some(place) = self.0.borrow_mut().tasks.get_mut(key) {
            *place = Some(task);
        }
    }

    pub(crate) fn done(&self, key: usize) {
        let mut tasks = self.0.borrow_mut();
        if tasks.tasks.get_mut(key).and_then(Option::take).is_some() {
            tasks.free.push(key);
            tasks.in_flight -= 1;
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.0.borrow().in_flight
    }

    pub(crate) fn abort_all(&self) {
        let tasks = std::mem::take(&mut *self.0.borrow_mut());
        for task in tasks.tasks.into_iter().flatten() {
            task.abort();
        }
    }
}
