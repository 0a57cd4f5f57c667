//! The workflow task: scheduled, started, and ended one way or another.
//!
//! A first attempt writes its events as they happen. Later attempts after failures are *transient*: they
//! write nothing until one completes, so that a workflow that keeps failing does not grow. Their events
//! are shown to the worker under the ids they would have.

use std::time::Duration;

use perdure_kernel::{
    Timestamp, backoff,
    time::{span, span_to_proto},
};
use perdure_proto::{
    api::{
        common::WorkerVersionStamp,
        enums::{SuggestContinueAsNewReason, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause},
        failure::Failure,
        history::{
            HistoryEvent, WorkflowTaskFailedEventAttributes, WorkflowTaskScheduledEventAttributes,
            WorkflowTaskStartedEventAttributes, WorkflowTaskTimedOutEventAttributes, history_event::Attributes,
        },
        taskqueue::TaskQueue,
    },
    records,
};

use super::{
    change::NewTask,
    close::SERVER_IDENTITY,
    draft::{Draft, EventExtras},
    event_kind::event_type,
    server_attributes::TaskProblem,
    state::WorkflowState,
};

/// How a workflow task is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Through matching.
    Dispatch,
    /// Started by the same decision and handed to the worker that asked.
    Inline,
}

/// Why a workflow task failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskFailure {
    pub(crate) cause: WorkflowTaskFailedCause,
    pub(crate) failure: Option<Failure>,
    pub(crate) identity: String,
    pub(crate) binary_checksum: String,
    /// For a reset: the run that is reset, and the one that this makes.
    pub(crate) reset: Option<ResetRuns>,
}

/// The runs of a reset, by their ids.
#[derive(Clone, Debug)]
pub(crate) struct ResetRuns {
    pub(crate) base: String,
    pub(crate) new: String,
}

impl TaskFailure {
    /// A failure that no worker reported.
    pub(crate) fn by_server(cause: WorkflowTaskFailedCause) -> Self {
        Self { cause, identity: SERVER_IDENTITY.to_owned(), ..Self::default() }
    }
}

/// Who takes a workflow task.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskStart {
    pub(crate) identity: String,
    pub(crate) request_id: String,
    pub(crate) worker_version: Option<WorkerVersionStamp>,
}

impl WorkflowState {
    /// The queue that the next workflow task goes to: the sticky one while there is one.
    pub(crate) fn current_queue(&self) -> TaskQueue {
        let sticky = &self.volatile.run.sticky_queue;
        if sticky.is_empty() {
            let kind = TaskQueueKind::Normal.into();
            TaskQueue { name: self.task_queue().to_owned(), kind, normal_name: String::new() }
        } else {
            let kind = TaskQueueKind::Sticky.into();
            TaskQueue { name: sticky.clone(), kind, normal_name: self.task_queue().to_owned() }
        }
    }

    /// Whether the pending workflow task's events are not in history.
    pub fn task_is_transient(&self) -> bool {
        self.task().is_some_and(is_unwritten)
    }

    /// Scheduled and started events of a transient or speculative workflow task, as the worker must see them
    /// after the stored history. Empty for a task whose events are stored.
    pub fn transient_tail(&self) -> Vec<HistoryEvent> {
        let Some(task) = self.task().filter(|_| self.task_is_transient()) else { return Vec::new() };
        let scheduled = Attributes::WorkflowTaskScheduledEventAttributes(self.scheduled_attributes(task));
        let event = |event_id: i64, time: i64, attributes: Attributes| HistoryEvent {
            event_id,
            event_time: Timestamp::from_nanos(time).to_proto_opt(),
            event_type: event_type(&attributes).into(),
            attributes: Some(attributes),
            ..Default::default()
        };
        let mut tail = vec![event(task.scheduled_event_id, task.scheduled_time, scheduled)];
        if task.started_time != 0 {
            let started = Attributes::WorkflowTaskStartedEventAttributes(started_attributes(task, None));
            tail.push(event(task.started_event_id, task.started_time, started));
        }
        tail
    }

