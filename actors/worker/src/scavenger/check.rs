//! A check of a whole database, on a running server or without one.

use std::sync::Arc;

use async_trait::async_trait;
use perdure_execution::archetype::Registry;
use perdure_kernel::{Clock, ExecutionKey, ServiceResult, ShardMap};
use perdure_persistence::{SharedStore, StoreResult};
use perdure_rpc::jobs::{CheckScope, CheckSummary, Finding, FindingSink, Outcome};

use crate::pace::Pace;

/// Runs and rows read at a time.
pub(super) const PAGE: usize = 200;

/// Sets right what can be set right. Only shards change what is stored of a run.
#[async_trait]
pub trait Mender: Send + Sync {
    /// Has a run's shard write anew what is derived from its record.
    async fn mend(&self, run: &ExecutionKey) -> ServiceResult<()>;
}

/// What a check is made with.
pub struct Check {
    /// The database.
    pub store: SharedStore,
    /// Its shards.
    pub shard_map: Arc<ShardMap>,
    /// The kinds of executions that this server knows.
    pub archetypes: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether the database holds the rows of lists too; where they are kept elsewhere, they are not looked at.
    pub lists: bool,
    /// Who sets things right; without one [`CheckScope::mend`] has no effect on runs.
    pub mender: Option<Arc<dyn Mender>>,
    /// What it looks at.
    pub scope: CheckScope,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// What a check has come to so far.
pub(super) struct Tally {
    pub(super) summary: CheckSummary,
    sink: Box<dyn FindingSink>,
}

impl Tally {
    pub(super) async fn add(&mut self, finding: Finding) {
        self.summary.findings += 1;
        if finding.outcome == Outcome::Mended {
            self.summary.mended += 1;
        }
        metrics::counter!("scavenger_validation_failures", "failure" => finding.problem).increment(1);
        self.sink.found(finding).await;
    }
}

impl Check {
    /// Looks at everything in scope and hands out findings as they come.
    ///
    /// # Errors
    ///
    /// The store fails. What was found until then has been handed out.
    pub async fn run(&self, sink: Box<dyn FindingSink>) -> StoreResult<CheckSummary> {
        let began = self.clock.now();
        let mut tally = Tally { summary: CheckSummary::default(), sink };
        let mut pace = Pace::new(self.scope.rate.unwrap_or(0));
        self.runs(&mut tally, &mut pace).await?;
        if self.lists {
            self.rows(&mut tally, &mut pace).await?;
        }
        if self.scope.namespace.is_none() {
            self.remains(&mut tally).await?;
        }
        let ended = self.clock.now();
        tally.summary.ended = ended;
        tally.summary.took = ended.since(began);
        Ok(tally.summary)
    }
}
