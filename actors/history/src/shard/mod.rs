//! A history shard.

mod actor;
mod asked;
mod cache;
mod calls;
mod care;
mod commit;
mod events;
mod family;
mod holder;
mod immediate;
mod lease;
mod links;
mod load;
mod message;
mod poll_response;
mod queries;
mod reads;
mod reset;
mod run;
mod start;
mod timers;
mod updates;
mod visibility;
mod watch;
mod with_start;
mod work;
mod workflow_tasks;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use perdure_execution::archetype::Registry;
use perdure_kernel::{BusinessKey, ServiceError, ShardId, Timestamp, random::SplitMix};
use perdure_outbound::CallbackSender;
use perdure_persistence::{SharedStore, VisibilityWriter};
use perdure_rpc::{HistoryCall, HistoryClient, MatchingClient, NamespaceSnapshots};
use perdure_runtime::{Actor, Ctx, Drained};

use self::{
    actor::Waits,
    cache::Cache,
    commit::Pipeline,
    holder::Holder,
    immediate::{Deliveries, Immediate},
    lease::Lease,
    message::ShardMsg,
    timers::TimerQueue,
    updates::UpdateWaiters,
    visibility::VisibilityQueue,
    watch::Watchers,
    work::Job,
};
use crate::{HistorySettings, destinations::Destinations};

/// Requests that may wait for the shard's lease; more are refused.
const WAITING_FOR_LEASE_MAX: usize = 10_000;

/// What a shard is made of.
pub(crate) struct ShardParts {
    pub(crate) id: ShardId,
    pub(crate) store: SharedStore,
    pub(crate) matching: MatchingClient,
    /// Reaches the other shards, and this one.
    pub(crate) history: HistoryClient,
    pub(crate) namespaces: Arc<dyn NamespaceSnapshots>,
    pub(crate) archetypes: Arc<Registry>,
    pub(crate) callbacks: Arc<dyn CallbackSender>,
    pub(crate) destinations: Arc<Destinations>,
    /// Where rows of lists go, if not with the commits.
    pub(crate) visibility: Option<Arc<dyn VisibilityWriter>>,
    pub(crate) settings: HistorySettings,
    pub(crate) seed: u64,
}

/// The actor that owns a history shard.
pub(crate) struct Shard {
    id: ShardId,
    store: SharedStore,
    matching: MatchingClient,
    history: HistoryClient,
    namespaces: Arc<dyn NamespaceSnapshots>,
    archetypes: Arc<Registry>,
    callbacks: Arc<dyn CallbackSender>,
    destinations: Arc<Destinations>,
    settings: HistorySettings,
    random: SplitMix,
    /// Fence and id source; `None` until the store gave it.
    lease: Option<Lease>,
    /// Work that waits for the lease, in order.
    waiting: VecDeque<Job>,
    /// Executions in memory, by business id.
    holders: HashMap<BusinessKey, Box<Holder>>,
    cache: Cache,
    pipeline: Pipeline,
    immediate: Immediate,
    deliveries: Deliveries,
    visibility: VisibilityQueue,
    timers: TimerQueue,
    watchers: Watchers,
    waits: Waits,
    update_waiters: UpdateWaiters,
    /// The shard is stopping: it finishes what it has and takes no more.
    draining: bool,
    /// Grows whenever the shard starts anew; answers of the store from before are void.
    epoch: u64,
}

impl Shard {
    pub(crate) fn new(parts: &ShardParts, incarnation: u64) -> Self {
        Self {
            id: parts.id,
            store: Arc::clone(&parts.store),
            matching: parts.matching.clone(),
            history: parts.history.clone(),
            namespaces: Arc::clone(&parts.namespaces),
            archetypes: Arc::clone(&parts.archetypes),
            callbacks: Arc::clone(&parts.callbacks),
            destinations: Arc::clone(&parts.destinations),
            settings: parts.settings.clone(),
            random: SplitMix::new(parts.seed.wrapping_add(incarnation)),
            lease: None,
            waiting: VecDeque::new(),
            holders: HashMap::new(),
            cache: Cache::new(parts.settings.cache_bytes, parts.settings.lazy_flush),
            pipeline: Pipeline::default(),
            immediate: Immediate::default(),
            deliveries: Deliveries::default(),
            visibility: VisibilityQueue::new(parts.visibility.clone(), parts.settings.visibility_tasks_max),
            timers: TimerQueue::default(),
            watchers: Watchers::default(),
            waits: Waits::default(),
            update_waiters: UpdateWaiters::default(),
            draining: false,
            epoch: 0,
        }
    }

    /// Takes work in, or lets it wait for the lease.
    fn accept(&mut self, job: Job, ctx: &mut Ctx<Self>) {
        if self.lease.is_some() {
            self.submit(job, ctx);
        } else if self.waiting.len() < WAITING_FOR_LEASE_MAX && !self.draining {
            self.waiting.push_back(job);
        } else {
            job.refuse(ServiceError::unavailable(format!("shard {} is not ready; try again", self.id)));
        }
    }

