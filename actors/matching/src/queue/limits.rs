//! What limits a queue's dispatches, and what an operator has set for it.
//!
//! The root keeps the configuration in its record. It tells the children of every change; a child asks for it
//! when it starts.

use std::collections::VecDeque;

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_persistence::StoreResult;
use perdure_proto::{
    api::{
        enums::RateLimitSource,
        taskqueue::{ConfigMetadata, RateLimit, RateLimitConfig, TaskQueueConfig},
        workflowservice::{self as ws, describe_task_queue_response::EffectiveRateLimit},
    },
    records::TaskQueueSettings,
};
use perdure_rpc::{
    Ask,
    matching::{Configure, FetchConfig, TakeConfig},
};
use perdure_runtime::Ctx;
use perdure_task_queue::{Input, QueueConfig, fairness};
use prost::Message;

use super::{Msg, TaskQueue};

/// Changes of a queue's configuration, and questions for it, that wait.
const CONFIG_ASKS_MAX: usize = 1_000;

/// Precision of the time of an update: that of Temporal's clock.
const UPDATE_TIME_STEP: i64 = 1_000_000;

type ConfigureAsk = Ask<Box<Configure>, Box<TaskQueueConfig>>;

/// Where the rate comes from.
#[derive(Default)]
pub(super) struct Limits {
    /// What the last worker asked for.
    pub(super) worker: Option<f64>,
    /// What is set for the queue.
    settings: TaskQueueSettings,
    /// The lease under which a change is written.
    pub(super) range_id: Option<i64>,
    changes: VecDeque<ConfigureAsk>,
    /// The change being written.
    writing: Option<(ConfigureAsk, TaskQueueSettings)>,
    fetches: Vec<Ask<FetchConfig, Box<TaskQueueSettings>>>,
}

fn rate_of(limit: Option<&RateLimitConfig>) -> Option<f64> {
    limit?.rate_limit.as_ref().map(|limit| f64::from(limit.requests_per_second))
}

impl TaskQueue {
    fn config(&self) -> Option<&TaskQueueConfig> {
        self.limits.settings.config.as_ref()
    }

    fn partition_count(&self) -> f64 {
        f64::from(self.settings.read_partitions.max(1))
    }

    /// The whole queue's rate, and who set it.
    fn rate(&self) -> (f64, RateLimitSource) {
        let system = self.settings.dispatch_rate_max * self.partition_count();
        let api = rate_of(self.config().and_then(|config| config.queue_rate_limit.as_ref()));
        let set = match (api, self.limits.worker) {
            (Some(rate), _) => Some((rate, RateLimitSource::Api)),
            (None, Some(rate)) => Some((rate, RateLimitSource::Worker)),
            (None, None) => None,
        };
        set.filter(|(rate, _)| *rate < system).unwrap_or((system, RateLimitSource::System))
    }

    pub(super) fn effective_rate(&self) -> EffectiveRateLimit {
        let (rate, source) = self.rate();
        EffectiveRateLimit { requests_per_second: rate as f32, rate_limit_source: source.into() }
    }

    /// What is set for the queue, as a client sees it.
    pub(super) fn shown_config(&self) -> Option<TaskQueueConfig> {
        self.config().cloned()
    }

    /// Tells the machine its share of the queue's limits.
    pub(super) fn share_rate(&mut self) {
        let partitions = self.partition_count();
        let rate = self.rate().0;
        self.inputs.push_back(Input::RateSet(rate.is_finite().then_some(rate / partitions)));
        if let Some(config) = self.config() {
            let key_rate = rate_of(config.fairness_keys_rate_limit_default.as_ref()).map(|rate| rate / partitions);
            let weights = &config.fairness_weight_overrides;
            let weights = weights.iter().map(|(key, weight)| (fairness::number_of(key), *weight)).collect();
            self.inputs.push_back(Input::Configured(Box::new(QueueConfig { key_rate, weights })));
        }
    }

    /// Takes a configuration on, unless it is older than the present one.
    pub(super) fn adopt(&mut self, settings: TaskQueueSettings) {
        if settings.version >= self.limits.settings.version {
            self.limits.settings = settings;
            self.share_rate();
        }
    }

    pub(super) fn configure(&mut self, ask: ConfigureAsk, ctx: &mut Ctx<Self>) {
        if self.limits.changes.len() >= CONFIG_ASKS_MAX {
            return ask.refuse(not_ready());
        }
        self.limits.changes.push_back(ask);
        self.feed(Input::Tick, ctx);
        self.configure_next(ctx);
    }

