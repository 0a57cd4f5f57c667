//! The actor of one task queue partition.

mod answers;
mod asks;
mod describe;
mod forward;
mod kinds;
mod limits;
mod shutdown;
mod starts;
mod store;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use perdure_kernel::{ServiceResult, Timestamp};
use perdure_persistence::{
    StoreResult,
    task_queue::{BacklogSummary, BacklogTask, QueueKey},
};
use perdure_proto::api::workflowservice as ws;
use perdure_rpc::{
    Ask, Caller, MatchingCall, QueueKind, QueueName,
    matching::{DescribeQueue, DirectQuery},
};
use perdure_runtime::{Actor, Ctx, Drained, Reply};
use perdure_task_queue::{AskId, ForwardId, Input, Output, PollId, QueryId, QueueMachine, Role, StartId};
use tokio::sync::oneshot;

use crate::{directory::Shared, metrics::QueueMetrics, settings::QueueSettings};
use asks::{PollAsk, Waiting};
use kinds::{ActivityPoll, WorkflowPoll};
use limits::Limits;
use shutdown::ShutDown;
use starts::Started;
use store::Taken;

/// How long settings are used before they are asked for again.
const SETTINGS_AGE_MAX: Duration = Duration::from_secs(1);

/// Describes that wait for the backlog's first page.
const DESCRIBES_WAITING_MAX: usize = 100;

/// What a task queue partition is told.
pub(crate) enum Msg {
    Call(MatchingCall),
    PollGone(PollId),
    WorkflowTaskStarted(StartId, ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>),
    ActivityTaskStarted(StartId, ServiceResult<Box<ws::PollActivityTaskQueueResponse>>),
    QueryTaskStarted(StartId, ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>),
    Leased(ServiceResult<Taken>),
    Surveyed(StoreResult<BacklogSummary>),
    ConfigStored(StoreResult<()>),
    Appended(StoreResult<()>),
    PageRead(StoreResult<Vec<BacklogTask>>, usize),
    Acked(StoreResult<()>),
    /// `None`: the poll was called back.
    WorkflowPollForwarded(PollId, Option<ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>>),
    ActivityPollForwarded(PollId, Option<ServiceResult<Box<ws::PollActivityTaskQueueResponse>>>),
    TaskForwarded(ForwardId, ServiceResult<()>),
    QueryForwarded(QueryId),
    /// A description over several partitions was answered.
    Described,
}

impl From<MatchingCall> for Msg {
    fn from(call: MatchingCall) -> Self {
        Self::Call(call)
    }
}

/// The actor: the machine, and the asks whose numbers the machine knows.
pub(crate) struct TaskQueue {
    name: QueueName,
    key: QueueKey,
    shared: Arc<Shared>,
    machine: QueueMachine,
    /// Tells this incarnation's ids from those of others.
    incarnation: String,
    numbers: u64,
    inputs: VecDeque<Input>,
    outputs: Vec<Output>,
    polls: HashMap<PollId, Waiting>,
    adds: HashMap<AskId, Reply<ServiceResult<()>>>,
    queries: HashMap<QueryId, Ask<Box<DirectQuery>, ws::QueryWorkflowResponse>>,
    starts: HashMap<StartId, Started>,
    /// Dropping one calls the poll back from the parent.
    forwarded: HashMap<PollId, oneshot::Sender<()>>,
    describes: Vec<Ask<DescribeQueue, Box<ws::DescribeTaskQueueResponse>>>,
    /// The last caller seen: stands for the namespace in questions of the queue's own.
    caller: Option<Caller>,
    settings: QueueSettings,
    settings_at: Timestamp,
    limits: Limits,
    metrics: Option<QueueMetrics>,
    shut_down: ShutDown,
    /// Children were loaded, so that their backlogs reach the pollers here.
    children_loaded: bool,
    /// The actor ends when nothing is under way any more.
    stopping: bool,
}

