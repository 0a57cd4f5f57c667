//! Reading an execution from the store.

use std::{sync::Arc, time::Duration};

use perdure_execution::{archetype::Registry, items};
use perdure_kernel::{Archetype, BusinessKey, ErrorKind, ExecutionKey, ServiceError, ShardId, Timestamp};
use perdure_persistence::{SharedStore, StoreError, StoreErrorKind, shard::StoredExecution};
use perdure_runtime::Ctx;

use super::{
    Shard, actor,
    holder::{Current, Holder},
    message::{Loaded, LoadedRun, ShardMsg},
    run::Run,
    timers::TimerQueue,
    work::{Job, Selector},
};

/// Wait before a wake-up is tried again whose run could not be read.
const WAKE_RETRY_DELAY: Duration = Duration::from_secs(1);

impl Shard {
    /// Asks the store for a run. Work for its id waits meanwhile.
    pub(super) fn load(&self, key: &BusinessKey, holder: &mut Holder, selector: Selector, ctx: &mut Ctx<Self>) {
        holder.loading = true;
        let asked = match (&selector, &holder.current) {
            (Selector::Run(run_id), _) | (Selector::Current, Current::Run(run_id)) => Some(Arc::clone(run_id)),
            (Selector::Current, Current::Unknown | Current::Absent) => None,
        };
        let known = holder.current.clone();
        let (store, shard, key, epoch) = (self.store.clone(), self.id, key.clone(), self.epoch);
        ctx.spawn_io(
            async move {
                let result = read(&store, shard, &key, asked, known).await;
                Loaded { key, epoch, result }
            },
            |loaded| ShardMsg::Loaded(Box::new(loaded)),
        );
    }

    /// The store answered: the work that waited goes on.
    pub(super) fn loaded(&mut self, loaded: Loaded, ctx: &mut Ctx<Self>) {
        let Some(holder) = self.holders.get_mut(&loaded.key) else { return };
        if !holder.loading {
            return;
        }
        holder.loading = false;
        let failed_task = match loaded.result {
            Ok(found) => {
                holder.current = found.current;
                if let Err(error) = place(&self.archetypes, holder, &loaded.key, found.run, ctx.now()) {
                    tracing::error!(shard = %self.id, workflow_id = %loaded.key.business_id, %error, "execution is damaged");
                    refuse_first(holder, &mut self.timers, ctx.now(), ServiceError::new(ErrorKind::DataLoss, error))
                } else {
                    None
                }
            }
            Err(error) => {
                tracing::warn!(shard = %self.id, %error, "execution cannot be read");
                refuse_first(holder, &mut self.timers, ctx.now(), unreadable(&error))
            }
        };
        if let Some(id) = failed_task {
            self.retry_task(id, ctx);
        }
        self.advance(&loaded.key, ctx);
    }
}

fn place(
    archetypes: &Registry,
    holder: &mut Holder,
    key: &BusinessKey,
    found: Option<(Arc<str>, Option<StoredExecution>)>,
    now: Timestamp,
) -> Result<(), String> {
    let Some((run_id, stored)) = found else { return Ok(()) };
    let Some(stored) = stored else {
        holder.missing = Some(run_id);
        return Ok(());
    };
    if holder.position(&run_id).is_some() {
        // It was read by its id, and now as the current one.
        return Ok(());
    }
    let key = ExecutionKey { business: key.clone(), run_id };
    if key.business.archetype != Archetype::WORKFLOW {
        return actor::place(archetypes, holder, key, stored, now);
    }
    let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes));
    let mut state = items::decode(key, &stored.record, items).map_err(|damage| damage.to_string())?;
    if state.volatile.run.wake_at <= now.as_nanos() {
        // The row of a wake-up whose time has come may have fired for nothing and be deleted: what the run
        // waits for next needs one of its own.
        state.volatile.run.wake_at = 0;
    }
    holder.add(Run::new(state, stored.version));
    Ok(())
}

/// The work that caused the read is answered; what waits behind it asks for itself. A wake-up is tried again,
/// and so is a task, which is named.
fn refuse_first(holder: &mut Holder, timers: &mut TimerQueue, now: Timestamp, error: ServiceError) -> Option<i64> {
    match holder.waiting.pop_front() {
        Some((_, Job::Task { id, .. })) => return Some(id),
        Some((_, Job::Wake { key, entry })) if error.kind == ErrorKind::Unavailable => {
            timers.postpone(entry, now + WAKE_RETRY_DELAY, key);
        }
        Some((_, job)) => job.refuse(error),
        None => {}
    }
    None
}

/// What a client hears when the store cannot be read.
pub(super) fn unreadable(error: &StoreError) -> ServiceError {
    match error.kind {
        StoreErrorKind::Corrupt => ServiceError::new(ErrorKind::DataLoss, error.message.clone()),
        StoreErrorKind::LeaseLost
        | StoreErrorKind::Conflict
        | StoreErrorKind::AlreadyExists
        | StoreErrorKind::NotFound
        | StoreErrorKind::Unavailable
        | StoreErrorKind::OutcomeUnknown => {
            ServiceError::unavailable(format!("the database does not answer: {}", error.message))
        }
    }
}

async fn read(
    store: &SharedStore,
    shard: ShardId,
    key: &BusinessKey,
    asked: Option<Arc<str>>,
    known: Current,
) -> Result<LoadedRun, StoreError> {
    // Also when a run is asked for by its id: should another run follow it, or should it be removed, the
    // pointer to the current one moves, and that write says where it points now.
    let current = match known {
        Current::Unknown => store.current_run(shard, key).await?.map_or(Current::Absent, |id| Current::Run(id.into())),
        known @ (Current::Absent | Current::Run(_)) => known,
    };
    let run_id = match (asked, &current) {
        (Some(run_id), _) => run_id,
        (None, Current::Run(run_id)) => Arc::clone(run_id),
        (None, Current::Unknown | Current::Absent) => return Ok(LoadedRun { current, run: None }),
    };
    let execution = ExecutionKey { business: key.clone(), run_id: Arc::clone(&run_id) };
    let stored = store.load_execution(shard, &execution).await?;
    Ok(LoadedRun { current, run: Some((run_id, stored)) })
}
