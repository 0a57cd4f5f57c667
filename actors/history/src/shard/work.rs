//! Work for executions: taken in order, one piece at a time per business id.

use std::sync::Arc;

use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, NamespaceId, ServiceError, Timestamp};
use perdure_proto::{api::common::WorkflowExecution, records, tokens};
use perdure_rpc::HistoryCall;
use perdure_runtime::Ctx;

use super::{
    Shard,
    actor::ActAsk,
    holder::{Current, Holder},
    immediate::{AtWork, Heard, execution_key},
    reset::{ResetAsk, Stage},
};

/// A piece of work for one business id.
pub(super) enum Job {
    /// A request.
    Call(HistoryCall),
    /// What was asked before and had no answer then.
    Again {
        /// The ask.
        ask: ActAsk,
        /// When it stops waiting.
        until: Timestamp,
    },
    /// A reset under way.
    Reset {
        /// The ask.
        ask: ResetAsk,
        /// How far it has come.
        stage: Stage,
    },
    /// A run's time has come.
    Wake {
        /// Which run.
        key: ExecutionKey,
        /// The entry in the timer queue.
        entry: (Timestamp, i64),
    },
    /// An immediate task is about a run.
    Task {
        /// Which run.
        key: ExecutionKey,
        /// The task.
        id: i64,
        /// What it heard; `None` when it begins.
        heard: Option<Heard>,
    },
}

/// Which run a piece of work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// The one the id points to now.
    Current,
    /// This one.
    Run(Arc<str>),
}

impl Selector {
    /// The run's id as the request gave it; empty for the current one.
    pub(super) fn run_id(&self) -> &str {
        match self {
            Self::Current => "",
            Self::Run(run_id) => run_id,
        }
    }

    pub(super) fn of(run_id: &str) -> Self {
        if run_id.is_empty() { Self::Current } else { Self::Run(run_id.into()) }
    }
}

/// Position of the run that was asked for in its holder, or which one there is not.
pub(super) type Found = Result<usize, Selector>;

/// Where a run is.
enum Place {
    /// In memory, at this position.
    Here(usize),
    /// Nowhere: there is no such run.
    Nowhere,
    /// The store has to be asked.
    Unknown,
}

impl Job {
    /// Answers a request that will not be worked on. Nothing happened.
    pub(super) fn refuse(self, error: ServiceError) {
        match self {
            Self::Call(call) => call.refuse(error),
            Self::Again { ask, .. } => ask.refuse(error),
            Self::Reset { ask, .. } => ask.refuse(error),
            // The row is still in the store and comes again with the next lease.
            Self::Wake { .. } | Self::Task { .. } => {}
        }
    }

    /// Whose work it is.
    pub(super) fn target(&self) -> (BusinessKey, Selector) {
        match self {
            Self::Wake { key, .. } | Self::Task { key, .. } => {
                (key.business.clone(), Selector::Run(Arc::clone(&key.run_id)))
            }
            Self::Call(call) => target_of_call(call),
            Self::Again { ask, .. } => (ask.request.key.clone(), Selector::of(&ask.request.run_id)),
            Self::Reset { ask, .. } => Self::reset_target(ask),
        }
    }
}

