//! Immediate tasks: what is to be done outside a run as soon as its commit is durable. One file for each kind.
//!
//! Some tasks only tell somebody something: they call, and end with the answer. Others are about a run of this
//! shard: they find out from it what to say, call, and bring the answer back to it as a decision. Either may
//! begin again at any time (after a crash, when the other side did not answer), so what they say must be
//! recognised when it is said twice.
//!
//! A new kind of task needs a message in `records.proto`, a variant of `NewTask`, a file here, and its lines in
//! `begin_task`, `task_heard` and, when it is about a run, `work_task`.

mod callback;
mod cancel_external;
mod close_child;
mod matching;
mod queue;
mod report_close;
mod signal_external;
mod start_child;

use std::{sync::Arc, time::Duration};

use perdure_execution::{
    Env,
    workflow::{Decision, NewTask, WorkflowState, callbacks::Delivery, calls, limits},
};
use perdure_kernel::{
    Archetype, BusinessKey, ExecutionKey, Namespace, NamespaceId, ServiceResult, Timestamp, error::Retry,
};
use perdure_persistence::VisibilityChange;
use perdure_proto::records::{self, immediate_task::Task};
use perdure_rpc::{Ask, Caller, HistoryCall};
use perdure_runtime::Ctx;

pub(super) use self::{
    callback::{CallbackTried, Deliveries},
    queue::Immediate,
};
use super::{Shard, commit::AfterCommit, holder::Holder, message::ShardMsg, work::Job};

/// Wait before a task of a namespace that is not known here is tried.
const UNKNOWN_NAMESPACE_DELAY: Duration = Duration::from_secs(1);

/// Who acts on the server's own behalf.
const SERVER_IDENTITY: &str = "history-service";

/// What a task heard from whom it called.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Somebody was told something.
    Told(ServiceResult<()>),
    /// A child was started, under this run id.
    Started(ServiceResult<String>),
    /// A try to deliver a completion callback ended so.
    Delivered(Delivery),
}

/// A task at work on its run.
pub(super) struct AtWork<'h> {
    /// The task.
    pub(super) id: i64,
    pub(super) key: &'h BusinessKey,
    pub(super) holder: &'h mut Holder,
    /// Where the run is.
    pub(super) index: usize,
}

impl AtWork<'_> {
    fn state(&self) -> &WorkflowState {
        &self.holder.runs[self.index].state
    }
}

impl Shard {
    /// Begins the tasks that an earlier owner left.
    pub(super) fn begin_resumed(&mut self, ctx: &mut Ctx<Self>) {
        for id in self.immediate.take_resumed() {
            self.begin_task(id, ctx);
        }
    }

    /// Begins again what failed.
    pub(super) fn retry_tasks(&mut self, now: Timestamp, ctx: &mut Ctx<Self>) {
        while let Some(id) = self.immediate.pop_retry(now) {
            self.begin_task(id, ctx);
        }
    }

    /// Lets a task that failed be tried again later.
    pub(super) fn retry_task(&mut self, id: i64, ctx: &Ctx<Self>) {
        self.visibility.no_answer(id);
        self.immediate.retry(id, ctx.now(), &mut self.random);
    }

    /// Begins a task whose commit is durable.
    pub(super) fn begin_task(&mut self, id: i64, ctx: &mut Ctx<Self>) {
        match self.immediate.get(id).map(|task| task.task.as_ref()) {
            None => {}
            // A kind that this version does not know: a newer one wrote it, and it stays for that.
            Some(None) => tracing::error!(shard = %self.id, id, "immediate task of an unknown kind"),
            Some(Some(Task::WorkflowTask(_) | Task::ActivityTask(_))) => self.offer(id, ctx),
            Some(Some(Task::StartChild(_) | Task::SignalExternal(_) | Task::CancelExternal(_) | Task::Callback(_))) => {
                self.submit_task(id, None, ctx);
            }
            Some(Some(Task::ReportClose(_))) => self.report_close(id, ctx),
            Some(Some(Task::CloseChild(_))) => self.close_child(id, ctx),
            Some(Some(Task::Visibility(_))) => self.visibility_due(id, ctx.now()),
        }
    }

    /// Whom a task called has answered.
    pub(super) fn task_heard(&mut self, id: i64, heard: Heard, ctx: &mut Ctx<Self>) {
        // Without an entry it is a task of an earlier lease, or one that was finished by another answer.
        let Some(Some(task)) = self.immediate.get(id).map(|task| task.task.as_ref()) else { return };
        match (task, heard) {
            (Task::WorkflowTask(_) | Task::ActivityTask(_), Heard::Told(result)) => self.offered(id, result, ctx),
            (Task::ReportClose(_) | Task::CloseChild(_), Heard::Told(result)) => self.told(id, result, ctx),
            (Task::StartChild(_) | Task::SignalExternal(_) | Task::CancelExternal(_), heard) => {
                self.submit_task(id, Some(heard), ctx);
            }
            (_, Heard::Started(_) | Heard::Delivered(_))
            | (Task::Callback(_) | Task::Visibility(_), Heard::Told(_)) => {}
        }
    }

    /// Works on a task that is about a run.
    pub(super) fn work_task(&mut self, at: AtWork<'_>, heard: Option<Heard>, ctx: &mut Ctx<Self>) {
        let Some(Some(task)) = self.immediate.get(at.id).map(|task| task.task.clone()) else { return };
        match task {
            Task::StartChild(task) => self.start_child(at, task.initiated_event_id, heard, ctx),
            Task::SignalExternal(task) => self.signal_external(at, task.initiated_event_id, heard, ctx),
            Task::Callback(task) => self.callback(at, task, heard, ctx),
            Task::CancelExternal(task) => self.cancel_external(at, task.initiated_event_id, heard, ctx),
            Task::Visibility(_) => self.read_visibility(&at, ctx.now()),
            // Its namespace is not known here, but the run is there.
            Task::WorkflowTask(_) | Task::ActivityTask(_) => {
                self.immediate.retry_at(at.id, ctx.now() + UNKNOWN_NAMESPACE_DELAY);
            }
            Task::ReportClose(_) | Task::CloseChild(_) => {}
        }
    }

