//! The machine of standalone activities: a table of what happens, and laws that hold on every way.

#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod laws;
mod update_options;

use std::time::Duration;

use bytes::Bytes;
use perdure_execution::{
    activity::{Activities, Input},
    archetype::Machine,
    workflow::calls::activity_outcome::{Outcome, Reporter},
};
use perdure_kernel::{Archetype, BusinessKey, ErrorKind, ExecutionKey, ServiceResult, retry_policy};
use perdure_proto::{
    api::{
        activity::activity_execution_outcome::Value,
        common::{Link, RetryPolicy, link},
        enums::{ActivityExecutionStatus, ActivityIdConflictPolicy, ActivityIdReusePolicy, RetryState},
        workflowservice as ws,
    },
    records::ActivityStatus,
};

use crate::kit::*;

#[test]
fn a_worker_completes_it() {
    let mut kit = Kit::started();
    let task = kit.take_task().unwrap();
    assert_eq!((task.input.clone(), task.attempt), (payloads("input"), 1));
    assert_eq!(kit.take_task().unwrap(), task, "the same match again gets the same answer");
    kit.pass(Duration::from_secs(1));
    kit.report(completed()).unwrap();
    assert_eq!(kit.outcome().value, Some(Value::Result(payloads("done").unwrap())));
    assert_eq!(kit.info().status(), ActivityExecutionStatus::Completed);
    assert_eq!(kit.report(completed()).unwrap_err().kind, ErrorKind::NotFound);
    kit.pass(Duration::from_secs(24 * 3600));
    assert!(kit.run.is_none(), "retention is over");
}

#[test]
fn a_failed_attempt_is_followed_by_another_after_its_backoff() {
    let mut kit = Kit::started();
    kit.take_task().unwrap();
    kit.report(failed(false)).unwrap();
    let info = kit.info();
    assert_eq!((info.attempt, info.current_retry_interval), (2, secs(1)));
    assert_eq!(kit.tasks.len(), 1);
    kit.pass(Duration::from_secs(1));
    assert_eq!(kit.tasks.len(), 2);
    let old = kit.token.clone();
    assert_eq!(kit.take_task().unwrap().attempt, 2);
    let stale = kit.ask::<()>(Input::Report(old, completed(), Reporter::default()));
    assert_eq!(stale.unwrap_err().kind, ErrorKind::NotFound);
    kit.report(failed(true)).unwrap();
    let outcome = kit.outcome();
    assert_eq!(outcome.retry_state(), RetryState::NonRetryableFailure);
    assert_eq!(failure_of(&outcome).message, "broken");
}

#[test]
fn its_times_run_out() {
    // (before, seconds, message of the outcome, cause)
    type Case = (fn(&mut Kit), u64, &'static str, Option<&'static str>);
    let cases: [Case; 4] = [
        (|_| {}, 50, "activity ScheduleToStart timeout", None),
        (
            |kit| {
                let mut policy = RetryPolicy { maximum_attempts: 1, ..Default::default() };
                retry_policy::fill_defaults(&mut policy, &retry_policy::RetryDefaults::default());
                let mut request = request("2");
                request.retry_policy = Some(policy);
                request.heartbeat_timeout = secs(0);
                *kit = Kit::new();
                kit.ask::<()>(Input::Start(Box::new(request))).unwrap();
                kit.take_task().unwrap();
            },
            10,
            "activity StartToClose timeout",
            None,
        ),
        (
            |kit| {
                for _ in 0..25 {
                    kit.pass(Duration::from_millis(500));
                    if kit.take_task().is_err() {
                        kit.pass(Duration::from_secs(1));
                    }
                }
            },
            100,
            "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying",
            Some("activity Heartbeat timeout"),
        ),
        (
            |kit| {
                kit.ask::<()>(Input::Pause(Default::default())).unwrap();
            },
            100,
            "activity ScheduleToClose timeout",
            None,
        ),
    ];
    for (before, seconds, message, cause) in cases {
        let mut kit = Kit::started();
        before(&mut kit);
        for _ in 0..seconds * 4 {
            if kit.run().is_closed() {
                break;
            }
            if cause.is_some() {
                let _nothing_offered = kit.take_task();
            }
            kit.pass(Duration::from_millis(250));
        }
        assert_eq!(kit.status(), ActivityStatus::TimedOut, "{message}");
        let outcome = kit.outcome();
        assert_eq!(failure_of(&outcome).message, message);
        assert_eq!(failure_of(&outcome).cause.as_ref().map(|cause| cause.message.as_str()), cause, "{message}");
    }
}