    fn scheduled_attributes(&self, task: &records::WorkflowTask) -> WorkflowTaskScheduledEventAttributes {
        WorkflowTaskScheduledEventAttributes {
            task_queue: Some(self.current_queue()),
            start_to_close_timeout: Some(span_to_proto(nanos(task.timeout))),
            attempt: task.attempt,
        }
    }
}

impl Draft<'_, '_> {
    /// Schedules a workflow task unless one is pending, or the run is paused.
    pub(crate) fn schedule_task(&mut self, delivery: Delivery) {
        let now = self.now();
        self.schedule_task_since(delivery, now);
    }

    /// Schedules a workflow task that continues a chain of heartbeats since `original_scheduled_time`.
    pub(crate) fn schedule_task_since(&mut self, delivery: Delivery, original_scheduled_time: Timestamp) {
        if self.state.task().is_some() {
            return;
        }
        // Waiting events come first: with them, the task is a fresh one and no retry of a failed one.
        if self.flush_buffer() {
            self.state.volatile.run.next_task_attempt = 1;
        }
        if self.state.is_paused() {
            // The end of the pause brings one.
            return;
        }
        let attempt = self.state.volatile.run.next_task_attempt.max(1);
        let default = span(self.state.start.workflow_task_timeout.as_ref());
        let cap = self.env.limits().workflow_task_retry_interval_max;
        let timeout = backoff::workflow_task_timeout(default, attempt, cap, self.env.random);
        let queue = self.state.current_queue();
        let sticky = queue.kind() == TaskQueueKind::Sticky;
        let to_start = nanos(if sticky { self.state.volatile.run.sticky_schedule_to_start } else { 0 });
        let now = self.now();
        let mut task = records::WorkflowTask {
            attempt,
            scheduled_time: now.as_nanos(),
            original_scheduled_time: original_scheduled_time.as_nanos(),
            timeout: as_nanos(timeout),
            schedule_to_start_at: if to_start.is_zero() { 0 } else { (now + to_start).as_nanos() },
            task_queue: queue.name,
            sticky,
            ..Default::default()
        };
        task.scheduled_event_id = if attempt == 1 {
            self.emit(Attributes::WorkflowTaskScheduledEventAttributes(self.state.scheduled_attributes(&task)))
        } else {
            self.state.next_event_id()
        };
        self.state.volatile.run.first_task_at = 0;
        if delivery == Delivery::Dispatch {
            self.tasks.push(NewTask::Workflow(dispatch(&self.state, &task)));
        }
        self.state.volatile.run.task = Some(task);
    }

    /// A worker takes the scheduled workflow task.
    pub(crate) fn start_task(&mut self, start: TaskStart) {
        let Some(mut task) = self.state.volatile.run.task.take() else { return };
        let (history_size, reasons) = suggest_continue_as_new(self);
        task.request_id = start.request_id;
        task.identity = start.identity;
        task.history_size = history_size;
        task.suggest_continue_as_new = reasons;
        task.started_time = self.now().as_nanos();
        // Events came since a transient task was scheduled: its ids are taken, it becomes an ordinary one.
        let moved_on = is_unwritten(&task) && task.scheduled_event_id != self.state.next_event_id();
        if moved_on {
            task.attempt = 1;
            task.speculative = false;
            let attributes = self.state.scheduled_attributes(&task);
            task.scheduled_event_id = self.emit(Attributes::WorkflowTaskScheduledEventAttributes(attributes));
        }
        task.started_event_id = if is_unwritten(&task) {
            task.scheduled_event_id + 1
        } else {
            let attributes = started_attributes(&task, start.worker_version);
            self.emit(Attributes::WorkflowTaskStartedEventAttributes(attributes))
        };
        self.state.volatile.run.task = Some(task);
    }

