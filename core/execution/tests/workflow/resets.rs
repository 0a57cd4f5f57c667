//! ResetWorkflowExecution.

use perdure_execution::workflow::{
    NewTask,
    calls::{
        activity_outcome::Outcome,
        attach::{self, Attachment},
        reset,
    },
    describe::describe,
};
use perdure_kernel::ErrorKind;
use perdure_proto::{
    FieldMask,
    api::{
        common::Priority,
        enums::{EventType as E, ResetReapplyExcludeType, ResetReapplyType, WorkflowExecutionStatus as Status},
        workflow::{
            PostResetOperation, WorkflowExecutionOptions,
            post_reset_operation::{SignalWorkflow, UpdateWorkflowOptions, Variant},
        },
    },
};

use crate::kit::{BEGIN, Kit, last, make::*};

/// The run that a reset makes.
fn after_reset(kit: &mut Kit, finish_event_id: i64) -> Kit {
    kit.reset(finish_event_id, |_| {}).unwrap();
    *kit.successor.take().unwrap()
}

#[test]
fn a_run_goes_on_from_an_answered_task() {
    let mut kit = Kit::start(|request| {
        request.workflow_execution_timeout = secs(1000);
        request.workflow_run_timeout = secs(100);
    });
    kit.turn(vec![schedule("a"), start_timer("t", 60)]);
    kit.tick(5 * SECOND);
    let mut once = signal("s", "signal-1");
    once.attributes.request_id = "signal-1".to_owned();
    kit.signal_with(once.clone(), false).unwrap();
    kit.cancel().unwrap();
    kit.skip_news();
    let mut next = after_reset(&mut kit, 4);
    assert_eq!(kit.news(), [E::WorkflowExecutionTerminated]);
    let ended = last!(kit, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!((ended.reason.as_str(), ended.identity.as_str()), ("once more", "history-resetter"));
    let told = describe(&kit.state, &kit.namespace).workflow_extended_info.unwrap();
    assert_eq!(told.reset_run_id, next.state.run_id());

    assert_eq!(
        next.news(),
        [
            E::WorkflowExecutionStarted,
            E::WorkflowTaskScheduled,
            E::WorkflowTaskStarted,
            E::WorkflowTaskFailed,
            E::WorkflowExecutionSignaled,
            E::WorkflowTaskScheduled,
        ]
    );
    let failed = last!(next, WorkflowTaskFailedEventAttributes);
    assert_eq!((failed.base_run_id.as_str(), failed.new_run_id.as_str()), ("run-1", next.state.run_id()));
    assert_eq!(failed.failure.unwrap().message, "once more");
    assert_eq!(next.state.first_run_id(), "run-1");
    let told = describe(&next.state, &next.namespace);
    let (info, more) = (told.workflow_execution_info.unwrap(), told.workflow_extended_info.unwrap());
    let now = Some(kit.now.to_proto());
    assert_eq!((info.start_time, info.execution_time, more.last_reset_time), (now, now, now));
    assert_eq!(more.original_start_time, Some(BEGIN.to_proto()));
    assert_eq!(more.execution_expiration_time, Some((kit.now + 1000 * SECOND).to_proto()));
    assert_eq!(more.run_expiration_time, Some((kit.now + 100 * SECOND).to_proto()));
    // A signal that was done again is known by its request id, and the start by its own.
    next.skip_news();
    next.signal_with(once, false).unwrap();
    assert_eq!(next.news(), []);
    assert_eq!(next.state.volatile.run.create_request_id, "start-1");
    next.turn(vec![complete("done")]);
}

#[test]
fn a_task_that_no_worker_had_is_written_as_started() {
    let mut kit = Kit::new();
    kit.terminate().unwrap();
    let mut next = after_reset(&mut kit, 3);
    assert_eq!(kit.state.status(), Status::Terminated);
    let kinds = [E::WorkflowExecutionStarted, E::WorkflowTaskScheduled, E::WorkflowTaskStarted];
    assert_eq!(next.news(), [&kinds[..], &[E::WorkflowTaskFailed, E::WorkflowTaskScheduled]].concat());
    let started = last!(next, WorkflowTaskStartedEventAttributes);
    assert_eq!((started.identity.as_str(), started.request_id.as_str()), ("history-service", "emptyUuid"));
    assert!(started.history_size_bytes > 0);
    next.turn(vec![complete("done")]);
}

#[test]
fn what_was_pending_at_the_point_begins_anew() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("waits"), schedule("runs"), schedule("done"), start_timer("t", 60)]);
    let token = kit.start_activity("done");
    kit.start_activity("runs");
    kit.finish(&token, Outcome::Completed { result: None }).unwrap();
    kit.turn(vec![cancel_activity(kit.activity("runs")), marker("m")]);
    kit.signal("s").unwrap();
    kit.start_task();
    kit.tick(30 * SECOND);
    let finish = kit.state.next_event_id() - 1;
    let mut next = after_reset(&mut kit, finish);
    let mut open: Vec<_> = next.state.activity_ids.keys().cloned().collect();
    open.sort();
    assert_eq!(open, ["runs", "waits"]);
    assert_eq!(next.attempt("runs").attempt, 1);
    assert!(next.attempt("runs").cancel_requested);
    assert!(!next.attempt("waits").cancel_requested);
    let tasks = next.new_tasks();
    assert!(matches!(tasks[..], [NewTask::Activity(_), NewTask::Activity(_), NewTask::Workflow(_)]), "{tasks:?}");
    // The worker of the old run has nothing to say here; a new one gets the activity.
    let token = next.start_activity("waits");
    next.skip_news();
    next.finish(&token, Outcome::Completed { result: None }).unwrap();
    // The timer keeps its time.
    next.pass(31 * SECOND);
    assert!(next.news().contains(&E::TimerFired));
    next.turn(vec![complete("done")]);
}

