//! Delivering completion callbacks.
//!
//! A callback's task stays outstanding until the outcome of the try is durable: whatever is lost is
//! delivered again. The call itself runs beside the actor.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use perdure_execution::{
    Env,
    workflow::{CallbackId, WorkflowState, callbacks::Delivery, calls::callback_tried},
};
use perdure_kernel::{BusinessKey, CallbackUrl, Namespace};
use perdure_outbound::{CallbackRequest, Undelivered};
use perdure_proto::{
    api::{
        common::{Callback, callback},
        enums::CallbackState,
        workflowservice::DescribeWorkflowExecutionResponse,
    },
    records,
};
use perdure_runtime::Ctx;
use tokio::sync::watch;

use super::{AtWork, Heard};
use crate::{
    destinations::{Admission, Destination, Ticket},
    shard::{Shard, events::EventRange, message::ShardMsg},
};

/// How long a destination may take to answer (`callback.request.timeout`).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Wait before a call is begun again that found its destination full or its history unreadable.
const AGAIN_DELAY: Duration = Duration::from_millis(500);

/// What this shard has under way.
pub(in crate::shard) struct Deliveries {
    lanes: BTreeMap<Destination, Lane>,
    /// Says that the shard stops: calls under way are given up.
    stopping: watch::Sender<bool>,
}

/// The deliveries of a shard to one destination.
#[derive(Default)]
struct Lane {
    calls: usize,
    /// Tasks that wait for one of those calls to end.
    waiting: VecDeque<i64>,
}

/// A try that ended.
pub(crate) struct CallbackTried {
    epoch: u64,
    task: i64,
    destination: Destination,
    ticket: Ticket,
    /// `None` when it was given up: the history cannot be read, or the shard stops.
    outcome: Option<Result<(), Undelivered>>,
}

/// A call that is about to be made.
struct Call {
    state: WorkflowState,
    close: EventRange,
    id: CallbackId,
    callback: callback::Nexus,
    namespace: Arc<Namespace>,
    destination: String,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), stopping: watch::Sender::new(false) }
    }
}

impl Deliveries {
    /// Gives up what is under way. The tasks stay in the store.
    pub(in crate::shard) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// A call ended. Gives the task that waits for its place.
    fn end(&mut self, destination: &Destination) -> Option<i64> {
        let lane = self.lanes.get_mut(destination)?;
        lane.calls = lane.calls.saturating_sub(1);
        let next = lane.waiting.pop_front();
        if lane.calls == 0 && lane.waiting.is_empty() {
            self.lanes.remove(destination);
        }
        next
    }
}

