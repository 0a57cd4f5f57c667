//! A client starts an activity.

use std::sync::Arc;

use perdure_kernel::{
    BusinessKey, ErrorKind, ExecutionKey, ServiceError, ServiceResult,
    search_attributes::add_types,
    time::{span, span_to_proto},
};
use perdure_proto::{
    api::{
        common::{Link, link},
        enums::{ActivityIdConflictPolicy, ActivityIdReusePolicy},
        history::ActivityTaskScheduledEventAttributes,
        workflowservice::{StartActivityExecutionRequest, StartActivityExecutionResponse},
    },
    records::{self, ActivityStatus},
};

use super::{Answer, Reply, state::ActivityState, step::Step};
use crate::{
    Env,
    archetype::{NewRun, Verdict},
    workflow::{commands::activity_options::Timeouts, state::is_null},
};

/// Fills in timeouts that follow from those given, which must be checked already. All four are set afterwards;
/// zero is "none".
///
/// # Errors
///
/// `InvalidArgument`: neither schedule-to-close nor start-to-close is given.
pub fn fill_timeouts(request: &mut StartActivityExecutionRequest) -> ServiceResult<()> {
    let given = Timeouts {
        to_close: span(request.schedule_to_close_timeout.as_ref()),
        to_start: span(request.schedule_to_start_timeout.as_ref()),
        start_to_close: span(request.start_to_close_timeout.as_ref()),
        heartbeat: span(request.heartbeat_timeout.as_ref()),
    };
    let Some(filled) = given.filled(std::time::Duration::ZERO) else {
        let kind = request.activity_type.as_ref().map_or("", |kind| &kind.name);
        return Err(ServiceError::invalid_argument(format!(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId={} ActivityType={kind}",
            request.activity_id
        )));
    };
    request.schedule_to_close_timeout = Some(span_to_proto(filled.to_close));
    request.schedule_to_start_timeout = Some(span_to_proto(filled.to_start));
    request.start_to_close_timeout = Some(span_to_proto(filled.start_to_close));
    request.heartbeat_timeout = Some(span_to_proto(filled.heartbeat));
    Ok(())
}

/// Starts an activity, or answers with the one that has the id.
pub(super) fn decide(
    key: &BusinessKey,
    run: Option<&ActivityState>,
    request: &StartActivityExecutionRequest,
    env: &mut Env<'_>,
) -> ServiceResult<Answer> {
    let Some(run) = run else { return Ok(begin(key, request, env)) };
    if !request.request_id.is_empty() && run.start.request_id == request.request_id {
        return existing(run, request, env);
    }
    let taken = || {
        let kind = ErrorKind::ActivityExecutionAlreadyStarted {
            start_request_id: run.start.request_id.clone(),
            run_id: run.key.run_id.to_string(),
        };
        Err(ServiceError::new(kind, "activity execution already started"))
    };
    if !run.is_closed() {
        return match request.id_conflict_policy() {
            ActivityIdConflictPolicy::UseExisting => existing(run, request, env),
            ActivityIdConflictPolicy::Fail | ActivityIdConflictPolicy::Unspecified => taken(),
        };
    }
    match request.id_reuse_policy() {
        ActivityIdReusePolicy::RejectDuplicate => taken(),
        ActivityIdReusePolicy::AllowDuplicateFailedOnly if run.status() == ActivityStatus::Completed => taken(),
        ActivityIdReusePolicy::AllowDuplicateFailedOnly
        | ActivityIdReusePolicy::AllowDuplicate
        | ActivityIdReusePolicy::Unspecified => Ok(begin(key, request, env)),
    }
}

/// The activity that is there is the answer; the request may leave its links with it.
fn existing(run: &ActivityState, request: &StartActivityExecutionRequest, env: &mut Env<'_>) -> ServiceResult<Answer> {
    let reply = started(&run.key, false, env);
    let attaches = request.on_conflict_options.is_some_and(|options| options.attach_links);
    if !attaches || request.links.is_empty() || run.links.request_ids.contains(&request.request_id) {
        return Ok(Verdict::Reply(reply));
    }
    let refuse = |text: String| Err(ServiceError::new(ErrorKind::FailedPrecondition, text));
    if run.is_closed() {
        return refuse("cannot attach links to a closed activity".to_owned());
    }
    let (count, max) = (run.links.links.len(), env.limits().links_per_activity_max);
    if count + request.links.len() > max {
        return refuse(format!("cannot attach more than {max} links to an activity ({count} links already attached)"));
    }
    let mut step = Step::new(run, env);
    step.links().request_ids.push(request.request_id.clone());
    for link in &request.links {
        if !step.state.links.links.contains(link) {
            step.links().links.push(link.clone());
        }
    }
    Ok(step.finish(reply))
}

