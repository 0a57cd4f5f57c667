//! Store calls and their results.

use std::sync::Arc;

use metrics::Histogram;
use perdure_kernel::{ServiceError, ServiceResult, Timestamp};
use perdure_persistence::{
    StoreError, StoreErrorKind, StoreResult, TaskQueueStore,
    task_queue::{BacklogSummary, BacklogTask, QueueKey, TaskPosition},
};
use perdure_proto::records::{QueuedTask, TaskQueueSettings};
use perdure_rpc::{Caller, MatchingClient, QueueName, matching::FetchConfig};
use perdure_runtime::Ctx;
use perdure_task_queue::{BacklogSurvey, Input, LevelSurvey, Position, StoredTask, fairness::KEYS_MAX};
use prost::Message;
use tokio::time::Instant;

use super::{Msg, TaskQueue};

type Store = Arc<dyn TaskQueueStore>;

/// A lease, and how the queue is configured.
pub(crate) struct Taken {
    range_id: i64,
    settings: TaskQueueSettings,
}

/// Where a child asks for its configuration.
struct Root {
    matching: MatchingClient,
    queue: QueueName,
    caller: Caller,
}

/// A child takes nothing up before it knows what the root knows: a queue that was put to rest must not serve.
async fn acquire(store: Store, key: QueueKey, root: Option<Root>) -> ServiceResult<Taken> {
    let settings = match root {
        None => None,
        Some(Root { matching, queue, caller }) => {
            let request = FetchConfig { queue: queue.clone() };
            let settings: Box<TaskQueueSettings> = matching.ask_partition(&queue, caller, request).await?;
            Some(*settings)
        }
    };
    let failed = |error: &dyn std::fmt::Display| ServiceError::unavailable(error.to_string());
    let lease = store.acquire_queue(&key).await.map_err(|error| failed(&error))?;
    let settings = match settings {
        Some(settings) => settings,
        None => TaskQueueSettings::decode(lease.record).map_err(|error| failed(&error))?,
    };
    Ok(Taken { range_id: lease.range_id, settings })
}

async fn survey(store: Store, key: QueueKey) -> StoreResult<BacklogSummary> {
    store.summarize_backlog(&key, KEYS_MAX).await
}

async fn append(
    store: Store,
    key: QueueKey,
    range_id: i64,
    rows: Vec<BacklogTask>,
    written: Option<Histogram>,
) -> StoreResult<()> {
    let began = Instant::now();
    let result = store.append_tasks(&key, range_id, rows).await;
    if let Some(written) = written {
        written.record(began.elapsed());
    }
    result
}

async fn read(store: Store, key: QueueKey, after: TaskPosition, limit: usize) -> StoreResult<Vec<BacklogTask>> {
    store.read_tasks(&key, after, limit).await
}

async fn ack(store: Store, key: QueueKey, range_id: i64, through: Vec<TaskPosition>) -> StoreResult<()> {
    store.ack_tasks(&key, range_id, through).await
}

fn position_of(place: Position) -> TaskPosition {
    TaskPosition { level: i32::try_from(place.level).unwrap_or(i32::MAX), pass: place.pass, id: place.id }
}

fn place_of(position: TaskPosition) -> Position {
    Position { level: usize::try_from(position.level).unwrap_or(0), pass: position.pass, id: position.id }
}

impl TaskQueue {
    pub(super) fn acquire_lease(&self, ctx: &mut Ctx<Self>) {
        self.count(|metrics| &metrics.lease_requests);
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        let root = (self.name.partition > 0).then_some(self.caller.clone()).flatten().map(|caller| Root {
            matching: self.shared.matching.clone(),
            queue: self.name.with_partition(0),
            caller,
        });
        ctx.spawn_io(acquire(store, key, root), Msg::Leased);
    }