    /// Sets the actor's one timer to whatever comes first.
    fn arm_timer(&self, ctx: &mut Ctx<Self>) {
        let next = [
            self.timers.next_due(),
            self.watchers.next_due(),
            self.waits.next_due(),
            self.update_waiters.next_due(),
            self.immediate.next_retry(),
            self.visibility.next_try(),
            self.cache.flush_due(),
        ];
        if let Some(at) = next.into_iter().flatten().min() {
            ctx.set_timer(at);
        }
    }

    /// The shard can go on no longer (its lease is lost, its store does not answer): it starts anew. The
    /// supervisor builds a fresh one, which takes a new lease and so fences whatever this one left behind.
    fn start_anew(&mut self, reason: &str, ctx: &mut Ctx<Self>) {
        tracing::warn!(shard = %self.id, reason, "shard starts anew");
        self.lease = None;
        self.epoch += 1;
        self.holders.clear();
        self.cache = Cache::new(self.settings.cache_bytes, self.settings.lazy_flush);
        self.pipeline = Pipeline::default();
        self.immediate = Immediate::default();
        self.deliveries.stop();
        self.deliveries = Deliveries::default();
        self.visibility = self.visibility.anew();
        self.timers = TimerQueue::default();
        self.watchers = Watchers::default();
        self.waits = Waits::default();
        self.renew_updates(ctx);
        self.acquire_lease(ctx);
    }

    /// Whether a stop now would leave nobody without an answer. Without a lease there is nothing to finish.
    fn is_idle(&self, ctx: &Ctx<Self>) -> bool {
        self.lease.is_none() || (self.pipeline.is_idle() && ctx.io_in_flight() == 0)
    }

    /// Lets go of those who wait, once nothing is under way any more. Says whether the actor can stop.
    fn let_go(&mut self, ctx: &mut Ctx<Self>) -> bool {
        self.flush_lazy(Timestamp::MAX, ctx);
        if !self.is_idle(ctx) {
            return false;
        }
        for job in std::mem::take(&mut self.waiting) {
            job.refuse(ServiceError::unavailable(format!("shard {} is stopping; try again", self.id)));
        }
        self.watchers.release_all(&mut self.holders);
        self.waits.expire(Timestamp::MAX, &mut self.holders);
        self.release_updates();
        true
    }

    fn stop_when_idle(&mut self, ctx: &mut Ctx<Self>) {
        if self.draining && self.let_go(ctx) {
            ctx.stop();
        }
    }
}

impl Actor for Shard {
    type Msg = ShardMsg;
    const KIND: &'static str = "shard";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.acquire_lease(ctx);
    }

    fn handle(&mut self, msg: ShardMsg, ctx: &mut Ctx<Self>) {
        match msg {
            ShardMsg::Call(HistoryCall::DescribeShard(ask)) => ask.reply.send(Ok(self.describe(ctx.now()))),
            ShardMsg::Call(call) => self.accept(Job::Call(call), ctx),
            ShardMsg::LeaseTaken(taken) => self.lease_taken(taken, ctx),
            ShardMsg::Loaded(loaded) if loaded.epoch == self.epoch => self.loaded(*loaded, ctx),
            ShardMsg::Committed { epoch, result } if epoch == self.epoch => self.committed(result, ctx),
            ShardMsg::CallbackTried(tried) => self.callback_tried(*tried, ctx),
            ShardMsg::TaskHeard { id, heard } => self.task_heard(id, heard, ctx),
            ShardMsg::TimersRead { epoch, rows } if epoch == self.epoch => self.timers_read(rows, ctx.now()),
            ShardMsg::VisibilityWritten { epoch, result } if epoch == self.epoch => {
                self.visibility_written(result, ctx);
            }
            ShardMsg::VisibilityTasksRead { epoch, rows } if epoch == self.epoch => {
                self.visibility_tasks_read(rows, ctx);
            }
            ShardMsg::ResetRead(read) if read.epoch == self.epoch => self.reset_read(*read, ctx),
            ShardMsg::StickyWorkerGone(task) => self.offer_to_any(*task, ctx),
            ShardMsg::QueryReturned(returned) => self.query_returned(*returned, ctx),
            // Answers to what the shard asked under an earlier lease.
            ShardMsg::Loaded(_)
            | ShardMsg::Committed { .. }
            | ShardMsg::TimersRead { .. }
            | ShardMsg::VisibilityWritten { .. }
            | ShardMsg::VisibilityTasksRead { .. }
            | ShardMsg::ResetRead(_) => {}
            ShardMsg::Answered => {}
        }
        self.deliver_visibility(ctx);
        self.arm_timer(ctx);
        self.stop_when_idle(ctx);
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        let now: Timestamp = ctx.now();
        if self.lease.is_some() {
            self.fire_timers(now, ctx);
            self.retry_tasks(now, ctx);
            self.flush_lazy(now, ctx);
            self.deliver_visibility(ctx);
        }
        self.watchers.expire(now, &mut self.holders);
        self.waits.expire(now, &mut self.holders);
        self.expire_updates(now, ctx);
        self.arm_timer(ctx);
        self.stop_when_idle(ctx);
    }

    fn drain(&mut self, ctx: &mut Ctx<Self>) -> Drained {
        self.draining = true;
        self.deliveries.stop();
        self.visibility.stop();
        if self.let_go(ctx) { Drained::Now } else { Drained::Later }
    }
}
