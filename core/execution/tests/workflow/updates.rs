//! Updates, and the speculative workflow tasks that carry them.

use perdure_execution::workflow::{NewTask, Standing, UpdateEnd, updates::failed};
use perdure_proto::api::{
    enums::{EventType, TimeoutType, UpdateAdmittedEventOrigin, WorkflowTaskFailedCause},
    protocol::message::SequencingId,
    workflowservice::respond_workflow_task_completed_request::Capabilities,
};

use crate::kit::{Kit, Worker, last, make::*};

/// A run whose worker has answered its first task.
fn idle() -> Kit {
    let mut kit = Kit::new();
    kit.turn(Vec::new());
    kit.skip_news();
    kit
}

#[test]
fn an_update_is_admitted_in_memory_and_its_task_goes_out() {
    let mut kit = idle();
    let stored = kit.stored.clone();
    kit.update("u").unwrap();
    assert_eq!(kit.news(), []);
    assert_eq!(kit.stored, stored);
    assert_eq!(kit.state.find_update("u"), Standing::Admitted);
    let tasks = kit.new_tasks();
    let [NewTask::Workflow(task)] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!((task.scheduled_event_id, task.attempt, task.schedule_to_start), (5, 1, 5_000_000_000));
    // The same again is the same.
    kit.update("u").unwrap();
    assert_eq!(kit.new_tasks(), []);
}

#[test]
fn accepted_and_completed_in_one_task_it_is_four_events_and_two_more() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    assert_eq!(kit.news(), []);
    let [message] = &kit.messages[..] else { panic!("{:?}", kit.messages) };
    assert_eq!((message.id.as_str(), message.protocol_instance_id.as_str()), ("u/request", "u"));
    assert_eq!(message.sequencing_id, Some(SequencingId::EventId(5)));
    let tail = kit.state.transient_tail();
    assert_eq!(tail.iter().map(|event| event.event_id).collect::<Vec<_>>(), [5, 6]);
    let answer = kit.say(vec![accept("u"), respond("u")]);
    assert_eq!(answer.reset_history_event_id, 0);
    assert_eq!(
        kit.news(),
        [
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskCompleted,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::WorkflowExecutionUpdateCompleted,
        ]
    );
    let accepted = last!(kit, WorkflowExecutionUpdateAcceptedEventAttributes);
    assert_eq!(accepted.accepted_request, Some(update_request("u")));
    assert_eq!(accepted.accepted_request_message_id, "u/request");
    assert_eq!(last!(kit, WorkflowExecutionUpdateCompletedEventAttributes).accepted_event_id, 8);
    assert_eq!(kit.state.find_update("u"), Standing::Completed { event_id: 9 });
    assert_eq!((kit.state.updates_in_flight(), kit.state.updates_total()), (0, 1));
}

#[test]
fn a_rejection_leaves_nothing_behind() {
    let mut kit = idle();
    let (events, stored) = (kit.events.len(), kit.stored.clone());
    kit.update("u").unwrap();
    kit.start_task();
    let answer = kit.say(vec![reject("u")]);
    assert_eq!(answer.reset_history_event_id, 3);
    assert_eq!((kit.events.len(), &kit.stored), (events, &stored));
    assert_eq!(kit.state.task(), None);
    assert_eq!(kit.state.find_update("u"), Standing::Unknown);
    let [notice] = &kit.notices[..] else { panic!("{:?}", kit.notices) };
    assert_eq!(notice.end, UpdateEnd::Rejected(Box::new(failure("Rejected"))));
    assert_eq!(kit.state.updates_total(), 0);
}

#[test]
fn an_update_that_the_worker_passes_over_is_rejected() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    let answer = kit.say(Vec::new());
    assert_eq!((answer.reset_history_event_id, kit.news()), (3, Vec::new()));
    let UpdateEnd::Rejected(failure) = &kit.notices[0].end else { panic!("{:?}", kit.notices) };
    assert!(format!("{:?}", failed((**failure).clone())).contains("UnprocessedUpdate"));
}

