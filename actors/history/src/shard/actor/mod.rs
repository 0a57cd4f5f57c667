//! Executions of other archetypes than workflows: what they are asked, and how their machines' verdicts become
//! commits and answers. The machines are found in the registry; nothing here knows what they decide about.

mod commit;
mod load;
mod run;
mod standalone;
mod waits;
mod wake;

use std::sync::Arc;

use perdure_execution::{
    Env,
    archetype::{AnyMachine, AnyValue, Verdict},
};
use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, Timestamp};
use perdure_persistence::VisibilityChange;
use perdure_rpc::{Ask, history::Act};
use perdure_runtime::Ctx;

pub(super) use self::{load::place, run::ActorRun, waits::Waits};
use super::{Shard, commit::AfterCommit, holder::Holder, reads::LONG_POLL_TAIL};

/// Something asked of an execution.
pub(super) type ActAsk = Ask<Box<Act>, AnyValue>;

impl Shard {
    /// Lets an execution's machine decide, and carries the verdict out. `until` is when an ask that was
    /// made before stops waiting.
    pub(super) fn act(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        ask: ActAsk,
        until: Option<Timestamp>,
        ctx: &Ctx<Self>,
    ) {
        let Some(machine) = self.machine(key) else { return ask.refuse(unregistered(key)) };
        let namespace = Arc::clone(&ask.caller.namespace);
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        let run = found.map(|index| &holder.actors[index].state);
        let verdict = match machine.decide(key, run, &ask.request.input, &mut env) {
            Ok(verdict) => verdict,
            Err(error) => return ask.refuse(error),
        };
        match (verdict, found) {
            (Verdict::Change(transition, reply), Some(index)) => {
                self.change_actor(key, holder, index, transition, answer_after(ask, reply));
            }
            (Verdict::Begin(run, reply), _) => self.begin_actor(key, holder, run, answer_after(ask, reply)),
            (Verdict::Remove(reply), Some(index)) => {
                self.remove_actor(key, holder, index, answer_after(ask, reply));
            }
            (Verdict::Wait { until: longest, otherwise }, Some(index)) => {
                let patience = ask.caller.deadline.map_or(longest, |deadline| longest.min(deadline - LONG_POLL_TAIL));
                let until = until.unwrap_or(patience);
                self.waits.add(key, &mut holder.actors[index], until, ask, otherwise);
            }
            // A machine cannot change or wait for what is not there.
            (
                Verdict::Reply(reply)
                | Verdict::Change(_, reply)
                | Verdict::Remove(reply)
                | Verdict::Wait { otherwise: reply, .. },
                _,
            ) => ask.reply.send(Ok(reply)),
        }
    }

    /// What lists show of a run; `None` when they do not show it.
    pub(super) fn shown_of_actor(&self, key: &BusinessKey, holder: &Holder, index: usize) -> Option<VisibilityChange> {
        let run = holder.actors.get(index)?;
        let record = Box::new(self.machine(key)?.visibility(&run.state)?);
        Some(VisibilityChange::Put { record, version: run.version })
    }

    /// The machine of an id's archetype.
    fn machine(&self, key: &BusinessKey) -> Option<Arc<dyn AnyMachine>> {
        self.archetypes.machine(key.archetype).cloned()
    }
}

/// The answer that goes out once the commit has ended.
fn answer_after(ask: ActAsk, answer: AnyValue) -> AfterCommit {
    let Ask { reply, permit, .. } = ask;
    Box::new(move |_, result, _| {
        let _permit = permit;
        reply.send(result.map(|()| answer));
    })
}

/// The refusal of what is asked of an archetype that this node does not know.
fn unregistered(key: &BusinessKey) -> ServiceError {
    ServiceError::new(ErrorKind::Unimplemented, format!("archetype {} is not registered here", key.archetype.0))
}
