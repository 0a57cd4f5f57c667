//! Runs: what their records say must be stored beside them.

use perdure_execution::audit::{self, Found, Problem};
use perdure_kernel::{ExecutionKey, ShardId, Timestamp};
use perdure_persistence::{
    StoreResult,
    shard::{Direction, StoredExecution},
};
use perdure_rpc::jobs::{Finding, Outcome};

use super::check::{Check, PAGE, Tally};
use crate::{pace::Pace, walk::Walk};

/// How often a run is looked at that changes meanwhile.
const LOOKS_MAX: usize = 5;

/// Batches of a history read at a time.
const BATCHES: usize = 256;

/// What a look at a run came to.
enum Look {
    /// All is well, or the run is gone.
    Well,
    /// It changed whenever it was looked at.
    Unsettled,
    /// Something does not hold.
    Wrong(Vec<Problem>),
}

impl Check {
    pub(super) async fn runs(&self, tally: &mut Tally, pace: &mut Pace) -> StoreResult<()> {
        for shard in self.shard_map.shards() {
            let mut walk = Walk::new(shard, self.scope.namespace.as_ref());
            loop {
                let keys = walk.next(&self.store, PAGE).await?;
                if keys.is_empty() {
                    break;
                }
                for key in &keys {
                    pace.step().await;
                    self.check_run(shard, key, tally).await?;
                }
            }
        }
        Ok(())
    }

    async fn check_run(&self, shard: ShardId, key: &ExecutionKey, tally: &mut Tally) -> StoreResult<()> {
        tally.summary.runs += 1;
        metrics::counter!("scavenger_validation_requests").increment(1);
        let problems = match self.look(shard, key).await? {
            Look::Well => return Ok(()),
            Look::Unsettled => {
                tally.summary.unsettled += 1;
                metrics::counter!("scavenger_validation_skips").increment(1);
                return Ok(());
            }
            Look::Wrong(problems) => problems,
        };
        let mendable = problems.iter().any(Problem::is_mendable);
        let mended = match &self.mender {
            Some(mender) if self.scope.mend && mendable => Some(self.mend(shard, key, mender.as_ref()).await),
            Some(_) | None => None,
        };
        for problem in problems {
            let outcome = match &mended {
                Some(result) if problem.is_mendable() => match result {
                    Ok(()) => Outcome::Mended,
                    Err(why) => Outcome::Failed(why.clone()),
                },
                Some(_) | None => Outcome::Left,
            };
            tally
                .add(Finding { run: Some(key.clone()), problem: problem.name(), text: problem.to_string(), outcome })
                .await;
        }
        Ok(())
    }

    /// Sets a run right, and looks whether it is.
    async fn mend(&self, shard: ShardId, key: &ExecutionKey, mender: &dyn super::Mender) -> Result<(), String> {
        mender.mend(key).await.map_err(|error| error.message.to_string())?;
        match self.look(shard, key).await {
            Ok(Look::Well | Look::Unsettled) => Ok(()),
            Ok(Look::Wrong(problems)) if !problems.iter().any(Problem::is_mendable) => Ok(()),
            Ok(Look::Wrong(_)) => Err("it is as it was after its shard has written it anew".to_owned()),
            Err(error) => Err(error.message),
        }
    }

    /// Looks at a run until it stood still meanwhile.
    async fn look(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Look> {
        for _ in 0..LOOKS_MAX {
            let Some(stored) = self.store.load_execution(shard, key).await? else { return Ok(Look::Well) };
            let version = stored.version;
            let problems = self.compare(shard, key, stored).await?;
            if problems.is_empty() {
                return Ok(Look::Well);
            }
            let again = self.store.load_execution(shard, key).await?;
            if again.is_some_and(|again| again.version == version) {
                return Ok(Look::Wrong(problems));
            }
        }
        Ok(Look::Unsettled)
    }

    async fn compare(&self, shard: ShardId, key: &ExecutionKey, stored: StoredExecution) -> StoreResult<Vec<Problem>> {
        let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes)).collect();
        let mut expected = match audit::expect(&self.archetypes, key, &stored.record, items) {
            Ok(expected) => expected,
            Err(problem) => return Ok(vec![problem]),
        };
        let shown = if self.lists {
            self.store.load_visibility(std::slice::from_ref(key)).await?.pop().flatten()
        } else {
            expected.shown = None;
            None
        };
        let history = match expected.last_event_id {
            Some(_) if self.scope.histories => Some(self.spans(shard, key).await?),
            Some(_) | None => None,
        };
        let wake_is_there = match expected.wake {
            Some(wake) => self.has_timer(shard, wake).await?,
            None => false,
        };
        let found =
            Found { current: self.store.current_run(shard, &key.business).await?, history, shown, wake_is_there };
        Ok(expected.compare(&found, &key.run_id, self.clock.now()))
    }

    /// First and last event ids of a history's batches.
    async fn spans(&self, shard: ShardId, key: &ExecutionKey) -> StoreResult<Vec<(i64, i64)>> {
        let mut spans = Vec::new();
        let mut next = 1;
        loop {
            let batches = self.store.read_history(shard, key, next, i64::MAX, Direction::Forward, BATCHES).await?;
            let full = batches.len() == BATCHES;
            spans.extend(batches.iter().map(|batch| (batch.first_event_id, batch.last_event_id)));
            match spans.last() {
                Some((_, last)) if full => next = last + 1,
                Some(_) | None => return Ok(spans),
            }
        }
    }

    async fn has_timer(&self, shard: ShardId, (at, id): (Timestamp, i64)) -> StoreResult<bool> {
        let until = Timestamp::from_nanos(at.as_nanos().saturating_add(1));
        let rows = self.store.read_timers(shard, (at, id - 1), until, 1).await?;
        Ok(rows.first().is_some_and(|row| row.id == id))
    }
}
