//! What happens when a run's time has come.

use perdure_kernel::Timestamp;
use perdure_proto::api::history::{TimerFiredEventAttributes, history_event::Attributes};

use super::{
    change::{Durability, Transition},
    deadline::Deadline,
    draft::{Draft, EventExtras},
    state::WorkflowState,
    task::Delivery,
};
use crate::Env;

/// Deadlines worked off in one transition; the rest follow in the next one.
const DUE_MAX: usize = 1000;

/// What a wake-up came to.
#[derive(Clone, Debug)]
pub enum Woken {
    /// Nothing was due.
    TooEarly,
    /// What was due has happened.
    Changed(Box<Transition>),
    /// The run is closed and its retention is over: remove it.
    Delete,
}

/// Works off everything that is due.
pub fn decide(state: &WorkflowState, env: &mut Env<'_>) -> Woken {
    let due = |state: &WorkflowState, now: Timestamp| state.next_deadline().filter(|(at, _)| *at <= now);
    let Some((_, first)) = due(state, env.now) else { return Woken::TooEarly };
    if first == Deadline::Delete {
        return Woken::Delete;
    }
    let now = env.now;
    let mut draft = Draft::new(state, env);
    let mut wake = false;
    for _ in 0..DUE_MAX {
        let next = due(&draft.state, now).map(|(_, deadline)| deadline);
        let Some(deadline) = next.filter(|next| draft.state.is_open() || *next == Deadline::Callbacks) else { break };
        wake |= draft.reach(deadline);
    }
    if wake && draft.state.is_open() {
        draft.schedule_task(Delivery::Dispatch);
        draft.force_close_on_overflow();
    }
    Woken::Changed(Box::new(draft.finish(Durability::BeforeReply)))
}

impl Draft<'_, '_> {
    /// Works off one deadline. Returns whether the workflow must hear of it.
    fn reach(&mut self, deadline: Deadline) -> bool {
        match deadline {
            Deadline::FirstTask => {
                self.state.volatile.run.first_task_at = 0;
                true
            }
            Deadline::Timer(started_event_id) => self.fire_timer(started_event_id),
            Deadline::ActivityTimeout(scheduled_event_id, kind) => self.time_out_activity(scheduled_event_id, kind),
            Deadline::ActivityRetry(scheduled_event_id) => {
                self.dispatch_retry(scheduled_event_id);
                false
            }
            Deadline::TaskScheduleToStart => {
                self.time_out_sticky_task();
                true
            }
            Deadline::TaskStartToClose => {
                self.time_out_task();
                // At once: what waited for the task's end comes before what is due after it.
                self.schedule_task(Delivery::Dispatch);
                false
            }
            Deadline::Run => {
                self.time_out();
                false
            }
            Deadline::Callbacks => {
                self.retry_callbacks();
                false
            }
            Deadline::Delete => false,
        }
    }

    fn fire_timer(&mut self, started_event_id: i64) -> bool {
        let Some(timer) = self.state.timers.get(&started_event_id).cloned() else { return false };
        let attributes = TimerFiredEventAttributes { timer_id: timer.timer_id.clone(), started_event_id };
        self.emit_or_buffer(Attributes::TimerFiredEventAttributes(attributes), EventExtras::default());
        true
    }
}