    pub(super) fn leased(&mut self, result: ServiceResult<Taken>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(Taken { range_id, settings }) => {
                self.limits.range_id = Some(range_id);
                self.adopt(settings);
                self.feed(Input::LeaseAcquired { range_id }, ctx);
                self.answer_fetches();
                self.configure_next(ctx);
            }
            Err(error) => {
                tracing::warn!(queue = %self.name, %error, "the task queue's lease could not be taken");
                self.count(|metrics| &metrics.lease_failures);
                self.feed(Input::LeaseFailed, ctx);
                self.answer_describes(ctx);
                self.refuse_config_asks();
            }
        }
    }

    pub(super) fn append(&self, range_id: i64, tasks: Vec<StoredTask>, ctx: &mut Ctx<Self>) {
        let rows = tasks
            .into_iter()
            .map(|StoredTask { place, key, task }| BacklogTask {
                position: position_of(place),
                fair_key: key.cast_signed(),
                created_at: Timestamp::from_nanos(task.created_at),
                expires_at: Timestamp::from_nanos(task.expires_at),
                task: task.encode_to_vec().into(),
            })
            .collect();
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        let written = self.metrics.as_ref().map(|metrics| metrics.task_write.clone());
        ctx.spawn_io(append(store, key, range_id, rows, written), Msg::Appended);
    }

    pub(super) fn appended(&mut self, result: StoreResult<()>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(()) => self.feed(Input::Appended, ctx),
            Err(error) => {
                self.feed(Input::AppendFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    pub(super) fn survey(&self, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(survey(store, key), Msg::Surveyed);
    }

    pub(super) fn surveyed(&mut self, result: StoreResult<BacklogSummary>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(summary) => {
                let levels = summary.levels.into_iter().map(|found| LevelSurvey {
                    level: usize::try_from(found.level).unwrap_or(0),
                    first_pass: found.first_pass,
                    ages: found.ages,
                    last_passes: found.last_passes.into_iter().map(|(key, pass)| (key.cast_unsigned(), pass)).collect(),
                });
                self.feed(Input::Surveyed(BacklogSurvey { levels: levels.collect() }), ctx);
            }
            Err(error) => {
                self.feed(Input::ReadFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    pub(super) fn read(&self, after: Position, limit: usize, ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(read(store, key, position_of(after), limit), move |rows| Msg::PageRead(rows, limit));
    }

    pub(super) fn page_read(&mut self, result: StoreResult<Vec<BacklogTask>>, limit: usize, ctx: &mut Ctx<Self>) {
        match result {
            Ok(rows) => {
                let (last, full) = (rows.last().map(|row| place_of(row.position)), rows.len() >= limit);
                let tasks = rows.into_iter().filter_map(|row| self.decode(row)).collect();
                self.feed(Input::PageRead { tasks, last, full }, ctx);
            }
            Err(error) => {
                self.feed(Input::ReadFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    fn decode(&self, row: BacklogTask) -> Option<StoredTask> {
        match QueuedTask::decode(row.task) {
            Ok(task) => Some(StoredTask {
                place: place_of(row.position),
                key: row.fair_key.cast_unsigned(),
                task: Arc::new(task),
            }),
            Err(error) => {
                tracing::error!(queue = %self.name, id = row.position.id, %error, "dropping a task that cannot be read");
                None
            }
        }
    }

    pub(super) fn ack(&self, range_id: i64, through: &[Position], ctx: &mut Ctx<Self>) {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        ctx.spawn_io(ack(store, key, range_id, through.iter().copied().map(position_of).collect()), Msg::Acked);
    }

    pub(super) fn acked(&mut self, result: StoreResult<()>, ctx: &mut Ctx<Self>) {
        match result {
            Ok(()) => self.feed(Input::Acked, ctx),
            Err(error) => {
                self.feed(Input::AckFailed, ctx);
                self.store_failed(&error, ctx);
            }
        }
    }

    fn store_failed(&mut self, error: &StoreError, ctx: &mut Ctx<Self>) {
        match error.kind {
            StoreErrorKind::LeaseLost | StoreErrorKind::Corrupt => {
                tracing::warn!(queue = %self.name, %error, "the task queue stops");
                self.stopping = true;
                self.feed(Input::Drain, ctx);
            }
            StoreErrorKind::Conflict
            | StoreErrorKind::AlreadyExists
            | StoreErrorKind::NotFound
            | StoreErrorKind::Unavailable
            | StoreErrorKind::OutcomeUnknown => {
                tracing::warn!(queue = %self.name, %error, "a store call of the task queue failed");
            }
        }
    }
}