#[test]
fn a_delayed_start_puts_off_dispatch_and_timeouts() {
    let mut kit = Kit::new();
    let mut delayed = request("1");
    delayed.start_delay = secs(30);
    kit.ask::<()>(Input::Start(Box::new(delayed))).unwrap();
    assert!(kit.tasks.is_empty());
    let info = kit.info();
    let at = |seconds| Some((kit.now + Duration::from_secs(seconds)).to_proto());
    assert_eq!((info.next_attempt_schedule_time, info.expiration_time), (at(30), at(130)));
    kit.pass(Duration::from_secs(30));
    assert_eq!(kit.tasks.len(), 1);
    kit.pass(Duration::from_secs(49));
    assert_eq!(kit.status(), ActivityStatus::Scheduled);
    kit.pass(Duration::from_secs(1));
    assert_eq!(kit.status(), ActivityStatus::TimedOut);
}

#[test]
fn an_id_is_resolved_by_the_policies() {
    let start = |kit: &mut Kit, id: &str, reuse: ActivityIdReusePolicy, conflict: ActivityIdConflictPolicy| {
        let mut request = request(id);
        request.set_id_reuse_policy(reuse);
        request.set_id_conflict_policy(conflict);
        kit.ask::<Box<ws::StartActivityExecutionResponse>>(Input::Start(Box::new(request))).map(|answer| answer.started)
    };
    use ActivityIdConflictPolicy::{Fail, UseExisting};
    use ActivityIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    let taken = |result: ServiceResult<bool>| matches!(result.unwrap_err().kind, ErrorKind::ActivityExecutionAlreadyStarted { start_request_id, .. } if start_request_id == "1");
    let mut kit = Kit::started();
    assert_eq!(start(&mut kit, "1", AllowDuplicate, Fail), Ok(false), "the same request");
    assert!(taken(start(&mut kit, "2", AllowDuplicate, Fail)));
    assert_eq!(start(&mut kit, "2", AllowDuplicate, UseExisting), Ok(false));
    kit.take_task().unwrap();
    kit.report(completed()).unwrap();
    assert!(taken(start(&mut kit, "2", RejectDuplicate, UseExisting)));
    assert!(taken(start(&mut kit, "2", AllowDuplicateFailedOnly, Fail)));
    let first = kit.run().key.run_id.clone();
    assert_eq!(start(&mut kit, "2", AllowDuplicate, Fail), Ok(true));
    assert_ne!(kit.run().key.run_id, first);
    kit.ask::<()>(Input::Terminate(Default::default())).unwrap();
    assert_eq!(start(&mut kit, "3", AllowDuplicateFailedOnly, Fail), Ok(true));
}

#[test]
fn cancellation_waits_for_the_worker_that_has_it() {
    let cancel = |id: &str| {
        Input::RequestCancel(ws::RequestCancelActivityExecutionRequest {
            request_id: id.into(),
            reason: "why".into(),
            identity: "me".into(),
            ..Default::default()
        })
    };
    let mut kit = Kit::started();
    kit.ask::<()>(cancel("1")).unwrap();
    assert_eq!(kit.status(), ActivityStatus::Canceled, "nobody had it");
    assert_eq!(text(kit.ask(cancel("2"))), "activity is in terminal state Canceled");
    kit.ask::<()>(cancel("1")).unwrap();

    let mut kit = Kit::started();
    kit.take_task().unwrap();
    let canceled = || Outcome::Canceled { details: payloads("stopped") };
    assert_eq!(kit.report(canceled()).unwrap_err().kind, ErrorKind::InvalidArgument);
    kit.ask::<()>(cancel("1")).unwrap();
    assert_eq!(text(kit.ask(cancel("2"))), "cancellation already requested with request ID 1");
    let beat: ws::RecordActivityTaskHeartbeatResponse =
        kit.ask(Input::Heartbeat(kit.token.clone(), payloads("half"))).unwrap();
    assert!(beat.cancel_requested);
    kit.report(canceled()).unwrap();
    assert_eq!(failure_of(&kit.outcome()).message, "Activity canceled");

    let mut kit = Kit::started();
    kit.take_task().unwrap();
    kit.ask::<()>(cancel("1")).unwrap();
    kit.report(failed(false)).unwrap();
    assert_eq!((kit.status(), kit.outcome().retry_state()), (ActivityStatus::Failed, RetryState::CancelRequested));
}

