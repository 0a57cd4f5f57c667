//! Events of a run, from memory where they are and from the store where they are not.

use std::sync::Arc;

use perdure_kernel::{ExecutionKey, ShardId};
use perdure_persistence::{SharedStore, StoreError, StoreErrorKind, shard::Direction};
use perdure_proto::api::history::{History, HistoryEvent};
use prost::Message;

use super::run::Run;

/// Events `first..end`: those the store has to give, then those in memory.
pub(super) struct EventRange {
    stored: Option<(i64, i64)>,
    memory: Vec<Arc<HistoryEvent>>,
}

impl Run {
    /// Events `first..end`.
    pub(super) fn events(&self, first: i64, end: i64) -> EventRange {
        let split = self.tail.first_id().clamp(first, end);
        let memory = self.tail.range(split, end).unwrap_or_default();
        let stored = (first < split).then_some((first, split - 1));
        EventRange { stored, memory }
    }
}

impl EventRange {
    /// The events, when none of them has to be read.
    pub(super) fn ready(&self) -> Option<Vec<HistoryEvent>> {
        self.stored.is_none().then(|| self.memory.iter().map(|event| (**event).clone()).collect())
    }

    /// The events, in order.
    pub(super) async fn read(
        self,
        store: &SharedStore,
        shard: ShardId,
        key: &ExecutionKey,
    ) -> Result<Vec<HistoryEvent>, StoreError> {
        let mut events = match self.stored {
            Some((first, last)) => read_stored(store, shard, key, first, last).await?,
            None => Vec::new(),
        };
        events.extend(self.memory.iter().map(|event| (**event).clone()));
        Ok(events)
    }
}

/// Events `first..=last` from the store. Each batch holds at least one event, so their number bounds the read.
pub(super) async fn read_stored(
    store: &SharedStore,
    shard: ShardId,
    key: &ExecutionKey,
    first: i64,
    last: i64,
) -> Result<Vec<HistoryEvent>, StoreError> {
    let count = usize::try_from(last - first + 1).unwrap_or(0);
    let batches = store.read_history(shard, key, first, last, Direction::Forward, count).await?;
    let mut events = Vec::with_capacity(count);
    for batch in batches {
        let history = History::decode(batch.events)
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "read_history", error.to_string()))?;
        events.extend(history.events.into_iter().filter(|event| (first..=last).contains(&event.event_id)));
    }
    let contiguous = events.iter().zip(first..=last).all(|(event, id)| event.event_id == id);
    if events.len() == count && contiguous {
        return Ok(events);
    }
    let text = format!("history of run {} has gaps between events {first} and {last}", key.run_id);
    Err(StoreError::new(StoreErrorKind::Corrupt, "read_history", text))
}
