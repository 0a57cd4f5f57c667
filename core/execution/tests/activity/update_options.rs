//! Operators change options.

use std::time::Duration;

use perdure_execution::{activity::Input, archetype::Machine, workflow::calls::activity_outcome::Outcome};
use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{
    FieldMask,
    api::{
        activity::ActivityOptions,
        common::RetryPolicy,
        enums::TimeoutType,
        failure::{Failure, failure::FailureInfo},
        taskqueue::TaskQueue,
        workflowservice as ws,
    },
    records::ActivityStatus,
};

use crate::kit::*;

type Request = ws::UpdateActivityExecutionOptionsRequest;

fn change(paths: &[&str], options: ActivityOptions) -> Request {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Request { update_mask: Some(FieldMask { paths }), activity_options: Some(options), ..Default::default() }
}

fn queue(name: &str) -> Request {
    let task_queue = Some(TaskQueue { name: name.into(), ..Default::default() });
    change(&["task_queue.name"], ActivityOptions { task_queue, ..Default::default() })
}

fn delay(seconds: i64) -> Request {
    change(&["start_delay"], ActivityOptions { start_delay: secs(seconds), ..Default::default() })
}

fn interval(seconds: i64) -> Request {
    let retry_policy = Some(RetryPolicy { initial_interval: secs(seconds), ..Default::default() });
    change(&["retry_policy.initial_interval"], ActivityOptions { retry_policy, ..Default::default() })
}

fn start_to_close(seconds: i64) -> Request {
    let options = ActivityOptions { start_to_close_timeout: secs(seconds), ..Default::default() };
    change(&["start_to_close_timeout"], options)
}

fn restore() -> Request {
    Request { restore_original: true, ..Default::default() }
}

/// One of each kind.
pub(crate) fn changes() -> [Request; 5] {
    [queue("other"), delay(7), interval(3), start_to_close(5), restore()]
}

fn update(kit: &mut Kit, request: Request) -> ServiceResult<ActivityOptions> {
    let answer: Box<ws::UpdateActivityExecutionOptionsResponse> = kit.ask(Input::UpdateOptions(Box::new(request)))?;
    Ok(answer.activity_options.unwrap())
}

fn refusal(result: ServiceResult<ActivityOptions>) -> (ErrorKind, String) {
    let ServiceError { kind, message, .. } = result.unwrap_err();
    (kind, message.into_owned())
}

fn delayed(seconds: i64) -> Kit {
    let mut kit = Kit::new();
    let request = ws::StartActivityExecutionRequest { start_delay: secs(seconds), ..request("1") };
    kit.ask::<Box<ws::StartActivityExecutionResponse>>(Input::Start(Box::new(request))).unwrap();
    kit
}

#[test]
fn a_waiting_attempt_is_handed_out_anew() {
    let mut kit = Kit::started();
    let before = kit.run().start.options.clone().unwrap();
    let old = kit.tasks.last().cloned().unwrap();
    assert_eq!(update(&mut kit, queue("other")).unwrap().task_queue.unwrap().name, "other");
    let new = kit.tasks.last().cloned().unwrap();
    assert_eq!((&*old.task_queue, &*new.task_queue, new.stamp), ("q", "other", old.stamp + 1));
    assert_eq!(kit.info().task_queue, "other");
    assert_eq!(update(&mut kit, restore()).unwrap(), before);
    assert_eq!(kit.tasks.last().unwrap().task_queue, "q");
    kit.tasks.push(new);
    assert_eq!(kit.take_task().unwrap_err().kind, ErrorKind::StaleTask, "the old task is void");
}

#[test]
fn a_repeat_is_answered_with_what_is_in_force() {
    let mut kit = Kit::started();
    let request = Request { request_id: "r".into(), ..start_to_close(5) };
    update(&mut kit, request).unwrap();
    let tasks = kit.tasks.len();
    let repeat = Request { request_id: "r".into(), ..start_to_close(6) };
    assert_eq!(update(&mut kit, repeat).unwrap().start_to_close_timeout, secs(5));
    assert_eq!(kit.tasks.len(), tasks);
}

#[test]
fn a_running_attempt_keeps_its_worker_under_new_timeouts() {
    let mut kit = Kit::started();
    kit.take_task().unwrap();
    kit.pass(Duration::from_secs(1));
    let options = update(&mut kit, start_to_close(2)).unwrap();
    assert_eq!((options.start_to_close_timeout, options.heartbeat_timeout), (secs(2), secs(2)));
    assert_eq!(kit.tasks.len(), 1);
    kit.ask::<ws::RecordActivityTaskHeartbeatResponse>(Input::Heartbeat(kit.token.clone(), None)).unwrap();
    kit.pass(Duration::from_secs(1));
    let info = kit.info();
    let Some(Failure { failure_info: Some(FailureInfo::TimeoutFailureInfo(timeout)), .. }) = info.last_failure else {
        panic!("{info:?}");
    };
    assert_eq!((timeout.timeout_type(), info.attempt), (TimeoutType::StartToClose, 2));
}