#[test]
fn a_heartbeat_says_nothing_of_updates_and_makes_the_task_an_ordinary_one() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    let inline = |request: &mut perdure_proto::api::workflowservice::RespondWorkflowTaskCompletedRequest| {
        request.force_create_new_workflow_task = true;
        request.return_new_workflow_task = true;
    };
    kit.update("late").unwrap();
    kit.complete_with(Vec::new(), inline).unwrap();
    // The worker has the first one already.
    assert_eq!(kit.messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["late/request"]);
    assert!(!kit.state.task_is_speculative());
    kit.say(vec![accept("u"), accept("late")]);
    assert_eq!(kit.state.updates_in_flight(), 2);
}

#[test]
fn events_come_with_a_rejected_update_only_to_workers_that_take_them_again() {
    let wake = |kit: &mut Kit| {
        // Options change without a task of their own.
        let attachment = perdure_execution::workflow::calls::attach::Attachment {
            request_id: "request".to_owned(),
            ..Default::default()
        };
        kit.decide(|state, env| perdure_execution::workflow::calls::attach::decide(state, attachment.clone(), env))
            .unwrap();
        kit.skip_news();
    };
    for (discards, events) in [(false, 3), (true, 0)] {
        let mut kit = idle();
        wake(&mut kit);
        kit.update("u").unwrap();
        kit.start_task();
        kit.complete_with(Vec::new(), |request| {
            request.messages = vec![reject("u")];
            request.capabilities = Some(Capabilities { discard_speculative_workflow_task_with_events: discards });
        })
        .unwrap();
        assert_eq!(kit.news().len(), events, "{discards}");
    }
}

#[test]
fn whatever_else_happens_makes_the_task_an_ordinary_one() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.new_tasks();
    kit.signal("s").unwrap();
    assert_eq!(kit.news(), [EventType::WorkflowTaskScheduled, EventType::WorkflowExecutionSignaled]);
    assert_eq!(kit.new_tasks(), [], "matching has it");
    kit.start_task();
    assert_eq!(kit.messages[0].sequencing_id, Some(SequencingId::EventId(6)));
    kit.say(vec![reject("u")]);
    assert_eq!(kit.news(), [EventType::WorkflowTaskStarted, EventType::WorkflowTaskCompleted]);
}

#[test]
fn also_when_a_worker_has_it() {
    let mut kit = idle();
    kit.update("u").unwrap();
    let token = kit.start_task();
    kit.signal("s").unwrap();
    assert_eq!(kit.news(), [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted]);
    assert_eq!(last!(kit, WorkflowTaskStartedEventAttributes).identity, "");
    let answer = kit.complete_as(&token, Vec::new(), |request| request.messages = vec![accept("u")]).unwrap();
    assert_eq!(answer.refused, None);
    assert_eq!(
        kit.news(),
        [
            EventType::WorkflowTaskCompleted,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::WorkflowExecutionSignaled,
            EventType::WorkflowTaskScheduled,
        ]
    );
}

#[test]
fn a_task_that_nobody_takes_becomes_an_ordinary_one() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.new_tasks();
    kit.pass(5 * SECOND);
    assert_eq!(
        kit.news(),
        [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskTimedOut, EventType::WorkflowTaskScheduled]
    );
    assert_eq!(last!(kit, WorkflowTaskTimedOutEventAttributes).timeout_type(), TimeoutType::ScheduleToStart);
    assert_eq!(kit.new_tasks().len(), 1);
    kit.start_task();
    assert_eq!(kit.messages.len(), 1);
}

#[test]
fn a_worker_that_is_lost_is_told_of_in_the_history_and_the_update_goes_out_again() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    kit.pass(10 * SECOND);
    assert_eq!(
        kit.news(),
        [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted, EventType::WorkflowTaskTimedOut]
    );
    kit.start_task();
    assert_eq!(kit.messages.len(), 1);
    kit.fail_task(WorkflowTaskFailedCause::NonDeterministicError).unwrap();
    kit.start_task();
    assert_eq!(kit.messages.len(), 1, "a failure that the worker reports is no word on its updates");
}

