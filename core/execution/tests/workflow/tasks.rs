//! The workflow task: attempts, timeouts, heartbeats, answers out of turn.

use perdure_kernel::{ErrorKind, Namespace, NamespaceId};
use perdure_proto::api::{
    enums::{EventType as K, SuggestContinueAsNewReason, TimeoutType, WorkflowTaskFailedCause as Cause},
    history::history_event::Attributes,
};

use crate::kit::{Kit, Worker, last, make::*};

#[test]
fn a_first_attempt_writes_its_events() {
    let mut kit = Kit::new();
    assert_eq!(kit.news(), [K::WorkflowExecutionStarted, K::WorkflowTaskScheduled]);
    kit.start_task();
    assert_eq!(kit.news(), [K::WorkflowTaskStarted]);
    kit.complete(vec![]).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskCompleted]);
    let scheduled = last!(kit, WorkflowTaskScheduledEventAttributes);
    assert_eq!((scheduled.attempt, scheduled.start_to_close_timeout), (1, secs(10)));
    assert_eq!(scheduled.task_queue.unwrap().name, "queue");
    let completed = last!(kit, WorkflowTaskCompletedEventAttributes);
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (2, 3));
    assert_eq!(kit.state.record.last_completed_started_event_id, 3);
}

#[test]
fn later_attempts_write_nothing_until_one_completes() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
    kit.skip_news();
    for attempt in 2..=4 {
        assert_eq!(kit.start_task().attempt, attempt);
        // Events of this attempt are shown to the worker under the ids they would have.
        let tail = kit.state.transient_tail();
        assert_eq!(tail.iter().map(|event| event.event_id).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(tail[0].event_type(), K::WorkflowTaskScheduled);
        assert_eq!(tail[1].event_type(), K::WorkflowTaskStarted);
        if attempt == 3 {
            kit.pass(10 * SECOND);
        } else if attempt < 4 {
            kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
        }
        assert_eq!(kit.news(), []);
    }
    assert_eq!(kit.state.volatile.run.task_problems, 3);
    kit.tick(SECOND);
    let started_at = kit.now - SECOND;
    kit.complete(vec![marker("m")]).unwrap();
    assert_eq!(
        kit.news(),
        [K::WorkflowTaskScheduled, K::WorkflowTaskStarted, K::WorkflowTaskCompleted, K::MarkerRecorded]
    );
    assert_eq!(last!(kit, WorkflowTaskScheduledEventAttributes).attempt, 4);
    assert_eq!(kit.events[5].event_time, Some(started_at.to_proto()));
    let completed = last!(kit, WorkflowTaskCompletedEventAttributes);
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (5, 6));
    assert_eq!(kit.state.volatile.run.task_problems, 0);
    kit.signal("next").unwrap();
    assert_eq!(kit.start_task().attempt, 1);
}

#[test]
fn a_retried_task_becomes_an_ordinary_one_when_events_came_before_its_start() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
    kit.signal("news").unwrap();
    kit.skip_news();
    // The task that matching has is the one that was scheduled before the signal.
    kit.start_exactly(5, 2, Worker::default()).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskScheduled, K::WorkflowTaskStarted]);
    let token = kit.token();
    assert_eq!((token.scheduled_event_id, token.started_event_id, token.attempt), (6, 7, 1));
    kit.complete(vec![]).unwrap();
}

#[test]
fn a_retried_task_with_waiting_events_is_followed_by_a_first_attempt() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
    kit.start_task();
    kit.signal("news").unwrap();
    kit.skip_news();
    kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
    assert_eq!(kit.news(), [K::WorkflowExecutionSignaled, K::WorkflowTaskScheduled]);
    assert_eq!(kit.start_task().attempt, 1);
}

#[test]
fn a_worker_that_takes_too_long_loses_the_task() {
    let mut kit = Kit::new();
    let token = kit.start_task();
    kit.pass(9 * SECOND);
    kit.skip_news();
    kit.pass(SECOND);
    assert_eq!(kit.news(), [K::WorkflowTaskTimedOut]);
    let timed_out = last!(kit, WorkflowTaskTimedOutEventAttributes);
    assert_eq!(timed_out.timeout_type(), TimeoutType::StartToClose);
    assert_eq!((timed_out.scheduled_event_id, timed_out.started_event_id), (2, 3));
    let error = kit.complete_as(&token, vec![], |_| {}).unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "Workflow task not found."));
    assert_eq!(kit.start_task().attempt, 2);
}

