//! Care of the store in memory: a run's parts live in one value, so nothing of it can be left behind.

use async_trait::async_trait;
use perdure_kernel::{ExecutionKey, VisibilityRecord};

use super::{MemoryStore, lock};
use crate::{
    Operation, StoreResult,
    maintenance::{MaintenanceStore, Remains},
};

#[async_trait]
impl MaintenanceStore for MemoryStore {
    async fn verify(&self, _remove: bool) -> StoreResult<Vec<Remains>> {
        self.check_open(Operation::Verify)?;
        Ok(Vec::new())
    }

    async fn scan_visibility(&self, after: Option<&ExecutionKey>, limit: usize) -> StoreResult<Vec<VisibilityRecord>> {
        self.check_open(Operation::ScanVisibility)?;
        Ok(lock(&self.visibility).scan(after, limit))
    }

    async fn load_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<Vec<Option<VisibilityRecord>>> {
        self.check_open(Operation::LoadVisibility)?;
        let visibility = lock(&self.visibility);
        Ok(runs.iter().map(|run| visibility.get(run)).collect())
    }

    async fn remove_visibility(&self, runs: &[ExecutionKey]) -> StoreResult<()> {
        self.check_open(Operation::RemoveVisibility)?;
        let mut visibility = lock(&self.visibility);
        runs.iter().for_each(|run| visibility.remove(run));
        Ok(())
    }
}