impl TaskQueue {
    pub(crate) fn new(name: QueueName, shared: Arc<Shared>, now: Timestamp) -> Self {
        let role = match (name.kind, name.partition) {
            (QueueKind::Sticky, _) => Role::Sticky,
            (QueueKind::Normal, 0) => Role::Root,
            (QueueKind::Normal, _) => Role::Child,
        };
        let key = QueueKey {
            namespace_id: name.namespace_id.clone(),
            name: name.rpc_name(),
            task_type: name.task_type as i32,
        };
        let settings = QueueSettings::default();
        Self {
            machine: QueueMachine::new(role, settings.machine.clone(), now),
            incarnation: shared.uuid(),
            name,
            key,
            shared,
            numbers: 0,
            inputs: VecDeque::new(),
            outputs: Vec::new(),
            polls: HashMap::new(),
            adds: HashMap::new(),
            queries: HashMap::new(),
            starts: HashMap::new(),
            forwarded: HashMap::new(),
            describes: Vec::new(),
            caller: None,
            settings,
            settings_at: Timestamp::EPOCH,
            limits: Limits::default(),
            metrics: None,
            shut_down: ShutDown::default(),
            children_loaded: false,
            stopping: false,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Tells the machine, does what it wants, and sets the timer.
    fn feed(&mut self, input: Input, ctx: &mut Ctx<Self>) {
        let now = ctx.now();
        self.inputs.push_back(input);
        let mut outputs = std::mem::take(&mut self.outputs);
        while let Some(input) = self.inputs.pop_front() {
            self.machine.handle(now, input, &mut outputs);
            for output in outputs.drain(..) {
                self.act(output, ctx);
            }
        }
        self.outputs = outputs;
        if self.machine.is_loaded() {
            self.answer_describes(ctx);
        }
        if let Some(at) = self.machine.next_wake(now) {
            ctx.set_timer(at);
        }
        if self.stopping && self.machine.is_drained() {
            ctx.stop();
        }
    }

    fn act(&mut self, output: Output, ctx: &mut Ctx<Self>) {
        match output {
            Output::Start { start, poll, work } => self.start(start, poll, work, ctx),
            Output::AnswerPollEmpty { poll } => self.answer_poll_empty(poll),
            Output::RefusePoll { poll } => self.refuse_poll(poll),
            Output::AckAdd { ask } => self.acknowledge(ask),
            Output::RefuseAdd { ask, refusal } => self.refuse_add(ask, refusal),
            Output::FailQuery { query, refusal } => self.fail_query(query, refusal),
            Output::AcquireLease => self.acquire_lease(ctx),
            Output::Append { range_id, tasks } => self.append(range_id, tasks, ctx),
            Output::Survey => self.survey(ctx),
            Output::Read { after, limit } => self.read(after, limit, ctx),
            Output::Ack { range_id, through } => self.ack(range_id, &through, ctx),
            Output::ForwardPoll { poll } => self.forward_poll(poll, ctx),
            Output::ForwardTask { forward, task, until } => self.forward_task(forward, &task, until, ctx),
            Output::ForwardQuery { query } => self.forward_query(query, ctx),
            Output::TaskExpired => self.count(|metrics| &metrics.tasks_dropped),
            Output::GoIdle => {
                if ctx.try_passivate() {
                    tracing::debug!(queue = %self.name, "an idle task queue leaves memory");
                }
            }
        }
    }

    fn count(&self, counter: impl FnOnce(&QueueMetrics) -> &metrics::Counter) {
        if let Some(metrics) = &self.metrics {
            counter(metrics).increment(1);
        }
    }

    /// Learns from whoever calls: the namespace, and with it settings and metric labels.
    fn observe(&mut self, caller: &Caller, now: Timestamp) {
        let known = self.caller.as_ref().is_some_and(|known| Arc::ptr_eq(&known.namespace, &caller.namespace));
        if !known {
            self.caller = Some(Caller { deadline: None, ..caller.clone() });
        }
        if self.metrics.is_none() {
            self.metrics = Some(QueueMetrics::new(&caller.namespace.name, &self.name));
        }
        if !known || now.since(self.settings_at) >= SETTINGS_AGE_MAX {
            self.settings_at = now;
            let settings = self.shared.settings.queue(&caller.namespace.name, &self.name);
            if settings != self.settings {
                self.machine.set_settings(settings.machine.clone());
                self.settings = settings;
                self.share_rate();
            }
        }
    }

    fn call(&mut self, call: MatchingCall, ctx: &mut Ctx<Self>) {
        let now = ctx.now();
        self.observe(call.caller(), now);
        match call {
            MatchingCall::AddTask(ask) => self.add(ask.request.task, None, ask.reply, ctx),
            MatchingCall::OfferTask(ask) => self.add(ask.request.task, Some(ask.request.until), ask.reply, ctx),
            MatchingCall::Query(ask) => self.query(ask, now, ctx),
            MatchingCall::PollWorkflowTask(ask) => self.poll(PollAsk::Workflow(ask), now, ctx),
            MatchingCall::PollActivityTask(ask) => self.poll(PollAsk::Activity(ask), now, ctx),
            MatchingCall::AnswerQuery(ask) => self.answer_query(*ask.request, ask.reply, ctx),
            MatchingCall::WorkerGone(ask) => {
                ask.reply.send(Ok(()));
                // Whoever asks next finds a fresh queue that nobody polls.
                ctx.myself().drain();
            }
            MatchingCall::CancelPolls(ask) => self.cancel_polls(ask, ctx),
            MatchingCall::Configure(ask) => self.configure(ask, ctx),
            MatchingCall::FetchConfig(ask) => self.fetch_config(ask),
            MatchingCall::TakeConfig(ask) => self.take_config(ask, ctx),
            MatchingCall::Describe(ask) => self.describe(ask, ctx),
        }
    }
}

impl Actor for TaskQueue {
    type Msg = Msg;

    const KIND: &'static str = "task_queue";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        // A child asks its root how it is configured, on behalf of whoever calls first.
        if self.name.partition == 0 {
            self.feed(Input::Opened, ctx);
        }
    }

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Call(call) => self.call(call, ctx),
            Msg::PollGone(poll) => self.poll_gone(poll, ctx),
            Msg::WorkflowTaskStarted(start, answer) => self.task_started::<WorkflowPoll>(start, answer, ctx),
            Msg::ActivityTaskStarted(start, answer) => self.task_started::<ActivityPoll>(start, answer, ctx),
            Msg::QueryTaskStarted(start, result) => self.query_task_started(start, result, ctx),
            Msg::Leased(result) => self.leased(result, ctx),
            Msg::Surveyed(result) => self.surveyed(result, ctx),
            Msg::ConfigStored(result) => self.config_stored(&result, ctx),
            Msg::Appended(result) => self.appended(result, ctx),
            Msg::PageRead(result, limit) => self.page_read(result, limit, ctx),
            Msg::Acked(result) => self.acked(result, ctx),
            Msg::WorkflowPollForwarded(poll, answer) => self.poll_forwarded::<WorkflowPoll>(poll, answer, ctx),
            Msg::ActivityPollForwarded(poll, answer) => self.poll_forwarded::<ActivityPoll>(poll, answer, ctx),
            Msg::TaskForwarded(forward, result) => self.task_forwarded(forward, &result, ctx),
            Msg::QueryForwarded(query) => self.feed(Input::QueryAnswered { query }, ctx),
            Msg::Described => {}
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        self.feed(Input::Tick, ctx);
    }

    fn drain(&mut self, ctx: &mut Ctx<Self>) -> Drained {
        self.stopping = true;
        // `feed` stops the actor once the machine has drained.
        self.feed(Input::Drain, ctx);
        Drained::Later
    }
}
