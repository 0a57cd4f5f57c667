//! Rows of lists without a run, and whatever else was left behind.

use perdure_kernel::ExecutionKey;
use perdure_persistence::StoreResult;
use perdure_rpc::jobs::{Finding, Outcome};

use super::check::{Check, PAGE, Tally};
use crate::pace::Pace;

impl Check {
    /// Every row of lists belongs to a run.
    pub(super) async fn rows(&self, tally: &mut Tally, pace: &mut Pace) -> StoreResult<()> {
        let mut after: Option<ExecutionKey> = None;
        loop {
            let rows = self.store.scan_visibility(after.as_ref(), PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for row in rows {
                let outside =
                    self.scope.namespace.as_ref().is_some_and(|namespace| row.key.business.namespace_id != *namespace);
                if outside {
                    continue;
                }
                tally.summary.rows += 1;
                pace.step().await;
                let shard = self.shard_map.shard_of(&row.key.business);
                if self.store.load_execution(shard, &row.key).await?.is_none() {
                    self.row_without_run(row.key, tally).await?;
                }
            }
        }
    }

    async fn row_without_run(&self, key: ExecutionKey, tally: &mut Tally) -> StoreResult<()> {
        // Row and run go in one commit: a row that was read before that is gone by now.
        if self.store.load_visibility(std::slice::from_ref(&key)).await?.pop().flatten().is_none() {
            return Ok(());
        }
        let outcome = if self.scope.mend {
            match self.store.remove_visibility(std::slice::from_ref(&key)).await {
                Ok(()) => Outcome::Mended,
                Err(error) => Outcome::Failed(error.message),
            }
        } else {
            Outcome::Left
        };
        let text = "lists show it, but it does not exist".to_owned();
        tally.add(Finding { run: Some(key), problem: "row_without_run", text, outcome }).await;
        Ok(())
    }

    /// What the store itself holds that belongs to nothing.
    pub(super) async fn remains(&self, tally: &mut Tally) -> StoreResult<()> {
        for remains in self.store.verify(self.scope.mend).await? {
            let outcome = if remains.removed { Outcome::Mended } else { Outcome::Left };
            tally.add(Finding { run: None, problem: remains.problem, text: remains.text, outcome }).await;
        }
        Ok(())
    }
}
