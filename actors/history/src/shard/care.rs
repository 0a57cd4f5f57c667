//! What the server's own jobs ask of a shard.

use perdure_execution::{Env, workflow::calls};
use perdure_kernel::{Archetype, BusinessKey, ServiceResult, Timestamp};
use perdure_rpc::{
    Ask,
    care::{MendRun, RemoveRun, ShardDescription},
};
use perdure_runtime::Ctx;

use super::{Shard, commit::AfterCommit, holder::Holder, lease::Lease, reads::not_found, work::Selector};

impl Shard {
    /// Removes a run. A workflow goes as if its retention were over: an open one is ended first.
    pub(super) fn remove_run(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: Ask<RemoveRun, bool>,
        ctx: &Ctx<Self>,
    ) {
        let Some(index) = found else { return ask.reply.send(Ok(false)) };
        if key.archetype != Archetype::WORKFLOW {
            let after: AfterCommit = Box::new(move |_, result, _| ask.reply.send(result.map(|()| true)));
            return self.remove_actor(key, holder, index, after);
        }
        let Ask { caller, reply, permit, .. } = ask;
        let mut env = Env { now: ctx.now(), namespace: &caller.namespace, random: &mut self.random };
        let decision = Ok(calls::delete::decide(&holder.runs[index].state, &mut env));
        self.conclude(key, holder, index, decision, reply, permit, |()| true, ctx);
    }

    /// Writes a run's row of lists and its wake-up anew.
    pub(super) fn mend_run(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: Ask<MendRun, ()>,
    ) {
        let Some(index) = found else {
            let selector = Selector::Run(ask.request.run.run_id.clone());
            return ask.refuse(not_found(key, &selector));
        };
        let after: AfterCommit = Box::new(move |_, result: ServiceResult<()>, _| ask.reply.send(result));
        if key.archetype != Archetype::WORKFLOW {
            return self.mend_actor(key, holder, index, after);
        }
        let run = &mut holder.runs[index];
        run.unsaved.shown = Some(true);
        run.state.volatile.run.wake_at = 0;
        self.stage(key, holder, index, Vec::new(), None, after);
    }

    /// The shard as it stands.
    pub(super) fn describe(&self, now: Timestamp) -> ShardDescription {
        let (cache_bytes, cache_bytes_max) = self.cache.size();
        let (timers, next_timer, timer_horizon) = self.timers.describe();
        ShardDescription {
            shard: self.id,
            owner: self.settings.owner.clone(),
            range_id: self.lease.as_ref().map(|lease: &Lease| lease.range_id),
            renewals: self.epoch,
            executions: self.holders.len(),
            cache_bytes,
            cache_bytes_max,
            tasks: self.immediate.len(),
            timers,
            next_timer,
            timer_horizon,
            long_polls: self.watchers.len(),
            waiting: self.waiting.len(),
            commit_age: self.pipeline.commit_age(now),
        }
    }
}
