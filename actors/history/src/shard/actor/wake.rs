//! A run's time has come.

use std::time::Duration;

use perdure_execution::{Env, archetype::Verdict};
use perdure_kernel::{BusinessKey, ServiceResult, Timestamp};
use perdure_runtime::Ctx;

use crate::shard::{Shard, commit::AfterCommit, holder::Holder, timers::UNKNOWN_NAMESPACE_DELAY};

/// Wait before a run is woken again that did nothing although it was due.
const IDLE_WAKE_DELAY: Duration = Duration::from_secs(1);

impl Shard {
    /// The run sees what is due.
    pub(in crate::shard) fn wake_actor(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        entry: (Timestamp, i64),
        ctx: &Ctx<Self>,
    ) {
        let expected = found.filter(|index| holder.actors[*index].wake.1 == entry.1);
        let (Some(index), Some(machine)) = (expected, self.machine(key)) else {
            // The run is gone, or waits for another instant by now.
            return self.timers.finish(entry);
        };
        let now = ctx.now();
        let Some(namespace) = self.namespaces.by_id(&key.namespace_id) else {
            return self.timers.postpone(entry, now + UNKNOWN_NAMESPACE_DELAY, holder.actors[index].key.clone());
        };
        let mut env = Env { now, namespace: &namespace, random: &mut self.random };
        let verdict = machine.wake(&holder.actors[index].state, &mut env);
        let after: AfterCommit = Box::new(move |shard, _: ServiceResult<()>, _| shard.timers.finish(entry));
        let run = &mut holder.actors[index];
        match verdict {
            Verdict::Change(transition, ()) => {
                run.wake = (Timestamp::EPOCH, 0);
                self.change_actor(key, holder, index, transition, after);
            }
            Verdict::Begin(new, ()) => {
                run.wake = (Timestamp::EPOCH, 0);
                self.begin_actor(key, holder, new, after);
            }
            Verdict::Remove(()) => self.remove_actor(key, holder, index, after),
            Verdict::Reply(()) | Verdict::Wait { .. } => match machine.wake_at(&run.state) {
                None => self.timers.finish(entry),
                Some(at) if at <= now => {
                    tracing::error!(shard = %self.id, archetype = key.archetype.0, "an execution sleeps on when it is due");
                    self.timers.postpone(entry, now + IDLE_WAKE_DELAY, run.key.clone());
                }
                // What it waits for lies further ahead: the store must know before the old row goes.
                Some(_) => {
                    run.wake = (Timestamp::EPOCH, 0);
                    self.rest_actor(key, holder, index, after);
                }
            },
        }
    }
}
