//! An actor's one timer: one sleeping task, however often it is set.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use perdure_kernel::{Clock, Timestamp};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// The longest uninterrupted sleep: afterwards the clock is read again, because a wall clock may have been
/// set forward meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// The shortest sleep, tokio's own resolution.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

pub(crate) struct Timer {
    state: Rc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    due: Cell<Option<Timestamp>>,
    /// What the task sleeps towards; it wakes no later than this.
    asleep_until: Cell<Option<Timestamp>>,
    /// Fired, but the actor has not come to it yet.
    fired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    /// `fire` is called each time the timer comes due.
    pub(crate) fn new(clock: Arc<dyn Clock>, fire: impl Fn() + 'static) -> Self {
        let state = Rc::<State>::default();
        let task = tokio::task::spawn_local(run(Rc::clone(&state), clock, fire));
        Self { state, task }
    }

    /// The earliest of the instants set since it last fired or was cleared.
    pub(crate) fn set(&self, at: Timestamp) {
        let state = &self.state;
        if state.fired.get() || state.due.get().is_some_and(|due| due <= at) {
            return;
        }
        state.due.set(Some(at));
        // A task that sleeps towards an earlier instant finds the new one when it wakes.
        if state.asleep_until.get().is_none_or(|until| at < until)
            && let Some(waker) = state.waker.take()
        {
            waker.wake();
        }
    }

    pub(crate) fn clear(&self) {
        self.state.due.set(None);
        self.state.fired.set(false);
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.state.due.get()
    }

    pub(crate) fn take_fired(&self) -> bool {
        self.state.fired.take()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(state: Rc<State>, clock: Arc<dyn Clock>, fire: impl Fn()) {
    let mut nap = pin!(sleep(Duration::ZERO));
    loop {
        poll_fn(|cx| {
            loop {
                let Some(due) = state.due.get() else {
                    state.asleep_until.set(None);
                    break;
                };
                let now = clock.now();
                if now >= due {
                    state.due.set(None);
                    state.asleep_until.set(None);
                    return Poll::Ready(());
                }
                if state.asleep_until.get() != Some(due) {
                    state.asleep_until.set(Some(due));
                    let wait = due.since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP);
                    nap.as_mut().reset(Instant::now() + wait);
                }
                if nap.as_mut().poll(cx).is_pending() {
                    break;
                }
                state.asleep_until.set(None);
            }
            *state.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        state.fired.set(true);
        fire();
    }
}