    /// Writes the events that a transient or speculative workflow task has had so far, and gives it their ids.
    /// `identity` is who had it. The task must not be the run's any more, or no speculative one.
    pub(crate) fn write_task_events(
        &mut self,
        task: &mut records::WorkflowTask,
        identity: &str,
        worker_version: Option<WorkerVersionStamp>,
    ) {
        let at = |nanos| EventExtras { time: Some(Timestamp::from_nanos(nanos)), ..Default::default() };
        let scheduled = Attributes::WorkflowTaskScheduledEventAttributes(self.state.scheduled_attributes(task));
        task.scheduled_event_id = self.emit_with(scheduled, at(task.scheduled_time));
        if task.started_time != 0 {
            let mut started = started_attributes(task, worker_version);
            identity.clone_into(&mut started.identity);
            let started = Attributes::WorkflowTaskStartedEventAttributes(started);
            task.started_event_id = self.emit_with(started, at(task.started_time));
        }
    }

    /// Takes the pending workflow task to end it, as `identity` says or the server sees. The events of a
    /// speculative one are written first: it did not end well, which must not go unseen.
    fn take_task_to_end(&mut self, identity: &str) -> Option<records::WorkflowTask> {
        let mut task = self.state.volatile.run.task.take()?;
        if std::mem::take(&mut task.speculative) {
            self.write_task_events(&mut task, identity, None);
        }
        Some(task)
    }

    /// Ends the started workflow task as failed. No new one is scheduled yet.
    pub(crate) fn fail_task(&mut self, failure: TaskFailure) {
        let Some(task) = self.take_task_to_end(&failure.identity) else { return };
        let cause = failure.cause;
        if task.attempt == 1 {
            let (base_run_id, new_run_id) = failure.reset.map(|runs| (runs.base, runs.new)).unwrap_or_default();
            let failed = WorkflowTaskFailedEventAttributes {
                scheduled_event_id: task.scheduled_event_id,
                started_event_id: task.started_event_id,
                cause: cause.into(),
                failure: failure.failure,
                identity: failure.identity,
                binary_checksum: failure.binary_checksum,
                base_run_id,
                new_run_id,
                ..Default::default()
            };
            self.emit(Attributes::WorkflowTaskFailedEventAttributes(Box::new(failed)));
            self.note_problem(TaskProblem::Failed(cause));
        }
        self.count_problem(&task);
        let run = &mut self.state.volatile.run;
        run.close_attempted = cause == WorkflowTaskFailedCause::UnhandledCommand;
        if matches!(cause, WorkflowTaskFailedCause::ResetWorkflow | WorkflowTaskFailedCause::FailoverCloseCommand) {
            // Not the fault of the workflow's code: the next task is a first attempt.
            run.next_task_attempt = 1;
        }
    }

    /// Ends the started workflow task because its worker took too long. No new one is scheduled yet.
    pub(crate) fn time_out_task(&mut self) {
        let Some(task) = self.take_task_to_end("") else { return };
        if task.attempt == 1 {
            self.emit(timed_out(&task, task.started_event_id, TimeoutType::StartToClose));
            self.note_problem(TaskProblem::TimedOut);
        }
        self.count_problem(&task);
        // Whether the workflow still wants to close is not known: signals must not be refused for ever.
        self.state.volatile.run.close_attempted = false;
    }

    /// Ends the scheduled workflow task because the sticky worker did not take it; the next one goes to
    /// the normal queue. This is nobody's failure: attempts are not counted.
    pub(crate) fn time_out_sticky_task(&mut self) {
        let Some(task) = self.take_task_to_end("") else { return };
        if task.attempt == 1 {
            self.emit(timed_out(&task, 0, TimeoutType::ScheduleToStart));
        }
        self.clear_sticky();
        self.state.volatile.run.next_task_attempt = 1;
    }

    /// Hands the workflow task to matching once more, if no worker has it yet; the one sent before is void.
    pub(crate) fn resend_task(&mut self) {
        let Some(task) = self.state.volatile.run.task.as_mut().filter(|task| task.started_time == 0) else { return };
        task.stamp += 1;
        let task = task.clone();
        self.tasks.push(NewTask::Workflow(dispatch(&self.state, &task)));
    }

