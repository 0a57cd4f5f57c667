//! What workers ask of standalone activities through calls that activities of workflows share.

use perdure_execution::{
    activity::{FromReply, Input, Reply, TaskStart},
    archetype::AnyValue,
};
use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult};
use perdure_rpc::{Ask, Caller, HistoryCall, history::Act};
use perdure_runtime::Ctx;

use super::ActAsk;
use crate::shard::{Shard, calls::outcome_of, holder::Holder};

impl Shard {
    /// Hands a call to the activity's machine.
    pub(in crate::shard) fn ask_activity(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        call: HistoryCall,
        ctx: &Ctx<Self>,
    ) {
        let ask = match call {
            HistoryCall::Act(ask) => ask,
            HistoryCall::StartActivityTask(ask) => as_act(ask, key, |start, caller| {
                let sdk_name = caller.client_name.clone();
                Input::StartTask(Box::new(TaskStart {
                    task: start.task,
                    request_id: start.request_id,
                    poll: start.poll,
                    sdk_name,
                }))
            }),
            HistoryCall::ActivityOutcome(ask) => as_act(ask, key, |reported, _| {
                let (outcome, reporter) = outcome_of(reported.request);
                Input::Report(reported.token, outcome, reporter)
            }),
            HistoryCall::ActivityHeartbeat(ask) => {
                as_act(ask, key, |beat, _| Input::Heartbeat(beat.token, beat.request.details))
            }
            other => return other.refuse(ServiceError::new(ErrorKind::Internal, "activities know no such call")),
        };
        self.act(key, holder, found, ask, None, ctx);
    }
}

/// The call as an input of the machine, whose reply goes to the caller in the caller's terms.
fn as_act<Q, R>(ask: Ask<Q, R>, key: &BusinessKey, input: impl FnOnce(Q, &Caller) -> Input) -> ActAsk
where
    R: FromReply + Send + 'static,
{
    let Ask { caller, request, reply, permit } = ask;
    let input: AnyValue = Box::new(input(request, &caller));
    // These calls never wait: the run is found by now.
    let act = Box::new(Act { key: key.clone(), run_id: String::new(), input });
    let answer = move |result: ServiceResult<AnyValue>| {
        let foreign = |_| ServiceError::new(ErrorKind::Internal, "another archetype answered for an activity");
        let answer = result.and_then(|reply| reply.downcast::<Reply>().map_err(foreign));
        reply.send(answer.and_then(|reply| R::from_reply(*reply)));
    };
    Ask { permit, ..Ask::with_callback(caller, act, answer) }
}
