//! A standalone activity as it stands, and its stored form.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use perdure_kernel::{ExecutionKey, Timestamp, time::span};
use perdure_proto::{
    api::{
        activity::{ActivityExecutionOutcome, ActivityOptions},
        common::RetryPolicy,
        enums::ActivityExecutionStatus,
        history::ActivityTaskScheduledEventAttributes,
    },
    records::{self, ActivityStatus},
};
use prost::Message;

use crate::{archetype::ItemName, items::Damaged};

/// A run of a standalone activity. Cheap to clone: what can be large is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityState {
    /// Which run this is.
    pub key: ExecutionKey,
    /// Small facts.
    pub record: records::Activity,
    /// What it was started with.
    pub start: Arc<records::ActivityStart>,
    /// Options in force, input and header. Its scheduled time is when the first attempt is due.
    pub scheduled: Arc<records::ScheduledActivity>,
    /// The present attempt, or the last one.
    pub attempt: Arc<records::ActivityAttempt>,
    /// Its links.
    pub links: Arc<records::ActivityLinks>,
    /// How it ended, once it has.
    pub outcome: Option<Arc<ActivityExecutionOutcome>>,
}

/// The stored items, by their number. Never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Start = 1,
    Scheduled = 2,
    Attempt = 3,
    Links = 4,
    Outcome = 5,
}

impl Item {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Start, Self::Scheduled, Self::Attempt, Self::Links, Self::Outcome];

    /// The item's name in the store.
    pub(super) fn name(self) -> ItemName {
        (self as u16, String::new())
    }
}

impl ActivityState {
    /// The activity id.
    pub fn activity_id(&self) -> &str {
        &self.key.business.business_id
    }

    /// Its status, in more detail than clients see.
    pub fn status(&self) -> ActivityStatus {
        self.record.status()
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        match self.status() {
            ActivityStatus::Completed
            | ActivityStatus::Failed
            | ActivityStatus::Canceled
            | ActivityStatus::Terminated
            | ActivityStatus::TimedOut => true,
            ActivityStatus::Unspecified
            | ActivityStatus::Scheduled
            | ActivityStatus::Started
            | ActivityStatus::CancelRequested
            | ActivityStatus::Paused
            | ActivityStatus::PauseRequested
            | ActivityStatus::ResetRequested => false,
        }
    }

    /// Whether a worker has an attempt now.
    pub(super) fn worker_has_it(&self) -> bool {
        match self.status() {
            ActivityStatus::Started
            | ActivityStatus::CancelRequested
            | ActivityStatus::PauseRequested
            | ActivityStatus::ResetRequested => true,
            ActivityStatus::Unspecified
            | ActivityStatus::Scheduled
            | ActivityStatus::Completed
            | ActivityStatus::Failed
            | ActivityStatus::Canceled
            | ActivityStatus::Terminated
            | ActivityStatus::TimedOut
            | ActivityStatus::Paused => false,
        }
    }

    /// The status that clients see.
    pub fn public_status(&self) -> ActivityExecutionStatus {
        match self.status() {
            ActivityStatus::Scheduled
            | ActivityStatus::Started
            | ActivityStatus::CancelRequested
            | ActivityStatus::PauseRequested
            | ActivityStatus::ResetRequested => ActivityExecutionStatus::Running,
            ActivityStatus::Paused => ActivityExecutionStatus::Paused,
            ActivityStatus::Completed => ActivityExecutionStatus::Completed,
            ActivityStatus::Failed => ActivityExecutionStatus::Failed,
            ActivityStatus::Canceled => ActivityExecutionStatus::Canceled,
            ActivityStatus::Terminated => ActivityExecutionStatus::Terminated,
            ActivityStatus::TimedOut => ActivityExecutionStatus::TimedOut,
            ActivityStatus::Unspecified => ActivityExecutionStatus::Unspecified,
        }
    }

    /// When the first attempt is due.
    pub(super) fn first_dispatch(&self) -> Timestamp {
        Timestamp::from_nanos(self.scheduled.scheduled_time)
    }

