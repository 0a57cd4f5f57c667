//! The speculative workflow task: one that is made for updates alone.
//!
//! It is in memory only, and its events have ids but are not in the history, so that a task whose updates are all
//! rejected leaves nothing behind. Whatever else happens to the run makes it an ordinary task, whose events come
//! before what happened. Losing it is healed by whoever asked for the update, or by its schedule-to-start timeout.

use std::time::Duration;

use perdure_kernel::{Limits, backoff, time::span};
use perdure_proto::{
    api::{enums::TaskQueueKind, workflowservice::RespondWorkflowTaskCompletedRequest},
    records,
};

use super::{
    change::NewTask,
    draft::Draft,
    state::WorkflowState,
    task::{Delivery, as_nanos, dispatch, nanos},
};

/// Schedule-to-start timeout on the normal queue: nothing else brings back a task that did not reach matching.
const SCHEDULE_TO_START: Duration = Duration::from_secs(5);

/// Name of the one message that writes nothing.
const REJECTION: &str = "temporal.api.update.v1.Rejection";

impl WorkflowState {
    /// Whether the pending workflow task is in memory only.
    pub fn task_is_speculative(&self) -> bool {
        self.task().is_some_and(|task| task.speculative)
    }

    /// Whether a speculative task that is answered so leaves nothing behind: nothing is decided, no update is
    /// accepted, and the worker can take the events that it was sent once more.
    pub(crate) fn drops_task(
        &self,
        task: &records::WorkflowTask,
        request: &RespondWorkflowTaskCompletedRequest,
        limits: &Limits,
    ) -> bool {
        if !task.speculative || !request.commands.is_empty() || request.force_create_new_workflow_task {
            return false;
        }
        let takes_events_again = request
            .capabilities
            .as_ref()
            .is_some_and(|capabilities| capabilities.discard_speculative_workflow_task_with_events);
        let events_max = if takes_events_again { limits.speculative_task_events_max } else { 0 };
        // The completed event follows the last started one.
        let events = self.next_event_id() - self.record.last_completed_started_event_id - 2;
        if usize::try_from(events).unwrap_or(0) > events_max {
            return false;
        }
        let rejects = |name: &str| name.rsplit('/').next() == Some(REJECTION);
        request.messages.iter().all(|message| message.body.as_ref().is_some_and(|body| rejects(&body.type_url)))
    }
}

impl Draft<'_, '_> {
    /// Schedules a workflow task for updates alone. The caller has seen that none is pending.
    pub(crate) fn schedule_speculative_task(&mut self, delivery: Delivery) {
        let default = span(self.state.start.workflow_task_timeout.as_ref());
        let cap = self.env.limits().workflow_task_retry_interval_max;
        let timeout = backoff::workflow_task_timeout(default, 1, cap, self.env.random);
        let queue = self.state.current_queue();
        let sticky = queue.kind() == TaskQueueKind::Sticky;
        let to_start = if sticky { nanos(self.state.volatile.run.sticky_schedule_to_start) } else { SCHEDULE_TO_START };
        let now = self.now();
        let task = records::WorkflowTask {
            scheduled_event_id: self.state.next_event_id(),
            attempt: 1,
            scheduled_time: now.as_nanos(),
            original_scheduled_time: now.as_nanos(),
            timeout: as_nanos(timeout),
            schedule_to_start_at: (now + to_start).as_nanos(),
            task_queue: queue.name,
            sticky,
            speculative: true,
            ..Default::default()
        };
        if delivery == Delivery::Dispatch {
            self.tasks.push(NewTask::Workflow(dispatch(&self.state, &task)));
        }
        // The first task's backoff goes on: should this one come to nothing, the run still begins when it is due.
        self.state.volatile.run.task = Some(task);
        self.keeps_speculative = true;
    }

    /// Something else happens to the run: its speculative task becomes an ordinary one, with its events.
    pub(crate) fn write_speculative_task(&mut self) {
        let Some(task) = self.state.volatile.run.task.as_mut().filter(|task| task.speculative) else { return };
        task.speculative = false;
        let mut task = task.clone();
        self.state.volatile.run.first_task_at = 0;
        // Who took it is not told: Temporal does not know it any more at this point.
        self.write_task_events(&mut task, "", None);
        self.state.volatile.run.task = Some(task);
    }

    /// The worker's answer to a speculative task could not be made out: a fresh one goes to whoever polls next,
    /// with its updates.
    pub(crate) fn renew_speculative_task(&mut self) {
        self.state.volatile.run.task = None;
        self.clear_sticky();
        self.schedule_speculative_task(Delivery::Dispatch);
    }
}
