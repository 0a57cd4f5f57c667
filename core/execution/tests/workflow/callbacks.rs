//! Completion callbacks and the requests that attach them.

use std::time::Duration;

use perdure_execution::{
    completion::Outcome,
    workflow::{
        CallbackId, NewTask, Signal,
        callbacks::Delivery,
        calls::{
            attach::{self, Attachment},
            callback_tried,
        },
        describe::describe,
        id_policy::{IdPolicies, Resolution, resolve},
    },
};
use perdure_kernel::{ServiceResult, Timestamp, random::SplitMix};
use perdure_proto::api::{
    common::{Callback, callback, link::workflow_event::Reference},
    enums::{CallbackState, EventType, WorkflowIdConflictPolicy},
};

use crate::kit::{Kit, make::*};

fn callback(url: &str) -> Callback {
    let nexus = callback::Nexus { url: url.to_owned(), ..Default::default() };
    Callback { variant: Some(callback::Variant::Nexus(nexus)), ..Default::default() }
}

fn with_callbacks(count: usize) -> Kit {
    Kit::start(|request| {
        request.completion_callbacks = (0..count).map(|at| callback(&format!("http://{at}"))).collect()
    })
}

fn id(request_id: &str, index: i32) -> CallbackId {
    CallbackId { request_id: request_id.to_owned(), index }
}

fn attach(kit: &mut Kit, request_id: &str, count: usize) -> ServiceResult<()> {
    let callbacks: Vec<_> = (0..count).map(|at| callback(&format!("http://{request_id}{at}"))).collect();
    kit.decide(|state, env| {
        let callbacks = callbacks.clone();
        attach::decide(state, Attachment { request_id: request_id.to_owned(), callbacks, ..Default::default() }, env)
    })
}

fn tried(kit: &mut Kit, id: &CallbackId, attempt: i32, delivery: &Delivery) {
    kit.decide(|state, env| Ok(callback_tried::decide(state, id, attempt, delivery.clone(), env))).unwrap();
}

/// Callbacks to deliver since the last look: request, place and attempt.
fn sent(kit: &mut Kit) -> Vec<(String, i32, i32)> {
    let tasks = kit.new_tasks().into_iter();
    tasks
        .filter_map(|task| match task {
            NewTask::Callback(task) => Some((task.request_id, task.index, task.attempt)),
            _ => None,
        })
        .collect()
}

fn states(kit: &Kit) -> Vec<CallbackState> {
    describe(&kit.state, &kit.namespace).callbacks.iter().map(|shown| shown.state()).collect()
}

fn finish(kit: &mut Kit, command: perdure_proto::api::command::Command) {
    kit.start_task();
    kit.complete(vec![command]).unwrap();
}

#[test]
fn callbacks_stand_by_until_the_end_and_are_then_delivered_once() {
    let mut kit = with_callbacks(2);
    assert_eq!(states(&kit), [CallbackState::Standby; 2]);
    finish(&mut kit, complete("done"));
    assert_eq!(sent(&mut kit), [(String::new(), 0, 0), (String::new(), 1, 0)]);
    assert_eq!(states(&kit), [CallbackState::Scheduled; 2]);
    tried(&mut kit, &id("", 0), 0, &Delivery::Succeeded);
    tried(&mut kit, &id("", 1), 0, &Delivery::Failed("no".to_owned()));
    let shown = describe(&kit.state, &kit.namespace).callbacks;
    assert_eq!(shown[0].state(), CallbackState::Succeeded);
    assert_eq!((shown[0].attempt, shown[0].last_attempt_failure.clone()), (1, None));
    assert_eq!(shown[1].state(), CallbackState::Failed);
    assert_eq!(shown[1].last_attempt_failure.as_ref().unwrap().message, "no");
    kit.skip_news();
    tried(&mut kit, &id("", 0), 0, &Delivery::Retry("late".to_owned()));
    tried(&mut kit, &id("nobody", 0), 0, &Delivery::Succeeded);
    kit.pass(Duration::from_secs(12 * 3600));
    assert_eq!(sent(&mut kit), []);
    assert_eq!(states(&kit), [CallbackState::Succeeded, CallbackState::Failed]);
}

