//! An activity as clients see it.

use perdure_kernel::{
    ServiceError, ServiceResult, Timestamp,
    time::{span_to_proto, span_to_proto_opt},
};
use perdure_proto::{
    api::{
        activity::{ActivityExecutionInfo, ActivityExecutionListInfo},
        enums::PendingActivityState,
        workflowservice::{
            DescribeActivityExecutionRequest, DescribeActivityExecutionResponse, PollActivityExecutionResponse,
        },
    },
    records::ActivityStatus,
    tokens,
};
use prost::Message;

use super::{Answer, Reply, state::ActivityState};
use crate::{Env, archetype::Verdict};

/// Tells about it. With a token, only once it differs from what was told then.
pub(super) fn describe(
    run: &ActivityState,
    request: &DescribeActivityExecutionRequest,
    watch: Option<&tokens::ActivityWatch>,
    env: &Env<'_>,
) -> ServiceResult<Answer> {
    if let Some(watch) = watch {
        let same = watch.namespace_id == env.namespace.id.as_str()
            && watch.activity_id == run.activity_id()
            && watch.run_id == *run.key.run_id;
        if !same {
            return Err(ServiceError::invalid_argument("long poll token does not match execution"));
        }
        if watch.state_transitions == run.record.state_transitions {
            let until = env.now + env.limits().activity_long_poll;
            return Ok(Verdict::Wait { until, otherwise: Reply::Described(Box::default()) });
        }
    }
    let watch = tokens::ActivityWatch {
        namespace_id: env.namespace.id.to_string(),
        activity_id: run.activity_id().to_owned(),
        run_id: run.key.run_id.to_string(),
        state_transitions: run.record.state_transitions,
    };
    let options = run.scheduled.attributes.as_ref();
    let outcome = run.outcome.as_ref().filter(|_| request.include_outcome);
    let description = DescribeActivityExecutionResponse {
        run_id: run.key.run_id.to_string(),
        info: Some(info(run, request, env.now)),
        input: options.filter(|_| request.include_input).and_then(|options| options.input.clone()),
        outcome: outcome.map(|outcome| (**outcome).clone()),
        long_poll_token: watch.encode_to_vec().into(),
        callbacks: Vec::new(),
    };
    Ok(Verdict::Reply(Reply::Described(Box::new(description))))
}

/// Waits for the outcome.
pub(super) fn poll(run: &ActivityState, env: &Env<'_>) -> Answer {
    let Some(outcome) = &run.outcome else {
        let until = env.now + env.limits().activity_long_poll;
        return Verdict::Wait { until, otherwise: Reply::Polled(Box::default()) };
    };
    let (run_id, outcome) = (run.key.run_id.to_string(), Some((**outcome).clone()));
    Verdict::Reply(Reply::Polled(Box::new(PollActivityExecutionResponse { run_id, outcome })))
}

fn info(run: &ActivityState, request: &DescribeActivityExecutionRequest, now: Timestamp) -> ActivityExecutionInfo {
    let (record, attempt) = (&run.record, &run.attempt);
    let at = |nanos: i64| Timestamp::from_nanos(nanos).to_proto_opt();
    let options = run.scheduled.attributes.clone().unwrap_or_default();
    let listed = run.listed();
    // While it waits for its time, that of the next attempt is known.
    let waits_until = Timestamp::from_nanos(attempt.scheduled_time);
    let waits = run.status() == ActivityStatus::Scheduled && waits_until > now;
    let worker = if attempt.identity.is_empty() { &attempt.last_worker_identity } else { &attempt.identity };
    let interval = std::time::Duration::from_nanos(u64::try_from(attempt.retry_interval).unwrap_or(0));
    ActivityExecutionInfo {
        activity_id: listed.activity_id,
        run_id: listed.run_id,
        activity_type: listed.activity_type,
        status: listed.status,
        run_state: run_state(run).into(),
        task_queue: listed.task_queue,
        schedule_to_close_timeout: options.schedule_to_close_timeout,
        schedule_to_start_timeout: options.schedule_to_start_timeout,
        start_to_close_timeout: options.start_to_close_timeout,
        heartbeat_timeout: options.heartbeat_timeout,
        retry_policy: options.retry_policy,
        heartbeat_details: attempt.heartbeat_details.clone().filter(|_| request.include_heartbeat_details),
        last_heartbeat_time: at(attempt.last_heartbeat_time),
        last_started_time: at(record.last_started_time),
        attempt: attempt.attempt,
        execution_duration: listed.execution_duration,
        schedule_time: listed.schedule_time,
        expiration_time: run.expires_at().map(Timestamp::to_proto),
        close_time: listed.close_time,
        last_failure: attempt.last_failure.clone().filter(|_| request.include_last_failure),
        last_worker_identity: worker.clone(),
        current_retry_interval: if waits { span_to_proto_opt(interval) } else { None },
        last_attempt_complete_time: at(attempt.last_attempt_complete_time),
        next_attempt_schedule_time: waits.then(|| waits_until.to_proto()),
        priority: options.priority,
        state_transition_count: listed.state_transition_count,
        state_size_bytes: listed.state_size_bytes,
        search_attributes: listed.search_attributes,
        header: options.header,
        user_metadata: run.start.user_metadata.clone(),
        canceled_reason: record.cancel_reason.clone(),
        links: run.links.links.clone(),
        total_heartbeat_count: record.heartbeats,
        sdk_name: record.sdk_name.clone(),
        sdk_version: record.sdk_version.clone(),
        start_delay: Some(span_to_proto(run.start_delay())),
        execution_time: listed.execution_time,
        ..Default::default()
    }
}

impl ActivityState {
    /// What a listing shows of it. Clients find activities by these values.
    pub fn listed(&self) -> ActivityExecutionListInfo {
        let record = &self.record;
        let at = |nanos: i64| Timestamp::from_nanos(nanos);
        let options = self.scheduled.attributes.as_ref();
        let duration = at(record.close_time).since(at(record.scheduled_time));
        let attributes = self.start.search_attributes.clone();
        ActivityExecutionListInfo {
            activity_id: self.activity_id().to_owned(),
            run_id: self.key.run_id.to_string(),
            activity_type: options.and_then(|options| options.activity_type.clone()),
            schedule_time: at(record.scheduled_time).to_proto_opt(),
            close_time: at(record.close_time).to_proto_opt(),
            status: self.public_status().into(),
            search_attributes: Some(attributes.unwrap_or_default()),
            task_queue: self.task_queue().to_owned(),
            state_transition_count: record.state_transitions,
            state_size_bytes: i64::try_from(self.size()).unwrap_or(i64::MAX),
            execution_duration: self.is_closed().then(|| span_to_proto(duration)),
            execution_time: self.first_dispatch().to_proto_opt(),
        }
    }
}

fn run_state(run: &ActivityState) -> PendingActivityState {
    match run.status() {
        ActivityStatus::Scheduled => PendingActivityState::Scheduled,
        ActivityStatus::Started => PendingActivityState::Started,
        ActivityStatus::ResetRequested if run.record.reset_pauses => PendingActivityState::PauseRequested,
        ActivityStatus::ResetRequested => PendingActivityState::Started,
        ActivityStatus::CancelRequested => PendingActivityState::CancelRequested,
        ActivityStatus::Paused => PendingActivityState::Paused,
        ActivityStatus::PauseRequested => PendingActivityState::PauseRequested,
        ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut
        | ActivityStatus::Unspecified => PendingActivityState::Unspecified,
    }
}
