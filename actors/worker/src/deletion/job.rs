//! The deletion of one namespace, step by step.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, stream};
use perdure_kernel::{ErrorKind, ExecutionKey, ServiceError, ServiceResult, ShardId};
use perdure_persistence::StoreError;
use perdure_rpc::{
    Caller,
    care::RemoveRun,
    jobs::{DeletionProgress, DeletionStage},
    namespaces::Deletion,
};
use perdure_runtime::lock;
use perdure_visibility::Query;

use crate::{pace::Pace, service::Shared, walk::Walk};

/// Removals that are asked for at once.
const IN_FLIGHT: usize = 64;

/// Wait before executions are looked for again that are on their way out; it doubles up to [`SETTLE_MAX`].
const SETTLE_MIN: Duration = Duration::from_millis(20);

/// Longest such wait.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Rows of lists removed at a time.
const ROWS_PAGE: usize = 500;

/// A deletion under way.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) deletion: Deletion,
    pub(super) progress: Arc<Mutex<DeletionProgress>>,
}

impl Job {
    /// Goes through every step. When one fails, the whole is begun again later.
    pub(super) async fn run(&self) -> ServiceResult<()> {
        loop {
            self.executions().await?;
            self.task_queues().await?;
            self.rows().await?;
            self.delay().await;
            // Another namespace's workflow may have started a child here meanwhile.
            if self.is_empty().await? {
                break;
            }
        }
        self.enter(DeletionStage::Namespace);
        self.shared.namespaces.remove(&self.deletion.id).await
    }

    fn enter(&self, stage: DeletionStage) {
        tracing::info!(namespace = self.deletion.name, %stage, "namespace deletion");
        self.note(|progress| progress.stage = stage);
    }

    fn note(&self, note: impl FnOnce(&mut DeletionProgress)) {
        note(&mut lock(&self.progress));
    }

    async fn executions(&self) -> ServiceResult<()> {
        self.enter(DeletionStage::Executions);
        let settings = (self.shared.settings)();
        let mut pace = Pace::new(settings.deletion_rate);
        for shard in self.shared.history.shard_map().shards() {
            self.executions_of(shard, settings.deletion_page.max(1), &mut pace).await?;
        }
        Ok(())
    }

    /// Always from the first: what was asked to go is behind it, or is looked for again.
    async fn executions_of(&self, shard: ShardId, page: usize, pace: &mut Pace) -> ServiceResult<()> {
        let mut asked: BTreeSet<ExecutionKey> = BTreeSet::new();
        let mut settle = SETTLE_MIN;
        loop {
            let mut walk = Walk::new(shard, Some(&self.deletion.id));
            let found = walk.next(&self.shared.store, page).await.map_err(unreadable)?;
            let left: BTreeSet<ExecutionKey> = found.into_iter().collect();
            let gone = asked.difference(&left).count();
            self.note(|progress| progress.removed += gone as u64);
            metrics::counter!("reclaim_resources_delete_executions_success").increment(gone as u64);
            if left.is_empty() {
                return Ok(());
            }
            let fresh: Vec<&ExecutionKey> = left.difference(&asked).collect();
            if fresh.is_empty() {
                tokio::time::sleep(settle).await;
                settle = (settle * 2).min(SETTLE_MAX);
            } else {
                settle = SETTLE_MIN;
            }
            let again = settle == SETTLE_MAX;
            let mut turn = Vec::new();
            for key in left.iter().filter(|key| again || !asked.contains(*key)) {
                pace.step().await;
                turn.push(key.clone());
                if turn.len() == IN_FLIGHT {
                    self.remove(std::mem::take(&mut turn)).await?;
                }
            }
            self.remove(turn).await?;
            asked = left;
        }
    }

    async fn remove(&self, runs: Vec<ExecutionKey>) -> ServiceResult<()> {
        let Some(namespace) = self.shared.namespaces.by_id(&self.deletion.id) else {
            return Err(ServiceError::new(ErrorKind::NotFound, "the namespace is gone"));
        };
        let results: Vec<ServiceResult<bool>> = stream::iter(runs)
            .map(|run| {
                let caller = Caller::server(Arc::clone(&namespace));
                let key = run.business.clone();
                async move { self.shared.history.ask(&key, caller, RemoveRun { run }, None).await }
            })
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        for result in results {
            if let Err(error) = result {
                metrics::counter!("reclaim_resources_delete_executions_failure").increment(1);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn task_queues(&self) -> ServiceResult<()> {
        self.enter(DeletionStage::TaskQueues);
        let store = &self.shared.store;
        for queue in store.list_queues(&self.deletion.id).await.map_err(unreadable)? {
            store.delete_queue(&queue).await.map_err(unreadable)?;
        }
        Ok(())
    }

    /// What lists still show has no execution.
    async fn rows(&self) -> ServiceResult<()> {
        self.enter(DeletionStage::Lists);
        let (store, everything) = (&self.shared.store, Query { filter: None, group_by: None });
        loop {
            let page = store.list_visibility(&self.deletion.id, &everything, None, ROWS_PAGE).await;
            let keys: Vec<ExecutionKey> = page.map_err(unreadable)?.records.into_iter().map(|row| row.key).collect();
            if keys.is_empty() {
                return Ok(());
            }
            store.remove_visibility(&keys).await.map_err(unreadable)?;
        }
    }

    async fn delay(&self) {
        let left = self.deletion.remove_at.since(self.shared.clock.now());
        if !left.is_zero() {
            self.enter(DeletionStage::Delay);
            tokio::time::sleep(left).await;
        }
    }

    async fn is_empty(&self) -> ServiceResult<bool> {
        for shard in self.shared.history.shard_map().shards() {
            let mut walk = Walk::new(shard, Some(&self.deletion.id));
            if !walk.next(&self.shared.store, 1).await.map_err(unreadable)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn unreadable(error: StoreError) -> ServiceError {
    ServiceError::unavailable(format!("the database does not answer: {}", error.message))
}