#[test]
fn tries_back_off_up_to_an_hour() {
    let mut kit = with_callbacks(1);
    kit.terminate().unwrap();
    let mut waits = Vec::new();
    for attempt in 0..15 {
        assert_eq!(sent(&mut kit), [(String::new(), 0, attempt)]);
        tried(&mut kit, &id("", 0), attempt, &Delivery::Retry("down".to_owned()));
        assert_eq!(states(&kit), [CallbackState::BackingOff]);
        let shown = &describe(&kit.state, &kit.namespace).callbacks[0];
        let next = Timestamp::from_proto(shown.next_attempt_schedule_time.as_ref().unwrap());
        waits.push(next.since(kit.now));
        kit.pass(next.since(kit.now));
        assert_eq!(states(&kit), [CallbackState::Scheduled]);
        assert_eq!(describe(&kit.state, &kit.namespace).callbacks[0].next_attempt_schedule_time, None);
    }
    for (attempt, wait) in (0..).zip(&waits) {
        let full = Duration::from_secs(1 << attempt.min(12)).min(Duration::from_secs(3600));
        assert!((full.mul_f64(0.8)..=full).contains(wait), "attempt {attempt}: {wait:?}");
    }
    kit.pass(Duration::from_secs(3 * 24 * 3600));
    assert!(kit.deleted, "retention does not wait for a callback");
}

#[test]
fn the_next_run_of_a_chain_inherits_what_stands_by() {
    let mut kit = with_callbacks(1);
    attach(&mut kit, "later", 1).unwrap();
    finish(&mut kit, continue_with(|_| {}));
    assert_eq!(sent(&mut kit), []);
    assert_eq!(states(&kit), [CallbackState::Standby; 2], "the old run keeps them as they were");
    let mut next = kit.next().clone();
    assert_eq!(next.state.start.completion_callbacks, [callback("http://0"), callback("http://later0")]);
    next.pass(Duration::from_secs(2));
    finish(&mut next, complete("done"));
    assert_eq!(sent(&mut next), [(String::new(), 0, 0), (String::new(), 1, 0)]);
}

#[test]
fn a_retry_carries_on_and_the_last_failure_ends() {
    let mut kit = Kit::start(|request| {
        request.completion_callbacks = vec![callback("http://a")];
        request.retry_policy = retries(2);
    });
    finish(&mut kit, fail(failure("kind")));
    assert_eq!(sent(&mut kit), []);
    let mut next = kit.next().clone();
    next.pass(Duration::from_secs(60));
    finish(&mut next, fail(failure("kind")));
    assert_eq!(sent(&mut next), [(String::new(), 0, 0)]);
}

#[test]
fn cron_tells_of_its_first_run() {
    let mut kit = Kit::start(|request| {
        request.completion_callbacks = vec![callback("http://a")];
        request.cron_schedule = "* * * * *".to_owned();
    });
    kit.pass(Duration::from_secs(60));
    finish(&mut kit, complete("done"));
    assert_eq!(sent(&mut kit), [(String::new(), 0, 0)]);
    assert_eq!(kit.next().state.start.completion_callbacks, []);
}