    /// Writes the next change down; one at a time.
    pub(super) fn configure_next(&mut self, ctx: &mut Ctx<Self>) {
        let Some(range_id) = self.limits.range_id else { return };
        while self.limits.writing.is_none() {
            let Some(ask) = self.limits.changes.pop_front() else { return };
            let version = self.limits.settings.version + 1;
            let config = self.config().cloned().unwrap_or_default();
            let config = match changed(config, &ask.request, ctx.now()) {
                Ok(config) => config,
                Err(error) => {
                    ask.refuse(error);
                    continue;
                }
            };
            let settings = TaskQueueSettings { config: Some(config), version, ..self.limits.settings.clone() };
            let (store, key, record) = (self.shared.store.clone(), self.key.clone(), settings.encode_to_vec().into());
            ctx.spawn_io(async move { store.put_queue_record(&key, range_id, record).await }, Msg::ConfigStored);
            self.limits.writing = Some((ask, settings));
        }
    }

    pub(super) fn config_stored(&mut self, result: &StoreResult<()>, ctx: &mut Ctx<Self>) {
        let Some((ask, settings)) = self.limits.writing.take() else { return };
        match result {
            Ok(()) => {
                self.adopt(settings.clone());
                self.feed(Input::Tick, ctx);
                for partition in 1..self.settings.partitions() {
                    let queue = self.name.with_partition(partition);
                    let take = TakeConfig { queue: queue.clone(), settings: settings.clone() };
                    let told = Ask::with_callback(ask.caller.clone(), take, |_| {});
                    self.shared.matching.send_to_partition(&queue, told.into());
                }
                ask.reply.send(Ok(Box::new(settings.config.unwrap_or_default())));
            }
            // The range may have moved on, or the write may have been applied: the record is read again.
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "the configuration of a task queue was not written");
                ask.refuse(not_ready());
                self.stopping = true;
                self.refuse_config_asks();
                return self.feed(Input::Drain, ctx);
            }
        }
        self.configure_next(ctx);
    }

    pub(super) fn fetch_config(&mut self, ask: Ask<FetchConfig, Box<TaskQueueSettings>>) {
        if self.limits.range_id.is_some() {
            ask.reply.send(Ok(Box::new(self.limits.settings.clone())));
        } else if self.limits.fetches.len() < CONFIG_ASKS_MAX {
            self.limits.fetches.push(ask);
        } else {
            ask.refuse(not_ready());
        }
    }

    pub(super) fn answer_fetches(&mut self) {
        for ask in std::mem::take(&mut self.limits.fetches) {
            ask.reply.send(Ok(Box::new(self.limits.settings.clone())));
        }
    }

    pub(super) fn refuse_config_asks(&mut self) {
        for ask in std::mem::take(&mut self.limits.fetches) {
            ask.refuse(not_ready());
        }
        for ask in std::mem::take(&mut self.limits.changes) {
            ask.refuse(not_ready());
        }
    }

    pub(super) fn take_config(&mut self, ask: Ask<TakeConfig, ()>, ctx: &mut Ctx<Self>) {
        // Before the lease is held the root is asked anyhow.
        if self.limits.range_id.is_some() {
            self.adopt(ask.request.settings);
        }
        ask.reply.send(Ok(()));
        self.feed(Input::Tick, ctx);
    }
}

fn not_ready() -> ServiceError {
    ServiceError::unavailable("the task queue's configuration could not be read or written; try again")
}

/// The configuration after a change.
fn changed(mut config: TaskQueueConfig, change: &Configure, now: Timestamp) -> ServiceResult<TaskQueueConfig> {
    let request = &change.request;
    let limit = |update: &ws::update_task_queue_config_request::RateLimitUpdate| RateLimitConfig {
        rate_limit: update.rate_limit.map(|limit| RateLimit { requests_per_second: limit.requests_per_second }),
        metadata: Some(ConfigMetadata {
            reason: update.reason.clone(),
            update_identity: request.identity.clone(),
            update_time: Some(Timestamp::from_nanos(now.as_nanos() / UPDATE_TIME_STEP * UPDATE_TIME_STEP).to_proto()),
        }),
    };
    if let Some(update) = &request.update_queue_rate_limit {
        config.queue_rate_limit = Some(limit(update));
    }
    if let Some(update) = &request.update_fairness_key_rate_limit_default {
        config.fairness_keys_rate_limit_default = Some(limit(update));
    }
    for key in &request.unset_fairness_weight_overrides {
        config.fairness_weight_overrides.remove(key);
    }
    let overrides = &mut config.fairness_weight_overrides;
    overrides.extend(request.set_fairness_weight_overrides.iter().map(|(key, weight)| (key.clone(), *weight)));
    if overrides.len() > change.overrides_max {
        let text = "fairness weight overrides update rejected: exceeding maximum key size";
        return Err(ServiceError::new(ErrorKind::InvalidArgument, text));
    }
    Ok(config)
}
