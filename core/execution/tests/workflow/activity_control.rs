//! Activities that people pause, unpause and reset.

use perdure_execution::workflow::{calls::activity_outcome::Outcome, describe::describe, search_attributes};
use perdure_kernel::time::span;
use perdure_proto::api::{
    enums::{EventType, PendingActivityState},
    workflow::{
        PendingActivityInfo,
        pending_activity_info::pause_info::{Manual, PausedBy},
    },
};

use crate::kit::{Kit, make::*, operator::*};

const GONE: &str = "Can't find pending activity with such ID. Invalid activityID or activity already completed";

fn failed() -> Outcome {
    Outcome::Failed { failure: Some(failure("kind").into()), last_heartbeat_details: None }
}

fn completed() -> Outcome {
    Outcome::Completed { result: None }
}

fn shown(kit: &Kit) -> PendingActivityInfo {
    describe(&kit.state, &kit.namespace).pending_activities.remove(0)
}

/// A run with an activity `a` that no worker has.
fn waiting() -> Kit {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a")]);
    kit.skip_news();
    kit
}

fn pause_entries(kit: &Kit) -> Option<String> {
    let payload = search_attributes(&kit.state).indexed_fields.get("TemporalPauseInfo").cloned();
    payload.map(|payload| String::from_utf8(payload.data.to_vec()).unwrap())
}