#[test]
fn a_start_attaches_to_the_run_it_finds_also_while_a_worker_decides() {
    let mut kit = with_callbacks(1);
    kit.start_task();
    kit.skip_news();
    attach(&mut kit, "waiting", 1).unwrap();
    assert_eq!(kit.news(), []);
    let told = describe(&kit.state, &kit.namespace);
    assert_eq!(told.callbacks.len(), 2);
    let info = |told: &perdure_proto::api::workflowservice::DescribeWorkflowExecutionResponse| {
        let info = &told.workflow_extended_info.as_ref().unwrap().request_id_infos["waiting"];
        (info.event_type(), info.event_id, info.buffered)
    };
    assert_eq!(info(&told), (EventType::WorkflowExecutionOptionsUpdated, 0, true));
    kit.complete(vec![]).unwrap();
    assert_eq!(info(&describe(&kit.state, &kit.namespace)), (EventType::WorkflowExecutionOptionsUpdated, 5, false));
    assert!(kit.events[4].worker_may_ignore);
    let policies = IdPolicies::normalised(0, 0, WorkflowIdConflictPolicy::Fail);
    let mut random = SplitMix::new(1);
    let env = perdure_execution::Env { now: kit.now, namespace: &kit.namespace, random: &mut random };
    assert_eq!(resolve(&kit.state, policies, "waiting", &env), Ok(Resolution::RepeatAttached));
    kit.terminate().unwrap();
    assert_eq!(sent(&mut kit), [(String::new(), 0, 0), ("waiting".to_owned(), 0, 0)]);
    let refused = attach(&mut kit, "late", 1).unwrap_err();
    assert_eq!(refused.message, "workflow execution already completed");
}

#[test]
fn there_is_room_for_so_many() {
    let mut namespace = Kit::new().namespace;
    namespace.limits.callbacks_per_execution_max = 3;
    let mut kit = Kit::start_in(namespace, |request| request.completion_callbacks = vec![callback("http://a")]);
    let refused = attach(&mut kit, "r", 3).unwrap_err();
    assert_eq!(refused.message, "cannot attach more than 3 callbacks to a workflow (1 callbacks already attached)");
    attach(&mut kit, "r", 2).unwrap();
    attach(&mut kit, "empty", 0).unwrap();
    assert_eq!(kit.state.callbacks.len(), 3);
}

#[test]
fn what_is_told_of_each_end() {
    let told = |end: &dyn Fn(&mut Kit), name: &str| {
        let mut kit = with_callbacks(1);
        attach(&mut kit, "r", 1).unwrap();
        end(&mut kit);
        let close = kit.events.last().unwrap().clone();
        let of = |id| kit.state.completion(&id, "space", &close).unwrap();
        let (first, second) = (of(id("", 0)), of(id("r", 0)));
        assert_eq!((first.link.namespace.as_str(), first.link.run_id.as_str()), ("space", "run-1"), "{name}");
        assert!(matches!(first.link.reference, Some(Reference::EventRef(event)) if event.event_id == 1));
        assert!(matches!(second.link.reference, Some(Reference::RequestIdRef(request)) if request.request_id == "r"));
        assert_eq!(first.outcome, second.outcome);
        first.outcome
    };
    let result = payloads("done").unwrap().payloads[0].clone();
    assert_eq!(told(&|kit| finish(kit, complete("done")), "complete"), Outcome::Succeeded(Some(result)));
    let message = |outcome| match outcome {
        Outcome::Failed(failure) => format!("failed: {}", failure.message),
        Outcome::Canceled(failure) => format!("canceled: {}", failure.message),
        Outcome::Succeeded(_) => "succeeded".to_owned(),
    };
    let why = failure("Fatal").message;
    assert_eq!(message(told(&|kit| finish(kit, fail(failure("Fatal"))), "fail")), format!("failed: {why}"));
    assert_eq!(message(told(&|kit| finish(kit, cancel_workflow()), "cancel")), "canceled: operation canceled");
    assert_eq!(message(told(&|kit| kit.terminate().unwrap(), "terminate")), "failed: operation terminated");
}

#[test]
fn a_repeated_signal_is_no_error_once_the_run_is_closed() {
    let mut kit = Kit::new();
    let signal = || -> Signal { signal("s", "known") };
    kit.signal_with(signal(), false).unwrap();
    kit.terminate().unwrap();
    kit.signal_with(signal(), false).unwrap();
    assert!(kit.signal("s").is_err());
}