/// A new run.
fn begin(key: &BusinessKey, request: &StartActivityExecutionRequest, env: &mut Env<'_>) -> Answer {
    let run_id = env.random.uuid();
    let state = new_state(ExecutionKey { business: key.clone(), run_id: run_id.as_str().into() }, request, env);
    let reply = started(&state.key, true, env);
    let mut step = Step::new(&state, env);
    step.touch_all();
    let attempt = step.attempt();
    attempt.attempt = 1;
    attempt.stamp = 1;
    let at = step.state.first_dispatch();
    step.dispatch_at(at);
    Verdict::Begin(NewRun { run_id, transition: step.transition() }, reply)
}

fn new_state(key: ExecutionKey, request: &StartActivityExecutionRequest, env: &Env<'_>) -> ActivityState {
    let now = env.now;
    let delay = span(request.start_delay.as_ref());
    let mut links: Vec<Link> = Vec::with_capacity(request.links.len());
    for link in &request.links {
        if !links.contains(link) {
            links.push(link.clone());
        }
    }
    let request_ids = if links.is_empty() { Vec::new() } else { vec![request.request_id.clone()] };
    let mut state = ActivityState {
        key,
        record: records::Activity {
            scheduled_time: now.as_nanos(),
            start_delay: i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX),
            ..Default::default()
        },
        start: Arc::default(),
        scheduled: Arc::new(records::ScheduledActivity {
            scheduled_event_id: 0,
            scheduled_time: (now + delay).as_nanos(),
            attributes: Some(ActivityTaskScheduledEventAttributes {
                activity_id: request.activity_id.clone(),
                activity_type: request.activity_type.clone(),
                task_queue: request.task_queue.clone(),
                header: request.header.clone(),
                input: request.input.clone(),
                schedule_to_close_timeout: request.schedule_to_close_timeout,
                schedule_to_start_timeout: request.schedule_to_start_timeout,
                start_to_close_timeout: request.start_to_close_timeout,
                heartbeat_timeout: request.heartbeat_timeout,
                retry_policy: request.retry_policy.clone(),
                priority: request.priority.clone(),
                ..Default::default()
            }),
        }),
        attempt: Arc::default(),
        links: Arc::new(records::ActivityLinks { links, request_ids }),
        outcome: None,
    };
    let mut attributes = request.search_attributes.clone();
    if let Some(attributes) = &mut attributes {
        attributes.indexed_fields.retain(|_, payload| !is_null(payload));
        add_types(attributes, env.namespace);
    }
    state.start = Arc::new(records::ActivityStart {
        request_id: request.request_id.clone(),
        search_attributes: attributes,
        user_metadata: request.user_metadata.clone(),
        options: Some(state.options()),
    });
    state
}

fn started(key: &ExecutionKey, started: bool, env: &Env<'_>) -> Reply {
    let (activity_id, run_id) = (key.business.business_id.to_string(), key.run_id.to_string());
    let link = link::Activity { namespace: env.namespace.name.clone(), activity_id, run_id: run_id.clone() };
    let link = Some(Link { variant: Some(link::Variant::Activity(link)) });
    Reply::Started(Box::new(StartActivityExecutionResponse { run_id, started, link }))
}

/// Checks the policies of a start: those that are not known are refused.
///
/// # Errors
///
/// `InvalidArgument`.
pub fn check_policies(request: &StartActivityExecutionRequest) -> ServiceResult<()> {
    let (reuse, conflict) = (request.id_reuse_policy, request.id_conflict_policy);
    if ActivityIdReusePolicy::try_from(reuse).is_err() {
        return Err(ServiceError::invalid_argument(format!("unsupported ID reuse policy: {reuse}")));
    }
    if ActivityIdConflictPolicy::try_from(conflict).is_err() {
        return Err(ServiceError::invalid_argument(format!("unsupported ID conflict policy: {conflict}")));
    }
    Ok(())
}