#[test]
fn operators_pause_and_reset() {
    let pause = || Input::Pause(Default::default());
    let unpause = || Input::Unpause(Default::default());
    let reset = |keep_paused| {
        Input::Reset(ws::ResetActivityExecutionRequest { keep_paused, reset_heartbeat: true, ..Default::default() })
    };
    let mut kit = Kit::started();
    kit.ask::<()>(pause()).unwrap();
    assert_eq!(text(kit.ask(pause())), "activity is in non-pausable state Paused");
    assert_eq!(kit.take_task().unwrap_err().kind, ErrorKind::StaleTask, "its task is void");
    kit.ask::<()>(unpause()).unwrap();
    assert_eq!(text(kit.ask(unpause())), "activity is in non-unpausable state Scheduled");
    kit.take_task().unwrap();
    kit.ask::<()>(pause()).unwrap();
    kit.report(failed(false)).unwrap();
    assert_eq!((kit.status(), kit.run().attempt.attempt), (ActivityStatus::Paused, 2));
    kit.ask::<()>(reset(true)).unwrap();
    assert_eq!((kit.status(), kit.run().attempt.attempt), (ActivityStatus::Paused, 1));
    kit.ask::<()>(reset(false)).unwrap();
    let first = kit.take_task().unwrap();
    assert_eq!(first.attempt, 1);
    kit.ask::<()>(reset(false)).unwrap();
    assert_eq!(text(kit.ask(reset(false))), "cannot reset an activity with a pending reset");
    let old = kit.token.clone();
    kit.report(failed(false)).unwrap();
    assert_eq!(kit.take_task().unwrap().attempt, 1);
    let stale = kit.ask::<()>(Input::Report(old, completed(), Reporter::default()));
    assert_eq!(stale.unwrap_err().kind, ErrorKind::NotFound, "an attempt of the same number");
    kit.report(completed()).unwrap();
    assert_eq!(text(kit.ask(unpause())), "activity is in terminal state Completed");
}

#[test]
fn links_are_left_with_the_one_that_is_there() {
    let mut kit = Kit::started();
    let attach = |id: &str, job: &str| {
        let mut request = request(id);
        request.set_id_conflict_policy(ActivityIdConflictPolicy::UseExisting);
        request.on_conflict_options =
            Some(perdure_proto::api::common::OnConflictOptions { attach_links: true, ..Default::default() });
        let job = link::BatchJob { job_id: job.into() };
        request.links = vec![Link { variant: Some(link::Variant::BatchJob(job)) }];
        Input::Start(Box::new(request))
    };
    for (id, job) in [("2", "x"), ("2", "y"), ("3", "y")] {
        kit.ask::<()>(attach(id, job)).unwrap();
    }
    assert_eq!(kit.info().links.len(), 2, "a repeated request leaves nothing");
    kit.namespace.limits.links_per_activity_max = 2;
    let full = "cannot attach more than 2 links to an activity (2 links already attached)";
    assert_eq!(text(kit.ask(attach("4", "z"))), full);
}

#[test]
fn what_is_not_an_activity_is_refused() {
    let mut kit = Kit::new();
    assert_eq!(text(kit.ask(Input::Poll)), "activity not found for ID: a");
    let key = ExecutionKey {
        business: BusinessKey { archetype: Archetype::ACTIVITY, ..kit.key.clone() },
        run_id: "r".into(),
    };
    assert!(Activities.restore(key.clone(), Bytes::from_static(b"\xff"), Vec::new()).is_err());
    assert!(Activities.restore(key, Bytes::new(), vec![((99, String::new()), Bytes::new())]).is_err());
}