fn target_of_call(call: &HistoryCall) -> (BusinessKey, Selector) {
    let execution = |namespace: &NamespaceId, execution: Option<&WorkflowExecution>| {
        let workflow_id = execution.map_or("", |execution| &execution.workflow_id);
        let run_id = execution.map_or("", |execution| &execution.run_id);
        (BusinessKey::workflow(namespace, workflow_id), Selector::of(run_id))
    };
    let named = |namespace: &NamespaceId, workflow_id: &str, run_id: &str| {
        (BusinessKey::workflow(namespace, workflow_id), Selector::of(run_id))
    };
    let task = |namespace: &NamespaceId, task: &records::QueuedTask| {
        let execution = task.execution.as_ref();
        let business_id = execution.map_or("", |execution| &execution.business_id);
        let selector = Selector::of(execution.map_or("", |execution| &execution.run_id));
        let archetype = execution.and_then(|execution| u16::try_from(execution.archetype).ok());
        let archetype = archetype.map_or(Archetype::WORKFLOW, Archetype);
        (BusinessKey { archetype, ..BusinessKey::workflow(namespace, business_id) }, selector)
    };
    let run = |run: &ExecutionKey| (run.business.clone(), Selector::Run(Arc::clone(&run.run_id)));
    let activity = |namespace: &NamespaceId, token: &tokens::ActivityTask| {
        if token.workflow_id.is_empty() {
            (BusinessKey::activity(namespace, &token.activity_id), Selector::of(&token.run_id))
        } else {
            named(namespace, &token.workflow_id, &token.run_id)
        }
    };
    match call {
        HistoryCall::Act(ask) => (ask.request.key.clone(), Selector::of(&ask.request.run_id)),
        HistoryCall::StartWorkflow(ask) => named(&ask.caller.namespace.id, &ask.request.workflow_id, ""),
        HistoryCall::SignalWithStart(ask) => named(&ask.caller.namespace.id, &ask.request.workflow_id, ""),
        HistoryCall::UpdateWorkflow(ask) => {
            execution(&ask.caller.namespace.id, ask.request.request.workflow_execution.as_ref())
        }
        HistoryCall::PollUpdate(ask) => {
            let update = ask.request.update_ref.as_ref();
            execution(&ask.caller.namespace.id, update.and_then(|update| update.workflow_execution.as_ref()))
        }
        HistoryCall::UpdateWithStart(ask) => named(&ask.caller.namespace.id, &ask.request.start.workflow_id, ""),
        HistoryCall::Signal(ask) => execution(&ask.caller.namespace.id, ask.request.workflow_execution.as_ref()),
        HistoryCall::RequestCancel(ask) => execution(&ask.caller.namespace.id, ask.request.workflow_execution.as_ref()),
        HistoryCall::Terminate(ask) => execution(&ask.caller.namespace.id, ask.request.workflow_execution.as_ref()),
        HistoryCall::Reset(ask) => Job::reset_target(ask),
        HistoryCall::Delete(ask) => execution(&ask.caller.namespace.id, ask.request.workflow_execution.as_ref()),
        HistoryCall::UpdateOptions(ask) => execution(&ask.caller.namespace.id, ask.request.workflow_execution.as_ref()),
        HistoryCall::Pause(ask) => named(&ask.caller.namespace.id, &ask.request.workflow_id, &ask.request.run_id),
        HistoryCall::Unpause(ask) => named(&ask.caller.namespace.id, &ask.request.workflow_id, &ask.request.run_id),
        HistoryCall::PauseActivity(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::UnpauseActivity(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::ResetActivity(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::UpdateActivityOptions(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::DescribeWorkflow(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::ReadHistory(ask) => {
            let (key, asked) = execution(&ask.caller.namespace.id, ask.request.request.execution.as_ref());
            (key, ask.request.token.as_ref().map_or(asked, |token| Selector::of(&token.run_id)))
        }
        HistoryCall::ReadHistoryReverse(ask) => {
            let (key, asked) = execution(&ask.caller.namespace.id, ask.request.request.execution.as_ref());
            (key, ask.request.token.as_ref().map_or(asked, |token| Selector::of(&token.run_id)))
        }
        HistoryCall::Query(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::ResetSticky(ask) => execution(&ask.caller.namespace.id, ask.request.execution.as_ref()),
        HistoryCall::WorkflowTaskCompleted(ask) => {
            let token = &ask.request.token;
            named(&ask.caller.namespace.id, &token.workflow_id, &token.run_id)
        }
        HistoryCall::WorkflowTaskFailed(ask) => {
            let token = &ask.request.token;
            named(&ask.caller.namespace.id, &token.workflow_id, &token.run_id)
        }
        HistoryCall::ActivityOutcome(ask) => activity(&ask.caller.namespace.id, &ask.request.token),
        HistoryCall::ActivityHeartbeat(ask) => activity(&ask.caller.namespace.id, &ask.request.token),
        HistoryCall::StartWorkflowTask(ask) => task(&ask.caller.namespace.id, &ask.request.task),
        HistoryCall::StartActivityTask(ask) => task(&ask.caller.namespace.id, &ask.request.task),
        HistoryCall::StartChild(ask) => named(&ask.caller.namespace.id, &ask.request.request.workflow_id, ""),
        HistoryCall::FirstTask(ask) => run(&ask.request.run),
        HistoryCall::SignalExternal(ask) => {
            execution(&ask.caller.namespace.id, ask.request.request.workflow_execution.as_ref())
        }
        HistoryCall::CancelExternal(ask) => {
            execution(&ask.caller.namespace.id, ask.request.request.workflow_execution.as_ref())
        }
        HistoryCall::ChildClosed(ask) => {
            let key = execution_key(&ask.request.parent);
            (key.business, Selector::Run(key.run_id))
        }
        // Whichever run of the chain is the present one.
        HistoryCall::ParentClosed(ask) => named(&ask.caller.namespace.id, &ask.request.workflow_id, ""),
        HistoryCall::StartQueryTask(ask) => run(&ask.request.run),
        HistoryCall::RemoveRun(ask) => run(&ask.request.run),
        HistoryCall::MendRun(ask) => run(&ask.request.run),
        // Answered before it becomes work; it is about no execution.
        HistoryCall::DescribeShard(ask) => named(&ask.caller.namespace.id, "", ""),
    }
}

impl Shard {
    /// Begins a piece of work, or lets it wait behind the one before it.
    pub(super) fn submit(&mut self, job: Job, ctx: &mut Ctx<Self>) {
        let (key, selector) = job.target();
        let holder = self.holders.entry(key.clone()).or_default();
        holder.waiting.push_back((selector, job));
        if !holder.is_busy() {
            self.advance(&key, ctx);
        }
    }

    /// Works off what waits for a business id, until it has to wait itself.
    pub(super) fn advance(&mut self, key: &BusinessKey, ctx: &mut Ctx<Self>) {
        let Some(mut holder) = self.holders.remove(key) else { return };
        if !holder.is_busy() {
            holder.runs.iter_mut().for_each(|run| self.release_queries(run, ctx));
        }
        while !holder.is_busy() {
            let Some((selector, job)) = holder.waiting.pop_front() else { break };
            self.step(key, &mut holder, selector, job, ctx);
        }
        holder.trim();
        self.cache.touch(key, &mut holder);
        self.holders.insert(key.clone(), holder);
        self.evict();
        self.flush(ctx);
    }

    fn step(&mut self, key: &BusinessKey, holder: &mut Holder, selector: Selector, job: Job, ctx: &mut Ctx<Self>) {
        let found = match locate(holder, &selector) {
            Place::Here(index) => Some(index),
            Place::Nowhere => None,
            Place::Unknown => {
                holder.waiting.push_front((selector.clone(), job));
                return self.load(key, holder, selector, ctx);
            }
        };
        holder.missing = None;
        match job {
            Job::Call(call) => self.handle_call(key, holder, found.ok_or(selector), call, ctx),
            Job::Reset { ask, stage } => self.reset(key, holder, found.ok_or(selector), ask, Some(stage), ctx),
            Job::Again { ask, until } => self.act(key, holder, found, ask, Some(until), ctx),
            Job::Wake { entry, .. } => self.wake(key, holder, found, entry, ctx),
            Job::Task { id, heard, key: run } => match found {
                Some(index) => self.work_task(AtWork { id, key, holder, index }, heard, ctx),
                None => self.drop_task(id, run),
            },
        }
    }
}

fn locate(holder: &Holder, selector: &Selector) -> Place {
    let run_id = match selector {
        Selector::Run(run_id) => run_id,
        Selector::Current => match &holder.current {
            Current::Unknown => return Place::Unknown,
            Current::Absent => return Place::Nowhere,
            Current::Run(run_id) => run_id,
        },
    };
    match holder.position(run_id) {
        Some(index) => Place::Here(index),
        None if holder.missing.as_ref() == Some(run_id) => Place::Nowhere,
        None => Place::Unknown,
    }
}
