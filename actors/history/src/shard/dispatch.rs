//! Immediate tasks: handed to matching as soon as their commit is durable.
//!
//! A task's row stays in the store until matching answers for the task, so that a crash loses none. Rows
//! of finished tasks are deleted by range, inside a later commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use perdure_kernel::{ErrorKind, ExecutionKey, Namespace, NamespaceId, ServiceResult, Timestamp};
use perdure_proto::records::{self, immediate_task::Task};
use perdure_rpc::{
    Ask, Caller, QueueName, TaskType,
    matching::{AddTask, MatchingCall},
};
use perdure_runtime::Ctx;

use super::{Shard, message::ShardMsg};

/// Wait before a task that matching could not take is offered again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Wait before a task of a namespace that is not known here is offered.
const UNKNOWN_NAMESPACE_DELAY: Duration = Duration::from_secs(1);

/// Tasks that are not finished, by id.
#[derive(Default)]
pub(super) struct Immediate {
    outstanding: BTreeMap<i64, records::ImmediateTask>,
    retries: BTreeMap<(Timestamp, i64), ()>,
    finished: usize,
    resumed: Vec<i64>,
    /// Finished tasks whose rows must stay: should this node die, they have to be offered again.
    kept: BTreeSet<i64>,
    /// Rows below this are deleted, or are about to be.
    acked: i64,
}

impl Immediate {
    /// Takes in a task whose commit is not durable yet.
    pub(super) fn stage(&mut self, task: records::ImmediateTask) {
        self.outstanding.insert(task.id, task);
    }

    /// Takes in tasks that an earlier owner of the shard left.
    pub(super) fn resume(&mut self, tasks: Vec<records::ImmediateTask>) {
        for task in tasks {
            self.resumed.push(task.id);
            self.outstanding.insert(task.id, task);
        }
    }

    /// When the next refused task is offered again.
    pub(super) fn next_retry(&self) -> Option<Timestamp> {
        self.retries.first_key_value().map(|((at, _), ())| *at)
    }

    /// The level below which all tasks are finished, once that is worth a write.
    pub(super) fn take_ack(&mut self, worth: usize, next_id: i64) -> Option<i64> {
        if self.finished < worth {
            return None;
        }
        self.finished = 0;
        let open = [self.outstanding.first_key_value().map(|(id, _)| *id), self.kept.first().copied()];
        self.acked = open.into_iter().flatten().min().unwrap_or(next_id);
        Some(self.acked)
    }

    /// Keeps a task's row in the store although matching has the task. False when it may be gone already.
    pub(super) fn keep(&mut self, id: i64) -> bool {
        let stored = id >= self.acked;
        if stored {
            self.kept.insert(id);
        }
        stored
    }

    /// A row that was kept is not needed any more.
    pub(super) fn release(&mut self, id: i64) {
        self.kept.remove(&id);
    }

    fn finish(&mut self, id: i64) {
        if self.outstanding.remove(&id).is_some() {
            self.finished += 1;
        }
    }
}

impl Shard {
    /// Offers the tasks that an earlier owner left.
    pub(super) fn dispatch_resumed(&mut self, ctx: &Ctx<Self>) {
        for id in std::mem::take(&mut self.immediate.resumed) {
            self.dispatch(id, ctx);
        }
    }

    /// Offers again what matching could not take.
    pub(super) fn retry_tasks(&mut self, now: Timestamp, ctx: &Ctx<Self>) {
        while self.immediate.next_retry().is_some_and(|at| at <= now) {
            if let Some(((_, id), ())) = self.immediate.retries.pop_first() {
                self.dispatch(id, ctx);
            }
        }
    }

    /// Offers a task to matching.
    pub(super) fn dispatch(&mut self, id: i64, ctx: &Ctx<Self>) {
        let Some(task) = self.immediate.outstanding.get(&id) else { return };
        let Some(add) = add_task(task, ctx.now()) else { return self.immediate.finish(id) };
        let Some(caller) = self.internal_caller(&add.queue.namespace_id) else {
            self.immediate.retries.insert((ctx.now() + UNKNOWN_NAMESPACE_DELAY, id), ());
            return;
        };
        let queue = add.queue.clone();
        let myself = ctx.myself();
        let ask = Ask::with_callback(caller, add, move |result: ServiceResult<()>| {
            // A shard that is gone reads the task from the store when it comes back.
            let _ = myself.tell(ShardMsg::TaskHanded { id, result });
        });
        self.matching.send(&queue, MatchingCall::AddTask(ask));
    }

    /// Matching answered.
    pub(super) fn task_handed(&mut self, id: i64, result: ServiceResult<()>, ctx: &Ctx<Self>) {
        let Err(error) = result else { return self.immediate.finish(id) };
        if !self.immediate.outstanding.contains_key(&id) {
            // A task of an earlier lease: the store gives it again.
            return;
        }
        if error.kind == ErrorKind::StickyWorkerUnavailable {
            // The worker that had the workflow in its cache is gone: any worker will do.
            if let Some(Task::WorkflowTask(task)) =
                self.immediate.outstanding.get_mut(&id).and_then(|task| task.task.as_mut())
            {
                task.sticky = false;
                task.task_queue.clone_from(&task.normal_task_queue);
                return self.dispatch(id, ctx);
            }
        }
        match error.kind.retry() {
            perdure_kernel::error::Retry::Yes => {
                self.immediate.retries.insert((ctx.now() + RETRY_DELAY, id), ());
            }
            perdure_kernel::error::Retry::No => {
                tracing::debug!(shard = %self.id, id, %error, "task dropped by matching");
                self.immediate.finish(id);
            }
        }
    }

    /// The shard as a caller: on behalf of a namespace, without a deadline. `None` when the namespace is gone.
    pub(super) fn internal_caller(&self, namespace: &NamespaceId) -> Option<Caller> {
        let namespace: Arc<Namespace> = self.namespaces.by_id(namespace)?;
        Some(Caller { namespace, deadline: None, client_name: Arc::default() })
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
    })
}

/// A run as tasks name it.
pub(super) fn execution_ref(key: &ExecutionKey) -> records::ExecutionRef {
    records::ExecutionRef {
        namespace_id: key.business.namespace_id.to_string(),
        archetype: u32::from(key.business.archetype.0),
        business_id: key.business.business_id.to_string(),
        run_id: key.run_id.to_string(),
    }
}