    /// A task's run is gone: there is nothing to say and nobody to tell, but its row goes.
    pub(super) fn drop_task(&mut self, id: i64, key: ExecutionKey) {
        match self.immediate.get(id).map(|task| task.task.as_ref()) {
            Some(Some(Task::Visibility(_))) => self.visibility.answer(id, VisibilityChange::Remove { key }),
            Some(_) | None => self.immediate.finish(id),
        }
    }

    fn submit_task(&mut self, id: i64, heard: Option<Heard>, ctx: &mut Ctx<Self>) {
        let Some(execution) = self.immediate.get(id).and_then(|task| task.execution.as_ref()) else { return };
        self.submit(Job::Task { key: execution_key(execution), id, heard }, ctx);
    }

    /// A task that only tells somebody something has an answer: whoever is not there any more need not know.
    fn told(&mut self, id: i64, result: ServiceResult<()>, ctx: &Ctx<Self>) {
        match result {
            Err(error) if error.kind.retry() == Retry::Yes => self.retry_task(id, ctx),
            Err(error) => {
                tracing::debug!(shard = %self.id, id, %error, "task refused");
                self.immediate.finish(id);
            }
            Ok(()) => self.immediate.finish(id),
        }
    }

    /// Calls another execution for a task; its answer comes back as [`Heard`].
    fn call<Q: 'static, R: Send + 'static>(
        &self,
        id: i64,
        caller: Caller,
        target: &BusinessKey,
        request: Q,
        heard: impl FnOnce(ServiceResult<R>) -> Heard + Send + 'static,
        ctx: &Ctx<Self>,
    ) where
        HistoryCall: From<Ask<Q, R>>,
    {
        let myself = ctx.myself();
        let ask = Ask::with_callback(caller, request, move |result| {
            // A shard that is gone reads the task from the store when it comes back.
            let _ = myself.tell(ShardMsg::TaskHeard { id, heard: heard(result) });
        });
        self.history.send(target, ask.into());
    }

    /// Records what a task heard in its run. The task is finished once that is durable, or when the run does
    /// not want to know.
    fn record_heard(
        &mut self,
        at: AtWork<'_>,
        decide: impl FnOnce(&WorkflowState, &mut Env<'_>) -> ServiceResult<Decision<()>>,
        then: fn(&mut Self, i64, &mut Ctx<Self>),
        ctx: &Ctx<Self>,
    ) {
        let AtWork { id, key, holder, index } = at;
        let Some(caller) = self.task_caller(id, &key.namespace_id, ctx) else { return };
        let namespace: Arc<Namespace> = caller.namespace;
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let state = &holder.runs[index].state;
        let transition = match limits::exceeded(state, &namespace.limits) {
            Some(reason) => Some(calls::terminate::by_server(state, reason, &mut env)),
            None => decide(state, &mut env).ok().and_then(|decision| decision.transition),
        };
        let Some(transition) = transition else { return self.immediate.finish(id) };
        let after: AfterCommit = Box::new(move |shard, result, ctx| {
            if result.is_ok() {
                then(shard, id, ctx);
            }
        });
        self.commit(key, holder, index, transition, after, ctx);
    }

    /// A caller on behalf of a namespace. When that is not known here, the task is tried again later.
    fn task_caller(&mut self, id: i64, namespace: &NamespaceId, ctx: &Ctx<Self>) -> Option<Caller> {
        let caller = self.internal_caller(namespace);
        if caller.is_none() {
            self.immediate.retry_at(id, ctx.now() + UNKNOWN_NAMESPACE_DELAY);
        }
        caller
    }

    /// The shard as a caller: on behalf of a namespace, without a deadline. `None` when the namespace is gone.
    pub(super) fn internal_caller(&self, namespace: &NamespaceId) -> Option<Caller> {
        let namespace: Arc<Namespace> = self.namespaces.by_id(namespace)?;
        Some(Caller::server(namespace))
    }
}

/// A task as it is stored.
pub(super) fn stored_task(id: i64, key: &ExecutionKey, task: NewTask) -> records::ImmediateTask {
    let task = match task {
        NewTask::Workflow(task) => Task::WorkflowTask(task),
        NewTask::Activity(task) => Task::ActivityTask(task),
        NewTask::StartChild(task) => Task::StartChild(task),
        NewTask::SignalExternal(task) => Task::SignalExternal(task),
        NewTask::CancelExternal(task) => Task::CancelExternal(task),
        NewTask::ReportClose(task) => Task::ReportClose(*task),
        NewTask::CloseChild(task) => Task::CloseChild(*task),
        NewTask::Callback(task) => Task::Callback(task),
    };
    records::ImmediateTask { id, execution: Some(execution_ref(key)), task: Some(task) }
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

/// The run that a task names.
pub(super) fn execution_key(execution: &records::ExecutionRef) -> ExecutionKey {
    ExecutionKey {
        business: BusinessKey {
            namespace_id: NamespaceId::from(execution.namespace_id.as_str()),
            archetype: Archetype(u16::try_from(execution.archetype).unwrap_or_default()),
            business_id: Arc::from(execution.business_id.as_str()),
        },
        run_id: Arc::from(execution.run_id.as_str()),
    }
}
