//! A worker takes an attempt, and gives signs of life.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{
        common::{Payloads, WorkflowExecution},
        workflowservice::{PollActivityTaskQueueResponse, RecordActivityTaskHeartbeatResponse},
    },
    records::ActivityStatus,
    tokens,
};
use prost::Message;

use super::{Answer, Reply, TaskStart, not_found, state::ActivityState, step::Step};
use crate::{Env, archetype::Verdict};

/// Records the start. It must be durable before the worker has the task.
pub(super) fn start_task(run: &ActivityState, start: &TaskStart, env: &mut Env<'_>) -> ServiceResult<Answer> {
    let attempt = &run.attempt;
    if run.worker_has_it() && attempt.request_id == start.request_id {
        return Ok(Verdict::Reply(Reply::Task(Box::new(task(run, env)))));
    }
    let present = attempt.stamp == start.task.stamp && attempt.attempt == start.task.attempt;
    if run.status() != ActivityStatus::Scheduled || !present {
        return Err(ServiceError::new(ErrorKind::StaleTask, "the activity's attempt has ended"));
    }
    let mut step = Step::new(run, env);
    let now = step.now().as_nanos();
    let attempt = step.attempt();
    attempt.started_time = now;
    attempt.request_id.clone_from(&start.request_id);
    attempt.identity.clone_from(&start.poll.identity);
    attempt.waits_for_retry = false;
    let record = &mut step.state.record;
    record.set_status(ActivityStatus::Started);
    record.started_stamp = start.task.stamp;
    record.last_started_time = now;
    if record.first_started_time == 0 {
        record.first_started_time = now;
    }
    record.sdk_name = start.sdk_name.to_string();
    record.sdk_version.clear();
    let answer = task(&step.state, step.env);
    Ok(step.finish(Reply::Task(Box::new(answer))))
}

/// What the worker gets.
fn task(run: &ActivityState, env: &Env<'_>) -> PollActivityTaskQueueResponse {
    let attempt = &run.attempt;
    let options = run.scheduled.attributes.clone().unwrap_or_default();
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let run_id = run.key.run_id.to_string();
    let token = tokens::ActivityTask {
        namespace_id: env.namespace.id.to_string(),
        run_id: run_id.clone(),
        attempt: attempt.attempt,
        stamp: run.record.started_stamp,
        activity_id: options.activity_id.clone(),
        activity_type: options.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        ..Default::default()
    };
    PollActivityTaskQueueResponse {
        task_token: token.encode_to_vec().into(),
        workflow_namespace: env.namespace.name.clone(),
        workflow_execution: Some(WorkflowExecution::default()),
        activity_type: options.activity_type,
        activity_id: options.activity_id,
        header: options.header,
        input: options.input,
        heartbeat_details: attempt.heartbeat_details.clone(),
        scheduled_time: at(run.record.scheduled_time),
        current_attempt_scheduled_time: at(attempt.scheduled_time),
        started_time: at(attempt.started_time),
        attempt: attempt.attempt,
        schedule_to_close_timeout: options.schedule_to_close_timeout,
        start_to_close_timeout: options.start_to_close_timeout,
        heartbeat_timeout: options.heartbeat_timeout,
        retry_policy: options.retry_policy,
        priority: options.priority,
        activity_run_id: run_id,
        ..Default::default()
    }
}

/// Whether a report is about the attempt that a worker has. One by id names no attempt; with `may_wait` it may
/// come when no worker has any.
pub(super) fn check_token(run: &ActivityState, token: &tokens::ActivityTask, may_wait: bool) -> ServiceResult<()> {
    let by_id = token.attempt == 0;
    let there = run.worker_has_it() || (may_wait && by_id);
    let same_attempt = by_id || token.attempt == run.attempt.attempt;
    let same_stamp = token.stamp == 0 || token.stamp == run.record.started_stamp;
    if there && same_attempt && same_stamp { Ok(()) } else { Err(not_found(run.activity_id())) }
}

/// A sign of life. The answer says what the worker should do.
pub(super) fn heartbeat(
    run: &ActivityState,
    token: &tokens::ActivityTask,
    details: Option<&Payloads>,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    check_token(run, token, false)?;
    let mut step = Step::new(run, env);
    step.beat(details);
    let answer = RecordActivityTaskHeartbeatResponse {
        cancel_requested: run.status() == ActivityStatus::CancelRequested,
        activity_paused: run.status() == ActivityStatus::PauseRequested,
        activity_reset: run.status() == ActivityStatus::ResetRequested,
    };
    Ok(step.finish(Reply::Alive(answer)))
}

impl Step<'_, '_> {
    /// Records a sign of life.
    pub(super) fn beat(&mut self, details: Option<&Payloads>) {
        let now = self.now().as_nanos();
        let attempt = self.attempt();
        attempt.last_heartbeat_time = now;
        attempt.heartbeat_details = details.cloned();
        self.state.record.heartbeats += 1;
    }
}