    /// When the activity as a whole times out, if it does.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        let to_close = self.timeout(|options| options.schedule_to_close_timeout.as_ref());
        (!to_close.is_zero()).then(|| self.first_dispatch() + to_close)
    }

    /// One of the timeouts in force; zero for none.
    pub(super) fn timeout(
        &self,
        which: impl FnOnce(&ActivityTaskScheduledEventAttributes) -> Option<&perdure_proto::Duration>,
    ) -> Duration {
        span(self.scheduled.attributes.as_ref().and_then(which))
    }

    /// The retry policy in force.
    pub(super) fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.scheduled.attributes.as_ref()?.retry_policy.as_ref()
    }

    /// Name of the task queue in force.
    pub fn task_queue(&self) -> &str {
        let queue = self.scheduled.attributes.as_ref().and_then(|options| options.task_queue.as_ref());
        queue.map_or("", |queue| &queue.name)
    }

    /// All options in force.
    pub(super) fn options(&self) -> ActivityOptions {
        let options = self.scheduled.attributes.clone().unwrap_or_default();
        ActivityOptions {
            task_queue: options.task_queue,
            schedule_to_close_timeout: options.schedule_to_close_timeout,
            schedule_to_start_timeout: options.schedule_to_start_timeout,
            start_to_close_timeout: options.start_to_close_timeout,
            heartbeat_timeout: options.heartbeat_timeout,
            retry_policy: options.retry_policy,
            priority: options.priority,
            start_delay: perdure_kernel::time::span_to_proto_opt(self.start_delay()),
        }
    }

    /// How long after its start the first attempt is due.
    pub(super) fn start_delay(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.record.start_delay).unwrap_or(0))
    }

    /// Approximate size in bytes.
    pub fn size(&self) -> usize {
        let items = Item::ALL.iter().filter_map(|item| self.message_len(*item));
        self.record.encoded_len() + items.sum::<usize>()
    }

    fn message_len(&self, item: Item) -> Option<usize> {
        match item {
            Item::Start => Some(self.start.encoded_len()),
            Item::Scheduled => Some(self.scheduled.encoded_len()),
            Item::Attempt => Some(self.attempt.encoded_len()),
            Item::Links => Some(self.links.encoded_len()),
            Item::Outcome => self.outcome.as_ref().map(|outcome| outcome.encoded_len()),
        }
    }
}

pub(super) fn encode_record(state: &ActivityState) -> Bytes {
    state.record.encode_to_vec().into()
}

pub(super) fn encode_item(state: &ActivityState, kind: u16) -> Option<Bytes> {
    let item = Item::ALL.into_iter().find(|item| *item as u16 == kind)?;
    let bytes = match item {
        Item::Start => state.start.encode_to_vec(),
        Item::Scheduled => state.scheduled.encode_to_vec(),
        Item::Attempt => state.attempt.encode_to_vec(),
        Item::Links if state.links.links.is_empty() => return None,
        Item::Links => state.links.encode_to_vec(),
        Item::Outcome => state.outcome.as_ref()?.encode_to_vec(),
    };
    Some(bytes.into())
}

pub(super) fn decode(
    key: ExecutionKey,
    record: Bytes,
    items: Vec<(ItemName, Bytes)>,
) -> Result<ActivityState, Damaged> {
    let mut state = ActivityState {
        key,
        record: records::Activity::decode(record)?,
        start: Arc::default(),
        scheduled: Arc::default(),
        attempt: Arc::default(),
        links: Arc::default(),
        outcome: None,
    };
    for ((kind, _), bytes) in items {
        match Item::ALL.into_iter().find(|item| *item as u16 == kind) {
            Some(Item::Start) => state.start = Arc::new(Message::decode(bytes)?),
            Some(Item::Scheduled) => state.scheduled = Arc::new(Message::decode(bytes)?),
            Some(Item::Attempt) => state.attempt = Arc::new(Message::decode(bytes)?),
            Some(Item::Links) => state.links = Arc::new(Message::decode(bytes)?),
            Some(Item::Outcome) => state.outcome = Some(Arc::new(Message::decode(bytes)?)),
            None => return Err(Damaged::UnknownItem(kind)),
        }
    }
    Ok(state)
}

/// A status as error texts show it: `CancelRequested`.
pub(super) fn status_name(status: ActivityStatus) -> &'static str {
    match status {
        ActivityStatus::Unspecified => "Unspecified",
        ActivityStatus::Scheduled => "Scheduled",
        ActivityStatus::Started => "Started",
        ActivityStatus::CancelRequested => "CancelRequested",
        ActivityStatus::Completed => "Completed",
        ActivityStatus::Failed => "Failed",
        ActivityStatus::Canceled => "Canceled",
        ActivityStatus::Terminated => "Terminated",
        ActivityStatus::TimedOut => "TimedOut",
        ActivityStatus::Paused => "Paused",
        ActivityStatus::PauseRequested => "PauseRequested",
        ActivityStatus::ResetRequested => "ResetRequested",
    }
}