#[test]
fn events_that_waited_are_done_again() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.signal("waiting").unwrap();
    kit.update_options(&options(Some(2), None)).unwrap();
    kit.cancel().unwrap();
    let mut next = after_reset(&mut kit, 3);
    assert_eq!(
        next.news()[3..],
        [
            E::WorkflowTaskFailed,
            E::WorkflowExecutionSignaled,
            E::WorkflowExecutionOptionsUpdated,
            E::WorkflowTaskScheduled
        ]
    );
    assert_eq!(next.state.priority().unwrap().priority_key, 2);
    assert!(!next.state.record.cancel_requested);
}

#[test]
fn what_is_excluded_is_not_done_again() {
    let mut kit = Kit::new();
    kit.turn(Vec::new());
    kit.signal("s").unwrap();
    kit.update_options(&options(Some(2), None)).unwrap();
    let kinds = |adjust: &dyn Fn(&mut perdure_proto::api::workflowservice::ResetWorkflowExecutionRequest)| {
        let mut kit = kit.clone();
        kit.reset(4, adjust).unwrap();
        kit.successor.unwrap().news()[4..].to_vec()
    };
    let (signal, options, task) =
        (E::WorkflowExecutionSignaled, E::WorkflowExecutionOptionsUpdated, E::WorkflowTaskScheduled);
    assert_eq!(kinds(&|_| {}), [signal, options, task]);
    assert_eq!(kinds(&|request| request.set_reset_reapply_type(ResetReapplyType::Signal)), [signal, options, task]);
    assert_eq!(kinds(&|request| request.set_reset_reapply_type(ResetReapplyType::None)), [options, task]);
    let list = |request: &mut perdure_proto::api::workflowservice::ResetWorkflowExecutionRequest| {
        request.reset_reapply_exclude_types = vec![ResetReapplyExcludeType::Signal.into()];
    };
    assert_eq!(kinds(&list), [options, task]);
}

