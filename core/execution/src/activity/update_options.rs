//! An operator changes the options of an activity, or brings back those that it was started with.

use std::time::Duration;

use perdure_kernel::{
    Limits, ServiceError, ServiceResult,
    backoff::exponential,
    field_mask::Paths,
    retry_policy,
    time::{span, span_to_proto},
};
use perdure_proto::{
    api::{
        activity::ActivityOptions,
        workflowservice::{UpdateActivityExecutionOptionsRequest, UpdateActivityExecutionOptionsResponse},
    },
    records::ActivityStatus,
};

use super::{
    Answer, Reply,
    operate::{refuse, repeated, retry_due},
    state::{ActivityState, status_name},
    step::Step,
};
use crate::{
    Env,
    archetype::Verdict,
    workflow::{
        activity_mask,
        commands::{activity_options::Timeouts, duration},
    },
};

/// The path of the option that counts only before the first attempt.
const START_DELAY: &str = "startDelay";

/// Puts the options into force. An attempt that waits is handed out anew; one that a worker has goes on under the
/// new timeouts, counted from its start. A repeat is answered with what is in force by then.
pub(super) fn update(
    run: &ActivityState,
    request: &UpdateActivityExecutionOptionsRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    if repeated(&request.request_id, &run.record.update_request_id) {
        return Ok(Verdict::Reply(in_force(run)));
    }
    match run.status() {
        ActivityStatus::Scheduled
        | ActivityStatus::Started
        | ActivityStatus::Paused
        | ActivityStatus::PauseRequested => {}
        ActivityStatus::Unspecified
        | ActivityStatus::CancelRequested
        | ActivityStatus::ResetRequested
        | ActivityStatus::Completed
        | ActivityStatus::Failed
        | ActivityStatus::Canceled
        | ActivityStatus::Terminated
        | ActivityStatus::TimedOut => {
            return refuse(format!("Cannot update options for activity in state {}", status_name(run.status())));
        }
    }
    let mask = request.update_mask.as_ref().map(Paths::of).unwrap_or_default();
    let mut step = Step::new(run, env);
    if request.restore_original {
        step.restore_options();
    } else {
        let from = request.activity_options.clone().unwrap_or_default();
        let options = merged(run, &mask, from, step.env)?;
        step.set_options(options);
    }
    if request.restore_original || mask.has("retryPolicy") || mask.has_part_of("retryPolicy") {
        step.renew_interval();
    }
    step.attempt().stamp += 1;
    if run.status() == ActivityStatus::Scheduled {
        let at = retry_due(&step.state).unwrap_or_else(|| step.not_before_start(step.now()));
        step.dispatch_at(at);
    }
    if !request.request_id.is_empty() {
        step.state.record.update_request_id.clone_from(&request.request_id);
    }
    let answer = in_force(&step.state);
    Ok(step.finish(answer))
}

fn in_force(run: &ActivityState) -> Reply {
    let activity_options = Some(run.options());
    Reply::Options(Box::new(UpdateActivityExecutionOptionsResponse { activity_options }))
}

/// The options in force with the named ones changed, and with what follows from them.
fn merged(
    run: &ActivityState,
    mask: &Paths,
    mut from: ActivityOptions,
    env: &Env<'_>,
) -> ServiceResult<ActivityOptions> {
    let limits = env.limits();
    if mask.has(START_DELAY) {
        let delay = start_delay(run, &from, env)?;
        // One that is not given is none.
        from.start_delay = from.start_delay.map(|_| span_to_proto(delay));
    }
    let mut options = run.options();
    activity_mask::merge(mask, &mut options, &from)?;
    if mask.has_part_of("retryPolicy")
        && let Some(policy) = &mut options.retry_policy
    {
        retry_policy::validate_and_cap(policy, limits.duration_max)?;
    }
    fill_timeouts(run, &mut options, limits)?;
    Ok(options)
}

/// The start delay that is asked for, while there is still something to delay.
fn start_delay(run: &ActivityState, from: &ActivityOptions, env: &Env<'_>) -> ServiceResult<Duration> {
    let limits = env.limits();
    let invalid = |text: String| ServiceError::invalid_argument(text);
    let delay = duration(from.start_delay.as_ref(), limits.duration_max)
        .map_err(|why| invalid(format!("invalid StartDelay: {why}")))?;
    if !delay.is_zero() && !limits.activity_start_delay {
        return Err(invalid("start_delay is not enabled for this namespace".to_owned()));
    }
    let waits = run.first_dispatch() > env.now;
    let never_started = run.record.first_started_time == 0 && run.status() == ActivityStatus::Paused;
    if waits || never_started {
        return Ok(delay);
    }
    refuse("cannot update start_delay: the first activity attempt has already been dispatched")
}

/// Fills in timeouts that follow from others, and cuts those that others bound.
fn fill_timeouts(run: &ActivityState, options: &mut ActivityOptions, limits: &Limits) -> ServiceResult<()> {
    let given = [
        options.schedule_to_close_timeout.as_ref(),
        options.schedule_to_start_timeout.as_ref(),
        options.start_to_close_timeout.as_ref(),
        options.heartbeat_timeout.as_ref(),
    ];
    let timeouts = Timeouts::checked(given, limits.duration_max)
        .map_err(|(field, why)| ServiceError::invalid_argument(format!("invalid {field}: {why}")))?;
    let Some(timeouts) = timeouts.filled(Duration::ZERO) else {
        let attributes = run.scheduled.attributes.as_ref();
        let kind = attributes.and_then(|attributes| attributes.activity_type.as_ref()).map_or("", |kind| &kind.name);
        return Err(ServiceError::invalid_argument(format!(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId={} ActivityType={kind}",
            run.activity_id()
        )));
    };
    timeouts.write(options);
    Ok(())
}

impl Step<'_, '_> {
    /// The wait before a pending retry follows the policy in force, unless a worker said how long it is.
    fn renew_interval(&mut self) {
        let state = &self.state;
        let follows_policy = !state.record.interval_from_worker && state.attempt.retry_interval > 0;
        if state.worker_has_it() || !follows_policy {
            return;
        }
        let Some(policy) = state.retry_policy() else { return };
        let (initial, longest) = (span(policy.initial_interval.as_ref()), span(policy.maximum_interval.as_ref()));
        let interval = exponential(initial, policy.backoff_coefficient, longest, state.attempt.attempt - 1);
        self.attempt().retry_interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    }
}
