//! Who restarts an actor, how often, and what happens when that does not help.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::{
    Actor, ActorSystem, Ctx,
    host::{End, Host},
    panic_text,
    roll::Entry,
    slot::{Life, Messages, Slot},
};

/// How an actor that panicked is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The wait before a first restart; doubled for every other restart within `window`.
    pub initial_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// More panics than this within `window` escalate.
    pub max_restarts: usize,
    /// How long a restart is remembered.
    pub window: Duration,
}

impl Default for RestartPolicy {
    /// 100 ms doubling to 10 s; five restarts a minute.
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            max_restarts: 5,
            window: Duration::from_secs(60),
        }
    }
}

impl RestartPolicy {
    /// The wait before the next restart, or `None` to escalate. `restarts` holds those remembered; it never
    /// holds more than `max_restarts`.
    fn next(&self, restarts: &mut VecDeque<Instant>, now: Instant) -> Option<Duration> {
        while restarts.front().is_some_and(|at| now.duration_since(*at) > self.window) {
            restarts.pop_front();
        }
        if restarts.len() >= self.max_restarts {
            return None;
        }
        let doublings = u32::try_from(restarts.len()).unwrap_or(u32::MAX);
        restarts.push_back(now);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        Some(self.initial_backoff.saturating_mul(factor).min(self.max_backoff))
    }
}

/// An actor panicked too often and stays down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The kind of the actor.
    pub kind: &'static str,
    /// The name in its [`Supervision`].
    pub name: String,
    /// What the last panic said.
    pub reason: String,
    /// Restarts within the window of its policy.
    pub restarts: usize,
}

/// How one actor is looked after.
#[derive(Clone)]
pub struct Supervision {
    /// Names the actor in logs, escalations and the report of a shutdown.
    pub name: String,
    /// The place in the order of stopping: higher stages stop first. What an actor calls upon while it
    /// drains belongs to a lower stage.
    pub stage: u32,
    /// How it is restarted.
    pub restart: RestartPolicy,
    /// Called once on the actor's thread when it has panicked too often.
    pub on_escalate: Arc<dyn Fn(Escalation) + Send + Sync>,
}

impl Supervision {
    /// The default policy; an escalation is only logged.
    pub fn new(name: impl Into<String>, stage: u32) -> Self {
        Self { name: name.into(), stage, restart: RestartPolicy::default(), on_escalate: Arc::new(|_| {}) }
    }

    /// With another policy.
    #[must_use]
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    /// With something to do when restarts do not help.
    #[must_use]
    pub fn on_escalate(mut self, escalate: impl Fn(Escalation) + Send + Sync + 'static) -> Self {
        self.on_escalate = Arc::new(escalate);
        self
    }
}

impl fmt::Debug for Supervision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervision({}, stage {}, {:?})", self.name, self.stage, self.restart)
    }
}

/// All that one actor's supervisor holds. Dropping it, wherever that happens, is the actor's end.
pub(crate) struct Charge<A: Actor, F> {
    pub(crate) slot: Arc<Slot<A>>,
    pub(crate) factory: F,
    pub(crate) restart: RestartPolicy,
    pub(crate) on_escalate: Arc<dyn Fn(Escalation) + Send + Sync>,
    pub(crate) system: ActorSystem,
    pub(crate) thread: usize,
    pub(crate) entry: Entry,
}

impl<A: Actor, F> Drop for Charge<A, F> {
    fn drop(&mut self) {
        self.slot.set_ended();
        self.entry.leave();
        metrics::gauge!("actor_count", "kind" => A::KIND).decrement(1.0);
    }
}

/// Runs one incarnation after the other until the actor ends.
pub(crate) async fn supervise<A, F>(mut charge: Charge<A, F>, life: Arc<Life<A>>, messages: Messages<A>)
where
    A: Actor,
    F: FnMut() -> A,
{
    let mut next = Some((life, messages));
    let mut restarts = VecDeque::new();
    loop {
        let end = live(&mut charge, next.take()).await;
        charge.slot.shut();
        let reason = match end {
            End::Stopped => return,
            End::Failed(reason) => reason,
        };
        let name = charge.entry.name();
        let Some(backoff) = charge.restart.next(&mut restarts, Instant::now()) else {
            tracing::error!(kind = A::KIND, name, reason, "actor panicked too often and stays down");
            charge.slot.set_escalated();
            let escalation = Escalation { kind: A::KIND, name: name.to_owned(), reason, restarts: restarts.len() };
            let escalate = Arc::clone(&charge.on_escalate);
            // The callback finds the actor ended.
            drop(charge);
            if catch_unwind(AssertUnwindSafe(|| escalate(escalation))).is_err() {
                tracing::error!(kind = A::KIND, "an escalation panicked");
            }
            return;
        };
        tracing::error!(kind = A::KIND, name, reason, ?backoff, "actor panicked and is restarted");
        metrics::counter!("actor_restarts_total", "kind" => A::KIND).increment(1);
        if charge.slot.is_draining() || timeout(backoff, charge.slot.hurry.notified()).await.is_ok() {
            return;
        }
    }
}

/// One incarnation. The first has its mailbox since it was spawned; a later one gets a new one.
async fn live<A, F>(charge: &mut Charge<A, F>, given: Option<(Arc<Life<A>>, Messages<A>)>) -> End
where
    A: Actor,
    F: FnMut() -> A,
{
    let actor = match catch_unwind(AssertUnwindSafe(&mut charge.factory)) {
        Ok(actor) => Box::new(actor),
        Err(panic) => return End::Failed(panic_text(panic.as_ref())),
    };
    let (life, messages) = given.unwrap_or_else(|| {
        let (life, messages) = Life::new();
        charge.slot.open(&life);
        (life, messages)
    });
    let end = Rc::new(Cell::new(None));
    let ctx = Ctx::new(Arc::clone(&charge.slot), life, charge.system.clone(), charge.thread);
    let mut host = Host::new(actor, ctx, Rc::clone(&end));
    if host.start() {
        actix::Context::with_receiver(messages).into_future(host).await;
    }
    end.take().unwrap_or(End::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn backs_off_and_escalates() {
        let policy = RestartPolicy {
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_millis(300),
            max_restarts: 3,
            window: Duration::from_secs(10),
        };
        let (mut restarts, start) = (VecDeque::new(), Instant::now());
        let mut next = |after| policy.next(&mut restarts, start + Duration::from_secs(after));
        assert_eq!(next(0), Some(Duration::from_millis(100)));
        assert_eq!(next(1), Some(Duration::from_millis(200)));
        assert_eq!(next(2), Some(Duration::from_millis(300)));
        assert_eq!(next(3), None);
        // The first is forgotten; two are left.
        assert_eq!(next(11), Some(Duration::from_millis(300)));
        assert_eq!(next(60), Some(Duration::from_millis(100)));
    }
}
