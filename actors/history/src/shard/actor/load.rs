//! A run as the store has it.

use perdure_execution::archetype::Registry;
use perdure_kernel::{ExecutionKey, Timestamp};
use perdure_persistence::shard::StoredExecution;
use perdure_proto::records;
use prost::Message;

use super::ActorRun;
use crate::shard::holder::Holder;

/// Puts a stored run into memory.
pub(in crate::shard) fn place(
    registry: &Registry,
    holder: &mut Holder,
    key: ExecutionKey,
    stored: StoredExecution,
    now: Timestamp,
) -> Result<(), String> {
    let archetype = key.business.archetype;
    let machine = registry.machine(archetype).ok_or_else(|| format!("archetype {} is unknown here", archetype.0))?;
    let record = records::Actor::decode(stored.record).map_err(|error| error.to_string())?;
    let items = stored.items.into_iter().map(|(item, bytes)| ((item.kind, item.name), bytes)).collect();
    let state = machine.restore(key.clone(), record.record, items).map_err(|damage| damage.to_string())?;
    let mut run = ActorRun::new(key, state);
    run.state_bytes = machine.bytes(&run.state);
    run.version = stored.version;
    // The row of a wake-up whose time has come may have fired for nothing and be deleted, but it may also be
    // the one that asks for the run now: its id is kept, so that it counts, and its time is not, so that the
    // next commit writes a row of its own.
    let at = if record.wake_at <= now.as_nanos() { Timestamp::EPOCH } else { Timestamp::from_nanos(record.wake_at) };
    run.wake = (at, record.wake_id);
    holder.actors.push(run);
    Ok(())
}