#[test]
fn attempts_after_the_third_get_more_time() {
    let mut kit = Kit::new();
    let mut timeouts = Vec::new();
    for _ in 1..=14 {
        kit.start_task();
        timeouts.push(kit.due_in().unwrap().as_secs_f64());
        kit.fail_task(Cause::WorkflowWorkerUnhandledFailure).unwrap();
    }
    assert_eq!(timeouts[..3], [10.0, 10.0, 10.0]);
    let extras = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0, 600.0];
    for (timeout, extra) in timeouts[3..].iter().zip(extras) {
        assert!((10.0 + 0.8 * extra..=10.0 + extra).contains(timeout), "{timeouts:?}");
    }
}

#[test]
fn tokens_of_other_tasks_are_refused() {
    let mut kit = Kit::new();
    let good = kit.start_task();
    let stale = [
        perdure_proto::tokens::WorkflowTask { scheduled_event_id: 1, ..good.clone() },
        perdure_proto::tokens::WorkflowTask { started_event_id: 9, ..good.clone() },
        perdure_proto::tokens::WorkflowTask { started_time: 9, ..good.clone() },
        perdure_proto::tokens::WorkflowTask { attempt: 2, ..good.clone() },
    ];
    for token in stale {
        assert_eq!(kit.complete_as(&token, vec![], |_| {}).unwrap_err().kind, ErrorKind::NotFound, "{token:?}");
    }
    kit.complete_as(&good, vec![], |_| {}).unwrap();
    assert_eq!(kit.complete_as(&good, vec![], |_| {}).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_task_goes_to_one_poller() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    let poll = |kit: &mut Kit, request_id| kit.start_exactly(2, 1, Worker { request_id, sticky_queue: None });
    poll(&mut kit, "poll-1").unwrap();
    assert_eq!(poll(&mut kit, "poll-2").unwrap_err().kind, ErrorKind::StaleTask);
    assert_eq!(kit.news(), []);
    kit.complete(vec![]).unwrap();
    assert_eq!(poll(&mut kit, "poll-1").unwrap_err().kind, ErrorKind::StaleTask);
    kit.signal("next").unwrap();
    assert_eq!(poll(&mut kit, "poll-3").unwrap_err().kind, ErrorKind::StaleTask, "an old task of the queue");
}

#[test]
fn heartbeats_keep_the_task_for_half_an_hour() {
    let mut kit = Kit::new();
    kit.start_task();
    let begin = kit.state.task().unwrap().original_scheduled_time;
    let beat = |kit: &mut Kit| {
        kit.complete_with(vec![], |request| {
            request.force_create_new_workflow_task = true;
            request.return_new_workflow_task = true;
            request.sticky_attributes = Some(sticky("sticky", 5));
        })
    };
    for _ in 0..225 {
        kit.pass(8 * SECOND);
        let answer = beat(&mut kit).unwrap();
        assert!(answer.new_task && answer.refused.is_none());
        assert_eq!(kit.state.task().unwrap().original_scheduled_time, begin);
    }
    kit.skip_news();
    kit.pass(8 * SECOND);
    let refused = beat(&mut kit).unwrap().refused.unwrap();
    assert_eq!((refused.kind, &*refused.message), (ErrorKind::NotFound, "workflow task heartbeat timeout"));
    assert_eq!(kit.news(), [K::WorkflowTaskTimedOut, K::WorkflowTaskScheduled]);
    assert_eq!(kit.state.volatile.run.sticky_queue, "");
    assert_eq!(kit.new_tasks().len(), 1);
}

#[test]
fn commands_begin_a_new_chain_of_heartbeats() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.pass(8 * SECOND);
    kit.complete_with(vec![marker("m")], |request| request.force_create_new_workflow_task = true).unwrap();
    assert_eq!(kit.state.task().unwrap().original_scheduled_time, kit.now.as_nanos());
}