#[test]
fn a_paused_activity_is_handed_out_when_the_pause_ends() {
    let mut kit = waiting();
    let before = kit.dispatched(kit.activity("a")).unwrap();
    kit.pause_activity(&activity_pause("a")).unwrap();
    let told = shown(&kit);
    assert_eq!((told.state(), told.paused), (PendingActivityState::Paused, true));
    let info = told.pause_info.unwrap();
    assert!(info.pause_time.is_some());
    assert_eq!(info.paused_by, Some(PausedBy::Manual(Manual { identity: "operator".into(), reason: "why".into() })));
    assert_eq!(pause_entries(&kit).as_deref(), Some(r#"["property:activityType=deed"]"#));
    assert!(kit.start_queued(&before, "poll-1").is_err(), "what matching has is void");
    kit.pass(2 * HOUR);
    assert_eq!((kit.news(), kit.new_tasks().len()), (vec![], 0), "no deadline passes");

    // Repeating the request is nothing new; another one is refused.
    kit.pause_activity(&activity_pause("a")).unwrap();
    let mut other = activity_pause("a");
    other.request_id = "pause-2".to_owned();
    assert_eq!(kit.pause_activity(&other).unwrap_err().message, "activity is already paused");

    let mut request = activity_unpause("a");
    request.jitter = secs(10);
    kit.unpause_activity(&request).unwrap();
    assert_eq!((pause_entries(&kit), shown(&kit).state()), (None, PendingActivityState::Scheduled));
    assert!(
        span(shown(&kit).next_attempt_schedule_time.map(|_| perdure_proto::Duration::default()).as_ref()).is_zero()
    );
    let wait = kit.due_in().unwrap();
    assert!(wait < 10 * SECOND, "{wait:?}");
    // The hour of schedule-to-close is long over.
    kit.wake();
    assert_eq!(kit.news(), [EventType::ActivityTaskTimedOut, EventType::WorkflowTaskScheduled]);
}

#[test]
fn a_running_attempt_learns_of_its_pause_and_the_next_one_waits() {
    let mut kit = waiting();
    let token = kit.start_activity("a");
    kit.pause_activity(&activity_pause("a")).unwrap();
    assert_eq!(shown(&kit).state(), PendingActivityState::PauseRequested);
    let told = kit.heartbeat(&token, payloads("half")).unwrap();
    assert!(told.activity_paused && !told.activity_reset && !told.cancel_requested);
    kit.pass(MINUTE);
    assert_eq!(kit.news(), [], "a paused attempt does not time out");

    kit.finish(&token, failed()).unwrap();
    let told = shown(&kit);
    assert_eq!((told.state(), told.attempt), (PendingActivityState::Paused, 2));
    assert_eq!(told.last_failure.as_ref().unwrap().message, "no luck");
    assert_eq!((told.last_worker_identity.as_str(), told.next_attempt_schedule_time), ("activity worker", None));
    kit.pass(MINUTE);
    assert_eq!(kit.new_tasks().len(), 0);

    kit.unpause_activity(&activity_unpause("a")).unwrap();
    let told = shown(&kit);
    assert_eq!((told.state(), told.attempt, told.last_failure), (PendingActivityState::Scheduled, 2, None));
    let token = kit.start_activity("a");
    assert_eq!((token.attempt, &kit.attempt("a").heartbeat_details), (2, &payloads("half")));
    kit.finish(&token, completed()).unwrap();
}

#[test]
fn a_paused_attempt_may_complete_and_attempts_do_not_run_out() {
    let mut kit = waiting();
    for _ in 0..5 {
        let token = kit.start_activity("a");
        kit.pause_activity(&activity_pause("a")).unwrap();
        kit.finish(&token, failed()).unwrap();
        kit.unpause_activity(&activity_unpause("a")).unwrap();
    }
    assert_eq!(kit.attempt("a").attempt, 6);
    let token = kit.start_activity("a");
    kit.pause_activity(&activity_pause("a")).unwrap();
    kit.finish(&token, completed()).unwrap();
    assert!(kit.state.activities.is_empty());
    // As Temporal: named until the next pause or end of one.
    assert_eq!(pause_entries(&kit).as_deref(), Some(r#"["property:activityType=deed"]"#));
}

#[test]
fn a_paused_activity_fails_for_good_or_is_cancelled() {
    let mut kit = waiting();
    let token = kit.start_activity("a");
    kit.pause_activity(&activity_pause("a")).unwrap();
    kit.finish(&token, Outcome::Failed { failure: Some(failure("Fatal").into()), last_heartbeat_details: None })
        .unwrap();
    assert!(kit.state.activities.is_empty());

    let mut kit = waiting();
    kit.signal("wake").unwrap();
    kit.pause_activity(&activity_pause("a")).unwrap();
    kit.turn(vec![cancel_activity(kit.activity("a"))]);
    assert!(kit.state.activities.is_empty());
}

#[test]
fn unpausing_sets_back_what_is_asked_for() {
    let mut kit = waiting();
    let first = kit.start_activity("a");
    kit.heartbeat(&first, payloads("half")).unwrap();
    kit.finish(&first, failed()).unwrap();
    kit.pause_activity(&activity_pause("a")).unwrap();
    assert_eq!(shown(&kit).next_attempt_schedule_time, None);
    let mut request = activity_unpause("a");
    (request.reset_attempts, request.reset_heartbeat) = (true, true);
    kit.unpause_activity(&request).unwrap();
    let token = kit.start_activity("a");
    assert_eq!((token.attempt, &kit.attempt("a").heartbeat_details), (1, &None));
    // What is not paused stays as it is.
    let before = kit.state.clone();
    kit.unpause_activity(&request).unwrap();
    assert_eq!(kit.state, before);
}

#[test]
fn a_reset_begins_again() {
    let mut kit = waiting();
    let token = kit.start_activity("a");
    kit.heartbeat(&token, payloads("half")).unwrap();
    kit.finish(&token, failed()).unwrap();
    let mut request = activity_reset("a");
    request.reset_heartbeat = true;
    kit.reset_activity(&request).unwrap();
    let told = shown(&kit);
    assert_eq!((told.attempt, told.heartbeat_details, told.next_attempt_schedule_time), (1, None, None));
    assert_eq!(kit.news(), []);

    // One that runs goes on, knows of it, and is followed by a second attempt without progress.
    let token = kit.start_activity("a");
    kit.reset_activity(&request).unwrap();
    let told = kit.heartbeat(&token, payloads("more")).unwrap();
    assert!(told.activity_reset);
    kit.finish(&token, failed()).unwrap();
    assert_eq!((kit.attempt("a").attempt, &kit.attempt("a").heartbeat_details), (2, &None));
    kit.pass(SECOND);
    let token = kit.start_activity("a");
    assert!(!kit.heartbeat(&token, None).unwrap().activity_reset);
    // The token of a later attempt is void then, as in Temporal.
    kit.reset_activity(&activity_reset("a")).unwrap();
    assert!(kit.finish(&token, completed()).is_err());
}

#[test]
fn a_reset_ends_a_pause_unless_it_is_to_be_kept() {
    let mut kit = waiting();
    kit.pause_activity(&activity_pause("a")).unwrap();
    let mut request = activity_reset("a");
    request.keep_paused = true;
    kit.reset_activity(&request).unwrap();
    assert_eq!((shown(&kit).state(), kit.new_tasks().len()), (PendingActivityState::Paused, 0));
    request.keep_paused = false;
    kit.reset_activity(&request).unwrap();
    assert_eq!((shown(&kit).state(), kit.new_tasks().len()), (PendingActivityState::Scheduled, 1));
    assert_eq!(pause_entries(&kit), None);
}

#[test]
fn activities_are_named_by_type_or_all_at_once() {
    use perdure_proto::api::workflowservice::{
        pause_activity_request::Activity as Pause, reset_activity_request::Activity as Reset,
        unpause_activity_request::Activity as Unpause,
    };
    let mut kit = Kit::new();
    let kind = |name: &str| Some(perdure_proto::api::common::ActivityType { name: name.to_owned() });
    kit.turn(vec![schedule("a"), schedule_with("b", |command| command.activity_type = kind("other")), schedule("c")]);
    kit.skip_news();
    let mut pause = activity_pause("a");
    pause.activity = Some(Pause::Type("deed".to_owned()));
    kit.pause_activity(&pause).unwrap();
    let paused = |kit: &Kit| ["a", "b", "c"].map(|id| kit.attempt(id).pause.is_some());
    assert_eq!(paused(&kit), [true, false, true]);
    pause.activity = Some(Pause::Type("other".to_owned()));
    kit.pause_activity(&pause).unwrap();
    assert_eq!(pause_entries(&kit).as_deref(), Some(r#"["property:activityType=deed","property:activityType=other"]"#));
    let mut unpause = activity_unpause("a");
    unpause.activity = Some(Unpause::Type("other".to_owned()));
    kit.unpause_activity(&unpause).unwrap();
    assert_eq!(paused(&kit), [true, false, true]);
    unpause.activity = Some(Unpause::UnpauseAll(true));
    kit.unpause_activity(&unpause).unwrap();
    assert_eq!((paused(&kit), kit.new_tasks().len()), ([false; 3], 3));
    let mut reset = activity_reset("a");
    reset.activity = Some(Reset::MatchAll(true));
    kit.reset_activity(&reset).unwrap();
    assert_eq!(kit.new_tasks().len(), 3);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut kit = waiting();
    let refusals = |kit: &mut Kit| {
        [
            kit.pause_activity(&activity_pause("b")).unwrap_err().message,
            kit.unpause_activity(&activity_unpause("b")).unwrap_err().message,
            kit.reset_activity(&activity_reset("b")).unwrap_err().message,
            kit.update_activity(&activity_update("b", Default::default(), &[])).unwrap_err().message,
        ]
    };
    assert_eq!(refusals(&mut kit), [GONE; 4]);
    kit.terminate().unwrap();
    assert_eq!(refusals(&mut kit), ["workflow execution already completed"; 4]);
}
