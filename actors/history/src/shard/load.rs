//! Reading an execution from the store.

use std::sync::Arc;

use perdure_execution::items;
use perdure_kernel::{BusinessKey, ExecutionKey, ServiceError, ShardId};
use perdure_persistence::{SharedStore, StoreError, StoreErrorKind, shard::StoredExecution};
use perdure_runtime::Ctx;

use super::{
    Shard,
    holder::{Current, Holder},
    message::{Loaded, LoadedRun, ShardMsg},
    run::Run,
    work::Selector,
};

impl Shard {
    /// Asks the store for a run. Work for its id waits meanwhile.
    pub(super) fn load(&mut self, key: &BusinessKey, holder: &mut Holder, selector: Selector, ctx: &mut Ctx<Self>) {
        holder.loading = true;
        let asked = match (&selector, &holder.current) {
            (Selector::Run(run_id), _) | (Selector::Current, Current::Run(run_id)) => Some(Arc::clone(run_id)),
            (Selector::Current, Current::Unknown | Current::Absent) => None,
        };
        let (store, shard, key, epoch) = (self.store.clone(), self.id, key.clone(), self.epoch);
        ctx.spawn_io(
            async move {
                let result = read(&store, shard, &key, asked.clone()).await;
                Loaded { key, epoch, asked, result }
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
        match loaded.result {
            Ok(found) => {
                if loaded.asked.is_none() {
                    holder.current = found.current.clone().map_or(Current::Absent, Current::Run);
                }
                if let Err(error) = place(holder, &loaded.key, loaded.asked.or(found.current), found.run) {
                    tracing::error!(shard = %self.id, workflow_id = %loaded.key.business_id, %error, "execution is damaged");
                    refuse_first(holder, ServiceError::new(perdure_kernel::ErrorKind::DataLoss, error));
                }
            }
            Err(error) => {
                tracing::warn!(shard = %self.id, %error, "execution cannot be read");
                refuse_first(holder, unreadable(&error));
            }
        }
        self.advance(&loaded.key, ctx);
    }
}

fn place(
    holder: &mut Holder,
    key: &BusinessKey,
    run_id: Option<Arc<str>>,
    stored: Option<(Arc<str>, StoredExecution)>,
) -> Result<(), String> {
    let Some((run_id, stored)) = stored else {
        holder.missing = run_id;
        return Ok(());
    };
    let key = ExecutionKey { business: key.clone(), run_id };
    let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes));
    let state = items::decode(key, &stored.record, items).map_err(|damage| damage.to_string())?;
    holder.add(Run::new(state, stored.version));
    Ok(())
}

/// The work that caused the read is answered; what waits behind it asks for itself.
fn refuse_first(holder: &mut Holder, error: ServiceError) {
    if let Some(job) = holder.waiting.pop_front() {
        job.refuse(error);
    }
}

/// What a client hears when the store cannot be read.
pub(super) fn unreadable(error: &StoreError) -> ServiceError {
    match error.kind {
        StoreErrorKind::Corrupt => ServiceError::new(perdure_kernel::ErrorKind::DataLoss, error.message.clone()),
        StoreErrorKind::LeaseLost
        | StoreErrorKind::Conflict
        | StoreErrorKind::AlreadyExists
        | StoreErrorKind::NotFound
        | StoreErrorKind::Unavailable
        | StoreErrorKind::OutcomeUnknown => ServiceError::unavailable(format!("the database does not answer: {}", error.message)),
    }
}

async fn read(
    store: &SharedStore,
    shard: ShardId,
    key: &BusinessKey,
    asked: Option<Arc<str>>,
) -> Result<LoadedRun, StoreError> {
    let (current, run_id) = match asked {
        Some(run_id) => (None, Some(run_id)),
        None => {
            let current: Option<Arc<str>> = store.current_run(shard, key).await?.map(Into::into);
            (current.clone(), current)
        }
    };
    let Some(run_id) = run_id else { return Ok(LoadedRun { current, run: None }) };
    let execution = ExecutionKey { business: key.clone(), run_id: Arc::clone(&run_id) };
    let stored = store.load_execution(shard, &execution).await?;
    Ok(LoadedRun { current, run: stored.map(|stored| (run_id, stored)) })
}
