//! Workflow and activity tasks: handed to matching.

use perdure_execution::workflow::NewTask;
use perdure_kernel::{ErrorKind, ExecutionKey, NamespaceId, ServiceResult, Timestamp, error::Retry};
use perdure_proto::records::{self, immediate_task::Task};
use perdure_rpc::{
    Ask, QueueName, TaskType,
    matching::{AddTask, MatchingCall},
};
use perdure_runtime::Ctx;

use super::{
    super::{Shard, message::ShardMsg},
    Heard, stored_task,
};

impl Shard {
    /// Offers a task to matching.
    pub(super) fn offer(&mut self, id: i64, ctx: &mut Ctx<Self>) {
        let Some(task) = self.immediate.get(id) else { return };
        let Some(add) = add_task(task, ctx.now()) else { return self.immediate.finish(id) };
        let Some(caller) = self.internal_caller(&add.queue.namespace_id) else {
            // A deleted namespace's runs are gone, and their tasks go with them.
            return self.submit_task(id, None, ctx);
        };
        let queue = add.queue.clone();
        let myself = ctx.myself();
        let ask = Ask::with_callback(caller, add, move |result: ServiceResult<()>| {
            // A shard that is gone reads the task from the store when it comes back.
            let _ = myself.tell(ShardMsg::TaskHeard { id, heard: Heard::Told(result) });
        });
        self.matching.send(&queue, MatchingCall::AddTask(ask));
    }

    /// Matching answered.
    pub(super) fn offered(&mut self, id: i64, result: ServiceResult<()>, ctx: &mut Ctx<Self>) {
        let Err(error) = result else { return self.immediate.finish(id) };
        if error.kind == ErrorKind::StickyWorkerUnavailable {
            // The worker that had the workflow in its cache is gone: any worker will do.
            if let Some(Task::WorkflowTask(task)) = self.immediate.get_mut(id).and_then(|task| task.task.as_mut()) {
                task.sticky = false;
                task.task_queue.clone_from(&task.normal_task_queue);
                return self.offer(id, ctx);
            }
        }
        match error.kind.retry() {
            Retry::Yes => self.retry_task(id, ctx),
            Retry::No => {
                tracing::debug!(shard = %self.id, id, %error, "task dropped by matching");
                self.immediate.finish(id);
            }
        }
    }
}

/// Workflow tasks that are in memory only. Should one get lost, the run's own timeout brings it back.
impl Shard {
    /// Offers a task that has no row.
    pub(in crate::shard) fn offer_from_memory(&self, key: &ExecutionKey, task: NewTask, ctx: &Ctx<Self>) {
        self.offer_once(stored_task(0, key, task), ctx);
    }

    /// The worker that had the workflow in its cache is gone: any worker will do.
    pub(in crate::shard) fn offer_to_any(&self, mut task: records::ImmediateTask, ctx: &Ctx<Self>) {
        if let Some(Task::WorkflowTask(task)) = task.task.as_mut() {
            task.sticky = false;
            task.task_queue.clone_from(&task.normal_task_queue);
        }
        self.offer_once(task, ctx);
    }

    fn offer_once(&self, task: records::ImmediateTask, ctx: &Ctx<Self>) {
        let Some(add) = add_task(&task, ctx.now()) else { return };
        let Some(caller) = self.internal_caller(&add.queue.namespace_id) else { return };
        let queue = add.queue.clone();
        let myself = ctx.myself();
        let ask = Ask::with_callback(caller, add, move |result: ServiceResult<()>| match result {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::StickyWorkerUnavailable => {
                // A shard that is gone has forgotten the task.
                let _ = myself.tell(ShardMsg::StickyWorkerGone(Box::new(task)));
            }
            Err(error) => tracing::debug!(%error, "a speculative workflow task did not reach matching"),
        });
        self.matching.send(&queue, MatchingCall::AddTask(ask));
    }
}

/// The task as matching wants it.
fn add_task(task: &records::ImmediateTask, now: Timestamp) -> Option<AddTask> {
    let execution = task.execution.as_ref()?;
    let namespace = NamespaceId::from(execution.namespace_id.as_str());
    let queued =
        records::QueuedTask { execution: Some(execution.clone()), created_at: now.as_nanos(), ..Default::default() };
    let expires = |after: i64| if after == 0 { 0 } else { now.as_nanos().saturating_add(after) };
    Some(match task.task.as_ref()? {
        Task::WorkflowTask(task) => AddTask {
            queue: if task.sticky {
                QueueName::sticky(&namespace, &task.task_queue)
            } else {
                QueueName::normal(&namespace, &task.task_queue, TaskType::Workflow)
            },
            task: records::QueuedTask {
                scheduled_event_id: task.scheduled_event_id,
                attempt: task.attempt,
                stamp: task.stamp,
                expires_at: expires(task.schedule_to_start),
                priority: task.priority.clone(),
                ..queued
            },
        },
        Task::ActivityTask(task) => AddTask {
            queue: QueueName::normal(&namespace, &task.task_queue, TaskType::Activity),
            task: records::QueuedTask {
                scheduled_event_id: task.scheduled_event_id,
                attempt: task.attempt,
                stamp: task.stamp,
                expires_at: expires(task.schedule_to_start),
                priority: task.priority.clone(),
                ..queued
            },
        },
        Task::StartChild(_)
        | Task::SignalExternal(_)
        | Task::CancelExternal(_)
        | Task::ReportClose(_)
        | Task::CloseChild(_)
        | Task::Callback(_)
        | Task::Visibility(_) => return None,
    })
}