#[test]
fn the_whole_ends_by_its_new_timeout() {
    let mut kit = Kit::started();
    let to_close = ActivityOptions { schedule_to_close_timeout: secs(3), ..Default::default() };
    let options = update(&mut kit, change(&["schedule_to_close_timeout"], to_close)).unwrap();
    assert_eq!((options.schedule_to_start_timeout, options.start_to_close_timeout), (secs(3), secs(3)));
    kit.pass(Duration::from_secs(3));
    assert_eq!(kit.status(), ActivityStatus::TimedOut);
}

#[test]
fn a_pending_retry_waits_as_the_new_policy_says() {
    let mut kit = Kit::started();
    kit.take_task().unwrap();
    kit.report(failed(false)).unwrap();
    update(&mut kit, interval(5)).unwrap();
    assert_eq!(kit.info().current_retry_interval, secs(5));
    kit.pass(Duration::from_secs(4));
    assert_eq!(kit.tasks.len(), 1);
    kit.pass(Duration::from_secs(1));
    assert_eq!(kit.take_task().unwrap().attempt, 2);
}

#[test]
fn a_wait_that_the_worker_asked_for_stays() {
    let mut kit = Kit::started();
    kit.take_task().unwrap();
    let Outcome::Failed { failure: Some(mut failure), last_heartbeat_details } = failed(false) else { unreachable!() };
    if let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut failure.failure_info {
        info.next_retry_delay = secs(9);
    }
    kit.report(Outcome::Failed { failure: Some(failure), last_heartbeat_details }).unwrap();
    update(&mut kit, interval(5)).unwrap();
    assert_eq!(kit.info().current_retry_interval, secs(9));
}

#[test]
fn a_start_delay_counts_before_the_first_attempt() {
    let late = "cannot update start_delay: the first activity attempt has already been dispatched";
    let mut kit = delayed(10);
    assert_eq!(update(&mut kit, delay(5)).unwrap().start_delay, secs(5));
    kit.pass(Duration::from_secs(4));
    assert!(kit.tasks.is_empty());
    let negative = refusal(update(&mut kit, delay(-1)));
    assert_eq!(negative, (ErrorKind::InvalidArgument, "invalid StartDelay: negative duration".into()));
    kit.pass(Duration::from_secs(1));
    assert_eq!(kit.tasks.len(), 1);
    assert_eq!(refusal(update(&mut kit, delay(20))), (ErrorKind::FailedPrecondition, late.into()));
    kit.ask::<()>(Input::Pause(Default::default())).unwrap();
    update(&mut kit, delay(20)).unwrap();
    kit.ask::<()>(Input::Unpause(Default::default())).unwrap();
    assert_eq!(kit.tasks.len(), 1, "it waits again");
    kit.pass(Duration::from_secs(15));
    kit.take_task().unwrap();
    assert_eq!(update(&mut kit, restore()).unwrap().start_delay, secs(20), "what is over stays");
    kit.namespace.limits.activity_start_delay = false;
    let text = "start_delay is not enabled for this namespace";
    assert_eq!(refusal(update(&mut kit, delay(1))), (ErrorKind::InvalidArgument, text.into()));
}

#[test]
fn lists_show_another_queue() {
    let mut kit = Kit::started();
    update(&mut kit, start_to_close(5)).unwrap();
    assert!(!kit.shown);
    update(&mut kit, queue("other")).unwrap();
    assert!(kit.shown);
    let row = perdure_execution::activity::Activities.visibility(kit.run()).unwrap();
    assert_eq!(row.task_queue, "other");
}

#[test]
fn what_cannot_be_is_refused() {
    let mut kit = Kit::started();
    let none = change(&["schedule_to_close_timeout", "start_to_close_timeout"], ActivityOptions::default());
    let text = "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId=a ActivityType=charge";
    assert_eq!(refusal(update(&mut kit, none)), (ErrorKind::InvalidArgument, text.into()));
    let text = "MaximumInterval cannot be less than InitialInterval on retry policy.";
    assert_eq!(refusal(update(&mut kit, interval(1000))), (ErrorKind::InvalidArgument, text.into()));
    kit.take_task().unwrap();
    kit.ask::<()>(Input::Reset(Default::default())).unwrap();
    let text = |state| (ErrorKind::FailedPrecondition, format!("Cannot update options for activity in state {state}"));
    assert_eq!(refusal(update(&mut kit, restore())), text("ResetRequested"));
    kit.ask::<()>(Input::Terminate(Default::default())).unwrap();
    assert_eq!(refusal(update(&mut kit, restore())), text("Terminated"));
}