#[test]
fn a_forced_task_comes_inline_when_the_worker_wants_it() {
    for inline in [true, false] {
        let mut kit = Kit::new();
        kit.start_task();
        kit.skip_news();
        let answer = kit.complete_with(vec![], |request| {
            request.force_create_new_workflow_task = true;
            request.return_new_workflow_task = inline;
        });
        assert_eq!(answer.unwrap().new_task, inline);
        let mut expected = vec![K::WorkflowTaskCompleted, K::WorkflowTaskScheduled];
        expected.extend(inline.then_some(K::WorkflowTaskStarted));
        assert_eq!(kit.news(), expected);
        assert_eq!(kit.new_tasks().len(), usize::from(!inline));
    }
    let mut kit = Kit::new();
    kit.start_task();
    let answer = kit.complete_with(vec![], |request| request.return_new_workflow_task = true).unwrap();
    assert!(!answer.new_task, "nothing asks for a task");
}

#[test]
fn a_refused_answer_is_not_followed_inline() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.skip_news();
    let answer = kit.complete_with(vec![start_timer("", 1)], |request| {
        request.force_create_new_workflow_task = true;
        request.return_new_workflow_task = true;
    });
    assert!(!answer.unwrap().new_task);
    assert_eq!(kit.news(), [K::WorkflowTaskFailed]);
    assert_eq!(kit.new_tasks().len(), 1, "the second attempt goes through matching");
}

#[test]
fn the_started_event_says_how_large_the_history_is() {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.limits.history_count_suggest = 6;
    namespace.limits.history_size_suggest = 1_000;
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.start_task();
    let started = last!(kit, WorkflowTaskStartedEventAttributes);
    assert!(!started.suggest_continue_as_new && started.history_size_bytes > 0);
    kit.complete_with(vec![], |request| request.force_create_new_workflow_task = true).unwrap();
    kit.start_task();
    let started = last!(kit, WorkflowTaskStartedEventAttributes);
    assert!(started.suggest_continue_as_new);
    let many: i32 = SuggestContinueAsNewReason::TooManyHistoryEvents.into();
    assert_eq!(started.suggest_continue_as_new_reasons, [many]);
    let Attributes::WorkflowTaskStartedEventAttributes(_) = kit.event(6) else { panic!("sixth event") };
    kit.complete(vec![schedule_with("a", |activity| activity.input = bulk(1_000))]).unwrap();
    kit.signal("next").unwrap();
    kit.start_task();
    let large: i32 = SuggestContinueAsNewReason::HistorySizeTooLarge.into();
    assert_eq!(last!(kit, WorkflowTaskStartedEventAttributes).suggest_continue_as_new_reasons, [large, many]);
}

#[test]
fn a_worker_says_why_it_failed() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(Cause::NonDeterministicError).unwrap();
    let failed = last!(kit, WorkflowTaskFailedEventAttributes);
    assert_eq!(
        (failed.cause(), failed.scheduled_event_id, failed.started_event_id),
        (Cause::NonDeterministicError, 2, 3)
    );
    assert_eq!((failed.failure.unwrap().message.as_str(), failed.identity.as_str()), ("no luck", "worker"));
    assert_eq!(kit.fail_task(Cause::NonDeterministicError).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn causes_that_are_not_the_workflows_fault_do_not_count_as_attempts() {
    for cause in [Cause::ResetWorkflow, Cause::FailoverCloseCommand] {
        let mut kit = Kit::new();
        kit.start_task();
        kit.fail_task(cause).unwrap();
        assert_eq!(kit.start_task().attempt, 1, "{cause:?}");
    }
}

#[test]
fn an_answer_too_large_to_send_ends_the_run() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.signal("waits").unwrap();
    kit.skip_news();
    kit.fail_task(Cause::GrpcMessageTooLarge).unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskFailed, K::WorkflowExecutionSignaled, K::WorkflowExecutionTerminated]);
    let terminated = last!(kit, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!((terminated.reason.as_str(), terminated.identity.as_str()), ("GrpcMessageTooLarge", "history-service"));
}

#[test]
fn marked_binaries_are_refused() {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.bad_binaries.insert("broken".to_owned(), "it crashes".to_owned());
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.start_task();
    let answer = kit.complete_with(vec![complete("x")], |request| request.binary_checksum = "broken".to_owned());
    let text = answer.unwrap().refused.unwrap().message;
    assert!(text.starts_with("BadBinary: binary broken is marked as bad deployment"), "{text}");
    assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).cause(), Cause::BadBinary);
    assert!(kit.state.is_open());
}