#[test]
fn an_update_that_comes_while_a_worker_decides_goes_out_with_the_next_task() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.update("u").unwrap();
    kit.skip_news();
    let answer = kit.complete_with(Vec::new(), |request| request.return_new_workflow_task = true).unwrap();
    assert!(answer.new_task);
    assert_eq!(answer.messages.len(), 1);
    assert!(kit.state.task_is_speculative());
    assert_eq!(kit.news(), [EventType::WorkflowTaskCompleted]);
    kit.say(vec![reject("u")]);
    assert_eq!(kit.news(), []);
    // A worker that does not take the next task at once gets an ordinary one.
    kit.update("v").unwrap();
    kit.start_task();
    kit.update("w").unwrap();
    kit.say(vec![reject("v")]);
    assert_eq!(kit.news(), [EventType::WorkflowTaskScheduled]);
}

#[test]
fn a_message_has_its_place_among_the_commands() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    let commands =
        vec![marker("first"), place("u/Acceptance"), start_timer("t", 5), place("u/Response"), marker("last")];
    kit.complete_with(commands, |request| request.messages = vec![accept("u"), respond("u")]).unwrap();
    assert_eq!(
        kit.news()[3..],
        [
            EventType::MarkerRecorded,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::TimerStarted,
            EventType::WorkflowExecutionUpdateCompleted,
            EventType::MarkerRecorded,
        ]
    );
}

#[test]
fn what_the_server_lost_a_worker_brings_back() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.say(vec![accept_as("u", Some(update_request("u")))]);
    assert_eq!(last!(kit, WorkflowExecutionUpdateAcceptedEventAttributes).accepted_request, Some(update_request("u")));
    assert_eq!(kit.state.find_update("u"), Standing::Accepted);
}

#[test]
fn sent_again_to_the_poller_whose_answer_was_lost() {
    let mut kit = idle();
    kit.update("u").unwrap();
    kit.start_task();
    kit.start_task_as(Worker::default()).unwrap();
    assert_eq!(kit.messages.len(), 1);
}

#[test]
fn a_reset_admits_by_an_event() {
    let mut kit = idle();
    let origin = UpdateAdmittedEventOrigin::Reapply;
    kit.decide(|state, env| {
        perdure_execution::workflow::calls::update::reapply(state, update_request("u"), origin, env)
    })
    .unwrap();
    assert_eq!(kit.news(), [EventType::WorkflowExecutionUpdateAdmitted, EventType::WorkflowTaskScheduled]);
    assert_eq!((kit.state.find_update("u"), kit.state.updates_in_flight()), (Standing::Admitted, 1));
    kit.start_task();
    assert_eq!(kit.messages, [], "the worker reads it in the history");
    kit.say(vec![accept("u"), respond("u")]);
    assert_eq!(last!(kit, WorkflowExecutionUpdateAcceptedEventAttributes).accepted_request, None);
    assert!(matches!(kit.state.find_update("u"), Standing::Completed { .. }));
}

#[test]
fn many_updates_are_a_reason_to_continue_as_new() {
    let mut namespace = kit_namespace();
    namespace.limits.updates_total_suggest = 1;
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.turn(Vec::new());
    kit.update("u").unwrap();
    kit.start_task();
    let reasons = &kit.state.task().unwrap().suggest_continue_as_new;
    let too_many = perdure_proto::api::enums::SuggestContinueAsNewReason::TooManyUpdates;
    assert_eq!(*reasons, [i32::from(too_many)]);
}

fn kit_namespace() -> perdure_kernel::Namespace {
    perdure_kernel::Namespace::new(perdure_kernel::NamespaceId::from("namespace-id"), "namespace")
}

#[test]
fn a_run_that_has_not_begun_takes_updates_and_begins_when_it_is_due() {
    let mut kit = Kit::start(|request| request.workflow_start_delay = secs(60));
    kit.update("u").unwrap();
    kit.start_task();
    kit.say(vec![reject("u")]);
    assert_eq!(kit.news(), [EventType::WorkflowExecutionStarted]);
    kit.pass(60 * SECOND);
    assert_eq!(kit.news(), [EventType::WorkflowTaskScheduled]);
}