#[test]
fn points_that_are_none() {
    let mut kit = Kit::new();
    kit.turn(vec![start_timer("t", 60)]);
    kit.signal("s").unwrap();
    let range = "Workflow task finish ID must be > 1 && <= workflow last event ID.";
    let boundary = |last: i64| {
        format!(
            "StateRebuilder unable to Rebuild mutable state to event ID: {last}, version: 0, this event must be at the \
             boundary"
        )
    };
    let pending = |id: i64| {
        format!(
            "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: {id}"
        )
    };
    for (id, text) in [
        (0, range.to_owned()),
        (1, range.to_owned()),
        (2, boundary(1)),
        (5, boundary(4)),
        (6, pending(6)),
        (7, boundary(6)),
        (8, range.to_owned()),
    ] {
        let error = kit.reset(id, |_| {}).unwrap_err();
        assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::InvalidArgument, text.as_str()), "{id}");
    }
    assert_eq!(kit.state.status(), Status::Running);
}

#[test]
fn afterwards() {
    let mut kit = Kit::new();
    kit.turn(Vec::new());
    let update = |paths: &[&str], priority_key| {
        Some(Variant::UpdateWorkflowOptions(UpdateWorkflowOptions {
            workflow_execution_options: Some(WorkflowExecutionOptions {
                priority: Some(Priority { priority_key, ..Default::default() }),
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        }))
    };
    let signal = || Some(Variant::SignalWorkflow(SignalWorkflow::default()));
    for (variant, text) in [
        (None, "unsupported post reset operation: <nil>"),
        (signal(), "unsupported post reset operation: *workflow.PostResetOperation_SignalWorkflow_"),
        (
            update(&["priority.bogus"], 1),
            "error applying update_options: proto: invalid path \"priority.bogus\" for message \
             \"temporal.api.workflow.v1.WorkflowExecutionOptions\"",
        ),
    ] {
        let operation = PostResetOperation { variant };
        let error = kit.reset(4, |request| request.post_reset_operations = vec![operation.clone()]).unwrap_err();
        assert_eq!(error.message.as_ref(), text);
    }
    let operation = PostResetOperation { variant: update(&["priority"], 3) };
    kit.reset(4, |request| request.post_reset_operations = vec![operation.clone()]).unwrap();
    let next = kit.next();
    assert_eq!(next.state.priority().unwrap().priority_key, 3);
    assert_eq!(next.events[4].event_type(), E::WorkflowExecutionOptionsUpdated);
    let NewTask::Workflow(task) = next.tasks.last().unwrap() else { panic!() };
    assert_eq!(task.priority.as_ref().unwrap().priority_key, 3);
}

#[test]
fn resets_of_resets() {
    let mut kit = Kit::new();
    kit.decide(|state, env| {
        let attachment = Attachment { request_id: "start-2".to_owned(), ..Default::default() };
        attach::decide(state, attachment, env)
    })
    .unwrap();
    kit.turn(vec![schedule("a")]);
    kit.signal("s").unwrap();
    kit.tick(SECOND);
    let mut second = after_reset(&mut kit, 5);
    assert!(reset::repeated(&second.state, &reset_request(5)).is_some());
    assert_eq!(second.state.attached_requests.keys().collect::<Vec<_>>(), ["start-2"]);
    second.tick(SECOND);
    second.turn(vec![marker("m")]);
    let finish = second.state.next_event_id() - 2;
    let mut third = after_reset(&mut second, finish);
    let told = describe(&third.state, &third.namespace).workflow_extended_info.unwrap();
    assert_eq!(told.original_start_time, Some(BEGIN.to_proto()));
    assert_eq!(told.last_reset_time, Some(second.now.to_proto()));
    assert_eq!(third.state.record.reset.as_ref().unwrap().base_run_id, second.state.run_id());
    assert!(third.state.volatile.signal_requests.is_empty());
    third.turn(vec![complete("done")]);
    assert_eq!(third.state.status(), Status::Completed);
}

#[test]
fn a_paused_run_can_be_reset() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("a")]);
    kit.pause("p").unwrap();
    let mut next = after_reset(&mut kit, 4);
    assert_eq!(next.state.status(), Status::Running);
    next.turn(vec![complete("done")]);
}
