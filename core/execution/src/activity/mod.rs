//! Standalone activities: activities that clients start by themselves, without a workflow.
//!
//! One starts with an id, is handed to workers through the same task queues as activities of workflows, is
//! retried by its policy, and keeps its outcome until retention deletes it. It has no history: its state is its
//! record and a few items.

mod attempt;
mod describe;
mod end;
mod operate;
mod options;
mod outcome;
mod start;
mod state;
mod step;
mod timers;
mod update_options;
mod visibility;

use std::sync::Arc;

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult, Timestamp, VisibilityRecord};
use perdure_proto::{
    api::{common::Payloads, workflowservice as ws},
    records, tokens,
};

pub use self::{
    start::{check_policies, fill_timeouts},
    state::ActivityState,
};
use crate::{
    Env,
    archetype::{ItemName, Machine, Verdict},
    items::Damaged,
    workflow::calls::activity_outcome::{Outcome, Reporter},
};

/// What can be asked of a standalone activity. The frontend has checked all of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Starts it, or resolves its id by the policies.
    Start(Box<ws::StartActivityExecutionRequest>),
    /// Tells about it, at once or when it differs from what the token says.
    Describe(Box<ws::DescribeActivityExecutionRequest>, Option<tokens::ActivityWatch>),
    /// Waits for its outcome.
    Poll,
    /// Asks its worker to give up.
    RequestCancel(ws::RequestCancelActivityExecutionRequest),
    /// Ends it at once.
    Terminate(ws::TerminateActivityExecutionRequest),
    /// Ends it if it runs, and removes it.
    Delete,
    /// Keeps further attempts from beginning.
    Pause(ws::PauseActivityExecutionRequest),
    /// Lets them begin again.
    Unpause(ws::UnpauseActivityExecutionRequest),
    /// Begins anew with the first attempt.
    Reset(ws::ResetActivityExecutionRequest),
    /// Changes its options.
    UpdateOptions(Box<ws::UpdateActivityExecutionOptionsRequest>),
    /// A poller took the task of an attempt.
    StartTask(Box<TaskStart>),
    /// A worker, or somebody who knows the id, reports the attempt's outcome.
    Report(tokens::ActivityTask, Outcome, Reporter),
    /// A sign of life, with progress to resume from.
    Heartbeat(tokens::ActivityTask, Option<Payloads>),
}

/// The task of an attempt that a poller took.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStart {
    /// As matching held it.
    pub task: records::QueuedTask,
    /// Fresh for every match; the same id again gets the same answer.
    pub request_id: String,
    /// The poll.
    pub poll: Arc<ws::PollActivityTaskQueueRequest>,
    /// The worker's SDK, as its `client-name` header gave it.
    pub sdk_name: Arc<str>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Input::Start`].
    Started(Box<ws::StartActivityExecutionResponse>),
    /// To [`Input::Describe`].
    Described(Box<ws::DescribeActivityExecutionResponse>),
    /// To [`Input::Poll`].
    Polled(Box<ws::PollActivityExecutionResponse>),
    /// To [`Input::StartTask`].
    Task(Box<ws::PollActivityTaskQueueResponse>),
    /// To [`Input::Heartbeat`].
    Alive(ws::RecordActivityTaskHeartbeatResponse),
    /// To [`Input::UpdateOptions`].
    Options(Box<ws::UpdateActivityExecutionOptionsResponse>),
    /// To all else.
    Done,
}

/// Types that a [`Reply`] may hold.
pub trait FromReply: Sized {
    /// The answer, when it is of this type.
    ///
    /// # Errors
    ///
    /// `Internal`: it is the answer to another question.
    fn from_reply(reply: Reply) -> ServiceResult<Self>;
}

macro_rules! replies {
    ($($variant:ident($type:ty);)*) => {
        $(impl FromReply for $type {
            fn from_reply(reply: Reply) -> ServiceResult<Self> {
                if let Reply::$variant(answer) = reply { Ok(answer) } else { Err(mistaken()) }
            }
        })*
    };
}

replies! {
    Started(Box<ws::StartActivityExecutionResponse>);
    Described(Box<ws::DescribeActivityExecutionResponse>);
    Polled(Box<ws::PollActivityExecutionResponse>);
    Task(Box<ws::PollActivityTaskQueueResponse>);
    Alive(ws::RecordActivityTaskHeartbeatResponse);
    Options(Box<ws::UpdateActivityExecutionOptionsResponse>);
}

impl FromReply for () {
    fn from_reply(_reply: Reply) -> ServiceResult<Self> {
        Ok(())
    }
}

fn mistaken() -> ServiceError {
    ServiceError::new(ErrorKind::Internal, "an activity answered another question")
}

/// The machine of standalone activities.
#[derive(Clone, Copy, Debug)]
pub struct Activities;

type Answer = Verdict<ActivityState, Reply>;

impl Machine for Activities {
    type State = ActivityState;
    type Input = Input;
    type Reply = Reply;

    fn decide(
        &self,
        key: &BusinessKey,
        run: Option<&ActivityState>,
        input: &Input,
        env: &mut Env<'_>,
    ) -> ServiceResult<Answer> {
        if let Input::Start(request) = input {
            return start::decide(key, run, request, env);
        }
        let run = run.ok_or_else(|| not_found(&key.business_id))?;
        match input {
            Input::Start(_) => Err(mistaken()),
            Input::Describe(request, watch) => describe::describe(run, request, watch.as_ref(), env),
            Input::Poll => Ok(describe::poll(run, env)),
            Input::RequestCancel(request) => end::request_cancel(run, request, env),
            Input::Terminate(request) => end::terminate(run, request, env),
            Input::Delete => Ok(Verdict::Remove(Reply::Done)),
            Input::Pause(request) => operate::pause(run, request, env),
            Input::Unpause(request) => operate::unpause(run, request, env),
            Input::Reset(request) => operate::reset(run, request, env),
            Input::UpdateOptions(request) => update_options::update(run, request, env),
            Input::StartTask(start) => attempt::start_task(run, start, env),
            Input::Report(token, outcome, reporter) => outcome::report(run, token, outcome, reporter, env),
            Input::Heartbeat(token, details) => attempt::heartbeat(run, token, details.as_ref(), env),
        }
    }

    fn wake_at(&self, run: &ActivityState) -> Option<Timestamp> {
        run.next_deadline().map(|(at, _)| at)
    }

    fn wake(&self, run: &ActivityState, env: &mut Env<'_>) -> Verdict<ActivityState, ()> {
        timers::wake(run, env)
    }

    fn record(&self, run: &ActivityState) -> Bytes {
        state::encode_record(run)
    }

    fn item(&self, run: &ActivityState, item: &ItemName) -> Option<Bytes> {
        state::encode_item(run, item.0)
    }

    fn restore(
        &self,
        key: ExecutionKey,
        record: Bytes,
        items: Vec<(ItemName, Bytes)>,
    ) -> Result<ActivityState, Damaged> {
        state::decode(key, record, items)
    }

    fn visibility(&self, run: &ActivityState) -> Option<VisibilityRecord> {
        Some(visibility::visibility_record(run))
    }

    fn bytes(&self, run: &ActivityState) -> usize {
        run.size()
    }
}

/// The refusal of whatever names an activity, or an attempt of it, that is not there.
fn not_found(activity_id: &str) -> ServiceError {
    ServiceError::not_found(format!("activity not found for ID: {activity_id}"))
}