    /// Forgets the sticky queue.
    pub(crate) fn clear_sticky(&mut self) {
        self.state.volatile.run.sticky_queue.clear();
        self.state.volatile.run.sticky_schedule_to_start = 0;
    }

    /// After a failure: a sticky worker may just have lost its cache, so the task is tried once more on the
    /// normal queue before it counts as failing.
    fn count_problem(&mut self, task: &records::WorkflowTask) {
        let run = &mut self.state.volatile.run;
        if run.sticky_queue.is_empty() {
            run.next_task_attempt = task.attempt + 1;
            run.task_problems += 1;
        } else {
            run.next_task_attempt = 1;
            self.clear_sticky();
        }
        self.report_problem();
    }
}

/// Whether a task's events are not in the history: it is a retry, or speculative.
pub(crate) fn is_unwritten(task: &records::WorkflowTask) -> bool {
    task.attempt > 1 || task.speculative
}

/// The transfer task that hands `task` to matching.
pub(crate) fn dispatch(state: &WorkflowState, task: &records::WorkflowTask) -> records::DispatchWorkflowTask {
    let to_start = task.schedule_to_start_at.saturating_sub(task.scheduled_time);
    records::DispatchWorkflowTask {
        scheduled_event_id: task.scheduled_event_id,
        attempt: task.attempt,
        task_queue: task.task_queue.clone(),
        sticky: task.sticky,
        normal_task_queue: state.task_queue().to_owned(),
        schedule_to_start: if task.schedule_to_start_at == 0 { 0 } else { to_start },
        priority: state.priority().cloned(),
        stamp: task.stamp,
    }
}

fn started_attributes(
    task: &records::WorkflowTask,
    worker_version: Option<WorkerVersionStamp>,
) -> WorkflowTaskStartedEventAttributes {
    WorkflowTaskStartedEventAttributes {
        scheduled_event_id: task.scheduled_event_id,
        identity: task.identity.clone(),
        request_id: task.request_id.clone(),
        suggest_continue_as_new: !task.suggest_continue_as_new.is_empty(),
        suggest_continue_as_new_reasons: task.suggest_continue_as_new.clone(),
        history_size_bytes: task.history_size,
        worker_version,
        ..Default::default()
    }
}

fn timed_out(task: &records::WorkflowTask, started_event_id: i64, kind: TimeoutType) -> Attributes {
    Attributes::WorkflowTaskTimedOutEventAttributes(WorkflowTaskTimedOutEventAttributes {
        scheduled_event_id: task.scheduled_event_id,
        started_event_id,
        timeout_type: kind.into(),
    })
}

/// History size as the worker is told, and why it should continue as new, if it should.
fn suggest_continue_as_new(draft: &Draft<'_, '_>) -> (i64, Vec<i32>) {
    let limits = draft.env.limits();
    let size = draft.history_size_before;
    let at_least = |value: i64, bound: usize| usize::try_from(value).unwrap_or(0) >= bound;
    let mut reasons = Vec::new();
    if at_least(size, limits.history_size_suggest) {
        reasons.push(SuggestContinueAsNewReason::HistorySizeTooLarge.into());
    }
    if at_least(draft.state.next_event_id(), limits.history_count_suggest) {
        reasons.push(SuggestContinueAsNewReason::TooManyHistoryEvents.into());
    }
    if limits.updates_total_suggest > 0 && draft.state.updates_total() >= limits.updates_total_suggest {
        reasons.push(SuggestContinueAsNewReason::TooManyUpdates.into());
    }
    (size, reasons)
}

/// Stored nanoseconds as a span; negative values are zero.
pub(crate) fn nanos(value: i64) -> Duration {
    Duration::from_nanos(u64::try_from(value).unwrap_or(0))
}

/// A span as stored nanoseconds.
pub(crate) fn as_nanos(value: Duration) -> i64 {
    i64::try_from(value.as_nanos()).unwrap_or(i64::MAX)
}