impl Shard {
    /// Begins to deliver a callback, or records how that ended.
    pub(super) fn callback(
        &mut self,
        at: AtWork<'_>,
        wanted: records::DeliverCallback,
        heard: Option<Heard>,
        ctx: &mut Ctx<Self>,
    ) {
        let id = CallbackId { request_id: wanted.request_id, index: wanted.index };
        match heard {
            None => self.deliver(&at, id, wanted.attempt, ctx),
            Some(Heard::Delivered(delivery)) => {
                let attempt = wanted.attempt;
                let decide = |state: &WorkflowState, env: &mut Env<'_>| {
                    Ok(callback_tried::decide(state, &id, attempt, delivery, env))
                };
                self.record_heard(at, decide, |shard, task, _| shard.immediate.finish(task), ctx);
            }
            // Answers to tasks of other kinds.
            Some(Heard::Told(_) | Heard::Started(_)) => {}
        }
    }

    /// Begins to deliver a callback, unless its task is stale.
    fn deliver(&mut self, at: &AtWork<'_>, id: CallbackId, attempt: i32, ctx: &mut Ctx<Self>) {
        let (task, key) = (at.id, at.key);
        let Some(run) = at.holder.runs.get(at.index) else { return self.immediate.finish(task) };
        let nexus = run.state.callback_to_deliver(&id, attempt).and_then(|callback| match &callback.variant {
            Some(callback::Variant::Nexus(nexus)) => Some(nexus.clone()),
            Some(callback::Variant::Internal(_) | callback::Variant::NexusHandler(_)) | None => None,
        });
        let Some(nexus) = nexus else { return self.immediate.finish(task) };
        let Some(caller) = self.task_caller(task, &key.namespace_id, ctx) else { return };
        let namespace = caller.namespace;
        let destination = destination_of(key, &nexus.url);
        let ticket = match self.destinations.enter(&destination, ctx.now()) {
            Admission::Go(ticket) => ticket,
            Admission::Blocked(until) => {
                let later = ctx.now() + AGAIN_DELAY;
                return self.immediate.retry_at(task, until.unwrap_or(later));
            }
            Admission::Full => {
                match self.deliveries.lanes.get_mut(&destination) {
                    Some(lane) => lane.waiting.push_back(task),
                    // Other shards fill it.
                    None => self.immediate.retry_at(task, ctx.now() + AGAIN_DELAY),
                }
                return;
            }
        };
        self.deliveries.lanes.entry(destination.clone()).or_default().calls += 1;
        let close_event = run.state.record.close_event_id;
        let call = Call {
            close: run.events(close_event, close_event + 1),
            state: run.state.clone(),
            id,
            callback: nexus,
            namespace,
            destination: destination.1.clone(),
        };
        let key = run.state.key.clone();
        let (sender, store, shard, epoch) = (Arc::clone(&self.callbacks), self.store.clone(), self.id, self.epoch);
        let mut stopping = self.deliveries.stopping.subscribe();
        let work = async move {
            let request = match call.close.read(&store, shard, &key).await {
                Ok(events) => events.first().and_then(|close| {
                    let completion = call.state.completion(&call.id, &call.namespace.name, close)?;
                    Some(CallbackRequest { callback: call.callback, completion, timeout: REQUEST_TIMEOUT })
                }),
                Err(error) => {
                    tracing::warn!(%shard, %error, "the end of a run cannot be read for its callback; trying again");
                    None
                }
            };
            let began = tokio::time::Instant::now();
            let outcome = tokio::select! {
                outcome = sender.send(request?) => outcome,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            };
            measure(&call.namespace.name, &call.destination, &outcome, began.elapsed());
            Some(outcome)
        };
        ctx.spawn_io(work, move |outcome| {
            ShardMsg::CallbackTried(Box::new(CallbackTried { epoch, task, destination, ticket, outcome }))
        });
    }

    /// A try ended: its outcome is recorded, and the next one may begin.
    pub(in crate::shard) fn callback_tried(&mut self, tried: CallbackTried, ctx: &mut Ctx<Self>) {
        let CallbackTried { epoch, task, destination, ticket, outcome } = tried;
        match &outcome {
            // A refusal for good is an answer: the destination is well.
            Some(outcome) => ticket.done(!outcome.as_ref().is_err_and(|error| error.retryable), ctx.now()),
            None => drop(ticket),
        }
        if epoch != self.epoch {
            // A try of an earlier lease: the store gives its task again.
            return;
        }
        if let Some(next) = self.deliveries.end(&destination) {
            self.begin_task(next, ctx);
        }
        let delivery = match outcome {
            None => return self.immediate.retry_at(task, ctx.now() + AGAIN_DELAY),
            Some(Ok(())) => Delivery::Succeeded,
            Some(Err(Undelivered { text, retryable: true })) => Delivery::Retry(text),
            Some(Err(Undelivered { text, retryable: false })) => Delivery::Failed(text),
        };
        self.submit_task(task, Some(Heard::Delivered(delivery)), ctx);
    }

    /// Shows which callbacks wait because their destination is left alone.
    pub(in crate::shard) fn mark_blocked(
        &self,
        key: &BusinessKey,
        description: &mut DescribeWorkflowExecutionResponse,
    ) {
        for shown in &mut description.callbacks {
            let Some(Callback { variant: Some(callback::Variant::Nexus(nexus)), .. }) = &shown.callback else {
                continue;
            };
            let scheduled = shown.state == i32::from(CallbackState::Scheduled);
            if scheduled && self.destinations.is_blocked(&destination_of(key, &nexus.url)) {
                shown.state = CallbackState::Blocked.into();
                "The circuit breaker is open.".clone_into(&mut shown.blocked_reason);
            }
        }
    }
}

fn destination_of(key: &BusinessKey, url: &str) -> Destination {
    // What is no address was never let in; should one be here, it is a place of its own.
    let place = CallbackUrl::parse(url).map_or_else(|_| url.to_owned(), |url| url.destination());
    (key.namespace_id.clone(), place)
}

fn measure(namespace: &str, destination: &str, outcome: &Result<(), Undelivered>, took: Duration) {
    let outcome = match outcome {
        Ok(()) => "success",
        Err(error) => match error.text.strip_prefix("handler error (").and_then(|text| text.split(')').next()) {
            Some(kind) => return record(namespace, destination, format!("handler-error:{kind}"), took),
            None if error.text.ends_with("context deadline exceeded") => "request-timeout",
            None => "unknown-error",
        },
    };
    record(namespace, destination, outcome.to_owned(), took);
}

fn record(namespace: &str, destination: &str, outcome: String, took: Duration) {
    let labels = [("namespace", namespace.to_owned()), ("destination", destination.to_owned()), ("outcome", outcome)];
    metrics::counter!("callback_outbound_requests", &labels).increment(1);
    metrics::histogram!("callback_outbound_latency", &labels).record(took.as_secs_f64());
}
